"""Switches for recording: context managers that are decorators too."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any

from pydl._core import enable_grad, inference_mode, no_grad, set_grad_enabled

__all__ = ["enable_grad", "inference_mode", "no_grad", "set_grad_enabled"]


def _decorate(context: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(function):
        return _decorate_generator(context, function)

    @functools.wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        with context.clone():
            return function(*args, **kwargs)

    return decorated


def _decorate_generator(context: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """The mode holds while the generator runs, not between its values."""

    @functools.wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        resume, value = generator.send, None
        while True:
            try:
                with context.clone():
                    item = resume(value)
            except StopIteration as stop:
                return stop.value
            try:
                value, resume = (yield item), generator.send
            except GeneratorExit:
                with context.clone():
                    generator.close()
                raise
            except BaseException as error:
                value, resume = error, generator.throw

    return decorated

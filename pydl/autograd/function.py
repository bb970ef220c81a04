"""Custom operations with a backward of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pydl import _core
from pydl._core import FunctionCtx, Tensor

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class Function:
    """An operation whose forward and backward are written in Python; call it through `apply`.

    `backward` gets the gradients of the outputs and returns those of forward's arguments, None for what has none.
    Forward takes `ctx` first, or leaves it to a separate `setup_context(ctx, inputs, output)`.

    >>> import pydl
    >>> class Cube(pydl.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x * x * grad
    >>> x = pydl.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Computes the outputs."""
        raise NotImplementedError("forward: expected a Function that defines it, got one that does not")

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> Any:
        """Keeps what backward needs, when forward has no ctx."""
        raise NotImplementedError("setup_context: expected a Function that defines it, got one that does not")

    @staticmethod
    def backward(ctx: FunctionCtx, *grad_outputs: Any) -> Any:
        """Turns the gradients of the outputs into those of the inputs."""
        raise NotImplementedError("backward: expected a Function that defines it, got one that does not")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Runs forward and records backward where an input requires a gradient."""
        return _core._apply_function(cls, *args)

    @classmethod
    def _has_setup_context(cls) -> bool:
        return cls.setup_context is not Function.setup_context


class _NoSecondDerivative(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, ...]:
        return gradients

    @staticmethod
    def backward(ctx: FunctionCtx, *grad_outputs: Any) -> Any:
        raise RuntimeError(
            "once_differentiable: expected first derivatives only, got a request for the second of a backward that is "
            "marked with @once_differentiable"
        )


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a backward that is not differentiable itself: a second derivative through it raises."""

    @functools.wraps(backward)
    def decorated(ctx: FunctionCtx, *gradients: Any) -> Any:
        with _core.no_grad():
            results = backward(ctx, *gradients)
        wanted = any(isinstance(g, Tensor) and g.requires_grad for g in gradients)
        if not _core.is_grad_enabled() or not wanted:
            return results
        several = isinstance(results, tuple)
        gradients = results if several else (results,)
        leaves = [g.detach().requires_grad_() if isinstance(g, Tensor) else g for g in gradients]
        marked = _NoSecondDerivative.apply(*leaves)
        return marked if several else marked[0]

    return decorated

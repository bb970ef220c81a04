"""What arguments must be, said in one way: `op: expected ..., got ...`."""

from __future__ import annotations

import codecs
import operator
import re
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

from pydl import Tensor

__all__ = ["counted", "error_handler", "indices_of", "items_of", "numbered", "pattern_of"]


def counted(op: str, name: str, value: Any, least: int = 0) -> int:
    """An integer of at least `least`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{op}: expected {name} to be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{op}: expected {name} to be at least {least}, got {value}")
    return operator.index(value)


def numbered(op: str, name: str, value: Any) -> Any:
    """A number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{op}: expected {name} to be a number, got {value!r}")
    return value


def items_of(op: str, what: str, values: Any) -> Any:
    """Something that can be iterated over and is not a single text."""
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{op}: expected {what}, got one text")
    if not isinstance(values, Iterable):
        raise TypeError(f"{op}: expected {what}, got {type(values).__name__}")
    return values


def indices_of(op: str, values: Any) -> list[int]:
    """The integers of a list, a tensor or an array of one dimension."""
    if isinstance(values, (Tensor, np.ndarray)):
        if len(values.shape) != 1:
            raise TypeError(f"{op}: expected indices of one dimension, got shape {list(values.shape)}")
        values = values.tolist()
    found = list(items_of(op, "a list of indices", values))
    for index in found:
        if not hasattr(index, "__index__"):
            raise TypeError(f"{op}: expected integers as indices, got {index!r}")
    return found


def pattern_of(op: str, pattern: Any) -> re.Pattern[str]:
    """A regular expression for str, compiled."""
    if not isinstance(getattr(pattern, "pattern", pattern), str):
        raise TypeError(f"{op}: expected a regular expression as str, got {pattern!r}")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{op}: expected a regular expression, got {pattern!r} ({error})") from None


def error_handler(op: str, errors: Any) -> str:
    """The name of what `bytes.decode` does with malformed bytes."""
    try:
        codecs.lookup_error(errors)
    except (LookupError, TypeError):
        raise ValueError(f"{op}: expected errors to be 'strict', 'replace', 'ignore' or the like, got {errors!r}"
                         ) from None
    return errors

"""Sequences of different lengths as one rectangle."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

import pydl
from pydl import Tensor
from pydl.text import _ids
from pydl.text.checks import counted, items_of

__all__ = ["pad_sequences"]

NAME = "pad_sequences"
SIDES = ("right", "left")


def pad_sequences(
    sequences: Iterable[Iterable[int] | Tensor | np.ndarray],
    max_length: int | None = None,
    *,
    length: int | None = None,
    value: int = 0,
    padding: str = "right",
    truncation: str = "right",
) -> tuple[Tensor, Tensor]:
    """Returns (batch, lengths): int64 [n, longest] filled up with `value`, and int64 [n] without the filling.

    Sequences longer than `max_length` are cut. `length` makes the batch exactly so wide whatever the sequences.
    `padding` and `truncation` say on which side ("right", "left") is filled and cut. Negative lengths raise ValueError,
    numbers that are no integers TypeError.

    >>> from pydl.text import pad_sequences
    >>> batch, lengths = pad_sequences([[1, 2, 3], [4]], max_length=2)
    >>> batch.tolist(), lengths.tolist()
    ([[1, 2], [4, 0]], [2, 1])
    >>> pad_sequences([[1, 2, 3], [4]], padding="left")[0].tolist()
    [[1, 2, 3], [0, 0, 4]]
    """
    for name, number in (("max_length", max_length), ("length", length)):
        if number is not None:
            counted(NAME, name, number)
    for name, side in (("padding", padding), ("truncation", truncation)):
        if side not in SIDES:
            raise ValueError(f"{NAME}: expected {name} to be one of {', '.join(SIDES)}, got {side!r}")
    if not hasattr(value, "__index__"):
        raise TypeError(f"{NAME}: expected value to be an integer, got {value!r}")
    value = _integer(value, "value")
    rows = [_row(sequence) for sequence in items_of(NAME, "a list of rows", sequences)]
    width = max(map(len, rows), default=0) if length is None else length
    if max_length is not None and length is None:
        width = min(width, max_length)
    elif max_length is not None and max_length < width:
        raise ValueError(f"{NAME}: expected max_length to be at least length={length}, got {max_length}")
    batch = pydl.full((len(rows), width), value, dtype=pydl.int64)
    lengths = pydl.empty(len(rows), dtype=pydl.int64)
    try:
        _ids.pad(rows, batch.numpy(), lengths.numpy(), padding == "left", truncation == "left")
    except (TypeError, OverflowError):
        for number, row in enumerate(rows):
            for item in row:
                _integer(item, f"row {number}")
        raise
    return batch, lengths


def _integer(value: Any, place: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{NAME}: expected integers, got {value!r} as {place}") from None
    if not -(2**63) <= number < 2**63:
        raise OverflowError(f"{NAME}: expected integers of 64 bits, got {number} as {place}")
    return number


def _row(sequence: Iterable[int] | Tensor | np.ndarray) -> list[int]:
    if isinstance(sequence, (Tensor, np.ndarray)):
        if len(sequence.shape) != 1:
            raise pydl.ShapeError(f"{NAME}: expected rows of one dimension, got shape {list(sequence.shape)}")
        return sequence.tolist()
    return sequence if isinstance(sequence, list) else list(items_of(NAME, "rows of integers", sequence))

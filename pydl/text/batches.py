"""Batches of sequences of about the same length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

import pydl
from pydl import Generator, Tensor
from pydl.text.checks import items_of
from pydl.utils.data import Sampler

__all__ = ["BucketSampler"]


class BucketSampler(Sampler[list[int]]):
    """Batches of indices, each of sequences of about the same length, so that little is padded.

    `lengths` are those of all sequences. A pass shuffles the sequences, sorts each run of `pool` batches by length and
    yields its batches in random order; without `shuffle` all are sorted and come from short to long, equal lengths in
    the given order. It is the `batch_sampler` of a `DataLoader`.

    >>> import pydl
    >>> from pydl.text import BucketSampler
    >>> list(BucketSampler([3, 9, 4, 1, 8], batch_size=2, shuffle=False))
    [[3, 0], [2, 4], [1]]
    """

    def __init__(
        self,
        lengths: Sequence[int] | Tensor | np.ndarray,
        batch_size: int,
        *,
        shuffle: bool = True,
        pool: int = 100,
        drop_last: bool = False,
        generator: Generator | None = None,
    ) -> None:
        if isinstance(lengths, (Tensor, np.ndarray)):
            if len(lengths.shape) != 1:
                raise pydl.ShapeError(f"BucketSampler: expected lengths of one dimension, got {list(lengths.shape)}")
            lengths = lengths.tolist()
        lengths = list(items_of("BucketSampler", "a list of lengths", lengths))
        wrong = [n for n in lengths if not hasattr(n, "__index__")]
        if wrong:
            kind = pydl.ShapeError if isinstance(wrong[0], (list, tuple)) else TypeError
            raise kind(f"BucketSampler: expected lengths of one dimension, integers, got {wrong[0]!r}")
        if min(lengths, default=0) < 0:
            raise ValueError(f"BucketSampler: expected lengths of at least 0, got {min(lengths)}")
        self.lengths = np.array(lengths, np.int64)
        for name, number in (("batch_size", batch_size), ("pool", pool)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise ValueError(f"BucketSampler: expected {name} to be a positive integer, got {number!r}")
        self.batch_size, self.pool = batch_size, pool
        self.shuffle, self.drop_last, self.generator = shuffle, drop_last, generator

    def __iter__(self) -> Iterator[list[int]]:
        n, size = len(self.lengths), self.batch_size
        if not self.shuffle:
            yield from self._batches(np.arange(n), n)
            return
        order = pydl.randperm(n, generator=self.generator).numpy()
        kept = n - n % size if self.drop_last else n  # drops at random, not the longest
        batches = list(self._batches(order[:kept], self.pool * size))
        for i in pydl.randperm(len(batches), generator=self.generator).tolist():
            yield batches[i]

    def _batches(self, order: np.ndarray, pool: int) -> Iterator[list[int]]:
        for start in range(0, len(order), max(pool, 1)):
            part = order[start : start + pool]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            for begin in range(0, len(part), self.batch_size):
                batch = part[begin : begin + self.batch_size]
                if len(batch) == self.batch_size or not self.drop_last:
                    yield batch.tolist()

    def __len__(self) -> int:
        rounding = 0 if self.drop_last else self.batch_size - 1
        return (len(self.lengths) + rounding) // self.batch_size

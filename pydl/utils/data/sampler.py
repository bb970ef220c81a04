"""Samplers: the order in which a loader asks for samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import pydl
from pydl import Generator
from pydl.utils.data.dataset import _count

__all__ = [
    "BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "SubsetRandomSampler", "WeightedRandomSampler",
]

T = TypeVar("T", covariant=True)


def _checked_count(op: str, name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{op}: expected a positive integer {name}, got {value!r}")
    return value


class Sampler(Generic[T]):
    """Indices of samples: subclasses define `__iter__`, and `__len__` where it is known.

    >>> from pydl.utils.data import DataLoader, Sampler
    >>> class Backwards(Sampler):
    ...     def __iter__(self):
    ...         return iter([2, 1, 0])
    >>> [batch.item() for batch in DataLoader([10, 20, 30], sampler=Backwards())]
    [30, 20, 10]
    """

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """All indices in ascending order.

    >>> import pydl
    >>> list(pydl.utils.data.SequentialSampler([10, 20, 30]))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Indices in random order; with `replacement` drawn independently. `num_samples` defaults to all of them.

    >>> import pydl
    >>> from pydl.utils.data import RandomSampler
    >>> sorted(RandomSampler(range(4)))
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: expected replacement to be a bool, got {replacement!r}")
        _checked_count("RandomSampler", "num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n, count, generator = len(self.data_source), self.num_samples, self.generator
        if generator is None:  # one of its own, so that other draws meanwhile change nothing
            generator = pydl.Generator().manual_seed(_fresh_seed())
        if self.replacement:
            yield from pydl.randint(0, n, (count,), generator=generator).tolist()
            return
        while count > 0:
            yield from pydl.randperm(n, generator=generator).tolist()[:count]
            count -= n

    def __len__(self) -> int:
        return self.num_samples


def _fresh_seed(generator: Generator | None = None) -> int:
    return int(pydl.empty((), dtype=pydl.int64).random_(generator=generator).item())


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order.

    >>> import pydl
    >>> sorted(pydl.utils.data.SubsetRandomSampler([4, 8, 2]))
    [2, 4, 8]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in pydl.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices drawn with probabilities proportional to `weights`.

    >>> import pydl
    >>> from pydl.utils.data import WeightedRandomSampler
    >>> list(WeightedRandomSampler([0.0, 1.0, 0.0], num_samples=3))
    [1, 1, 1]
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise ValueError(f"WeightedRandomSampler: expected replacement to be a bool, got {replacement!r}")
        self.weights = pydl.as_tensor(weights, dtype=pydl.float64)
        if self.weights.dim() != 1:
            raise ValueError(
                f"WeightedRandomSampler: expected weights of one dimension, got shape {list(self.weights.shape)}")
        self.num_samples = _checked_count("WeightedRandomSampler", "num_samples", num_samples)
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        drawn = pydl.multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator)
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """The indices of another sampler in lists of `batch_size`; the last, shorter one only without `drop_last`.

    >>> from pydl.utils.data import BatchSampler
    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(drop_last, bool):
            raise ValueError(f"BatchSampler: expected drop_last to be a bool, got {drop_last!r}")
        self.sampler = sampler
        self.batch_size = _checked_count("BatchSampler", "batch_size", batch_size)
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        rounding = 0 if self.drop_last else self.batch_size - 1
        return (_count(self.sampler) + rounding) // self.batch_size

"""Data sets: what has samples by index, or one after another, and ways to join and split them."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar, cast

import pydl
from pydl import Generator, Tensor

__all__ = [
    "ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "StackDataset", "Subset", "TensorDataset",
    "random_split",
]

T = TypeVar("T", covariant=True)


def _count(data: object) -> int:
    """len(data), of a data set or sampler: their base classes have no __len__, since some have no length."""
    return len(cast(Sized, data))


class Dataset(Generic[T]):
    """Samples by index: subclasses define `__getitem__`, and `__len__` for most uses.

    The loader asks for a whole batch at once where a data set offers it: `__getitems__(indices)` returns a list of
    samples; `__getbatch__(indices)` returns what `default_collate` would make of them, and serves when that is the
    loader's collation.

    >>> from pydl.utils.data import DataLoader, Dataset
    >>> class Squares(Dataset):
    ...     def __getitem__(self, index):
    ...         return index * index
    ...     def __len__(self):
    ...         return 4
    >>> list(DataLoader(Squares(), batch_size=4))
    [tensor([0, 1, 4, 9])]
    """

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T], Iterable[T]):
    """Samples one after another: subclasses define `__iter__`.

    >>> from pydl.utils.data import DataLoader, IterableDataset
    >>> class Countdown(IterableDataset):
    ...     def __iter__(self):
    ...         return iter([3, 2, 1])
    >>> list(DataLoader(Countdown(), batch_size=2))
    [tensor([3, 2]), tensor([1])]
    """

    def __add__(self, other: Dataset[Any]) -> ChainDataset:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample i is the i-th slice of every tensor. A batch is one gather from each of them.

    >>> import pydl
    >>> from pydl.utils.data import DataLoader, TensorDataset
    >>> data = TensorDataset(pydl.arange(10), pydl.arange(10) % 2)
    >>> [number.tolist() for number, parity in DataLoader(data, batch_size=4)]
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor, got none")
        for tensor in tensors:
            if tensor.size(0) != tensors[0].size(0):
                raise AssertionError(
                    f"TensorDataset: expected tensors of one length, got {tensors[0].size(0)} and {tensor.size(0)}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    @property
    def __getbatch__(self) -> Callable[[Sequence[int]], list[Tensor]] | None:
        return self._gather if type(self).__getitem__ is TensorDataset.__getitem__ else None

    def _gather(self, indices: Sequence[int]) -> list[Tensor]:
        chosen = positions(indices, len(self))
        return [tensor.index_select(0, chosen) for tensor in self.tensors]

    def __len__(self) -> int:
        return self.tensors[0].size(0)


def positions(indices: Sequence[int], length: int) -> Tensor:
    """Indices as an int64 tensor; negative ones count from the end."""
    chosen = pydl.as_tensor(indices, dtype=pydl.int64)
    return pydl.where(chosen < 0, chosen + length, chosen) if min(indices, default=0) < 0 else chosen


class StackDataset(Dataset[Any]):
    """Sample i is the tuple, or the dict by keyword, of the i-th samples of several data sets of one length.

    >>> from pydl.utils.data import StackDataset
    >>> StackDataset(image=[10, 20], label=[0, 1])[1]
    {'image': 20, 'label': 1}
    """

    def __init__(self, *args: Dataset[Any], **kwargs: Dataset[Any]) -> None:
        if args and kwargs:
            raise ValueError("StackDataset: expected data sets by position or by keyword, got both")
        self.datasets: tuple[Dataset[Any], ...] | dict[str, Dataset[Any]] = args or kwargs
        parts = self._parts()
        if not parts:
            raise ValueError("StackDataset: expected at least one data set, got none")
        self._length = _count(parts[0])
        for part in parts:
            if _count(part) != self._length:
                raise ValueError(
                    f"StackDataset: expected data sets of one length, got {self._length} and {_count(part)}")

    def _parts(self) -> list[Dataset[Any]]:
        return list(self.datasets.values() if isinstance(self.datasets, dict) else self.datasets)

    def _sample(self, values: Iterable[Any]) -> Any:
        return dict(zip(self.datasets, values)) if isinstance(self.datasets, dict) else tuple(values)

    def __getitem__(self, index: Any) -> Any:
        return self._sample(part[index] for part in self._parts())

    def __getitems__(self, indices: list[int]) -> list[Any]:
        columns = [samples(part, indices) for part in self._parts()]
        return [self._sample(values) for values in zip(*columns)]

    def __len__(self) -> int:
        return self._length


def samples(dataset: Dataset[Any], indices: Sequence[int]) -> list[Any]:
    """The samples at indices, at once where the data set can."""
    get_all = getattr(dataset, "__getitems__", None)
    if not callable(get_all):
        return [dataset[index] for index in indices]
    found = get_all(indices)
    if len(found) != len(indices):
        raise ValueError(
            f"{type(dataset).__name__}.__getitems__: expected {len(indices)} samples, got {len(found)}")
    return found


class ConcatDataset(Dataset[T]):
    """The samples of several data sets, one behind the other.

    >>> from pydl.utils.data import ConcatDataset
    >>> list(ConcatDataset([[1, 2], [3]]))
    [1, 2, 3]
    """

    def __init__(self, datasets: Iterable[Dataset[T]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: expected at least one data set, got none")
        if any(isinstance(part, IterableDataset) for part in self.datasets):
            raise AssertionError("ConcatDataset: expected data sets with indices, got an IterableDataset")
        self.cumulative_sizes = list(itertools.accumulate(map(_count, self.datasets)))

    def __getitem__(self, index: int) -> T:
        if index < 0:
            if -index > len(self):
                raise ValueError(f"ConcatDataset: expected an index of at least {-len(self)}, got {index}")
            index += len(self)
        part = bisect.bisect_right(self.cumulative_sizes, index)
        if part == len(self.datasets):
            raise IndexError(f"ConcatDataset: expected an index below {len(self)}, got {index}")
        return self.datasets[part][index - (self.cumulative_sizes[part - 1] if part else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[Any]):
    """The samples of several iterable data sets, one after the other.

    >>> from pydl.utils.data import ChainDataset, IterableDataset
    >>> class Count(IterableDataset):
    ...     def __iter__(self):
    ...         return iter(range(2))
    >>> list(ChainDataset([Count(), Count()]))
    [0, 1, 0, 1]
    """

    def __init__(self, datasets: Iterable[Dataset[Any]]) -> None:
        self.datasets = datasets

    def _checked(self) -> Iterator[IterableDataset[Any]]:
        for part in self.datasets:
            if not isinstance(part, IterableDataset):
                raise AssertionError(f"ChainDataset: expected an IterableDataset, got {type(part).__name__}")
            yield part

    def __iter__(self) -> Iterator[Any]:
        for part in self._checked():
            yield from part

    def __len__(self) -> int:
        return sum(map(_count, self._checked()))


class Subset(Dataset[T]):
    """The samples of a data set at the given indices.

    >>> from pydl.utils.data import Subset
    >>> list(Subset([10, 20, 30], [2, 0]))
    [30, 10]
    """

    def __init__(self, dataset: Dataset[T], indices: Sequence[int]) -> None:
        overridden = type(self).__getitem__ is not Subset.__getitem__
        if overridden and type(self).__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{type(self).__name__}: expected an own __getitems__, which the DataLoader asks first, got an own "
                "__getitem__ alone"
            )
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[T]:
        return samples(self.dataset, [self.indices[i] for i in indices])

    @property
    def __getbatch__(self) -> Callable[[Sequence[int]], Any] | None:
        whole = getattr(self.dataset, "__getbatch__", None)
        if not callable(whole) or type(self).__getitems__ is not Subset.__getitems__:
            return None
        return lambda indices: whole([self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Dataset[T], lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset[T]]:
    """Disjoint subsets of the given lengths, or of fractions that add up to 1, drawn at random.

    What rounding of fractions leaves over goes to the first subsets, one sample each.

    >>> import pydl
    >>> from pydl.utils.data import TensorDataset, random_split
    >>> [len(part) for part in random_split(TensorDataset(pydl.arange(10)), [0.75, 0.25])]
    [8, 2]
    """
    total = _count(dataset)
    counts = [int(length) for length in lengths]
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for i, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"random_split: expected fractions in [0, 1], got {fraction} at index {i}")
        counts = [math.floor(total * fraction) for fraction in lengths]
        for i in range(total - sum(counts)):
            counts[i % len(counts)] += 1
        for i, count in enumerate(counts):
            if count == 0:
                warnings.warn(f"Length of split at index {i} is 0. This might result in an empty dataset.",
                              stacklevel=2)
    if sum(counts) != total:
        raise ValueError(f"random_split: expected lengths that add up to {total}, got {list(lengths)}")
    order = pydl.randperm(total, generator=generator).tolist()
    ends = itertools.accumulate(counts)
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts)]

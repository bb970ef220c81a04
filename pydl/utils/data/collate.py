"""From samples to a batch: tensors, arrays and numbers are stacked; tuples, dicts and lists element by element."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

import pydl
from pydl import Tensor

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Sequence[Any]) -> Any:
    """A batch made of a list of samples of one structure.

    Tensors and arrays of one shape are stacked along a new first dimension, numbers become a tensor (floats float64,
    integers int64), strings and bytes stay a list. Samples that are tuples or lists give a list, or their own type, of
    batches; dicts and named tuples give the same of batches.

    Raises TypeError for anything else, ShapeError for tensors or arrays of different shapes.

    >>> import pydl
    >>> from pydl.utils.data import default_collate
    >>> default_collate([{"x": pydl.ones(2), "label": 0}, {"x": pydl.zeros(2), "label": 1}])
    {'x': tensor([[1., 1.],
            [0., 0.]]), 'label': tensor([0, 1])}
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return pydl.stack(list(batch), 0)
    if isinstance(first, np.ndarray):
        if first.dtype.kind in "SUO":
            raise TypeError(f"default_collate: expected arrays of numbers, got dtype {first.dtype}")
        shapes = list(dict.fromkeys(np.shape(sample) for sample in batch))
        if len(shapes) > 1:
            raise pydl.ShapeError(
                f"default_collate: expected samples of one shape, got {list(shapes[0])} and {list(shapes[1])}"
            )
        return pydl.from_numpy(np.stack(batch))
    if isinstance(first, np.generic) and first.dtype.kind not in "SUO":
        return pydl.from_numpy(np.array(batch))
    if isinstance(first, float):
        return pydl.tensor(batch, dtype=pydl.float64)
    if isinstance(first, int):
        return pydl.tensor(batch)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        return _same_mapping(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, Sequence):
        for sample in batch:
            if len(sample) != len(first):
                raise RuntimeError(
                    f"default_collate: expected samples of one length, got {len(first)} and {len(sample)}")
        return _same_sequence(first, [default_collate(column) for column in zip(*batch)])
    raise TypeError(
        "default_collate: expected tensors, arrays, numbers, strings, or dicts, tuples and lists of them, got "
        f"{type(first).__name__}"
    )


def default_convert(data: Any) -> Any:
    """The sample itself with arrays as tensors: what a loader without batches returns.

    >>> import numpy
    >>> import pydl
    >>> pydl.utils.data.default_convert({"image": numpy.ones(2), "name": "cat"})
    {'image': tensor([1., 1.], dtype=pydl.float64), 'name': 'cat'}
    """
    if isinstance(data, Tensor | str | bytes):
        return data
    if isinstance(data, np.ndarray | np.generic):
        return data if data.dtype.kind in "SUO" else pydl.as_tensor(data)
    if isinstance(data, Mapping):
        return _same_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, Sequence):
        return _same_sequence(data, [default_convert(value) for value in data])
    return data


def _same_mapping(model: Mapping[Any, Any], values: dict[Any, Any]) -> Any:
    """The values as a mapping of the model's type, its other properties kept where it can be copied."""
    try:
        if isinstance(model, MutableMapping):
            result = copy.copy(model)
            result.update(values)
            return result
        make: Callable[[dict[Any, Any]], Any] = type(model)
        return make(values)
    except TypeError:
        return values


def _same_sequence(model: Sequence[Any], values: list[Any]) -> Any:
    """The values as a sequence of the model's type; tuples become lists, as in PyTorch, named tuples stay."""
    if isinstance(model, tuple):
        return type(model)(*values) if hasattr(model, "_fields") else values
    try:
        if isinstance(model, MutableSequence):
            result = copy.copy(model)
            result[:] = values
            return result
        make: Callable[[list[Any]], Any] = type(model)
        return make(values)
    except TypeError:
        return values

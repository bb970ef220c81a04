"""Places in a tensor: copies with a part replaced, coordinates, tensors made like another, loops over elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pydl import _core
from pydl._core import Size, Tensor
from pydl._results import takes_out


def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A copy of input with src in the place of input.as_strided(size, stride, storage_offset)."""
    copy = input.contiguous().clone()
    copy.as_strided(size, stride, storage_offset).copy_(src.expand(size))
    return copy


@takes_out
def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """narrow, copied."""
    return input.narrow(dim, start, length).clone()


@takes_out
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Slices of source combined along dim into those of input that index names: "prod", "mean", "amax" or "amin"."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce: expected 'prod', 'mean', 'amax' or 'amin' as reduce, got {reduce!r}")
    shape = [-1 if d == dim % max(input.dim(), 1) else 1 for d in range(input.dim())]
    return input.scatter_reduce(
        dim, index.reshape(shape).expand(source.shape), source, reduce, include_self=include_self
    )


def index_reduce_(
    self: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """index_reduce, in place."""
    return self.copy_(index_reduce(self, dim, index, source, reduce, include_self=include_self))


def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The coordinates of flat indices in an array of that shape, one tensor for each dimension."""
    sizes = [shape] if isinstance(shape, int) else list(shape)
    if indices.numel() and bool((indices >= math.prod(sizes)).any()):
        raise ValueError(f"unravel_index: expected indices below {math.prod(sizes)}, got {int(indices.max())}")
    coordinates, rest = [], indices
    for size in reversed(sizes):
        coordinates.append(rest % size)
        rest = rest // size
    return tuple(reversed(coordinates))


def empty_permuted(
    size: Sequence[int],
    physical_layout: Sequence[int],
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uninitialized memory whose dimensions lie in the given order, outermost first."""
    if sorted(physical_layout) != list(range(len(size))):
        raise RuntimeError(f"empty_permuted: expected an order of {len(size)} dimensions, got {tuple(physical_layout)}")
    x = _core.empty([size[d] for d in physical_layout], dtype=dtype, device=device)
    return x.permute([physical_layout.index(d) for d in range(len(size))]).requires_grad_(requires_grad)


def new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor with copied data, by default of this one's dtype."""
    return _core.tensor(data, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


def new_empty_strided(
    self: Tensor, size: Size, stride: Sequence[int], dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Uninitialized memory with these strides, by default of this tensor's dtype."""
    return _core.empty_strided(size, stride, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


def _replace(self: Tensor, others: Sequence[Tensor], function: Callable[..., Any]) -> Tensor:
    columns = [x.detach().expand(self.shape).reshape(-1).tolist() for x in (self, *others)]
    values = [function(*row) for row in zip(*columns, strict=True)]
    return self.copy_(_core.tensor(values, dtype=self.dtype).reshape(self.shape))


def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replaces each element by callable(element): a Python loop."""
    return _replace(self, (), callable)


def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replaces each element by callable(element, that of tensor): a Python loop."""
    return _replace(self, (tensor,), callable)


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replaces each element by callable(element, those of x and y): a Python loop."""
    return _replace(self, (x, y), callable)

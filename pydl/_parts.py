"""Copies with a part replaced, and other functions of places: the out-of-place twins of writing through a view."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pydl import _core
from pydl._core import Size, Tensor
from pydl._results import takes_out


def _written(input: Tensor, src: Tensor, part: Callable[[Tensor], Tensor], op: str) -> Tensor:
    copy = input.clone()
    view = part(copy)
    if view.shape != src.shape:
        raise _core.ShapeError(f"{op}: expected a src of shape {list(view.shape)}, got {list(src.shape)}")
    view.copy_(src)
    return copy


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of input with src in the place of input.select(dim, index)."""
    return _written(input, src, lambda x: x.select(dim, index), "select_scatter")


@takes_out
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of input with src in the place of input[start:end:step] along dim."""
    here = (slice(None),) * (dim % input.dim()) + (slice(start, end, step),)
    return _written(input, src, lambda x: x[here], "slice_scatter")


def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of input with src in the place of input.diagonal(offset, dim1, dim2)."""
    return _written(input, src, lambda x: x.diagonal(offset, dim1, dim2), "diagonal_scatter")


def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A copy of input with src in the place of input.as_strided(size, stride, storage_offset)."""
    part = lambda x: x.as_strided(size, stride, storage_offset)  # noqa: E731
    return _written(input.contiguous(), src, part, "as_strided_scatter")


@takes_out
def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """narrow, copied."""
    return input.narrow(dim, start, length).clone()


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Sets the main diagonal of a matrix, or of a tensor with equal sizes; `wrap` starts anew below a tall matrix."""
    if self.dim() < 2:
        raise RuntimeError(f"fill_diagonal_: expected at least 2 dimensions, got shape {list(self.shape)}")
    if self.dim() > 2 and len(set(self.shape)) > 1:
        raise RuntimeError(f"fill_diagonal_: expected equal sizes of more than 2 dimensions, got shape {list(self.shape)}")
    n, step, last = min(self.shape), sum(self.stride()), self.size(-1)
    self.as_strided([n], [step], self.storage_offset()).fill_(fill_value)
    if wrap and self.dim() == 2:
        for top in range(last + 1, self.size(0), last + 1):
            below = self[top:]
            below.as_strided([min(below.shape)], [step], below.storage_offset()).fill_(fill_value)
    return self


@takes_out
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Slices of source combined along dim into those of input that index names: "prod", "mean", "amax" or "amin"."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce: expected 'prod', 'mean', 'amax' or 'amin' as reduce, got {reduce!r}")
    shape = [-1 if d == dim % max(input.dim(), 1) else 1 for d in range(input.dim())]
    return input.scatter_reduce(dim, index.reshape(shape).expand(source.shape), source, reduce, include_self=include_self)


def index_reduce_(self: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
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


def new_tensor(self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
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

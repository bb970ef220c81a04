"""Functions that take tensors one by one, or answer in Python values: the face of operators that take lists."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

from pydl import _core
from pydl._core import Tensor
from pydl._results import takes_out

__all__ = [
    "block_diag",
    "broadcast_shapes",
    "broadcast_tensors",
    "cartesian_prod",
    "chain_matmul",
    "combinations",
    "cumulative_trapezoid",
    "einsum",
    "meshgrid",
    "nonzero",
    "norm",
    "numel",
    "tensordot",
    "trapz",
    "unique",
    "unique_consecutive",
]

_AT_ONCE = 1 << 20  # indices that combinations passes from Python at once


def _listed(tensors: tuple) -> list[Tensor]:
    """f(a, b) and f([a, b]) mean the same."""
    return list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else list(tensors)


def _letters(subscripts: Iterable[Any]) -> str:
    """Subscripts 0 to 51 and Ellipsis in the spelling of an equation."""
    spelled = ""
    for subscript in subscripts:
        if subscript is Ellipsis:
            spelled += "..."
            continue
        try:
            n = operator.index(subscript)
        except TypeError:
            given = type(subscript).__name__
            raise TypeError(f"einsum: expected subscripts to be integers or an Ellipsis, got {given}") from None
        if not 0 <= n < 52:
            raise ValueError(f"einsum: expected subscripts from 0 to 51, got {n}")
        spelled += chr(ord("A") + n if n < 26 else ord("a") + n - 26)
    return spelled


def einsum(equation: str | Tensor, *operands: Any) -> Tensor:
    """Sums of products of elements, by subscripts (Einstein's convention).

    Subscripts are letters; `...` stands for any leading dimensions, which broadcast; subscripts missing behind `->` are
    summed. Without `->` the output has the subscripts that occur once, in alphabetical order. Instead of an equation,
    each tensor may be followed by the list of its subscripts, numbers from 0 to 51 or an Ellipsis; those of the output
    come last.

    >>> import pydl
    >>> pydl.einsum("ij,jk->ik", pydl.eye(2), pydl.ones(2, 3)).shape
    pydl.Size([2, 3])
    """
    if isinstance(equation, Tensor):
        if not operands:
            raise ValueError("einsum: expected an equation, or a list of subscripts behind each tensor, got one tensor")
        output = ""
        if len(operands) % 2 == 0:
            output = "->" + _letters(operands[-1])
            operands = operands[:-1]
        return _core.einsum(",".join(map(_letters, operands[::2])) + output, [equation, *operands[1::2]])
    return _core.einsum(equation, _listed(operands))


@takes_out
def tensordot(a: Tensor, b: Tensor, dims: int | Sequence[Sequence[int]] = 2) -> Tensor:
    """Contracts the last `dims` dimensions of a with the first of b, or the two given lists of dimensions.

    >>> import pydl
    >>> pydl.tensordot(pydl.ones(2, 3, 4), pydl.ones(3, 4, 5)).shape
    pydl.Size([2, 5])
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        return _core.tensordot(a, b, dims)
    first, second = dims
    return _core.tensordot(a, b, *([d] if isinstance(d, int) else list(d) for d in (first, second)))


def meshgrid(*tensors: Tensor | Sequence[Tensor], indexing: str | None = None) -> tuple[Tensor, ...]:
    """Coordinate grids of vectors: `indexing="ij"` varies the first along rows, "xy" along columns.

    >>> import pydl
    >>> pydl.meshgrid(pydl.tensor([1, 2]), pydl.tensor([3, 4]), indexing="ij")
    (tensor([[1, 1],
            [2, 2]]), tensor([[3, 4],
            [3, 4]]))
    """
    return tuple(_core.meshgrid(_listed(tensors), indexing=indexing))


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Views of the tensors in the shape that all of them broadcast to.

    >>> import pydl
    >>> pydl.broadcast_tensors(pydl.tensor([1, 2]), pydl.tensor([[3], [4]]))
    (tensor([[1, 2],
            [1, 2]]), tensor([[3, 3],
            [4, 4]]))
    """
    return tuple(_core.broadcast_tensors(_listed(tensors)))


def broadcast_shapes(*shapes: int | Sequence[int]) -> _core.Size:
    """The shape that all the given ones broadcast to; raises ShapeError where they do not.

    >>> import pydl
    >>> pydl.broadcast_shapes((2, 1), (3,))
    pydl.Size([2, 3])
    """
    result: list[int] = []
    for shape in shapes:
        sizes = [shape] if isinstance(shape, int) else list(shape)
        wide = max(len(result), len(sizes))
        left, right = [1] * (wide - len(result)) + result, [1] * (wide - len(sizes)) + sizes
        if any(x != y and 1 not in (x, y) for x, y in zip(left, right, strict=True)):
            raise _core.ShapeError(f"broadcast_shapes: expected shapes that broadcast, got {result} and {sizes}")
        result = [y if x == 1 else x for x, y in zip(left, right, strict=True)]
    return _core.Size(result)


def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the given matrices (vectors are rows) along its diagonal.

    >>> import pydl
    >>> pydl.block_diag(pydl.tensor([[1, 2]]), pydl.tensor([3]))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    return _core.block_diag([_core.tensor(t) if not isinstance(t, Tensor) else t for t in _listed(tensors)])


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of one element from each vector, one a row.

    >>> import pydl
    >>> pydl.cartesian_prod(pydl.tensor([1, 2]), pydl.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    return _core.cartesian_prod(_listed(tensors))


@takes_out
def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of several matrices, left to right.

    >>> import pydl
    >>> pydl.chain_matmul(pydl.ones(2, 3), pydl.ones(3, 4), pydl.ones(4, 1))
    tensor([[12.],
            [12.]])
    """
    return _core.chain_matmul(_listed(matrices))


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All combinations of r elements of a vector, one a row, in order of position.

    >>> import pydl
    >>> pydl.combinations(pydl.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    import numpy as np

    if input.dim() != 1:
        raise RuntimeError(f"combinations: expected a vector, got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"combinations: expected a non-negative r, got {r}")
    n, choose = input.numel(), itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = math.comb(max(n + r - 1, 0) if with_replacement else n, r)
    if r == 0 or rows == 0:
        return input.new_empty([0, r] if r else [0])
    picks = _core.empty([min(rows, 2**62), r], dtype=_core.int64)  # at first: more than fits memory raises here
    indices, values = picks.numpy().reshape(-1), itertools.chain.from_iterable(choose(range(n), r))
    for at in range(0, len(indices), _AT_ONCE):
        indices[at : at + _AT_ONCE] = np.fromiter(itertools.islice(values, _AT_ONCE), np.int64)
    return input[picks]


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float = 1.0, dim: int = -1) -> Tensor:
    """Running integrals of y by the trapezoidal rule; one element fewer than y along dim."""
    n = y.size(dim)
    areas = max(n - 1, 0)
    heights = y.narrow(dim, n - areas, areas) + y.narrow(dim, 0, areas)
    if x is None:
        return _core.cumsum(heights, dim) * (dx / 2)
    if x.size(0 if x.dim() == 1 else dim) != n:
        raise _core.ShapeError(f"cumulative_trapezoid: expected an x for each y, got {x.shape} and {y.shape}")
    if x.dim() == 1:
        x = x.reshape([n if d == dim % y.dim() else 1 for d in range(y.dim())])
    return _core.cumsum(heights * (x.narrow(dim, n - areas, areas) - x.narrow(dim, 0, areas)) / 2, dim)


def trapz(y: Tensor, x: Tensor | None = None, *, dx: float = 1.0, dim: int = -1) -> Tensor:
    """Alias of trapezoid."""
    return _core.trapezoid(y, dx=dx, dim=dim) if x is None else _core.trapezoid(y, x, dim=dim)


@takes_out
def _nonzero(input: Tensor) -> Tensor:
    return _core.nonzero(input)


def nonzero(input: Tensor, *, out: Tensor | None = None, as_tuple: bool = False) -> Tensor | tuple[Tensor, ...]:
    """The indices of the elements other than 0: one row for each, or a tuple with a vector for each dimension.

    >>> import pydl
    >>> pydl.nonzero(pydl.tensor([0, 3, 4]), as_tuple=True)
    (tensor([1, 2]),)
    """
    if not as_tuple:
        return _nonzero(input, out=out)
    if out is not None:
        raise RuntimeError("nonzero: expected no out with as_tuple=True, got one")
    return tuple(_core.nonzero(_core.atleast_1d(input)).unbind(1))


def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    out: Tensor | None = None,
    dtype: _core.dtype | None = None,
) -> Tensor:
    """The p-norm of the elements over dim ("fro" is 2), or with p="nuc" the nuclear norm of the matrices there.

    >>> import pydl
    >>> pydl.norm(pydl.tensor([[3.0, 0.0], [0.0, 4.0]]), "nuc")
    tensor(7.)
    """
    if p == "nuc":
        from pydl.linalg import matrix_norm

        dims = tuple(range(input.dim())) if dim is None else (dim,) if isinstance(dim, int) else dim
        return matrix_norm(input, "nuc", dims, keepdim, dtype=dtype, out=out)
    if out is None:
        return _core.norm(input, p, dim, keepdim, dtype=dtype)
    return _core.norm(input, p, dim, keepdim, dtype=dtype, out=out)


def numel(input: Tensor) -> int:
    """How many elements the tensor has."""
    return input.numel()


def _selected(
    results: tuple[Tensor, Tensor, Tensor], return_inverse: bool, return_counts: bool
) -> Tensor | tuple[Tensor, ...]:
    values, inverse, counts = results
    chosen = (values, *([inverse] if return_inverse else []), *([counts] if return_counts else []))
    return chosen if len(chosen) > 1 else values


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Tensor | tuple[Tensor, ...]:
    """The distinct elements, or distinct slices along dim; always in ascending order.

    `return_inverse` adds, for each element, its place among them; `return_counts` how often each occurs.

    >>> import pydl
    >>> pydl.unique(pydl.tensor([3, 1, 3]))
    tensor([1, 3])
    """
    if dim is not None and input.dim() == 0:
        raise IndexError(f"unique: expected a tensor with dimensions, got a 0-d tensor and dim={dim}")
    results = _core._unique(input) if dim is None else _core._unique_dim(input, dim)
    return _selected(results, return_inverse, return_counts)


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Tensor | tuple[Tensor, ...]:
    """Elements (or slices along dim) with runs of equal neighbours reduced to one."""
    results = _core._unique_consecutive(input) if dim is None else _core._unique_consecutive_dim(input, dim)
    return _selected(results, return_inverse, return_counts)


def _norm(
    self: Tensor,
    p: float | str | None = "fro",
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: _core.dtype | None = None,
) -> Tensor:
    """norm of this tensor."""
    return norm(self, p, dim, keepdim, dtype=dtype)


for _name, _method in {"norm": _norm, "unique": unique, "unique_consecutive": unique_consecutive}.items():
    setattr(Tensor, _name, _method)

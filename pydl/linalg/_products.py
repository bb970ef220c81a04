"""Norms, condition numbers, powers and products of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydl import _core
from pydl._core import ShapeError, Tensor
from pydl._results import takes_out
from pydl.autograd import Function
from pydl.linalg._lapack import check_matrices, check_square
from pydl.linalg._solve import inv, inv_ex, solve
from pydl.linalg._spectral import svdvals

vector_norm = _core.linalg.vector_norm
cross = takes_out(_core.linalg.cross)
matmul = _core.matmul

__all__ = [
    "cond", "cross", "diagonal", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "multi_dot", "norm", "vander",
    "vecdot", "vector_norm",
]  # fmt: skip

_Order = int | float | str | None


# ---- Norms -----------------------------------------------------------------------------------------------------------


@takes_out
def matrix_norm(
    A: Tensor, ord: _Order = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Norms of the matrices in two dimensions: "fro", "nuc", inf, -inf, 1, -1, 2 or -2.

    >>> import pydl
    >>> A = pydl.tensor([[3.0, 0.0], [4.0, 0.0]])
    >>> pydl.linalg.matrix_norm(A), pydl.linalg.matrix_norm(A, 1)
    (tensor(5.), tensor(7.))
    """
    if dtype is not None:
        A = A.to(dtype)
    check_matrices("linalg.matrix_norm", A)
    dims = [d % A.dim() for d in dim]
    if len(dims) != 2 or dims[0] == dims[1]:
        raise RuntimeError(f"linalg.matrix_norm: expected two different dimensions, got {tuple(dim)}")
    if ord == "fro":
        return vector_norm(A, 2, dims, keepdim)
    A = A.movedim(dims, (-2, -1))
    if ord in ("nuc", 2, -2):
        S = svdvals(A)
        value = S.sum(-1) if ord == "nuc" else S.amax(-1) if ord == 2 else S.amin(-1)
    elif ord in (1, -1, math.inf, -math.inf):
        sums = A.abs().sum(-2 if abs(ord) == 1 else -1)
        value = sums.amax(-1) if ord > 0 else sums.amin(-1)
    else:
        raise RuntimeError(f"linalg.matrix_norm: expected an ord of 'fro', 'nuc', inf, -inf, 1, -1, 2, -2, got {ord!r}")
    for d in sorted(dims) if keepdim else ():
        value = value.unsqueeze(d)
    return value


@takes_out
def norm(
    A: Tensor, ord: _Order = None, dim: int | Sequence[int] | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm of vectors (one dimension) or matrices (two); without ord, the 2-norm of all the elements in dim.

    >>> import pydl
    >>> x = pydl.tensor([3.0, 4.0])
    >>> pydl.linalg.norm(x), pydl.linalg.norm(x, 1)
    (tensor(5.), tensor(7.))
    """
    dims = [dim] if isinstance(dim, int) else None if dim is None else list(dim)
    if ord is None or (dims is not None and len(dims) == 1 and not isinstance(ord, str)):
        return vector_norm(A, 2 if ord is None else ord, dims, keepdim, dtype=dtype)
    if dims is None:
        if A.dim() == 1 and not isinstance(ord, str):
            return vector_norm(A, ord, None, keepdim, dtype=dtype)
        if A.dim() != 2:
            raise ShapeError(
                f"linalg.norm: expected a vector or a matrix when ord but no dim is given, got {list(A.shape)}"
            )
        dims = [0, 1]
    if len(dims) != 2:
        raise RuntimeError(f"linalg.norm: expected one or two dimensions, got {tuple(dims)}")
    return matrix_norm(A, ord, dims, keepdim, dtype=dtype)


@takes_out
def cond(A: Tensor, p: _Order = None) -> Tensor:
    """Condition numbers: the ratio of extreme singular values, or |A| |A^-1| in another norm; inf for singular A.

    >>> import pydl
    >>> pydl.linalg.cond(pydl.tensor([[4.0, 0.0], [0.0, 2.0]]), 1)
    tensor(2.)
    """
    check_matrices("linalg.cond", A)
    if p in (None, 2, -2):
        S = svdvals(A)
        if S.size(-1) == 0:
            return A.new_zeros(A.shape[:-2])
        return S[..., -1] / S[..., 0] if p == -2 else S[..., 0] / S[..., -1]
    check_square("linalg.cond", A)
    X, info = inv_ex(A)
    product = matrix_norm(A, p) * matrix_norm(_core.where((info > 0).unsqueeze(-1).unsqueeze(-1), 0.0, X), p)
    return _core.where(info > 0, math.inf, product)


# ---- Products --------------------------------------------------------------------------------------------------------


@takes_out
def matrix_power(A: Tensor, n: int) -> Tensor:
    """A square matrix to a power; negative powers are those of the inverse.

    >>> import pydl
    >>> pydl.linalg.matrix_power(pydl.tensor([[1.0, 1.0], [0.0, 1.0]]), -3)
    tensor([[ 1., -3.],
            [ 0.,  1.]])
    """
    check_square("linalg.matrix_power", A)
    return _core.matrix_power(inv(A), -n) if n < 0 else _core.matrix_power(A, n)


@takes_out
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of matrices (the first and last may be vectors), in the order of the fewest multiplications.

    >>> import pydl
    >>> pydl.linalg.multi_dot([pydl.ones(2, 3), pydl.ones(3, 4), pydl.ones(4)])
    tensor([12., 12.])
    """
    tensors = list(tensors)
    if len(tensors) < 2:
        raise RuntimeError(f"linalg.multi_dot: expected at least two tensors, got {len(tensors)}")
    for i, x in enumerate(tensors):
        if x.dim() != 2 and not (x.dim() == 1 and i in (0, len(tensors) - 1)):
            raise ShapeError(
                f"linalg.multi_dot: expected matrices, and vectors at the ends only, got shape {list(x.shape)}"
            )
    first, last = tensors[0].dim() == 1, tensors[-1].dim() == 1
    if first:
        tensors[0] = tensors[0].unsqueeze(0)
    if last:
        tensors[-1] = tensors[-1].unsqueeze(1)
    for x, y in zip(tensors, tensors[1:], strict=False):
        if x.size(1) != y.size(0):
            raise ShapeError(f"linalg.multi_dot: expected shapes that chain, got {list(x.shape)} and {list(y.shape)}")
    splits = _best_splits([tensors[0].size(0), *(x.size(1) for x in tensors)])

    def product(i: int, j: int) -> Tensor:
        return tensors[i] if i == j else product(i, splits[i, j]) @ product(splits[i, j] + 1, j)

    result = product(0, len(tensors) - 1)
    return result.reshape([n for n, dropped in zip(result.shape, (first, last), strict=True) if not dropped])


def _best_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to split each run of matrices (Cormen et al., Introduction to Algorithms, 15.2)."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    splits = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], splits[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )
    return splits


# Numerator of the [13/13] Pade approximant of exp, and the 1-norm up to which it is exact to double precision
# (Higham 2005, table 2.3).
_PADE = [math.comb(13, k) * math.factorial(26 - k) / math.factorial(26) for k in range(14)]
_PADE_RADIUS = 5.371920351148152


class _Exponential(Function):
    """exp by scaling and squaring (Higham 2005). The backward is the upper right block of exp([[A^T, G], [0, A^T]])
    (Mathias 1996; Al-Mohy and Higham 2009)."""

    @staticmethod
    def forward(ctx, A: Tensor) -> Tensor:
        ctx.save_for_backward(A)
        return _exponential(A)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (A,) = ctx.saved_tensors
        n = A.size(-1)
        top, bottom = _core.cat([A.mT, grad], -1), _core.cat([_core.zeros_like(A), A.mT], -1)
        return _Exponential.apply(_core.cat([top, bottom], -2))[..., :n, n:]


def _exponential(A: Tensor) -> Tensor:
    if A.numel() == 0:
        return A.clone()
    scale = A.abs().sum(-2).amax(-1) / _PADE_RADIUS
    squarings = scale.log2().ceil().clamp(0, 1024).nan_to_num(0.0)
    A = A * _core.exp2(-squarings).unsqueeze(-1).unsqueeze(-1)
    eye = _core.eye(A.size(-1), dtype=A.dtype)
    b, A2 = _PADE, A @ A
    A4 = A2 @ A2
    A6 = A2 @ A4
    U = A @ (A6 @ (b[13] * A6 + b[11] * A4 + b[9] * A2) + b[7] * A6 + b[5] * A4 + b[3] * A2 + b[1] * eye)
    V = A6 @ (b[12] * A6 + b[10] * A4 + b[8] * A2) + b[6] * A6 + b[4] * A4 + b[2] * A2 + b[0] * eye
    X = solve(V - U, V + U)
    for i in range(int(squarings.max())):
        X = _core.where((i < squarings).unsqueeze(-1).unsqueeze(-1), X @ X, X)
    return X


def matrix_exp(A: Tensor) -> Tensor:
    """The matrix exponential of square matrices.

    >>> import pydl
    >>> pydl.linalg.matrix_exp(pydl.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    check_square("linalg.matrix_exp", A)
    return _Exponential.apply(A)


@takes_out
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The dot products of vectors along dim.

    >>> import pydl
    >>> pydl.linalg.vecdot(pydl.tensor([[1.0, 2.0], [3.0, 4.0]]), pydl.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    return (x * y).sum(dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """A view of the diagonals of matrices.

    >>> import pydl
    >>> pydl.linalg.diagonal(pydl.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return _core.diagonal(A, offset, dim1, dim2)


def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """Vandermonde matrices: the powers 0 to N - 1 of each element of vectors, in rows.

    >>> import pydl
    >>> pydl.linalg.vander(pydl.tensor([2, 3]), N=3)
    tensor([[1, 2, 4],
            [1, 3, 9]])
    """
    columns = x.size(-1) if N is None else N
    if columns <= 1 and N is not None and N <= 1:
        raise RuntimeError(f"linalg.vander: expected an N greater than 1, got {N}")
    ones = _core.ones_like(x).unsqueeze(-1)
    powers = x.unsqueeze(-1).expand(*x.shape, max(columns - 1, 0)).cumprod(-1)
    return _core.cat([ones, powers.to(ones.dtype)], -1)[..., :columns]

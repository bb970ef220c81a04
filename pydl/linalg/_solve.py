"""Inverses, linear systems, determinants and Cholesky factors of square matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydl import _core
from pydl._core import ShapeError, Tensor
from pydl._functions import broadcast_shapes
from pydl._results import Result, return_type, takes_out
from pydl.autograd import Function
from pydl.linalg import _lapack as lapack
from pydl.linalg._lapack import check_info, check_matrices, check_same_dtype, check_square, flat_batch
from pydl.linalg._lu import _eliminate, first_zero_pivot, solve_triangular
from pydl.linalg._spectral import svd

__all__ = [
    "cholesky", "cholesky_ex", "det", "inv", "inv_ex", "slogdet", "solve", "solve_ex", "tensorinv", "tensorsolve",
]  # fmt: skip

_InvEx = return_type("linalg_inv_ex", "inverse", "info")
_SolveEx = return_type("linalg_solve_ex", "result", "info")
_Slogdet = return_type("linalg_slogdet", "sign", "logabsdet")
_CholeskyEx = return_type("linalg_cholesky_ex", "L", "info")

_INVERTIBLE = "invertible matrices", "a singular one (pivot {k} is 0)"


def _info(A: Tensor, refused: list[int], culprit) -> Tensor:
    """int32, one for each matrix: 0, or the 1-based index that `culprit` finds in the matrices that LAPACK refused."""
    info = _core.zeros(A.shape[:-2], dtype=_core.int32)
    for i in refused:
        info.view(-1)[i] = culprit(flat_batch(A.detach())[i])
    return info


def _singular_at(A: Tensor) -> int:
    return int(first_zero_pivot(_eliminate(A)[0])) or A.size(-1)


# ---- Inverses and systems --------------------------------------------------------------------------------------------


class _Inverse(Function):
    """dA = -X^T dX X^T with X = A^-1 (Giles 2008, section 2.2.3)."""

    @staticmethod
    def forward(ctx, A: Tensor) -> tuple[Tensor, Tensor]:
        X, refused = lapack.run_each("inv", A)
        ctx.save_for_backward(X)
        return X, _info(A, refused, _singular_at)

    @staticmethod
    def backward(ctx, grad: Tensor, _) -> Tensor:
        (X,) = ctx.saved_tensors
        return -(X.mT @ grad @ X.mT)


class _Solve(Function):
    """dB = A^-T dX, dA = -dB X^T (Giles 2008, section 2.3.1)."""

    @staticmethod
    def forward(ctx, A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
        X, refused = lapack.run_each("solve", A, B)
        ctx.save_for_backward(A, X)
        return X, _info(A, refused, _singular_at)

    @staticmethod
    def backward(ctx, grad: Tensor, _) -> tuple[Tensor | None, Tensor]:
        A, X = ctx.saved_tensors
        gB, _ = _Solve.apply(A.mT, grad)
        return -(gB @ X.mT) if ctx.needs_input_grad[0] else None, gB


@takes_out
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Result:
    """The inverses, NaN where there is none, and `info`: for each matrix 0, or the first zero pivot (from 1).

    >>> import pydl
    >>> pydl.linalg.inv_ex(pydl.tensor([[[2.0]], [[0.0]]])).info
    tensor([0, 1], dtype=pydl.int32)
    """
    check_square("linalg.inv", A)
    X, info = _Inverse.apply(A)
    if check_errors:
        check_info("linalg.inv", info, *_INVERTIBLE)
    return _InvEx((X, info))


@takes_out
def inv(A: Tensor) -> Tensor:
    """The inverses of square matrices; raises LinAlgError where one is singular.

    >>> import pydl
    >>> pydl.linalg.inv(pydl.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return inv_ex(A, check_errors=True)[0]


@takes_out
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Result:
    """solve that reports singular matrices in `info`, as inv_ex does.

    >>> import pydl
    >>> pydl.linalg.solve_ex(pydl.tensor([[1.0, 0.0], [0.0, 0.0]]), pydl.tensor([2.0, 3.0])).info
    tensor(2, dtype=pydl.int32)
    """
    check_square("linalg.solve", A)
    if not isinstance(B, Tensor) or B.dim() == 0:
        raise ShapeError(f"linalg.solve: expected vectors or matrices as B, got {B!r}")
    check_same_dtype("linalg.solve", A, B)
    if not left:
        A = A.mT
    # PyTorch's rule: B holds vectors if it is one, or has the shape of A without its last dimension.
    vectors = B.dim() == 1 or (B.dim() == A.dim() - 1 and B.shape == A.shape[:-1])
    columns = B.unsqueeze(-1) if vectors else B if left else B.mT
    if not left and vectors:
        raise ShapeError(f"linalg.solve: expected matrices as B with left=False, got shape {list(B.shape)}")
    if columns.size(-2) != A.size(-1):
        raise ShapeError(f"linalg.solve: expected a B that fits A, got shapes {list(A.shape)} and {list(B.shape)}")
    batch = broadcast_shapes(A.shape[:-2], columns.shape[:-2])
    X, info = _Solve.apply(A.expand(*batch, *A.shape[-2:]), columns.expand(*batch, *columns.shape[-2:]))
    if check_errors:
        check_info("linalg.solve", info, *_INVERTIBLE)
    return _SolveEx((X.squeeze(-1) if vectors else X if left else X.mT, info))


@takes_out
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X in A X = B, or in X A = B with left=False; raises LinAlgError where A is singular.

    >>> import pydl
    >>> pydl.linalg.solve(pydl.tensor([[2.0, 0.0], [1.0, 1.0]]), pydl.tensor([2.0, 3.0]))
    tensor([1., 2.])
    """
    return solve_ex(A, B, left=left, check_errors=True)[0]


@takes_out
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a map from its dimensions after `ind` to those before: tensordot's inverse.

    >>> import pydl
    >>> pydl.linalg.tensorinv(pydl.eye(6).reshape(6, 2, 3), ind=1).shape
    pydl.Size([2, 3, 6])
    """
    if ind <= 0:
        raise RuntimeError(f"linalg.tensorinv: expected a positive ind, got {ind}")
    rows, cols = A.shape[:ind], A.shape[ind:]
    if math.prod(rows) != math.prod(cols):
        raise ShapeError(
            f"linalg.tensorinv: expected as many elements before dimension {ind} as after it, got {list(A.shape)}"
        )
    return inv(A.reshape(math.prod(rows), -1) if A.numel() else A.reshape(0, 0)).reshape([*cols, *rows])


@takes_out
def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """X in tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end before.

    >>> import pydl
    >>> pydl.linalg.tensorsolve(pydl.eye(6).reshape(2, 3, 6), pydl.ones(2, 3))
    tensor([1., 1., 1., 1., 1., 1.])
    """
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.dim() - len(dims), A.dim())))
    shape = A.shape[B.dim() :]
    if math.prod(shape) != B.numel() or A.numel() != B.numel() ** 2:
        raise ShapeError(
            f"linalg.tensorsolve: expected an A that maps onto B, got shapes {list(A.shape)} and {list(B.shape)}"
        )
    return solve(A.reshape(B.numel(), B.numel()), B.reshape(-1)).reshape(shape)


# ---- Determinants ----------------------------------------------------------------------------------------------------


def _cofactors(A: Tensor) -> Tensor:
    """The transposed adjugate, by way of the SVD: right for singular matrices too."""
    U, S, Vh = svd(A)
    lone = _core.eye(A.size(-1), dtype=_core.bool)
    others = _core.where(lone, 1.0, S.unsqueeze(-2)).prod(-1)
    sign = (det(U.detach()) * det(Vh.detach())).unsqueeze(-1).unsqueeze(-1)
    return sign * (U * others.unsqueeze(-2)) @ Vh


class _Determinant(Function):
    """dA = d det(A) A^-T (Giles 2008, section 2.2.4), or d times the cofactors where A is close to singular."""

    @staticmethod
    def forward(ctx, A: Tensor) -> Tensor:
        value = lapack.run("det", A)
        ctx.save_for_backward(A, value)
        return value

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        A, value = ctx.saved_tensors
        X = inv_ex(A)[0]
        condition = (A.abs().sum(-2) * X.abs().sum(-2)).detach()
        if not (condition < lapack.EPS[A.dtype] ** -0.5).all():
            return grad.unsqueeze(-1).unsqueeze(-1) * _cofactors(A)
        return (grad * value).unsqueeze(-1).unsqueeze(-1) * X.mT


class _LogDeterminant(Function):
    """dA = d A^-T (Giles 2008, section 2.2.4); the sign is locally constant."""

    @staticmethod
    def forward(ctx, A: Tensor) -> tuple[Tensor, Tensor]:
        sign, logabsdet = lapack.run("slogdet", A)
        ctx.save_for_backward(A)
        return sign, logabsdet

    @staticmethod
    def backward(ctx, _, grad: Tensor) -> Tensor:
        (A,) = ctx.saved_tensors
        return grad.unsqueeze(-1).unsqueeze(-1) * inv_ex(A)[0].mT


@takes_out
def det(A: Tensor) -> Tensor:
    """The determinants of square matrices.

    >>> import pydl
    >>> pydl.linalg.det(pydl.tensor([[2.0, 0.0], [1.0, 3.0]]))
    tensor(6.)
    """
    check_square("linalg.det", A)
    return _Determinant.apply(A)


@takes_out
def slogdet(A: Tensor) -> Result:
    """Sign and logarithm of the absolute value of the determinants: (0, -inf) for singular matrices.

    >>> import pydl
    >>> sign, logarithm = pydl.linalg.slogdet(pydl.tensor([[0.0, 1.0], [1.0, 0.0]]))
    >>> sign, logarithm
    (tensor(-1.), tensor(0.))
    """
    check_square("linalg.slogdet", A)
    return _Slogdet(_LogDeterminant.apply(A))


def logdet(input: Tensor) -> Tensor:
    """The logarithms of determinants: -inf where the determinant is 0, NaN where it is negative."""
    sign, logabsdet = slogdet(input)
    return _core.where(sign < 0, math.nan, logabsdet)


# ---- Cholesky --------------------------------------------------------------------------------------------------------


def _indefinite_at(A: Tensor) -> int:
    """The order of the smallest leading minor that is not positive definite: those after it are not either."""
    low, high = 0, A.size(-1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if lapack.run_each("cholesky", A[:middle, :middle])[1] else (middle, high)
    return high


class _Cholesky(Function):
    """dA = L^-T phi(L^T dL) L^-1, phi making half of a lower triangle symmetric (Giles 2008, 3.4; Murray 2016)."""

    @staticmethod
    def forward(ctx, A: Tensor) -> tuple[Tensor, Tensor]:
        L, refused = lapack.run_each("cholesky", A)
        ctx.save_for_backward(L)
        return L, _info(A, refused, _indefinite_at)

    @staticmethod
    def backward(ctx, grad: Tensor, _) -> Tensor:
        (L,) = ctx.saved_tensors
        half = (L.mT @ grad).tril()
        symmetric = (half + half.tril(-1).mT) / 2
        return solve_triangular(L, solve_triangular(L.mT, symmetric, upper=True), upper=False, left=False)


@takes_out
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Result:
    """cholesky, NaN where a matrix is not positive definite: `info` is the order of the first bad minor, else 0.

    >>> import pydl
    >>> pydl.linalg.cholesky_ex(pydl.tensor([[[4.0]], [[-1.0]]])).info
    tensor([0, 1], dtype=pydl.int32)
    """
    check_square("linalg.cholesky", A)
    L, info = _Cholesky.apply(A.mT if upper else A)
    if check_errors:
        check_info("linalg.cholesky", info, "positive definite matrices", "one whose leading minor of order {k} is not")
    return _CholeskyEx((L.mT if upper else L, info))


@takes_out
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L in A = L L^T (or U in A = U^T U with upper=True), from that triangle of the positive definite A.

    >>> import pydl
    >>> pydl.linalg.cholesky(pydl.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    return cholesky_ex(A, upper=upper, check_errors=True)[0]


class _CholeskySolve(Function):
    """dB = A^-1 dX, dL = -(dB X^T + X dB^T) L for A = L L^T (Giles 2008, sections 2.3.1 and 2.2.1)."""

    @staticmethod
    def forward(ctx, B: Tensor, L: Tensor) -> Tensor:
        X = solve_triangular(L.mT, solve_triangular(L, B, upper=False), upper=True)
        ctx.save_for_backward(L, X)
        ctx.shape = B.shape
        return X

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor | None]:
        L, X = ctx.saved_tensors
        gB, gL = _CholeskySolve.apply(grad, L), None
        if ctx.needs_input_grad[1]:
            gA = gB @ X.mT
            gL = (-(gA + gA.mT) @ L).sum_to_size(L.shape)
        return gB.sum_to_size(ctx.shape), gL


@takes_out
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X in A X = B from the Cholesky factor of A."""
    check_matrices("cholesky_solve", B)
    check_square("cholesky_solve", L)
    check_same_dtype("cholesky_solve", L, B)
    if B.size(-2) != L.size(-1):
        raise ShapeError(f"cholesky_solve: expected a B that fits L, got shapes {list(L.shape)} and {list(B.shape)}")
    return _CholeskySolve.apply(B, L.mT if upper else L)


@takes_out
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A from its Cholesky factor."""
    check_square("cholesky_inverse", L)
    return _CholeskySolve.apply(_core.eye(L.size(-1), dtype=L.dtype).expand(L.shape), L.mT if upper else L)

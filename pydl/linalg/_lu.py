"""LU factorization with partial pivoting, and substitution in triangular matrices."""

from __future__ import annotations

from pydl import _core
from pydl._core import ShapeError, Tensor
from pydl._functions import broadcast_shapes
from pydl._results import Result, return_type, takes_out
from pydl.autograd import Function
from pydl.linalg._lapack import check_info, check_matrices, check_same_dtype, check_square, flat_batch

__all__ = ["lu", "lu_factor", "lu_factor_ex", "lu_solve", "solve_triangular"]

_BLOCK = 32  # rows that are substituted one by one; matrix products do the rest

_Factors = return_type("linalg_lu_factor", "LU", "pivots")
_FactorsEx = return_type("linalg_lu_factor_ex", "LU", "pivots", "info")
_PLU = return_type("linalg_lu", "P", "L", "U")


# ---- Triangular systems ----------------------------------------------------------------------------------------------


def _substitute(A: Tensor, B: Tensor, upper: bool, unit: bool) -> Tensor:
    """X in A X = B by blocked forward or backward substitution; reads one triangle of A, divides by its diagonal."""
    n = A.size(-1)
    X = B.new_empty([*broadcast_shapes(A.shape[:-2], B.shape[:-2]), *B.shape[-2:]]).copy_(B)
    starts = range(0, n, _BLOCK)
    for start in reversed(starts) if upper else starts:
        stop = min(start + _BLOCK, n)
        block, done = X[..., start:stop, :], slice(stop, n) if upper else slice(0, start)
        if done.stop > done.start:
            block -= A[..., start:stop, done] @ X[..., done, :]
        for i in reversed(range(start, stop)) if upper else range(start, stop):
            row, known = X[..., i : i + 1, :], slice(i + 1, stop) if upper else slice(start, i)
            if known.stop > known.start:
                row -= A[..., i : i + 1, known] @ X[..., known, :]
            if not unit:
                row /= A[..., i : i + 1, i : i + 1]
    return X


class _SolveTriangular(Function):
    """X in A X = B (Giles 2008, section 2.3.1, restricted to the triangle)."""

    @staticmethod
    def forward(ctx, A: Tensor, B: Tensor, upper: bool, unit: bool) -> Tensor:
        X = _substitute(A, B, upper, unit)
        ctx.save_for_backward(A, X)
        ctx.upper, ctx.unit, ctx.shape = upper, unit, B.shape
        return X

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        A, X = ctx.saved_tensors
        gB = _SolveTriangular.apply(A.mT, grad, not ctx.upper, ctx.unit)
        gA = None
        if ctx.needs_input_grad[0]:
            off = int(ctx.unit)
            gA = -(gB @ X.mT)
            gA = (gA.triu(off) if ctx.upper else gA.tril(-off)).sum_to_size(A.shape)
        return gA, gB.sum_to_size(ctx.shape), None, None


@takes_out
def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """X in A X = B, or in X A = B with left=False, for triangular A, whose other triangle is not read.

    A zero on the diagonal gives infinities, no error.

    >>> import pydl
    >>> pydl.linalg.solve_triangular(pydl.tensor([[2.0, 0.0], [1.0, 1.0]]), pydl.tensor([[2.0], [3.0]]), upper=False)
    tensor([[1.],
            [2.]])
    """
    check_square("linalg.solve_triangular", A)
    check_matrices("linalg.solve_triangular", B)
    check_same_dtype("linalg.solve_triangular", A, B)
    if B.size(-2 if left else -1) != A.size(-1):
        raise ShapeError(
            f"linalg.solve_triangular: expected a B that fits A, got shapes {list(A.shape)} and {list(B.shape)}"
        )
    if left:
        return _SolveTriangular.apply(A, B, upper, unitriangular)
    return _SolveTriangular.apply(A.mT, B.mT, not upper, unitriangular).mT


# ---- LU --------------------------------------------------------------------------------------------------------------


def _eliminate(A: Tensor, pivot: bool = True) -> tuple[Tensor, Tensor]:
    """(LU, pivots), packed as LAPACK's getrf does it: L's unit diagonal left out, pivots counted from 1.

    Right-looking and blocked (Golub and Van Loan, Matrix Computations, 3.2.11): the columns of a block are eliminated
    one by one, a matrix product then updates what is right of them.
    """
    m, n = A.shape[-2:]
    LU = flat_batch(A.detach()).clone()
    batch, steps = _core.arange(LU.size(0)), min(m, n)
    pivots = _core.arange(1, steps + 1, dtype=_core.int32).repeat(LU.size(0), 1)
    for start in range(0, steps, _BLOCK):
        stop = min(start + _BLOCK, steps)
        for j in range(start, stop):
            if pivot:
                best = LU[:, j:, j].abs().argmax(1) + j
                pivots[:, j] = (best + 1).to(_core.int32)
                moved, chosen = LU[:, j].clone(), LU[batch, best]
                LU[batch, best] = moved
                LU[:, j] = chosen
            divisor = LU[:, j : j + 1, j]
            below = LU[:, j + 1 :, j]
            below /= _core.where(divisor == 0, 1.0, divisor)
            LU[:, j + 1 :, j + 1 : stop] -= below.unsqueeze(2) * LU[:, j : j + 1, j + 1 : stop]
        if stop < n:
            right = _substitute(LU[:, start:stop, start:stop], LU[:, start:stop, stop:], upper=False, unit=True)
            LU[:, start:stop, stop:] = right
            LU[:, stop:, stop:] -= LU[:, stop:, start:stop] @ right
    return LU.reshape(A.shape), pivots.reshape(*A.shape[:-2], steps)


def first_zero_pivot(LU: Tensor) -> Tensor:
    """LAPACK's info: the 1-based index of the first zero on U's diagonal, 0 if there is none."""
    zero = LU.diagonal(0, -2, -1) == 0
    if zero.size(-1) == 0:
        return _core.zeros(zero.shape[:-1], dtype=_core.int32)
    return _core.where(zero.any(-1), zero.to(_core.int32).argmax(-1) + 1, 0).to(_core.int32)


def _permutation(pivots: Tensor, m: int) -> Tensor:
    """perm with (P^T A)[i] = A[perm[i]]: the row swaps, one after the other."""
    orders = []
    for swaps in flat_batch(pivots.unsqueeze(-2)).squeeze(-2).tolist():
        order = list(range(m))
        for i, p in enumerate(swaps):
            order[i], order[p - 1] = order[p - 1], order[i]
        orders.append(order)
    return _core.tensor(orders, dtype=_core.int64).reshape(*pivots.shape[:-1], m)


def _rows(A: Tensor, order: Tensor) -> Tensor:
    return A.gather(-2, order.unsqueeze(-1).expand(*order.shape, A.size(-1)))


def _inverse_order(order: Tensor) -> Tensor:
    return order.argsort(-1)


class _TriangularFactors(Function):
    """L, U of square A = L U, given their packed values.

    dA = L^-T (tril(L^T dL, -1) + triu(dU U^T)) U^-T (Giles 2008's method for triangular factors; de Hoog, Anderssen and
    Lukas 2011).
    """

    @staticmethod
    def forward(ctx, A: Tensor, LU: Tensor) -> tuple[Tensor, Tensor]:
        L, U = LU.tril(-1) + _core.eye(LU.size(-1), dtype=LU.dtype), LU.triu()
        ctx.save_for_backward(L, U)
        return L, U

    @staticmethod
    def backward(ctx, gL: Tensor, gU: Tensor) -> tuple:
        L, U = ctx.saved_tensors
        inner = (L.mT @ gL).tril(-1) + (gU @ U.mT).triu()
        left = solve_triangular(L.mT, inner, upper=True, unitriangular=True)
        return solve_triangular(U.mT, left, upper=False, left=False), None


def _factors(A: Tensor, LU: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """L and U with their history: those of the leading square block, and what they make of the rest."""
    m, n = A.shape[-2:]
    k = min(m, n)
    B = _rows(A, order)
    L, U = _TriangularFactors.apply(B[..., :k, :k], LU[..., :k, :k])
    if m > k:
        L = _core.cat([L, solve_triangular(U, B[..., k:, :], upper=True, left=False)], -2)
    if n > k:
        U = _core.cat([U, solve_triangular(L, B[..., k:], upper=False, unitriangular=True)], -1)
    return L, U


@takes_out
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Result:
    """lu_factor that reports in `info`, for each matrix, the first zero pivot (from 1; 0: there is none)."""
    check_matrices("linalg.lu_factor", A)
    LU, pivots = _eliminate(A, pivot)
    info = first_zero_pivot(LU)
    if check_errors:
        check_info("linalg.lu_factor", info, "invertible matrices", "one whose pivot {k} is 0")
    if A.requires_grad and _core.is_grad_enabled():
        L, U = _factors(A, LU, _permutation(pivots, A.size(-2)))
        m, n = A.shape[-2:]
        padded_L = L.tril(-1) if m >= n else _core.cat([L.tril(-1), L.new_zeros([*L.shape[:-1], n - m])], -1)
        padded_U = U if m <= n else _core.cat([U, U.new_zeros([*U.shape[:-2], m - n, n])], -2)
        LU = padded_L + padded_U
    return _FactorsEx((LU, pivots, info))


@takes_out
def lu_factor(A: Tensor, *, pivot: bool = True) -> Result:
    """A = P L U, packed: L below the diagonal, U on and above it, and the rows swapped at each step (from 1).

    >>> import pydl
    >>> pydl.linalg.lu_factor(pydl.tensor([[1.0, 2.0], [4.0, 4.0]])).pivots
    tensor([2, 2], dtype=pydl.int32)
    """
    return _Factors(lu_factor_ex(A, pivot=pivot, check_errors=pivot)[:2])


@takes_out
def lu(A: Tensor, *, pivot: bool = True) -> Result:
    """P, L, U with A = P L U: a permutation, a unit lower and an upper triangular matrix.

    >>> import pydl
    >>> A = pydl.tensor([[1.0, 2.0], [4.0, 4.0]])
    >>> P, L, U = pydl.linalg.lu(A)
    >>> L, pydl.equal(P @ L @ U, A)
    (tensor([[1.0000, 0.0000],
            [0.2500, 1.0000]]), True)
    """
    check_matrices("linalg.lu", A)
    LU, pivots = _eliminate(A, pivot)
    order = _permutation(pivots, A.size(-2))
    L, U = _factors(A, LU, order)
    return _PLU((_permutation_matrix(order, A) if pivot else A.new_empty(0), L, U))


def _permutation_matrix(order: Tensor, like: Tensor) -> Tensor:
    return (order.unsqueeze(-2) == _core.arange(order.size(-1)).unsqueeze(-1)).to(like.dtype)


def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Result:
    """P, L, U of what lu_factor packed; the parts not asked for are empty."""
    m, n = LU_data.shape[-2:]
    k = min(m, n)
    P, L, U = (LU_data.new_empty(0) for _ in range(3))
    if unpack_pivots:
        P = _permutation_matrix(_permutation(LU_pivots, m), LU_data)
    if unpack_data:
        L = LU_data[..., :k].tril(-1) + _core.eye(m, k, dtype=LU_data.dtype)
        U = LU_data[..., :k, :].triu()
    return _PLU((P, L, U))


@takes_out
def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """X in A X = B (left), X A = B, or the same with A^T (adjoint), from the factors that lu_factor gave.

    >>> import pydl
    >>> LU, pivots = pydl.linalg.lu_factor(pydl.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> pydl.linalg.lu_solve(LU, pivots, pydl.tensor([[2.0], [8.0]]))
    tensor([[1.],
            [2.]])
    """
    check_square("linalg.lu_solve", LU)
    check_same_dtype("linalg.lu_solve", LU, B)
    if not left:
        return lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT
    order = _permutation(pivots, LU.size(-1))
    batch = broadcast_shapes(order.shape[:-1], B.shape[:-2])
    order = order.expand(*batch, order.size(-1))
    B = B.expand(*batch, *B.shape[-2:])
    if adjoint:
        Y = solve_triangular(LU.mT, B, upper=False)
        Z = solve_triangular(LU.mT, Y, upper=True, unitriangular=True)
        return _rows(Z, _inverse_order(order))
    Y = solve_triangular(LU, _rows(B, order), upper=False, unitriangular=True)
    return solve_triangular(LU, Y, upper=True)

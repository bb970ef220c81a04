"""The older names that PyTorch keeps beside torch.linalg, with signatures of their own."""

from __future__ import annotations

from pydl._core import Tensor
from pydl._results import Result, return_type, takes_out
from pydl.linalg import _lu, _spectral
from pydl.linalg._lu import lu_unpack
from pydl.linalg._products import matrix_exp
from pydl.linalg._solve import cholesky as _cholesky
from pydl.linalg._solve import cholesky_inverse, cholesky_solve, det, inv, logdet, slogdet
from pydl.linalg._spectral import geqrf, householder_product, ormqr

__all__ = [
    "cholesky", "cholesky_inverse", "cholesky_solve", "det", "geqrf", "inverse", "logdet", "lu", "lu_solve",
    "lu_unpack", "matrix_exp", "orgqr", "ormqr", "pca_lowrank", "pinverse", "qr", "slogdet", "svd", "svd_lowrank",
    "triangular_solve",
]  # fmt: skip

inverse = inv
orgqr = householder_product

_SVD = return_type("svd", "U", "S", "V")
_QR = return_type("qr", "Q", "R")
_TriangularSolve = return_type("triangular_solve", "solution", "cloned_coefficient")


@takes_out
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """L in input = L L^T, or U in input = U^T U with upper=True."""
    return _cholesky(input, upper=upper)


@takes_out
def qr(input: Tensor, some: bool = True) -> Result:
    """Q, R with input = Q R; Q is square with some=False."""
    return _QR(_spectral.qr(input, "reduced" if some else "complete"))


@takes_out
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Result:
    """U, S, V with input = U diag(S) V^T; zeros in the place of vectors that are not computed."""
    if compute_uv:
        U, S, Vh = _spectral.svd(input, not some)
        return _SVD((U, S, Vh.mT))
    m, n = input.shape[-2:]
    batch = input.shape[:-2]
    return _SVD((input.new_zeros([*batch, m, m]), _spectral.svdvals(input), input.new_zeros([*batch, n, n])))


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The Moore-Penrose inverse."""
    return _spectral.pinv(input, rcond)


@takes_out
def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Result:
    """X in A X = b (or A^T X = b), and a copy of A."""
    factor, is_upper = (A.mT, not upper) if transpose else (A, upper)
    solution = _lu.solve_triangular(factor, b, upper=is_upper, unitriangular=unitriangular)
    return _TriangularSolve((solution, A.clone()))


@takes_out
def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """X in A X = b, from the factors of A that lu gave."""
    return _lu.lu_solve(LU_data, LU_pivots, b)


def lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> tuple[Tensor, ...]:
    """A = P L U, packed: (LU, pivots), and with get_infos the first zero pivot of each matrix."""
    LU, pivots, info = _lu.lu_factor_ex(A, pivot=pivot, check_errors=not get_infos)
    return (LU, pivots, info) if get_infos else (LU, pivots)


def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """U, S, V of a rank-q approximation of A - M, by subspace iteration from random vectors.

    Halko, Martinsson and Tropp 2009, algorithms 4.4 and 5.1.
    """
    from pydl import randn

    if M is not None:
        A = A - M.expand_as(A)
    wide = A.size(-2) < A.size(-1)
    B = A.mT if wide else A
    Q, _ = _spectral.qr(B @ randn(B.size(-1), 6 if q is None else q, dtype=B.dtype))
    for _ in range(2 if niter is None else niter):
        Q, _ = _spectral.qr(B.mT @ Q)
        Q, _ = _spectral.qr(B @ Q)
    U, S, Vh = _spectral.svd(Q.mT @ B, full_matrices=False)
    return (Vh.mT, S, Q @ U) if wide else (Q @ U, S, Vh.mT)


def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """The first q principal components of the rows of A: U, S, V of the (centered) matrix."""
    rank = min(6, *A.shape[-2:]) if q is None else q
    if not 0 <= rank <= min(A.shape[-2:]):
        raise ValueError(f"pca_lowrank: expected q in [0, {min(A.shape[-2:])}], got {rank}")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, rank, niter)

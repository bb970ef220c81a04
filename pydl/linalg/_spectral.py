"""Orthogonal factorizations (QR, SVD, eigenvalues of symmetric matrices) and what follows from them."""

from __future__ import annotations

from typing import Any, NoReturn

from pydl import _core
from pydl._core import Tensor
from pydl._results import Result, return_type, takes_out
from pydl.autograd import Function
from pydl.linalg import _lapack as lapack
from pydl.linalg._lapack import EPS, check_matrices, check_same_dtype, check_square
from pydl.linalg._lu import solve_triangular

__all__ = [
    "eig", "eigh", "eigvals", "eigvalsh", "householder_product", "lstsq", "matrix_rank", "pinv", "qr", "svd", "svdvals",
]  # fmt: skip

_QR = return_type("linalg_qr", "Q", "R")
_SVD = return_type("linalg_svd", "U", "S", "Vh")
_Eigh = return_type("linalg_eigh", "eigenvalues", "eigenvectors")
_Lstsq = return_type("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
_Geqrf = return_type("geqrf", "a", "tau")


def _skew(X: Tensor) -> Tensor:
    return X - X.mT


def _gaps(values: Tensor) -> Tensor:
    """values[j] - values[i] at (i, j), 1 on the diagonal."""
    gaps = values.unsqueeze(-2) - values.unsqueeze(-1)
    return _core.where(_core.eye(values.size(-1), dtype=_core.bool), 1.0, gaps)


# ---- QR --------------------------------------------------------------------------------------------------------------


class _Orthogonal(Function):
    """dA = (dQ + Q copyltu(R dR^T - dQ^T Q)) R^-T (Walter and Lehmann 2018; wide matrices: Roberts and Roberts 2020).

    copyltu(M) repeats the lower triangle of M above the diagonal.
    """

    @staticmethod
    def forward(ctx, A: Tensor, mode: str) -> tuple[Tensor, Tensor]:
        Q, R = lapack.run("qr", A, mode=mode)
        ctx.save_for_backward(A, Q, R)
        ctx.square = Q.size(-1) <= A.size(-1)
        return Q, R

    @staticmethod
    def backward(ctx, gQ: Tensor, gR: Tensor) -> tuple[Tensor, None]:
        A, Q, R = ctx.saved_tensors
        m, n = A.shape[-2:]
        if Q.size(-1) > n:
            raise RuntimeError("linalg.qr: expected mode='reduced' for the gradient of tall matrices, got 'complete'")
        if n > m:  # A = [X | Y] = Q [U | V] with Y = Q V
            gV, Y = gR[..., m:], A[..., m:]
            gQ, gR, R = gQ + Y @ gV.mT, gR[..., :m], R[..., :m]
        M = R @ gR.mT - gQ.mT @ Q
        gX = gQ + Q @ (M.tril() + M.tril(-1).mT)
        gX = solve_triangular(R.mT, gX, upper=False, left=False)
        return (_core.cat([gX, Q @ gV], -1) if n > m else gX), None


@takes_out
def qr(A: Tensor, mode: str = "reduced") -> Result:
    """Q, R with A = Q R: orthonormal columns, and an upper triangular matrix.

    "reduced" gives Q of min(m, n) columns, "complete" a square one, "r" an empty one.

    >>> import pydl
    >>> A = pydl.arange(6.0).reshape(3, 2)
    >>> Q, R = pydl.linalg.qr(A)
    >>> Q.shape, R.shape, pydl.allclose(Q @ R, A, atol=1e-5)
    (pydl.Size([3, 2]), pydl.Size([2, 2]), True)
    """
    check_matrices("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"linalg.qr: expected 'reduced', 'complete' or 'r' as mode, got {mode!r}")
    if mode != "r":
        return _QR(_Orthogonal.apply(A, mode))
    if A.requires_grad and _core.is_grad_enabled():
        raise RuntimeError("linalg.qr: expected a mode that computes Q when gradients are wanted, got 'r'")
    return _QR((A.new_empty(0), lapack.run("qr", A, mode=mode)))


@takes_out
def geqrf(input: Tensor) -> Result:
    """A QR factorization as LAPACK keeps it: R above Householder vectors, and their factors tau."""
    check_matrices("geqrf", input)
    packed, tau = lapack.run("qr", input, mode="raw")
    return _Geqrf((packed.mT, tau))


def _reflectors(A: Tensor, tau: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(v, tau) of every Householder reflector I - tau v v^T; v has zeros above its leading 1."""
    rows = _core.arange(A.size(-2))
    vectors = []
    for i in range(tau.size(-1)):
        v = _core.where(rows > i, A[..., i], (rows == i).to(A.dtype)).unsqueeze(-1)
        vectors.append((v, tau[..., i : i + 1].unsqueeze(-1)))
    return vectors


@takes_out
def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of the product of the Householder reflectors below A's diagonal (LAPACK's orgqr).

    >>> import pydl
    >>> pydl.linalg.householder_product(pydl.tensor([[1.0], [0.5]]), pydl.tensor([1.6]))
    tensor([[-0.6000],
            [-0.8000]])
    """
    check_matrices("linalg.householder_product", A)
    Q = _core.eye(*A.shape[-2:], dtype=A.dtype).expand(A.shape)
    for v, t in reversed(_reflectors(A, tau)):
        Q = Q - t * v @ (v.mT @ Q)
    return Q.clone() if tau.size(-1) == 0 else Q


@takes_out
def ormqr(input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False) -> Tensor:
    """Q other, other Q, or the same with Q^T, for the square Q of Householder reflectors below input's diagonal."""
    check_matrices("ormqr", input)
    if not left:
        return ormqr(input, tau, other.mT, transpose=not transpose).mT
    reflectors = _reflectors(input, tau)
    for v, t in reflectors if transpose else reversed(reflectors):
        other = other - t * v @ (v.mT @ other)
    return other


# ---- SVD -------------------------------------------------------------------------------------------------------------


class _SingularValues(Function):
    """dA = U (skew(U^T dU) / E S + S skew(V^T dV) / E + dS) V^T with E_ij = s_j^2 - s_i^2, and for tall and wide A the
    parts of dU and dV outside the span of U and V (Giles 2008, section 3.7; Townsend 2016). Repeated singular values
    have no gradient of their vectors.
    """

    @staticmethod
    def forward(ctx, A: Tensor, full: bool) -> tuple[Tensor, Tensor, Tensor]:
        U, S, Vh = lapack.run_or_raise("linalg.svd", "svd", A, full_matrices=full)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(U, S, Vh)
        return U, S, Vh

    @staticmethod
    def backward(ctx, gU: Tensor | None, gS: Tensor | None, gVh: Tensor | None) -> tuple[Tensor | None, None]:
        U, S, Vh = ctx.saved_tensors
        k = S.size(-1)
        m, n = U.size(-2), Vh.size(-1)
        U, Vh = U[..., :k], Vh[..., :k, :]
        gU = None if gU is None else gU[..., :k]
        gVh = None if gVh is None else gVh[..., :k, :]
        row = S.unsqueeze(-2)
        inner = _core.zeros([*S.shape, k], dtype=S.dtype) if gS is None else gS.diag_embed()
        gaps = _gaps(S) * _sums(S) if gU is not None or gVh is not None else S
        if gU is not None:
            inner = inner + _skew(U.mT @ gU) / gaps * row
        if gVh is not None:
            inner = inner + S.unsqueeze(-1) * (_skew(Vh @ gVh.mT) / gaps)
        gA = U @ inner
        if gU is not None and m > k:
            gA = gA + (gU - U @ (U.mT @ gU)) / row
        gA = gA @ Vh
        if gVh is not None and n > k:
            gA = gA + (U / row) @ (gVh - (gVh @ Vh.mT) @ Vh)
        return gA, None


def _sums(values: Tensor) -> Tensor:
    """values[j] + values[i] at (i, j), 1 on the diagonal: with _gaps, differences of squares without cancellation."""
    sums = values.unsqueeze(-2) + values.unsqueeze(-1)
    return _core.where(_core.eye(values.size(-1), dtype=_core.bool), 1.0, sums)


@takes_out
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Result:
    """U, S, Vh with A = U diag(S) Vh: orthonormal columns, singular values in descending order, orthonormal rows.

    >>> import pydl
    >>> U, S, Vh = pydl.linalg.svd(pydl.tensor([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]]), full_matrices=False)
    >>> S.round(decimals=4), U.shape
    (tensor([3., 2.]), pydl.Size([3, 2]))
    """
    check_matrices("linalg.svd", A)
    _refuse_driver("linalg.svd", driver)
    return _SVD(_SingularValues.apply(A, full_matrices))


@takes_out
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values of matrices, in descending order.

    >>> import pydl
    >>> pydl.linalg.svdvals(pydl.tensor([[0.0, 2.0], [3.0, 0.0]])).round(decimals=4)
    tensor([3., 2.])
    """
    check_matrices("linalg.svdvals", A)
    _refuse_driver("linalg.svdvals", driver)
    if A.requires_grad and _core.is_grad_enabled():
        return _SingularValues.apply(A, False)[1]
    return lapack.run_or_raise("linalg.svdvals", "svd", A, compute_uv=False)


def _refuse_driver(op: str, driver: str | None) -> None:
    if driver is not None:
        raise RuntimeError(f"{op}: expected driver=None (drivers are CUDA's), got {driver!r}")


# ---- Eigenvalues -----------------------------------------------------------------------------------------------------


class _Eigenvalues(Function):
    """dA = V (dL + skew(V^T dV) / 2E) V^T with E_ij = l_j - l_i (Giles 2008, section 3.1, on symmetric matrices)."""

    @staticmethod
    def forward(ctx, A: Tensor, UPLO: str) -> tuple[Tensor, Tensor]:
        L, V = lapack.run_or_raise("linalg.eigh", "eigh", A, UPLO=UPLO)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(L, V)
        return L, V

    @staticmethod
    def backward(ctx, gL: Tensor | None, gV: Tensor | None) -> tuple[Tensor, None]:
        L, V = ctx.saved_tensors
        gL = _core.zeros_like(L) if gL is None else gL
        if gV is None:
            return (V * gL.unsqueeze(-2)) @ V.mT, None
        inner = _skew(V.mT @ gV) / (2 * _gaps(L))
        inner = _core.where(_core.eye(L.size(-1), dtype=_core.bool), gL.diag_embed(), inner)
        return V @ inner @ V.mT, None


def _check_UPLO(op: str, UPLO: str) -> str:
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"{op}: expected 'L' or 'U' as UPLO, got {UPLO!r}")
    return UPLO.upper()


@takes_out
def eigh(A: Tensor, UPLO: str = "L") -> Result:
    """Eigenvalues, ascending, and orthonormal eigenvectors of symmetric matrices, of which one triangle is read.

    >>> import pydl
    >>> values, vectors = pydl.linalg.eigh(pydl.tensor([[2.0, 1.0], [1.0, 2.0]]))
    >>> values.round(decimals=4)
    tensor([1., 3.])
    """
    check_square("linalg.eigh", A)
    return _Eigh(_Eigenvalues.apply(A, _check_UPLO("linalg.eigh", UPLO)))


@takes_out
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, ascending.

    >>> import pydl
    >>> pydl.linalg.eigvalsh(pydl.tensor([[2.0, 1.0], [1.0, 2.0]])).round(decimals=4)
    tensor([1., 3.])
    """
    check_square("linalg.eigvalsh", A)
    UPLO = _check_UPLO("linalg.eigvalsh", UPLO)
    if A.requires_grad and _core.is_grad_enabled():
        return _Eigenvalues.apply(A, UPLO)[0]
    return lapack.run_or_raise("linalg.eigvalsh", "eigvalsh", A, UPLO=UPLO)


def eig(A: Tensor) -> NoReturn:
    """Eigenvalues of general matrices are complex numbers, which pydl lacks."""
    raise NotImplementedError(
        "linalg.eig: expected a symmetric matrix (eigh), got a general one; complex dtypes are reserved"
    )


def eigvals(A: Tensor) -> NoReturn:
    """Eigenvalues of general matrices are complex numbers, which pydl lacks."""
    raise NotImplementedError(
        "linalg.eigvals: expected a symmetric matrix (eigvalsh), got a general one; complex dtypes are reserved"
    )


# ---- Rank, pseudo-inverse and least squares --------------------------------------------------------------------------


def _threshold(A: Tensor, S: Tensor, atol: Any, rtol: Any) -> Tensor:
    """Singular values up to this count as 0: max(atol, rtol * the largest), one for each matrix."""
    if rtol is None:
        default = EPS[A.dtype] * max(A.shape[-2:])
        rtol = default if atol is None else _core.where(_core.as_tensor(atol) > 0, 0.0, default)
    largest = S.amax(-1) if S.size(-1) else S.new_zeros(S.shape[:-1])
    relative = largest * rtol
    return _core.maximum(relative, _core.as_tensor(0.0 if atol is None else atol, dtype=A.dtype)).unsqueeze(-1)


@takes_out
def matrix_rank(A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """How many singular values exceed max(atol, rtol * the largest), or `tol`; rtol is eps * max(m, n) by default.

    >>> import pydl
    >>> pydl.linalg.matrix_rank(pydl.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1)
    """
    check_matrices("linalg.matrix_rank", A)
    A = A.detach()
    S = eigvalsh(A).abs() if hermitian else svdvals(A)
    if tol is not None:
        atol, rtol = tol, 0.0
    return (S > _threshold(A, S, atol, rtol)).sum(-1)


class _PseudoInverse(Function):
    """The Moore-Penrose inverse at constant rank; backward as Golub and Pereyra 1973, equation 4.12."""

    @staticmethod
    def forward(ctx, A: Tensor, hermitian: bool, atol: Any, rtol: Any) -> Tensor:
        if hermitian:
            S, U = lapack.run_or_raise("linalg.pinv", "eigh", A)
            Vh = U.mT
        else:
            U, S, Vh = lapack.run_or_raise("linalg.pinv", "svd", A, full_matrices=False)
        size = S.abs()
        inverse = _core.where(size > _threshold(A, size, atol, rtol), 1 / S, 0.0)
        P = (Vh.mT * inverse.unsqueeze(-2)) @ U.mT
        ctx.save_for_backward(A, P)
        return P

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        A, P = ctx.saved_tensors
        return _pinv_backward(grad, A, P), None, None, None


def _pinv_backward(grad: Tensor, A: Tensor, P: Tensor) -> Tensor:
    if A.size(-2) <= A.size(-1):
        K = grad.mT @ P
        KP = K @ P.mT
        return KP - (P @ K).mT - (A @ P) @ KP + (P.mT @ P) @ (grad.mT - K @ A)
    K = P @ grad.mT
    PK = P.mT @ K
    return PK - (K @ P).mT + (grad.mT - A @ K) @ (P @ P.mT) - (PK @ P) @ A


@takes_out
def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The Moore-Penrose inverse; singular values up to max(atol, rtol * the largest) count as 0 (`rcond` is rtol).

    >>> import pydl
    >>> pydl.linalg.pinv(pydl.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    check_matrices("linalg.pinv", A)
    rtol = rcond if rtol is None else rtol
    if A.numel() == 0:
        return A.mT.clone()
    return _PseudoInverse.apply(A, hermitian, atol, rtol)


class _LeastSquares(Function):
    """X = A^+ B from the SVD; dB = A^+T dX, dA through the pseudo-inverse (Golub and Pereyra 1973)."""

    @staticmethod
    def forward(ctx, A: Tensor, B: Tensor, rtol: float) -> tuple[Tensor, Tensor, Tensor]:
        U, S, Vh = lapack.run_or_raise("linalg.lstsq", "svd", A, full_matrices=False)
        keep = S > _threshold(A, S, None, rtol)
        X = Vh.mT @ (_core.where(keep, 1 / S, 0.0).unsqueeze(-1) * (U.mT @ B))
        ctx.save_for_backward(A, B)
        ctx.rtol = rtol
        ctx.mark_non_differentiable(S)
        return X, keep.sum(-1), S

    @staticmethod
    def backward(ctx, grad: Tensor, *_) -> tuple:
        A, B = ctx.saved_tensors
        P = pinv(A, rtol=ctx.rtol)
        gA = _pinv_backward(grad @ B.mT, A, P) if ctx.needs_input_grad[0] else None
        return gA, P.mT @ grad, None


_DRIVERS = (None, "gels", "gelsy", "gelsd", "gelss")


@takes_out
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Result:
    """X that minimizes |A X - B|, the one of least norm where several do.

    Singular values up to rcond (eps * max(m, n) by default) times the largest count as 0. All drivers compute by SVD;
    as in PyTorch they tell which results beside the solution are filled: `residuals` (not by gelsy, the default),
    `rank` (not by gels), `singular_values` (by gelsd and gelss).

    >>> import pydl
    >>> pydl.linalg.lstsq(pydl.tensor([[1.0], [1.0]]), pydl.tensor([[1.0], [3.0]])).solution.round(decimals=4)
    tensor([[2.]])
    """
    check_matrices("linalg.lstsq", A)
    check_same_dtype("linalg.lstsq", A, B)
    if driver not in _DRIVERS:
        raise RuntimeError(f"linalg.lstsq: expected a driver of {', '.join(map(str, _DRIVERS))}, got {driver!r}")
    vectors = B.dim() == A.dim() - 1 and B.shape == A.shape[:-1]
    columns = B.unsqueeze(-1) if vectors else B
    if columns.dim() < 2 or columns.size(-2) != A.size(-2):
        raise _core.ShapeError(
            f"linalg.lstsq: expected a B that fits A, got shapes {list(A.shape)} and {list(B.shape)}"
        )
    m, n = A.shape[-2:]
    X, rank, S = _LeastSquares.apply(A, columns, EPS[A.dtype] * max(m, n) if rcond is None else rcond)
    residuals = A.new_empty(0)
    if m > n and driver not in (None, "gelsy") and bool((rank == n).all()):
        residuals = (A @ X - columns).square().sum(-2)
    return _Lstsq(
        (
            X.squeeze(-1) if vectors else X,
            residuals,
            _core.empty(0, dtype=_core.int64) if driver == "gels" else rank,
            S if driver in ("gelsd", "gelss") else A.new_empty(0),
        )
    )

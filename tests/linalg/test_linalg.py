"""What a row of the table cannot say about pydl.linalg: errors, `info`, singular matrices, batches, and gradients of
factors that are unique only up to signs."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import python

import pydl
from pydl import linalg
from pydl.autograd import gradcheck, gradgradcheck

LinAlgError = linalg.LinAlgError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def tensor(x: Any, requires_grad: bool = True) -> pydl.Tensor:
    return pydl.tensor(np.asarray(x, float)).requires_grad_(requires_grad)


def spd(rng: np.random.Generator, *shape: int) -> np.ndarray:
    x = rng.standard_normal(shape)
    return x @ x.swapaxes(-1, -2) + np.diag(1.0 + np.arange(shape[-1]))


def close(ours: Any, want: Any, tolerance: float = 1e-10) -> None:
    ours = ours.detach().numpy() if isinstance(ours, pydl.Tensor) else ours
    np.testing.assert_allclose(ours, np.asarray(want), rtol=tolerance, atol=tolerance)


# ---- Factors multiply back -------------------------------------------------------------------------------------------

SHAPES = [(4, 4), (6, 3), (3, 6), (40, 70), (70, 40), (2, 33, 33), (2, 3, 5, 4), (1, 1), (0, 3), (3, 0), (2, 0, 0)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_factors_multiply_back(shape: tuple[int, ...], rng: np.random.Generator):
    x = tensor(rng.standard_normal(shape), requires_grad=False)
    m, n = shape[-2:]
    for mode, columns in (("reduced", min(m, n)), ("complete", m)):
        Q, R = linalg.qr(x, mode)
        assert Q.shape == (*shape[:-1], columns) and R.shape == (*shape[:-2], columns, n)
        close(Q @ R, x.numpy())
        close(Q.mT @ Q, np.broadcast_to(np.eye(columns), (*shape[:-2], columns, columns)))
    for full in (False, True):
        U, S, Vh = linalg.svd(x, full_matrices=full)
        k = min(m, n)
        assert U.size(-1) == (m if full else k) and Vh.size(-2) == (n if full else k)
        close((U[..., :k] * S.unsqueeze(-2)) @ Vh[..., :k, :], x.numpy())
    P, L, U = linalg.lu(x)
    close(P @ L @ U, x.numpy())
    assert L.tril().equal(L) and U.triu().equal(U)


def test_r_mode_leaves_out_q(rng: np.random.Generator):
    x = tensor(rng.standard_normal((5, 3)), requires_grad=False)
    Q, R = linalg.qr(x, "r")
    assert Q.numel() == 0
    close(R.abs(), linalg.qr(x)[1].abs())


@pytest.mark.parametrize("uplo", ["L", "U"])
def test_eigh_reads_one_triangle(uplo: str, rng: np.random.Generator):
    x = spd(rng, 4, 4)
    half = np.tril(x) if uplo == "L" else np.triu(x)
    values, vectors = linalg.eigh(tensor(half, requires_grad=False), uplo)
    close(vectors @ values.diag() @ vectors.mT, x)
    close(linalg.eigvalsh(tensor(half), uplo), values.numpy())


def test_cholesky_reads_one_triangle(rng: np.random.Generator):
    x = spd(rng, 2, 4, 4)
    L = linalg.cholesky(tensor(np.tril(x)))
    U = linalg.cholesky(tensor(np.triu(x)), upper=True)
    close(L @ L.mT, x)
    close(U, L.mT.detach().numpy())


def test_lu_solves_all_four_systems(rng: np.random.Generator):
    a, b = rng.standard_normal((2, 4, 4)), rng.standard_normal((2, 4, 4))
    factors = linalg.lu_factor(tensor(a))
    for left in (True, False):
        for adjoint in (True, False):
            X = linalg.lu_solve(*factors, tensor(b), left=left, adjoint=adjoint)
            A = tensor(a.swapaxes(-1, -2) if adjoint else a)
            close(A @ X if left else X @ A, b)


def test_householder_forms_agree(rng: np.random.Generator):
    x, other = tensor(rng.standard_normal((5, 3)), False), tensor(rng.standard_normal((5, 2)), False)
    packed, tau = pydl.geqrf(x)
    Q = linalg.qr(x, "complete").Q
    close(linalg.householder_product(packed, tau), Q[:, :3].numpy())
    close(pydl.ormqr(packed, tau, other), (Q @ other).numpy())
    close(pydl.ormqr(packed, tau, other, transpose=True), (Q.mT @ other).numpy())
    close(pydl.ormqr(packed, tau, other.mT, left=False), (other.mT @ Q).numpy())


@pytest.mark.parametrize("n", [1, 5, 32, 33, 100])
def test_substitution_across_blocks(n: int, rng: np.random.Generator):
    a, b = rng.standard_normal((n, n)) / n + 2 * np.eye(n), rng.standard_normal((2, n, 3))
    for upper in (True, False):
        for unit in (True, False):
            t = (np.triu if upper else np.tril)(a)
            if unit:
                np.fill_diagonal(t, 1)
            close(linalg.solve_triangular(tensor(a), tensor(b), upper=upper, unitriangular=unit), np.linalg.solve(t, b))
            close(linalg.solve_triangular(tensor(a), tensor(b[0].T), upper=upper, unitriangular=unit, left=False),
                  b[0].T @ np.linalg.inv(t))


def test_solve_broadcasts_and_tells_vectors_from_matrices(rng: np.random.Generator):
    a, b = rng.standard_normal((2, 1, 3, 3)), rng.standard_normal((4, 3, 2))
    close(linalg.solve(tensor(a), tensor(b)), np.linalg.solve(a, b))
    vectors = rng.standard_normal((2, 3))
    close(linalg.solve(tensor(a[:, 0]), tensor(vectors)), np.linalg.solve(a[:, 0], vectors[..., None])[..., 0])
    close(linalg.solve(tensor(a), tensor(b.swapaxes(-1, -2)), left=False), b.swapaxes(-1, -2) @ np.linalg.inv(a))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_matrix_exp_scales_each_matrix(scale: float, rng: np.random.Generator):
    values, vectors = np.array([-1.0, -0.5, 0.3]) * scale, rng.standard_normal((3, 3)) + 3 * np.eye(3)
    x = vectors @ np.diag(values) @ np.linalg.inv(vectors)
    want = vectors @ np.diag(np.exp(values)) @ np.linalg.inv(vectors)
    found = linalg.matrix_exp(tensor(np.stack([x, np.zeros((3, 3))])))
    close(found[0] / np.abs(want).max(), want / np.abs(want).max())
    close(found[1], np.eye(3))


def test_low_rank_matrices_are_found(rng: np.random.Generator):
    pydl.manual_seed(0)
    x = tensor(rng.standard_normal((9, 3)) @ rng.standard_normal((3, 7)), requires_grad=False)
    for a in (x, x.mT):
        U, S, V = pydl.svd_lowrank(a, q=4)
        close(U * S @ V.mT, a.numpy())
    U, S, V = pydl.pca_lowrank(x, q=3)
    close(S, np.linalg.svd(x.numpy() - x.numpy().mean(0), compute_uv=False)[:3])


# ---- Least squares, rank and norms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", [None, "gels", "gelsy", "gelsd", "gelss"])
@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (4, 4)], ids=str)
def test_lstsq_fills_what_the_driver_fills(driver: str | None, shape: tuple[int, int], rng, torch_or_fail):
    a, b = rng.standard_normal(shape), rng.standard_normal((shape[0], 2))
    ours = linalg.lstsq(tensor(a, False), tensor(b, False), driver=driver)
    theirs = torch_or_fail.linalg.lstsq(torch_or_fail.tensor(a), torch_or_fail.tensor(b), driver=driver)
    for x, y in zip(ours, theirs):
        assert str(x.dtype).rpartition(".")[2] == str(y.dtype).rpartition(".")[2]
        close(x, y.numpy())


def test_lstsq_of_deficient_rank_has_least_norm(rng: np.random.Generator):
    a = rng.standard_normal((6, 2)) @ rng.standard_normal((2, 4))
    b = rng.standard_normal((6, 1))
    found = linalg.lstsq(tensor(a, False), tensor(b, False))
    close(found.solution, np.linalg.lstsq(a, b, rcond=None)[0], 1e-8)
    assert found.rank.item() == 2


def test_rank_thresholds():
    x = tensor(np.diag([1.0, 1e-3, 1e-20]), requires_grad=False)
    assert linalg.matrix_rank(x).item() == 2
    assert linalg.matrix_rank(x, atol=1e-2).item() == 1
    assert linalg.matrix_rank(x, rtol=1e-25).item() == 3
    assert linalg.matrix_rank(x, 1e-2, hermitian=True).item() == 1
    assert linalg.matrix_rank(pydl.stack([x, 0 * x])).tolist() == [2, 0]
    close(linalg.pinv(x, rtol=1e-2), np.diag([1.0, 0, 0]))
    close(linalg.pinv(x, hermitian=True), np.diag([1.0, 1e3, 0]))


def test_norm_takes_vectors_and_matrices(rng: np.random.Generator):
    x = rng.standard_normal((2, 3, 4))
    close(linalg.norm(tensor(x)), np.linalg.norm(x.ravel()))
    close(linalg.norm(tensor(x), 3, dim=1), np.linalg.norm(x, 3, axis=1))
    close(linalg.norm(tensor(x), "nuc", dim=(2, 0)), np.linalg.norm(x, "nuc", axis=(2, 0)))
    close(linalg.norm(tensor(x[0]), -2, keepdim=True), np.linalg.norm(x[0], -2, keepdims=True))
    assert linalg.norm(pydl.ones(3), dtype=pydl.float64).dtype is pydl.float64


def test_cond_of_singular_matrices_is_infinite():
    x = pydl.stack([pydl.eye(3), pydl.ones(3, 3)])
    assert linalg.cond(x, "fro").tolist() == pytest.approx([3.0, float("inf")])


def test_multi_dot_chooses_the_cheaper_order(rng: np.random.Generator):
    shapes = [(30, 1), (1, 40), (40, 10), (10, 25)]
    xs = [rng.standard_normal(s) for s in shapes]
    from pydl.linalg._products import _best_splits
    assert _best_splits([30, 1, 40, 10, 25])[0, 3] == 0
    close(linalg.multi_dot([tensor(x) for x in xs]), np.linalg.multi_dot(xs), 1e-9)


# ---- Errors ----------------------------------------------------------------------------------------------------------

SINGULAR = np.array([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]])
INDEFINITE = np.diag([1.0, 2, -1, 3])


def test_info_names_the_culprit():
    both = np.stack([np.eye(3), SINGULAR])
    assert linalg.inv_ex(tensor(both)).info.tolist() == [0, 3]
    assert linalg.solve_ex(tensor(both), tensor(both)).info.tolist() == [0, 3]
    assert linalg.lu_factor_ex(tensor(both)).info.tolist() == [0, 3]
    assert linalg.cholesky_ex(tensor(np.stack([INDEFINITE, np.eye(4), -np.eye(4)]))).info.tolist() == [3, 0, 1]
    close(linalg.inv_ex(tensor(both)).inverse[0], np.eye(3))
    assert linalg.inv_ex(tensor(both)).info.dtype is pydl.int32


BROKEN: list[tuple[str, Callable[[], Any], type[Exception]]] = [
    ("linalg.inv", lambda: linalg.inv(tensor(SINGULAR)), LinAlgError),
    ("linalg.solve", lambda: linalg.solve(tensor(SINGULAR), tensor(np.eye(3))), LinAlgError),
    ("linalg.lu_factor", lambda: linalg.lu_factor(tensor(SINGULAR)), LinAlgError),
    ("linalg.cholesky", lambda: linalg.cholesky(tensor(INDEFINITE)), LinAlgError),
    ("linalg.svd", lambda: linalg.svd(tensor(np.full((2, 2), np.nan))), LinAlgError),
    ("linalg.inv", lambda: linalg.inv(pydl.ones(2, 3)), pydl.ShapeError),
    ("linalg.det", lambda: linalg.det(pydl.ones(3)), pydl.ShapeError),
    ("linalg.solve", lambda: linalg.solve(pydl.eye(3), pydl.ones(2, 2)), pydl.ShapeError),
    ("linalg.solve", lambda: linalg.solve(pydl.eye(2), pydl.ones(2, dtype=pydl.float64)), RuntimeError),
    ("linalg.inv", lambda: linalg.inv(pydl.eye(3, dtype=pydl.int64)), RuntimeError),
    ("linalg.inv", lambda: linalg.inv(pydl.eye(3, dtype=pydl.bfloat16)), RuntimeError),
    ("linalg.qr", lambda: linalg.qr(pydl.eye(3), "raw"), RuntimeError),
    ("linalg.qr", lambda: linalg.qr(tensor(np.eye(3)), "r"), RuntimeError),
    ("linalg.eigh", lambda: linalg.eigh(pydl.eye(3), "X"), RuntimeError),
    ("linalg.svd", lambda: linalg.svd(pydl.eye(3), driver="gesvd"), RuntimeError),
    ("linalg.lstsq", lambda: linalg.lstsq(pydl.eye(3), pydl.eye(3), driver="gesv"), RuntimeError),
    ("linalg.matrix_norm", lambda: linalg.matrix_norm(pydl.eye(3), 3), RuntimeError),
    ("linalg.multi_dot", lambda: linalg.multi_dot([pydl.ones(2, 3), pydl.ones(2, 3)]), pydl.ShapeError),
    ("linalg.tensorinv", lambda: linalg.tensorinv(pydl.ones(3, 4)), pydl.ShapeError),
    ("linalg.eig", lambda: linalg.eig(pydl.eye(3)), NotImplementedError),
    ("linalg.eigvals", lambda: linalg.eigvals(pydl.eye(3)), NotImplementedError),
]


@pytest.mark.parametrize(("name", "wrong", "kind"), BROKEN, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(BROKEN)])
def test_errors(name: str, wrong: Callable[[], Any], kind: type[Exception]):
    with pytest.raises(kind) as caught:
        wrong()
    assert str(caught.value).startswith(f"{name}: expected ")


def test_errors_tell_the_place_in_the_batch():
    with pytest.raises(LinAlgError, match=r"pivot 3 is 0.*batch index \[1, 0\]"):
        linalg.inv(tensor(np.stack([np.eye(3), SINGULAR])[:, None]))
    assert issubclass(LinAlgError, RuntimeError)


def test_out_takes_shape_and_refuses_gradients():
    out = pydl.empty(0)
    assert linalg.inv(2 * pydl.eye(2), out=out) is out and out.tolist() == [[0.5, 0], [0, 0.5]]
    with pytest.raises(RuntimeError):
        linalg.inv(tensor(np.eye(2)), out=pydl.empty(0, dtype=pydl.float64))
    with pytest.raises(TypeError):
        linalg.qr(pydl.eye(2), out=out)
    wrong = (pydl.zeros(2, 2), pydl.zeros(2, dtype=pydl.int32))
    with pytest.raises(RuntimeError):
        linalg.eigh(pydl.eye(2), out=wrong[::-1])
    assert not wrong[0].any()


# ---- Gradients: what depends on signs is squared ---------------------------------------------------------------------


def _of_svd(x: pydl.Tensor) -> tuple[pydl.Tensor, ...]:
    U, S, Vh = linalg.svd(x, full_matrices=False)
    return (U * S.unsqueeze(-2)) @ U.mT, S, Vh.square(), U[..., :1] @ Vh[..., :1, :]


def _of_eigh(x: pydl.Tensor) -> tuple[pydl.Tensor, ...]:
    values, vectors = linalg.eigh((x + x.mT) / 2)
    return values, vectors.square(), vectors[..., :1] @ vectors[..., :1].mT


DIFFERENTIABLE: list[tuple[str, Callable[..., Any], tuple[tuple[int, ...], ...]]] = [
    ("inv", linalg.inv, ((2, 3, 3),)),
    ("det", linalg.det, ((2, 3, 3),)),
    ("slogdet", lambda x: linalg.slogdet(x).logabsdet, ((2, 3, 3),)),
    ("solve", linalg.solve, ((2, 3, 3), (3, 2))),
    ("solve-right", lambda a, b: linalg.solve(a, b, left=False), ((3, 3), (2, 3))),
    ("solve_triangular", lambda a, b: linalg.solve_triangular(a, b, upper=False), ((2, 3, 3), (3, 2))),
    ("unitriangular", lambda a, b: linalg.solve_triangular(a, b, upper=True, unitriangular=True), ((3, 3), (3, 2))),
    ("cholesky", lambda x: linalg.cholesky(x @ x.mT + pydl.eye(3, dtype=x.dtype)), ((2, 3, 3),)),
    ("cholesky_solve", lambda b, x: pydl.cholesky_solve(b, x.tril()), ((3, 2), (2, 3, 3))),
    ("qr", lambda x: (linalg.qr(x).Q.square(), linalg.qr(x).R.square()), ((4, 3),)),
    ("qr-wide", lambda x: (linalg.qr(x).Q.square(), linalg.qr(x).R.square()), ((2, 4),)),
    ("svd", _of_svd, ((3, 3),)),
    ("svd-tall", _of_svd, ((4, 2),)),
    ("svd-wide", _of_svd, ((2, 4),)),
    ("svdvals", linalg.svdvals, ((2, 3, 2),)),
    ("eigh", _of_eigh, ((3, 3),)),
    ("pinv", linalg.pinv, ((4, 2),)),
    ("pinv-wide", linalg.pinv, ((2, 4),)),
    ("lstsq", lambda a, b: linalg.lstsq(a, b, driver="gelsd")[:2], ((4, 2), (4, 2))),
    ("lu", lambda x: linalg.lu(x)[1:], ((3, 3),)),
    ("lu-tall", lambda x: linalg.lu(x)[1:], ((4, 2),)),
    ("lu-wide", lambda x: linalg.lu(x)[1:], ((2, 4),)),
    ("matrix_exp", linalg.matrix_exp, ((2, 2, 2),)),
    ("matrix_power", lambda x: linalg.matrix_power(x, -2), ((3, 3),)),
    ("nuclear", lambda x: linalg.matrix_norm(x, "nuc"), ((3, 2),)),
    ("cond", lambda x: linalg.cond(x, "fro"), ((3, 3),)),
    ("householder_product", linalg.householder_product, ((4, 2), (2,))),
]


@pytest.mark.parametrize(("name", "f", "shapes"), DIFFERENTIABLE, ids=[d[0] for d in DIFFERENTIABLE])
def test_derivatives_by_finite_differences(name: str, f: Callable[..., Any], shapes: tuple, rng: np.random.Generator):
    def drawn(shape: tuple[int, ...]) -> pydl.Tensor:
        x = rng.uniform(-1, 1, shape)
        return tensor(x + 2 * np.eye(shape[-1]) if len(shape) > 1 and shape[-1] == shape[-2] else x)

    inputs = [drawn(s) for s in shapes]
    assert gradcheck(f, inputs)
    assert gradgradcheck(f, inputs)


@pytest.mark.parametrize("matrix", [SINGULAR, np.diag([2.0, 1.0, 0.0])], ids=["rank-2", "diagonal"])
def test_det_has_its_gradient_at_singular_matrices(matrix: np.ndarray):
    x = tensor(matrix)
    assert gradcheck(linalg.det, [x])
    assert gradgradcheck(linalg.det, [x])


def test_det_of_rank_one_has_no_gradient():
    x = tensor(np.outer([1.0, 2, 3], [1.0, 1, 2]))
    close(pydl.autograd.grad(linalg.det(x), x)[0], np.zeros((3, 3)))


def test_gradients_of_singular_vectors_of_full_matrices(rng: np.random.Generator):
    x = tensor(rng.standard_normal((4, 2)))
    reduced, full = (linalg.svd(x, full_matrices=f) for f in (False, True))
    grads = [pydl.autograd.grad((U[:, :2] ** 2 * pydl.arange(4.0).double()[:, None]).sum(), x)[0]
             for U in (reduced.U, full.U)]
    close(grads[0], grads[1].numpy())


# ---- The module ------------------------------------------------------------------------------------------------------


def test_linalg_and_numpy_are_imported_when_used():
    code = "import sys, pydl; assert 'numpy' not in sys.modules and 'pydl.linalg' not in sys.modules; " \
           "pydl.linalg.inv(pydl.eye(2)); assert 'numpy' in sys.modules"
    python(code)


def test_methods_and_older_names(rng: np.random.Generator):
    x = tensor(spd(rng, 3, 3), requires_grad=False)
    assert x.inverse().equal(linalg.inv(x)) and x.det().equal(linalg.det(x))
    assert x.logdet().equal(x.slogdet()[1]) and x.cholesky(upper=True).equal(linalg.cholesky(x).mT)
    assert x.pinverse().equal(linalg.pinv(x, 1e-15)) and x.matrix_exp().equal(linalg.matrix_exp(x))
    U, S, V = x.svd()
    close(U * S @ V.mT, x.numpy())
    Q, R = x.qr()
    close(Q @ R, x.numpy())
    b = pydl.ones(3, 1, dtype=pydl.float64)
    close(b.lu_solve(*x.lu()), linalg.solve(x, b).numpy())
    solution, copied = pydl.triangular_solve(b, x, transpose=True)
    close(x.triu().mT @ solution, b.numpy())
    assert copied.equal(x)
    P, L, U = pydl.lu_unpack(*pydl.lu(x))
    close(P @ L @ U, x.numpy())
    named = "pydl.return_types.linalg_slogdet(sign=tensor(1.), logabsdet=tensor(0.))"
    assert repr(linalg.slogdet(pydl.eye(2))) == named

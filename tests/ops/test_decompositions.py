"""Gradients of factorizations that are unique only up to signs, through functions that do not see the signs."""
from __future__ import annotations

import numpy as np
import pytest

import pydl

STEP = 1e-6


def matrix(rows: int, columns: int, symmetric: bool = False):
    rng = np.random.default_rng(rows * 10 + columns)
    a = rng.standard_normal((rows, columns))
    return pydl.from_numpy(a + a.T + np.diag(np.arange(rows) * 3.0) if symmetric else a)


WEIGHTS = pydl.from_numpy(np.random.default_rng(0).uniform(0.5, 1.5, (5, 5)))


def w(x):
    return (x * WEIGHTS[: x.shape[0], : x.shape[1]]).sum()


PROBLEMS = {
    "eigh_values": (lambda a: (pydl.linalg.eigh((a + a.mT) / 2)[0] ** 2).sum(), matrix(4, 4, symmetric=True)),
    "eigh_vectors": (lambda a: w(pydl.linalg.eigh((a + a.mT) / 2)[1] ** 2), matrix(4, 4, symmetric=True)),
    "svd_values": (lambda a: (pydl.linalg.svd(a, full_matrices=False)[1] ** 3).sum(), matrix(5, 3)),
    "svd_left": (lambda a: w(pydl.linalg.svd(a, full_matrices=False)[0] ** 2), matrix(5, 3)),
    "svd_right": (lambda a: w(pydl.linalg.svd(a, full_matrices=False)[2] ** 2), matrix(3, 5)),
    "qr_q": (lambda a: w(pydl.linalg.qr(a)[0] ** 2), matrix(5, 3)),
    "qr_r": (lambda a: w(pydl.linalg.qr(a)[1] ** 2), matrix(4, 4)),
    "lstsq": (lambda a: w(pydl.linalg.lstsq(a, matrix(5, 2))[0]), matrix(5, 3)),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_gradient(name: str):
    f, a = PROBLEMS[name]
    a = a.clone().requires_grad_()
    (g,) = pydl.autograd.grad(f(a), a)
    for seed in range(2):
        v = pydl.from_numpy(np.random.default_rng(seed).standard_normal(tuple(a.shape)))
        with pydl.no_grad():
            numeric = (f(a + STEP * v) - f(a - STEP * v)).item() / (2 * STEP)
        assert (g * v).sum().item() == pytest.approx(numeric, rel=1e-5, abs=1e-6)


def test_factors_multiply_back():
    a = matrix(5, 3)
    q, r = pydl.linalg.qr(a)
    u, s, vh = pydl.linalg.svd(a, full_matrices=False)
    b = matrix(4, 4, symmetric=True)
    values, vectors = pydl.linalg.eigh(b)
    products = ((q @ r, a), ((u * s) @ vh, a), ((vectors * values) @ vectors.mT, b), (q.mT @ q, pydl.eye(3)))
    for product, whole in products:
        assert np.allclose(product.numpy(), whole.numpy(), atol=1e-9)
    full, _, _ = pydl.linalg.svd(a)
    assert full.shape == (5, 5)

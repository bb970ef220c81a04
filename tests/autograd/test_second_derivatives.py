"""Second derivatives exist where PyTorch has them, also where they are zero."""
from __future__ import annotations

import numpy as np
import pytest

import pydl

IMAGES = (2, 3, 6, 8)
# Piecewise linear in their input x: their gradient is constant around it.
FLAT = {
    "relu": lambda lib, x: lib.relu(x),
    "relu_": lambda lib, x: (x * 1).relu_(),
    "relu6": lambda lib, x: lib.nn.functional.relu6(x),
    "leaky_relu": lambda lib, x: lib.nn.functional.leaky_relu(x, 0.1),
    "hardtanh": lambda lib, x: lib.nn.functional.hardtanh(x),
    "threshold": lambda lib, x: lib.nn.functional.threshold(x, 0.2, 1.0),
    "softshrink": lambda lib, x: lib.nn.functional.softshrink(x),
    "hardshrink": lambda lib, x: lib.nn.functional.hardshrink(x),
    "max_pool1d": lambda lib, x: lib.nn.functional.max_pool1d(x[0], 2),
    "max_pool2d": lambda lib, x: lib.nn.functional.max_pool2d(x, 3, 2, 1),
    "max_pool3d": lambda lib, x: lib.nn.functional.max_pool3d(x, 2),
    "one channel": lambda lib, x: lib.nn.functional.max_pool2d(x.reshape(36, 1, 2, 4), 2),
    "avg_pool1d": lambda lib, x: lib.nn.functional.avg_pool1d(x[0], 2),
    "avg_pool2d": lambda lib, x: lib.nn.functional.avg_pool2d(x, 2),
    "avg_pool3d": lambda lib, x: lib.nn.functional.avg_pool3d(x, 2),
    "adaptive_max_pool2d": lambda lib, x: lib.nn.functional.adaptive_max_pool2d(x, 3),
    "adaptive_avg_pool2d": lambda lib, x: lib.nn.functional.adaptive_avg_pool2d(x, 3),
    "reflect": lambda lib, x: lib.nn.functional.pad(x, (1, 2, 0, 1), mode="reflect"),
    "replicate": lambda lib, x: lib.nn.functional.pad(x, (1, 2, 0, 1), mode="replicate"),
    "network": lambda lib, x: lib.nn.Sequential(lib.nn.ReLU(), lib.nn.MaxPool2d(2), lib.nn.LeakyReLU())(x),
}


def images() -> np.ndarray:
    return np.random.default_rng(3).standard_normal(IMAGES)


@pytest.mark.parametrize("name", FLAT)
def test_piecewise_linear_functions_have_zeros(name: str, torch_or_fail):
    values = images()
    for lib in (pydl, torch_or_fail):
        x = lib.from_numpy(values.copy()).requires_grad_()
        (g,) = lib.autograd.grad(FLAT[name](lib, x).sum(), x, create_graph=True)
        assert g.requires_grad
        (h,) = lib.autograd.grad(g.sum(), x)
        assert h.dtype == x.dtype and h.shape == x.shape and not h.any()


@pytest.mark.parametrize("name", FLAT)
def test_derivatives_of_their_products(name: str, torch_or_fail):
    """Where the incoming gradient depends on x, so does the gradient; also through a second sweep that accumulates."""
    values, found = images(), []
    for lib in (pydl, torch_or_fail):
        x = lib.from_numpy(values.copy()).requires_grad_()
        (g,) = lib.autograd.grad((FLAT[name](lib, x) ** 3).sum(), x, create_graph=True)
        (g * g).sum().backward()
        found.append(x.grad.numpy())
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-12)


def test_a_gradient_penalty_on_a_network_of_relus(torch_or_fail):
    """The penalty's own gradient reaches the weights, and the input with zeros."""
    values = images().reshape(4, 72)[:, :5]
    for lib in (pydl, torch_or_fail):
        x = lib.from_numpy(values.copy()).requires_grad_()
        w = lib.ones(5, 3, dtype=lib.float64, requires_grad=True)
        (g,) = lib.autograd.grad(lib.relu(x @ w).sum(), x, create_graph=True)
        ((g.norm(dim=1) - 1) ** 2).sum().backward()
        assert w.grad.abs().sum() > 0 and x.grad is not None and not x.grad.any()


def test_hardsigmoid():
    """PyTorch has no second derivative of this one."""
    x = pydl.from_numpy(images()).requires_grad_()
    (g,) = pydl.autograd.grad(pydl.nn.functional.hardsigmoid(x).sum(), x, create_graph=True)
    assert not pydl.autograd.grad(g.sum(), x)[0].any()


def test_no_path_where_the_input_needs_none():
    w = pydl.ones(3, requires_grad=True)
    (g,) = pydl.autograd.grad((pydl.relu(pydl.ones(3) * w) * 2).sum(), w, create_graph=True)
    assert not pydl.autograd.grad(g.sum(), w)[0].any()

"""Pooling beyond single calls: drawn configurations, memory formats, NaN, empty batches, wrong windows."""
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specs.pool import adaptive, avg_pool, largest, max_pool, mean_of
from specs.spec import to_numpy

import pydl

F = pydl.nn.functional
SHAPE, VALUE = (RuntimeError, ValueError), ValueError


def channels_last(x):
    n = x.dim()
    return x.permute(0, *range(2, n), 1).contiguous().permute(0, n - 1, *range(1, n - 1))


def is_channels_last(x) -> bool:
    return x.permute(0, *range(2, x.dim()), 1).is_contiguous()


@st.composite
def windows(draw):
    """(spatial dimensions, input shape, arguments of max_pool) that give an output."""
    n = draw(st.integers(1, 3))
    kernel = [draw(st.integers(1, 4)) for _ in range(n)]
    dilation = [draw(st.integers(1, 2)) for _ in range(n)]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    padding = [draw(st.integers(0, k // 2)) for k in kernel]
    size = [draw(st.integers(r, r + (8, 5, 3)[n - 1])) for r in reach]
    shape = [draw(st.sampled_from([1, 2, 3, 9])), draw(st.sampled_from([1, 1, 2, 3, 8, 16, 19, 33])), *size]
    stride = draw(st.none() | st.lists(st.integers(1, 3), min_size=n, max_size=n))
    return n, shape, (kernel, stride, padding, dilation, draw(st.booleans()))


def drawn(shape, dtype="float32") -> np.ndarray:
    n = math.prod(shape)
    return np.random.default_rng(n).permutation(n).reshape(shape).astype(dtype) / 8 - n / 16


@settings(max_examples=60, deadline=None)
@given(windows(), st.booleans())
def test_max_pool_of_any_window(window, last):
    n, shape, arguments = window
    values = drawn(shape)
    x = pydl.from_numpy(values.copy()).requires_grad_()
    y, positions = getattr(F, f"max_pool{n}d")(channels_last(x) if last else x, *arguments, return_indices=True)
    want, where = max_pool(n)(values, *arguments, return_indices=True)
    np.testing.assert_array_equal(to_numpy(y), want)
    np.testing.assert_array_equal(to_numpy(positions), where)
    assert is_channels_last(y) and is_channels_last(positions)
    g = drawn(want.shape)
    y.backward(pydl.from_numpy(g))
    into = np.zeros((*shape[:2], math.prod(shape[2:])))
    image, channel = np.ogrid[:shape[0], :shape[1]]
    np.add.at(into, (image[..., None], channel[..., None], where.reshape(*shape[:2], -1)), g.reshape(*shape[:2], -1))
    np.testing.assert_allclose(to_numpy(x.grad).reshape(into.shape), into, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(windows(), st.booleans(), st.booleans())
def test_avg_pool_of_any_window(window, last, count_include_pad):
    n, shape, (kernel, stride, padding, _, ceil_mode) = window
    values = drawn(shape)
    x = pydl.from_numpy(values.copy()).requires_grad_()
    arguments = (kernel, kernel if stride is None else stride, padding, ceil_mode, count_include_pad)
    y = getattr(F, f"avg_pool{n}d")(channels_last(x) if last else x, *arguments)
    want = avg_pool(n)(values, *arguments)
    np.testing.assert_allclose(to_numpy(y), want, rtol=1e-5, atol=1e-5 * abs(values).max())
    g = drawn(want.shape)
    y.backward(pydl.from_numpy(g))
    # The pool is linear: <g, pool(v)> = <gradient, v> for any v.
    v = np.random.default_rng(0).standard_normal(shape)
    assert np.sum(to_numpy(x.grad) * v) == pytest.approx(np.sum(g * avg_pool(n)(v, *arguments)), rel=1e-4, abs=1e-2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.lists(st.integers(1, 11), min_size=3, max_size=3),
    st.sampled_from([1, 3, 16, 33]), st.booleans())
def test_adaptive_pools_of_any_size(size, out, channels, last):
    n = len(size)
    values = drawn((2, channels, *size))
    x = pydl.from_numpy(values)
    x = channels_last(x) if last else x
    mean = getattr(F, f"adaptive_avg_pool{n}d")(x, out[:n])
    np.testing.assert_allclose(to_numpy(mean), adaptive(n, mean_of)(values, out[:n]), rtol=1e-5,
        atol=1e-6 * abs(values).max())
    np.testing.assert_array_equal(to_numpy(getattr(F, f"adaptive_max_pool{n}d")(x, out[:n])),
        adaptive(n, largest)(values, out[:n]))


@pytest.mark.parametrize("channels", [1, 3, 16, 40])
def test_formats_give_the_same_bits(channels):
    """Contiguous input is turned tile by tile, large ones in strips; gradients come out alike."""
    values = pydl.randn(2, channels, 150, 120)
    for pool in (lambda x: F.max_pool2d(x, 3, 2, 1), lambda x: F.avg_pool2d(x, 3, 2, 1),
            lambda x: F.adaptive_avg_pool2d(x, 7)):
        results = []
        for x in (values.clone(), channels_last(values), values.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)):
            x.requires_grad_()
            y = pool(x)
            y.backward(pydl.ones_like(y))
            assert is_channels_last(y)
            results.append((y, x.grad))
        for y, grad in results[1:]:
            assert pydl.equal(y, results[0][0]) and pydl.equal(grad, results[0][1])


def test_nan_wins(torch_or_fail):
    values = np.random.default_rng(0).standard_normal((2, 5, 9, 9)).astype(np.float32)
    values.reshape(-1)[::7] = np.nan
    values[0, 0] = -np.inf
    for layout in (lambda x: x, channels_last):
        results = []
        for lib in (pydl, torch_or_fail):
            x = lib.from_numpy(values.copy()).requires_grad_()
            y, where = lib.nn.functional.max_pool2d(layout(x), 3, 2, 1, return_indices=True)
            y.backward(lib.ones_like(y))
            results.append([to_numpy(r) for r in (y, where, x.grad)])
        for ours, theirs in zip(*results):
            np.testing.assert_array_equal(ours, theirs)


def test_windows_in_the_padding():
    """Dilation can put every tap of a window into the padding: -inf, and no gradient from there."""
    x = pydl.ones(1, 2, 2, 1, requires_grad=True)
    y = F.max_pool2d(x, (1, 2), 1, (0, 2), (1, 3))
    assert y.tolist() == [[[[-math.inf] * 2] * 2] * 2]
    for create_graph in (False, True):
        grad, = pydl.autograd.grad(y, x, pydl.ones_like(y), create_graph=create_graph, retain_graph=True)
        assert grad.tolist() == [[[[0.0]] * 2] * 2]


def test_many_taps():
    """Windows of more than 256 taps number them in four bytes."""
    values = drawn((2, 18, 40, 40))
    x = pydl.from_numpy(values.copy()).requires_grad_()
    y, where = F.max_pool2d(x, 20, return_indices=True)
    want, positions = max_pool(2)(values, 20, return_indices=True)
    np.testing.assert_array_equal(to_numpy(y), want)
    np.testing.assert_array_equal(to_numpy(where), positions)
    y.sum().backward()
    assert x.grad.sum().item() == y.numel()
    assert (x.grad.flatten(2).gather(2, where.flatten(2)) == 1).all()


def test_empty():
    for pool in (lambda x: F.max_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2), lambda x: F.adaptive_avg_pool2d(x, 1)):
        x = pydl.zeros(0, 3, 4, 4, requires_grad=True)
        y = pool(x)
        assert y.shape[:2] == (0, 3)
        y.sum().backward()
        assert x.grad.shape == x.shape
    assert F.adaptive_max_pool2d(pydl.zeros(1, 2, 4, 4), 0).shape == (1, 2, 0, 0)


X = pydl.zeros(1, 2, 4, 4)
WRONG = [
    ("max_pool2d", lambda: F.max_pool2d(X, 2, padding=2), "pad to be at most half of effective kernel size"),
    ("avg_pool2d", lambda: F.avg_pool2d(X, 3, padding=2), "pad to be at most half of effective kernel size"),
    ("max_pool2d", lambda: F.max_pool2d(X, 5), "at least as large as the window"),
    ("avg_pool1d", lambda: F.avg_pool1d(X[0], 5), "at least as large as the window"),
    ("max_pool2d", lambda: F.max_pool2d(X, 0), "kernel_size of at least 1"),
    ("max_pool2d", lambda: F.max_pool2d(X, 2, 0), "stride of at least 1"),
    ("max_pool2d", lambda: F.max_pool2d(X, 2, dilation=0), "dilation of at least 1"),
    ("avg_pool2d", lambda: F.avg_pool2d(X, 2, padding=-1), "padding of at least 0"),
    ("max_pool2d", lambda: F.max_pool2d(X, (2, 2, 2)), "kernel_size to be one number or 2"),
    ("max_pool3d", lambda: F.max_pool3d(X[0], 2), "an input of 4 or 5 dimensions"),
    ("max_pool2d", lambda: F.max_pool2d(X.long(), 2), "a floating point tensor"),
    ("max_pool2d", lambda: F.max_pool2d(X[:, :, :0], 2), "other than the batch to be non-zero"),
    ("avg_pool2d", lambda: F.avg_pool2d(X, 2, divisor_override=0), "divisor_override other than zero"),
    ("adaptive_avg_pool2d", lambda: F.adaptive_avg_pool2d(X, -1), "output_size of at least 0"),
    ("max_unpool2d", lambda: F.max_unpool2d(X, pydl.full(X.shape, 64), 2), "indices below 64"),
    ("max_unpool2d", lambda: F.max_unpool2d(X, pydl.zeros(1, 2, 4, 3).long(), 2), "indices of shape"),
    ("max_unpool2d", lambda: F.max_unpool2d(X, X, 2), "int64 indices"),
]


@pytest.mark.parametrize(("name", "call", "message"), WRONG, ids=[f"{n}-{m}" for n, _, m in WRONG])
def test_wrong_arguments(name, call, message):
    with pytest.raises(RuntimeError, match=f"^{name}: expected .*{message}.*, got "):
        call()


def test_no_stride_is_the_size_of_the_windows():
    x = pydl.arange(16.0).reshape(1, 1, 4, 4)
    for pool in (pydl.max_pool2d, pydl.nn.functional.max_pool2d, pydl.nn.functional.avg_pool2d):
        assert pydl.equal(pool(x, 2, None), pool(x, 2, 2)) and pydl.equal(pool(x, 2, stride=None), pool(x, 2))
    assert pydl.equal(pydl.avg_pool1d(x[0], 2, None), pydl.avg_pool1d(x[0], 2))

"""Property tests of image operators: configurations drawn by hypothesis, against the definitions of specs/image.py."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from specs import image as definitions

import pydl
from pydl.nn import functional as F

settings.register_profile("pydl", deadline=None, max_examples=60, derandomize=True,
    suppress_health_check=list(HealthCheck))
settings.load_profile("pydl")


@st.composite
def images(draw, dims: int = 2, low: int = 1) -> pydl.Tensor:
    """float64 (N, C, spatial) in contiguous, channels-last or gapped memory."""
    shape = [draw(st.integers(0, 2)), draw(st.integers(1, 5)), *(draw(st.integers(low, 7)) for _ in range(dims))]
    form = draw(st.sampled_from(["contiguous", "channels_last", "gaps"]))
    values = np.random.default_rng(draw(st.integers(0, 2**16))).standard_normal([2 * n for n in shape])
    x = pydl.from_numpy(values)[tuple(slice(0, n) for n in shape)]
    if form == "contiguous":
        return x.contiguous()
    return x.contiguous(memory_format=pydl.channels_last) if form == "channels_last" else x


def agree(got: pydl.Tensor, want: np.ndarray) -> None:
    assert tuple(got.shape) == want.shape
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-9, atol=1e-9)


def adjoint(f, x: pydl.Tensor, seed: int = 0) -> None:
    """The backward of a linear operator is its transpose: <f(x), g> = <x, f'(g)>."""
    x = x.detach().requires_grad_()
    y = f(x)
    g = pydl.from_numpy(np.random.default_rng(seed).standard_normal(tuple(y.shape)))
    y.backward(g)
    left, right = (y.detach() * g).sum().item(), (x.detach() * x.grad).sum().item()
    assert abs(left - right) <= 1e-9 * (1 + abs(left))


@given(st.data(), st.sampled_from([1, 2, 3]), st.sampled_from(["constant", "reflect", "replicate", "circular"]))
def test_pad(data, dims, mode):
    x = data.draw(images(dims))
    pads = []
    for n in reversed(x.shape[2:]):
        widest = {"constant": 4, "replicate": 4, "reflect": n - 1, "circular": n}[mode]
        before = data.draw(st.integers(1 - n, widest))
        after = data.draw(st.integers(1 - n - min(before, 0), widest))
        if mode == "circular" and max(before, after) > n + min(before, 0) + min(after, 0):
            before = after = 0
        pads += [before, after]
    f = lambda x: F.pad(x, pads, mode)  # noqa: E731
    if mode == "constant" or min(pads) >= 0 or mode == "circular":
        agree(f(x), definitions.pad(x.numpy(), tuple(pads), mode))
    adjoint(f, x)


@given(st.data(), st.sampled_from([1, 2, 3]),
    st.sampled_from(["nearest", "nearest-exact", "area", "linear", "bicubic"]), st.booleans())
def test_interpolate(data, dims, mode, corners):
    if mode == "bicubic":
        dims = 2
    x = data.draw(images(dims))
    size = tuple(data.draw(st.integers(1, 11)) for _ in range(dims))
    options = {"mode": definitions.LINEAR[dims] if mode == "linear" else mode}
    if mode in ("linear", "bicubic"):
        options["align_corners"] = corners
        options["antialias"] = dims == 2 and data.draw(st.booleans())
    agree(F.interpolate(x, size, **options), definitions.interpolate(x.numpy(), size, **options))
    adjoint(lambda x: F.interpolate(x, size, **options), x)


@given(st.data(), st.sampled_from(["bilinear", "nearest", "bicubic"]),
    st.sampled_from(["zeros", "border", "reflection"]), st.booleans())
def test_grid_sample(data, mode, padding, corners):
    x = data.draw(images(2))
    out = (data.draw(st.integers(0, 4)), data.draw(st.integers(1, 4)))
    grid = np.random.default_rng(data.draw(st.integers(0, 99))).uniform(-2, 2, (x.size(0), *out, 2))
    arguments = (mode, padding, corners)
    agree(F.grid_sample(x, pydl.from_numpy(grid), *arguments), definitions.grid_sample(x.numpy(), grid, *arguments))
    adjoint(lambda x: F.grid_sample(x, pydl.from_numpy(grid), *arguments), x)


@given(st.data())
def test_unfold_and_fold(data):
    x = data.draw(images(2))
    options = {"kernel_size": [], "dilation": [], "padding": [], "stride": []}
    for n in x.shape[2:]:
        padding = data.draw(st.integers(0, 2))
        kernel = data.draw(st.integers(1, min(3, n + 2 * padding)))
        widest = (n + 2 * padding - 1) // max(kernel - 1, 1)
        for name, value in (("kernel_size", kernel), ("dilation", data.draw(st.integers(1, max(1, min(2, widest))))),
                            ("padding", padding), ("stride", data.draw(st.integers(1, 3)))):
            options[name].append(value)
    columns = F.unfold(x, **options)
    agree(columns, definitions.unfold(x.numpy(), **options))
    adjoint(lambda x: F.unfold(x, **options), x)
    size = tuple(x.shape[2:])
    agree(F.fold(columns, size, **options), definitions.fold(columns.numpy(), size, **options))
    adjoint(lambda c: F.fold(c, size, **options), columns)


@given(images(2), st.integers(1, 3))
def test_shuffles_are_inverse(x, r):
    wide = x.repeat(1, r * r, 1, 1)
    assert pydl.equal(F.pixel_unshuffle(F.pixel_shuffle(wide, r), r), wide)
    agree(F.pixel_shuffle(wide, r), definitions.pixel_shuffle(wide.numpy(), r))
    groups = wide.size(1) // x.size(1)
    assert pydl.equal(F.channel_shuffle(F.channel_shuffle(wide, groups), x.size(1)), wide)


@pytest.mark.parametrize("f", [lambda x: F.pad(x, (1, 2, -1, 3), "reflect"), lambda x: F.pixel_shuffle(x, 2),
    lambda x: F.interpolate(x, (9, 3), mode="bicubic")])
def test_the_gradient_of_the_gradient_is_the_operator(f):
    x = pydl.randn(2, 4, 5, 6, dtype=pydl.float64).requires_grad_()
    y = f(x)
    g = pydl.randn(*y.shape, dtype=pydl.float64).requires_grad_()
    (first,) = pydl.autograd.grad(y, x, g, create_graph=True)
    v = pydl.randn(*x.shape, dtype=pydl.float64)
    (second,) = pydl.autograd.grad(first, g, v)
    np.testing.assert_allclose(second.numpy(), f(v).numpy(), rtol=1e-10, atol=1e-12)

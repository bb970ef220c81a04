"""What a row of the operator table cannot say of image operators: memory formats, threads, mistakes."""
from __future__ import annotations

import numpy as np
import pytest
from support import assert_starts_with

import pydl
from pydl.nn import functional as F

GRID = np.random.default_rng(3).uniform(-1.2, 1.2, (3, 5, 6, 2))
OPERATORS = {
    "pad": lambda x: F.pad(x, (1, 2, 0, 3)), "crop": lambda x: F.pad(x, (-1, 2, 0, -2), value=1),
    **{mode: lambda x, mode=mode: F.pad(x, (2, 1, 3, 0), mode) for mode in ("reflect", "replicate", "circular")},
    **{f"{mode}-{size}": lambda x, mode=mode, size=size: F.interpolate(x, size, mode=mode)
        for size in ((3, 15), (17, 4)) for mode in ("nearest", "nearest-exact", "area", "bilinear", "bicubic")},
    **{f"grid-{mode}": lambda x, mode=mode: F.grid_sample(x, pydl.from_numpy(GRID).to(x.dtype), mode,
        align_corners=False) for mode in ("nearest", "bilinear", "bicubic")},
    "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2), "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "channel_shuffle": lambda x: F.channel_shuffle(x, 4),
}


def forward_backward(f, x, seed=0):
    x = x.detach().requires_grad_()
    y = f(x)
    g = pydl.from_numpy(np.random.default_rng(seed).normal(size=tuple(y.shape))).to(x.dtype)
    y.backward(g)
    return y.detach(), x.grad


@pytest.mark.parametrize("name", OPERATORS)
def test_channels_last_stays(name):
    x = pydl.from_numpy(np.random.default_rng(1).normal(size=(3, 8, 6, 8)))
    want = forward_backward(OPERATORS[name], x)
    got = forward_backward(OPERATORS[name], x.contiguous(memory_format=pydl.channels_last))
    assert got[0].is_contiguous(memory_format=pydl.channels_last) and want[0].is_contiguous()
    for a, b in zip(got, want):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [*OPERATORS, "unfold", "fold"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_same_bits_for_any_number_of_threads(name, channels_last, threads):
    f = {**OPERATORS, "unfold": lambda x: F.unfold(x, 3, padding=1),
        "fold": lambda x: F.fold(x.flatten(2), (13, 13), 2)}
    x = pydl.from_numpy(np.random.default_rng(1).normal(size=(3, 64, 12, 12)).astype(np.float32))
    if channels_last:
        x = x.contiguous(memory_format=pydl.channels_last)
    found = []
    for n in (1, 2, 3):
        threads(n)
        found.append([t.numpy() for t in forward_backward(f[name], x)])
    assert all(np.array_equal(a, b) for other in found[1:] for a, b in zip(found[0], other))


def test_second_derivatives_in_channels_last():
    x = pydl.randn(1, 3, 3, 4, dtype=pydl.float64).contiguous(memory_format=pydl.channels_last).requires_grad_()
    grid = (pydl.rand(1, 2, 2, 2, dtype=pydl.float64) * 1.6 - 0.8).requires_grad_()
    assert pydl.autograd.gradgradcheck(lambda x, g: F.grid_sample(x, g, "bicubic", align_corners=True), (x, grid))


def test_points_that_are_no_numbers():
    """Infinitely far points read nothing; NaN shows in the result, except that no pixel is the nearest to it."""
    grid = pydl.tensor([[[[float("nan"), 0.0], [float("inf"), 0.0], [0.0, 0.0]]]])
    for mode in ("bilinear", "nearest", "bicubic"):
        y = F.grid_sample(pydl.ones(1, 1, 3, 3), grid, mode, align_corners=True)
        assert y[0, 0, 0, 1:].tolist() == [0, 1]
        assert y[0, 0, 0, 0].isnan() if mode != "nearest" else y[0, 0, 0, 0] == 0


def test_channel_shuffle_is_never_an_alias():
    for groups in (1, 2):
        x = pydl.zeros(1, 2, 1, 1)
        F.channel_shuffle(x, groups).add_(1)
        assert x.flatten().tolist() == [0, 0]


@pytest.mark.parametrize(("call", "error", "op"), [
    (lambda x: F.pad(x, (1, 2, 3)), RuntimeError, "pad"), (lambda x: F.pad(x, (-3, -3)), pydl.ShapeError, "pad"),
    (lambda x: F.pad(x, (4, 0, 0, 0), "reflect"), pydl.ShapeError, "pad"),
    (lambda x: F.pad(x, (5, 0, 0, 0), "circular"), pydl.ShapeError, "pad"),
    (lambda x: F.pad(x, (1, 1), "mirror"), NotImplementedError, "pad"),
    (lambda x: F.pad(x, (1, 1), "reflect", 2.0), RuntimeError, "pad"),
    (lambda x: F.interpolate(x, (2, 2), mode="linear"), NotImplementedError, "interpolate"),
    (lambda x: F.interpolate(x, (0, 2)), pydl.ShapeError, "interpolate"),
    (lambda x: F.interpolate(x, (2, 2, 2)), ValueError, "interpolate"),
    (lambda x: F.interpolate(x, 2, mode="nearest", antialias=True), ValueError, "interpolate"),
    (lambda x: F.interpolate(x.long(), 2, mode="bilinear"), RuntimeError, "interpolate"),
    (lambda x: F.pixel_shuffle(x, 3), pydl.ShapeError, "pixel_shuffle"),
    (lambda x: F.pixel_unshuffle(x, 3), pydl.ShapeError, "pixel_unshuffle"),
    (lambda x: F.channel_shuffle(x, 3), pydl.ShapeError, "channel_shuffle"),
    (lambda x: F.unfold(x, 5), pydl.ShapeError, "unfold"), (lambda x: F.unfold(x, 2, stride=0), RuntimeError, "unfold"),
    (lambda x: F.fold(x.flatten(2), 3, 2), pydl.ShapeError, "fold"),
    (lambda x: F.grid_sample(x, pydl.zeros(1, 2, 2, 2), align_corners=True), pydl.ShapeError, "grid_sample"),
    (lambda x: F.grid_sample(x, pydl.zeros(2, 2, 2, 2).double(), align_corners=True), RuntimeError, "grid_sample"),
    (lambda x: F.grid_sample(x, pydl.zeros(2, 2, 2, 2), "cubic", align_corners=True), ValueError, "grid_sample"),
])
def test_mistakes(call, error, op):
    with pytest.raises(error) as caught:
        call(pydl.zeros(2, 4, 4, 4))
    assert_starts_with(caught.value, op)

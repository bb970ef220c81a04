"""Convolution: memory formats, errors, and Winograd's algorithm against the direct one."""
from __future__ import annotations

import numpy as np
import pytest

import pydl
from pydl.nn import functional as F


@pytest.fixture
def no_winograd():
    pydl.backends.winograd = False
    yield
    pydl.backends.winograd = True


def draw(*shape: int, seed: int = 0, dtype: str = "float32") -> pydl.Tensor:
    return pydl.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(dtype)).clone()


# ---- Memory --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("format", [pydl.contiguous_format, pydl.channels_last], ids=str)
def test_results_are_channels_last_and_parameters_contiguous(format):
    x = draw(2, 20, 9, 8).contiguous(memory_format=format).requires_grad_()
    w, b = draw(18, 20, 3, 3).requires_grad_(), draw(18).requires_grad_()
    y = F.conv2d(x, w, b, padding=1)
    y.sum().backward()
    assert y.is_contiguous(memory_format=pydl.channels_last) and not y.is_contiguous()
    assert x.grad.is_contiguous(memory_format=pydl.channels_last)
    assert w.grad.is_contiguous() and b.grad.is_contiguous()


@pytest.mark.parametrize("channels", [3, 24, 64])
@pytest.mark.parametrize("groups", [1, 3, 24])
def test_format_of_the_input_does_not_change_a_bit(channels, groups):
    channels = channels // groups * groups or groups
    x, w = draw(2, channels, 13, 12), draw(2 * channels, channels // groups, 3, 3)
    last = x.contiguous(memory_format=pydl.channels_last)
    assert np.array_equal(F.conv2d(x, w, padding=1, groups=groups).numpy(),
                          F.conv2d(last, w, padding=1, groups=groups).numpy())


def test_inputs_with_gaps_and_overlaps():
    w = draw(5, 4, 3, 3)
    wide = draw(2, 8, 9, 20)
    for x in (wide[:, ::2, 1:, 3:17:2], wide[:, :4].flip(2), wide[:1, :1].expand(3, 4, 9, 20), wide.mT[:, 2:6]):
        assert np.array_equal(F.conv2d(x, w).numpy(), F.conv2d(x.clone().contiguous(), w).numpy())


# ---- Winograd ------------------------------------------------------------------------------------------------------
SHAPES = [(1, 64, 64, 56, 56), (2, 32, 33, 9, 30), (1, 256, 64, 14, 14), (4, 512, 40, 7, 7), (1, 70, 100, 23, 17)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_winograd_is_accurate(shape):
    """max |error| <= 2e-5 max |y| for unit-variance data and He-scaled weights, forward and backward."""
    n, c, o, height, width = shape
    x, w = draw(n, c, height, width), draw(o, c, 3, 3, seed=1) * (2 / (9 * c)) ** 0.5
    b, g = draw(o, seed=2), draw(n, o, height, width, seed=3)

    def run(*tensors: pydl.Tensor) -> list[np.ndarray]:
        x, w, b, g = (t.detach().requires_grad_() for t in tensors)
        y = F.conv2d(x, w, b, padding=1)
        return [t.detach().numpy() for t in (y, *pydl.autograd.grad(y, (x, w, b), g))]

    got = run(x, w, b, g)
    pydl.backends.winograd = False
    want = run(*(t.double() for t in (x, w, b, g)))
    pydl.backends.winograd = True
    for result, exact in zip(got, want):
        assert np.abs(result - exact).max() <= 2e-5 * np.abs(exact).max()


def test_winograd_can_be_switched_off(no_winograd):
    x, w = draw(1, 64, 30, 30), draw(64, 64, 3, 3, seed=1)
    direct = F.conv2d(x, w).numpy()
    pydl.backends.winograd = True
    assert pydl.backends.winograd and not np.array_equal(direct, F.conv2d(x, w).numpy())
    pydl.backends.winograd = False
    assert np.array_equal(direct, F.conv2d(x, w).numpy())


# ---- Errors --------------------------------------------------------------------------------------------------------
X, W = (1, 4, 5, 5), (6, 4, 3, 3)
WRONG = [
    # (shapes of input and weight, keywords, exception, words of the message)
    (X, (6, 4, 7, 7), {}, pydl.ShapeError, ("7", "5")),
    (X, (6, 4, 3, 3), {"dilation": 3}, pydl.ShapeError, ("spans 7", "5")),
    (X, (6, 3, 3, 3), {}, pydl.ShapeError, ("3 channels", "4")),
    (X, (5, 2, 3, 3), {"groups": 2}, pydl.ShapeError, ("5", "groups=2")),
    (X, (6, 2, 3, 3), {"groups": 3}, pydl.ShapeError, ("6 channels", "got 4")),
    (X, W, {"groups": 0}, RuntimeError, ("groups", "got 0")),
    (X, W, {"stride": 0}, RuntimeError, ("stride", "0")),
    (X, W, {"padding": -1}, RuntimeError, ("padding", "-1")),
    (X, W, {"padding": (1, 2, 3)}, pydl.ShapeError, ("padding", "[1, 2, 3]")),
    (X, W, {"padding": "same", "stride": 2}, RuntimeError, ("same", "stride=1")),
    (X, W, {"padding": "full"}, RuntimeError, ("'full'",)),
    (X, W, {"bias": (5,)}, pydl.ShapeError, ("[6]", "[5]")),
    ((5, 5), W, {}, pydl.ShapeError, ("3 (unbatched) or 4",)),
    (X, (6, 4, 3), {}, pydl.ShapeError, ("weight of 4 dimensions",)),
    (X, (0, 4, 3, 3), {}, pydl.ShapeError, ("at least one filter",)),
    ((1, 4, 0, 5), W, {}, pydl.ShapeError, ("3", "0")),
]


@pytest.mark.parametrize(("x", "w", "kwargs", "error", "words"), WRONG)
def test_errors(x, w, kwargs, error, words):
    kwargs = {k: draw(*v) if k == "bias" else v for k, v in kwargs.items()}
    with pytest.raises(error) as caught:
        F.conv2d(draw(*x), draw(*w), **kwargs)
    assert str(caught.value).startswith("conv2d: expected ") and all(word in str(caught.value) for word in words)


def test_errors_of_transposed():
    w = draw(4, 6, 3, 3)
    for kwargs, error, word in (({"output_padding": 1}, RuntimeError, "output_padding"),
                                ({"padding": 6}, pydl.ShapeError, "output of at least 1")):
        with pytest.raises(error, match=f"conv_transpose2d: expected .*{word}"):
            F.conv_transpose2d(draw(*X), w, **kwargs)
    with pytest.raises(pydl.ShapeError, match="4 channels"):
        F.conv_transpose2d(draw(1, 3, 5, 5), w)


def test_dtypes():
    with pytest.raises(RuntimeError, match="floating point"):
        F.conv2d(draw(*X).long(), draw(*W).long())
    with pytest.raises(RuntimeError, match="one dtype"):
        F.conv2d(draw(*X), draw(*W).double())


# ---- Packed weights ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("channels", "groups", "size"), [(5, 1, 3), (64, 1, 3), (24, 24, 3), (6, 2, 2)])
def test_kept_weights_follow_every_write(channels, groups, size):
    x, w = draw(1, channels, 12, 12), draw(channels, channels // groups, size, size)
    ones = pydl.ones_like(w)

    def fresh() -> np.ndarray:
        return F.conv2d(x, w.clone(), groups=groups).numpy()

    with pydl.no_grad():
        writes = (lambda: None, lambda: w.mul_(2), lambda: w[0].zero_(), lambda: w.copy_(ones), lambda: w.add_(ones))
        for change in writes:
            change()
            for _ in range(2):
                assert np.array_equal(F.conv2d(x, w, groups=groups).numpy(), fresh())
        memory = w.numpy()
        memory[:] = 3  # a write that no version counts
        assert np.array_equal(F.conv2d(x, w, groups=groups).numpy(), fresh())


def test_views_of_one_storage_are_kept_apart():
    x, bank = draw(1, 6, 9, 9), draw(3, 8, 6, 3, 3)
    with pydl.no_grad():
        for _ in range(2):
            for w in bank:
                assert np.array_equal(F.conv2d(x, w).numpy(), F.conv2d(x, w.clone()).numpy())
            for stride in (1, 2):
                args = {"stride": stride, "padding": 1}
                assert np.array_equal(F.conv_transpose2d(draw(1, 8, 5, 5), bank[0], **args).numpy(),
                                      F.conv_transpose2d(draw(1, 8, 5, 5), bank[0].clone(), **args).numpy())

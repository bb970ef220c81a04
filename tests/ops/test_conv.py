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


# ---- Roads of their own --------------------------------------------------------------------------------------------
ROADS = [
    # (input, filters, kernel, keywords)
    ((2, 3, 40, 37), 20, (3, 3), {"padding": 1}),
    ((1, 3, 37, 61), 33, (7, 7), {"stride": 2, "padding": 3}),
    ((9, 1, 11, 12), 8, (5, 5), {"padding": (2, 0), "stride": (1, 3)}),
    ((2, 4, 19, 30), 24, (2, 5), {"dilation": (3, 2), "padding": (4, 1)}),
    ((1, 2, 70, 5), 10, (3, 1), {"stride": (4, 2)}),
    ((3, 1, 50), 12, (9,), {"padding": 4}),
    ((2, 24, 13, 12), 48, (3, 3), {"padding": 1, "groups": 24}),
    ((2, 5, 13, 12), 40, (3, 2), {"stride": 2, "groups": 5}),
    ((1, 6, 9, 9), 54, (3, 3), {"dilation": 2, "groups": 6}),
    ((2, 4, 5, 6, 7), 12, (2, 3, 3), {"padding": 1, "groups": 4}),
    ((9, 20, 5, 5), 40, (3, 3), {}),
    ((1, 70, 6, 5), 36, (3, 5), {}),
    ((2, 64, 4, 4), 96, (3, 3), {"groups": 2}),
    ((3, 40, 7, 7), 33, (3, 3), {"stride": 2, "dilation": 2}),
    ((2, 8, 3, 4, 5), 32, (2, 3, 3), {}),
    ((4, 10, 6), 50, (4,), {}),
]


@pytest.mark.parametrize(("shape", "filters", "kernel", "kwargs"), ROADS)
@pytest.mark.parametrize("format", ["contiguous", "channels last"])
def test_roads_of_their_own(shape, filters, kernel, kwargs, format, torch_or_fail):
    """Input gradients of few channels or of filters nearly as large as the image, and a few filters for each channel:
    all three forms, and the transposed."""
    torch, spatial, groups = torch_or_fail, len(kernel), kwargs.get("groups", 1)
    x, w = draw(*shape), draw(filters, shape[1] // groups, *kernel, seed=1)
    b, back = draw(filters, seed=2), draw(shape[1], seed=3)
    name = f"conv{spatial}d"

    def run(lib, dtype, *tensors):
        x, w, b, back = tensors
        y = getattr(lib.nn.functional, name)(x, w, b, **kwargs)
        g = lib.arange(y.numel()).reshape(y.shape).to(dtype).sin()
        if format == "channels last" and spatial == 2:
            g = g.contiguous(memory_format=lib.channels_last)
        first = lib.autograd.grad(y, (x, w, b), g, create_graph=True)
        second = lib.autograd.grad((first[0] ** 2).sum() + (first[1] ** 2).sum(), (x, w))
        transposed = {k: v for k, v in kwargs.items() if k != "output_padding"}
        return [y, *first, *second, getattr(lib.nn.functional, f"conv_transpose{spatial}d")(g, w, back, **transposed)]

    for dtype, tolerance in (("float32", 2e-5), ("float64", 1e-12)):
        ours = [t.detach().to(getattr(pydl, dtype)).clone() for t in (x, w, b, back)]
        if format == "channels last" and spatial == 2:
            ours[0] = ours[0].contiguous(memory_format=pydl.channels_last)
        theirs = [torch.from_numpy(t.numpy().copy()).double().requires_grad_() for t in ours]
        got = run(pydl, getattr(pydl, dtype), *(t.requires_grad_() for t in ours))
        for one, two in zip(got, run(torch, torch.float64, *theirs)):
            exact = two.detach().numpy()
            assert one.shape == exact.shape
            assert np.abs(one.detach().numpy() - exact).max() <= tolerance * np.abs(exact).max()


@pytest.mark.parametrize(("shape", "filters", "kernel", "kwargs"), ROADS)
def test_these_roads_have_the_same_bits_for_any_number_of_threads(shape, filters, kernel, kwargs, threads):
    x, w = draw(*shape), draw(filters, shape[1] // kwargs.get("groups", 1), *kernel, seed=1)
    found = []
    for n in (1, 2, 5):
        threads(n)
        y = getattr(F, f"conv{len(kernel)}d")(x.requires_grad_(), w.requires_grad_(), **kwargs)
        found.append([t.detach().numpy() for t in (y, *pydl.autograd.grad((y ** 2).sum(), (x, w)))])
    for others in found[1:]:
        assert all(np.array_equal(one, two) for one, two in zip(found[0], others))


def test_results_beyond_the_cache(torch_or_fail):
    """8 MiB and more are written past the cache, where pixels are whole cache lines."""
    for channels, filters, groups in ((3, 64, 1), (3, 63, 1), (64, 64, 64), (64, 128, 64)):
        x, w = draw(1, channels, 200, 190), draw(filters, channels // groups, 3, 3, seed=1)
        exact = torch_or_fail.nn.functional.conv2d(*(torch_or_fail.from_numpy(t.numpy()).double() for t in (x, w)),
                                                   padding=1, groups=groups).numpy()
        for image in (x, x.contiguous(memory_format=pydl.channels_last)):
            found = F.conv2d(image, w, padding=1, groups=groups).numpy()
            assert np.abs(found - exact).max() <= 2e-5 * np.abs(exact).max()


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

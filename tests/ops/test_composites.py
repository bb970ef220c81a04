"""Functions that Python composes from operators, against PyTorch: values, dtypes and gradients."""
from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from specs.spec import dtype_name, flat_tensors, to_numpy

import pydl

RNG = np.random.default_rng(3)
X, POINTS, POSITIVE = RNG.standard_normal((4, 5)), RNG.standard_normal((50, 2)), RNG.uniform(1.5, 4, (3, 4))
PARTS = np.array([0.0, -0.0, 1, 0.5, -3, 5, np.nextafter(1, 0), 1e-30, 1e30, np.inf, -np.inf, np.nan])

# Functions of (library, the array as its tensor).
VALUES: dict[str, tuple[Callable[[Any, Any], Any], np.ndarray]] = {
    "gradient": (lambda lib, x: lib.gradient(x), X),
    "gradient-spacing": (lambda lib, x: lib.gradient(x, spacing=(0.5, 2.0)), X),
    "gradient-order": (lambda lib, x: lib.gradient(x, spacing=3, edge_order=2), X),
    "gradient-coordinates": (lambda lib, x: lib.gradient(x, spacing=(lib.tensor([0.0, 1, 3, 4, 9]).double(),), dim=1,
                                                         edge_order=2), X),
    "histogram": (lambda lib, x: tuple(lib.histogram(x, 5)), X),
    "histogram-edges": (lambda lib, x: tuple(lib.histogram(x, lib.tensor([-1.0, 0, 0.5, 2]).double(),
                                                        density=True)), X),
    "histogram-weight": (lambda lib, x: tuple(lib.histogram(x, 4, range=(-1.0, 1.0), weight=x.exp())), X),
    "histogram-constant": (lambda lib, x: tuple(lib.histogram(x, 3)), np.ones(3)),
    "histogramdd": (lambda lib, x: lib.histogramdd(x, bins=[2, 3])[0], POINTS),
    "histogramdd-density": (lambda lib, x: lib.histogramdd(x, bins=4, range=(-1.0, 1, -2, 2), density=True)[0], POINTS),
    "frexp": (lambda lib, x: tuple(lib.frexp(x)), PARTS),
    "frexp-float": (lambda lib, x: tuple(lib.frexp(x.float())), PARTS),
    "angle": (lambda lib, x: lib.angle(x), PARTS),
    "mvlgamma": (lambda lib, x: lib.mvlgamma(x, 3), POSITIVE),
    "polygamma": (lambda lib, x: lib.polygamma(2, x), POSITIVE),
    "multigammaln": (lambda lib, x: lib.special.multigammaln(x, 2), POSITIVE),
    "spherical_bessel_j0": (lambda lib, x: lib.special.spherical_bessel_j0(x), POSITIVE),
    "narrow_copy": (lambda lib, x: lib.narrow_copy(x, 1, 1, 2), X),
    "where-method": (lambda lib, x: x.where(x > 0, x * 2), X),
    "new_tensor": (lambda lib, x: x.new_tensor([1, 2]), X),
    "apply_": (lambda lib, x: x.clone().apply_(lambda v: 2 * v), X),
    "map_": (lambda lib, x: x.clone().map_(x, lambda a, b: a + b), X),
    "unravel_index": (lambda lib, x: lib.unravel_index(lib.tensor([[5, -1], [0, 3]]), (2, 3)), X),
    "nonzero-tuple": (lambda lib, x: lib.nonzero(x > 0, as_tuple=True), X),
    "nonzero-scalar": (lambda lib, x: x[0, 0].nonzero(as_tuple=True), X),
    "range": (lambda lib, x: (lib.range(0, 5, 2), lib.range(5, 0, -1)), X),
    "cumulative_trapezoid": (lambda lib, x: (lib.cumulative_trapezoid(x, x[0]), lib.cumulative_trapezoid(x, x)), X),
    "cumulative_trapezoid-empty": (lambda lib, x: (lib.cumulative_trapezoid(x[:0], dim=0), lib.cumulative_trapezoid(
        x[:, :0], x[0, :0]), lib.cumulative_trapezoid(x[:, :1])), X),
    "cosine_similarity": (lambda lib, x: (lib.cosine_similarity(x, x[0]), lib.cosine_similarity(x, x[0], 0)), X),
    "conv_tbc": (lambda lib, x: lib.conv_tbc(x.reshape(5, 2, 2), x[:3, :4].reshape(3, 2, 2), x[0, :2], 1), X),
    "fftfreq": (lambda lib, x: (lib.fft.fftfreq(5, 0.1), lib.fft.rfftfreq(6)), X),
    "fftshift": (lambda lib, x: (lib.fft.fftshift(x), lib.fft.ifftshift(x, dim=1)), X),
} | {
    f"{name}-{n}-{periodic}": (lambda lib, x, f=name, n=n, p=periodic: getattr(lib, f)(n, p), X)
    for name in ("hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window")
    for n in (0, 1, 8) for periodic in (True, False)
}
SMOOTH = ("gradient", "gradient-coordinates", "mvlgamma", "polygamma", "narrow_copy", "where-method", "conv_tbc")


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str, torch_or_fail):
    function, x = VALUES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = flat_tensors(function(torch_or_fail, torch_or_fail.tensor(x)), torch_or_fail)
    ours = flat_tensors(function(pydl, pydl.tensor(x)), pydl)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert dtype_name(a) == dtype_name(b)
        tolerance = 1e-10 if dtype_name(a) == "float64" else 2e-6
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives(name: str):
    function, x = VALUES[name]
    assert pydl.autograd.gradcheck(lambda t: function(pydl, t), [pydl.tensor(x).requires_grad_()])


def test_as_strided_scatter_writes_a_copy():
    x, src = pydl.zeros(2, 3, requires_grad=True), pydl.ones(2, requires_grad=True)
    y = x.as_strided_scatter(src, (2,), (4,), 1)
    assert y.tolist() == [[0, 1, 0], [0, 0, 1]] and not x.detach().any()
    gx, gs = pydl.autograd.grad((y * pydl.arange(6.0).reshape(2, 3)).sum(), (x, src))
    assert gs.tolist() == [1, 5] and gx.tolist() == [[0, 0, 2], [3, 4, 0]]


# ---- Draws ----------------------------------------------------------------------------------------------------------

COUNT = 100_000


@pytest.mark.parametrize("rate", [0.0, 0.5, 9.9, 10.0, 1000.0])
def test_poisson_has_its_moments(rate: float):
    pydl.manual_seed(0)
    drawn = pydl.poisson(pydl.full((COUNT,), rate, dtype=pydl.float64))
    assert abs(drawn.mean().item() - rate) <= 5 * math.sqrt(rate / COUNT)
    assert drawn.var().item() == pytest.approx(rate, rel=0.03)


@pytest.mark.parametrize(("n", "p"), [(10, 0.3), (100, 0.5), (1000, 0.02), (40, 0.9), (50, 0.0), (50, 1.0)])
def test_binomial_has_its_moments(n: int, p: float):
    pydl.manual_seed(0)
    drawn = pydl.binomial(pydl.full((COUNT,), float(n), dtype=pydl.float64), pydl.tensor(p))
    assert abs(drawn.mean().item() - n * p) <= 5 * math.sqrt(n * p * (1 - p) / COUNT)
    assert drawn.var().item() == pytest.approx(n * p * (1 - p), rel=0.03)
    assert drawn.min().item() >= 0 and drawn.max().item() <= n


def test_filled_draws_have_their_quantiles():
    pydl.manual_seed(0)
    x = pydl.empty(COUNT, dtype=pydl.float64)
    assert x.geometric_(0.3).mean().item() == pytest.approx(1 / 0.3, rel=0.02) and x.min().item() == 1
    assert x.log_normal_(0.5, 0.25).log().std().item() == pytest.approx(0.25, rel=0.02)
    assert x.cauchy_(1, 2).quantile(0.75).item() == pytest.approx(3, rel=0.05)


# ---- Names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [lambda: pydl.stft(pydl.ones(8), 4), lambda: pydl.polar(pydl.ones(1), pydl.ones(1)),
    lambda: pydl.fft.rfft(pydl.ones(4)), lambda: pydl.view_as_real(pydl.ones(2))])
def test_complex_functions_say_so(call: Callable[[], Any]):
    with pytest.raises(NotImplementedError, match="complex dtypes are reserved"):
        call()


def test_real_tensors_are_their_own_conjugates():
    x = pydl.ones(2, 3)
    assert x.conj() is x and x.real is x and pydl.resolve_neg(x) is x
    assert not (pydl.is_complex(x) or x.is_conj() or x.is_sparse or x.is_quantized)
    with pytest.raises(RuntimeError):
        pydl.imag(x)


def test_settings_are_kept():
    assert pydl.get_float32_matmul_precision() == "highest"
    pydl.set_float32_matmul_precision("high")
    assert pydl.get_float32_matmul_precision() == "high"
    pydl.set_float32_matmul_precision("highest")
    pydl.use_deterministic_algorithms(True)
    assert pydl.are_deterministic_algorithms_enabled()
    pydl.use_deterministic_algorithms(False)
    with pytest.raises(RuntimeError):
        pydl.set_float32_matmul_precision("low")


# ---- pydl.testing ----------------------------------------------------------------------------------------------------

SAME = [(pydl.ones(3), pydl.ones(3) + 1e-6), (1.0, 1.0 + 1e-9), ([1, 2], (1, 2)), (None, None),
    ({"a": pydl.zeros(2)}, {"a": pydl.zeros(2)}), (np.ones(2), np.ones(2)), (pydl.zeros(0), pydl.zeros(0))]
DIFFERENT = [(pydl.ones(3), pydl.tensor([1, 1.1, 1])), (pydl.ones(2), pydl.ones(3)),
    (pydl.ones(2), pydl.ones(2).double()), (1, 2), ([1, 2], [1, 3]), ({"a": 1}, {"b": 1}), (None, 1),
    (pydl.tensor(math.nan), pydl.tensor(math.nan))]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_assert_close_passes(a: Any, b: Any):
    pydl.testing.assert_close(a, b)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_assert_close_objects(a: Any, b: Any):
    with pytest.raises(AssertionError, match="^assert_close: expected"):
        pydl.testing.assert_close(a, b)


def test_assert_close_options():
    pydl.testing.assert_close(pydl.ones(2), pydl.ones(2).double(), check_dtype=False)
    pydl.testing.assert_close(pydl.tensor(math.nan), pydl.tensor(math.nan), equal_nan=True)
    pydl.testing.assert_close(pydl.tensor(1.0), pydl.tensor(1.5), rtol=0, atol=0.5)
    with pytest.raises(ValueError):
        pydl.testing.assert_close(1, 1, rtol=1)
    with pytest.raises(AssertionError, match="^mine$"):
        pydl.testing.assert_close(1, 2, msg="mine")


def test_make_tensor_keeps_its_range():
    x = pydl.testing.make_tensor((20, 30), dtype=pydl.float32, low=-2, high=3, noncontiguous=True, requires_grad=True)
    assert x.shape == (20, 30) and not x.is_contiguous() and x.requires_grad
    assert -2 <= x.min().item() and x.max().item() < 3
    assert pydl.testing.make_tensor(100, dtype=pydl.int64, low=0, high=2, exclude_zero=True).min().item() == 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_nextafter_of_halves(dtype: str, torch_or_fail):
    values = [0.0, -0.0, 1.0, -1.0, 1.5, 65504.0, math.inf, -math.inf, math.nan, 2.0**-24, -(2.0**-24), 3e-5]
    bits = []
    for lib in (pydl, torch_or_fail):
        x = lib.tensor(values, dtype=getattr(lib, dtype))
        y = lib.nextafter(x[:, None], x)
        bits.append(lib.where(y.isnan(), lib.full_like(y, 7), y).view(lib.int16).tolist())
        out = lib.empty(0, dtype=y.dtype)
        assert lib.nextafter(x[:, None], x, out=out) is out and out.isnan().equal(y.isnan())
        z = x.clone()
        z.nextafter_(x.flip(0))
        assert z.nan_to_num().equal(lib.nextafter(x, x.flip(0)).nan_to_num())
    assert bits[0] == bits[1]


def test_scatter_a_number_with_a_reduction(torch_or_fail):
    found = []
    for lib in (pydl, torch_or_fail):
        x, at = lib.arange(6.0).reshape(2, 3), lib.tensor([[0, 1, 1], [0, 0, 1]])
        found += [[x.scatter(0, at, 2.0, reduce="multiply").tolist(), x.scatter(1, at, 3, reduce="add").tolist(),
            x.clone().scatter_(0, at, 5.0, reduce="add").tolist(), lib.scatter(x, 0, at, 2.0, reduce="add").tolist()]]
        with pytest.raises(RuntimeError):
            x.scatter_(0, at, 2.0, reduce="mean")
    assert found[0] == found[1]


def test_einsum_by_lists_of_subscripts(torch_or_fail):
    found = []
    for lib in (pydl, torch_or_fail):
        a, b = lib.arange(6.0).reshape(2, 3), lib.arange(24.0).reshape(2, 3, 4)
        found.append([lib.einsum(*call).tolist() for call in ((a, [0, 1], b, [0, 1, 2], [2, 0]), (a, (1, 0)),
            (a, [0, 1], b, [0, 1, 2]), (a, [..., 0], [0, ...]), (a, [26, 25]), (a, [0, 1], []),
            (a, [0, 51], b, [0, 51, 3]), (a, lib.tensor([1, 0])))])
        for call in ((a, [52, 0]), (a, [0, -1]), (a,)):
            with pytest.raises(ValueError):
                lib.einsum(*call)
    assert found[0] == found[1]
    with pytest.raises(TypeError, match="einsum: expected subscripts to be integers"):
        pydl.einsum(pydl.ones(2, 2), [0, 1], pydl.ones(2, 2))


def test_combinations_of_many():
    x = pydl.arange(1500)
    pairs = pydl.combinations(x)  # more indices than are passed at once
    first, second = np.triu_indices(1500, 1)
    assert (pairs[:, 0].numpy() == first).all() and (pairs[:, 1].numpy() == second).all()
    for r in (5, 50):
        with pytest.raises((pydl.OutOfMemoryError, pydl.ShapeError)):
            pydl.combinations(pydl.arange(4096), r)


def test_kthvalue_of_nothing(torch_or_fail):
    for lib in (pydl, torch_or_fail):
        with pytest.raises(IndexError):
            lib.empty(3, 0).kthvalue(1)
        assert lib.empty(3, 0).kthvalue(2, 0).values.shape == (0,)


@pytest.mark.parametrize("call", [lambda lib, x: lib.norm(x[0], "nuc"), lambda lib, x: x[0].norm("nuc"),
    lambda lib, x: lib.norm(x, "nuc", dim=(1, 2), keepdim=True), lambda lib, x: lib.norm(x, "nuc", (0, 2)),
    lambda lib, x: lib.norm(x, "fro", (0, 2)), lambda lib, x: lib.norm(x), lambda lib, x: x.norm(p=None, dim=1),
    lambda lib, x: lib.norm(x, 1, 1, True), lambda lib, x: lib.norm(x, dtype=lib.float64)])
def test_norm_by_name(call, torch_or_fail):
    values = np.random.default_rng(2).standard_normal((2, 3, 4))
    ours, theirs = call(pydl, pydl.from_numpy(values)), call(torch_or_fail, torch_or_fail.from_numpy(values))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12)


@pytest.mark.parametrize("call", [lambda lib: lib.norm(lib.ones(2, 2, 2), "nuc"),
    lambda lib: lib.norm(lib.ones(2), "x")])
def test_norm_by_a_wrong_name(call, torch_or_fail):
    for lib in (pydl, torch_or_fail):
        with pytest.raises(RuntimeError):
            call(lib)

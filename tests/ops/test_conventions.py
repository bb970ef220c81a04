"""Where mathematics leaves a choice, the choice is PyTorch's: gradients at kinks and ties, NaN, -0.0, empty input."""
from __future__ import annotations

import math

import numpy as np
import pytest
from specs.spec import to_numpy

import pydl

INF, NAN = math.inf, math.nan


def both(torch, f):
    return f(pydl), f(torch)


def same(a, b) -> bool:
    x, y = to_numpy(a), to_numpy(b)
    return x.shape == y.shape and bool((((x == y) & (np.signbit(x) == np.signbit(y)))
        | (np.isnan(x) & np.isnan(y))).all()) if x.dtype.kind == "f" else np.array_equal(x, y)


KINKS = {"relu": [0.0, -0.0, NAN], "abs": [0.0, -0.0], "sign": [0.0], "clamp": [-1.0, 1.0, 2.0], "floor": [1.0],
    "nn.functional.relu6": [0.0, 6.0], "nn.functional.hardtanh": [-1.0, 1.0], "nn.functional.leaky_relu": [0.0],
    "nn.functional.elu": [0.0], "nn.functional.hardswish": [-3.0, 3.0], "nn.functional.hardsigmoid": [-3.0, 3.0],
    "nn.functional.softshrink": [0.5, -0.5], "nn.functional.hardshrink": [0.5, -0.5], "sqrt": [0.0, -1.0],
    "log": [0.0, -1.0], "rsqrt": [0.0], "reciprocal": [0.0], "sinc": [0.0], "tanh": [INF, -INF, 100.0],
    "sigmoid": [INF, -INF, 100.0, -100.0], "exp": [-INF, 88.0, 100.0], "erf": [INF], "nn.functional.softplus": [20.0,
    21.0, -100.0], "nn.functional.gelu": [20.0, -20.0], "nn.functional.silu": [100.0, -100.0], "logit": [0.0, 1.0],
    "nan_to_num": [NAN, INF, -INF, 1.0],}


@pytest.mark.parametrize("name", KINKS)
def test_values_and_gradients_at_kinks(name: str, torch_or_fail):
    def f(lib):
        x = lib.tensor(KINKS[name], requires_grad=True)
        root = lib
        for word in name.split("."):
            root = getattr(root, word)
        y = root(x, -1.0, 1.0) if name == "clamp" else root(x)
        y.sum().backward()
        return y, x.grad
    ours, theirs = both(torch_or_fail, f)
    for a, b in zip(ours, theirs):
        assert to_numpy(a) == pytest.approx(to_numpy(b), rel=1e-5, abs=1e-30, nan_ok=True)


TIES = {"max": lambda x: x.max(), "min": lambda x: x.min(), "amax": lambda x: x.amax(1), "amin": lambda x: x.amin(0),
    "max_dim": lambda x: x.max(1)[0], "min_dim": lambda x: x.min(0)[0], "median": lambda x: x.median(),
    "cummax": lambda x: x.cummax(1)[0], "maximum": lambda x: x.maximum(x.flip(1)),
    "minimum": lambda x: x.minimum(x.flip(0)), "sort": lambda x: x.sort(stable=True, dim=1)[0],
    "prod_zero": lambda x: (x - 1).prod(1), "norm_zero": lambda x: (x * 0).norm(),
    "norm_zero_dim": lambda x: (x * 0).norm(dim=1), "norm_inf": lambda x: x.norm(p=INF),
    "std_zero": lambda x: (x * 0).std(1), "fmax": lambda x: x.fmax(x * 1), "clamp_tensor": lambda x: x.clamp(x.detach(),
    x.detach() + 1), "abs_zero": lambda x: (x * 0).abs(), "topk": lambda x: x.topk(4, 1)[0].sum(1),
    "pow_zero": lambda x: (x - 1) ** 2, "pow_zero_tensor": lambda x: (x - 1) ** x, "xlogy": lambda x: (x - 1).xlogy(x),
    "cumprod": lambda x: (x - 1).cumprod(1), "dist": lambda x: x.dist(x.detach()),}


@pytest.mark.parametrize("name", TIES)
def test_gradients_at_ties(name: str, torch_or_fail):
    def f(lib):
        x = lib.tensor([[1.0, 2.0, 2.0, 1.0], [3.0, 3.0, 1.0, 2.0]], requires_grad=True)
        TIES[name](x).sum().backward()
        return x.grad
    ours, theirs = both(torch_or_fail, f)
    assert to_numpy(ours) == pytest.approx(to_numpy(theirs), rel=1e-5, nan_ok=True)


SPECIAL = [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 2.5, -2.5]
PAIRED = ("add", "sub", "mul", "div", "maximum", "minimum", "fmax", "fmin", "pow", "fmod", "remainder", "atan2",
    "copysign", "hypot", "lt", "le", "eq", "ne", "floor_divide", "logaddexp", "xlogy", "heaviside", "nextafter",
    "isclose")


@pytest.mark.parametrize("name", PAIRED)
def test_special_values_of_pairs(name: str, torch_or_fail):
    def f(lib):
        x = lib.tensor(SPECIAL)
        return getattr(lib, name)(x[:, None], x[None, :])
    ours, theirs = both(torch_or_fail, f)
    assert same(ours, theirs) or to_numpy(ours) == pytest.approx(to_numpy(theirs), rel=1e-6, nan_ok=True)


REDUCED = {"max": lambda x: x.max(1), "min": lambda x: x.min(1), "amax": lambda x: x.amax(1),
    "argmax": lambda x: x.argmax(1), "argmin": lambda x: x.argmin(1), "sum": lambda x: x.sum(1),
    "mean": lambda x: x.mean(1), "softmax": lambda x: x.softmax(1), "log_softmax": lambda x: x.log_softmax(1),
    "logsumexp": lambda x: x.logsumexp(1), "sort": lambda x: x.sort(stable=True, dim=1),
    "median": lambda x: x.median(1)[0], "nanmedian": lambda x: x.nanmedian(1)[0], "cumsum": lambda x: x.cumsum(1),
    "cummax": lambda x: x.cummax(1), "topk": lambda x: x.topk(3, 1)[0], "var": lambda x: x.var(1),
    "any": lambda x: x.any(1), "all": lambda x: x.all(1), "unique": lambda x: x[:5].unique(),
    "norm": lambda x: x.norm(dim=1), "prod": lambda x: x.prod(1), "nansum": lambda x: x.nansum(1),
    "count": lambda x: x.count_nonzero(1),}
ROWS = [[1.0, NAN, 2.0, 3.0], [INF, 1.0, INF, 2.0], [-INF, -INF, -INF, -INF], [INF, -INF, 0.0, 1.0],
    [-0.0, 0.0, -0.0, 0.0], [NAN, NAN, NAN, NAN], [1e30, 1e30, -1e30, 1.0]]


@pytest.mark.parametrize("name", REDUCED)
def test_special_values_of_rows(name: str, torch_or_fail):
    ours, theirs = both(torch_or_fail, lambda lib: REDUCED[name](lib.tensor(ROWS)))
    for a, b in zip(*((r if isinstance(r, tuple) else (r,)) for r in (ours, theirs))):
        assert to_numpy(a).astype(float) == pytest.approx(to_numpy(b).astype(float), rel=1e-6, nan_ok=True)


EMPTY = {"sum": lambda lib, x: x.sum(), "sum_dim": lambda lib, x: x.sum(0), "prod": lambda lib, x: x.prod(),
    "mean": lambda lib, x: x.mean(), "all": lambda lib, x: x.all(), "any": lambda lib, x: x.any(), "norm": lambda lib,
    x: x.norm(), "var": lambda lib, x: x.var(), "matmul": lambda lib, x: x.t() @ x, "matmul_out": lambda lib,
    x: x @ x.t(), "softmax": lambda lib, x: x.softmax(0), "sort": lambda lib, x: x.sort(0)[0], "cumsum": lambda lib,
    x: x.cumsum(0), "unique": lambda lib, x: x.unique(), "nonzero": lambda lib, x: x.nonzero(), "cat": lambda lib,
    x: lib.cat([x, x]), "logsumexp": lambda lib, x: x.logsumexp(0), "max_over_other": lambda lib, x: x.amax(1),
    "linear": lambda lib, x: lib.nn.functional.linear(x, lib.ones(2, 3)), "layer_norm": lambda lib,
    x: lib.nn.functional.layer_norm(x, (3,)), "mse": lambda lib, x: lib.nn.functional.mse_loss(x, x),
    "cross_entropy": lambda lib, x: lib.nn.functional.cross_entropy(x, lib.zeros(0, dtype=lib.int64)),
    "index": lambda lib, x: x[lib.zeros(0, dtype=lib.int64)], "gather": lambda lib,
    x: x.gather(0, lib.zeros(0, 3, dtype=lib.int64)), "repeat": lambda lib, x: x.repeat(2, 2), "flip": lambda lib,
    x: x.flip(0), "roll": lambda lib, x: x.roll(1, 0), "tril": lambda lib, x: x.tril(), "einsum": lambda lib,
    x: lib.einsum("ij,ij->", x, x), "expand": lambda lib, x: x.expand(2, 0, 3),}


@pytest.mark.parametrize("name", EMPTY)
def test_empty(name: str, torch_or_fail):
    ours, theirs = both(torch_or_fail, lambda lib: EMPTY[name](lib, lib.zeros(0, 3)))
    assert same(ours, theirs)


def test_beta_zero_does_not_read():
    """With beta = 0 the accumulator may hold NaN, as BLAS has it."""
    bad = pydl.full((2, 2), NAN)
    assert pydl.addmm(bad, pydl.ones(2, 3), pydl.ones(3, 2), beta=0).tolist() == [[3, 3], [3, 3]]
    assert pydl.baddbmm(bad[None], pydl.ones(1, 2, 3), pydl.ones(1, 3, 2), beta=0).tolist() == [[[3, 3], [3, 3]]]


def test_nan_and_infinity_travel_through_products():
    x = pydl.ones(17, 33)
    x[3, 5] = NAN
    y = x @ pydl.zeros(33, 9)
    assert y[3].isnan().all() and y.isnan().sum() == 9
    x[3, 5] = INF
    assert (x @ pydl.ones(33, 9))[3].isinf().all()


def test_integers_wrap_and_divide_towards_minus_infinity():
    assert (pydl.tensor([127], dtype=pydl.int8) + 1).tolist() == [-128]
    assert (pydl.tensor([0], dtype=pydl.uint8) - 1).tolist() == [255]
    assert (pydl.tensor([-7, 7]) // 2).tolist() == [-4, 3] and (pydl.tensor([-7, 7]) % 3).tolist() == [2, 1]
    assert pydl.div(pydl.tensor([-7]), 2,
        rounding_mode="trunc").tolist() == [-3] and pydl.tensor([-7]).fmod(3).tolist() == [-1]
    assert pydl.tensor([-(2**63)]).abs().tolist() == [-(2**63)]
    assert (pydl.tensor([2, 3]) ** 3).tolist() == [8, 27]


def test_long_sums_are_accurate():
    """Partial sums keep the error at a few eps where adding one after another would lose digits."""
    x = pydl.full((1 << 22,), 0.1)
    want = float(np.float32(0.1)) * (1 << 22)
    assert abs(x.sum().item() - want) / want < 4 * 2.0**-23
    assert abs(x.mean().item() - 0.1) < 4e-8
    assert abs((pydl.full((1 << 20,), 1000.0) + pydl.arange(1 << 20) % 2).var().item() - 0.25) < 1e-5


def test_gradients_of_products_with_zeros(torch_or_fail):
    """PyTorch's, where a factor or several of a group are zero."""
    for include_self in (True, False):
        for source in ([0.0, 3.0, 5.0, 2.0, 0.0, 0.0], [1.0, 0.0, 5.0, 2.0, 4.0, 3.0]):
            grads = []
            for lib in (pydl, torch_or_fail):
                x = lib.tensor([0.0, 2.0, 0.0, 3.0], requires_grad=True)
                src = lib.tensor(source, requires_grad=True)
                at = lib.tensor([0, 1, 2, 3, 3, 3])
                y = lib.scatter_reduce(x, 0, at, src, "prod", include_self=include_self)
                (y * lib.arange(1.0, 5.0)).sum().backward()
                grads.append((x.grad.tolist(), src.grad.tolist()))
            assert grads[0] == grads[1]


def test_any_and_all_over_no_dimension(torch_or_fail):
    for dtype in ("float32", "bool", "uint8"):
        for name in ("any", "all"):
            ours, theirs = (getattr(lib, name)(lib.tensor([[0, 1], [1, 0]], dtype=getattr(lib, dtype)), dim=())
                            for lib in (pydl, torch_or_fail))
            assert ours.tolist() == theirs.tolist() and str(ours.dtype)[5:] == str(theirs.dtype)[6:]


def test_variance_with_mean_takes_unbiased():
    x = pydl.randn(3, 4)
    for dims in ((), (1,)):
        for unbiased in (True, False):
            for both, alone in ((pydl.var_mean, pydl.var), (pydl.std_mean, pydl.std)):
                first, mean = both(x, *dims, unbiased)
                assert pydl.allclose(first, alone(x, *dims, unbiased)) and pydl.allclose(mean, x.mean(*dims))
    assert pydl.std_mean(x, 1, True, True)[0].shape == (3, 1)


def test_float_is_float64_as_a_dtype():
    assert pydl.zeros(2, dtype=float).dtype == pydl.ones(2).to(float).dtype == pydl.float64


def test_values_of_one_element_more_dimensions_are_assigned():
    y = pydl.zeros(5)
    y[pydl.tensor([0, 1])] = pydl.full((1, 2), 3.0)
    y[y == 0] = pydl.full((1, 1, 3), 4.0)
    y[4].fill_(pydl.tensor(7))
    assert y.tolist() == [3, 3, 4, 4, 7]


def test_the_only_result_of_a_number_is_itself():
    assert [t.item() for t in pydl.tensor(3.0).topk(0)] == [3, 0]


def test_slices_with_steps_beyond_the_end():
    assert pydl.arange(3)[:: 2**63 - 1].tolist() == [0] and pydl.arange(3)[1 :: 2**62].tolist() == [1]


def test_uint8_classes():
    scores, classes = pydl.randn(3, 4), pydl.tensor([0, 3, 1])
    for loss in (pydl.nn.functional.cross_entropy, pydl.nn.functional.nll_loss):
        assert pydl.equal(loss(scores, classes.to(pydl.uint8)), loss(scores, classes))


# ---- Two windows of one memory ---------------------------------------------------------------------------------------

WINDOWS = {"left and right": lambda x: (x[:, :3], x[:, 3:]), "even and odd columns": lambda x: (x[:, ::2], x[:, 1::2]),
    "even and odd rows": lambda x: (x[::2], x[1::2]), "a column and all": lambda x: (x[:, :5], x[:, 5:]),
    "channels": lambda x: (x.view(4, 2, 3)[:, :1], x.view(4, 2, 3)[:, 1:]), "corners": lambda x: (x[:2, :3], x[2:, 3:]),
    "turned": lambda x: (x[:2, :2].t(), x[:2, 4:]), "blocks": lambda x: (x[1:3, 1:3], x[1:3, 3:5])}


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("write", [lambda a, b: a.add_(b), lambda a, b: a.mul_(b), lambda a, b: a.lerp_(b, 0.25),
    lambda a, b: a.addcmul_(b, b), lambda a, b: a.copy_(b)])
def test_windows_that_share_no_element(name: str, write, torch_or_fail):
    found = []
    for lib in (pydl, torch_or_fail):
        x = lib.arange(24.0).reshape(4, 6)
        write(*WINDOWS[name](x))
        found.append(x.tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("windows", [lambda x: (x[:-1], x[1:]), lambda x: (x[:, :4], x[:, 2:]),
    lambda x: (x, x[:, :1]), lambda x: (x[:, ::2], x[:, 1:4]), lambda x: (x[:4, :4], x[:4, :4].t())])
def test_windows_that_share_elements_are_refused(windows):
    a, b = windows(pydl.arange(24.0).reshape(4, 6))
    with pytest.raises(RuntimeError, match="expected an output that shares no memory with the inputs"):
        a.add_(b)


@pytest.mark.parametrize("fill", ["uniform_", "normal_", "exponential_", "random_", "bernoulli_"])
def test_random_numbers_need_memory_of_their_own(fill: str, torch_or_fail):
    for lib in (pydl, torch_or_fail):
        with pytest.raises(RuntimeError):
            getattr(lib.zeros(1).expand(3), fill)()


# ---- out= decides the dtype ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("make", [lambda lib, **o: lib.zeros(3, **o), lambda lib, **o: lib.ones((3,), **o),
    lambda lib, **o: lib.full((3,), 2.5, **o), lambda lib, **o: lib.linspace(0, 10, 3, **o),
    lambda lib, **o: lib.logspace(0, 2, 3, **o)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_creation_into_a_tensor(make, dtype: str, torch_or_fail):
    found = []
    for lib in (pydl, torch_or_fail):
        for out in (lib.empty(3, dtype=getattr(lib, dtype)), lib.empty(0, dtype=getattr(lib, dtype))):
            assert make(lib, out=out) is out
            found.append((out.tolist(), str(out.dtype).rpartition(".")[2]))
    assert found[:2] == found[2:]


def test_products_of_vectors_keep_their_dtype(torch_or_fail):
    for lib in (pydl, torch_or_fail):
        for other in (lib.float64, lib.int64, lib.bool):
            with pytest.raises(RuntimeError):
                lib.matmul(lib.ones(3, 2), lib.ones(2), out=lib.empty(3, dtype=other))


# ---- Numbers ---------------------------------------------------------------------------------------------------------

def test_copy_of_a_number(torch_or_fail):
    for lib in (pydl, torch_or_fail):
        x = lib.zeros(2, dtype=lib.int32)
        assert x.copy_(1.7) is x and x.tolist() == [1, 1]
        assert x.copy_(lib.tensor([3, 4]), non_blocking=True).tolist() == [3, 4]


@pytest.mark.parametrize("convert", [float, int, complex])
def test_more_than_one_number(convert, torch_or_fail):
    for lib in (pydl, torch_or_fail):
        with pytest.raises(ValueError):
            convert(lib.ones(2))
        with pytest.raises(RuntimeError):
            lib.ones(2).item()
    with pytest.raises(ValueError, match=f"^{convert.__name__}: expected a tensor with one element, got float32"):
        convert(pydl.ones(2))


def test_inverted_floats(torch_or_fail):
    for lib in (pydl, torch_or_fail):
        with pytest.raises(TypeError):
            ~lib.ones(2)


# ---- Dimensions ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("call", [lambda lib, x: lib.amax(x, dim=None), lambda lib, x: x.amin(None, True),
    lambda lib, x: x.roll(1, None), lambda lib, x: x.squeeze(()), lambda lib, x: lib.gradient(x, dim=(-1, 0))[0]])
def test_dimensions_that_are_taken(call, torch_or_fail):
    ours, theirs = (call(lib, lib.arange(6.0).reshape(2, 3)) for lib in (pydl, torch_or_fail))
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize(("call", "exception"), [
    (lambda lib, x: x.squeeze((0, -2)), RuntimeError), (lambda lib, x: x.rot90(1, (0, -2)), RuntimeError),
    (lambda lib, x: x[0].rot90(), RuntimeError), (lambda lib, x: lib.gradient(x, dim=2), IndexError),
    (lambda lib, x: lib.gradient(x, dim=(0, -2)), RuntimeError), (lambda lib, x: x[0].renorm(2, 0, 1.0), RuntimeError),
    (lambda lib, x: lib.gradient(x[0, 0], dim=0), IndexError), (lambda lib, x: x[0, 0].unbind(), IndexError),
    (lambda lib, x: x[0, 0].unique(dim=0), IndexError)])
def test_dimensions_that_are_not(call, exception, torch_or_fail):
    for lib in (pydl, torch_or_fail):
        with pytest.raises(exception) as caught:
            call(lib, lib.arange(6.0).reshape(2, 3))
        assert lib is torch_or_fail or " expected " in str(caught.value)


# ---- Indices that count from the end, and other arguments ------------------------------------------------------------

@pytest.mark.parametrize("call", [lambda lib, x: x.index_fill(0, lib.tensor([-1]), 9.0),
    lambda lib, x: x.index_fill_(1, lib.tensor([0, -2]), 9.0),
    lambda lib, x: x.take_along_dim(lib.tensor([[-1], [0]]), 1),
    lambda lib, x: lib.where(lib.tensor([1, 0, 2], dtype=lib.uint8), x, 0.0),
    lambda lib, x: lib.addmm(x[0], x, lib.ones(3, 3), beta=0)])
def test_arguments_that_are_taken(call, torch_or_fail):
    ours, theirs = (call(lib, lib.arange(6.0).reshape(2, 3)) for lib in (pydl, torch_or_fail))
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize(("call", "exception"), [
    (lambda lib, x: lib.addmm(lib.ones(2, 2, 3), x, lib.ones(3, 3)), RuntimeError),
    (lambda lib, x: lib.addmv(x, x, x[0]), RuntimeError), (lambda lib, x: lib.addr(lib.ones(2, 3, 3), x[0], x[0]),
    RuntimeError), (lambda lib, x: lib.cat([]), ValueError),
    (lambda lib, x: lib.searchsorted(x[0], 1.0, side="left", right=True), RuntimeError),
    (lambda lib, x: x.index_fill(0, lib.tensor([-3]), 9.0), IndexError)])
def test_arguments_that_are_not(call, exception, torch_or_fail):
    for lib in (pydl, torch_or_fail):
        with pytest.raises(exception) as caught:
            call(lib, lib.arange(6.0).reshape(2, 3))
        assert lib is torch_or_fail or " expected " in str(caught.value)


def test_repeats_that_overflow():
    with pytest.raises(pydl.ShapeError, match="repeat: expected a dimension of fewer than"):
        pydl.ones(4).repeat(2**62)

"""Reductions and cumulative operators over any dimensions."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .pointwise import LARGE
from .spec import ALL, ANY_FLOAT, FLOATS, INTS, NUMBERS, Call, DType, call, literal, op, t

DIM_SHAPES = ((5,), (17,), (257,), (3, 5), (1, 7), (7, 1), (4, 33), (33, 4), (2, 3, 5), (3, 257), (257, 3))


def over_one_dim(empty: bool = True, **how: Any) -> list[Call]:
    """Every dimension of every shape, counted from both ends, kept and dropped."""
    calls = []
    for shape in DIM_SHAPES:
        for d in range(len(shape)):
            calls.append(call(t(*shape, **how), dim=d - len(shape) if d % 2 else d, keepdim=len(calls) % 2 == 1))
    calls += [call(t(6, 17, layout="transposed", **how), dim=d) for d in (0, 1)]
    calls += [call(t(6, 17, layout="stepped", **how), dim=d) for d in (0, 1)]
    calls += [call(t(2, 3, 5, layout="transposed", **how), dim=1), call(t(33, layout="offset", **how), dim=0)]
    if not how.get("distinct"):
        calls.append(call(t(4, 9, layout="expanded", **how), dim=0))
    if empty:
        calls += [call(t(0, 3, **how), dim=0), call(t(0,), dim=0)]
    calls += [call(t(3, 0, **how), dim=0), call(t(0, 3, **how), dim=1)]
    return calls


def over_all(**how: Any) -> list[Call]:
    return [call(t(*s, **how)) for s in ((), (1,), (17,), (257,), (3, 5),
        (2, 3, 5))] + [call(t(6, 17, layout="transposed", **how))]


def over_dims(**how: Any) -> list[Call]:
    return [call(t(2, 3, 5, **how), dim=(0, 2)), call(t(2, 3, 5, **how), dim=(-1, 0), keepdim=True),
        call(t(4, 3, 2, 5, **how), dim=(1, 3)), call(t(4, 33, **how), dim=(0, 1)),
        call(t(2, 5, 17, layout="transposed", **how), dim=(0, 1))]


def reduction(name: str, ref: Callable, calls: list[Call], **fields: Any) -> None:
    op(name, ref, calls, **{"grad": True, "forms": "mfo", "family": "reduce", "dtypes": FLOATS, "magnitude": "max",
        "eps": 8, "large": call(t(700, 1501), dim=0)} | fields)


def numpy_style(f: Callable) -> Callable:
    """f(x, axis, keepdims) with PyTorch's argument names."""
    return lambda x, dim=None, keepdim=False, **kw: f(x, axis=dim, keepdims=keepdim, **kw)


def variance(x: np.ndarray, dim: Any = None, correction: float = 1, keepdim: bool = False,
        unbiased: bool | None = None) -> np.ndarray:
    correction = correction if unbiased is None else int(unbiased)
    mean = np.mean(x, axis=dim, keepdims=True)
    squares = np.sum((x - mean) ** 2, axis=dim, keepdims=keepdim)
    count = x.size if dim is None else np.prod([x.shape[d] for d in np.atleast_1d(dim)])
    return squares / max(count - correction, 0) if count - correction > 0 else squares / 0.0 * np.ones_like(squares)


def logsumexp(x: np.ndarray, dim: Any, keepdim: bool = False) -> np.ndarray:
    return np.log(np.sum(np.exp(x), axis=dim, keepdims=keepdim))


def softmax(x: np.ndarray, dim: int, dtype: Any = None) -> np.ndarray:
    e = np.exp(x)
    return e / np.sum(e, axis=dim, keepdims=True) if x.ndim else np.ones(())


def log_softmax(x: np.ndarray, dim: int, dtype: Any = None) -> np.ndarray:
    return x - np.log(np.sum(np.exp(x), axis=dim, keepdims=True)) if x.ndim else np.zeros(())


# ---- Sums, products, moments -----------------------------------------------------------------------------------------
reduction("sum", lambda x, dim=None, keepdim=False, dtype=None: np.sum(x, axis=dim, keepdims=keepdim,
    dtype=None if x.dtype == bool else x.dtype), over_one_dim() + over_all() + over_dims() + [call(t(3, 5), dim=1,
    dtype=DType("float64")), call(t(17), dtype=DType("float32"))], dtypes=ALL, result="sum", magnitude="abs")
reduction("nansum", numpy_style(np.nansum), over_one_dim() + over_all()
    + [call(literal([[1.0, np.nan, 2.0], [np.nan] * 3]), dim=1)], magnitude="max")
reduction("mean", numpy_style(np.mean), over_one_dim(empty=False) + over_all() + over_dims(), dtypes=ANY_FLOAT,
    magnitude="abs")
reduction("nanmean", numpy_style(np.nanmean), over_one_dim(empty=False)
    + [call(literal([[1.0, np.nan, 2.0], [4.0, 5.0, 6.0]]), dim=1)])
reduction("prod", numpy_style(np.prod), over_one_dim() + over_all(), dtypes=(*FLOATS, *INTS, "bool"), result="sum",
    domain=(0.7, 1.4), eps=40, magnitude="one")
reduction("prod", numpy_style(np.prod), [call(literal(v, grad=True), dim=1) for v in ([[1.0, 0.0, 3.0],
    [2.0, 4.0, 5.0]], [[0.0, 0.0, 3.0]])], variant="zeros", large=None)
reduction("prod", numpy_style(np.prod), [call(literal([[1.0, 0.0, 3.0], [2.0, 4.0, 5.0]], grad=True))],
    variant="a_zero", forms="mf", large=None)
def varied(calls: list[Call]) -> list[Call]:
    """Standard deviations have no derivative where all values are equal."""
    def flat(c: Call) -> bool:
        x, dims = c.inputs()[0], c.kwargs.get("dim")
        return x.layout == "expanded" or dims is not None and 1 in [x.shape[d] for d in np.atleast_1d(dims)]
    return [replace(c, grad=not flat(c)) for c in calls]


reduction("sum_to_size", lambda x, *size: np.sum(x, axis=tuple(d for d, n in enumerate(size) if n == 1), keepdims=True),
          [call(t(3, 5), 1, 5), call(t(3, 5), 3, 1), call(t(2, 3, 5), 1, 3, 1)], forms="m", magnitude="abs", large=None)
for _name, _f in (("var", variance), ("std", lambda *a, **k: np.sqrt(variance(*a, **k)))):
    reduction(_name, _f, varied(over_one_dim(empty=False)[2:] + over_dims()) + over_all()[2:] + [call(t(3, 5), dim=1,
        correction=0), call(t(3, 5), dim=0, correction=2), call(t(3, 5), dim=1, unbiased=False),
        call(t(2, 3, 5), unbiased=True)])
    _pair = (lambda f: lambda *a, correction=1, **k: (f(*a, correction=correction, **k),
        numpy_style(np.mean)(*a, **k)))(_f)
    reduction(_name + "_mean", _pair, varied(over_one_dim(empty=False)[4:]) + [call(t(3, 5), dim=1, correction=0)],
        forms="f")
reduction("logsumexp", logsumexp, over_one_dim() + over_dims(), magnitude="one", grad=True, dtypes=FLOATS)
reduction("count_nonzero", lambda x, dim=None: np.count_nonzero(x, axis=dim),
    [call(t(3, 5)), call(t(17)), call(t(3, 5), dim=1), call(t(0, 3), dim=0), call(t(2, 3, 5, layout="transposed"),
    dim=(0, 2))], dtypes=ALL, result="int64", grad=False, domain=(-1, 1), forms="mf", large=None)

# ---- Extremes --------------------------------------------------------------------------------------------------------
EXACT = {"eps": 0, "half_eps": 0, "magnitude": "value"}
_spread = over_one_dim(empty=False, distinct=True)
_valued = [c for c in _spread if 0 not in c.inputs()[0].shape] + [call(t(3, 0), dim=0)]


def with_index(values: Callable, indices: Callable) -> Callable:
    return lambda x, dim, keepdim=False: (values(x, axis=dim, keepdims=keepdim), indices(x, axis=dim, keepdims=keepdim))


for _name, _f in (("amax", np.max), ("amin", np.min)):
    reduction(_name, numpy_style(_f), _valued + over_all(distinct=True) + over_dims(distinct=True), dtypes=NUMBERS,
        **EXACT)
for _name, _f, _i in (("max", np.max, np.argmax), ("min", np.min, np.argmin)):
    reduction(_name, with_index(_f, _i), _valued, dtypes=NUMBERS, result=("same", "int64"), **EXACT)
    reduction(_name, numpy_style(_f), over_all(distinct=True), variant="all", dtypes=NUMBERS, **EXACT,
        large=call(t(LARGE)))
    reduction("arg" + _name, numpy_style(_i), _valued + over_all(distinct=True), dtypes=NUMBERS, result="int64",
        grad=False, **EXACT)
reduction("aminmax", lambda x, dim=None, keepdim=False: (np.min(x, axis=dim, keepdims=keepdim),
    np.max(x, axis=dim, keepdims=keepdim)), [call(c.args[0], **c.kwargs) for c in _valued] + over_all(distinct=True),
    dtypes=NUMBERS, **EXACT)
TRUTH = {"dtypes": ALL, "result": lambda d, c: "uint8" if d == "uint8" else "bool", "grad": False,
    "domain": (-0.9, 0.9)}
reduction("all", numpy_style(lambda x, **k: np.all(x, **k)), over_one_dim() + over_all() + over_dims(), **TRUTH | EXACT)
reduction("any", numpy_style(lambda x, **k: np.any(x, **k)), over_one_dim() + over_all() + over_dims(), **TRUTH | EXACT)
reduction("argmax", lambda x, dim=None: np.argmax(x, axis=dim),
    [call(literal([[1.0, np.nan, 3.0], [2.0, 2.0, 1.0]]), dim=1)], variant="nan", result="int64", grad=False, **EXACT)
reduction("amax", lambda x, dim: np.max(x, axis=dim), [call(literal([[1.0, np.nan, 3.0], [2.0, 2.0, np.inf]]), dim=1)],
    variant="nan", grad=False, **EXACT)

# ---- Norms -----------------------------------------------------------------------------------------------------------
def vector_norm(x: np.ndarray, ord: float = 2, dim: Any = None, keepdim: bool = False) -> np.ndarray:
    a = np.abs(x)
    if ord == np.inf:
        return np.max(a, axis=dim, keepdims=keepdim)
    if ord == -np.inf:
        return np.min(a, axis=dim, keepdims=keepdim)
    if ord == 0:
        return np.sum(a != 0, axis=dim, keepdims=keepdim).astype(float)
    return np.sum(a**ord, axis=dim, keepdims=keepdim) ** (1 / ord)


ORDERS = (1, 2, 3, 0.5, np.inf, -np.inf)
_norms = [call(t(*s, distinct=True), p, **kw) for p in ORDERS for s, kw in (((17,), {}), ((3, 5), {"dim": 1}),
    ((2, 3, 5), {"dim": (0, 2), "keepdim": True}))]
_norms += [call(t(6, 17, layout="transposed", distinct=True), 2, dim=0), call(t(3, 0), 2, dim=0)]
reduction("linalg.vector_norm", vector_norm, [*_norms, call(t(3, 5), 0, dim=1, grad=False), call(t(3, 5))], forms="fo",
    kinks=(0,), large=None)
reduction("norm", lambda x, p=2, dim=None, keepdim=False: vector_norm(x, p, dim, keepdim),
          [call(t(17)), *[call(c.args[0], p=c.args[1], **c.kwargs) for c in _norms if c.args[1] != 0.5]], kinks=(0,))
reduction("dist", lambda x, y, p=2: vector_norm(x - y, p), [call(t(3, 5), t(3, 5)), call(t(17), t(17), p=1),
    call(t(3, 1), t(5), p=3)], forms="mf", large=None)
reduction("renorm", lambda x, p, dim, maxnorm: np.moveaxis(np.moveaxis(x, dim, 0) * np.minimum(1,
    maxnorm / (np.sum(np.abs(np.moveaxis(x, dim, 0)) ** p, axis=tuple(range(1, x.ndim)), keepdims=True) ** (1 / p)
    + 1e-7)), 0, dim), [call(t(3, 5), 2, 0, 3.0), call(t(3, 5), 1, 1, 4.0), call(t(2, 3, 5), 2, 1, 5.0)], forms="mfio",
    large=None, order=1)

# ---- Normalized exponentials -----------------------------------------------------------------------------------------
_softmax = [call(c.args[0], dim=c.kwargs["dim"]) for c in over_one_dim()] + [call(t(), dim=0)]
reduction("softmax", softmax, [*_softmax, call(t(3, 5), dim=1, dtype=DType("float64"))], dtypes=ANY_FLOAT, forms="mfo",
    magnitude="max", aliases=("nn.functional.softmax",), large=call(t(700, 1501), dim=1))
reduction("log_softmax", log_softmax, _softmax, dtypes=ANY_FLOAT, forms="mfo", magnitude="one",
    aliases=("nn.functional.log_softmax",), large=call(t(700, 1501), dim=1))
reduction("nn.functional.softmin", lambda x, dim: softmax(-x, dim), _softmax[::3], forms="f", large=None)

# ---- Cumulative ------------------------------------------------------------------------------------------------------
_cumulative = [call(c.args[0], dim=c.kwargs["dim"]) for c in over_one_dim()]


def extreme_so_far(f: Callable) -> Callable:
    def ref(x: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
        values = f.accumulate(x, axis=dim)
        places = np.arange(x.shape[dim]).reshape([-1 if d == dim % x.ndim else 1 for d in range(x.ndim)])
        return values, np.maximum.accumulate(np.where(x == values, places, 0), axis=dim)
    return ref


reduction("cumsum", lambda x, dim, dtype=None: np.cumsum(x, axis=dim),
    [*_cumulative, call(t(3, 5), dim=1, dtype=DType("float64"))], dtypes=(*FLOATS, *INTS, "bool"), result="sum",
    forms="mfio", magnitude="abs", eps=16)
reduction("cumprod", lambda x, dim: np.cumprod(x, axis=dim), _cumulative, dtypes=(*FLOATS, *INTS), result="sum",
    domain=(0.7, 1.4), forms="mfio", eps=60)
reduction("cumprod", lambda x, dim: np.cumprod(x, axis=dim),
    [call(literal([1.0, 2.0, 0.0, 3.0, 0.0, 2.0], grad=True), dim=0)], variant="zeros", order=1, forms="mfio",
    large=None)
reduction("logcumsumexp", lambda x, dim: np.log(np.cumsum(np.exp(x), axis=dim)), _cumulative, magnitude="one", eps=16)
_distinct = [call(c.args[0], dim=c.kwargs["dim"]) for c in _spread]
reduction("cummax", extreme_so_far(np.maximum), _distinct, dtypes=(*FLOATS, *INTS), result=("same", "int64"), **EXACT)
reduction("cummin", extreme_so_far(np.minimum), _distinct, dtypes=(*FLOATS, *INTS), result=("same", "int64"), **EXACT)


def diff(x: np.ndarray, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> np.ndarray:
    x = np.concatenate([a for a in (prepend, x, append) if a is not None], axis=dim)
    if x.dtype == bool:
        return np.diff(x, n, axis=dim)
    return np.diff(x, min(n, x.shape[dim]), axis=dim) if x.shape[dim] else x


reduction("diff", diff, [call(t(17)), call(t(3, 5), dim=0), call(t(3, 5), n=2), call(t(3, 5), dim=1, prepend=t(3, 1),
    append=t(3, 2)), call(t(1))], dtypes=(*FLOATS, *INTS, "bool"), large=None, magnitude="one")
reduction("trapezoid", lambda y, x=None, dx=1.0, dim=-1: np.sum((np.take(y, range(1, y.shape[dim]), dim) + np.take(y,
    range(y.shape[dim] - 1), dim)) / 2 * (dx if x is None else np.diff(x, axis=dim if x.ndim == y.ndim else -1)),
    axis=dim), [call(t(17)), call(t(3, 5), dx=0.5), call(t(3, 5), t(5)), call(t(3, 5), t(3, 5), dim=0)], forms="f",
    aliases=("trapz",), large=None)
reduction("cumulative_trapezoid", lambda y, x=None, dx=1.0: np.cumsum((y[..., 1:] + y[..., :-1]) / 2 * (dx
    if x is None else np.diff(x)), axis=-1), [call(t(17)), call(t(3, 5), dx=0.5), call(t(3, 5), t(5))], forms="f",
    large=None)

# ---- Counting and statistics -----------------------------------------------------------------------------------------
reduction("bincount", lambda x, weights=None, minlength=0: np.bincount(x, weights, minlength),
    [call(t(33)), call(t(0)), call(t(17), minlength=20), call(t(17), t(17, dtype="float64"))], domain=(0, 9),
    dtypes=INTS, result=lambda d, c: "float64" if len(c.args) > 1 else "int64", grad=False, forms="mf", large=None)
reduction("histc", lambda x, bins=100, min=0, max=0: np.histogram(x, bins, (min, max))[0].astype(float),
          [call(t(257), bins=7, min=-3, max=3), call(t(3, 5), bins=4, min=-5, max=5)], grad=False, **EXACT, large=None)
reduction("histogram", lambda x, bins, range=None: np.histogram(x, bins, range), [call(t(257), 7, range=(-5.0, 5.0))],
    grad=False, large=None)
reduction("cov", lambda x, correction=1: np.cov(x, ddof=correction),
    [call(t(3, 17)), call(t(17)), call(t(3, 17), correction=0)], forms="mf", large=None)
reduction("corrcoef", np.corrcoef, [call(t(3, 17)), call(t(4, 9, layout="transposed"))], forms="mf", large=None)

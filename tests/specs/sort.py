"""Sorting, searching, order statistics and sets."""
from __future__ import annotations

from typing import Any

import numpy as np

from .spec import ALL, FLOATS, INTS, NUMBERS, call, literal, op, t

ORDERED = {"grad": True, "eps": 0, "half_eps": 0, "family": "sort", "dtypes": NUMBERS, "forms": "mfo"}
PAIR = ("same", "int64")


def d(*shape: int, **how: Any) -> Any:
    return t(*shape, distinct=True, **how)


def order(x: np.ndarray, dim: int = -1, descending: bool = False, stable: bool = False) -> np.ndarray:
    """Stable: equal values keep their order, ascending or descending; NaN counts as the largest."""
    n = x.shape[dim] if x.ndim else 1
    if not x.ndim:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(x, axis=dim, kind="stable")
    return n - 1 - np.flip(np.argsort(np.flip(x, dim), axis=dim, kind="stable"), dim)


def pick(x: np.ndarray, idx: np.ndarray, dim: int) -> np.ndarray:
    return np.take_along_axis(x, idx, dim) if x.ndim else x


def sort(x: np.ndarray, dim: int = -1, descending: bool = False, stable: bool = False) -> tuple[np.ndarray, np.ndarray]:
    idx = order(x, dim, descending)
    return pick(x, idx, dim), idx


SORTS = [call(d(17)), call(d(3, 5), 0), call(d(4, 33), descending=True), call(d(2, 3, 5), dim=1), call(d(257)),
    call(d(0)), call(d()), call(d(6, 17, layout="transposed"), dim=0)]
STABLE = [call(t(33), stable=True), call(t(4, 65), stable=True, descending=True), call(t(9, 17, layout="transposed"),
    stable=True, dim=0)]
op("sort", sort, SORTS, **ORDERED, result=PAIR, large=call(t(300, 2001), stable=True, dim=1))
op("sort", sort, STABLE, **ORDERED | {"grad": False, "dtypes": ALL}, result=PAIR, variant="stable", domain=(-3, 3))
op("sort", sort, [call(literal([[2.0, np.nan, -np.inf, 1.0, np.inf]]))], **ORDERED | {"grad": False, "dtypes": FLOATS},
    result=PAIR, variant="nan")
op("argsort", order, SORTS, **ORDERED | {"grad": False, "forms": "mf"}, result="int64")
op("argsort", order, STABLE, **ORDERED | {"grad": False, "dtypes": ALL}, result="int64", variant="stable",
    domain=(-3, 3))
op("msort", lambda x: np.sort(x, axis=0), [call(d(17)), call(d(5, 3))], **ORDERED)


def topk(x: np.ndarray, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[np.ndarray,
        np.ndarray]:
    idx = np.take(order(x, dim, largest), range(k), dim) if x.ndim else np.zeros((), np.int64)
    return pick(x, idx, dim), idx


op("topk", topk, [call(d(17), 5), call(d(4, 33), 3), call(d(5, 4), 2, 0), call(d(4, 33), 7, largest=False),
    call(d(257), 257), call(d(5), 0), call(d(6, 17, layout="transposed"), 4, dim=1)], **ORDERED, result=PAIR,
    large=call(d(300, 2001), 10))


def kthvalue(x: np.ndarray, k: int, dim: int = -1, keepdim: bool = False) -> tuple[np.ndarray, np.ndarray]:
    idx = np.take(order(x, dim), [k - 1], dim)
    values = pick(x, idx, dim)
    return (values, idx) if keepdim else (np.squeeze(values, dim), np.squeeze(idx, dim))


def median(x: np.ndarray, dim: int | None = None, keepdim: bool = False) -> Any:
    if dim is None:
        return np.sort(x, axis=None)[(x.size - 1) // 2]
    return kthvalue(x, (x.shape[dim] - 1) // 2 + 1, dim, keepdim)


def mode(x: np.ndarray, dim: int = -1, keepdim: bool = False) -> tuple[np.ndarray, np.ndarray]:
    def most_frequent(row: np.ndarray) -> Any:
        values, counts = np.unique(row, return_counts=True)
        return values[np.argmax(counts)]
    values = np.apply_along_axis(most_frequent, dim, x)
    values = np.expand_dims(values, dim) if keepdim else values
    return values, np.zeros(values.shape, np.int64)  # which of the equal ones is open


BY_DIM = [call(d(17), dim=0), call(d(3, 5), dim=1), call(d(4, 33), dim=0, keepdim=True), call(d(2, 3, 6), dim=-1),
    call(d(6, 17, layout="transposed"), dim=1)]
op("kthvalue", kthvalue, [call(c.args[0], 2, **c.kwargs) for c in BY_DIM], **ORDERED, result=PAIR)
op("median", median, BY_DIM, **ORDERED, result=PAIR)
op("median", median, [call(d(17)), call(d(3, 6)), call(d(1))], **ORDERED | {"forms": "mf"}, variant="all")
op("nanmedian", lambda x, dim: median(x, dim), [call(c.args[0], dim=c.kwargs["dim"]) for c in BY_DIM],
    **ORDERED | {"dtypes": FLOATS}, result=PAIR)
op("nanmedian", lambda x: np.nanpercentile(x, 50, method="lower"), [call(literal([1.0, np.nan, 3.0, 2.0, 9.0])),
    call(d(7))], **ORDERED | {"dtypes": FLOATS, "forms": "mf"}, variant="all")
op("mode", mode, [call(t(17)), call(t(4, 33), dim=0), call(t(3, 9), keepdim=True)],
    **ORDERED | {"dtypes": (*FLOATS, *INTS)}, result=PAIR, compare=(0,), domain=(-2, 2))

# ---- Quantiles -------------------------------------------------------------------------------------------------------
METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(x: np.ndarray, q: Any, dim: int | None = None, keepdim: bool = False,
        interpolation: str = "linear") -> np.ndarray:
    return np.quantile(x, q, axis=dim, keepdims=keepdim, method=interpolation)


def nanquantile(x: np.ndarray, q: Any, dim: int | None = None) -> np.ndarray:
    return np.nanquantile(x, q, axis=dim)


QUANTILE = {"grad": True, "family": "sort", "magnitude": "max", "eps": 8, "forms": "mfo"}
op("quantile", quantile, [call(d(17), 0.3), call(d(3, 5), 0.5, dim=1), call(d(3, 5), literal([0.1, 0.7]), dim=0,
    keepdim=True), call(d(33), literal([0.0, 0.25, 1.0]))] + [call(d(3, 8), 0.4, dim=1, interpolation=m)
    for m in METHODS], **QUANTILE)
op("nanquantile", nanquantile, [call(d(17), 0.3), call(d(3, 5), 0.5, dim=1),
    call(literal([[1.0, np.nan, 3.0], [np.nan, 5.0, 4.0]]), 0.5, dim=1)], **QUANTILE)

# ---- Searching and sets ----------------------------------------------------------------------------------------------
EXACT = {"family": "sort", "eps": 0, "half_eps": 0}


def ascending(*shape: int) -> Any:
    return t(*shape, grad=False, make=lambda rng, s: np.sort(rng.integers(-9, 9, s), axis=-1))


def searchsorted(edges: np.ndarray, x: np.ndarray, right: bool = False, out_int32: bool = False) -> np.ndarray:
    side = "right" if right else "left"
    if edges.ndim == 1:
        return np.searchsorted(edges, x, side)
    rows = [np.searchsorted(e, v, side) for e, v in zip(edges.reshape(-1, edges.shape[-1]), x.reshape(-1, x.shape[-1]))]
    return np.array(rows).reshape(x.shape)


SEARCH = {"dtypes": (*FLOATS, "int32", "int64"), "result": lambda dtype,
    c: "int32" if c.kwargs.get("out_int32") else "int64", "domain": (-9, 9)}
op("searchsorted", searchsorted, [call(ascending(17), t(5)), call(ascending(17), t(3, 4), right=True),
    call(ascending(2, 9), t(2, 5)), call(ascending(5), t(3), out_int32=True), call(ascending(0), t(3)),
    call(ascending(257), t(33))], **EXACT | SEARCH, forms="fo")
op("bucketize", lambda x, edges, **kw: searchsorted(edges, x, **kw),
    [call(t(5), ascending(17)), call(t(3, 4), ascending(9), right=True), call(t(9, 5, layout="transposed"),
    ascending(33))], **EXACT | SEARCH, forms="fo")


def unique(x: np.ndarray, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
        dim: int | None = None) -> Any:
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=dim)
    inverse = inverse.reshape(x.shape if dim is None else -1)
    wanted = [values] + [inverse] * return_inverse + [counts] * return_counts
    return tuple(wanted) if len(wanted) > 1 else values


def unique_consecutive(x: np.ndarray, return_inverse: bool = False, return_counts: bool = False,
        dim: int | None = None) -> Any:
    rows = x.ravel() if dim is None else np.moveaxis(x, dim, 0)
    starts = [i for i in range(len(rows)) if i == 0 or not np.array_equal(rows[i], rows[i - 1])]
    counts = np.diff([*starts, len(rows)])
    values = rows[starts] if dim is None else np.moveaxis(rows[starts], 0, dim)
    inverse = np.repeat(np.arange(len(starts)), counts).reshape(x.shape if dim is None else -1)
    wanted = [values] + [inverse] * return_inverse + [counts] * return_counts
    return tuple(wanted) if len(wanted) > 1 else values


UNIQUE = {"dtypes": (*FLOATS, *INTS, "bool"), "result": ("same", "int64", "int64"), "domain": (-3, 3), "forms": "mf"}
_few = lambda *shape: t(*shape, grad=False, make=lambda rng, s: rng.integers(0, 4, s))  # noqa: E731
op("unique", unique, [call(_few(17)), call(_few(3, 5), return_inverse=True), call(_few(33), return_inverse=True,
    return_counts=True), call(_few(0)), call(_few(9, 2), dim=0, return_inverse=True, return_counts=True),
    call(_few(6, 7))], **EXACT | UNIQUE)
op("unique", unique, [call(_few(33), return_counts=True)], **EXACT | UNIQUE | {"result": "int64", "dtypes": ("int64",)},
    variant="counts")
op("unique_consecutive", unique_consecutive, [call(_few(17)), call(_few(33), return_inverse=True, return_counts=True),
    call(_few(9, 1), dim=0), call(_few(0))], **EXACT | UNIQUE)

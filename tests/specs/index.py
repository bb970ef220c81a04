"""Gathering, scattering and masking."""
from __future__ import annotations

from typing import Any

import numpy as np

from .spec import ALL, FLOATS, INTS, NUMBERS, call, index, literal, mask, op, t

MOVED = {"dtypes": ALL, "grad": True, "eps": 0, "half_eps": 0, "family": "index"}
SUMMED = {"dtypes": NUMBERS, "grad": True, "eps": 4, "half_eps": 16, "family": "index", "magnitude": "max"}


def permuted(*shape: int, dim: int = 0, n: int | None = None) -> Any:
    """Indices without repetition along `dim`: a scatter of them has one answer."""
    def make(rng: np.random.Generator, s: tuple[int, ...]) -> np.ndarray:
        return np.take(np.argsort(rng.random([n or s[d] if d == dim else s[d] for d in range(len(s))]), axis=dim),
            range(s[dim]), dim)
    return index(*shape, n=1, make=make)


def along(shape: tuple[int, ...], dim: int, idx: np.ndarray) -> tuple:
    """The NumPy index that PyTorch's gather and scatter mean by (dim, index)."""
    grid = list(np.indices(idx.shape))
    grid[dim % len(shape)] = idx
    return tuple(grid)


# ---- Gathering -------------------------------------------------------------------------------------------------------
op("gather", lambda x, dim, idx: x[along(x.shape, dim, idx)] if x.ndim else x, [call(t(3, 4), 0, index(2, 4, n=3)),
    call(t(3, 4), 1, index(3, 7, n=4)), call(t(2, 3, 5), -1, index(2, 1, 4, n=5)), call(t(5), 0, index(0, n=5)),
    call(t(6, 9, layout="transposed"), 1, index(6, 3, n=9, layout="transposed")), call(t(257), 0, index(33, n=257))],
    **MOVED, forms="mfo", large=call(t(500, 800), 1, index(500, 900, n=800)))
op("take", lambda x, idx: np.take(x, idx), [call(t(3, 4), index(5, n=12)), call(t(3, 4), index(2, 2, n=12, low=-12)),
    call(t(9, 4, layout="transposed"), index(17, n=36))], **MOVED, forms="mfo")
op("take_along_dim", lambda x, idx, dim=None: np.take(x, idx) if dim is None else np.take_along_axis(x, idx, dim),
    [call(t(3, 4), index(3, 2, n=4), 1), call(t(3, 4), index(5, n=12)), call(t(3, 4), index(1, 4, n=3), dim=0)],
    **MOVED, forms="mfo")
op("index_select", lambda x, dim, idx: np.take(x, idx, dim), [call(t(5, 4), 0, index(7, n=5)),
    call(t(5, 4), 1, index(2, n=4)), call(t(2, 5, 3), -2, index(0, n=5)), call(t(33, 17), 0, index(50, n=33)),
    call(t(9, 6, layout="transposed"), 0, index(4, n=9)), call(t(5), 0, index(3, n=5, layout="stepped"))], **MOVED,
    forms="mfo", large=call(t(5000, 64), 0, index(9000, n=5000)))
op("masked_select", lambda x, m: np.broadcast_arrays(x, m)[0][np.broadcast_arrays(x, m)[1]],
    [call(t(3, 4), mask(3, 4)), call(t(3, 4), mask(4)), call(t(257), mask(257)), call(t(0), mask(0)),
    call(t(1, 4), mask(3, 1)), call(t(9, 17, layout="transposed"), mask(9, 17))], **MOVED, forms="mfo",
    large=call(t(100_001), mask(100_001)))
op("nonzero", lambda x: np.argwhere(x), [call(t(3, 4)), call(t(17)), call(t(0)), call(t(2, 3, 5, layout="transposed")),
    call(t(257))], **MOVED | {"grad": False}, result="int64", domain=(-1, 1), forms="mfo", large=call(t(100_001)))
op("argwhere", np.argwhere, [call(t(3, 4)), call(t(17))], **MOVED | {"grad": False}, result="int64", domain=(-1, 1),
    forms="mf")
op("nn.functional.one_hot", lambda x, num_classes=-1: np.eye(num_classes if num_classes > 0 else x.max() + 1,
    dtype=np.int64)[x], [call(index(5, n=4), 4), call(index(2, 3, n=4), 6), call(literal([0, 3, 1]))],
    dtypes=("int64",), forms="f", family="index")


# ---- Scattering ------------------------------------------------------------------------------------------------------
def scatter(x: np.ndarray, dim: int, idx: np.ndarray, src: Any, reduce: str | None = None) -> np.ndarray:
    out = x.copy()
    part = src[tuple(slice(n) for n in idx.shape)] if isinstance(src, np.ndarray) else src
    place = along(x.shape, dim, idx)
    if reduce is None:
        out[place] = part
    else:
        {"add": np.add, "multiply": np.multiply}[reduce].at(out, place, part)
    return out


REDUCERS = {"sum": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum, "mean": np.add}
NEUTRAL = {"sum": 0, "prod": 1, "amax": -np.inf, "amin": np.inf, "mean": 0}


def reduced(out: np.ndarray, place: tuple, part: np.ndarray, how: str, include_self: bool) -> np.ndarray:
    """`part` reduced into out[place], element by element."""
    out = out.astype(float)
    touched = np.zeros(out.shape)
    np.add.at(touched, place, 1.0)
    if not include_self:
        out[touched > 0] = NEUTRAL[how]
    REDUCERS[how].at(out, place, part)
    if how == "mean":
        out = np.where(touched > 0, out / np.maximum(touched + include_self, 1), out)
    return out


def scatter_reduce(x: np.ndarray, dim: int, idx: np.ndarray, src: np.ndarray, reduce: str,
        include_self: bool = True) -> np.ndarray:
    part = src[tuple(slice(n) for n in idx.shape)]
    return reduced(x, along(x.shape, dim, idx), part, reduce, include_self)


op("scatter", scatter, [call(t(3, 5), 0, permuted(2, 5, n=3), t(2, 5)), call(t(3, 5), 1, permuted(3, 4, dim=1, n=5),
    t(3, 6), grad=False), call(t(3, 5), 1, permuted(3, 4, dim=1, n=5), 2, only=NUMBERS),
    call(t(7), 0, permuted(0), t(3), grad=False), call(t(6, 9, layout="transposed"), 0, permuted(6, 9),
    t(6, 9, layout="stepped"))], **MOVED, forms="mfio")
op("scatter", scatter, [call(t(3, 5), 0, index(2, 5, n=3), t(2, 5), reduce=r, grad=False) for r in ("add", "multiply")],
    **SUMMED | {"grad": False, "dtypes": FLOATS}, variant="reduce", forms="mfio")
op("scatter_add", lambda x, dim, idx, src: scatter(x, dim, idx, src, "add"),
    [call(t(3, 5), 0, index(4, 5, n=3), t(4, 5)), call(t(3, 5), 1, index(3, 9, n=5), t(3, 9)),
    call(t(7), 0, index(33, n=7), t(33)), call(t(0, 3), 0, index(0, 3, n=1), t(2, 3)),
    call(t(6, 9, layout="transposed"), 1, index(6, 20, n=9), t(6, 20, layout="stepped"))], **SUMMED, forms="mfio",
    large=call(t(600, 700), 0, index(900, 700, n=600), t(900, 700)))
op("scatter_reduce", scatter_reduce, [call(t(3, 5, distinct=True), 0, index(4, 5, n=3), t(4, 5, distinct=True, low=-3.1,
    high=3.3), r, include_self=s) for r in REDUCERS for s in (True, False)] + [call(t(3, 5), 1, index(3, 9, n=5),
    t(3, 9), "sum")], **SUMMED | {"dtypes": FLOATS}, forms="mfio", order=1)


def index_add(x: np.ndarray, dim: int, idx: np.ndarray, source: np.ndarray, alpha: float = 1) -> np.ndarray:
    out = np.moveaxis(x.copy(), dim, 0)
    np.add.at(out, idx, alpha * np.moveaxis(source, dim, 0))
    return np.moveaxis(out, 0, dim)


def index_write(x: np.ndarray, dim: int, idx: np.ndarray, source: Any) -> np.ndarray:
    out = np.moveaxis(x.copy(), dim, 0)
    out[idx] = np.moveaxis(source, dim, 0) if isinstance(source, np.ndarray) and source.ndim else source
    return np.moveaxis(out, 0, dim)


def index_reduce(x: np.ndarray, dim: int, idx: np.ndarray, source: np.ndarray, reduce: str,
        include_self: bool = True) -> np.ndarray:
    out = reduced(np.moveaxis(x, dim, 0), (idx,), np.moveaxis(source, dim, 0), reduce, include_self)
    return np.moveaxis(out, 0, dim)


op("index_add", index_add, [call(t(5, 4), 0, index(7, n=5), t(7, 4)), call(t(5, 4), 1, index(3, n=4), t(5, 3), alpha=2),
    call(t(9), 0, index(33, n=9), t(33)), call(t(5, 4, layout="transposed"), 0, index(3, n=5), t(3, 4))], **SUMMED,
    forms="mfio", large=call(t(1000, 500), 0, index(1500, n=1000), t(1500, 500)))
op("index_copy", index_write, [call(t(5, 4), 0, permuted(3, n=5), t(3, 4)), call(t(5, 4), -1, permuted(2, n=4),
    t(5, 2)), call(t(5, 4, layout="transposed"), 0, permuted(5), t(5, 4))], **MOVED, forms="mfio")
op("index_fill", index_write, [call(t(5, 4), 0, index(2, n=5), 2), call(t(5, 4), 1, index(3, n=4), 1),
    call(t(5), 0, index(0, n=5), 3), call(t(5, 4), 0, index(2, n=5), t())], **MOVED | {"dtypes": NUMBERS}, forms="mfi")
op("index_reduce", index_reduce, [call(t(5, 4, distinct=True), 0, index(7, n=5), t(7, 4, distinct=True, low=-3.1,
    high=3.3), r, include_self=s) for r in ("prod", "mean", "amax", "amin") for s in (True, False)],
    **SUMMED | {"dtypes": FLOATS}, forms="mfio", order=1)


def index_put(x: np.ndarray, indices: tuple, values: np.ndarray, accumulate: bool = False) -> np.ndarray:
    out = x.copy()
    if accumulate:
        np.add.at(out, tuple(indices), values)
    else:
        out[tuple(indices)] = values
    return out


op("index_put", index_put, [call(t(5, 4), (permuted(3, n=5),), t(3, 4)),
    call(t(5, 4), (permuted(3, n=5), index(3, n=4)), t(3)), call(t(5, 4), (mask(5, 4),), t())], **MOVED, forms="mfi")
op("index_put", index_put, [call(t(5, 4), (index(9, n=5),), t(9, 4), accumulate=True),
    call(t(5, 4), (index(9, n=5), index(9, n=4)), t(9), accumulate=True)], **SUMMED, variant="accumulate", forms="mfi")
op("put", lambda x, idx, src, accumulate=False: index_put(x.ravel(), (idx.ravel(),), src.ravel(),
    accumulate).reshape(x.shape), [call(t(3, 4), permuted(5, n=12), t(5)), call(t(3, 4), index(9, n=12), t(9),
    accumulate=True)], **SUMMED, forms="mfi")
op("masked_fill", lambda x, m, value: np.where(m, value, x), [call(t(3, 4), mask(3, 4), 2), call(t(3, 4), mask(4), 1),
    call(t(257), mask(257), 3), call(t(3, 4), mask(3, 1), t()), call(t(3, 4, layout="transposed"), mask(3, 4), 0)],
    **MOVED | {"dtypes": NUMBERS}, forms="mfi", large=call(t(100_001), mask(100_001), 2))


def masked_scatter(x: np.ndarray, m: np.ndarray, source: np.ndarray) -> np.ndarray:
    out, m = x.copy(), np.broadcast_to(m, x.shape)
    out[m] = source.ravel()[: m.sum()]
    return out


op("masked_scatter", masked_scatter, [call(t(3, 4), mask(3, 4), t(12)), call(t(3, 4), mask(4), t(3, 5))], **MOVED,
    forms="mfi")


# ---- A changed part of a copy ----------------------------------------------------------------------------------------
def replaced(x: np.ndarray, place: Any, source: np.ndarray) -> np.ndarray:
    out = x.copy()
    out[place] = source
    return out


op("select_scatter", lambda x, src, dim, index: replaced(x, (slice(None),) * dim + (index,), src),
    [call(t(3, 4), t(4), 0, 1), call(t(3, 4), t(3), 1, -1)], **MOVED, forms="mf")
op("slice_scatter", lambda x, src, dim=0, start=None, end=None,
    step=1: replaced(x, (slice(None),) * dim + (slice(start, end, step),), src),
    [call(t(5, 4), t(2, 4), start=1, end=3), call(t(5, 6), t(5, 3), dim=1, step=2), call(t(5, 4), t(5, 4))], **MOVED,
    forms="mfo")


def diagonal_scatter(x: np.ndarray, src: np.ndarray, offset: int = 0) -> np.ndarray:
    out = x.copy()
    n = len(src)
    out[np.arange(n) + max(-offset, 0), np.arange(n) + max(offset, 0)] = src
    return out


op("diagonal_scatter", diagonal_scatter, [call(t(3, 3), t(3)), call(t(4, 5), t(4), 1), call(t(4, 3), t(2), -2)],
    **MOVED, forms="mf")


op("fill_diagonal_", lambda x, value: replaced(x, np.diag_indices(min(x.shape)), value),
    [call(t(4, 4), 2), call(t(3, 5), 1), call(t(5, 3), 3)], **MOVED | {"grad": False, "dtypes": NUMBERS}, forms="m")
op("fill_", np.full_like, [call(t(3, 4), 2), call(t(), 1), call(t(5, 7, layout="transposed"), 3),
    call(t(33, layout="stepped"), 1)], **MOVED | {"grad": False, "dtypes": (*FLOATS, *INTS)}, forms="mf")
op("zero_", np.zeros_like, [call(t(3, 4)), call(t(33, layout="stepped"))], **MOVED | {"grad": False}, forms="mf")
op("copy_", lambda x, src: np.broadcast_to(src, x.shape), [call(t(3, 4), t(3, 4)), call(t(3, 4), t(4)),
    call(t(9, 17, layout="transposed"), t(9, 17)), call(t(3, 4), t(3, 4, layout="transposed"))],
    **MOVED | {"grad": False}, forms="m")

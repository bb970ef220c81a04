"""Short compositions of operators: histograms, finite differences, parts of numbers, relatives of gamma."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydl import _core
from pydl._core import Tensor
from pydl._results import Result, return_type, takes_out

_Histogram = return_type("histogram", "hist", "bin_edges")
_HistogramDD = return_type("histogramdd", "hist", "bin_edges")
_Frexp = return_type("frexp", "mantissa", "exponent")


# ---- Histograms ------------------------------------------------------------------------------------------------------


def _edges(x: Tensor, bins: int | Tensor, limits: Sequence[float] | None) -> Tensor:
    """The edges of the bins of one dimension."""
    if isinstance(bins, Tensor):
        return bins
    if bins <= 0:
        raise RuntimeError(f"histogram: expected a positive number of bins, got {bins}")
    if limits is not None:
        low, high = map(float, limits)
    else:
        low, high = (float(x.min()), float(x.max())) if x.numel() else (0.0, 1.0)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise RuntimeError(f"histogram: expected a finite range, ascending, got [{low}, {high}]")
    if low == high:
        low, high = (low - 0.5, high + 0.5) if x.numel() else (low, low + 1)
    return _core.linspace(low, high, bins + 1, dtype=x.dtype)


def _count(points: Tensor, edges: Sequence[Tensor], weight: Tensor | None, density: bool) -> Tensor:
    """How many rows of (n, d) points fall in each cell of the grid; the last bin of a dimension includes its end."""
    flat = _core.zeros(points.size(0), dtype=_core.int64)
    inside = _core.ones(points.size(0), dtype=_core.bool)
    for column, e in zip(points.unbind(1), edges, strict=True):
        bins = e.numel() - 1
        place = _core.searchsorted(e, column.contiguous(), right=True) - 1
        place = _core.where(column == e[-1], bins - 1, place)
        inside = inside & (place >= 0) & (place < bins) & (column <= e[-1])
        flat = flat * bins + place
    weights = _core.ones(points.size(0), dtype=points.dtype) if weight is None else weight.reshape(-1)
    shape = [e.numel() - 1 for e in edges]
    hist = (
        _core.zeros(math.prod(shape), dtype=points.dtype).scatter_add(0, flat[inside], weights[inside]).reshape(shape)
    )
    if density:
        hist = hist / hist.sum()
        for d, e in enumerate(edges):
            hist = hist / e.diff().reshape([-1 if k == d else 1 for k in range(len(edges))])
    return hist


def _check(op: str, input: Tensor) -> None:
    if not input.is_floating_point():
        raise RuntimeError(f"{op}: expected a floating point tensor, got {input.dtype}")


@takes_out
def histogram(
    input: Tensor,
    bins: int | Tensor,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Result:
    """(hist, bin_edges): how many elements fall in each of `bins` equal bins over range, or between the edges given.

    >>> import pydl
    >>> pydl.histogram(pydl.tensor([1.0, 2.0, 1.0]), 2, range=(0.0, 3.0)).hist
    tensor([2., 1.])
    """
    _check("histogram", input)
    edges = _edges(input, bins, range)
    return _Histogram((_count(input.reshape(-1, 1), [edges], weight, density), edges))


def histogramdd(
    input: Tensor,
    bins: int | Sequence[int] | Sequence[Tensor],
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Result:
    """(hist, bin_edges): counts of points, the last dimension of input, in the cells of a grid."""
    _check("histogramdd", input)
    points = input.reshape(-1, input.size(-1))
    each: list[Any] = [bins] * points.size(1) if isinstance(bins, int) else list(bins)
    if len(each) != points.size(1):
        raise RuntimeError(f"histogramdd: expected bins for {points.size(1)} dimensions, got {len(each)}")
    limits: list[Any] = [None] * len(each) if range is None else [range[2 * d : 2 * d + 2] for d, _ in enumerate(each)]
    edges = [_edges(x, b, r) for x, b, r in zip(points.unbind(1), each, limits, strict=True)]
    return _HistogramDD((_count(points, edges, weight, density), tuple(edges)))


# ---- Finite differences ----------------------------------------------------------------------------------------------


def _slope(y: Tensor, dim: int, step: float | Tensor, edge_order: int) -> Tensor:
    """Second-order central differences along dim, one-sided ones of edge_order at the ends (Fornberg 1988)."""
    n = y.size(dim)
    if n < edge_order + 1:
        raise RuntimeError(f"gradient: expected at least {edge_order + 1} elements along each dimension, got {n}")
    if isinstance(step, Tensor):
        if step.dim() != 1 or step.numel() != n:
            raise RuntimeError(f"gradient: expected {n} coordinates, got shape {list(step.shape)}")
        h = step.diff().reshape([-1 if d == dim else 1 for d in range(y.dim())])
    else:
        h = y.new_full([n - 1 if d == dim else 1 for d in range(y.dim())], float(step))
    rises = y.diff(dim=dim) / h
    left, right = h.narrow(dim, 0, n - 2), h.narrow(dim, 1, n - 2)
    before, after = rises.narrow(dim, 0, n - 2), rises.narrow(dim, 1, n - 2)
    inner = (right * before + left * after) / (left + right)
    first, last = rises.narrow(dim, 0, 1), rises.narrow(dim, n - 2, 1)
    if edge_order == 2:
        bends = (after - before) / (left + right)
        first = first - bends.narrow(dim, 0, 1) * h.narrow(dim, 0, 1)
        last = last + bends.narrow(dim, n - 3, 1) * h.narrow(dim, n - 2, 1)
    return _core.cat([first, inner, last], dim)


def gradient(
    input: Tensor,
    *,
    spacing: float | Sequence[float] | Sequence[Tensor] = 1,
    dim: int | Sequence[int] | None = None,
    edge_order: int = 1,
) -> tuple[Tensor, ...]:
    """Estimates of the partial derivatives of samples: spacing is the distance between them, or their coordinates.

    >>> import pydl
    >>> pydl.gradient(pydl.tensor([1.0, 4.0, 9.0]))
    (tensor([3., 4., 5.]),)
    """
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient: expected edge_order 1 or 2, got {edge_order}")
    dims = list(range(input.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    steps: list[Any]
    if isinstance(spacing, int | float) or (isinstance(spacing, Tensor) and spacing.dim() == 0):
        steps = [spacing] * len(dims)
    else:
        steps = list(spacing)
    if len(steps) != len(dims):
        raise RuntimeError(f"gradient: expected a spacing for each of {len(dims)} dimensions, got {len(steps)}")
    x = input if input.is_floating_point() else input.to(_core.get_default_dtype())
    n = x.dim()
    if any(not -n <= d < n for d in dims):
        raise IndexError(f"gradient: expected dimensions in [{-n}, {n - 1}], got {dims}")
    if len({d % n for d in dims}) < len(dims):
        raise RuntimeError(f"gradient: expected each dimension once, got {dims}")
    return tuple(_slope(x, d % n, step, edge_order) for d, step in zip(dims, steps, strict=True))


# ---- Parts of numbers, and gamma -------------------------------------------------------------------------------------


@takes_out
def frexp(input: Tensor) -> Result:
    """(mantissa, exponent) with input = mantissa * 2^exponent, 0.5 <= |mantissa| < 1; exponent 0 for 0, inf and NaN."""
    _check("frexp", input)
    plain = input.detach().abs().double()
    special = (plain == 0) | ~plain.isfinite()
    exponent = _core.where(special, 0.0, plain.log2().floor() + 1)
    scaled = plain * _core.exp2(-(exponent / 2).trunc()) * _core.exp2((exponent / 2).trunc() - exponent)
    # log2 may round up to the next integer, or down from it.
    exponent = exponent + _core.where(special, 0.0, (scaled >= 1).double() - (scaled < 0.5).double())
    half = (exponent / 2).trunc()
    mantissa = input * _core.exp2(-half).to(input.dtype) * _core.exp2(half - exponent).to(input.dtype)
    return _Frexp((mantissa, exponent.to(_core.int32)))


@takes_out
def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma."""
    return _core._polygamma(input, n)


@takes_out
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p."""
    if p < 1:
        raise RuntimeError(f"mvlgamma: expected p >= 1, got {p}")
    halves = _core.arange(p, dtype=input.dtype if input.is_floating_point() else _core.get_default_dtype())
    return _core.lgamma(input.unsqueeze(-1) - halves / 2).sum(-1) + p * (p - 1) / 4 * math.log(math.pi)

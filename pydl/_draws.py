"""Random numbers made from uniform and normal ones."""

from __future__ import annotations

import math
from typing import Any

from pydl import _core
from pydl._core import Tensor

_SMALL = 10.0  # means below are drawn by inversion, those above by rejection


def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None) -> Tensor:
    """Fills this tensor with Cauchy numbers."""
    if sigma <= 0:
        raise RuntimeError(f"cauchy_: expected a positive sigma, got {sigma}")
    return self.uniform_(-math.pi / 2, math.pi / 2, generator=generator).tan_().mul_(sigma).add_(median)


def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Any = None) -> Tensor:
    """Fills this tensor with exp of normal numbers of that mean and standard deviation."""
    if std <= 0:
        raise RuntimeError(f"log_normal_: expected a positive std, got {std}")
    return self.normal_(mean, std, generator=generator).exp_()


def geometric_(self: Tensor, p: float, *, generator: Any = None) -> Tensor:
    """Fills this tensor with the number of trials up to the first success of probability p."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_: expected p in (0, 1), got {p}")
    u = self.new_empty(self.shape, dtype=_core.float64).uniform_(generator=generator)
    return self.copy_((_core.log1p(-u) / math.log1p(-p)).ceil().clamp_min(1))


def _uniform(like: Tensor, generator: Any) -> Tensor:
    return _core.rand(list(like.shape), dtype=_core.float64, generator=generator)


def _by_inversion(first: Tensor, ratio: Any, generator: Any) -> Tensor:
    """k with P(k - 1's sum) <= u < P(k's sum), where P(0) = first and P(k) = ratio(k) P(k - 1)."""
    u, k = _uniform(first, generator), _core.zeros_like(first)
    probability, cumulative, n = first.clone(), first.clone(), 0
    above = u >= cumulative
    while above.any():
        k += above
        n += 1
        probability = probability * ratio(n)
        cumulative = cumulative + probability
        above = above & (u >= cumulative) & (probability > 0)
    return k


def _by_rejection(
    center: Tensor, a: Tensor, b: Tensor, accept: Tensor, edge: Tensor, log_ratio: Any, top: Any, generator: Any
) -> Tensor:
    """Transformed rejection with squeeze, the frame of Hoermann's PTRS and BTRS.

    `log_ratio(k)` is the log of P(k) times a constant, `edge` scales the density of the hat, `accept` is the area of
    certain acceptance.
    """
    result = _core.zeros_like(center)
    wanted = _core.ones_like(center, dtype=_core.bool)
    while wanted.any():
        u, v = _uniform(center, generator) - 0.5, _uniform(center, generator)
        us = 0.5 - u.abs()
        k = ((2 * a / us + b) * u + center).floor()
        sure = (us >= 0.07) & (v <= accept)
        inside = (k >= 0) & (k <= top) & ((us >= 0.013) | (v <= us))
        fits = v.log() + edge.log() - (a / us.square() + b).log() <= log_ratio(k.clamp(min=0).minimum(top))
        taken = wanted & inside & (sure | fits)
        result = _core.where(taken, k, result)
        wanted = wanted & ~taken
    return result


def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Poisson numbers, their rates given by the elements.

    By inversion for rates below 10, else W. Hoermann's PTRS (1993, "The transformed rejection method for generating
    Poisson random variables").
    """
    rate = input.detach().double()
    if (rate < 0).any():
        raise RuntimeError("poisson: expected non-negative rates, got a negative one")
    small = rate.clamp_max(_SMALL)
    low = _by_inversion(_core.exp(-small), lambda k: small / k, generator)
    if not (rate >= _SMALL).any():
        return low.to(input.dtype)
    large = rate.clamp_min(_SMALL)
    b = 0.931 + 2.53 * large.sqrt()
    a = -0.059 + 0.02483 * b
    high = _by_rejection(
        large + 0.43, a, b, 0.9277 - 3.6224 / (b - 2), 1.1239 + 1.1328 / (b - 3.4),
        lambda k: k * large.log() - large - _core.lgamma(k + 1), _core.full_like(large, math.inf), generator,
    )  # fmt: skip
    return _core.where(rate < _SMALL, low, high).to(input.dtype)


def binomial(count: Tensor, prob: Tensor, generator: Any = None) -> Tensor:
    """Numbers of successes in `count` trials of probability `prob`.

    By inversion for means below 10, else W. Hoermann's BTRS (1993, "The generation of binomial random variates").
    """
    n, p = _core.broadcast_tensors([count.detach().double(), prob.detach().double()])
    if not ((p >= 0) & (p <= 1)).all():
        raise RuntimeError("binomial: expected probabilities in [0, 1], got others")
    if (n < 0).any():
        raise RuntimeError("binomial: expected non-negative counts, got a negative one")
    q = p.minimum(1 - p)  # counts of the rarer outcome
    few = n * q < _SMALL
    fewer = _core.where(few, n, 0.0)
    odds = q / (1 - q)
    low = _by_inversion((fewer * _core.log1p(-q)).exp(), lambda k: odds * (fewer - k + 1).clamp_min(0) / k, generator)
    drawn = low
    if not few.all():
        m, r = _core.where(few, 40.0, n), _core.where(few, 0.5, q)
        spread = (m * r * (1 - r)).sqrt()
        b = 1.15 + 2.53 * spread
        a = -0.0873 + 0.0248 * b + 0.01 * r
        mode = ((m + 1) * r).floor()
        scale = _core.lgamma(mode + 1) + _core.lgamma(m - mode + 1)

        def log_ratio(k: Tensor) -> Tensor:
            return scale - _core.lgamma(k + 1) - _core.lgamma(m - k + 1) + (k - mode) * (r / (1 - r)).log()

        high = _by_rejection(m * r + 0.5, a, b, 0.92 - 4.2 / b, (2.83 + 5.1 / b) * spread, log_ratio, m, generator)
        drawn = _core.where(few, low, high)
    return _core.where(p <= 0.5, drawn, n - drawn).to(count.dtype)

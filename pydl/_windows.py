"""Window functions for spectral analysis; the periodic ones are those of one point more, without the last."""

from __future__ import annotations

import math
from typing import Any

from pydl import _core
from pydl._core import Tensor


def _phase(op: str, length: int, periodic: bool, dtype: Any) -> Tensor | None:
    """From 0 to 1 over the window, in float64; None for a window of one point, which is 1."""
    if dtype is not None and not dtype.is_floating_point:
        raise RuntimeError(f"{op}: expected a floating point dtype, got {dtype}")
    if length < 0:
        raise RuntimeError(f"{op}: expected a non-negative window_length, got {length}")
    if length == 1:
        return None
    return _core.arange(length, dtype=_core.float64) / (length if periodic else length - 1)


def _window(values: Tensor | None, dtype: Any, requires_grad: bool) -> Tensor:
    values = _core.ones(1) if values is None else values
    return values.to(dtype or _core.get_default_dtype()).requires_grad_(requires_grad)


def _cosines(
    op: str, length: int, periodic: bool, weights: tuple[float, ...], dtype: Any, requires_grad: bool
) -> Tensor:
    """The alternating sum of weights[k] cos(2 pi k t)."""
    t = _phase(op, length, periodic, dtype)
    if t is not None:
        t = sum((-1) ** k * w * _core.cos(2 * math.pi * k * t) for k, w in enumerate(weights))
    return _window(t, dtype, requires_grad)


def hann_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """(1 - cos(2 pi t)) / 2."""
    _core.device(device or "cpu")
    return _cosines("hann_window", window_length, periodic, (0.5, 0.5), dtype, requires_grad)


def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """alpha - beta cos(2 pi t)."""
    _core.device(device or "cpu")
    return _cosines("hamming_window", window_length, periodic, (alpha, beta), dtype, requires_grad)


def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """0.42 - 0.5 cos(2 pi t) + 0.08 cos(4 pi t)."""
    _core.device(device or "cpu")
    return _cosines("blackman_window", window_length, periodic, (0.42, 0.5, 0.08), dtype, requires_grad)


def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A triangle: 1 - |2 t - 1|."""
    _core.device(device or "cpu")
    t = _phase("bartlett_window", window_length, periodic, dtype)
    return _window(None if t is None else 1 - (2 * t - 1).abs(), dtype, requires_grad)


def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """i0(beta sqrt(1 - (2 t - 1)^2)) / i0(beta)."""
    _core.device(device or "cpu")
    t = _phase("kaiser_window", window_length, periodic, dtype)
    if t is not None:
        scale = _core.i0(_core.tensor(float(beta), dtype=_core.float64))
        t = _core.i0(beta * (1 - (2 * t - 1).square()).clamp_min(0).sqrt()) / scale
    return _window(t, dtype, requires_grad)

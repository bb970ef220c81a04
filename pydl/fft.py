"""Frequencies and shifts of discrete Fourier transforms. The transforms need complex numbers, which are reserved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydl import _core
from pydl._complex import reserved
from pydl._core import Tensor

__all__ = ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]

_TRANSFORMS = frozenset(
    "fft fft2 fftn ifft ifft2 ifftn rfft rfft2 rfftn irfft irfft2 irfftn hfft hfft2 hfftn ihfft ihfft2 ihfftn".split()
)


def __getattr__(name: str) -> Any:
    if name in _TRANSFORMS:
        return reserved(f"fft.{name}")
    raise AttributeError(f"module 'pydl.fft' has no attribute {name!r}")


def fftfreq(n: int, d: float = 1.0, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """The frequencies of the terms of an n-point transform of samples d apart, the negative ones last."""
    order = _core.cat([_core.arange((n + 1) // 2), _core.arange(-(n // 2), 0)])
    return (order.to(dtype or _core.get_default_dtype()) / (n * d)).requires_grad_(requires_grad)


def rfftfreq(n: int, d: float = 1.0, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """The frequencies from 0 to the highest, those of a transform of real samples."""
    order = _core.arange(n // 2 + 1)
    return (order.to(dtype or _core.get_default_dtype()) / (n * d)).requires_grad_(requires_grad)


def fftshift(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Moves frequency 0 to the middle of the dimensions."""
    dims = _listed(input, dim)
    return _core.roll(input, [input.size(d) // 2 for d in dims], dims)


def ifftshift(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Undoes fftshift."""
    dims = _listed(input, dim)
    return _core.roll(input, [(input.size(d) + 1) // 2 for d in dims], dims)


def _listed(input: Tensor, dim: int | Sequence[int] | None) -> list[int]:
    return list(range(input.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)

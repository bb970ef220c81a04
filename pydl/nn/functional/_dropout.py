"""Dropout: of elements, of channels, and the variants that keep the statistics of SELU."""

from __future__ import annotations

import math
import warnings

import pydl
from pydl import Tensor

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeros each element with probability p and scales the others by 1 / (1 - p), in training (Hinton et al. 2012).

    A probability outside of [0, 1] raises ValueError.

    >>> import pydl
    >>> pydl.nn.functional.dropout(pydl.ones(1000), 0.5).unique()
    tensor([0., 2.])
    """
    check_probability(p)
    if not inplace:
        return pydl.dropout(input, p, training)
    return input.copy_(pydl.dropout(input, p, True)) if training else input


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeros whole channels of (N, C, L) or (C, L).

    >>> import pydl
    >>> kept = pydl.nn.functional.dropout1d(pydl.ones(4, 8, 3), 0.5)
    >>> pydl.equal(kept.amin(2), kept.amax(2))
    True
    """
    check_probability(p)
    if input.dim() not in (2, 3):
        raise RuntimeError(f"dropout1d: expected a 2D or 3D input, got {input.dim()}D")
    return _drop_channels("dropout1d", input, p, training, inplace, batched=input.dim() == 3)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeros whole channels of (N, C, H, W); a 3D input counts as (N, C, L), as in PyTorch.

    >>> import pydl
    >>> kept = pydl.nn.functional.dropout2d(pydl.ones(4, 8, 3, 3), 0.5)
    >>> pydl.equal(kept.amin((2, 3)), kept.amax((2, 3)))
    True
    """
    check_probability(p)
    if input.dim() not in (3, 4):
        warnings.warn(f"dropout2d: Received a {input.dim()}-D input to dropout2d, which is deprecated.", stacklevel=2)
    return _drop_channels("dropout2d", input, p, training, inplace, batched=True)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeros whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    check_probability(p)
    if input.dim() not in (4, 5):
        warnings.warn(f"dropout3d: Received a {input.dim()}-D input to dropout3d, which is deprecated.", stacklevel=2)
    return _drop_channels("dropout3d", input, p, training, inplace, batched=input.dim() != 4)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Sets elements to SELU's saturation value and rescales: mean 0 and variance 1 stay (Klambauer et al. 2017).

    >>> import pydl
    >>> x = pydl.randn(100_000)
    >>> round(pydl.nn.functional.alpha_dropout(x, 0.2, training=True).std().item(), 1)
    1.0
    """
    check_probability(p)
    return _alpha(input, input.shape, p, training, inplace)


def alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`alpha_dropout` in place."""
    return alpha_dropout(input, p, train, inplace=True)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of (N, C, ...)."""
    check_probability(p)
    return _alpha(input, _per_channel("feature_alpha_dropout", input, batched=True), p, training, inplace)


def check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout: expected a probability between 0 and 1, got {p}")


def _per_channel(op: str, input: Tensor, batched: bool) -> tuple[int, ...]:
    """The shape of one value per channel that broadcasts to `input`."""
    kept = 2 if batched else 1
    if input.dim() < kept:
        raise RuntimeError(f"{op}: expected an input of at least {kept} dimensions, got {input.dim()}")
    return (*input.shape[:kept], *(1,) * (input.dim() - kept))


def _drop_channels(op: str, input: Tensor, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    shape = _per_channel(op, input, batched)
    if not training or p == 0:
        return input
    factor = pydl.dropout(pydl.ones(shape, dtype=input.dtype, device=input.device), p, True)
    return input.mul_(factor) if inplace else input * factor


def _alpha(input: Tensor, mask_shape: tuple[int, ...], p: float, training: bool, inplace: bool) -> Tensor:
    if not training or p == 0:
        return input
    if p == 1:
        return input.mul_(0.0) if inplace else input * 0.0
    saturation = -1.7580993408473766  # -scale * alpha of SELU
    scale = 1 / math.sqrt((1 - p) * (1 + p * saturation * saturation))
    kept = pydl.empty(mask_shape, dtype=input.dtype, device=input.device).bernoulli_(1 - p)
    factor, shift = kept * scale, (1 - kept - p) * (scale * saturation)
    return input.mul_(factor).add_(shift) if inplace else input * factor + shift

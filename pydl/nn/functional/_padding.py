"""Padding."""

from __future__ import annotations

from collections.abc import Sequence

from pydl import Tensor
from pydl._core import nn as _nn

__all__ = ["pad"]


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Adds `pad` positions before and after the last dimension, then the one before it, and so on.

    Negative numbers crop. `mode` says what new positions show: "constant" (any dimensions) the `value`, by default 0;
    for the spatial dimensions of (N, C, spatial) or (C, spatial), "reflect" the image mirrored at its first and last
    position, "replicate" these positions, "circular" the opposite end. Any dtype; channels-last memory stays.

    Raises ShapeError where paddings leave nothing, reach the size (reflect) or exceed it (circular).

    >>> import pydl
    >>> from pydl.nn import functional as F
    >>> F.pad(pydl.tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect").tolist()
    [[3.0, 2.0, 1.0, 2.0, 3.0, 2.0]]
    """
    return _nn.pad(input, list(pad), mode, value)

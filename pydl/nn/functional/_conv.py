"""Convolutions and transposed convolutions."""

from __future__ import annotations

import pydl
from pydl import Tensor
from pydl._core import nn as _nn

__all__ = ["conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

conv1d = _nn.conv1d
conv2d = _nn.conv2d
conv3d = _nn.conv3d
conv_transpose1d = _nn.conv_transpose1d
conv_transpose2d = _nn.conv_transpose2d
conv_transpose3d = _nn.conv_transpose3d


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """`conv1d` of sequences (time, batch, C_in) with weight (kernel, C_in, C_out); result (time, batch, C_out).

    >>> import pydl
    >>> pydl.nn.functional.conv_tbc(pydl.zeros(7, 2, 3), pydl.zeros(3, 3, 4), pydl.zeros(4), pad=1).shape
    pydl.Size([7, 2, 4])
    """
    if input.dim() != 3 or weight.dim() != 3 or weight.size(1) != input.size(2):
        raise pydl.ShapeError(
            "conv_tbc: expected input (time, batch, C_in) and weight (kernel, C_in, C_out), got "
            f"{input.shape} and {weight.shape}"
        )
    return conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)

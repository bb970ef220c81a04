"""Linear maps, normalization of layers, one-hot vectors."""

from __future__ import annotations

import pydl
from pydl import Tensor
from pydl._core import nn as _nn
from pydl.nn.functional._reduction import check_tensors

__all__ = ["bilinear", "layer_norm", "linear", "one_hot", "rms_norm"]

linear = _nn.linear
layer_norm = pydl.layer_norm
rms_norm = pydl.rms_norm


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x1^T W x2 + b: inputs (..., in1) and (..., in2), weight (out, in1, in2), result (..., out).

    >>> import pydl
    >>> pydl.nn.functional.bilinear(pydl.ones(5, 2), pydl.ones(5, 3), pydl.ones(4, 2, 3)).shape
    pydl.Size([5, 4])
    """
    check_tensors("bilinear", input1, input2, weight)
    out, in1, in2 = weight.shape
    if input1.shape[:-1] != input2.shape[:-1] or input1.size(-1) != in1 or input2.size(-1) != in2:
        raise pydl.ShapeError(
            f"bilinear: expected inputs (..., {in1}) and (..., {in2}), got {input1.shape} and {input2.shape}"
        )
    left = input1.reshape(-1, in1) @ weight.permute(1, 0, 2).reshape(in1, out * in2)
    result = (left.reshape(-1, out, in2) @ input2.reshape(-1, in2, 1)).reshape(*input1.shape[:-1], out)
    return result if bias is None else result + bias


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 (..., num_classes): 1 at the class, 0 elsewhere. -1 stands for the largest class plus one.

    >>> import pydl
    >>> pydl.nn.functional.one_hot(pydl.tensor([0, 2]), num_classes=3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if tensor.dtype != pydl.int64:
        raise RuntimeError(f"one_hot: expected an int64 tensor, got {tensor.dtype}")
    if tensor.numel() == 0 and num_classes <= 0:
        raise RuntimeError(f"one_hot: expected a positive num_classes for an empty tensor, got {num_classes}")
    if tensor.numel():
        low, high = (int(limit) for limit in tensor.aminmax())
        if low < 0:
            raise RuntimeError(f"one_hot: expected non-negative classes, got {low}")
        if num_classes == -1:
            num_classes = high + 1
        elif num_classes < 1:
            raise RuntimeError(f"one_hot: expected a positive num_classes or -1, got {num_classes}")
        elif high >= num_classes:
            raise RuntimeError(f"one_hot: expected classes below num_classes = {num_classes}, got {high}")
    result = pydl.zeros((*tensor.shape, num_classes), dtype=pydl.int64, device=tensor.device)
    return result.scatter_(-1, tensor.unsqueeze(-1), 1)

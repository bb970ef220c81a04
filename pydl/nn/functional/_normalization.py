"""Normalization by channel: over the batch, over groups of channels, over each sample, over neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence

import pydl
from pydl import Tensor
from pydl._core import nn as _nn

__all__ = ["batch_norm", "group_norm", "instance_norm", "local_response_norm"]


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of (N, C, ...) input (Ioffe and Szegedy 2015).

    In `training` mean and variance are those of the batch, and the running ones, if given, move towards them by
    `momentum`: running_var towards the variance without bias. Otherwise the running ones are used.

    >>> import pydl
    >>> x = pydl.tensor([[1.0], [3.0]])
    >>> pydl.nn.functional.batch_norm(x, None, None, training=True).round().tolist()
    [[-1.0], [1.0]]
    """
    _check_batch_norm(input, training, eps)
    return pydl.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, False)


def _batch_norm_relu(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:
    """relu(batch_norm(...)), bit for bit, in one pass."""
    _check_batch_norm(input, training, eps)
    return _nn._batch_norm_relu(input, weight, bias, running_mean, running_var, training, momentum, eps)


def _check_batch_norm(input: Tensor, training: bool, eps: float) -> None:
    if training:
        _expect_several_values(input.shape)
        if eps <= 0.0:
            raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    elif eps < 0.0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")


def _expect_several_values(size: Sequence[int]) -> None:
    values = 1
    for n in (*size[:1], *size[2:]):
        values *= n
    if values == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {size}")


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over groups of the channels of each sample (Wu and He 2018).

    >>> import pydl
    >>> pydl.nn.functional.group_norm(pydl.tensor([[1.0, 3.0, 5.0, 9.0]]), 2).round().tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    if input.dim() < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.dim()}")
    if num_groups > 0:
        _expect_several_values([input.size(0) * input.size(1) // num_groups, num_groups, *input.shape[2:]])
    return pydl.group_norm(input, num_groups, weight, bias, eps)


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
    weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of each sample (Ulyanov et al. 2016).

    With `use_input_stats` the running statistics, if given, move towards the mean of the samples' ones by `momentum`;
    without it they are used.
    """
    if use_input_stats:
        values = 1
        for n in input.shape[2:]:
            values *= n
        if values == 1:
            raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    return pydl.instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, False)


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha * mean)^beta, with the mean of x^2 over `size` neighbouring channels (Krizhevsky et al. 2012).

    Channels beyond the first and the last count as zeros.

    >>> import pydl
    >>> pydl.nn.functional.local_response_norm(pydl.ones(1, 1, 1), 1, alpha=3.0, beta=0.5).item()
    0.5
    """
    if input.dim() < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.dim()} dimensions)")
    if input.numel() == 0:
        return input
    # Channels are the length of a one-dimensional pool, whose own channels are the positions: they lie together.
    squares = (input * input).flatten(2).transpose(1, 2)
    means = pydl.avg_pool1d(squares, size, 1, size // 2).narrow(2, 0, input.size(1))
    divisor = (means * alpha + k).pow(beta).transpose(1, 2).reshape(input.shape)
    return input / divisor

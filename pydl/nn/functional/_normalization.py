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
        _expect_several_values("batch_norm", "channel in training", input.shape, input.shape)
        if eps <= 0.0:
            raise ValueError(f"batch_norm: expected eps > 0 in training, got {eps}")
    elif eps < 0.0:
        raise ValueError(f"batch_norm: expected eps >= 0, got {eps}")


def _expect_several_values(op: str, part: str, size: Sequence[int], shape: Sequence[int]) -> None:
    values = 1
    for n in (*size[:1], *size[2:]):
        values *= n
    if values == 1:
        raise ValueError(f"{op}: expected more than one value a {part}, got an input of shape {list(shape)}")


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over groups of the channels of each sample (Wu and He 2018).

    >>> import pydl
    >>> pydl.nn.functional.group_norm(pydl.tensor([[1.0, 3.0, 5.0, 9.0]]), 2).round().tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    if input.dim() < 2:
        raise RuntimeError(f"group_norm: expected an input of at least 2 dimensions, got {input.dim()}")
    if num_groups > 0:
        values = [input.size(0) * input.size(1) // num_groups, num_groups, *input.shape[2:]]
        _expect_several_values("group_norm", "group", values, input.shape)
    return pydl.group_norm(input, num_groups, weight, bias, eps)


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
    weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of each sample (Ulyanov et al. 2016).

    With `use_input_stats` the running statistics, if given, move towards the mean of the samples' ones by `momentum`;
    without it they are used.

    >>> import pydl
    >>> pydl.nn.functional.instance_norm(pydl.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    if use_input_stats:
        values = 1
        for n in input.shape[2:]:
            values *= n
        if values == 1:
            raise ValueError("instance_norm: expected more than one value a channel of a sample in training, got an "
                             f"input of shape {list(input.shape)}")
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
        raise ValueError(f"local_response_norm: expected an input of at least 3 dimensions, got {input.dim()}")
    if input.numel() == 0:
        return input
    # Channels are the length of a one-dimensional pool, whose own channels are the positions: they lie together.
    squares = (input * input).flatten(2).transpose(1, 2)
    means = pydl.avg_pool1d(squares, size, 1, size // 2).narrow(2, 0, input.size(1))
    divisor = (means * alpha + k).pow(beta).transpose(1, 2).reshape(input.shape)
    return input / divisor

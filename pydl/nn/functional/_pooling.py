"""Pooling over 1 to 3 spatial dimensions, of (N, C, spatial...) or (C, spatial...) input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pydl
from pydl import Tensor
from pydl._core import nn as _nn

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices", "avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d",
    "lp_pool2d", "lp_pool3d", "max_pool1d", "max_pool1d_with_indices", "max_pool2d", "max_pool2d_with_indices",
    "max_pool3d", "max_pool3d_with_indices", "max_unpool1d", "max_unpool2d", "max_unpool3d",
]

Size = int | Sequence[int]
Sizes = int | Sequence[int | None] | None  # of adaptive outputs; None: that of the input
Pair = tuple[Tensor, Tensor]

adaptive_avg_pool1d = pydl.adaptive_avg_pool1d
avg_pool1d = pydl.avg_pool1d
avg_pool2d = _nn.avg_pool2d
avg_pool3d = _nn.avg_pool3d


# ---- maxima ----------------------------------------------------------------------------------------------------------
def max_pool1d_with_indices(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Pair:
    """`max_pool1d` and the position of each result in its channel, int64.

    >>> import pydl
    >>> pydl.nn.functional.max_pool1d_with_indices(pydl.tensor([[1.0, 3.0, 2.0, 5.0]]), 2)
    (tensor([[3., 5.]]), tensor([[1, 3]]))
    """
    return pydl.max_pool1d_with_indices(input, kernel_size, _stride(stride), padding, dilation, ceil_mode)


def max_pool2d_with_indices(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Pair:
    """`max_pool2d` and the position of each result in its channel, row-major, int64.

    >>> import pydl
    >>> values, at = pydl.nn.functional.max_pool2d_with_indices(pydl.arange(16.0).reshape(1, 1, 4, 4), 2)
    >>> at.tolist()
    [[[[5, 7], [13, 15]]]]
    """
    return _nn.max_pool2d_with_indices(input, kernel_size, _stride(stride), padding, dilation, ceil_mode)


def max_pool3d_with_indices(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Pair:
    """`max_pool3d` and the position of each result in its channel, row-major, int64.

    >>> import pydl
    >>> pydl.nn.functional.max_pool3d_with_indices(pydl.arange(8.0).reshape(1, 2, 2, 2), 2)[1].item()
    7
    """
    return _nn.max_pool3d_with_indices(input, kernel_size, _stride(stride), padding, dilation, ceil_mode)


def max_pool1d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Tensor | Pair:
    """The largest element of each window; with `return_indices` also its position. `stride` defaults to `kernel_size`.

    >>> import pydl
    >>> pydl.nn.functional.max_pool1d(pydl.tensor([[1.0, 3.0, 2.0, 5.0]]), 2).tolist()
    [[3.0, 5.0]]
    """
    pool = pydl.max_pool1d_with_indices if return_indices else pydl.max_pool1d
    return pool(input, kernel_size, _stride(stride), padding, dilation, ceil_mode)


def max_pool2d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Tensor | Pair:
    """The largest element of each window; with `return_indices` also its position. `stride` defaults to `kernel_size`.

    >>> import pydl
    >>> pydl.nn.functional.max_pool2d(pydl.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    pool = _nn.max_pool2d_with_indices if return_indices else pydl.max_pool2d
    return pool(input, kernel_size, _stride(stride), padding, dilation, ceil_mode)


def max_pool3d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Tensor | Pair:
    """The largest element of each window; with `return_indices` also its position. `stride` defaults to `kernel_size`.

    >>> import pydl
    >>> pydl.nn.functional.max_pool3d(pydl.arange(8.0).reshape(1, 1, 2, 2, 2), 2).item()
    7.0
    """
    pool = _nn.max_pool3d_with_indices if return_indices else pydl.max_pool3d
    return pool(input, kernel_size, _stride(stride), padding, dilation, ceil_mode)


def _stride(stride: Size | None) -> Size:
    return [] if stride is None else stride


# ---- adaptive windows ------------------------------------------------------------------------------------------------
def _output_size(op: str, input: Tensor, size: Sizes, spatial: int) -> Size:
    """`size` with its Nones replaced by the input's sizes."""
    if size is not None and not isinstance(size, Iterable):
        return size
    size = [None] * spatial if size is None else list(size)
    if input.dim() <= len(size):
        raise ValueError(f"{op}: expected an input of at least {len(size) + 1} dimensions, got {input.dim()}")
    return [given if s is None else s for s, given in zip(size, input.shape[-len(size):])]


def adaptive_avg_pool2d(input: Tensor, output_size: Sizes) -> Tensor:
    """Means over windows that divide height and width evenly into `output_size`; None keeps a size.

    >>> import pydl
    >>> pydl.nn.functional.adaptive_avg_pool2d(pydl.arange(6.0).reshape(1, 2, 3), (1, None)).tolist()
    [[[1.5, 2.5, 3.5]]]
    """
    return _nn.adaptive_avg_pool2d(input, _output_size("adaptive_avg_pool2d", input, output_size, 2))


def adaptive_avg_pool3d(input: Tensor, output_size: Sizes) -> Tensor:
    """Means over windows that divide depth, height and width evenly into `output_size`; None keeps a size.

    >>> import pydl
    >>> pydl.nn.functional.adaptive_avg_pool3d(pydl.arange(8.0).reshape(1, 2, 2, 2), (2, 1, 1)).flatten()
    tensor([1.5000, 5.5000])
    """
    return _nn.adaptive_avg_pool3d(input, _output_size("adaptive_avg_pool3d", input, output_size, 3))


def adaptive_max_pool1d_with_indices(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Pair:
    """`adaptive_max_pool1d` and the position of each result in its channel, int64."""
    return pydl.adaptive_max_pool1d(input, _output_size("adaptive_max_pool1d", input, output_size, 1))


def adaptive_max_pool2d_with_indices(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Pair:
    """`adaptive_max_pool2d` and the position of each result in its channel, row-major, int64."""
    return _nn.adaptive_max_pool2d(input, _output_size("adaptive_max_pool2d", input, output_size, 2))


def adaptive_max_pool3d_with_indices(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Pair:
    """`adaptive_max_pool3d` and the position of each result in its channel, row-major, int64."""
    return _nn.adaptive_max_pool3d(input, _output_size("adaptive_max_pool3d", input, output_size, 3))


def adaptive_max_pool1d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Tensor | Pair:
    """Maxima over windows that divide the length evenly into `output_size`; with `return_indices` also positions.

    >>> import pydl
    >>> pydl.nn.functional.adaptive_max_pool1d(pydl.tensor([[1.0, 3.0, 2.0, 5.0]]), 2)
    tensor([[3., 5.]])
    """
    pool = pydl.adaptive_max_pool1d if return_indices else _nn._adaptive_max_pool1d
    return pool(input, _output_size("adaptive_max_pool1d", input, output_size, 1))


def adaptive_max_pool2d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Tensor | Pair:
    """Maxima over windows that divide height and width evenly into `output_size`; None keeps a size.

    >>> import pydl
    >>> pydl.nn.functional.adaptive_max_pool2d(pydl.arange(6.0).reshape(1, 2, 3), (1, None)).tolist()
    [[[3.0, 4.0, 5.0]]]
    """
    pool = _nn.adaptive_max_pool2d if return_indices else _nn._adaptive_max_pool2d
    return pool(input, _output_size("adaptive_max_pool2d", input, output_size, 2))


def adaptive_max_pool3d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Tensor | Pair:
    """Maxima over windows that divide depth, height and width evenly into `output_size`; None keeps a size.

    >>> import pydl
    >>> pydl.nn.functional.adaptive_max_pool3d(pydl.arange(8.0).reshape(1, 2, 2, 2), (2, 1, 1)).flatten()
    tensor([3., 7.])
    """
    pool = _nn.adaptive_max_pool3d if return_indices else _nn._adaptive_max_pool3d
    return pool(input, _output_size("adaptive_max_pool3d", input, output_size, 3))


# ---- power averages --------------------------------------------------------------------------------------------------
def _lp_pool(
    spatial: int, input: Tensor, norm_type: int | float, kernel_size: Size, stride: Size | None, ceil_mode: bool
) -> Tensor:
    if abs(norm_type) == float("inf"):
        sign = 1 if norm_type > 0 else -1
        largest = (pydl.max_pool1d, pydl.max_pool2d, pydl.max_pool3d)[spatial - 1]
        return sign * largest(sign * input.abs(), kernel_size, _stride(stride), 0, 1, ceil_mode)
    mean = (avg_pool1d, avg_pool2d, avg_pool3d)[spatial - 1]
    out = mean(input.pow(norm_type), kernel_size, _stride(stride), 0, ceil_mode)
    taps = 1
    for k in _numbers(kernel_size, spatial):
        taps *= k
    return (out.sign() * out.abs().relu()).mul(taps).pow(1.0 / norm_type)


def lp_pool1d(
    input: Tensor, norm_type: int | float, kernel_size: int, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """The norm_type-norm of each window: (sum x^p)^(1/p).

    >>> import pydl
    >>> pydl.nn.functional.lp_pool1d(pydl.tensor([[3.0, 4.0]]), 2, 2).item()
    5.0
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor, norm_type: int | float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """The norm_type-norm of each window: (sum x^p)^(1/p).

    >>> import pydl
    >>> pydl.nn.functional.lp_pool2d(pydl.tensor([[[3.0], [4.0]]]), 2, (2, 1)).item()
    5.0
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor, norm_type: int | float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Tensor:
    """The norm_type-norm of each window: (sum x^p)^(1/p).

    >>> import pydl
    >>> pydl.nn.functional.lp_pool3d(pydl.tensor([[[[3.0], [4.0]]]]), 2, (1, 2, 1)).item()
    5.0
    """
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# ---- back to where the maxima were -----------------------------------------------------------------------------------
def _numbers(value: Any, count: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, Iterable) else (value,) * count


def _unpooled_size(
    input: Tensor, kernel_size: Size, stride: Size | None, padding: Size, output_size: Sequence[int] | None,
    spatial: int,
) -> list[int]:
    kernel, pad = _numbers(kernel_size, spatial), _numbers(padding, spatial)
    step = kernel if stride is None else _numbers(stride, spatial)
    default = [(n - 1) * s + k - 2 * p for n, k, s, p in zip(input.shape[-spatial:], kernel, step, pad)]
    if output_size is None:
        size = default
    else:
        size = list(output_size)[2:] if len(output_size) == spatial + 2 else list(output_size)
        if len(size) != spatial:
            raise ValueError(f"max_unpool{spatial}d: expected an output_size of {spatial} or {spatial + 2} numbers, "
                             f"got {list(output_size)}")
        for d, (given, usual, s) in enumerate(zip(size, default, step)):
            if not usual - s < given < usual + s:
                raise ValueError(
                    f"max_unpool{spatial}d: expected output_size above {usual - s} and below {usual + s} in dimension "
                    f"{d}, got {size}")
    if min(size) < 0:
        raise ValueError(f"max_unpool{spatial}d: expected non-negative spatial sizes, got {size}")
    return size


def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Zeros with the values of `input` at `indices`: the partial inverse of `max_pool1d`.

    >>> import pydl
    >>> F = pydl.nn.functional
    >>> pooled, indices = F.max_pool1d(pydl.tensor([[1.0, 3.0, 2.0, 5.0]]), 2, return_indices=True)
    >>> F.max_unpool1d(pooled, indices, 2).tolist()
    [[0.0, 3.0, 0.0, 5.0]]
    """
    size = _unpooled_size(input, kernel_size, stride, padding, output_size, 1)
    return _nn.max_unpool2d(input.unsqueeze(-1), indices.unsqueeze(-1), [*size, 1]).squeeze(-1)


def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Zeros with the values of `input` at `indices`: the partial inverse of `max_pool2d`.

    >>> import pydl
    >>> pydl.nn.functional.max_unpool2d(pydl.tensor([[[5.0]]]), pydl.tensor([[[2]]]), 2)
    tensor([[[0., 0.],
             [5., 0.]]])
    """
    return _nn.max_unpool2d(input, indices, _unpooled_size(input, kernel_size, stride, padding, output_size, 2))


def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Zeros with the values of `input` at `indices`: the partial inverse of `max_pool3d`.

    >>> import pydl
    >>> pydl.nn.functional.max_unpool3d(pydl.tensor([[[[5.0]]]]), pydl.tensor([[[[7]]]]), 2).flatten()
    tensor([0., 0., 0., 0., 0., 0., 0., 5.])
    """
    return _nn.max_unpool3d(input, indices, _unpooled_size(input, kernel_size, stride, padding, output_size, 3))

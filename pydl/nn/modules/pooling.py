"""Pooling over (N, C, spatial...) or (C, spatial...) input."""

from __future__ import annotations

from typing import Any

from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn.modules.module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d",
    "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]

Size = int | tuple[int, ...]
Sizes = int | None | tuple[int | None, ...]


def _tuple(value: Any, count: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * count


# ---- maxima ----------------------------------------------------------------------------------------------------------
class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def _pool(self, pool: Any, input: Tensor) -> Any:
        return pool(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
                    self.return_indices)

    def extra_repr(self) -> str:
        return (f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
                f"dilation={self.dilation}, ceil_mode={self.ceil_mode}")


class MaxPool1d(_MaxPool):
    """The largest element of each window: (N, C, L) gives (N, C, L_out).

    L_out = (L + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1, rounded down, or up with `ceil_mode`, where
    every window still starts inside the input or its left padding. `stride` defaults to `kernel_size`. With
    `return_indices` the result is (values, positions); `MaxUnpool1d` takes them.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.MaxPool1d(3, stride=2)(pydl.zeros(20, 16, 50)).shape)
    (20, 16, 24)
    """

    def forward(self, input: Tensor) -> Any:
        return self._pool(F.max_pool1d, input)


class MaxPool2d(_MaxPool):
    """The largest element of each window: (N, C, H, W) gives (N, C, H_out, W_out); sizes as in `MaxPool1d`.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.MaxPool2d((3, 2), stride=(2, 1))(pydl.zeros(20, 16, 50, 32)).shape)
    (20, 16, 24, 31)
    """

    def forward(self, input: Tensor) -> Any:
        return self._pool(F.max_pool2d, input)


class MaxPool3d(_MaxPool):
    """The largest element of each window: (N, C, D, H, W) gives (N, C, D_out, H_out, W_out); sizes as in `MaxPool1d`.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.MaxPool3d(3, stride=2)(pydl.zeros(2, 4, 9, 11, 13)).shape)
    (2, 4, 4, 5, 6)
    """

    def forward(self, input: Tensor) -> Any:
        return self._pool(F.max_pool3d, input)


class _MaxUnpool(Module):
    _spatial: int

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        self.kernel_size = _tuple(kernel_size, self._spatial)
        self.stride = _tuple(stride if stride is not None else kernel_size, self._spatial)
        self.padding = _tuple(padding, self._spatial)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Zeros with the values of `input` at `indices`, which a `MaxPool1d` with `return_indices` has given.

    The size is (L - 1) stride + kernel_size - 2 padding unless `output_size` says which of those that pool to L.

    >>> import pydl
    >>> from pydl import nn
    >>> pooled, indices = nn.MaxPool1d(2, return_indices=True)(pydl.tensor([[1.0, 3.0, 2.0, 5.0]]))
    >>> nn.MaxUnpool1d(2)(pooled, indices).tolist()
    [[0.0, 3.0, 0.0, 5.0]]
    """

    _spatial = 1

    def forward(self, input: Tensor, indices: Tensor, output_size: list[int] | None = None) -> Tensor:
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpool):
    """Zeros with the values of `input` at `indices`, which a `MaxPool2d` with `return_indices` has given.

    >>> import pydl
    >>> from pydl import nn
    >>> pooled, indices = nn.MaxPool2d(2, return_indices=True)(pydl.arange(4.0).reshape(1, 2, 2))
    >>> nn.MaxUnpool2d(2)(pooled, indices).tolist()
    [[[0.0, 0.0], [0.0, 3.0]]]
    """

    _spatial = 2

    def forward(self, input: Tensor, indices: Tensor, output_size: list[int] | None = None) -> Tensor:
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpool):
    """Zeros with the values of `input` at `indices`, which a `MaxPool3d` with `return_indices` has given.

    >>> import pydl
    >>> from pydl import nn
    >>> pooled, indices = nn.MaxPool3d(2, return_indices=True)(pydl.zeros(1, 3, 4, 4, 4))
    >>> tuple(nn.MaxUnpool3d(2)(pooled, indices).shape)
    (1, 3, 4, 4, 4)
    """

    _spatial = 3

    def forward(self, input: Tensor, indices: Tensor, output_size: list[int] | None = None) -> Tensor:
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


# ---- averages --------------------------------------------------------------------------------------------------------
class AvgPool1d(Module):
    """The mean of each window: (N, C, L) gives (N, C, L_out), L_out = (L + 2 padding - kernel_size) / stride + 1.

    Padding counts as zeros, or with ``count_include_pad=False`` not at all. `ceil_mode` rounds L_out up.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.AvgPool1d(3, stride=2)(pydl.tensor([[[1.0, 2, 3, 4, 5, 6, 7]]])).tolist()
    [[[2.0, 4.0, 6.0]]]
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _tuple(kernel_size, 1)
        self.stride = _tuple(stride if stride is not None else kernel_size, 1)
        self.padding = _tuple(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def _pool(self, pool: Any, input: Tensor) -> Tensor:
        return pool(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
                    self.divisor_override)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of each window: (N, C, H, W) gives (N, C, H_out, W_out); sizes and padding as in `AvgPool1d`.

    `divisor_override` divides the sums instead of the window's size.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.AvgPool2d((3, 2), stride=(2, 1))(pydl.zeros(20, 16, 50, 32)).shape)
    (20, 16, 24, 31)
    """

    def forward(self, input: Tensor) -> Tensor:
        return self._pool(F.avg_pool2d, input)


class AvgPool3d(_AvgPool):
    """The mean of each window: (N, C, D, H, W) gives (N, C, D_out, H_out, W_out); arguments as in `AvgPool2d`.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.AvgPool3d(3, stride=2)(pydl.zeros(2, 4, 9, 11, 13)).shape)
    (2, 4, 4, 5, 6)
    """

    def forward(self, input: Tensor) -> Tensor:
        return self._pool(F.avg_pool3d, input)


class _LPPool(Module):
    def __init__(
        self, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def _pool(self, pool: Any, input: Tensor) -> Tensor:
        return pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
                f"ceil_mode={self.ceil_mode}")


class LPPool1d(_LPPool):
    """The p-norm of each window, (sum x^p)^(1/p) with p = `norm_type`: (N, C, L) gives (N, C, L_out).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.LPPool1d(2, 2)(pydl.tensor([[3.0, 4.0]])).item()
    5.0
    """

    def forward(self, input: Tensor) -> Tensor:
        return self._pool(F.lp_pool1d, input)


class LPPool2d(_LPPool):
    """The p-norm of each window, (sum x^p)^(1/p) with p = `norm_type`: (N, C, H, W) gives (N, C, H_out, W_out).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.LPPool2d(1, 2)(pydl.ones(1, 1, 2, 2)).item()
    4.0
    """

    def forward(self, input: Tensor) -> Tensor:
        return self._pool(F.lp_pool2d, input)


class LPPool3d(_LPPool):
    """The p-norm of each window, (sum x^p)^(1/p) with p = `norm_type`, over depth, height and width.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.LPPool3d(1, 2)(pydl.ones(1, 1, 2, 2, 2)).item()
    8.0
    """

    def forward(self, input: Tensor) -> Tensor:
        return self._pool(F.lp_pool3d, input)


# ---- adaptive windows ------------------------------------------------------------------------------------------------
class _AdaptiveMaxPool(Module):
    def __init__(self, output_size: Sizes, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima over `output_size` windows that divide the input evenly: (N, C, L) gives (N, C, output_size).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.AdaptiveMaxPool1d(2)(pydl.tensor([[1.0, 4.0, 3.0, 2.0]])).tolist()
    [[4.0, 3.0]]
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima over windows that divide (N, C, H, W) evenly into `output_size`, in which None keeps a size.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.AdaptiveMaxPool2d((5, None))(pydl.zeros(1, 64, 8, 9)).shape)
    (1, 64, 5, 9)
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima over windows that divide (N, C, D, H, W) evenly into `output_size`, in which None keeps a size.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.AdaptiveMaxPool3d(2)(pydl.zeros(1, 8, 4, 5, 6)).shape)
    (1, 8, 2, 2, 2)
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class _AdaptiveAvgPool(Module):
    def __init__(self, output_size: Sizes) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means over `output_size` windows that divide the input evenly: (N, C, L) gives (N, C, output_size).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.AdaptiveAvgPool1d(2)(pydl.tensor([[1.0, 4.0, 3.0, 2.0]])).tolist()
    [[2.5, 2.5]]
    """

    output_size: Size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means over windows that divide (N, C, H, W) evenly into `output_size`, in which None keeps a size.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.AdaptiveAvgPool2d(1)(pydl.zeros(8, 512, 7, 7)).shape)
    (8, 512, 1, 1)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means over windows that divide (N, C, D, H, W) evenly into `output_size`, in which None keeps a size.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.AdaptiveAvgPool3d((2, 1, None))(pydl.zeros(1, 8, 4, 5, 6)).shape)
    (1, 8, 2, 1, 6)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool3d(input, self.output_size)

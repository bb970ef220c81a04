"""Convolutions and transposed convolutions, in one to three dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import pydl
from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn import init
from pydl.nn.modules.lazy import LazyModuleMixin
from pydl.nn.modules.module import Module
from pydl.nn.parameter import Parameter, UninitializedParameter

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "LazyConv1d", "LazyConv2d",
    "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d",
]

Size = int | tuple[int, ...]
MODES = ("zeros", "reflect", "replicate", "circular")


def _each(value: Size, n: int) -> tuple[int, ...]:
    """One value an axis."""
    return tuple(value) if isinstance(value, Sequence) else (value,) * n


class _ConvNd(Module):
    """What all convolutions share: their hyperparameters, parameters and initial values."""

    _axes: ClassVar[int]
    transposed: ClassVar[bool] = False

    weight: Parameter
    bias: Parameter | None
    padding: tuple[int, ...] | str

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        dilation: Size,
        output_padding: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError(f"{type(self).__name__}: expected positive groups, got {groups}")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{type(self).__name__}: expected {name} divisible by groups, got {channels} and "
                                 f"{groups}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _each(kernel_size, self._axes)
        self.stride = _each(stride, self._axes)
        self.padding = padding if isinstance(padding, str) else _each(padding, self._axes)
        self.dilation = _each(dilation, self._axes)
        self.output_padding = _each(output_padding, self._axes)
        self.groups = groups
        self.padding_mode = padding_mode
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"{type(self).__name__}: expected padding 'same', 'valid' or numbers, got {padding!r}")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError(f"{type(self).__name__}: expected a stride of 1 with padding 'same', got "
                                 f"{self.stride}")
        if padding_mode not in MODES:
            raise ValueError(f"{type(self).__name__}: expected a padding_mode of {', '.join(MODES)}, got "
                             f"{padding_mode!r}")
        self.weight = Parameter(pydl.empty(self._weight_shape(), device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(pydl.empty(out_channels, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        return (first, second // self.groups, *self.kernel_size)

    def reset_parameters(self) -> None:
        """Draws new initial values: U(-k, k), k = 1 / sqrt(inputs of one output value)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = self.weight.shape[1] * math.prod(self.kernel_size)
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        n = self._axes
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * n:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * n:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * n:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device,
            dtype)

    def _around(self) -> list[int]:
        """The padding as F.pad takes it: (before, after) of each axis, the last axis first."""
        if isinstance(self.padding, str):
            same = self.padding == "same"
            whole = [d * (k - 1) if same else 0 for d, k in zip(self.dilation, self.kernel_size)]
            return [side for total in reversed(whole) for side in (total // 2, total - total // 2)]
        return [side for p in reversed(self.padding) for side in (p, p)]

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolution = getattr(F, f"conv{self._axes}d")
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._around(), mode=self.padding_mode), 0
        return convolution(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)


class _ConvTranspose(_ConvNd):
    transposed = True

    padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f"{type(self).__name__}: expected padding_mode 'zeros', got {padding_mode!r}")
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype)

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """How much the smallest output must grow to have `output_size`."""
        if output_size is None:
            return self.output_padding
        n = self._axes
        lead = input.dim() - n
        size = list(output_size)[lead:] if len(output_size) == lead + n else list(output_size)
        if len(size) != n:
            raise ValueError(f"{type(self).__name__}: expected output_size to have {n} or {lead + n} elements, got "
                             f"{len(output_size)}")
        smallest = [(i - 1) * s - 2 * p + d * (k - 1) + 1 for i, s, p, d, k in zip(
            input.shape[lead:], self.stride, self.padding, self.dilation, self.kernel_size)]
        largest = [low + s - 1 for low, s in zip(smallest, self.stride)]
        if not all(low <= want <= high for low, want, high in zip(smallest, size, largest)):
            raise ValueError(f"{type(self).__name__}: expected output_size from {smallest} to {largest} for an input "
                             f"of {list(input.shape[lead:])}, got {size}")
        return tuple(want - low for want, low in zip(size, smallest))

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        convolution = getattr(F, f"conv_transpose{self._axes}d")
        extra = self._output_padding(input, output_size)
        return convolution(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)


class Conv1d(_Conv):
    """A convolution over (N, C, L) or (C, L).

    `weight` (out_channels, in_channels / groups, k) and `bias` start as U(-b, b), b = 1 / sqrt(in_channels / groups *
    k). `padding` is a number, 'same' or 'valid'; `padding_mode` one of zeros, reflect, replicate, circular.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.Conv1d(16, 33, 3, stride=2)(pydl.zeros(20, 16, 50)).shape)
    (20, 33, 24)
    """

    _axes = 1


class Conv2d(_Conv):
    """A convolution over (N, C, H, W) or (C, H, W); sizes are one number, or one an axis. The result lies in
    channels-last memory.

    `weight` (out_channels, in_channels / groups, kh, kw) and `bias` start as U(-b, b), b = 1 / sqrt(in_channels /
    groups * kh * kw). `padding` is a size, 'same' or 'valid'; `padding_mode` one of zeros, reflect, replicate,
    circular.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.Conv2d(16, 33, (3, 5), stride=(2, 1), padding=(4, 2))(pydl.zeros(2, 16, 50, 100)).shape)
    (2, 33, 28, 100)
    """

    _axes = 2


class Conv3d(_Conv):
    """A convolution over (N, C, D, H, W) or (C, D, H, W); see `Conv2d`.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.Conv3d(3, 8, 3, padding="same")(pydl.zeros(1, 3, 4, 5, 6)).shape)
    (1, 8, 4, 5, 6)
    """

    _axes = 3


class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d` over (N, C, L) or (C, L): `weight` is (in_channels, out_channels / groups, k).

    A strided convolution maps several lengths to one; `output_padding`, or `output_size` in the call, chooses among
    them.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ConvTranspose1d(16, 33, 3, stride=2)(pydl.zeros(20, 16, 50)).shape)
    (20, 33, 101)
    """

    _axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of `Conv2d` over (N, C, H, W) or (C, H, W); see `ConvTranspose1d`.

    >>> import pydl
    >>> from pydl import nn
    >>> up = nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1)
    >>> tuple(up(pydl.zeros(1, 16, 6, 6), output_size=(12, 12)).shape)
    (1, 8, 12, 12)
    """

    _axes = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of `Conv3d` over (N, C, D, H, W) or (C, D, H, W); see `ConvTranspose1d`.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ConvTranspose3d(4, 2, 2, stride=2)(pydl.zeros(1, 4, 3, 3, 3)).shape)
    (1, 2, 6, 6, 6)
    """

    _axes = 3


class _LazyConv(LazyModuleMixin, _ConvNd):
    """A convolution that learns `in_channels` from its first input."""

    def __init__(self, out_channels: int, kernel_size: Size, *args: Any, bias: bool, device: Any, dtype: Any,
                 **kwargs: Any) -> None:
        super().__init__(0, 0, kernel_size, *args, bias=False, **kwargs)
        self.out_channels = out_channels
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        if not self.has_uninitialized_params():
            return
        if input.dim() not in (self._axes + 1, self._axes + 2):
            raise RuntimeError(f"{type(self).__name__}: expected a {self._axes + 1}D (unbatched) or {self._axes + 2}D "
                               f"(batched) input, got {list(input.shape)}")
        self.in_channels = input.shape[-self._axes - 1]
        if self.in_channels % self.groups:
            raise ValueError(f"{type(self).__name__}: expected in_channels divisible by groups, got "
                             f"{self.in_channels} and {self.groups}")
        with pydl.no_grad():
            for tensor, shape in ((self.weight, self._weight_shape()), (self.bias, (self.out_channels,))):
                if isinstance(tensor, UninitializedParameter):
                    tensor.materialize(shape)
            self.reset_parameters()


class _LazyForward(_LazyConv):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            out_channels, kernel_size, stride, padding, dilation, groups, padding_mode=padding_mode, bias=bias,
            device=device, dtype=dtype)


class _LazyTranspose(_LazyConv):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            out_channels, kernel_size, stride, padding, output_padding, groups, dilation=dilation,
            padding_mode=padding_mode, bias=bias, device=device, dtype=dtype)


class LazyConv1d(_LazyForward, Conv1d):
    """A `Conv1d` that learns `in_channels` from its first input, and is a `Conv1d` from then on.

    >>> import pydl
    >>> from pydl import nn
    >>> layer = nn.LazyConv1d(4, 3)
    >>> tuple(layer(pydl.zeros(2, 5, 8)).shape), layer.in_channels
    ((2, 4, 6), 5)
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyForward, Conv2d):
    """A `Conv2d` that learns `in_channels` from its first input, and is a `Conv2d` from then on."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyForward, Conv3d):
    """A `Conv3d` that learns `in_channels` from its first input, and is a `Conv3d` from then on."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyTranspose, ConvTranspose1d):
    """A `ConvTranspose1d` that learns `in_channels` from its first input, and is one from then on."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyTranspose, ConvTranspose2d):
    """A `ConvTranspose2d` that learns `in_channels` from its first input, and is one from then on."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyTranspose, ConvTranspose3d):
    """A `ConvTranspose3d` that learns `in_channels` from its first input, and is one from then on."""

    cls_to_become = ConvTranspose3d

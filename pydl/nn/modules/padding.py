"""Padding layers: constant, reflecting, replicating, circular, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn.modules.module import Module

__all__ = [
    f"{kind}Pad{n}d" for kind in ("Circular", "Constant", "Reflection", "Replication", "Zero") for n in (1, 2, 3)
]


class _Pad(Module):
    """`padding` counts positions before and after the last dimension, then the one before it; one number serves all."""

    _dims: int
    _mode: str

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, Iterable) else (padding,) * (2 * self._dims)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    _mode = "constant"

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ReflectionPad(_Pad):
    _mode = "reflect"


class _ReplicationPad(_Pad):
    _mode = "replicate"


class _CircularPad(_Pad):
    _mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        dims = self._dims
        if input.dim() not in (dims + 1, dims + 2):
            raise ValueError(f"{type(self).__name__}: expected {dims + 1}D or {dims + 2}D input, got "
                             f"{list(input.shape)}")
        return super().forward(input)


class ConstantPad1d(_ConstantPad):
    """`value` around the last dimension.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ConstantPad1d(1, 7.0)(pydl.ones(1, 2)).shape)
    (1, 4)
    """

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """`value` around the last two dimensions.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ConstantPad2d(1, 7.0)(pydl.ones(1, 2, 2)).shape)
    (1, 4, 4)
    """

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """`value` around the last three dimensions.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ConstantPad3d(1, 7.0)(pydl.ones(1, 2, 2, 2)).shape)
    (1, 4, 4, 4)
    """

    _dims = 3


class ZeroPad1d(_ZeroPad):
    """Zeros around the last dimension.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ZeroPad1d(1)(pydl.ones(1, 2)).shape)
    (1, 4)
    """

    _dims = 1


class ZeroPad2d(_ZeroPad):
    """Zeros around the last two dimensions.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ZeroPad2d(1)(pydl.ones(1, 2, 2)).shape)
    (1, 4, 4)
    """

    _dims = 2


class ZeroPad3d(_ZeroPad):
    """Zeros around the last three dimensions.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ZeroPad3d(1)(pydl.ones(1, 2, 2, 2)).shape)
    (1, 4, 4, 4)
    """

    _dims = 3


class ReflectionPad1d(_ReflectionPad):
    """The image mirrored at its borders, for (N, C, L) or (C, L).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ReflectionPad1d(1)(pydl.ones(1, 2)).shape)
    (1, 4)
    """

    _dims = 1


class ReflectionPad2d(_ReflectionPad):
    """The image mirrored at its borders, for (N, C, H, W) or (C, H, W).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ReflectionPad2d(1)(pydl.ones(1, 2, 2)).shape)
    (1, 4, 4)
    """

    _dims = 2


class ReflectionPad3d(_ReflectionPad):
    """The image mirrored at its borders, for (N, C, D, H, W) or (C, D, H, W).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ReflectionPad3d(1)(pydl.ones(1, 2, 2, 2)).shape)
    (1, 4, 4, 4)
    """

    _dims = 3


class ReplicationPad1d(_ReplicationPad):
    """The border repeated, for (N, C, L) or (C, L).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ReplicationPad1d(1)(pydl.ones(1, 2)).shape)
    (1, 4)
    """

    _dims = 1


class ReplicationPad2d(_ReplicationPad):
    """The border repeated, for (N, C, H, W) or (C, H, W).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ReplicationPad2d(1)(pydl.ones(1, 2, 2)).shape)
    (1, 4, 4)
    """

    _dims = 2


class ReplicationPad3d(_ReplicationPad):
    """The border repeated, for (N, C, D, H, W) or (C, D, H, W).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.ReplicationPad3d(1)(pydl.ones(1, 2, 2, 2)).shape)
    (1, 4, 4, 4)
    """

    _dims = 3


class CircularPad1d(_CircularPad):
    """The opposite end of the image, for (N, C, L) or (C, L).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.CircularPad1d(1)(pydl.ones(1, 2)).shape)
    (1, 4)
    """

    _dims = 1


class CircularPad2d(_CircularPad):
    """The opposite end of the image, for (N, C, H, W) or (C, H, W).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.CircularPad2d(1)(pydl.ones(1, 2, 2)).shape)
    (1, 4, 4)
    """

    _dims = 2


class CircularPad3d(_CircularPad):
    """The opposite end of the image, for (N, C, D, H, W) or (C, D, H, W).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.CircularPad3d(1)(pydl.ones(1, 2, 2, 2)).shape)
    (1, 4, 4, 4)
    """

    _dims = 3

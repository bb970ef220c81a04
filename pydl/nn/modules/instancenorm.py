"""Normalization of every channel of every sample by itself."""

from __future__ import annotations

import warnings
from typing import Any

from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn.modules.batchnorm import LazyNorm, NormWithStatistics

__all__ = [
    "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
]


class _InstanceNorm(NormWithStatistics):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        unbatched = input.dim() == self._dims[0]
        channels = 0 if unbatched else 1
        if input.size(channels) != self.num_features:
            if self.affine:
                raise ValueError(f"{type(self).__name__}: expected {self.num_features} channels (num_features) in "
                                 f"dimension {channels}, got {input.size(channels)}")
            warnings.warn(
                f"input's size at dim={channels} does not match num_features. You can silence this warning by not "
                "passing in num_features, which is not used because affine=False",
                stacklevel=2,
            )
        x = input.unsqueeze(0) if unbatched else input
        momentum = 0.0 if self.momentum is None else self.momentum
        y = F.instance_norm(x, self.running_mean, self.running_var, self.weight, self.bias,
                            self.training or not self.track_running_stats, momentum, self.eps)
        return y.squeeze(0) if unbatched else y


class InstanceNorm1d(_InstanceNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of each sample of (N, C, L) or (C, L) input.

    `weight` and `bias` exist only if `affine`. With `track_running_stats` running statistics follow in training by
    `momentum` and are used in evaluation.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.InstanceNorm1d(1)(pydl.tensor([[[1.0, 3.0]]])).round().tolist()
    [[[-1.0, 1.0]]]
    """

    _dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for (N, C, H, W) or (C, H, W) input.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.InstanceNorm2d(8)(pydl.zeros(2, 8, 5, 5)).shape)
    (2, 8, 5, 5)
    """

    _dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for (N, C, D, H, W) or (C, D, H, W) input.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.InstanceNorm3d(8)(pydl.zeros(2, 8, 3, 5, 5)).shape)
    (2, 8, 3, 5, 5)
    """

    _dims = (4, 5)


class LazyInstanceNorm1d(LazyNorm, _InstanceNorm):
    """An `InstanceNorm1d` that learns `num_features` from its first input."""

    cls_to_become = InstanceNorm1d
    _dims = InstanceNorm1d._dims


class LazyInstanceNorm2d(LazyNorm, _InstanceNorm):
    """An `InstanceNorm2d` that learns `num_features` from its first input."""

    cls_to_become = InstanceNorm2d
    _dims = InstanceNorm2d._dims


class LazyInstanceNorm3d(LazyNorm, _InstanceNorm):
    """An `InstanceNorm3d` that learns `num_features` from its first input."""

    cls_to_become = InstanceNorm3d
    _dims = InstanceNorm3d._dims

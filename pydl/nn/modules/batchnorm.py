"""Batch normalization, and what normalizations with running statistics share."""

from __future__ import annotations

from typing import Any

import pydl
from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn import init
from pydl.nn.functional._normalization import _batch_norm_relu
from pydl.nn.modules.lazy import LazyModuleMixin
from pydl.nn.modules.module import Module
from pydl.nn.parameter import Parameter, UninitializedBuffer, UninitializedParameter

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d"]


class NormWithStatistics(Module):
    """Weight and bias if `affine`; running_mean, running_var and num_batches_tracked if `track_running_stats`."""

    _dims: tuple[int, ...]  # of the input

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        how = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(pydl.empty(num_features, **how)) if affine else None)
        self.register_parameter("bias", Parameter(pydl.empty(num_features, **how)) if affine and bias else None)
        track = track_running_stats
        self.register_buffer("running_mean", pydl.zeros(num_features, **how) if track else None)
        self.register_buffer("running_var", pydl.ones(num_features, **how) if track else None)
        self.register_buffer("num_batches_tracked", pydl.tensor(0, device=device) if track else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Mean zero, variance one, no batches seen."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Weight one, bias zero, fresh running statistics."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in self._dims:
            wanted = " or ".join(f"{d}D" for d in self._dims)
            raise ValueError(f"{type(self).__name__}: expected {wanted} input, got {list(input.shape)}")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # States of old PyTorch versions lack the counter, and dictionaries do not tell their version.
        if self.track_running_stats and self.num_batches_tracked is not None:
            state_dict.setdefault(prefix + "num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
                f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}")


class LazyNorm(LazyModuleMixin, NormWithStatistics):
    """Learns `num_features` from the size of its first input's dimension 1."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self.affine = affine
        self.track_running_stats = track_running_stats
        how = {"device": device, "dtype": dtype}
        if affine:
            self.weight = UninitializedParameter(**how)
            if bias:
                self.bias = UninitializedParameter(**how)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(**how)
            self.running_var = UninitializedBuffer(**how)
            self.num_batches_tracked = pydl.tensor(0, device=device)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        if self.has_uninitialized_params():
            self.num_features = input.shape[1]
            for member in (self.weight, self.bias, self.running_mean, self.running_var):
                if member is not None:
                    member.materialize((self.num_features,))
            self.reset_parameters()


class _BatchNorm(NormWithStatistics):
    def forward(self, input: Tensor) -> Tensor:
        return F.batch_norm(*self._arguments(input))

    def forward_relu(self, input: Tensor) -> Tensor:
        """relu(forward(input)), in one pass."""
        return _batch_norm_relu(*self._arguments(input))

    def _arguments(self, input: Tensor) -> tuple[Any, ...]:
        """Those of `F.batch_norm`, with one more batch counted in training."""
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the mean of all batches
                momentum = 1.0 / float(self.num_batches_tracked)
        use = not self.training or self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if use else (None, None)
        batch = self.training or (self.running_mean is None and self.running_var is None)
        return input, mean, var, self.weight, self.bias, batch, momentum, self.eps


class BatchNorm1d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of (N, C) or (N, C, L) input.

    In training the statistics are the batch's, and `running_mean` and `running_var` follow by `momentum` (None: they
    are the mean over all batches); in evaluation the running ones are used, unless `track_running_stats` is off.
    `weight` starts as ones and `bias` as zeros; `affine` and `bias` leave them out. Raises ValueError for one value a
    channel in training.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.BatchNorm1d(1)(pydl.tensor([[1.0], [3.0]])).round().tolist()
    [[-1.0], [1.0]]
    """

    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for (N, C, H, W) input.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.BatchNorm2d(8)(pydl.zeros(2, 8, 5, 5)).shape)
    (2, 8, 5, 5)
    """

    _dims = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for (N, C, D, H, W) input.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.BatchNorm3d(8)(pydl.zeros(2, 8, 3, 5, 5)).shape)
    (2, 8, 3, 5, 5)
    """

    _dims = (5,)


BATCH_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)


class LazyBatchNorm1d(LazyNorm, _BatchNorm):
    """A `BatchNorm1d` that learns `num_features` from its first input, and is a `BatchNorm1d` from then on.

    >>> import pydl
    >>> from pydl import nn
    >>> layer = nn.LazyBatchNorm1d()
    >>> tuple(layer(pydl.zeros(4, 3)).shape), layer.num_features
    ((4, 3), 3)
    """

    cls_to_become = BatchNorm1d
    _dims = BatchNorm1d._dims


class LazyBatchNorm2d(LazyNorm, _BatchNorm):
    """A `BatchNorm2d` that learns `num_features` from its first input."""

    cls_to_become = BatchNorm2d
    _dims = BatchNorm2d._dims


class LazyBatchNorm3d(LazyNorm, _BatchNorm):
    """A `BatchNorm3d` that learns `num_features` from its first input."""

    cls_to_become = BatchNorm3d
    _dims = BatchNorm3d._dims

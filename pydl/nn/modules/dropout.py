"""Dropout layers, which act in training mode only."""

from __future__ import annotations

from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn.functional._dropout import check_probability
from pydl.nn.modules.module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        check_probability(p)
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Zeros each element with probability `p` and scales the others by 1 / (1 - p) (Hinton et al. 2012).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Dropout(0.5).eval()(pydl.ones(3)).sum().item()
    3.0
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """Zeros whole channels of (N, C, L) or (C, L) (Tompson et al. 2015).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.Dropout1d(0.2)(pydl.ones(2, 3, 4)).shape)
    (2, 3, 4)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Zeros whole channels of (N, C, H, W).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.Dropout2d(0.2)(pydl.ones(2, 3, 4, 4)).shape)
    (2, 3, 4, 4)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """Zeros whole channels of (N, C, D, H, W) or (C, D, H, W).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.Dropout3d(0.2)(pydl.ones(2, 3, 4, 4, 4)).shape)
    (2, 3, 4, 4, 4)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout that keeps the mean 0 and variance 1 of SELU activations (Klambauer et al. 2017).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.AlphaDropout(0.2)(pydl.ones(2, 3)).shape)
    (2, 3)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels of (N, C, ...).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.FeatureAlphaDropout(0.2)(pydl.ones(2, 3, 4)).shape)
    (2, 3, 4)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)

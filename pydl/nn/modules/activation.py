"""Activation layers. Every one keeps the shape of its input, GLU excepted."""

from __future__ import annotations

import warnings
from typing import Any

import pydl
from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn import init
from pydl.nn.modules.module import Module
from pydl.nn.parameter import Parameter

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class _Activation(Module):
    """What the layers share: `_shown` are the settings in the repr, where `inplace` appears only if it is true."""

    _shown: tuple[str, ...] = ()

    def extra_repr(self) -> str:
        shown = [f"{name}={getattr(self, name)!r}" for name in self._shown]
        if getattr(self, "inplace", False):
            shown.append("inplace=True")
        return ", ".join(shown)


class ReLU(_Activation):
    """max(0, x).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.ReLU()(pydl.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, self.inplace)


class ReLU6(_Activation):
    """min(max(0, x), 6).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.ReLU6()(pydl.tensor([-1.0, 8.0])).tolist()
    [0.0, 6.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(input, self.inplace)


class LeakyReLU(_Activation):
    """x where x > 0, else negative_slope * x.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.LeakyReLU(0.5)(pydl.tensor([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    _shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class RReLU(_Activation):
    """Leaky ReLU with a slope from U(lower, upper) per element in training, else with the mean (Xu et al. 2015).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.RReLU(0.25, 0.75).eval()(pydl.tensor([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    _shown = ("lower", "upper")

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class Threshold(_Activation):
    """x where x > threshold, else `value`.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Threshold(0.5, 20.0)(pydl.tensor([0.0, 2.0])).tolist()
    [20.0, 2.0]
    """

    _shown = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)


class ELU(_Activation):
    """x where x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2015).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.ELU()(pydl.tensor([-200.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)


class SELU(_Activation):
    """ELU whose alpha and scale keep mean 0 and variance 1 (Klambauer et al. 2017).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.SELU()(pydl.tensor([0.0])).tolist()
    [0.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class CELU(_Activation):
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1)) (Barron 2017).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.CELU()(pydl.tensor([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)


class GELU(_Activation):
    """x * Phi(x), Phi the normal distribution function; `approximate` is "none" or "tanh" (Hendrycks and Gimpel 2016).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.GELU()(pydl.tensor([0.0])).tolist()
    [0.0]
    """

    _shown = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)


class SiLU(_Activation):
    """x * sigmoid(x), also called swish.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.SiLU()(pydl.tensor([0.0])).tolist()
    [0.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, self.inplace)


class Mish(_Activation):
    """x * tanh(softplus(x)) (Misra 2019).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Mish()(pydl.tensor([0.0])).tolist()
    [0.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, self.inplace)


class Hardsigmoid(_Activation):
    """min(max(0, x + 3), 6) / 6.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Hardsigmoid()(pydl.tensor([-4.0, 0.0, 4.0])).tolist()
    [0.0, 0.5, 1.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardswish(_Activation):
    """x * hardsigmoid(x) (Howard et al. 2019).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Hardswish()(pydl.tensor([1.5, 4.0])).tolist()
    [1.125, 4.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Sigmoid(_Activation):
    """1 / (1 + exp(-x)).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Sigmoid()(pydl.tensor([0.0])).tolist()
    [0.5]
    """

    def forward(self, input: Tensor) -> Tensor:
        return pydl.sigmoid(input)


class LogSigmoid(_Activation):
    """log(1 / (1 + exp(-x))) without overflow.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.LogSigmoid()(pydl.tensor([-200.0])).tolist()
    [-200.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Tanh(_Activation):
    """tanh(x).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Tanh()(pydl.tensor([0.0])).tolist()
    [0.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return pydl.tanh(input)


class Tanhshrink(_Activation):
    """x - tanh(x).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Tanhshrink()(pydl.tensor([0.0])).tolist()
    [0.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class Softsign(_Activation):
    """x / (1 + |x|).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Softsign()(pydl.tensor([-1.0, 3.0])).tolist()
    [-0.5, 0.75]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class Softplus(_Activation):
    """log(1 + exp(beta * x)) / beta, and x where beta * x > threshold.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Softplus()(pydl.tensor([30.0])).tolist()
    [30.0]
    """

    _shown = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)


class GLU(_Activation):
    """a * sigmoid(b), where a and b are the halves of the input along `dim` (Dauphin et al. 2017).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.GLU()(pydl.tensor([3.0, 0.0])).tolist()
    [1.5]
    """

    _shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)


class Softmax(_Activation):
    """exp(x) / sum(exp(x)) along `dim`.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Softmax(0)(pydl.tensor([1.0, 1.0])).tolist()
    [0.5, 0.5]
    """

    _shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim, _stacklevel=5)


class Softmin(_Activation):
    """Softmax of -x along `dim`.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Softmin(0)(pydl.tensor([1.0, 1.0])).tolist()
    [0.5, 0.5]
    """

    _shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim, _stacklevel=5)


class LogSoftmax(_Activation):
    """log(softmax(x)) along `dim` without overflow.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.LogSoftmax(0)(pydl.tensor([1.0])).tolist()
    [0.0]
    """

    _shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim, _stacklevel=5)


class Hardtanh(_Activation):
    """x limited to [min_val, max_val].

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Hardtanh(-2, 2)(pydl.tensor([-3.0, 0.5])).tolist()
    [-2.0, 0.5]
    """

    _shown = ("min_val", "max_val")

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__()
        for old, new, value in (("min_value", "min_val", min_value), ("max_value", "max_val", max_value)):
            if value is not None:
                warnings.warn(f"keyword argument `{old}` is deprecated: use `{new}`", FutureWarning, stacklevel=2)
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if self.max_val <= self.min_val:
            raise AssertionError(f"{type(self).__name__}: expected max_val above min_val, got {self.max_val} and "
                                 f"{self.min_val}")

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class PReLU(_Activation):
    """x where x > 0, else weight * x, `weight` learned: one, or one per channel, which is dimension 1 (He et al. 2015).

    >>> import pydl
    >>> from pydl import nn
    >>> nn.PReLU(init=0.5)(pydl.tensor([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    _shown = ("num_parameters",)

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(pydl.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Back to `init`."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)


class Hardshrink(_Activation):
    """x where |x| > lambd, else 0.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Hardshrink()(pydl.tensor([-0.25, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softshrink(_Activation):
    """x moved by lambd towards 0, and 0 where |x| <= lambd.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.Softshrink()(pydl.tensor([-1.0, 2.0])).tolist()
    [-0.5, 1.5]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softmax2d(_Activation):
    """Softmax over the channels of (N, C, H, W) or (C, H, W).

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.Softmax2d()(pydl.zeros(2, 3, 4, 5)).shape)
    (2, 3, 4, 5)
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected a 3D or 4D input, got {list(input.shape)}")
        return F.softmax(input, -3)

"""Initial values of parameters. Every function fills its tensor in place, records no gradient and returns it."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pydl
from pydl import Tensor

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]

_LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity shrinks the standard deviation: 1, 5/3 (tanh), sqrt(2) (relu), 3/4 (selu), or
    sqrt(2 / (1 + slope^2)) of leaky_relu, whose slope is `param` (0.01).

    >>> from pydl.nn import init
    >>> round(init.calculate_gain("relu"), 4)
    1.4142
    """
    if nonlinearity in _LINEAR or nonlinearity == "sigmoid":
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "selu":
        return 3.0 / 4
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: expected a number as the slope of leaky_relu, got {param!r}")
        return math.sqrt(2.0 / (1 + slope**2))
    raise ValueError(f"calculate_gain: expected the name of a nonlinearity that has a gain, got {nonlinearity!r}")


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """U(a, b).

    >>> import pydl
    >>> weight = pydl.nn.init.uniform_(pydl.empty(100), 2.0, 3.0)
    >>> bool(((weight >= 2) & (weight <= 3)).all())
    True
    """
    with pydl.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """N(mean, std^2).

    >>> import pydl
    >>> round(pydl.nn.init.normal_(pydl.empty(300, 300), std=0.5).std().item(), 1)
    0.5
    """
    with pydl.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """N(mean, std^2) restricted to [a, b], by inversion of the distribution function.

    >>> import pydl
    >>> bool((pydl.nn.init.trunc_normal_(pydl.empty(1000), a=-0.5, b=0.5).abs() <= 0.5).all())
    True
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution may be incorrect.",
            stacklevel=2,
        )

    def distribution(x: float) -> float:
        return math.erf((x - mean) / (std * math.sqrt(2.0)))

    with pydl.no_grad():
        tensor.uniform_(distribution(a), distribution(b), generator=generator)
        return tensor.erfinv_().mul_(std * math.sqrt(2.0)).add_(mean).clamp_(a, b)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """`val` everywhere.

    >>> import pydl
    >>> pydl.nn.init.constant_(pydl.empty(3), 0.5)
    tensor([0.5000, 0.5000, 0.5000])
    """
    with pydl.no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """1 on the diagonal of a matrix, 0 elsewhere.

    >>> import pydl
    >>> pydl.nn.init.eye_(pydl.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.dim() != 2:
        raise ValueError(f"eye_: expected a 2D tensor, got {list(tensor.shape)}")
    with pydl.no_grad():
        return tensor.copy_(pydl.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution weight (3 to 5 dimensions) that passes as many input channels through as it can, per group.

    >>> import pydl
    >>> from pydl import nn
    >>> conv = nn.Conv1d(2, 2, 3, padding=1, bias=False)
    >>> x, _ = pydl.ones(1, 2, 5), nn.init.dirac_(conv.weight)
    >>> pydl.equal(conv(x), x)
    True
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError(f"dirac_: expected a 3D, 4D or 5D tensor, got {list(tensor.shape)}")
    out, in_, *kernel = tensor.shape
    if out % groups:
        raise ValueError(f"dirac_: expected a first size divisible by groups, got {out} and {groups}")
    per_group = out // groups
    middle = [size // 2 for size in kernel]
    with pydl.no_grad():
        tensor.zero_()
        for group in range(groups):
            for channel in range(min(per_group, in_)):
                place = (group * per_group + channel, channel, *middle)
                tensor[place] = 1
    return tensor


def _fans(tensor: Tensor, op: str = "_calculate_fan_in_and_fan_out") -> tuple[int, int]:
    """How many inputs an output sums over, and how many outputs an input goes into."""
    if tensor.dim() < 2:
        raise ValueError(f"{op}: expected a tensor of at least 2 dimensions, got {list(tensor.shape)}")
    field = math.prod(tensor.shape[2:])
    return tensor.size(1) * field, tensor.size(0) * field


_calculate_fan_in_and_fan_out = _fans  # the name that PyTorch code calls it by


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    >>> import pydl
    >>> round(pydl.nn.init.xavier_uniform_(pydl.empty(200, 400)).abs().max().item(), 2)  # sqrt(6 / 600)
    0.1
    """
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor, "xavier_uniform_")))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """N(0, s^2), s = gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    >>> import pydl
    >>> round(pydl.nn.init.xavier_normal_(pydl.empty(200, 600)).std().item(), 2)  # sqrt(2 / 800)
    0.05
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor, "xavier_normal_"))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str, op: str) -> float:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{op}: expected mode 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(_fans(tensor, op)[mode == "fan_out"])


def _is_empty(tensor: Tensor) -> bool:
    if 0 not in tensor.shape:
        return False
    warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return True


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """U(-b, b), b = gain sqrt(3 / fan) (He et al. 2015); `a` is the slope of leaky_relu.

    >>> import pydl
    >>> weight = pydl.empty(200, 600)
    >>> round(pydl.nn.init.kaiming_uniform_(weight, nonlinearity="relu").abs().max().item(), 2)  # sqrt(6 / 600)
    0.1
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """N(0, s^2), s = gain / sqrt(fan) (He et al. 2015); `a` is the slope of leaky_relu.

    >>> import pydl
    >>> weight = pydl.empty(400, 200)
    >>> round(pydl.nn.init.kaiming_normal_(weight, nonlinearity="relu").std().item(), 2)  # sqrt(2 / 200)
    0.1
    """
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_normal_"), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """A matrix with orthonormal rows or columns, whichever are fewer, times `gain` (Saxe et al. 2013).

    Dimensions after the first count as one.

    >>> import pydl
    >>> weight = pydl.nn.init.orthogonal_(pydl.empty(2, 3))
    >>> pydl.allclose(weight @ weight.T, pydl.eye(2), atol=1e-5)
    True
    """
    if tensor.dim() < 2:
        raise ValueError(f"orthogonal_: expected a tensor of at least 2 dimensions, got {list(tensor.shape)}")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.size(0)
    columns = tensor.numel() // rows
    with pydl.no_grad():
        flat = pydl.empty(rows, columns, dtype=tensor.dtype, device=tensor.device).normal_(0, 1, generator=generator)
        if rows < columns:
            flat = flat.t()
        q, r = pydl.linalg.qr(flat)
        q = q * r.diagonal().sign()  # makes the distribution uniform (Mezzadri 2007)
        if rows < columns:
            q = q.t()
        return tensor.copy_(q.reshape(tensor.shape)).mul_(gain)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """N(0, std^2) with the fraction `sparsity` of every column set to zero (Martens 2010).

    >>> import pydl
    >>> (pydl.nn.init.sparse_(pydl.empty(10, 2), 0.3) == 0).sum(0)
    tensor([3, 3])
    """
    if tensor.dim() != 2:
        raise ValueError(f"sparse_: expected a 2D tensor, got {list(tensor.shape)}")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with pydl.no_grad():
        tensor.normal_(0, std, generator=generator)
        for column in range(columns):
            tensor[pydl.randperm(rows)[:zeros], column] = 0
    return tensor


# PyTorch's first names, which it keeps with a warning.
_OLDER = ("constant", "dirac", "eye", "kaiming_normal", "kaiming_uniform", "normal", "orthogonal", "sparse", "uniform",
          "xavier_normal", "xavier_uniform")  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _OLDER:
        raise AttributeError(f"module 'pydl.nn.init' has no attribute {name!r}")
    message = f"nn.init.{name} is now deprecated in favor of nn.init.{name}_."
    warnings.warn(message, FutureWarning, stacklevel=2)
    return globals()[f"{name}_"]

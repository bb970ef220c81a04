"""Activation functions. Those that are one kernel come from the core; the others are a few tensor functions each."""

from __future__ import annotations

import warnings

import pydl
from pydl import Tensor
from pydl._core import nn as _nn

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish",
    "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6",
    "relu_", "rrelu", "rrelu_", "selu", "selu_", "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink",
    "softsign", "tanh", "tanhshrink", "threshold", "threshold_",
]

celu_ = pydl.celu_
elu_ = _nn.elu_
gelu = _nn.gelu
glu = _nn.glu
hardshrink = pydl.hardshrink
hardtanh_ = _nn.hardtanh_
leaky_relu_ = _nn.leaky_relu_
logsigmoid = _nn.logsigmoid
prelu = pydl.prelu
relu_ = pydl.relu_
selu_ = pydl.selu_
sigmoid = pydl.sigmoid
softplus = _nn.softplus
softshrink = _nn.softshrink
tanh = pydl.tanh
threshold_ = pydl.threshold_


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(0, x).

    >>> import pydl
    >>> pydl.nn.functional.relu(pydl.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return pydl.relu_(input) if inplace else pydl.relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(0, x), 6).

    >>> import pydl
    >>> pydl.nn.functional.relu6(pydl.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x limited to [min_val, max_val].

    >>> import pydl
    >>> pydl.nn.functional.hardtanh(pydl.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: expected min_val <= max_val, got {min_val} and {max_val}")
    return _nn.hardtanh_(input, min_val, max_val) if inplace else _nn.hardtanh(input, min_val, max_val)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else `value`.

    >>> import pydl
    >>> pydl.nn.functional.threshold(pydl.tensor([1.0, 3.0]), 2.0, -5.0)
    tensor([-5.,  3.])
    """
    return pydl.threshold_(input, threshold, value) if inplace else pydl.threshold(input, threshold, value)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x.

    >>> import pydl
    >>> pydl.nn.functional.leaky_relu(pydl.tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5000,  2.0000])
    """
    return _nn.leaky_relu_(input, negative_slope) if inplace else _nn.leaky_relu(input, negative_slope)


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """Leaky ReLU whose slope is drawn from U(lower, upper) per element in training, else their mean (Xu et al.).

    >>> import pydl
    >>> pydl.nn.functional.rrelu(pydl.tensor([-8.0, 2.0]), 0.25, 0.75)
    tensor([-4.,  2.])
    """
    if not lower <= upper:
        raise RuntimeError(f"rrelu: expected lower <= upper, got {lower} and {upper}")
    if inplace:
        return rrelu_(input, lower, upper, training)
    if not training:
        return _nn.leaky_relu(input, (lower + upper) / 2)
    slope = pydl.empty_like(input).uniform_(lower, upper)
    return pydl.where(input > 0, input, input * slope)


def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """`rrelu` in place."""
    return input.copy_(rrelu(input.clone(), lower, upper, training))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2015).

    >>> import pydl
    >>> pydl.nn.functional.elu(pydl.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return _nn.elu_(input, alpha) if inplace else _nn.elu(input, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """ELU with the scale and alpha that keep mean 0 and variance 1 (Klambauer et al. 2017).

    >>> import pydl
    >>> pydl.nn.functional.selu(pydl.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    return pydl.selu_(input) if inplace else pydl.selu(input)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1)) (Barron 2017).

    >>> import pydl
    >>> pydl.nn.functional.celu(pydl.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return pydl.celu_(input, alpha) if inplace else pydl.celu(input, alpha)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x).

    >>> import pydl
    >>> pydl.nn.functional.silu(pydl.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """
    return _nn.silu_(input) if inplace else _nn.silu(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)) (Misra 2019).

    >>> import pydl
    >>> pydl.nn.functional.mish(pydl.tensor([-1.0, 2.0]))
    tensor([-0.3034,  1.9440])
    """
    return _nn.mish_(input) if inplace else _nn.mish(input)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(0, x + 3), 6) / 6.

    >>> import pydl
    >>> pydl.nn.functional.hardsigmoid(pydl.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
    return _nn.hardsigmoid_(input) if inplace else _nn.hardsigmoid(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x) (Howard et al. 2019).

    >>> import pydl
    >>> pydl.nn.functional.hardswish(pydl.tensor([-4.0, 1.0, 4.0]))
    tensor([-0.0000, 0.6667, 4.0000])
    """
    return _nn.hardswish_(input) if inplace else _nn.hardswish(input)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|).

    >>> import pydl
    >>> pydl.nn.functional.softsign(pydl.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return input / (input.abs() + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x).

    >>> import pydl
    >>> pydl.nn.functional.tanhshrink(pydl.tensor([-1.0, 2.0]))
    tensor([-0.2384,  1.0360])
    """
    return input - input.tanh()


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: pydl.dtype | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`, in `dtype` if given.

    Without `dim` it warns and takes PyTorch's old choice.

    >>> import pydl
    >>> pydl.nn.functional.softmax(pydl.tensor([[0.0, 0.0], [1.0, 1.0]]), dim=1)
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    if dim is None:
        dim = _implicit_dim("softmax", input.dim(), _stacklevel)
    return pydl.softmax(input, dim) if dtype is None else pydl.softmax(input, dim, dtype=dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: pydl.dtype | None = None
) -> Tensor:
    """log(softmax(x)) along `dim` without the overflow.

    >>> import pydl
    >>> pydl.nn.functional.log_softmax(pydl.tensor([0.0, 200.0]), dim=0)
    tensor([-200.,    0.])
    """
    if dim is None:
        dim = _implicit_dim("log_softmax", input.dim(), _stacklevel)
    return pydl.log_softmax(input, dim) if dtype is None else pydl.log_softmax(input, dim, dtype=dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: pydl.dtype | None = None) -> Tensor:
    """softmax(-x).

    >>> import pydl
    >>> pydl.nn.functional.softmin(pydl.tensor([0.0, 1.0]), dim=0)
    tensor([0.7311, 0.2689])
    """
    if dim is None:
        dim = _implicit_dim("softmin", input.dim(), _stacklevel)
    return softmax(-input, dim, dtype=dtype)


def _implicit_dim(name: str, ndim: int, stacklevel: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """Draws from the Gumbel-softmax distribution (Jang et al. 2017); one-hot in the forward direction if `hard`.

    `eps` has no effect, as in PyTorch, where a value other than its default only earns a warning.

    >>> import pydl
    >>> pydl.nn.functional.gumbel_softmax(pydl.tensor([[0.0, 100.0]]), hard=True)
    tensor([[0., 1.]])
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = -pydl.empty_like(logits).exponential_().log()
    soft = pydl.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    one_hot = pydl.zeros_like(logits).scatter_(dim, soft.argmax(dim, keepdim=True), 1.0)
    return one_hot - soft.detach() + soft

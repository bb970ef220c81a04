"""What `Sequential` runs as one operator: a layer together with the modules that follow it.

Only modules of exactly the types named here take part, without hooks or a `forward` of their own: whoever looks between
two modules sees each of them run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pydl
from pydl import Tensor
from pydl._core import nn as _nn
from pydl.nn import functional as F
from pydl.nn.modules import activation as act
from pydl.nn.modules.batchnorm import BATCH_NORMS, BatchNorm1d, BatchNorm2d, BatchNorm3d
from pydl.nn.modules.conv import Conv1d, Conv2d, Conv3d
from pydl.nn.modules.linear import Linear
from pydl.nn.modules.module import Module
from pydl.nn.modules.pooling import MaxPool1d, MaxPool2d, MaxPool3d

__all__ = ["activated_linear", "fusion_of"]

# f(input, modules, i) gives the result of modules[i] and of those that it took along, and their number.
Fusion = Callable[[Any, list[Module], int], tuple[Any, int]]

ACTIVATIONS = {
    act.GELU: "gelu", act.Hardsigmoid: "hardsigmoid", act.Hardswish: "hardswish", act.Mish: "mish", act.ReLU: "relu",
    act.ReLU6: "relu6", act.Sigmoid: "sigmoid", act.SiLU: "silu", act.Tanh: "tanh",
}
FUNCTIONS = ((F.gelu, "gelu"), (F.relu, "relu"), (F.sigmoid, "sigmoid"), (F.silu, "silu"), (F.tanh, "tanh"))
MAX_POOLS = (MaxPool1d, MaxPool2d, MaxPool3d)
NORM_AFTER: dict[type[Module], type[Module]] = {Conv1d: BatchNorm1d, Conv2d: BatchNorm2d, Conv3d: BatchNorm3d}


def fusion_of(module: Module) -> Fusion | None:
    """What runs a module together with those that follow it; None for modules that run alone."""
    fusion = FUSIONS.get(type(module))
    return fusion if fusion is not None and _is_plain(module) else None


def _is_plain(module: Module) -> bool:
    own = module.__dict__
    return module._hooks is None and "forward" not in own and "_conv_forward" not in own


def _at(modules: list[Module], i: int) -> Module | None:
    """The module at a position, if there is one that may take part."""
    return modules[i] if i < len(modules) and _is_plain(modules[i]) else None


def _has_dtype(input: Any) -> bool:
    return isinstance(input, Tensor) and input.dtype in (pydl.float32, pydl.float64)


def _activation_at(modules: list[Module], i: int) -> str:
    """The name of the activation at a position, "" if there is none that an epilogue knows."""
    module = _at(modules, i)
    if module is None:
        return ""
    name = ACTIVATIONS.get(type(module), "")
    return "gelu_tanh" if name == "gelu" and module.approximate == "tanh" else name


def _norm(input: Tensor, modules: list[Module], i: int) -> tuple[Tensor, int]:
    """A batch norm and a ReLU are one pass, bit for bit."""
    if type(_at(modules, i + 1)) is act.ReLU:
        return modules[i].forward_relu(input), 2
    return modules[i](input), 1


def _relu(input: Tensor, modules: list[Module], i: int) -> tuple[Tensor, int]:
    """max(0, x) may be taken after a pool of maxima, of fewer values: outputs and gradients are equal
    (a zero may have the other sign). A dilated window may lie in the padding altogether, whose maximum is -inf."""
    relu, pool = modules[i], _at(modules, i + 1)
    if pool is None or type(pool) not in MAX_POOLS or pool.return_indices or pool.dilation != 1 or relu.inplace:
        return relu(input), 1
    return relu(pool(input)), 2


def _convolution(input: Tensor, modules: list[Module], i: int) -> tuple[Tensor, int]:
    """Without gradients, a norm in evaluation is folded into the weights, and an activation goes into the epilogue."""
    conv = modules[i]
    if pydl.is_grad_enabled() or conv.padding_mode != "zeros" or not _has_dtype(input):
        return conv(input), 1
    norm, count = _at(modules, i + 1), 1
    mean = var = weight = bias = None
    eps = 0.0
    if norm is not None and type(norm) is NORM_AFTER[type(conv)] and not norm.training \
            and input.dim() == conv._axes + 2:
        mean, var = norm.running_mean, norm.running_var
        if mean is not None and var is not None and mean.dtype is input.dtype:
            weight, bias, eps, count = norm.weight, norm.bias, norm.eps, 2
        else:
            mean = var = None
    activation = _activation_at(modules, i + count)
    if count == 1 and not activation:
        return conv(input), 1
    same = conv.padding == "same"
    padding = (0,) if isinstance(conv.padding, str) else conv.padding
    output = _nn._fused_conv(input, conv.weight, conv.bias, conv.stride, padding, same, conv.dilation, conv.groups,
                             mean, var, weight, bias, eps, activation)
    return output, count + bool(activation)


def _linear(input: Tensor, modules: list[Module], i: int) -> tuple[Tensor, int]:
    activation = _activation_at(modules, i + 1)
    if not _joins_linear(activation, input):
        return modules[i](input), 1
    return _nn._fused_linear(input, modules[i].weight, modules[i].bias, activation), 2


def _joins_linear(activation: str, input: Any) -> bool:
    """An activation goes into the epilogue; with gradients, if its own needs only its result."""
    recorded = activation in ("relu", "sigmoid", "tanh") or not pydl.is_grad_enabled()
    return bool(activation) and recorded and _has_dtype(input)


def activated_linear(linear: Module, activation: Callable[[Tensor], Tensor], input: Tensor) -> Tensor:
    """activation(linear(input)), in one operator where Sequential would do so."""
    if isinstance(activation, Module):
        name = _activation_at([activation], 0)
    else:
        name = next((name for function, name in FUNCTIONS if function is activation), "")
    if type(linear) is Linear and _is_plain(linear) and _joins_linear(name, input):
        return _nn._fused_linear(input, linear.weight, linear.bias, name)
    return activation(linear(input))


FUSIONS: dict[type, Fusion] = {
    **dict.fromkeys(BATCH_NORMS, _norm), **dict.fromkeys(NORM_AFTER, _convolution), Linear: _linear, act.ReLU: _relu}

"""A batch norm in evaluation folded into the layer before it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

import pydl
from pydl import Tensor
from pydl.nn.parameter import Parameter

if TYPE_CHECKING:
    from pydl.nn.modules.module import Module

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

_Layer = TypeVar("_Layer", bound="Module")


def _fused(name: str, layer: Any, bn: Any, **options: Any) -> Any:
    if layer.training or bn.training:
        raise AssertionError(f"{name}: expected both modules in evaluation mode, got one in training; call eval()")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError(f"{name}: expected a batch norm with running statistics, got one without")
    result = copy.deepcopy(layer)
    statistics = bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    result.weight, result.bias = fuse_conv_bn_weights(result.weight, result.bias, *statistics, **options)
    return result


def fuse_conv_bn_eval(conv: _Layer, bn: Any, transpose: bool = False) -> _Layer:
    """One convolution that computes ``bn(conv(x))``; `transpose` for transposed ones. Both must be in evaluation mode.

    >>> import pydl
    >>> from pydl import nn
    >>> conv, bn = nn.Conv2d(2, 4, 3).eval(), nn.BatchNorm2d(4).eval()
    >>> x = pydl.randn(1, 2, 5, 5)
    >>> pydl.allclose(nn.utils.fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-5)
    True
    """
    return _fused("fuse_conv_bn_eval", conv, bn, transpose=transpose)


def fuse_linear_bn_eval(linear: _Layer, bn: Any) -> _Layer:
    """One linear layer that computes ``bn(linear(x))``. Both must be in evaluation mode.

    >>> import pydl
    >>> from pydl import nn
    >>> linear, bn, x = nn.Linear(3, 4).eval(), nn.BatchNorm1d(4).eval(), pydl.randn(2, 3)
    >>> pydl.allclose(nn.utils.fuse_linear_bn_eval(linear, bn)(x), bn(linear(x)), atol=1e-5)
    True
    """
    if bn.num_features not in (1, linear.out_features):
        raise AssertionError(
            f"fuse_linear_bn_eval: expected a batch norm of {linear.out_features} features or 1, got {bn.num_features}"
        )
    return _fused("fuse_linear_bn_eval", linear, bn)


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the two layers in one, of the dtypes of the first."""
    with pydl.no_grad():
        scale = pydl.rsqrt(bn_rv + bn_eps) if bn_w is None else bn_w * pydl.rsqrt(bn_rv + bn_eps)
        channels = [1, -1] if transpose else [-1, 1]
        weight = conv_w * scale.reshape(channels + [1] * (conv_w.dim() - 2))
        shift = -bn_rm if conv_b is None else conv_b - bn_rm
        bias = shift * scale if bn_b is None else shift * scale + bn_b
    bias = bias.to(conv_w.dtype if conv_b is None else conv_b.dtype)
    needs_grad = conv_b is not None and conv_b.requires_grad
    return Parameter(weight.to(conv_w.dtype), conv_w.requires_grad), Parameter(bias, needs_grad)


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the two layers in one, of the dtypes of the first."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)

"""Weight normalization by a hook before each forward pass, the older form of `parametrizations.weight_norm`."""

from __future__ import annotations

import warnings
from typing import Any

import pydl
from pydl import Tensor
from pydl.nn.modules.module import Module
from pydl.nn.parameter import Parameter
from pydl.nn.utils._weight_hook import WeightHook, find, remove

__all__ = ["norm_except_dim", "normalized", "remove_weight_norm", "weight_norm"]


def norm_except_dim(v: Tensor, dim: int) -> Tensor:
    """The norm over all other dimensions, which stay as ones; with -1 that of the whole tensor, a scalar."""
    if dim == -1:
        return v.norm()
    others = [d for d in range(v.dim()) if d != dim % v.dim()]
    return pydl.linalg.vector_norm(v, 2, others, keepdim=True) if others else v.abs()


def normalized(v: Tensor, g: Tensor, dim: int) -> Tensor:
    return v * (g / norm_except_dim(v, dim))


class _WeightNorm(WeightHook):
    parts = ("g", "v")

    def __init__(self, name: str, dim: int) -> None:
        super().__init__(name)
        self.dim = dim

    def present(self, module: Module) -> Tensor:
        return normalized(getattr(module, f"{self.name}_v"), getattr(module, f"{self.name}_g"), self.dim)

    def __call__(self, module: Module, args: Any) -> None:
        setattr(module, self.name, self.present(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Makes w = g v / |v| of the parameters ``weight_g`` and ``weight_v`` before each forward pass.

    It warns that `parametrizations.weight_norm` has taken its place.

    >>> from pydl import nn
    >>> layer = nn.utils.weight_norm(nn.Linear(20, 40))
    >>> layer.weight_g.shape
    pydl.Size([40, 1])
    """
    warnings.warn(
        "`nn.utils.weight_norm` is deprecated in favor of `nn.utils.parametrizations.weight_norm`.", FutureWarning,
        stacklevel=2,
    )
    if find(module, _WeightNorm, name) is not None:
        raise RuntimeError(f"weight_norm: expected a parameter without weight_norm, got {name!r}, which has it")
    hook = _WeightNorm(name, -1 if dim is None else dim)
    weight = getattr(module, name).detach()
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(norm_except_dim(weight, hook.dim)))
    module.register_parameter(f"{name}_v", Parameter(weight))
    hook(module, None)
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Makes the weight a parameter again, with the value that it has.

    >>> from pydl import nn
    >>> layer = nn.utils.remove_weight_norm(nn.utils.weight_norm(nn.Linear(2, 3)))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight']
    """
    return remove(module, _WeightNorm, "weight_norm", name)

"""Spectral normalization by a hook before each forward pass, the older form of `parametrizations.spectral_norm`."""

from __future__ import annotations

from typing import Any

import pydl
from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn.modules.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from pydl.nn.modules.module import Module
from pydl.nn.utils._weight_hook import WeightHook, find, remove

__all__ = ["remove_spectral_norm", "spectral_norm"]


class _SpectralNorm(WeightHook):
    parts = ("u", "v", "orig")

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__(name)
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def weight(self, module: Module, n_power_iterations: int) -> Tensor:
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = self.matrix(weight)
        with pydl.no_grad():
            for _ in range(n_power_iterations):
                v.copy_(F.normalize(matrix.T.mv(u), dim=0, eps=self.eps))
                u.copy_(F.normalize(matrix.mv(v), dim=0, eps=self.eps))
        # Copies, since the next forward pass writes to the buffers before this one's backward reads them.
        return weight / u.clone().dot(matrix.mv(v.clone()))

    def present(self, module: Module) -> Tensor:
        return self.weight(module, 0)

    def __call__(self, module: Module, args: Any) -> None:
        setattr(module, self.name, self.weight(module, self.n_power_iterations if module.training else 0))


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divides the parameter ``weight_orig`` by its largest singular value before each forward pass.

    The power method that follows this value in training keeps its vectors in ``weight_u`` and ``weight_v`` (Miyato et
    al. 2018). The rows of the matrix are dimension `dim`, by default 0, of transposed convolutions 1.

    >>> from pydl import nn
    >>> layer = nn.utils.spectral_norm(nn.Linear(20, 40))
    >>> list(layer.state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    if n_power_iterations <= 0:
        raise ValueError(f"spectral_norm: expected n_power_iterations > 0, got {n_power_iterations}")
    if find(module, _SpectralNorm, name) is not None:
        raise RuntimeError(f"spectral_norm: expected a parameter without spectral_norm, got {name!r}, which has it")
    weight = module._parameters[name]
    if weight is None:
        raise ValueError(f"spectral_norm: expected a tensor as parameter {name!r}, got None")
    if dim is None:
        dim = 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0
    hook = _SpectralNorm(name, n_power_iterations, dim, eps)
    matrix = hook.matrix(weight).detach()
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.detach())
    for part, length in zip("uv", matrix.shape, strict=True):
        module.register_buffer(f"{name}_{part}", F.normalize(matrix.new_empty(length).normal_(), dim=0, eps=eps))
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Makes the weight a parameter again, with the value that it has.

    >>> from pydl import nn
    >>> layer = nn.utils.remove_spectral_norm(nn.utils.spectral_norm(nn.Linear(2, 3)))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight']
    """
    return remove(module, _SpectralNorm, "spectral_norm", name)

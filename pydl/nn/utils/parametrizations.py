"""Parametrizations of weights: `weight_norm` and `spectral_norm`."""

from __future__ import annotations

from typing import Any

import pydl
from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn.modules.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from pydl.nn.modules.module import Module
from pydl.nn.utils.parametrize import register_parametrization
from pydl.nn.utils.weight_norm import norm_except_dim, normalized

__all__ = ["spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return normalized(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Makes w = g v / |v|, the norm for each index of `dim` or (None) of the whole tensor (Salimans and Kingma 2016).

    g is ``parametrizations.weight.original0``, v is ``original1``; state of `nn.utils.weight_norm` can be loaded.

    >>> from pydl import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original0.shape
    pydl.Size([40, 1])
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def take_old_names(module: Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
        old = [f"{prefix}{name}_{letter}" for letter in "gv"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)

    module.register_load_state_dict_pre_hook(take_old_names)
    return module


class _SpectralNorm(Module):
    """The weight as a matrix has `dim` as rows; its first singular vectors u, v come from the power method."""

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__()
        if not -weight.dim() <= dim < weight.dim():
            raise IndexError(
                f"spectral_norm: expected a dimension in [-{weight.dim()}, {weight.dim() - 1}], got {dim}")
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm: expected n_power_iterations > 0, got {n_power_iterations}")
        self.dim = dim % weight.dim()
        self.eps = eps
        self.n_power_iterations = n_power_iterations
        if weight.dim() > 1:
            matrix = self._matrix(weight).detach()
            self.register_buffer("_u", F.normalize(matrix.new_empty(matrix.size(0)).normal_(), dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(matrix.new_empty(matrix.size(1)).normal_(), dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def _power_method(self, matrix: Tensor, n: int) -> None:
        with pydl.no_grad():
            for _ in range(n):
                self._u.copy_(F.normalize(matrix.mv(self._v), dim=0, eps=self.eps))
                self._v.copy_(F.normalize(matrix.T.mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.dim() == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # Copies, since the next forward pass writes to the buffers before this one's backward reads them.
        u, v = self._u.clone(), self._v.clone()
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divides a weight by its largest singular value (Miyato et al. 2018), which the power method follows in training.

    The rows of the matrix are dimension `dim`, by default 0, of transposed convolutions 1.

    >>> import pydl
    >>> from pydl import nn
    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(20, 40), n_power_iterations=30)
    >>> round(pydl.linalg.matrix_norm(layer.weight, 2).item(), 1)
    1.0
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"spectral_norm: expected a parameter or buffer of {type(module).__name__}, got {name!r}")
    if dim is None:
        dim = 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))

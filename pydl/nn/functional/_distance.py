"""Distances, similarities and normalization to length one."""

from __future__ import annotations

import pydl
from pydl import Tensor

__all__ = ["cosine_similarity", "normalize", "pairwise_distance", "pdist"]


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """sum(x1 x2) / (max(|x1|, eps) max(|x2|, eps)) along `dim`; the inputs broadcast.

    >>> import pydl
    >>> pydl.nn.functional.cosine_similarity(pydl.tensor([[3.0, 4.0]]), pydl.tensor([[4.0, 3.0]]))
    tensor([0.9600])
    """
    x1, x2 = pydl.broadcast_tensors(x1, x2)
    length1 = pydl.linalg.vector_norm(x1, 2, dim, keepdim=True).clamp(min=eps)
    length2 = pydl.linalg.vector_norm(x2, 2, dim, keepdim=True).clamp(min=eps)
    return ((x1 / length1) * (x2 / length2)).sum(dim)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension; the inputs broadcast.

    >>> import pydl
    >>> pydl.nn.functional.pairwise_distance(pydl.tensor([[3.0, 4.0]]), pydl.tensor([[0.0, 0.0]]))
    tensor([5.0000])
    """
    return pydl.linalg.vector_norm(x1 - x2 + eps, p, -1, keepdim=keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norms between all pairs of rows of an (N, D) tensor, in the order of the upper triangle: N (N - 1) / 2.

    >>> import pydl
    >>> pydl.nn.functional.pdist(pydl.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))[:2]  # 0 to 1, 0 to 2
    tensor([5., 1.])
    """
    if input.dim() != 2:
        raise pydl.ShapeError(f"pdist: expected a 2D tensor, got {input.shape}")
    if p < 0:
        raise RuntimeError(f"pdist: expected p >= 0, got {p}")
    rows, columns = pydl.triu_indices(input.size(0), input.size(0), 1).unbind(0)
    return pydl.linalg.vector_norm(input[rows] - input[columns], p, -1)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """x / max(|x|_p, eps) along `dim`.

    >>> import pydl
    >>> pydl.nn.functional.normalize(pydl.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    length = pydl.linalg.vector_norm(input, p, dim, keepdim=True).clamp(min=eps)
    return input / length if out is None else pydl.div(input, length, out=out)

"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

import pydl
from pydl import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of all parameters in one 1D tensor, differentiably.

    >>> from pydl import nn
    >>> tuple(nn.utils.parameters_to_vector(nn.Linear(3, 2).parameters()).shape)
    (8,)
    """
    return pydl.cat([param.reshape(-1) for param in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Makes the parameters views of consecutive pieces of `vec`. Pieces that are missing raise before any write.

    >>> import pydl
    >>> from pydl import nn
    >>> layer = nn.Linear(2, 1)
    >>> nn.utils.vector_to_parameters(pydl.tensor([1.0, 2.0, 3.0]), layer.parameters())
    >>> layer.weight.tolist(), layer.bias.tolist()
    ([[1.0, 2.0]], [3.0])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a Tensor, got {type(vec).__name__}")
    parameters = list(parameters)
    total = sum(param.numel() for param in parameters)
    if vec.dim() != 1 or vec.numel() < total:
        raise pydl.ShapeError(f"vector_to_parameters: expected a vector of {total} elements, got {vec.shape}")
    start = 0
    for param in parameters:
        stop = start + param.numel()
        param.data = vec[start:stop].view_as(param).data
        start = stop

"""The recorded graph: `Tensor.grad_fn` and what its nodes lead to."""

from pydl._core import Node

__all__ = ["Node"]

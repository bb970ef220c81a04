"""`Variable`, which older programs wrap their tensors in."""

from __future__ import annotations

from typing import Any

from pydl._core import Tensor

__all__ = ["Variable"]


class _IsTensor(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_IsTensor):
    """A tensor that shares the memory of `data` and none of its history; every tensor is a Variable.

    >>> import pydl
    >>> pydl.autograd.Variable(pydl.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    # PyTorch's Variable makes tensors, not Variables; type checkers want a class to make its own kind.
    def __new__(cls, data: Tensor, requires_grad: bool = False) -> Tensor:  # type: ignore[misc]
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable: expected a Tensor, got {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)

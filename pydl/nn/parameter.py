"""Tensors that a module registers when they are assigned to it: parameters and buffers."""

from __future__ import annotations

from typing import Any, TypeGuard

import pydl
from pydl import Tensor

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]


def _rebuild(cls: type[Parameter], data: Tensor, requires_grad: bool) -> Parameter:
    return cls(data, requires_grad)


class Parameter(Tensor):
    """A leaf tensor that a module trains. Assigned to an attribute of a `Module`, it joins its `parameters()`.

    Shares the storage of `data` (an empty tensor without it). Integer data needs ``requires_grad=False``.

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.zeros(2, 3))
    >>> weight.requires_grad, weight.is_leaf, tuple(weight.shape)
    (True, True, (2, 3))
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = pydl.empty(0)
        return Tensor._make_subclass(cls, data, requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) in memo:
            return memo[id(self)]
        result = type(self)(self.detach().clone(), self.requires_grad)
        memo[id(self)] = result
        return result

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.detach(), self.requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that belongs to a module's state but is not trained; assignment registers it as `register_buffer` does.

    `persistent` tells whether it is part of `state_dict()`.

    >>> import pydl
    >>> module = pydl.nn.Module()
    >>> module.mean = pydl.nn.Buffer(pydl.zeros(3))
    >>> list(module.state_dict())
    ['mean']
    """

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        if data is None:
            data = pydl.empty(0)
        result = Tensor._make_subclass(cls, data, data.requires_grad)
        result.persistent = persistent
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffer:
        if id(self) in memo:
            return memo[id(self)]
        result = type(self)(self.detach().clone(), persistent=self.persistent)
        memo[id(self)] = result
        return result

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _rebuild_buffer, (type(self), self.detach(), self.persistent)


def _rebuild_buffer(cls: type[Buffer], data: Tensor, persistent: bool) -> Buffer:
    return cls(data, persistent=persistent)


class _Uninitialized:
    """What the two tensors without a shape have in common: dtype and device are known, the shape comes later."""

    _becomes: type[Tensor]

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            f"shape: expected an initialized tensor, got {type(self).__name__}; the first forward gives it its shape"
        )

    def materialize(self: Any, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Turns this very object into an ordinary parameter or buffer of `shape`, its values left unset."""
        self.data = pydl.empty(shape, device=device or self.device, dtype=dtype or self.dtype)
        self.__class__ = self._becomes

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter whose shape is not known yet, as lazy modules create it. Asking for its shape raises RuntimeError.

    >>> import pydl
    >>> from pydl import nn
    >>> layer = nn.LazyLinear(3)
    >>> type(layer.weight).__name__, layer(pydl.zeros(1, 2)).shape, layer.weight.shape
    ('UninitializedParameter', pydl.Size([1, 3]), pydl.Size([3, 2]))
    """

    _becomes = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> UninitializedParameter:
        return Tensor._make_subclass(cls, pydl.empty(0, device=device, dtype=dtype), requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> UninitializedParameter:
        if id(self) in memo:
            return memo[id(self)]
        result = type(self)(self.requires_grad, self.device, self.dtype)
        memo[id(self)] = result
        return result

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self), (self.requires_grad, self.device, self.dtype)


class UninitializedBuffer(_Uninitialized, Buffer):
    """A buffer whose shape is not known yet."""

    _becomes = Buffer

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> UninitializedBuffer:
        result = Tensor._make_subclass(cls, pydl.empty(0, device=device, dtype=dtype), requires_grad)
        result.persistent = persistent
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> UninitializedBuffer:
        if id(self) in memo:
            return memo[id(self)]
        result = type(self)(self.requires_grad, self.device, self.dtype, self.persistent)
        memo[id(self)] = result
        return result

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self), (self.requires_grad, self.device, self.dtype, self.persistent)


def is_lazy(tensor: object) -> TypeGuard[UninitializedParameter | UninitializedBuffer]:
    """Whether `tensor` still waits for its shape."""
    return isinstance(tensor, _Uninitialized)

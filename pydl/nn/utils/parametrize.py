"""Parametrized weights: a tensor of a module that is computed from others whenever it is read.

``module.weight`` becomes a property of a class made for this module. What it is computed from are the parameters of
``module.parametrizations.weight``: ``original``, or ``original0``, ``original1``, ... where a parametrization takes
several.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pydl
from pydl import Tensor
from pydl.nn.modules.container import ModuleDict, ModuleList
from pydl.nn.modules.module import Module
from pydl.nn.parameter import Parameter

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
]

_cache: dict[tuple[int, str], Tensor] | None = None  # by module and name, inside `cached`


@contextmanager
def cached() -> Iterator[None]:
    """Computes every parametrized tensor once, at its first use inside.

    >>> from pydl import nn
    >>> from pydl.nn.utils import parametrize
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> with parametrize.cached():
    ...     print(layer.weight is layer.weight)
    True
    """
    global _cache
    before, _cache = _cache, {} if _cache is None else _cache
    try:
        yield
    finally:
        _cache = before


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, first to last, and the originals that the first one takes."""

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        super().__init__(modules)
        self.unsafe = unsafe
        start = self._start(original)
        self.is_tensor = isinstance(start, Tensor)
        if self.is_tensor:
            if start is not original:
                original.data = start
            _register(self, "original", original)
            self.ntensors = 1
        else:
            self.ntensors = len(start)
            for i, tensor in enumerate(start):
                if isinstance(original, Parameter):
                    tensor = Parameter(tensor.detach(), requires_grad=original.requires_grad)
                _register(self, f"original{i}", tensor)
        if not unsafe:
            _check_shape(self(), original)

    def _start(self, value: Tensor) -> Any:
        """What the parametrizations make `value` of, as far as they know."""
        with pydl.no_grad():
            for module in reversed(self):
                if hasattr(module, "right_inverse"):
                    value = module.right_inverse(value)
        return value

    def _originals(self) -> list[Tensor]:
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Sets the originals so that the tensor becomes `value`; every parametrization needs a `right_inverse`."""
        for module in self:
            if not hasattr(module, "right_inverse"):
                raise RuntimeError(f"right_inverse: expected {type(module).__name__} to define it, got none")
        start = self._start(value)
        with pydl.no_grad():
            for original, tensor in zip(self._originals(), [start] if self.is_tensor else start, strict=True):
                original.copy_(tensor)

    def forward(self) -> Tensor:
        first, *others = self
        value = first(*self._originals())
        for module in others:
            value = module(value)
        return value


def _check_shape(tensor: Any, original: Tensor) -> None:
    if not isinstance(tensor, Tensor) or tensor.shape != original.shape:
        got = tensor.shape if isinstance(tensor, Tensor) else type(tensor).__name__
        raise ValueError(f"register_parametrization: expected a tensor of shape {original.shape}, got {got}")


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _property(name: str) -> property:
    def get(self: Module) -> Tensor:
        if _cache is None:
            return self.parametrizations[name]()
        key = id(self), name
        if key not in _cache:
            _cache[key] = self.parametrizations[name]()
        return _cache[key]

    def put(self: Module, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, put)


def _setattr(self: Module, name: str, value: Any) -> None:
    if is_parametrized(self, name):
        object.__setattr__(self, name, value)  # a Parameter, too, goes to the property
    else:
        Module.__setattr__(self, name, value)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Makes ``parametrization(original)`` of a parameter or buffer of `module`; further ones follow on the first.

    A `right_inverse` of the parametrization gives the original, or a tuple of originals, to start from. Unless
    `unsafe`, the parametrized tensor has the shape of the tensor.

    >>> from pydl import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> layer = nn.Linear(3, 3)
    >>> _ = nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    >>> layer.weight.equal(layer.weight.T), list(layer.state_dict())
    (True, ['bias', 'parametrizations.weight.original'])
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        present = module.parametrizations[tensor_name]
        if not unsafe:
            _check_shape(parametrization(getattr(module, tensor_name)), getattr(module, tensor_name))
        present.append(parametrization)
        present.unsafe |= unsafe
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(
            f"register_parametrization: expected a parameter or buffer of {type(module).__name__}, got {tensor_name!r}"
        )
    originals = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        base = type(module)
        module.__class__ = type(f"Parametrized{base.__name__}", (base,), {"__setattr__": _setattr})
        module.parametrizations = ModuleDict()
    setattr(type(module), tensor_name, _property(tensor_name))
    module.parametrizations[tensor_name] = originals
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module has a parametrized tensor, or the one of that name is.

    >>> from pydl import nn
    >>> from pydl.nn.utils import parametrizations, parametrize
    >>> layer = parametrizations.weight_norm(nn.Linear(2, 3))
    >>> parametrize.is_parametrized(layer), parametrize.is_parametrized(layer, "bias")
    (True, False)
    """
    parametrizations = module.__dict__.get("parametrizations")
    if not isinstance(parametrizations, ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Makes the tensor an ordinary one again: with the value that it has or, else, with its original's.

    >>> from pydl import nn
    >>> from pydl.nn.utils import parametrizations, parametrize
    >>> layer = parametrizations.weight_norm(nn.Linear(2, 3))
    >>> [name for name, _ in parametrize.remove_parametrizations(layer, "weight").named_parameters()]
    ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: expected a parametrized tensor, got {tensor_name!r}")
    originals = module.parametrizations[tensor_name]
    if not (leave_parametrized or originals.is_tensor):
        raise ValueError("remove_parametrizations: expected leave_parametrized=True for several originals, got False")
    first = originals._originals()[0]
    if leave_parametrized:
        value = getattr(module, tensor_name).detach()
        if originals.is_tensor:
            first.data = value
        else:
            first = Parameter(value, first.requires_grad) if isinstance(first, Parameter) else value
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    _register(module, tensor_name, first)
    return module

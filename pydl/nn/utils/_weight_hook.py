"""A hook that makes a weight out of other members before each forward pass: what weight and spectral norm share."""

from __future__ import annotations

from typing import Any, TypeVar

from pydl import Tensor
from pydl.nn.modules.module import Module
from pydl.nn.parameter import Parameter

__all__ = ["WeightHook", "find", "remove"]


class WeightHook:
    """Makes the member `name`, from members whose names are longer by `parts`."""

    parts: tuple[str, ...]

    def __init__(self, name: str) -> None:
        self.name = name

    def present(self, module: Module) -> Tensor:
        """The weight as it is now."""
        raise NotImplementedError


_Hook = TypeVar("_Hook", bound=WeightHook)


def _hooks_of(module: Module) -> dict[int, tuple[Any, bool]]:
    return {} if module._hooks is None else module._hooks.forward_pre


def find(module: Module, kind: type[_Hook], name: str) -> tuple[int, _Hook] | None:
    """The hook that makes this weight, with its key."""
    hooks = ((key, hook) for key, (hook, _) in _hooks_of(module).items() if isinstance(hook, kind))
    return next(((key, hook) for key, hook in hooks if hook.name == name), None)


def remove(module: Module, kind: type[WeightHook], norm: str, name: str) -> Module:
    """Makes the weight a parameter again; `norm` is the name of the function that made it none."""
    found = find(module, kind, name)
    if found is None:
        raise ValueError(f"remove_{norm}: expected a parameter with {norm}, got {name!r} of {type(module).__name__}")
    key, hook = found
    del _hooks_of(module)[key]
    weight = hook.present(module).detach()
    for member in (name, *(f"{name}_{part}" for part in hook.parts)):
        delattr(module, member)
    module.register_parameter(name, Parameter(weight))
    return module

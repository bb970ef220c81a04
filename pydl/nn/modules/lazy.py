"""Modules that learn the shapes of their parameters from the first input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydl.nn.modules.module import Module
from pydl.nn.parameter import is_lazy

__all__ = ["LazyModuleMixin"]

if TYPE_CHECKING:  # the class that it is mixed into
    _Mixed = Module
else:
    _Mixed = object


class LazyModuleMixin(_Mixed):
    """To be inherited before the layer's class. `initialize_parameters` gets the arguments of the first call.

    After that call, the module's class is `cls_to_become`, if that is set.
    """

    cls_to_become: type[Module] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._first_call = self.register_forward_pre_hook(_initialize, with_kwargs=True)

    def has_uninitialized_params(self) -> bool:
        """Whether any parameter or buffer of this module itself still lacks its shape."""
        return any(is_lazy(member) for kind in (self._parameters, self._buffers) for member in kind.values())

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name, member in self._state_members():
            value = state_dict.get(prefix + name)
            if is_lazy(member) and value is not None and not is_lazy(value):
                member.materialize(value.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _initialize(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    module.initialize_parameters(*args, **kwargs)
    if module.has_uninitialized_params():
        raise RuntimeError(f"{module._get_name()}: expected initialize_parameters to give every parameter and buffer a "
                           "shape, got some without")
    module._first_call.remove()
    del module._first_call
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become

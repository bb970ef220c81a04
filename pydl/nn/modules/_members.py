"""How a module keeps its parameters, buffers and submodules.

Their values live in the module's ``__dict__`` beside its plain attributes, so reading ``self.weight`` in a forward pass
is an ordinary attribute access. What makes them members is one dictionary of names for each kind. `Members` shows the
two together as the mapping that ``module._parameters``, ``_buffers`` and ``_modules`` are in PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

__all__ = ["Members"]


class Members(MutableMapping[str, Any]):
    """A live view of one kind of members. `names` keeps their order, `attributes` is the module's ``__dict__``."""

    __slots__ = ("attributes", "names")

    def __init__(self, names: dict[str, Any], attributes: dict[str, Any]) -> None:
        self.names = names
        self.attributes = attributes

    def __getitem__(self, name: str) -> Any:
        if name not in self.names:
            raise KeyError(name)
        return self.attributes[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.names.setdefault(name, True)
        self.attributes[name] = value

    def __delitem__(self, name: str) -> None:
        del self.names[name]
        del self.attributes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return repr(dict(self))

"""Handles of registered hooks."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from typing import Any

__all__ = ["RemovableHandle"]


class RemovableHandle:
    """What every ``register_*hook`` returns: ``remove()`` takes the hook out again, as does leaving a ``with`` block.

    The handle refers to the dictionary of hooks weakly, so that it never keeps a module or an optimizer alive.

    >>> from collections import OrderedDict
    >>> from pydl.utils.hooks import RemovableHandle
    >>> hooks = OrderedDict()
    >>> handle = RemovableHandle(hooks)
    >>> hooks[handle.id] = print
    >>> handle.remove(); len(hooks)
    0
    """

    next_id: int = 0

    def __init__(self, hooks: OrderedDict[int, Any]) -> None:
        self._hooks = weakref.ref(hooks)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1

    def remove(self) -> None:
        hooks = self._hooks()
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def add_hook(
    hooks: OrderedDict[int, Any], entry: Any, prepend: bool = False, handle: RemovableHandle | None = None
) -> RemovableHandle:
    """Puts `entry` at the end of `hooks` (at the front with `prepend`) and returns the handle that removes it."""
    handle = RemovableHandle(hooks) if handle is None else handle
    hooks[handle.id] = entry
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle

"""Helpers that stand beside tensors, modules and optimizers."""

import importlib
from typing import TYPE_CHECKING, Any

from pydl.utils import data, dlpack, hooks

if TYPE_CHECKING:
    from pydl.utils import checkpoint

__all__ = ["checkpoint", "data", "dlpack", "hooks"]


def __getattr__(name: str) -> Any:
    if name == "checkpoint":
        return importlib.import_module("pydl.utils.checkpoint")
    raise AttributeError(f"module 'pydl.utils' has no attribute {name!r}")

"""DLPack, by its capsules. `pydl.from_dlpack` takes any object that exports one."""

from __future__ import annotations

from typing import Any

from pydl._core import Tensor, from_dlpack

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule over the tensor's memory; it can be consumed once."""
    return tensor.__dlpack__()

"""Whether there is Metal Performance Shaders."""

from __future__ import annotations


def is_available() -> bool:
    """Always False: pydl's kernels are its own."""
    return False


def is_built() -> bool:
    """Always False."""
    return False

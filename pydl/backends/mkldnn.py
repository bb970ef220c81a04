"""Whether there is oneDNN."""

from __future__ import annotations


def is_available() -> bool:
    """Always False: pydl's kernels are its own."""
    return False

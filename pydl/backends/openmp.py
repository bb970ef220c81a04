"""Whether there is OpenMP."""

from __future__ import annotations


def is_available() -> bool:
    """Always True: pydl's threads are OpenMP's."""
    return True

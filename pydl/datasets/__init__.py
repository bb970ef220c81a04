"""Data sets that ship with pydl: small, whole, and licensed for it."""

from __future__ import annotations

from pydl.datasets.digits import load_digits

__all__ = ["load_digits"]

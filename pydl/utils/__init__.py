"""Helpers that stand beside tensors, modules and optimizers."""

from pydl.utils import hooks

__all__ = ["hooks"]

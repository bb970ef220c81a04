"""Helpers that stand beside tensors, modules and optimizers."""

from pydl.utils import dlpack, hooks

__all__ = ["dlpack", "hooks"]

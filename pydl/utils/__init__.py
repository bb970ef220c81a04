"""Helpers that stand beside tensors, modules and optimizers."""

from pydl.utils import data, dlpack, hooks

__all__ = ["data", "dlpack", "hooks"]

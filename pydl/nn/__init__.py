"""Layers, losses and what belongs to them, with PyTorch's names."""

from typing import TYPE_CHECKING

from pydl.nn import attention, functional, init, modules, utils
from pydl.nn.modules import *
from pydl.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

if not TYPE_CHECKING:  # mypy does not follow the sum, and without it takes what is imported above
    __all__ = [
        "Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "attention", "functional", "init",
        "modules", "utils",
    ]
    __all__ += modules.__all__

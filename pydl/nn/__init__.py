"""Layers, losses and what belongs to them, with PyTorch's names."""

from pydl.nn import attention, functional, init, modules, utils
from pydl.nn.modules import *
from pydl.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

__all__ = [
    "Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "attention", "functional", "init",
    "modules", "utils",
]
__all__ += modules.__all__

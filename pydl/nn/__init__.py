"""Layers, losses and what belongs to them, with PyTorch's names."""

from pydl.nn import functional, init, modules, utils
from pydl.nn.modules import *
from pydl.nn.modules import __all__ as _layers
from pydl.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

__all__ = [
    *_layers, "Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "functional", "init", "modules",
    "utils",
]

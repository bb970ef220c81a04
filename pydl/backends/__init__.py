"""Switches of the engine.

`winograd` says whether 3x3 convolutions over many channels may take Winograd's algorithm, which is faster and rounds a
little more; True to begin with.

>>> import pydl
>>> pydl.backends.winograd = False
>>> pydl.backends.winograd
False
>>> pydl.backends.winograd = True

The submodules answer what programs ask about the libraries behind PyTorch.
"""

from __future__ import annotations

import sys
from types import ModuleType

from pydl import _core
from pydl.backends import cuda, cudnn, mkl, mkldnn, mps, openmp

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "winograd"]


class _Backends(ModuleType):
    @property
    def winograd(self) -> bool:
        return _core.winograd_enabled()

    @winograd.setter
    def winograd(self, on: bool) -> None:
        _core.set_winograd(bool(on))


sys.modules[__name__].__class__ = _Backends

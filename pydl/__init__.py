"""pydl: a CPU-first deep learning engine with PyTorch's interface.

Names and their meaning are PyTorch's; the differences that are meant are listed in docs/differences.md.
"""

from __future__ import annotations

import builtins as _builtins
import importlib as _importlib
import math as _math
import sys as _sys
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from pydl import _core
from pydl._core import *
from pydl._functions import *
from pydl._lazy import HOMES as _HOMES
from pydl._methods import install as _install_methods
from pydl._tensor_str import get_printoptions, printoptions, set_printoptions
from pydl._version import __version__

if _TYPE_CHECKING:
    from pydl import autograd, backends, cuda, datasets, linalg, nn, optim, random, utils, vision
    from pydl._limits import finfo, iinfo
    from pydl.config import show_config
    from pydl.serialization import load, save

inf = _math.inf
nan = _math.nan
pi = _math.pi
e = _math.e
newaxis = None

# Imported when first used, so that `import pydl` stays quick.
_SUBMODULES = frozenset({
    "autograd", "backends", "bench", "config", "cuda", "datasets", "demo", "fft", "linalg", "nn", "optim", "random",
    "serialization", "special", "testing", "text", "utils", "vision",
})  # fmt: skip

# The named tuples of operators like max, where pickle finds them.
return_types = _sys.modules[f"{__name__}.return_types"] = _core.return_types

_install_methods()


def __getattr__(name: str) -> _Any:
    if name in _SUBMODULES:
        return _importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        value = getattr(_importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'pydl' has no attribute {name!r}")


def __dir__() -> _Any:
    return _builtins.sorted({*globals(), *_SUBMODULES, *_HOMES})

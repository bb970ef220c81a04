"""pydl: a CPU-first deep learning engine with PyTorch's interface.

Names and their meaning are PyTorch's; the differences that are meant are listed in docs/differences.md.
"""

from __future__ import annotations

import builtins as _builtins
import importlib as _importlib
import math as _math
import sys as _sys
from types import ModuleType as _ModuleType
from typing import Any as _Any

from pydl import _core
from pydl._core import *  # noqa: F403
from pydl._functions import *  # noqa: F403
from pydl._lazy import HOMES as _HOMES
from pydl._methods import install as _install_methods
from pydl._tensor_str import get_printoptions, printoptions, set_printoptions
from pydl._version import __version__

inf = _math.inf
nan = _math.nan
pi = _math.pi
e = _math.e
newaxis = None

# Imported when first used, so that `import pydl` stays quick.
_SUBMODULES = frozenset({
    "autograd", "bench", "config", "cuda", "datasets", "demo", "fft", "keras", "linalg", "nn", "optim", "serialization",
    "special", "testing", "text", "utils",
})  # fmt: skip

# Operators with a dot in their name live in modules of their own: pydl.linalg.inv.
for _name, _module in _builtins.list(_builtins.vars(_core).items()):
    if isinstance(_module, _ModuleType) and _name not in _SUBMODULES:
        _sys.modules[f"{__name__}.{_name}"] = _module
for _name in _SUBMODULES & globals().keys():
    del globals()[_name]  # _core.nn and _core.optim hold what the packages of that name build on
del _name, _module

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

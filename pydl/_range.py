"""PyTorch's older arange, in a module that needs no other range."""

from __future__ import annotations

import math
from typing import Any

from pydl import _core
from pydl._core import Tensor
from pydl._results import takes_out


@takes_out
def range(start: float = 0, end: float | None = None, step: float = 1, *, dtype: Any = None) -> Tensor:
    """Numbers from start to end, both included."""
    if end is None:
        start, end = 0, start
    if step == 0 or (end - start) / step < 0:
        raise RuntimeError(f"range: expected a step that leads from start to end, got {start}, {end} and {step}")
    count = math.floor((end - start) / step) + 1
    return start + step * _core.arange(count, dtype=dtype or _core.get_default_dtype())

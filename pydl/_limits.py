"""finfo and iinfo: the limits of the dtypes."""

from __future__ import annotations

import math
from typing import Any

import pydl

# Exponent and fraction bits.
_FLOATS = {pydl.float16: (5, 10), pydl.bfloat16: (8, 7), pydl.float32: (8, 23), pydl.float64: (11, 52)}


class finfo:
    """The limits of a floating point dtype, by default that of new tensors.

    >>> import pydl
    >>> pydl.finfo(pydl.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: Any = None) -> None:
        dtype = pydl.get_default_dtype() if type is None else type
        if dtype not in _FLOATS:
            raise TypeError(f"finfo: expected a floating point dtype, got {dtype}")
        exponent, fraction = _FLOATS[dtype]
        top = 2 ** (exponent - 1)
        self.dtype = str(dtype).removeprefix("pydl.")
        self.bits = 1 + exponent + fraction
        self.eps = 2.0**-fraction
        self.max = math.ldexp(2.0 - self.eps, top - 1)
        self.min = -self.max
        self.tiny = self.smallest_normal = math.ldexp(1.0, 2 - top)
        self.resolution = 10.0 ** -int(fraction * math.log10(2))

    def __repr__(self) -> str:
        values = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        shown = ", ".join(f"{name}={getattr(self, name):g}" for name in values)
        return f"finfo({shown}, dtype={self.dtype})"


class iinfo:
    """The limits of an integer dtype.

    >>> import pydl
    >>> pydl.iinfo(pydl.int8).max
    127
    """

    def __init__(self, type: Any) -> None:
        if not isinstance(type, pydl.dtype) or type.is_floating_point or type is pydl.bool:
            raise TypeError(f"iinfo: expected an integer dtype, got {type}")
        self.dtype = str(type).removeprefix("pydl.")
        self.bits = 8 * type.itemsize
        self.min = -(2 ** (self.bits - 1)) if type.is_signed else 0
        self.max = 2 ** (self.bits - type.is_signed) - 1

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"

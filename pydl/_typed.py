"""Older names of tensors by dtype: `FloatTensor(...)` makes one, `isinstance(x, FloatTensor)` asks for it."""

from __future__ import annotations

from typing import Any

from pydl import _core
from pydl._core import Tensor

_DTYPES = {
    "BoolTensor": _core.bool, "ByteTensor": _core.uint8, "CharTensor": _core.int8, "ShortTensor": _core.int16,
    "IntTensor": _core.int32, "LongTensor": _core.int64, "HalfTensor": _core.float16,
    "BFloat16Tensor": _core.bfloat16, "FloatTensor": _core.float32, "DoubleTensor": _core.float64,
}  # fmt: skip


class _TypedTensor(type):
    """Not a class with instances: what it makes are Tensors."""

    dtype: _core.dtype

    def __call__(cls, *args: Any) -> Tensor:
        """Of sizes (uninitialised), of a sequence or array of numbers, or of a tensor of the dtype."""
        if len(args) != 1 or isinstance(args[0], int | _core.Size):
            return _core.empty(*args or (0,), dtype=cls.dtype)
        (data,) = args
        if not isinstance(data, Tensor):
            return _core.as_tensor(data, dtype=cls.dtype)
        if data.dtype != cls.dtype:
            raise TypeError(f"{cls.__name__}: expected a tensor of {cls.dtype}, got {data.dtype}; use to() to convert")
        return data.detach()

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Tensor) and instance.dtype == cls.dtype


def _typed(name: str, dtype: _core.dtype) -> _TypedTensor:
    doc = f"Makes tensors of {dtype}, from sizes or from numbers; they are instances of it."
    return _TypedTensor(name, (), {"dtype": dtype, "__doc__": doc, "__module__": "pydl"})


globals().update({name: _typed(name, dtype) for name, dtype in _DTYPES.items()})


def set_default_tensor_type(t: str | _TypedTensor) -> None:
    """Makes that floating point dtype the default: of DoubleTensor, or "pydl.DoubleTensor", float64."""
    name = t.rpartition(".")[2] if isinstance(t, str) else getattr(t, "__name__", "")
    if name not in _DTYPES:
        raise TypeError(f"set_default_tensor_type: expected FloatTensor, DoubleTensor or the like, got {t!r}")
    _core.set_default_dtype(_DTYPES[name])

"""Constructors that carry a dtype in their name: `LongTensor` and the like, and `Tensor.new`."""

from __future__ import annotations

from typing import Any

from pydl import _core
from pydl._core import Size, Tensor

_NAMES = {
    "BFloat16Tensor": _core.bfloat16, "BoolTensor": _core.bool, "ByteTensor": _core.uint8, "CharTensor": _core.int8,
    "DoubleTensor": _core.float64, "FloatTensor": _core.float32, "HalfTensor": _core.float16, "IntTensor": _core.int32,
    "LongTensor": _core.int64, "ShortTensor": _core.int16,
}  # fmt: skip


def _made(op: str, dtype: Any, args: tuple[Any, ...]) -> Tensor:
    """Sizes give uninitialized memory; a tensor or an array of this dtype is shared, other data is copied."""
    first = args[0] if args else Size([0])
    if isinstance(first, Tensor):
        if first.dtype != dtype:
            raise TypeError(f"{op}: expected a tensor of {dtype}, got {first.dtype}; to() converts")
        return first.view_as(first)
    if isinstance(first, Size):
        return _core.empty(first, dtype=dtype)
    if hasattr(first, "__index__") and not hasattr(first, "__len__"):
        return _core.empty(args, dtype=dtype)
    if len(args) > 1 or isinstance(first, (str, bytes)) or not hasattr(first, "__getitem__"):
        raise TypeError(f"{op}: expected sizes or a sequence of data, got {', '.join(type(a).__name__ for a in args)}")
    return _core.as_tensor(first, dtype=dtype)


class _Typed(type):
    """The type of these names: calls make tensors, and a tensor is an instance of the one that names its dtype."""

    dtype: Any

    def __call__(cls, *args: Any, device: Any = None) -> Tensor:
        return _made(cls.__name__, cls.dtype, args).to(device=device)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Tensor) and instance.dtype == cls.dtype


def _typed(name: str) -> _Typed:
    doc = f"{name}(2, 3) is uninitialized memory, {name}(data) holds data: as `tensor(data, dtype={_NAMES[name]})`."
    return _Typed(name, (), {"__module__": "pydl", "__doc__": doc, "dtype": _NAMES[name], "is_cuda": False})


BFloat16Tensor, BoolTensor, ByteTensor, CharTensor, DoubleTensor = map(_typed, sorted(_NAMES)[:5])
FloatTensor, HalfTensor, IntTensor, LongTensor, ShortTensor = map(_typed, sorted(_NAMES)[5:])


def new(self: Tensor, *args: Any, device: Any = None) -> Tensor:
    """Like the constructor named after this tensor's dtype: `x.new(2, 3)`, `x.new(data)`."""
    return _made("new", self.dtype, args).to(device=device)


def set_default_tensor_type(t: Any) -> None:
    """Sets the default dtype by a name such as "pydl.DoubleTensor" or its constructor."""
    dtype = t.dtype if isinstance(t, _Typed) else _NAMES.get(t.rpartition(".")[2]) if isinstance(t, str) else None
    if dtype is None:
        raise TypeError(f"set_default_tensor_type: expected a constructor such as pydl.DoubleTensor, got {t!r}")
    _core.set_default_dtype(dtype)

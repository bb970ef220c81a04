"""Questions about tensors and the engine, what complex numbers' functions mean for real ones, and forms of methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydl import _core
from pydl._core import Tensor
from pydl._results import takes_out

# ---- Real tensors as complex numbers ---------------------------------------------------------------------------------


def conj(input: Tensor) -> Tensor:
    """The tensor itself: it is real."""
    return input


def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: it is real."""
    return input


def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself: its negations are always carried out."""
    return input


def real(input: Tensor) -> Tensor:
    """The tensor itself: it is real."""
    return input


@takes_out
def conj_physical(input: Tensor) -> Tensor:
    """The tensor itself: it is real."""
    return input


def imag(input: Tensor) -> Tensor:
    """Real tensors have no imaginary part, in PyTorch too: raises RuntimeError."""
    raise RuntimeError(f"imag: expected a complex tensor, got {input.dtype}")


@takes_out
def angle(input: Tensor) -> Tensor:
    """pi for negative numbers, 0 for others, NaN for NaN."""
    x = input if input.is_floating_point() else input.to(_core.get_default_dtype())
    return _core.where(x.isnan(), x, _core.where(x < 0, math.pi, _core.zeros_like(x)))


def is_complex(input: Tensor) -> bool:
    """Always False: complex dtypes are reserved."""
    return input.is_complex()


def is_conj(input: Tensor) -> bool:
    """Always False: complex dtypes are reserved."""
    return False


def is_neg(input: Tensor) -> bool:
    """Always False: negations are carried out at once."""
    return False


# ---- Questions -------------------------------------------------------------------------------------------------------


def is_inference(input: Tensor) -> bool:
    """Was the tensor made under inference_mode?"""
    return input.is_inference()


def is_signed(input: Tensor) -> bool:
    """Has the dtype negative numbers?"""
    return input.is_signed()


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Have the two tensors one shape?"""
    return input.shape == other.shape


def get_device(input: Tensor) -> int:
    """-1: the CPU."""
    return input.get_device()


def typename(obj: Any) -> str:
    """The name of the type; of a tensor, that which type() gives."""
    if isinstance(obj, Tensor):
        return obj.type()
    kind = obj if isinstance(obj, type) else type(obj)
    return kind.__qualname__ if kind.__module__ in ("builtins", None) else f"{kind.__module__}.{kind.__qualname__}"


# ---- Settings that change nothing here -------------------------------------------------------------------------------

_settings: dict[str, Any] = {"deterministic": False, "precision": "highest"}


def get_default_device() -> _core.device:
    """The CPU."""
    return _core.device("cpu")


def set_default_device(device: Any) -> None:
    """Checks that the device is the CPU, the one there is."""
    _core.device("cpu" if device is None else device)


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Keeps the wish: every operator gives the same bits in every run anyway, so that none has to raise or warn."""
    _settings["deterministic"] = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """What use_deterministic_algorithms was told."""
    return _settings["deterministic"]


def set_float32_matmul_precision(precision: str) -> None:
    """Keeps the permission; products of float32 are computed in float32 whatever it says."""
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"set_float32_matmul_precision: expected 'highest', 'high' or 'medium', got {precision!r}")
    _settings["precision"] = precision


def get_float32_matmul_precision() -> str:
    """What set_float32_matmul_precision was told."""
    return _settings["precision"]


def set_flush_denormal(mode: bool) -> bool:
    """Whether kernels treat denormal numbers as asked: they always flush them to zero."""
    return bool(mode)


# ---- Functions that are methods --------------------------------------------------------------------------------------


@takes_out
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor of input's shape and dtype, every element `value`."""
    return input.clone().fill_(value)


def detach_(input: Tensor) -> Tensor:
    """Takes the tensor out of the graph."""
    return input.detach_()


def ldexp_(input: Tensor, other: Tensor) -> Tensor:
    """input * 2^other, in place."""
    return input.copy_(_core.ldexp(input, other))


def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """chunk: in-place writes into the parts are safe here."""
    return input.chunk(chunks, dim)


def unsafe_split(tensor: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """split: in-place writes into the parts are safe here."""
    return tensor.split(split_size, dim)


def unsafe_split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """split: in-place writes into the parts are safe here."""
    return input.split_with_sizes(list(split_sizes), dim)

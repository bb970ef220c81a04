"""Comparing tensors in tests, and making tensors for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pydl
from pydl._core import Tensor

__all__ = ["assert_close", "make_tensor"]

# (rtol, atol) by dtype; all others are compared exactly.
_TOLERANCES = {
    pydl.float16: (1e-3, 1e-5),
    pydl.bfloat16: (1.6e-2, 1e-5),
    pydl.float32: (1.3e-6, 1e-5),
    pydl.float64: (1e-7, 1e-7),
}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raises AssertionError unless |actual - expected| <= atol + rtol |expected| everywhere.

    Takes tensors and what `pydl.as_tensor` makes of NumPy arrays and numbers, and sequences and mappings of them. The
    tolerances go by dtype unless both are given. Every tensor is strided and on the CPU, so that `check_layout` and
    `check_device` find nothing to object to. `msg` replaces the message, or makes another from it.

    >>> import pydl
    >>> pydl.testing.assert_close(pydl.ones(2), pydl.tensor([1.0, 1.0 + 1e-7]))
    """
    if (rtol is None) != (atol is None):
        raise ValueError(f"assert_close: expected both rtol and atol or neither, got {rtol} and {atol}")

    def compare(a: Any, b: Any, at: str) -> None:
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            if a.keys() != b.keys():
                fail(f"expected the keys {sorted(map(str, b))}, got {sorted(map(str, a))}", at)
            for key in b:
                compare(a[key], b[key], f"{at}[{key!r}]")
        elif _is_sequence(a) and _is_sequence(b):
            if len(a) != len(b):
                fail(f"expected {len(b)} items, got {len(a)}", at)
            for i, (x, y) in enumerate(zip(a, b, strict=True)):
                compare(x, y, f"{at}[{i}]")
        elif a is None or b is None:
            if a is not b:
                fail(f"expected {b}, got {a}", at)
        else:
            if not allow_subclasses and type(a) is not type(b):
                raise TypeError(
                    f"assert_close: expected values of one type, got {type(a).__name__} and {type(b).__name__}"
                )
            fault = _difference(
                _as_tensor(a), _as_tensor(b), rtol, atol, equal_nan, check_dtype and _typed(a, b), check_stride
            )
            if fault:
                fail(fault, at)

    def fail(fault: str, at: str) -> None:
        text = f"assert_close: {fault}" + (f"\nThe failure occurred for item {at}" if at else "")
        raise AssertionError(msg(text) if callable(msg) else text if msg is None else msg)

    compare(actual, expected, "")


def _is_sequence(x: Any) -> bool:
    return isinstance(x, Sequence) and not isinstance(x, str)


def _typed(a: Any, b: Any) -> bool:
    """Python numbers have no dtype to differ in."""
    return not isinstance(a, bool | int | float) or not isinstance(b, bool | int | float) or type(a) is type(b)


def _as_tensor(x: Any) -> Tensor:
    if isinstance(x, float):
        return pydl.tensor(x, dtype=pydl.float64)
    try:
        return pydl.as_tensor(x).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"assert_close: expected tensors, arrays, numbers or containers of them, got {type(x).__name__}"
        ) from error


def _difference(
    a: Tensor, b: Tensor, rtol: float | None, atol: float | None, equal_nan: bool, check_dtype: bool, check_stride: bool
) -> str | None:
    """What differs, in words; None if nothing does."""
    if a.shape != b.shape:
        return f"expected shape {list(b.shape)}, got {list(a.shape)}"
    if check_dtype and a.dtype is not b.dtype:
        return f"expected dtype {b.dtype}, got {a.dtype}"
    if check_stride and a.stride() != b.stride():
        return f"expected strides {b.stride()}, got {a.stride()}"
    if rtol is None or atol is None:
        pairs = [_TOLERANCES.get(x.dtype, (0.0, 0.0)) for x in (a, b)]
        rtol, atol = max(pairs[0][0], pairs[1][0]), max(pairs[0][1], pairs[1][1])
    if a.dtype is not b.dtype:
        common = pydl.promote_types(a.dtype, b.dtype)
        a, b = a.to(common), b.to(common)
    close = pydl.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if close.all():
        return None
    wide = pydl.float64 if a.is_floating_point() else pydl.int64
    off = (a.to(wide) - b.to(wide)).abs().double()
    off = pydl.where(close, 0.0, off)
    relative = pydl.where(off == 0, 0.0, off / b.abs().double())
    wrong, total = int((~close).sum()), a.numel()
    if a.dim() == 0:
        faults = f"{_greatest(off, atol, 'absolute')}\n{_greatest(relative, rtol, 'relative')}"
        return f"expected {b.item()}, got {a.item()}\n{faults}"
    return (
        f"expected close tensors, got {wrong} of {total} elements ({wrong / total:.1%}) that differ\n"
        f"{_greatest(off, atol, 'absolute')}\n{_greatest(relative, rtol, 'relative')}"
    )


def _greatest(off: Tensor, allowed: float, kind: str) -> str:
    at = int(off.argmax())
    index = tuple(int(i) for i in pydl.unravel_index(pydl.tensor(at), off.shape)) if off.dim() else ()
    where = f" at index {index}" if off.dim() else ""
    return f"Greatest {kind} difference: {off.reshape(-1)[at].item()}{where} (up to {allowed} allowed)"


def make_tensor(
    *shape: int | Sequence[int],
    dtype: pydl.dtype,
    device: Any = "cpu",
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Uniform random elements in [low, high): by default [-9, 9), [0, 10) for uint8, both truth values for bool.

    `noncontiguous` leaves gaps between the elements of the last dimension; `exclude_zero` replaces zeros by the
    smallest positive number.

    >>> import pydl
    >>> x = pydl.testing.make_tensor(2, 3, dtype=pydl.int64, low=1, high=3)
    >>> x.shape, bool(((x == 1) | (x == 2)).all())
    (pydl.Size([2, 3]), True)
    """
    size: list[Any] = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else list(shape)
    if noncontiguous and memory_format is not None:
        raise ValueError("make_tensor: expected one of noncontiguous and memory_format, got both")
    default = (
        (0, 2) if dtype is pydl.bool else (0, 10) if dtype is pydl.uint8 else (-9, 9 if dtype.is_floating_point else 10)
    )
    low, high = default[0] if low is None else low, default[1] if high is None else high
    if not low < high:
        raise ValueError(f"make_tensor: expected low < high, got {low} and {high}")
    drawn = [*size[:-1], 2 * size[-1]] if noncontiguous and size else size
    if dtype.is_floating_point:
        x = pydl.rand(drawn, dtype=pydl.float64, device=device).mul_(high - low).add_(low).to(dtype)
    else:
        x = pydl.randint(int(low), int(high), drawn, device=device).to(dtype)
    x = x[..., ::2] if noncontiguous and size else x
    if exclude_zero:
        x = x.masked_fill_(x == 0, pydl.finfo(dtype).tiny if dtype.is_floating_point else 1)
    if memory_format is not None:
        x = x.clone(memory_format=memory_format)
    return x.requires_grad_(requires_grad)

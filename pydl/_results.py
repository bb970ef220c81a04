"""What functions written in Python return: tuples with names, and results written to `out=`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pydl import _core
from pydl._core import Tensor


class Result(tuple[Any, ...]):
    """A tuple whose items have names, those of the class that `return_type` made."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    if TYPE_CHECKING:
        def __getattr__(self, name: str) -> Any: ...

    def __repr__(self) -> str:
        items = ", ".join(f"{name}={item!r}" for name, item in zip(self._fields, self, strict=True))
        return f"pydl.return_types.{type(self).__name__}({items})"

    def __reduce__(self) -> Any:
        return tuple, (tuple(self),)


def return_type(name: str, *fields: str) -> type[Result]:
    """A tuple type whose items have names; like those of the compiled operators it is made from one iterable."""
    properties = {field: property(itemgetter(i)) for i, field in enumerate(fields)}
    return type(name, (Result,), {"__slots__": (), "_fields": fields, **properties})


def takes_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `out=`: a tensor, or a tuple of them for several results, that takes shape and values of the result."""

    @functools.wraps(function)
    def with_out(*args: Any, out: Tensor | tuple[Tensor, ...] | None = None, **kwargs: Any) -> Any:
        results = function(*args, **kwargs)
        return results if out is None else _write(function.__name__, results, out)

    return with_out


def _write(name: str, results: Any, out: Any) -> Any:
    if isinstance(results, Tensor):
        return _core.mul(results, 1, out=out)
    if not isinstance(out, tuple | list) or len(out) != len(results):
        raise TypeError(f"{name}: expected a tuple of {len(results)} tensors as out, got {out!r}")
    for result, target in zip(results, out, strict=True):
        if not _core.can_cast(result.dtype, target.dtype):
            raise RuntimeError(f"{name}: expected out of a dtype that holds {result.dtype}, got {target.dtype}")
    return type(results)(_core.mul(r, 1, out=target) for r, target in zip(results, out, strict=True))

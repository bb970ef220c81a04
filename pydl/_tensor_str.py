"""Tensors as text, the way PyTorch prints them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydl import _core

if TYPE_CHECKING:
    from pydl import Tensor

__all__ = ["get_printoptions", "printoptions", "set_printoptions"]


class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_options = _Options()
_PROFILES: dict[str, dict[str, float]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Sets how tensors print: digits behind the point, the number of elements from which only `edgeitems` at each end
    are shown, characters a line, and scientific notation (None: chosen by the values). A profile is "default", "short"
    or "full".
    """
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"set_printoptions: expected a profile of {', '.join(_PROFILES)}, got {profile!r}")
    given: dict[str, float | None] = {
        "precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth,
    }
    chosen = _PROFILES.get(profile or "", {}) | {name: value for name, value in given.items() if value is not None}
    for name, value in chosen.items():
        setattr(_options, name, value)
    _options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The print options, as arguments for `set_printoptions`."""
    return {name: getattr(_options, name) for name in _Options.__annotations__}


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """A context with other print options."""
    before = get_printoptions()
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**before)


# What is shown of a tensor: nested lists of numbers, with _GAP where a summary leaves something out.
_GAP = object()


def _shown(tensor: Tensor, summarize: bool) -> Any:
    if not summarize or tensor.dim() == 0:
        return tensor.tolist()
    edge = _options.edgeitems
    if tensor.size(0) <= 2 * edge:
        return tensor.tolist() if tensor.dim() == 1 else [_shown(row, True) for row in tensor]
    if tensor.dim() == 1:
        return [*tensor[:edge].tolist(), _GAP, *tensor[tensor.size(0) - edge :].tolist()]
    head = [_shown(tensor[i], True) for i in range(edge)]
    return [*head, _GAP, *(_shown(tensor[i], True) for i in range(tensor.size(0) - edge, tensor.size(0)))]


def _leaves(values: Any) -> Iterator[Any]:
    if isinstance(values, list):
        for value in values:
            yield from _leaves(value)
    elif values is not _GAP:
        yield values


class _Formatter:
    """One notation and one width for all numbers of a tensor."""

    def __init__(self, values: Any, floating: bool) -> None:
        self.notation = "{}"
        self.whole = False
        self.width = 1
        if not floating:
            self.width = max(1, *(len(str(value)) for value in _leaves(values)), 1)
            return
        numbers = [value for value in _leaves(values) if math.isfinite(value) and value != 0]
        self.whole = all(value == math.ceil(value) for value in numbers)
        scientific = False
        if numbers:
            low, high = min(map(abs, numbers)), max(map(abs, numbers))
            scientific = high / low > 1000 or high > 1e8 or low < 1e-4
            if _options.sci_mode is not None:
                scientific = _options.sci_mode
        if scientific:
            self.notation = f"{{:.{_options.precision}e}}"
            self.whole = False
        elif self.whole:
            self.notation = "{:.0f}"
        else:
            self.notation = f"{{:.{_options.precision}f}}"
        if numbers:
            self.width = max(1, *(len(self.notation.format(value)) + self.whole for value in numbers))

    def __call__(self, value: Any) -> str:
        text = self.notation.format(value)
        if self.whole and math.isfinite(value):
            text += "."
        return text.rjust(self.width)


def _layout(values: Any, dim: int, indent: int, formatter: _Formatter) -> str:
    if dim == 0:
        return formatter(values)
    if dim == 1:
        words = [" ..." if value is _GAP else formatter(value) for value in values]
        per_line = max(1, (_options.linewidth - indent) // (formatter.width + 2))
        lines = [", ".join(words[i : i + per_line]) for i in range(0, len(words), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    rows = ["..." if row is _GAP else _layout(row, dim - 1, indent + 1, formatter) for row in values]
    return "[" + ("," + "\n" * (dim - 1) + " " * (indent + 1)).join(rows) + "]"


def _contents(tensor: Tensor, indent: int) -> str:
    if tensor.numel() == 0:
        return "[]"
    summarize = tensor.numel() > _options.threshold
    if summarize and _options.edgeitems == 0 and tensor.dim() > 0:
        return "[...]"
    values = _shown(tensor.detach(), summarize)
    return _layout(values, tensor.dim(), indent, _Formatter(values, tensor.dtype.is_floating_point))


def _notes(tensor: Tensor) -> Iterator[str]:
    default = _core.get_default_dtype()
    if tensor.numel() == 0 and tensor.dim() != 1 or tensor.numel() and not _options.edgeitems:
        yield f"size={tuple(tensor.shape)}"
    implied = (default,) if tensor.numel() == 0 else (default, _core.int64, _core.bool)
    if tensor.dtype not in implied:
        yield f"dtype={tensor.dtype}"
    if tensor.grad_fn is not None:
        yield f"grad_fn=<{tensor.grad_fn.name()}>"
    elif tensor.requires_grad:
        yield "requires_grad=True"


def _sparse_string(tensor: Tensor, prefix: str) -> str:
    rows, values = tensor._indices(), tensor._values()
    pad = " " * len(prefix)
    notes = [f"size={tuple(tensor.shape)}", f"nnz={tensor._nnz()}"]
    if tensor.dtype != _core.get_default_dtype():
        notes.append(f"dtype={tensor.dtype}")
    notes.append("layout=pydl.sparse_coo")
    parts = [f"{name}=tensor({_contents(part, len(prefix) + len(name) + 8)}"
             + (f", size={tuple(part.shape)})" if part.numel() == 0 else ")")
             for name, part in (("indices", rows), ("values", values))]
    return prefix + f",\n{pad}".join([*parts, ", ".join(notes)]) + ")"


def to_string(tensor: Tensor) -> str:
    """The text of repr() and str()."""
    plain = type(tensor).__name__ in ("Tensor", "Parameter")
    prefix = "tensor(" if plain else f"{type(tensor).__name__}("
    if tensor.is_sparse:
        return _sparse_string(tensor, prefix)
    text = prefix + _contents(tensor, len(prefix))
    last_line = len(text) - text.rfind("\n") + 1
    for note in _notes(tensor):
        if last_line + len(note) + 2 > _options.linewidth:
            text += ",\n" + " " * len(prefix) + note
            last_line = len(prefix) + len(note)
        else:
            text += ", " + note
            last_line += len(note) + 2
    return text + ")"

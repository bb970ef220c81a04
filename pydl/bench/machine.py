"""The machine's limits, measured in the run that they judge."""

from __future__ import annotations

import pydl
from pydl import _core
from pydl.bench.case import Case

# Best value so far of each limit asked for, and the limits asked for since they were last confirmed. Interference can
# only lower a limit, so the best of several measurements is the machine's.
_best: dict[tuple[str, int], float] = {}
_unconfirmed: set[tuple[str, int]] = set()


def _measure(what: str, size: int) -> float:
    """The better of two tries: in the first the threads may still be on their way to their cores."""

    def once() -> float:
        return _core.measure_bandwidth(size, what) if size else _core.measure_fma_peak(getattr(pydl, what))

    return max(once(), once())


def _limit(what: str, size: int = 0) -> float:
    key = (what, size)
    if key not in _best:
        _best[key] = _measure(*key)
        _unconfirmed.add(key)
    return _best[key]


def confirm() -> None:
    """Measures the new limits once more: call it some seconds after they were first asked for."""
    for key in _unconfirmed:
        _best[key] = max(_best[key], _measure(*key))
    _unconfirmed.clear()


def fma_peak(dtype: str) -> float:
    """Floating point operations per second of all cores."""
    return _limit(dtype)


def bandwidth(size: int, stream: str) -> float:
    """Bytes per second at the cache level where `size` bytes live; `stream` is "read", "copy" or "add"."""
    return _limit(stream, size)


def bandwidth_for(case: Case) -> float:
    stream = "read" if not case.writes else "add" if case.reads >= 2 * case.writes else "copy"
    return bandwidth(max(4096, round(case.bytes)), stream)


def floor(case: Case) -> float:
    """Seconds below which the case cannot run: its flops at the FMA peak, its bytes at the bandwidth; 0 if unknown."""
    compute = case.flops / fma_peak(case.dtype) if case.flops else 0.0
    memory = case.bytes / bandwidth_for(case) if case.bytes else 0.0
    return max(compute, memory)

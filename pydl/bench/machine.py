"""The machine's limits: loops that do nothing but multiply-adds in registers, or walks over memory.

A case's floor is measured in turns with the case, as its peers are, so that a slow phase of the machine meets both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import pydl
from pydl import _core
from pydl.bench.case import Case
from pydl.bench.timing import SAMPLE_SECONDS, executions, warm_up


@dataclass
class Limit:
    """A loop of pydl's as timing's Limit."""

    loop: _core._RooflineLoop
    passes: float

    def timeit(self, number: int) -> float:
        return self.loop.run(number)

    def estimate(self, samples: int = 5) -> float:
        """Seconds for one execution of the case: the best of several samples, which interference can only lengthen."""
        warm_up(self)
        number = executions(self, SAMPLE_SECONDS)
        return min(self.timeit(number) for _ in range(samples)) / number * self.passes


def stream_of(case: Case) -> str:
    return "read" if not case.writes else "add" if case.reads >= 2 * case.writes else "copy"


def memory_limit(size: float, stream: str) -> Limit:
    """The faster of plain stores and those around the caches, where there are stores."""
    ways = (False,) if stream == "read" else (False, True)
    loops = [_core._stream_loop(max(4096, round(size)), stream, past_cache) for past_cache in ways]
    return min((Limit(loop, size / loop.amount) for loop in loops), key=Limit.estimate)


def limits(case: Case) -> list[Limit]:
    """What the case cannot be faster than, as far as known.

    Its flops at the FMA peak, and its bytes at the bandwidth of the cache level where they fit.
    """
    found = []
    if case.flops:
        loop = _core._fma_loop(getattr(pydl, case.dtype))
        found.append(Limit(loop, case.flops / loop.amount))
    if case.bytes:
        found.append(memory_limit(case.bytes, stream_of(case)))
    return found


@lru_cache
def fma_peak(dtype: str) -> float:
    """Floating point operations per second of all cores."""
    loop = _core._fma_loop(getattr(pydl, dtype))
    return loop.amount / Limit(loop, 1).estimate(15)


@lru_cache
def bandwidth(size: int, stream: str) -> float:
    """Bytes per second at the cache level where `size` bytes live; `stream` is "read", "copy" or "add"."""
    return size / memory_limit(size, stream).estimate(15)

"""Timing in turns: pydl, peer, pydl, peer ..., so that a slow phase of the machine meets all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydl.bench.case import Case, Statement, Timed

SAMPLE_SECONDS = 4e-3
FLOOR_SECONDS = 12e-3
# Before each sample: a thread pool that slept may wake with two threads on one core until the next balancing ticks.
WARM_SECONDS = 12e-3
# The idle workers of the library that ran before would hold a core: OpenMP's spin for some milliseconds, OpenBLAS's for
# about 26.
PAUSE_SECONDS = 30e-3


class Limit(Timed, Protocol):
    """A loop at the machine's limit, `passes` of which do what one execution of a case must at least do."""

    passes: float


@dataclass
class Measurement:
    case: Case
    samples: dict[str, list[float]]  # seconds for one execution, by library and round
    floors: list[float] = field(default_factory=list)  # seconds that it must take on this machine, by round, if known

    def seconds(self, name: str = "pydl") -> float:
        return statistics.median(self.samples[name])

    def peers(self, among: tuple[str, ...] = ()) -> list[str]:
        return [name for name in self.samples if name != "pydl" and (not among or name in among)]

    def ratios(self, peer: str) -> list[float]:
        """Peer's time / pydl's, round by round."""
        return [theirs / ours for ours, theirs in zip(self.samples["pydl"], self.samples[peer], strict=True)]

    def ratio(self, peer: str) -> float:
        return statistics.median(self.ratios(peer))

    def share(self) -> float:
        """Of the roofline's floor, round by round: 1 is as fast as the machine can."""
        return statistics.median(floor / ours for ours, floor in zip(self.samples["pydl"], self.floors, strict=True))

    def fastest(self, among: tuple[str, ...] = ()) -> str | None:
        return min(self.peers(among), key=self.seconds, default=None)


def executions(timer: Timed, seconds: float) -> int:
    """How often to execute for a sample of about `seconds`. Two tries each, since an interruption looks like work."""
    number = 1
    while (elapsed := min(timer.timeit(number), timer.timeit(number))) < seconds:
        number = max(number + 1, round(number * min(10.0, 1.2 * seconds / max(elapsed, 1e-9))))
    return number


def warm_up(timer: Timed) -> None:
    """Brings the operands back into the caches and the library's threads onto their cores."""
    end = time.perf_counter() + WARM_SECONDS
    timer.timeit(1)
    while time.perf_counter() < end:
        timer.timeit(1)


def measure(case: Case, statements: dict[str, Statement], rounds: int, limits: Sequence[Limit] = ()) -> Measurement:
    timers = {name: statement.timer() for name, statement in statements.items()}
    numbers = {}
    for name, timer in timers.items():
        with statements[name].context():
            timer.timeit(1)  # pages, caches and thread pools that only the first call sets up
            numbers[name] = executions(timer, SAMPLE_SECONDS)
        time.sleep(PAUSE_SECONDS)
    passes = [executions(limit, FLOOR_SECONDS) for limit in limits]
    samples: dict[str, list[float]] = {name: [] for name in timers}
    floors = []
    for _ in range(rounds):
        needed = []
        for limit, number in zip(limits, passes, strict=True):
            warm_up(limit)
            needed.append(limit.timeit(number) / number * limit.passes)
            time.sleep(PAUSE_SECONDS)
        if limits:
            floors.append(max(needed))
        for name, timer in timers.items():
            with statements[name].context():
                warm_up(timer)
                samples[name].append(timer.timeit(numbers[name]) / numbers[name])
            time.sleep(PAUSE_SECONDS)
    return Measurement(case, samples, floors)

"""Whether a group's bars are met."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydl.bench.case import Bar
from pydl.bench.timing import Measurement

EXPLAINED_SHARE = 0.9


@dataclass
class Verdict:
    bar: Bar
    value: float
    state: str  # "met"; "at the floor": not met, but the machine allows no more; "open"; "no peer"
    missed: list[str]  # names of the cases

    @property
    def text(self) -> str:
        against = f" against {' and '.join(self.bar.against)}" if self.bar.against else ""
        note = f" ({self.bar.note})" if self.bar.note else ""
        wanted, got = {
            "mean": (f"geometric mean >= {self.bar.limit:.2f}{against}", f"{self.value:.2f}"),
            "each": (f"none under {self.bar.limit:.2f}{against}", f"{self.value:.2f}"),
            "share": (f"at least {self.bar.limit:.0%} of the floor", f"{self.value:.0%}"),
            "seconds": (f"at most {self.bar.limit * 1e3:.0f} ms", f"{self.value * 1e3:.1f} ms"),
        }[self.bar.kind]
        missed = f": {', '.join(self.missed)}" if self.missed else ""
        return f"{wanted}{note}: " + (self.state if self.state == "no peer" else f"{got}, {self.state}{missed}")


def geometric_mean(values: list[float]) -> float:
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def judge(bar: Bar, measurements: list[Measurement]) -> Verdict | None:
    """None when the bar concerns none of these cases."""
    concerned = [m for m in measurements if bar.where(m.case)]
    if not concerned:
        return None
    if bar.kind == "seconds":
        slow = [m.case.name for m in concerned if m.seconds() > bar.limit]
        return Verdict(bar, max(m.seconds() for m in concerned), "open" if slow else "met", slow)
    if bar.kind == "share":
        short = [m.case.name for m in concerned if m.share() < bar.limit]
        return Verdict(bar, min(m.share() for m in concerned), "open" if short else "met", short)

    ratios = {}
    for m in concerned:
        if (peer := m.fastest(bar.against)) is not None:
            ratios[m.case.name] = m.ratio(peer)
    if not ratios:
        return Verdict(bar, math.nan, "no peer", [])
    value = geometric_mean(list(ratios.values())) if bar.kind == "mean" else min(ratios.values())
    if value >= bar.limit:
        return Verdict(bar, value, "met", [])
    below = [m for m in concerned if ratios.get(m.case.name, math.inf) < bar.limit]
    at_floor = all(m.floors and m.share() >= EXPLAINED_SHARE for m in below)
    names = [m.case.name for m in below] if bar.kind == "each" else []
    return Verdict(bar, value, "at the floor" if at_floor else "open", names)

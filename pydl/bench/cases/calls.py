"""What a call from Python costs: operators on one element, and the import."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from functools import partial

from pydl.bench.case import Bar, Case, Group, Statement, normal
from pydl.bench.libraries import library


@dataclass
class Import:
    """A timer that imports a module in fresh processes, NumPy having been imported before."""

    module: str

    def timeit(self, number: int) -> float:
        code = (
            "import time, numpy; begin = time.perf_counter(); "
            f"import {self.module}; print(time.perf_counter() - begin)"
        )
        run = partial(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return sum(float(run().stdout) for _ in range(number))


class ImportStatement(Statement):
    def timer(self):
        return Import(self.code)

    def value(self):
        return 0


def importing(name: str) -> Statement | None:
    return ImportStatement(name, {}) if library(name) is not None else None


def one(name: str, code: str, numpy: str | None = None, **options) -> Case:
    return Case(name, code, {"x": normal(1), "y": normal(1)}, numpy, **options)


FORWARD = [
    one("x + y", "x + y", "x + y"),
    one("x * 2.5", "x * 2.5", "x * 2.5"),
    one("x < y", "x < y", "x < y"),
    one("exp(x)", "lib.exp(x)", "np.exp(x)"),
    one("x.sum()", "x.sum()", "x.sum()"),
    one("x[0:1]", "x[0:1]", "x[0:1]"),
]
RECORDED = [
    one("x + y", "x + y", requires_grad=("x",)),
    one("x * y", "x * y", requires_grad=("x", "y")),
    one("exp(x)", "lib.exp(x)", requires_grad=("x",)),
]

GROUPS = [
    Group(
        "import",
        "Import, beyond that of NumPy",
        [Case("import", setups={name: partial(importing, name) for name in ("pydl", "torch", "jax")})],
        (Bar("seconds", 0.040),),
    ),
    Group(
        "calls",
        "One-element operators",
        FORWARD,
        (
            Bar("each", 1 / 0.7, ("numpy",), lambda case: case.name == "x + y", "x + y"),
            Bar("each", 1 / 0.25, ("torch",), lambda case: case.name == "x + y", "x + y"),
        ),
    ),
    Group(
        "calls-recorded",
        "One-element operators, recording for autograd",
        RECORDED,
        (Bar("each", 1 / 0.35, ("torch",), lambda case: case.name == "x + y", "x + y"),),
    ),
]

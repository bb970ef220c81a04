"""The cases of `pydl bench` as pytest-benchmark suites: one benchmark group per case, its libraries side by side.

    pytest bench                               everything
    pytest bench -k "matmul and 1024"          some
    pytest bench --benchmark-disable           results only, each statement executed once

`pydl bench` times the same cases in turns and judges them; this suite adds pytest-benchmark's statistics, storage and
comparison between runs (`--benchmark-autosave`, `--benchmark-compare`).
"""

from __future__ import annotations

from functools import lru_cache

import pytest

from pydl.bench.case import Case, Statement
from pydl.bench.cases import GROUPS
from pydl.bench.libraries import disagreement, statements

# The import is timed by fresh processes, which `pydl bench` alone does.
SUITE = [(group.name, case) for group in GROUPS if group.name != "import" for case in group.cases]
RUNS = [
    pytest.param(group, case, library, id=f"{group}-{case.name}-{library}")
    for group, case in SUITE
    for library in case.competitors
]


@lru_cache(maxsize=1)  # the runs of a case follow each other; keeping more would hold their operands
def checked(index: int) -> dict[str, Statement]:
    case: Case = SUITE[index][1]
    competitors = statements(case)
    error = disagreement(case, {name: statement.value() for name, statement in competitors.items()})
    assert error is None, error
    return competitors


@pytest.mark.parametrize(("group", "case", "library"), RUNS)
def test_speed(benchmark, group: str, case: Case, library: str) -> None:
    index = next(i for i, (name, other) in enumerate(SUITE) if name == group and other is case)
    competitors = checked(index)
    if library not in competitors:
        pytest.skip(f"{library} cannot run this case here")
    benchmark.group = f"{group}: {case.name}"
    with competitors[library].context():
        benchmark(competitors[library].function())

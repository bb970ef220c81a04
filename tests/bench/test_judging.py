"""What `pydl bench` says about its samples; the cases themselves run in bench/."""
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import pydl
from pydl.bench import Disagreement, machine, run_case
from pydl.bench.builds import Build, beside
from pydl.bench.case import Bar, Case, Statement, normal
from pydl.bench.cases import GROUPS
from pydl.bench.judge import judge
from pydl.bench.libraries import disagreement, statements
from pydl.bench.report import amount, markdown, plain, table
from pydl.bench.timing import Measurement, measure


def measurement(name: str, floor: float = 0, **samples: float) -> Measurement:
    rounds = {library: [seconds] * 3 for library, seconds in samples.items()}
    return Measurement(Case(name), rounds, [floor] * 3 if floor else [])


def test_ratio_is_that_of_the_fastest_peer():
    m = measurement("a", pydl=1.0, numpy=3.0, torch=2.0)
    assert m.fastest() == "torch" and m.ratio("torch") == 2.0
    assert m.fastest(("numpy",)) == "numpy"
    assert m.fastest(("jax",)) is None


def test_bars():
    both = [measurement("a", 0.6, pydl=1.0, torch=4.0), measurement("b", 0.95, pydl=1.0, torch=0.5)]
    assert judge(Bar("mean", 1.4), both).state == "met"  # sqrt(4 * 0.5)
    below = judge(Bar("each", 1.0), both)
    assert (below.state, below.value, below.missed) == ("at the floor", 0.5, ["b"])
    assert judge(Bar("each", 5.0), both).state == "open"
    assert judge(Bar("share", 0.6), both).state == "met"
    assert judge(Bar("share", 0.9), both).missed == ["a"]
    assert judge(Bar("each", 1.0, against=("jax",)), both).state == "no peer"
    assert judge(Bar("each", 1.0, where=lambda case: False), both) is None
    assert judge(Bar("seconds", 0.5), both).state == "open"


def test_results_are_compared():
    case = Case("a", "x + 1", {"x": normal(3)}, "x + 2")
    results = {name: statement.value() for name, statement in statements(case).items() if name in ("pydl", "numpy")}
    assert "pydl differs from numpy by 1" in disagreement(case, results)
    exact = replace(case, exact=lambda: results["pydl"])
    assert disagreement(exact, {"pydl": results["pydl"]}) is None
    assert "float64 differs from pydl by 1" in disagreement(exact, {"pydl": results["numpy"]})
    assert "shapes" in disagreement(case, {"pydl": np.ones(2), "numpy": np.ones(3)})
    assert disagreement(case, {"pydl": np.ones(2), "numpy": np.full(2, np.nan)})


def test_a_case_is_timed():
    case = Case("a", setups={name: lambda: Statement("sum(range(100))", {}) for name in ("pydl", "twin")})
    m = run_case(case, rounds=2)
    assert set(m.samples) == {"pydl", "twin"} and len(m.samples["pydl"]) == 2
    assert 1e-8 < m.seconds() < 1e-3
    assert m.floors == []


def test_floors_are_measured_beside_the_case():
    case = Case("a", "x * 2", {"x": normal(1 << 20)}, reads=4 << 20, writes=4 << 20)
    m = measure(case, {"pydl": statements(case)["pydl"]}, rounds=2, limits=machine.limits(case))
    assert len(m.floors) == 2 and 0.05 < m.share() < 3
    compute, memory = machine.limits(replace(case, flops=1e12))
    assert compute.estimate() > 10 * memory.estimate()
    assert machine.limits(Case("b", "x", {})) == []


def test_another_build_takes_part(tmp_path):
    group = GROUPS[1]
    with Build(Path(pydl.__file__).parents[1]) as build:
        compete = partial(beside, build, group.name)
        m = run_case(group.cases[0], 1, compete)
        assert set(m.samples) == {"pydl", "other build"} and all(seconds > 0 for (seconds,) in m.samples.values())
        with pytest.raises(Disagreement, match="the other build: KeyError"):
            run_case(replace(group.cases[0], name="unknown there"), 1, compete)
    with pytest.raises(SystemExit, match="expected a folder that holds a built package pydl"):
        Build(tmp_path)


def test_tables():
    rows = table([measurement("a|b", 1e-6, pydl=2e-6, torch=4e-6), measurement("c", pydl=1e-3)])
    assert rows[0] == ["case", "pydl", "torch", "ratio", "spread", "of floor"]
    assert rows[1] == ["a|b", "2 us", "2.00", "2.00", "2.00-2.00", "50%"]
    assert markdown(rows).splitlines()[2].startswith("| a\\|b | 2 us |")
    assert "1 ms" in plain(rows)
    assert [amount(s, "s") for s in (2.5, 1e-3, 5e-9)] == ["2.5 s", "1 ms", "5 ns"]


def test_names_are_unique():
    assert len({group.name for group in GROUPS}) == len(GROUPS)
    for group in GROUPS:
        assert len({case.name for case in group.cases}) == len(group.cases), group.name
        assert all("pydl" in case.competitors for case in group.cases)

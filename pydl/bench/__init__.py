"""`pydl bench`: pydl beside NumPy, PyTorch, JAX and ONNX Runtime, or beside another build of itself.

Results are checked before anything is timed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial

from tqdm import tqdm

from pydl.bench import machine, report
from pydl.bench.builds import Build, beside
from pydl.bench.case import Case, Group, Statement
from pydl.bench.cases import GROUPS
from pydl.bench.judge import Verdict, judge
from pydl.bench.libraries import disagreement, statements
from pydl.bench.timing import Measurement, measure

ROUNDS, QUICK_ROUNDS = 9, 3


def chosen_groups(names: list[str] | None, pattern: str | None) -> list[Group]:
    known = {group.name: group for group in GROUPS}
    for name in names or []:
        if name not in known:
            raise SystemExit(f"pydl bench: expected a group among {', '.join(known)}, got {name}")
    groups = [known[name] for name in names] if names else GROUPS
    if pattern is not None:
        groups = [
            Group(g.name, g.title, [case for case in g.cases if fnmatch(case.name, pattern)], g.bars) for g in groups
        ]
    groups = [group for group in groups if group.cases]
    if not groups:
        raise SystemExit(f"pydl bench: expected a pattern that matches a case, got {pattern}")
    return groups


class Disagreement(Exception):
    """The libraries' results of one case differ, or pydl raised."""


Competitors = Callable[[Case], dict[str, Statement]]


def run_case(case: Case, rounds: int, compete: Competitors = statements) -> Measurement:
    try:
        competitors = compete(case)
        error = disagreement(case, {name: statement.value() for name, statement in competitors.items()})
    except Exception as raised:
        raise Disagreement(f"{case.name}: {type(raised).__name__}: {raised}") from raised
    if error:
        raise Disagreement(error)
    return measure(case, competitors, rounds, machine.limits(case))


def run_group(
    group: Group, rounds: int, compete: Competitors = statements
) -> tuple[list[Measurement], list[Verdict], list[str]]:
    """Measurements of the cases whose results agree, verdicts on them, and what is wrong with the other cases."""
    measurements, errors = [], []
    for case in tqdm(group.cases, desc=group.name, leave=False, disable=not sys.stderr.isatty()):
        try:
            measurements.append(run_case(case, rounds, compete))
        except Disagreement as error:
            errors.append(str(error))
    verdicts = [verdict for bar in group.bars if (verdict := judge(bar, measurements)) is not None]
    return measurements, verdicts, errors


def run(options: argparse.Namespace) -> int:
    """Exit status 1 when results disagree; under --strict also when a bar is open."""
    groups = chosen_groups(options.group, options.case)
    if options.list:
        for group in groups:
            print(f"{group.name}: {group.title}", *(f"    {case.name}" for case in group.cases), sep="\n")
        return 0
    with Build(options.against) if options.against else nullcontext() as build:
        return run_groups(groups, options, build)


def run_groups(groups: list[Group], options: argparse.Namespace, build: Build | None) -> int:
    if build:
        groups = [replace(group, bars=()) for group in groups]  # which speak of peers
    if not options.json:
        print(report.headline(options.against))
    results: list[tuple[Group, list[Measurement], list[Verdict]]] = []
    wrong = False
    for group in groups:
        compete = partial(beside, build, group.name) if build else statements
        measurements, verdicts, errors = run_group(group, QUICK_ROUNDS if options.quick else ROUNDS, compete)
        results.append((group, measurements, verdicts))
        if not options.json:
            print(report.group_text(group, measurements, verdicts, options.markdown), flush=True)
        for error in errors:
            print(f"WRONG: {error}", file=sys.stderr, flush=True)
        wrong = wrong or bool(errors)
    if options.json:
        print(report.as_json(results))
    is_open = any(verdict.state == "open" for _, _, verdicts in results for verdict in verdicts)
    return 1 if wrong or (options.strict and is_open) else 0

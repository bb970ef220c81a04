"""Results as text, Markdown or JSON."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pydl
from pydl.bench import machine
from pydl.bench.case import Group
from pydl.bench.judge import Verdict, geometric_mean
from pydl.bench.timing import Measurement

Row = list[str]


def amount(value: float, unit: str) -> str:
    """Seconds or bytes, in a handy unit."""
    if unit == "bytes":
        return f"{value / 2**20:.1f} MiB"
    for name, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value / 1e-9:.0f} ns"


def spread(values: list[float]) -> str:
    """The quartiles of the rounds."""
    if len(values) < 2:
        return ""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{low:.2f}-{high:.2f}"


def peers_of(measurements: list[Measurement]) -> list[str]:
    return list(dict.fromkeys(peer for m in measurements for peer in m.peers()))


def table(measurements: list[Measurement]) -> list[Row]:
    """Header and rows. Under each peer stands its time / pydl's; `ratio` is that of the fastest."""
    peers = peers_of(measurements)
    rows = [["case", "pydl", *peers, "ratio", "spread", "GFLOP/s", "GB/s", "of floor"]]
    for m in measurements:
        seconds, case, fastest = m.seconds(), m.case, m.fastest()
        rows.append([
            case.name,
            amount(seconds, case.unit),
            *(f"{m.ratio(peer):.2f}" if peer in m.samples else "" for peer in peers),
            f"{m.ratio(fastest):.2f}" if fastest else "",
            spread(m.ratios(fastest)) if fastest else "",
            f"{case.flops / seconds / 1e9:.1f}" if case.flops else "",
            f"{case.bytes / seconds / 1e9:.1f}" if case.bytes else "",
            f"{m.share():.0%}" if m.floors else "",
        ])  # fmt: skip
    compared = [m for m in measurements if m.fastest()]
    if len(compared) > 1:
        means = [geometric_mean([m.ratio(peer) for m in compared if peer in m.samples]) for peer in peers]
        overall = geometric_mean([m.ratio(m.fastest() or "") for m in compared])
        rows.append(["geometric mean", "", *(f"{mean:.2f}" for mean in means), f"{overall:.2f}", "", "", "", ""])
    return [[row[i] for i in kept] for kept in [used_columns(rows)] for row in rows]


def used_columns(rows: list[Row]) -> list[int]:
    return [i for i in range(len(rows[0])) if i == 0 or any(row[i] for row in rows[1:])]


def plain(rows: list[Row]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def markdown(rows: list[Row]) -> str:
    header, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *body])


def group_text(group: Group, measurements: list[Measurement], verdicts: list[Verdict], as_markdown: bool) -> str:
    rows = table(measurements)
    bars = [f"- {verdict.text}" for verdict in verdicts]
    heading = f"### {group.title}\n" if as_markdown else f"{group.title}  [{group.name}]"
    body = markdown(rows) + "\n" if as_markdown else plain(rows)
    return "\n".join([heading, body, *bars, ""])


def headline(against: Path | None = None) -> str:
    build = pydl.show_config(mode="dicts")
    assert build is not None
    versions = [f"{name} {module.__version__}" for name, module in peer_modules().items()]
    others = f"the build in {against}" if against else ", ".join(versions)
    peaks = ", ".join(f"{machine.fma_peak(dtype) / 1e9:.0f} GFLOP/s {dtype}" for dtype in ("float32", "float64"))
    memory = machine.bandwidth(1 << 28, "copy") / 1e9
    return (
        f"pydl {build['pydl']['version']} ({build['processor']['ISA']}, {build['threads']['used']} threads) beside "
        f"{others} on {build['processor']['name']}.\n"
        f"Measured limits: {peaks}, {memory:.0f} GB/s copying in memory.\n"
        "Under each peer stands its time / pydl's; ratio: the fastest peer's; spread: the quartiles of its rounds.\n"
    )


def peer_modules() -> dict[str, Any]:
    from pydl.bench.libraries import library

    return {name: module for name in ("numpy", "torch", "jax", "onnxruntime") if (module := library(name)) is not None}


def as_json(results: list[tuple[Group, list[Measurement], list[Verdict]]]) -> str:
    return json.dumps(
        {
            "config": pydl.show_config(mode="dicts"),
            "peers": {name: module.__version__ for name, module in peer_modules().items()},
            "peak": {dtype: machine.fma_peak(dtype) for dtype in ("float32", "float64")},
            "groups": [
                {
                    "name": group.name,
                    "cases": [
                        {
                            "name": m.case.name,
                            "flops": m.case.flops,
                            "bytes": m.case.bytes,
                            "floors": m.floors,
                            "seconds": m.samples,
                        }
                        for m in measurements
                    ],
                    "bars": [{"text": verdict.text, "state": verdict.state} for verdict in verdicts],
                }
                for group, measurements, verdicts in results
            ],
        },
        indent=1,
    )

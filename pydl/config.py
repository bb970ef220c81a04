"""What this installation is and what it runs on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np

from pydl import _core
from pydl._version import __version__


def openmp_runtimes() -> list[str]:
    """File names of the OpenMP runtimes loaded in this process; more than one means that they compete for the cores."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    files = {Path(line.split(maxsplit=5)[-1]).name for line in lines if "/" in line}
    return sorted(name for name in files if name.startswith(("libgomp", "libomp", "libiomp")))


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.4g} {unit}"
        count /= 1024
    raise AssertionError


def _sections() -> dict[str, dict[str, Any]]:
    build, memory = _core.build_info(), _core.memory_stats()
    return {
        "pydl": {
            "version": __version__,
            "compiler": build["compiler"],
            "Python": platform.python_version(),
            "NumPy": np.__version__,
        },
        "processor": {
            "name": build["cpu"],
            "ISA": build["isa"],
            "best ISA": build["best_isa"],
            "compiled for": build["isas"],
            "caches": build["caches"],
        },
        "threads": {
            "used": _core.get_num_threads(),
            "available": build["cpus"],
            "OpenMP": build["openmp"],
            "in process": openmp_runtimes(),
        },
        "memory": {
            "available": build["memory"],
            "allocated": memory["allocated"],
            "cached": memory["cached"],
            "cache limit": memory["limit"],
        },
    }


def _text(section: str, key: str, value: Any) -> str:
    if section == "memory":
        return _size(value)
    if key == "caches":
        return ", ".join(f"L{level} {_size(size)}" for level, size in enumerate(value, 1))
    return ", ".join(value) if isinstance(value, (list, tuple)) else str(value)


def show_config(mode: str = "stdout") -> dict[str, dict[str, Any]] | None:
    """Prints the version, build, instruction set, threads and memory of this installation.

    With mode="dicts" returns them instead. PYDL_ISA and OMP_NUM_THREADS, or `set_num_threads`, choose other ones.
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"show_config: expected mode to be 'stdout' or 'dicts', got {mode!r}")
    sections = _sections()
    if mode == "dicts":
        return sections
    for section, entries in sections.items():
        print(section)
        for key, value in entries.items():
            print(f"  {key:<14}{_text(section, key, value)}")
    return None

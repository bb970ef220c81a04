"""Runs the programs of examples/ in small."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

PROGRAMS = Path(__file__).resolve().parents[2] / "examples"


@contextmanager
def no_figure(file: Path, rows: int = 1, columns: int = 1, **options: Any) -> Iterator[Any]:
    """Axes that take everything and draw nothing."""
    axes = [MagicMock() for _ in range(rows * columns)]
    yield axes if len(axes) > 1 else axes[0]


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """examples(name, **constants): the module examples/<name>.py, some of its constants replaced, drawing nothing."""
    monkeypatch.syspath_prepend(str(PROGRAMS))

    def load(name: str, **constants: Any) -> ModuleType:
        module = importlib.import_module(name)
        for constant, value in constants.items():
            monkeypatch.setattr(module, constant, value)
        for drawing in (module, importlib.import_module("writing")):
            monkeypatch.setattr(drawing, "figure", no_figure, raising=False)
        return module

    return load


@pytest.fixture
def program(examples: Callable[..., ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Callable[..., str]:
    """program(name, *arguments, **constants): what examples/<name>.py prints."""

    def run(name: str, *arguments: Any, **constants: Any) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        examples(name, **constants).main()
        return capsys.readouterr().out

    return run

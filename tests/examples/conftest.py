"""Runs the programs of examples/ in small."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROGRAMS = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """examples(name, **constants): the module examples/<name>.py, some of its constants replaced, plotting nothing."""
    monkeypatch.syspath_prepend(str(PROGRAMS))

    def load(name: str, **constants: Any) -> ModuleType:
        module = importlib.import_module(name)
        for constant, value in constants.items():
            monkeypatch.setattr(module, constant, value)
        monkeypatch.setattr(module, "plot", lambda *_: None)
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

"""Every example in a docstring, and the programs of the README, do what they say.

An example runs in a namespace of its own, which holds only what the example itself imports, and from a random state
that differs from run to run: what depends on it must seed it.
"""
from __future__ import annotations

import ast
import doctest
import importlib
import re
from collections.abc import Iterator
from functools import reduce
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import pydl

PACKAGE = Path(pydl.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = [(path, code) for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for code in re.findall(r"^```python\n(.*?)^```", path.read_text(), re.M | re.S)]


def documented(node: ast.AST, name: str) -> Iterator[tuple[str, str, int]]:
    """Name, docstring and its line, of a module and all that is defined inside, whatever decorates or hides it."""
    for child in ast.iter_child_nodes(node):
        inner = isinstance(child, (ast.ClassDef, ast.FunctionDef))
        yield from documented(child, f"{name}.{child.name}" if inner else name)
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
        text = ast.get_docstring(node, clean=False)
        if text is not None:
            yield name, text, node.body[0].lineno - 1


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).parts
    return ".".join([*parts[:-1], parts[-1].partition(".")[0]]).removesuffix(".__init__")


def compiled_operators() -> Iterator[tuple[str, str]]:
    """Where users find each operator of the compiled part, and the docstring there."""
    spaces = {"pydl": pydl, "pydl.Tensor": pydl.Tensor, "pydl.nn.functional": pydl.nn.functional}
    for name in sorted({operator["name"] for operator in pydl.operators() if not operator["name"].startswith("_")}):
        for space, place in spaces.items():
            found = reduce(lambda place, part: getattr(place, part, None), name.split("."), place)
            if callable(found) and not (place is pydl and name.endswith("_")):  # pydl.scatter_ is scatter in place
                yield f"{space}.{name}", found.__doc__ or ""
                break


def examples() -> Iterator[doctest.DocTest]:
    parser = doctest.DocTestParser()
    for name, text in compiled_operators():
        yield parser.get_doctest(text, {}, name, None, None)
    for path in sorted(PACKAGE.rglob("*.py")):
        for name, text, line in documented(ast.parse(path.read_text()), module_name(path)):
            yield parser.get_doctest(text, {}, name, str(path), line)
    for path in sorted(PACKAGE.rglob(f"*{EXTENSION_SUFFIXES[0]}")):  # compiled: no source to read
        yield from doctest.DocTestFinder().find(importlib.import_module(module_name(path)), globs={})


EXAMPLES = [e for e in examples() if e.examples]


def test_every_compiled_operator_has_an_example():
    assert [name for name, text in compiled_operators() if "\n>>> " not in text and "\n    >>> " not in text] == []


def test_examples_are_found():
    assert len(EXAMPLES) > 800


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")
def test_example(example: doctest.DocTest):
    pydl.seed()
    report: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert not failed, "".join(report)


@pytest.mark.parametrize(("path", "code"), PROGRAMS, ids=[path.name for path, _ in PROGRAMS])
def test_program(path: Path, code: str, capsys: pytest.CaptureFixture[str]):
    exec(compile(code, str(path), "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    if path.name == "README.md":
        assert float(printed) > 0.9, f"expected most test digits right, got {printed}"

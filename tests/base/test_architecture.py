"""The one direction of knowledge, read from includes and imports; these tests read the source tree."""
from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import missing

import pydl
from pydl._lazy import HOMES

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"

# What each folder may include: itself and these.
MAY_KNOW = {"base": set(), "simd": {"base"}, "kernels": {"base", "simd"}, "tensor": {"base"},
    "autograd": {"base", "tensor"}, "ops": {"base", "simd", "kernels", "tensor", "autograd"},
    "bindings": {"base", "tensor", "autograd", "ops"}, "cuda": {"base"},}
LAYERS_OF_PYTHON = ["_core", "utils", "nn", "optim", "keras"]
SOURCES = sorted(p for p in CSRC.rglob("*") if p.suffix in (".h", ".cpp", ".inc"))


def includes(path: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', path.read_text(), re.M)


def folder(path: Path) -> str:
    return path.relative_to(CSRC).parts[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(CSRC)))
def test_includes_point_downwards(path: Path):
    for name in includes(path):
        there = name.split("/")[0]
        if "/" in name and there in MAY_KNOW:
            assert there == folder(path) or there in MAY_KNOW[folder(path)], f"{folder(path)}/ must not know {name}"
            assert (CSRC / name).exists(), f"includes are relative to csrc, and {name} is not there"


def test_only_bindings_know_python():
    for path in SOURCES:
        if folder(path) != "bindings":
            found = [n for n in includes(path) if n == "Python.h" or n.startswith("pybind11")]
            assert not found, f"{path.relative_to(ROOT)} includes {found}"


def test_one_place_for_openmp():
    users = {str(p.relative_to(CSRC)) for p in SOURCES if re.search(r"^\s*#\s*pragma\s+omp|^\s*#\s*include\s+<omp\.h>",
        p.read_text(), re.M)}
    assert users <= {"base/parallel.cpp"}, f"OpenMP outside base/parallel.cpp: {users}"


def test_kernels_are_pure():
    """No threads, allocation, exceptions or containers in kernels/."""
    forbidden = re.compile(r"\b(throw|new|malloc|std::vector|std::string|std::thread|parallel_for|Tensor)\b")
    for path in SOURCES:
        if folder(path) == "kernels":
            code = re.sub(r"//[^\n]*|/\*.*?\*/|\"[^\"\n]*\"", "", path.read_text(), flags=re.S)
            found = forbidden.search(code)
            assert not found, f"{path.relative_to(ROOT)} uses {found.group()}"


def test_files_are_read_in_one_sitting():
    long = {str(p.relative_to(ROOT)): n for p in [*SOURCES, *(ROOT / "pydl").rglob("*.py"),
        *(ROOT / "tests").rglob("*.py")] if (n := len(p.read_text().splitlines())) > 700}
    assert not long, f"files of more than about 600 lines: {long}"


def test_nothing_half_done():
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|^\s*#\s*if\s+0\b", re.M)
    for path in [*SOURCES, *(ROOT / "pydl").rglob("*.py")]:
        assert not marks.search(path.read_text()), path.relative_to(ROOT)


def imports(path: Path) -> set[str]:
    """Modules named at any depth, absolute."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            names.add(".".join(x for x in (base, node.module or "") if x))
    return names


@pytest.mark.parametrize("layer", LAYERS_OF_PYTHON[1:])
def test_python_layers_point_downwards(layer: str):
    above = LAYERS_OF_PYTHON[LAYERS_OF_PYTHON.index(layer) + 1:]
    for path in (ROOT / "pydl" / layer).rglob("*.py"):
        for name in imports(path):
            assert not any(name == f"pydl.{a}" or name.startswith(f"pydl.{a}.")
                for a in above), f"{path.relative_to(ROOT)} imports {name}"


def test_lazy_names_exist():
    for name in HOMES:
        getattr(pydl, name)


def test_engine_does_not_lean_on_other_libraries():
    heavy = {"torch", "jax", "scipy", "sklearn", "pandas", "matplotlib", "tensorflow"}
    for path in (ROOT / "pydl").rglob("*.py"):
        if "bench" in path.parts or path.name == "demo.py":
            continue
        top = {n.split(".")[0] for n in imports(path)}
        assert not top & heavy, f"{path.relative_to(ROOT)} imports {top & heavy}"


def isa_objects() -> list[Path]:
    build = ROOT / os.environ.get("PYDL_BUILD_DIR", "build/objects")  # where setup.py puts them
    return sorted(p for p in build.rglob("*.o") if {"avx2", "avx512"} & set(p.relative_to(build).parts))


def test_isa_objects_export_nothing_weak():
    """A weak symbol compiled with AVX-512 could be the one the linker keeps for every machine."""
    objects = isa_objects()
    if not objects or not shutil.which("nm"):
        missing("the objects of a build")
    for path in objects:
        isa = "avx2" if "avx2" in path.parts else "avx512"
        listing = subprocess.run(["nm", "-C", "--defined-only", path], capture_output=True, text=True,
            check=True).stdout
        weak = [line for line in listing.splitlines() if re.match(r"\S+\s+[WVu]\s",
            line) and f"pydl::{isa}::" not in line]
        assert not weak, f"{path.name}: {weak[:5]}"

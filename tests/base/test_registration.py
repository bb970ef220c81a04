"""What a registration that cannot be right leads to; this test compiles the registry of the source tree by itself."""
from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from support import missing

CSRC = Path(__file__).resolve().parents[2] / "csrc"

PROGRAM = """
#include <iostream>
#include "ops/registry.h"
using namespace pydl;
static Tensor f(const Tensor& x, int64_t) { return x; }
const Operator operators_of_a_file[] = {
  {&f, "good(Tensor input, int dim=0) -> Tensor", kFunction, ""},
  {&f, "typo(Tensr input, int dim) -> Tensor", kFunction, ""},
  {&f, "mismatch(Tensor input, float dim) -> Tensor", kFunction, ""},
  {&f, "fallback(Tensor input, int dim=zero) -> Tensor", kFunction, ""},
  {&f, "shapeless", kFunction, ""},
};
int main() { std::cout << operators().size() << " operator\\n" << registration_errors(); }
"""


def test_malformed_schemas_are_collected(tmp_path):
    """An exception here would end the process before main, or before `import` could raise."""
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    if not shutil.which(compiler[0]):
        missing("a C++ compiler")
    (tmp_path / "program.cpp").write_text(PROGRAM)
    sources = ["ops/registry.cpp", "tensor/tensor.cpp", "tensor/dims.cpp", "base/allocator.cpp", "base/arch.cpp"]
    # What the linker drops (how an operator is called) need not be there.
    subprocess.run([*compiler, "-std=c++20", "-ffunction-sections", "-Wl,--gc-sections", f"-I{CSRC}", "program.cpp",
        *(str(CSRC / s) for s in sources), "-o", "program"], cwd=tmp_path, check=True)
    told = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[0] == "1 operator" and len(told) == 5
    for line, name, why in zip(told[1:], ("typo", "mismatch", "fallback", "shapeless"),
                               ("unknown type", "other types", "unreadable default", "no parameter list")):
        assert line.startswith("operator: expected a schema") and f'"{name}' in line and why in line

"""A compact run of the operator suite on every instruction set that this machine can execute."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pydl

HERE = Path(__file__).parent
COMPILED, RUNNABLE = pydl._core.build_info()["isas"], pydl._core.build_info()["runnable_isas"]


@pytest.mark.parametrize("isa", RUNNABLE)
def test_operators(isa: str):
    if os.environ.get("PYDL_ISA"):
        pytest.skip("already inside the run of one instruction set")
    command = [sys.executable, "-P"] if sys.version_info >= (3, 11) else [sys.executable]
    command += ["-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "--per-op", "3", "--tb=line"]
    files = ("test_reference.py", "test_finite_differences.py", "test_bits.py", "test_past_cache.py")
    command += [str(HERE / f) for f in files]
    command += ["-k", "not int8 and not int16 and not int32 and not bool and not second_order"]
    done = subprocess.run(command, env={**os.environ, "PYDL_ISA": isa}, cwd=HERE, capture_output=True, text=True,
        check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.parametrize("isa", RUNNABLE)
def test_choice_is_honoured(isa: str):
    code = "import pydl; print(pydl._core.build_info()['isa'])"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYDL_ISA": isa}, cwd=HERE,
        capture_output=True, text=True, check=True)
    assert done.stdout.strip() == isa


def test_other_isas_are_refused():
    for isa in ["avx1024", *(set(COMPILED) - set(RUNNABLE))]:
        done = subprocess.run([sys.executable, "-c", "import pydl"], env={**os.environ, "PYDL_ISA": isa}, cwd=HERE,
            capture_output=True, text=True, check=False)
        assert done.returncode == 1 and f"on this machine, got {isa}" in done.stderr

"""What the generic tests share: running an operator, comparing results, gradients."""
from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from specs.spec import (
    EPS,
    Array,
    Case,
    arrays,
    dtype_name,
    flat_tensors,
    is_float,
    results,
    round_to,
    tensors,
    to_numpy,
    tree_map,
)

IN_CI = os.environ.get("CI", "") not in ("", "0", "false")
TINY = {"float64": 1e-300, "float32": 1e-36, "bfloat16": 1e-36, "float16": 2.0**-24}


def missing(what: str) -> None:
    """Skips, except in CI: there a test that could not run has failed."""
    (pytest.fail if IN_CI else pytest.skip)(f"needs {what}")


def python(code: str, timeout: float = 120, **environment: str) -> str:
    """What a fresh interpreter prints; it sees the installed package, not the source tree beside the tests."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout,
        cwd=Path(__file__).parent, env={**os.environ, **environment}, check=False)
    assert done.returncode == 0, f"the interpreter ended with {done.returncode}:\n{done.stderr}"
    return done.stdout.strip()


def run(lib: Any, case: Case, requires_grad: bool = False) -> tuple[list, list]:
    """(tensor inputs, tensor results) of one call."""
    args, kwargs = tensors(lib, case.draw(), requires_grad)
    return flat_tensors((args, kwargs), lib), results(case.spec.function(lib)(*args, **kwargs), lib)


def reference(case: Case) -> list[np.ndarray]:
    args, kwargs = arrays(case.draw())
    with np.errstate(all="ignore"):
        want = case.spec.ref(*args, **kwargs)
    return [np.asarray(w) for w in (want if isinstance(want, (tuple, list)) else (want,))]


def magnitude(case: Case, want: list[np.ndarray]) -> list[np.ndarray | float]:
    """What an error is measured against."""
    kind = case.spec.magnitude
    if kind == "value":
        return [np.abs(w) for w in want]
    if kind == "one":
        return [np.maximum(np.abs(w), 1) for w in want]
    if kind == "max":
        return [largest(w) for w in want]
    positive = tree_map(lambda a: Array(np.abs(a.value), a.dtype, a.layout, a.grad) if is_float(a.dtype) else a, Array,
        case.draw())
    args, kwargs = arrays(tree_map(abs, float, positive))
    out = case.spec.ref(*args, **kwargs)
    return [np.asarray(o) for o in (out if isinstance(out, (tuple, list)) else (out,))]


def largest(values: np.ndarray) -> float:
    finite = np.abs(np.asarray(values, float))
    finite = finite[np.isfinite(finite)]
    return float(finite.max()) if finite.size else 0.0


def assert_close(got: np.ndarray, want: np.ndarray, dtype: str, eps: float, scale: Any = None, what: str = "") -> None:
    """|got - want| <= eps * machine epsilon * scale, infinities and NaNs in the same places; integers equal."""
    assert got.shape == want.shape, f"{what} expected shape {want.shape}, got {got.shape}"
    if not is_float(dtype):
        wrapped = want.astype(dtype)
        assert np.array_equal(got, wrapped), f"{what} expected {_excerpt(wrapped)}, got {_excerpt(got)}"
        return
    with np.errstate(all="ignore"):
        want = np.asarray(want, float)
        rounded = round_to(want, dtype).astype(float)
        scale = np.abs(want) if scale is None else scale
        tolerance = np.broadcast_to(eps * EPS[dtype] * np.asarray(scale) + (TINY[dtype] if eps else 0.0), want.shape)
        got = got.astype(float)
        special = ~np.isfinite(rounded)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        bad = ~same & (special | ~(np.abs(got - want) <= tolerance))
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        off = abs(got[at] - want[at]) / (EPS[dtype] * float(np.broadcast_to(scale, want.shape)[at]) or 1.0)
        raise AssertionError(f"{what} {int(bad.sum())} of {bad.size} values differ; at {at} expected "
                             f"{float(want[at])!r}, got {float(got[at])!r}: {off:.1f} eps, allowed {eps}")


def _excerpt(a: np.ndarray) -> str:
    return np.array2string(a, threshold=40, edgeitems=3)


def tolerance(case: Case, dtype: str, want: np.ndarray) -> float:
    """How many eps this result may be off; sums and products get sqrt(K) more."""
    eps = case.spec.eps if dtype in ("float32", "float64") else case.spec.half_eps
    if case.spec.magnitude != "abs":
        return eps
    terms = max([int(np.prod(i.shape)) for i in case.call.inputs()] + [1]) / max(want.size, 1)
    return eps * max(1.0, terms) ** 0.5


def same_bits(a: Any, b: Any) -> bool:
    """Equal to the last bit; NaNs count as equal whatever their payload."""
    x, y = to_numpy(a), to_numpy(b)
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    if x.dtype.kind != "f":
        return np.array_equal(x, y)
    return bool((((x == y) & (np.signbit(x) == np.signbit(y))) | (np.isnan(x) & np.isnan(y))).all())


def cotangents(lib: Any, outputs: list, seed: str) -> list:
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    return [lib.from_numpy(np.array(rng.uniform(0.5, 1.5, tuple(o.shape)))).to(o.dtype) for o in outputs]


def float_outputs(found: list) -> list:
    """The results that gradients flow from."""
    return [r for r in found if is_float(dtype_name(r)) and r.requires_grad]


def gradients(lib: Any, case: Case) -> tuple[list, list]:
    """(gradients of every differentiable input, the results) for cotangents fixed by the case; None where unused."""
    inputs, found = run(lib, case, requires_grad=True)
    leaves, outputs = [i for i in inputs if i.requires_grad], float_outputs(found)
    return list(lib.autograd.grad(outputs, leaves, cotangents(lib, outputs, case.id), allow_unused=True)), found


def assert_starts_with(error: BaseException, name: str) -> None:
    """Every message reads "op: expected ..., got ..."."""
    text = str(error)
    assert text.startswith(f"{name}: expected "), f"the message should read '{name}: expected ..., got ...': {text!r}"

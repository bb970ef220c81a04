"""Every operator against PyTorch: values, dtypes, shapes, and the gradients of all differentiable inputs."""
from __future__ import annotations

import numpy as np
from specs.spec import ANY_FLOAT, FLOATS, HALVES, Case, cases, differentiable, dtype_name, is_float, to_numpy
from support import assert_close, gradients, largest, magnitude, run, tolerance

import pydl


def pytest_generate_tests(metafunc):
    # In 16 bits PyTorch's longer operators round after every step: there the reference alone judges.
    found = [c for c in cases(metafunc.config.per_op) if c.dtype not in HALVES or c.spec.pointwise]
    if metafunc.function is test_gradients:
        found = [Case(c.spec, c.call, c.dtype, smooth=True) for c in found if c.spec.grad and c.call.grad
                 and c.dtype in (ANY_FLOAT if c.spec.pointwise else FLOATS) and differentiable(c.call, largest=10**6)]
    metafunc.parametrize("case", found, ids=[c.id for c in found])


def test_values(case: Case, torch_or_fail):
    spec = case.spec
    _, ours = run(pydl, case)
    _, theirs = run(torch_or_fail, case)
    assert [dtype_name(x) for x in ours] == [dtype_name(x) for x in theirs]
    assert [tuple(x.shape) for x in ours] == [tuple(x.shape) for x in theirs]
    if spec.random:
        return
    got, want = [to_numpy(x) for x in ours], [to_numpy(x) for x in theirs]
    if spec.canonical:
        got, want = spec.canonical(got), spec.canonical(want)
    scales = magnitude(case, want)
    for i in spec.compare or range(len(want)):
        dtype = dtype_name(ours[i])
        # Both may be off by their bound, in opposite directions.
        allowed = 2 * tolerance(case, dtype, want[i])
        assert_close(got[i], want[i], dtype, allowed, scales[i], f"result {i}:")


def test_gradients(case: Case, torch_or_fail):
    ours, _ = gradients(pydl, case)
    theirs, _ = gradients(torch_or_fail, case)
    assert [g is None for g in ours] == [g is None for g in theirs]
    wide = 1 if case.dtype in FLOATS else 0.25  # 16-bit floats carry few eps before they differ visibly
    for i, (ours_i, theirs_i) in enumerate(zip(ours, theirs)):
        if theirs_i is None:
            continue
        assert dtype_name(ours_i) == dtype_name(theirs_i)
        want = to_numpy(theirs_i)
        if is_float(case.dtype):
            allowed = max(case.spec.grad_eps, case.spec.torch_eps if case.dtype == "float64" else 0) * wide
            scale = np.maximum(largest(want), case.spec.grad_floor)
            assert_close(to_numpy(ours_i), want, case.dtype, allowed, scale, f"gradient {i}:")

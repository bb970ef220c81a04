"""Every operator against its definition in NumPy, in float64: values, dtype and shape."""
from __future__ import annotations

from specs.spec import Case, cases, dtype_name, to_numpy
from support import assert_close, magnitude, reference, run, tolerance

import pydl


def pytest_generate_tests(metafunc):
    found = cases(metafunc.config.per_op)
    metafunc.parametrize("case", found, ids=[c.id for c in found])


def test_reference(case: Case):
    spec = case.spec
    _, results = run(pydl, case)
    want = reference(case)
    assert len(results) == len(want), f"expected {len(want)} results, got {len(results)}"
    for i, (r, w) in enumerate(zip(results, want)):
        expected = spec.result_dtype(case.dtype, case.call, i)
        assert dtype_name(r) == expected, f"expected dtype {expected}, got {dtype_name(r)}"
        assert tuple(r.shape) == w.shape, f"expected shape {w.shape}, got {tuple(r.shape)}"
    if spec.random:
        return
    if spec.canonical:
        got, want = spec.canonical([to_numpy(r) for r in results]), spec.canonical(want)
    else:
        got = [to_numpy(r) for r in results]
    scales = magnitude(case, want)
    for i in spec.compare or range(len(want)):
        dtype = spec.result_dtype(case.dtype, case.call, i)
        assert_close(got[i], want[i], dtype, tolerance(case, dtype, want[i]), scales[i], f"result {i}:")

"""Results to the last bit: whatever the thread count, the memory layout, and the place inside a tensor."""
from __future__ import annotations

from dataclasses import replace

import pytest
from specs import TABLE
from specs.spec import Array, Case, cases, flat_tensors, results, t, tensors, tree_map
from support import gradients, run, same_bits

import pydl

THREADS = (1, 2, 3, 8)
LARGE = [Case(s, s.large, dtype) for s in TABLE.values() if s.large for dtype in ("float32",
    "float64") if dtype in s.dtypes]


def assert_same(got: list, want: list, what: str) -> None:
    for i, (a, b) in enumerate(zip(got, want, strict=True)):
        if a is not None and not same_bits(a, b):
            pytest.fail(f"{what}: result {i} has other bits")


@pytest.mark.parametrize("case", [c for c in LARGE if c.dtype == "float32"], ids=lambda c: c.id)
def test_threads(case: Case, threads):
    """Forward and backward of a call above every threading threshold."""
    want = None
    for n in THREADS:
        threads(n)
        got = run(pydl, case)[1]
        if case.spec.grad and case.call.grad:
            got += gradients(pydl, case)[0]
        want = want or got
        assert_same(got, want, f"{n} threads")


def test_threads_in_float64(threads):
    for case in (c for c in LARGE if c.dtype == "float64" and c.spec.base in ("sum", "mm", "softmax", "layer_norm",
            "var", "exp")):
        want = None
        for n in THREADS:
            threads(n)
            got = run(pydl, case)[1]
            want = want or got
            assert_same(got, want, f"{case.id} with {n} threads")


def pytest_generate_tests(metafunc):
    if metafunc.function.__name__ == "test_layouts":
        found = [c for c in cases(None, dtypes=("float32", "int64")) if any(i.layout != "contiguous"
            for i in c.call.inputs()) and (c.spec.pointwise or all(i.layout in ("contiguous",
            "offset") for i in c.call.inputs())) and not c.spec.random]
        metafunc.parametrize("case", found, ids=[c.id for c in found])


def test_layouts(case: Case):
    """Pointwise results do not depend on strides, nor any result on the alignment of its input."""
    drawn = case.draw()
    packed = tree_map(lambda a: replace(a, layout="contiguous"), Array, drawn)
    got, want = (results(case.spec.function(pydl)(*args, **kwargs), pydl) for args, kwargs in (tensors(pydl, drawn),
        tensors(pydl, packed)))
    assert_same(got, want, "another layout")


@pytest.mark.parametrize("spec", [s for s in TABLE.values() if s.pointwise and s.large and len(s.large.inputs()) == 1],
    ids=lambda s: s.id)
def test_position(spec):
    """A value's bits do not depend on where in the tensor it stands: vectors and their remainders compute alike."""
    dtype = "float32" if "float32" in spec.dtypes else spec.dtypes[0]
    case = Case(spec, replace(spec.large, args=(t(100), *spec.large.args[1:])), dtype)
    args, kwargs = tensors(pydl, case.draw())
    f, (x, *rest) = spec.function(pydl), args
    whole = f(x, *rest, **kwargs)
    for start, stop in ((0, 1), (1, 17), (3, 34), (15, 16), (31, 98), (99, 100)):
        assert same_bits(f(x[start:stop], *rest, **kwargs), whole[start:stop]), f"{start}:{stop}"
    assert flat_tensors(whole, pydl)

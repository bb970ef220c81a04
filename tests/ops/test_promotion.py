"""Type promotion against PyTorch: every pair of dtypes, as tensors, zero-dim tensors and Python numbers."""
from __future__ import annotations

import pytest
from specs.spec import ALL

import pydl

KINDS = ("tensor", "zero_dim")
NUMBERS = (True, 2, 2.5)
OPERATORS = ("add", "mul", "div", "sub", "pow", "floor_divide", "remainder", "maximum", "eq", "lt", "bitwise_and",
    "atan2", "where")


def operand(lib, dtype: str, kind: str):
    return lib.ones(3 if kind == "tensor" else (), dtype=getattr(lib, dtype))


def outcome(lib, name: str, a, b) -> str:
    """dtype of the result, or that it was refused."""
    try:
        f = getattr(lib, name)
        result = f(lib.ones(3, dtype=lib.bool), a, b) if name == "where" else f(a, b)
    except (RuntimeError, TypeError, NotImplementedError):
        return "refused"
    return str(result.dtype).rpartition(".")[2]


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("left", ALL)
def test_pairs(name: str, left: str, torch_or_fail):
    for right in ALL:
        for a in KINDS:
            for b in KINDS:
                got, want = (outcome(lib, name, operand(lib, left, a), operand(lib, right, b)) for lib in (pydl,
                    torch_or_fail))
                assert got == want, f"{left} {a} with {right} {b}: expected {want}, got {got}"


@pytest.mark.parametrize("name", [n for n in OPERATORS if n not in ("maximum", "atan2")])
@pytest.mark.parametrize("dtype", ALL)
def test_numbers(name: str, dtype: str, torch_or_fail):
    for number in NUMBERS:
        for kind in KINDS:
            for reverse in (False, True):
                if reverse and name not in ("pow", "mul", "add", "where"):
                    continue
                pairs = []
                for lib in (pydl, torch_or_fail):
                    x = operand(lib, dtype, kind)
                    pairs.append(outcome(lib, name, *((number, x) if reverse and name in ("pow", "where") else (x,
                        number))))
                assert pairs[0] == pairs[1], f"{dtype} {kind} with {number!r}: expected {pairs[1]}, got {pairs[0]}"


@pytest.mark.parametrize("left", ALL)
def test_inplace(left: str, torch_or_fail):
    """An in-place result must be castable to its target's kind."""
    for right in ALL:
        outcomes = []
        for lib in (pydl, torch_or_fail):
            x = operand(lib, left, "tensor")
            try:
                x += operand(lib, right, "tensor")
                outcomes.append(str(x.dtype).rpartition(".")[2])
            except RuntimeError:
                outcomes.append("refused")
        assert outcomes[0] == outcomes[1], f"{left} += {right}: expected {outcomes[1]}, got {outcomes[0]}"


def test_promote_types(torch_or_fail):
    for left in ALL:
        for right in ALL:
            ours, theirs = (lib.promote_types(getattr(lib, left), getattr(lib, right)) for lib in (pydl, torch_or_fail))
            assert str(ours).rpartition(".")[2] == str(theirs).rpartition(".")[2]
            assert pydl.can_cast(getattr(pydl, left), getattr(pydl, right)) == torch_or_fail.can_cast(
                getattr(torch_or_fail, left), getattr(torch_or_fail, right))


def test_cat_promotes(torch_or_fail):
    for left in ALL:
        for right in ALL:
            ours, theirs = (lib.cat([operand(lib, left, "tensor"), operand(lib, right, "tensor")]).dtype
                for lib in (pydl, torch_or_fail))
            assert str(ours).rpartition(".")[2] == str(theirs).rpartition(".")[2]


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "cumsum", "exp", "sqrt", "abs", "round", "logical_not", "neg",
    "sigmoid", "max", "all"])
def test_one_input(name: str, torch_or_fail):
    for dtype in ALL:
        def result(lib, dtype=dtype):
            try:
                return str(getattr(lib, name)(operand(lib, dtype, "tensor"),
                    *([0] if name == "cumsum" else [])).dtype).rpartition(".")[2]
            except (RuntimeError, TypeError, NotImplementedError):
                return "refused"
        assert result(pydl) == result(torch_or_fail), dtype

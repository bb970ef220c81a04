"""repr is PyTorch's, character by character, under the name of this package."""
from __future__ import annotations

import pytest

import pydl

SAMPLES = {"scalar": lambda lib: lib.tensor(1.5), "int_scalar": lambda lib: lib.tensor(7),
    "bool_scalar": lambda lib: lib.tensor(True), "empty": lambda lib: lib.zeros(0), "empty_2d": lambda lib: lib.zeros(2,
    0), "whole": lambda lib: lib.arange(5.0), "ints": lambda lib: lib.tensor([1, -20, 300]),
    "bools": lambda lib: lib.tensor([True, False]), "fractions": lambda lib: lib.tensor([0.5, 1.25, -3.0625]),
    "scientific": lambda lib: lib.tensor([1e-6, 1.0, 1e6]), "large": lambda lib: lib.tensor([1e9, 2e9]),
    "tiny": lambda lib: lib.tensor([1e-9]), "nan": lambda lib: lib.tensor([float("nan"), 1.0, float("inf"),
    -float("inf")]), "nans": lambda lib: lib.tensor([float("nan")]), "matrix": lambda lib: lib.arange(6.0).reshape(2,
    3) / 4, "cube": lambda lib: lib.arange(24).reshape(2, 3, 4), "four": lambda lib: lib.arange(16.0).reshape(2, 2, 2,
    2), "wide": lambda lib: lib.arange(40.0).reshape(2, 20), "long": lambda lib: lib.arange(2000.0),
    "summarized": lambda lib: lib.arange(4000).reshape(40, 100), "summarized_cube": lambda lib: lib.zeros(20, 20, 20),
    "double": lambda lib: lib.ones(2, dtype=lib.float64), "half": lambda lib: lib.ones(2, dtype=lib.float16) / 3,
    "bfloat16": lambda lib: lib.ones(2, dtype=lib.bfloat16) / 3, "int32": lambda lib: lib.ones(2, dtype=lib.int32),
    "uint8": lambda lib: lib.ones(2, dtype=lib.uint8), "leaf": lambda lib: lib.ones(2, requires_grad=True),
    "negative_zero": lambda lib: lib.tensor([-0.0, 0.0]), "mixed_sign": lambda lib: lib.tensor([-1.5, 22.25]),
    "view": lambda lib: lib.arange(6.0).reshape(2, 3).t(), "parameter": lambda lib: lib.nn.Parameter(lib.ones(2)),}


@pytest.mark.parametrize("name", SAMPLES)
def test_repr(name: str, torch_or_fail):
    assert repr(SAMPLES[name](pydl)).replace("pydl.", "torch.") == repr(SAMPLES[name](torch_or_fail))


def test_grad_fn_is_named():
    x = pydl.ones(2, requires_grad=True)
    assert "grad_fn=<MulBackward0>" in repr(x * 2)
    assert "MulBackward0" in repr((x * 2).grad_fn) and (x * 2).grad_fn.name() == "MulBackward0"


def test_str_and_format():
    assert str(pydl.tensor([1.0])) == "tensor([1.])"
    assert f"{pydl.tensor(2.5)}" == "2.5" and f"{pydl.tensor(2.5):6.2f}" == "  2.50"


def test_print_options(torch_or_fail):
    libs = (pydl, torch_or_fail)
    for lib in libs:
        lib.set_printoptions(precision=2, sci_mode=False, linewidth=40)
    try:
        ours, theirs = (repr(lib.arange(10.0) / 3) for lib in libs)
        assert ours == theirs
    finally:
        for lib in libs:
            lib.set_printoptions(profile="default")


def test_small_types():
    assert repr(pydl.float32) in ("pydl.float32", "torch.float32")
    assert repr(pydl.zeros(2, 3).shape).endswith("Size([2, 3])")
    assert repr(pydl.device("cpu")) == "device(type='cpu')"


def test_lines_break_where_pytorchs_do(torch_or_fail):
    for width in range(30, 48):
        pydl.set_printoptions(linewidth=width), torch_or_fail.set_printoptions(linewidth=width)
        try:
            for n in (1, 2, 5, 12):
                ours, theirs = (repr(lib.ones(n, requires_grad=True) * 2) for lib in (pydl, torch_or_fail))
                assert ours == theirs
        finally:
            pydl.set_printoptions(profile="default"), torch_or_fail.set_printoptions(profile="default")


def test_without_edge_items_the_size_is_told(torch_or_fail):
    with pydl.printoptions(edgeitems=0, threshold=3):
        ours = [repr(pydl.arange(n)) for n in (0, 2, 5)] + [repr(pydl.tensor(1.5)), repr(pydl.ones(2, 3))]
    torch_or_fail.set_printoptions(edgeitems=0, threshold=3)
    try:
        t = torch_or_fail
        theirs = [repr(t.arange(n)) for n in (0, 2, 5)] + [repr(t.tensor(1.5)), repr(t.ones(2, 3))]
    finally:
        torch_or_fail.set_printoptions(profile="default")
    assert ours == [text.replace("torch.", "pydl.") for text in theirs]

"""Every operator of the engine has a row in the table."""
from __future__ import annotations

import pytest
from specs import TABLE

import pydl

# Operators whose tests are a file of their own, because a row cannot say what they do.
ELSEWHERE: dict[str, str] = {"item": "tensor/test_basics.py", "tolist": "tensor/test_basics.py",
    "numel": "tensor/test_basics.py", "is_nonzero": "tensor/test_basics.py", "set_": "tensor/test_views.py",
    "resize_": "tensor/test_views.py", "resize_as_": "tensor/test_views.py", "is_set_to": "tensor/test_views.py",
    "index": "tensor/test_indexing.py", "lift": "tensor/test_views.py",
    "from_numpy": "tensor/test_numpy.py", "numpy_T": "tensor/test_basics.py",
    "packed_attention": "nn/test_attention.py"} | dict.fromkeys(("coalesce",
    "is_coalesced", "sparse_dim", "dense_dim", "indices", "values", "to_dense"), "tensor/test_sparse.py")


def covered() -> set[str]:
    names: set[str] = set()
    for spec in TABLE.values():
        for name in (spec.name, *spec.aliases, *spec.engine_names):
            names |= {name, name.removeprefix("nn.functional."), name.rpartition(".")[2]}
    return names


def test_every_operator_has_a_row():
    list_operators = getattr(pydl._core, "operators", None)
    if list_operators is None:
        pytest.skip("the engine does not list its operators")
    known = covered() | set(ELSEWHERE)
    names = {o["name"] for o in list_operators()
             if not o["name"].startswith("optim.") and not o["name"].rpartition(".")[2].startswith("_")}
    missing = sorted(n for n in names if n not in known and n.removesuffix("_") not in known
        and n.rpartition(".")[2] not in known)
    assert not missing, f"operators without a row in tests/specs: {', '.join(missing)}"


def test_differentiable_rows_are_differentiable_operators():
    """A row that is not differentiated names an operator that says so itself."""
    list_operators = getattr(pydl._core, "operators", None)
    if list_operators is None:
        pytest.skip("the engine does not list its operators")
    differentiable = {o["name"] for o in list_operators() if o["differentiable"]}
    rows: dict[str, bool] = {}
    for spec in TABLE.values():
        rows[spec.base] = rows.get(spec.base, False) or spec.grad
    # Drawn at random, in place only, or unique only up to signs: differentiated in files of their own.
    apart = {s.base for s in TABLE.values() if s.random or s.canonical or s.base.endswith("_")
        or s.family == "creation"}
    untested = sorted(n for n in differentiable if n in rows and not rows[n] and n not in apart)
    assert not untested, f"differentiable operators whose gradient no row tests: {', '.join(untested)}"

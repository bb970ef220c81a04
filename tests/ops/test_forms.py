"""Method, function, in-place and out= forms are one operator; PyTorch has the same ones."""
from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
from specs import TABLE
from specs.spec import (
    Array,
    Case,
    Spec,
    dtype_name,
    flat_tensors,
    is_float,
    results,
    sample,
    tensors,
    to_numpy,
    tree_map,
)
from support import assert_close, largest, same_bits

import pydl

VIEWS = ("squeeze", "unsqueeze", "transpose", "t", "as_strided", "detach")  # in place they change no value
SPECS = [s for s in TABLE.values() if not s.random]


def chosen(spec: Spec, count: int = 2) -> list[Case]:
    dtype = "float32" if "float32" in spec.dtypes else spec.dtypes[0]
    calls = [c for c in spec.calls if c.only is None or dtype in c.only]
    return [Case(spec, c, dtype) for c in sample(calls, count, "forms" + spec.id)]


def pytest_generate_tests(metafunc):
    form = {"test_method_is_function": "mf", "test_inplace": "i", "test_out": "o"}.get(metafunc.function.__name__)
    if form:
        found = [c for s in SPECS if set(form) <= set(s.forms) for c in chosen(s)]
        metafunc.parametrize("case", found, ids=[c.id for c in found])


def call_with(case: Case, function, **more) -> tuple[list, list]:
    args, kwargs = tensors(pydl, case.draw())
    return flat_tensors((args, kwargs), pydl), results(function(*args, **kwargs, **more), pydl)


def assert_same(case: Case, ours: list, want: list) -> None:
    """Pointwise results to the bit; other operators may go another way for another place of the result."""
    assert [x.dtype for x in ours] == [x.dtype for x in want]
    for a, b in zip(ours, want):
        if case.spec.pointwise or not is_float(dtype_name(a)):
            assert same_bits(a, b), "another form has other bits"
        else:
            assert_close(to_numpy(a), to_numpy(b).astype(float), dtype_name(a), 4 * case.spec.eps, largest(to_numpy(b)))


def test_method_is_function(case: Case):
    _, want = call_with(case, case.spec.function(pydl))
    if case.draw()[0] and isinstance(case.draw()[0][0], Array):
        _, got = call_with(case, getattr(pydl.Tensor, case.spec.base))
        assert_same(case, got, want)


@pytest.mark.parametrize("spec", [s for s in SPECS if s.aliases], ids=lambda s: s.id)
def test_aliases(spec: Spec):
    case = chosen(spec, 1)[0]
    _, want = call_with(case, spec.function(pydl))
    for alias in spec.aliases:
        root, last = pydl, alias.rpartition(".")[2]
        if alias.startswith("__"):
            root = pydl.Tensor
        for word in alias.split(".")[:-1]:
            root = getattr(root, word)
        _, got = call_with(case, getattr(root, last))
        assert_same(case, got, want)


def test_inplace(case: Case):
    """The same values in the same memory, under a new version."""
    inputs, want = call_with(case, case.spec.function(pydl))
    args, kwargs = case.draw()
    if want[0].shape != inputs[0].shape or not isinstance(args[0],
            Array) or "dtype" in kwargs or case.spec.base in VIEWS:
        return
    if want[0].dtype not in (inputs[0].dtype, pydl.bool):
        return
    args, kwargs = tensors(pydl, (tree_map(lambda a: replace(a, layout="contiguous") if a.layout == "expanded" else a,
        Array, args), kwargs))
    x, version, place = args[0], args[0]._version, args[0].data_ptr()
    out = getattr(x, case.spec.base + "_")(*args[1:], **kwargs)
    assert out is x
    assert x.data_ptr() == place and x._version > version
    assert_same(case, [x], [want[0].to(x.dtype)])


def test_out(case: Case):
    """Results go where out= says: into an empty tensor, which takes their shape, or over memory that fits."""
    _, want = call_with(case, case.spec.function(pydl))
    empty = [pydl.empty(0, dtype=w.dtype) for w in want]
    transposed = [pydl.zeros(tuple(reversed(w.shape)), dtype=w.dtype).permute(tuple(reversed(range(w.ndim))))
        for w in want]
    for outs in (empty, transposed):
        places = [o.data_ptr() for o in outs]
        _, got = call_with(case, case.spec.function(pydl), out=outs[0] if len(outs) == 1 else tuple(outs))
        assert all(g is o for g, o in zip(got, outs))
        assert_same(case, got, want)
        if outs is transposed:
            assert [o.data_ptr() for o in outs] == places


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.id)
def test_forms_are_pytorchs(spec: Spec, torch_or_fail):
    """The table claims the forms that PyTorch has, and pydl has them too."""
    torch = torch_or_fail
    for lib in (torch, pydl):
        if "." not in spec.name:
            method = "m" in spec.forms or spec.base == "where"  # x.where(condition, y)
            assert hasattr(lib.Tensor, spec.base) == method
            assert callable(getattr(lib, spec.base, None)) == ("f" in spec.forms)
            inplace = hasattr(lib.Tensor, spec.base + "_") and not spec.base.endswith("_")
            assert inplace == ("i" in spec.forms)
        if "f" in spec.forms and not spec.name.startswith("nn."):
            dtype = "float32" if "float32" in spec.dtypes else spec.dtypes[0]
            assert takes_out(lib, Case(spec, spec.calls[0], dtype)) == ("o" in spec.forms)


def takes_out(lib, case: Case) -> bool:
    args, kwargs = tensors(lib, case.draw())
    found = results(case.spec.function(lib)(*args, **kwargs), lib)
    outs = [lib.empty_like(r) for r in found]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case.spec.function(lib)(*args, **kwargs, out=outs[0] if len(outs) == 1 else tuple(outs))
    except TypeError:
        return False
    return True


def test_where_as_method():
    x, y, m = pydl.arange(3.0), pydl.zeros(3), pydl.tensor([True, False, True])
    assert x.where(m, y).tolist() == pydl.where(m, x, y).tolist() == [0.0, 0.0, 2.0]


# ---- out= that does not fit ------------------------------------------------------------------------------------------

FITTING = {"add": lambda out: pydl.add(pydl.ones(3), 1.5, out=out), "exp": lambda out: pydl.exp(pydl.ones(3), out=out),
    "sum": lambda out: pydl.sum(pydl.ones(3, 3), 0, out=out), "mm": lambda out: pydl.mm(pydl.ones(1, 2),
    pydl.ones(2, 3), out=out), "cat": lambda out: pydl.cat([pydl.ones(1), pydl.ones(2)], out=out)}


@pytest.mark.parametrize("name", [name for name in FITTING if name != "sum"])  # sum computes in the dtype of out
def test_out_of_wrong_dtype_is_left_alone(name: str):
    out = pydl.zeros(3, dtype=pydl.int32)
    with pytest.raises(TypeError if name == "cat" else RuntimeError):
        FITTING[name](out)
    assert out.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", FITTING)
def test_out_of_wrong_shape_is_resized(name: str):
    out = pydl.zeros(2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = FITTING[name](out)
    assert got is out and to_numpy(out).size == 3


def test_out_refuses_overlap():
    x = pydl.ones(1).expand(3)
    with pytest.raises(RuntimeError):
        pydl.add(pydl.ones(3), 1, out=x)
    y = pydl.arange(4.0)
    with pytest.raises(RuntimeError):
        pydl.add(y[:3], 1, out=y[1:])
    assert y.tolist() == [0, 1, 2, 3]


def test_out_with_gradients_is_refused():
    x = pydl.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError):
        pydl.exp(x, out=pydl.empty(3))

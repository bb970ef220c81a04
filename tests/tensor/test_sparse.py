"""Row-sparse tensors: PyTorch's sparse_coo layout with one sparse dimension, the form of an embedding's gradient."""
from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from twins import assert_same

import pydl

torch = pytest.importorskip("torch")

INDICES = [[3, 0, 3, 1]]
VALUES = np.arange(8, dtype=np.float32).reshape(4, 2) + 0.5


def make(lib, **options):
    return lib.sparse_coo_tensor(lib.tensor(INDICES), lib.from_numpy(VALUES.copy()), (5, 2), **options)


def both():
    return make(pydl), make(torch)


def assert_same_rows(ours, theirs):
    assert ours.is_sparse and theirs.is_sparse and tuple(ours.shape) == tuple(theirs.shape)
    assert_same(ours.to_dense(), theirs.to_dense())
    a, b = ours.coalesce(), theirs.coalesce()
    assert a.is_coalesced() and b.is_coalesced()
    assert_same(a.indices(), b.indices())
    assert_same(a.values(), b.values())


def test_what_it_says_of_itself():
    ours, theirs = both()
    assert_same_rows(ours, theirs)
    for question in ("_nnz", "sparse_dim", "dense_dim", "is_coalesced", "dim", "numel", "element_size"):
        assert getattr(ours, question)() == getattr(theirs, question)(), question
    assert (ours.is_sparse, len(ours), ours.ndim, ours.requires_grad) == (True, 5, 2, False)
    assert ours.layout is pydl.sparse_coo and repr(ours.layout) == "pydl.sparse_coo"
    assert pydl.zeros(2).layout is pydl.strided and not pydl.zeros(2).is_sparse
    assert ours.dtype == pydl.float32 and ours.double().dtype == pydl.float64
    assert_same(ours._indices(), theirs._indices())
    assert_same(ours._values(), theirs._values())
    assert ours.coalesce().coalesce()._nnz() == 3
    assert pydl.zeros(2).sparse_dim() == 0 and pydl.zeros(2).dense_dim() == 1
    assert pydl.ones(2).to_dense().tolist() == [1, 1]


def test_printing():
    for change in (lambda x: x, lambda x: x.coalesce(), lambda x: x.double()):
        ours, theirs = map(change, both())
        assert repr(ours) == repr(theirs).replace("torch.", "pydl.")
    empty = [lib.sparse_coo_tensor(lib.zeros(1, 0, dtype=lib.int64), lib.zeros(0, 3), (4, 3)) for lib in (pydl, torch)]
    assert repr(empty[0]) == repr(empty[1]).replace("torch.", "pydl.")


@pytest.mark.parametrize("f", [
    lambda lib, x: x + x, lambda lib, x: x - x.coalesce(), lambda lib, x: x.coalesce() + x.coalesce(),
    lambda lib, x: x.add(x, alpha=0.5), lambda lib, x: x * 2, lambda lib, x: 0.5 * x, lambda lib, x: x / 4,
    lambda lib, x: -x, lambda lib, x: x.abs(), lambda lib, x: x.sqrt(), lambda lib, x: x.pow(2),
    lambda lib, x: x.clone(), lambda lib, x: x.detach(), lambda lib, x: x.data, lambda lib, x: x.double(),
    lambda lib, x: x * lib.tensor(3.0),
])
def test_arithmetic(f):
    ours, theirs = both()
    assert_same_rows(f(pydl, ours), f(torch, theirs))
    assert_same(ours._values(), theirs._values())


@pytest.mark.parametrize("f", [
    lambda x: x.add_(x), lambda x: x.sub_(x, alpha=2), lambda x: x.mul_(3), lambda x: x.div_(2), lambda x: x.neg_(),
    lambda x: x.zero_(),
])
def test_in_place(f):
    ours, theirs = both()
    f(ours)
    f(theirs)
    assert_same_rows(ours, theirs)


def test_beside_dense_ones():
    ours, theirs = both()
    a, b = pydl.ones(5, 2), torch.ones(5, 2)
    assert_same(a + ours, b + theirs)
    assert_same(a - ours, b - theirs)
    assert_same(a.add_(ours, alpha=-0.5), b.add_(theirs, alpha=-0.5))
    assert_same((ours + a), b + theirs)
    weight = pydl.nn.Parameter(pydl.ones(5, 2))
    weight.data.add_(ours, alpha=-1)
    assert_same(weight.detach(), torch.ones(5, 2) - theirs)


def test_sums_and_norms_of_all_elements():
    ours, theirs = both()
    assert_same(ours.sum(), theirs.sum())
    assert_same(ours.sum(dtype=pydl.float64), theirs.sum(dtype=torch.float64))
    for p in (2, 1, 0, 3, float("inf"), "fro"):
        assert_same(ours.norm(p), theirs.norm(p))
    assert_same(pydl.linalg.vector_norm(ours), theirs.norm())


def test_a_dense_tensor_takes_the_wider_dtype():
    ours, theirs = make(pydl, dtype=pydl.float64), make(torch, dtype=torch.float64)
    assert_same(pydl.ones(5, 2) + ours, torch.ones(5, 2) + theirs)


def test_memory_that_is_not_there():
    for call in (lambda x: x.numpy(), np.asarray):
        with pytest.raises(TypeError, match="numpy: expected a dense tensor, got a row-sparse"):
            call(make(pydl))
    with pytest.raises(BufferError, match="expected dense memory, got a row-sparse tensor"):
        memoryview(make(pydl))


YES = pydl.ones(5, 2, dtype=pydl.bool)
REFUSED = [
    ("exp", lambda x: x.exp()), ("lt", lambda x: x < 1), ("sum", lambda x: x.sum(0)), ("isnan", lambda x: x.isnan()),
    ("mm", lambda x: pydl.mm(x, pydl.ones(2, 2))), ("matmul", lambda x: x @ pydl.ones(2, 2)),
    ("cat", lambda x: pydl.cat([x, x])), ("view", lambda x: x.view(-1)), ("reshape", lambda x: x.reshape(2, 5)),
    ("t", lambda x: x.t()), ("select", lambda x: x.select(0, 1)), ("softmax", lambda x: x.softmax(0)),
    ("sort", lambda x: x.sort()), ("index_select", lambda x: x.index_select(0, pydl.tensor([1]))),
    ("add", lambda x: x + 1), ("mul", lambda x: x * pydl.ones(5, 2)), ("mul", lambda x: x * x),
    ("div", lambda x: 1 / x), ("remainder", lambda x: x % 2), ("fill_", lambda x: x.fill_(1)),
    ("add_", lambda x: x.add_(pydl.ones(5, 2))),
    ("copy_", lambda x: pydl.ones(5, 2).copy_(x)), ("copy_", lambda x: x.copy_(pydl.ones(5, 2))),
    ("gather", lambda x: x.gather(0, pydl.tensor([[0, 0]]))), ("where", lambda x: pydl.where(YES, x, 0.0)),
    ("linear", lambda x: pydl.nn.functional.linear(x, pydl.ones(3, 2))), ("normal_", lambda x: x.normal_()),
    ("layer_norm", lambda x: pydl.nn.functional.layer_norm(x, (2,))), ("masked_fill", lambda x: x.masked_fill(YES, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "call"), REFUSED, ids=[name for name, _ in REFUSED])
def test_other_operators_refuse_by_name(name, call):
    x = make(pydl)
    with pytest.raises(NotImplementedError, match="expected dense tensors, got a row-sparse") as caught:
        call(x)
    assert str(caught.value).startswith(f"{name}: ")
    assert_same_rows(x, make(torch))


@pytest.mark.parametrize("call", [
    lambda x: x.numpy(), lambda x: x.tolist(), lambda x: x.item(), lambda x: x.data_ptr(), lambda x: np.asarray(x),
    lambda x: memoryview(x), lambda x: x.__dlpack__(), lambda x: x[1], lambda x: x[1:], lambda x: x[pydl.tensor([1])],
    lambda x: list(x), lambda x: bool(x), lambda x: copy.copy(x).exp(), lambda x: x.detach().exp(),
    lambda x: pydl.nn.Parameter(x).exp(), lambda x: pydl.equal(x, x.clone()), lambda x: x.__reduce_ex__(2),
    lambda x: x.__setitem__(0, 1.0),
])
def test_nothing_reads_memory_that_is_not_there(call):
    with pytest.raises((NotImplementedError, RuntimeError, TypeError, ValueError, BufferError)):
        call(make(pydl))


def test_copies_are_apart():
    x = make(pydl)
    y, z = copy.deepcopy(x), x.clone()
    x.mul_(2)
    assert_same_rows(y, make(torch))
    assert_same_rows(z, make(torch))
    x._values().zero_()
    assert not x.to_dense().any()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles(protocol):
    x = make(pydl)
    x.place = "here"
    y, z, empty = pickle.loads(pickle.dumps((x, x.coalesce(), x * 0), protocol))
    assert y.place == "here" and not y.is_coalesced() and z.is_coalesced()
    assert_same_rows(y, make(torch))
    assert_same_rows(z, make(torch))
    assert empty.is_sparse and not empty.to_dense().any()


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: pydl.sparse_coo_tensor([[0, 5]], pydl.zeros(2, 3), (4, 3)), IndexError, r"indices in \[0, 3\].*got 5"),
    (lambda: pydl.sparse_coo_tensor([[0, 1]], pydl.zeros(3, 3), (4, 3)), RuntimeError, "one row of values an index"),
    (lambda: pydl.sparse_coo_tensor([[0], [1]], pydl.zeros(1), (4, 3)), NotImplementedError, "one sparse dimension"),
    (lambda: pydl.sparse_coo_tensor([[0]], pydl.zeros(1, 2), (4, 3)), RuntimeError, "expected a size"),
    (lambda: pydl.sparse_coo_tensor([[0]], pydl.zeros(1, 2).long(), (4, 2)), TypeError, "floating point values"),
    (lambda: pydl.sparse_coo_tensor([[1, 0]], pydl.zeros(2, 2), (4, 2), is_coalesced=True), ValueError, "ascending"),
    (lambda: pydl.sparse_coo_tensor([[1]], pydl.zeros(1, 2), requires_grad=True), NotImplementedError, "requires_grad"),
    (lambda: make(pydl).indices(), RuntimeError, "call coalesce"),
    (lambda: make(pydl).values(), RuntimeError, "call coalesce"),
    (lambda: pydl.zeros(2).is_coalesced(), RuntimeError, "is_coalesced: expected a row-sparse tensor"),
    (lambda: pydl.zeros(2).coalesce(), RuntimeError, "coalesce: expected a row-sparse tensor"),
    (lambda: pydl.zeros(2)._indices(), RuntimeError, "_indices: expected a row-sparse tensor"),
    (lambda: make(pydl) + pydl.sparse_coo_tensor([[0]], pydl.zeros(1, 2), (4, 2)), RuntimeError, "of one shape"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_sizes_by_default():
    assert tuple(pydl.sparse_coo_tensor([[0, 4]], [[1.0], [2.0]]).shape) == (5, 1)
    x = pydl.sparse_coo_tensor([[1, 2]], [1.0, 2.0], (4,))
    assert x.to_dense().tolist() == [0, 1, 2, 0]

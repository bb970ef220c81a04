"""Embedding and EmbeddingBag against PyTorch: gradients dense and sparse, padding, norms, errors."""
from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest
from support import same_bits
from twins import assert_same, pair

import pydl
from pydl import nn
from pydl.nn import functional as F

torch = pytest.importorskip("torch")

ROWS, WIDTH = 9, 5


def table(dtype=np.float32, rows: int = ROWS):
    return pair(torch, np.random.default_rng(0).standard_normal((rows, WIDTH)).astype(dtype), requires_grad=True)


def indices(*shape: int, rows: int = ROWS):
    return pair(torch, np.random.default_rng(1).integers(0, rows, shape))


def backward(result, seed: int = 2) -> None:
    """A gradient that differs in every element."""
    g = np.random.default_rng(seed).standard_normal(tuple(result.shape))
    lib = pydl if isinstance(result, pydl.Tensor) else torch
    result.backward(lib.from_numpy(g).to(result.dtype))


def dense(grad):
    return grad.to_dense() if grad.is_sparse else grad


OPTIONS = [{}, {"padding_idx": 2}, {"padding_idx": -1}, {"sparse": True}, {"sparse": True, "padding_idx": 3},
    {"scale_grad_by_freq": True}, {"scale_grad_by_freq": True, "padding_idx": 1}]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_embedding(options, dtype):
    weights, inputs = table(dtype), indices(4, 6)
    for weight, given in zip(weights, inputs, strict=True):
        lib = pydl if isinstance(weight, pydl.Tensor) else torch
        backward(lib.nn.functional.embedding(given, weight, **options))
    ours, theirs = (w.grad for w in weights)
    assert ours.is_sparse == theirs.is_sparse
    if ours.is_sparse:
        assert_same(ours._indices(), theirs._indices())
        assert_same(ours._values(), theirs._values())
    assert_same(dense(ours), dense(theirs), 1e-6 if dtype == np.float32 else 1e-14)


BAGS = [{"mode": "sum"}, {"mode": "mean"}, {"mode": "max"}, {"mode": "mean", "padding_idx": 4},
    {"mode": "max", "padding_idx": 4}, {"mode": "sum", "sparse": True},
    {"mode": "mean", "sparse": True, "padding_idx": 0},
    {"mode": "mean", "include_last_offset": True}]


@pytest.mark.parametrize(
    ("options", "weighted"),
    [(options, weighted) for options in BAGS for weighted in (False, True) if options["mode"] == "sum" or not weighted],
    ids=str,
)
def test_embedding_bag(options, weighted):
    weights, inputs = table(), indices(12)
    offsets = pair(torch, np.array([0, 3, 3, 8, 12] if "include_last_offset" in options else [0, 3, 3, 8]))
    factors = pair(torch, np.random.default_rng(3).standard_normal(12).astype(np.float32), requires_grad=True)
    results = []
    for i, lib in enumerate((pydl, torch)):
        results.append(lib.nn.functional.embedding_bag(inputs[i], weights[i], offsets[i],
            per_sample_weights=factors[i] if weighted else None, **options))
        backward(results[i])
    assert_same(results[0], results[1])
    ours, theirs = (w.grad for w in weights)
    assert ours.is_sparse == theirs.is_sparse
    assert_same(dense(ours), dense(theirs))
    if weighted:
        assert_same(factors[0].grad, factors[1].grad, 1e-5, 1e-6)


def test_frequencies_in_bags():
    """As in `embedding`: of bags, PyTorch divides by the frequencies of other rows."""
    weight, (given, _), offsets = table()[0], indices(12), pydl.tensor([0, 3, 3, 8])
    factors = pydl.randn(12)
    grads = []
    for bags in (True, False):
        weight.grad = None
        if bags:
            y = F.embedding_bag(given, weight, offsets, scale_grad_by_freq=True, mode="sum", per_sample_weights=factors)
        else:
            rows = F.embedding(given, weight, scale_grad_by_freq=True) * factors[:, None]
            y = pydl.stack([rows[a:b].sum(0) for a, b in ((0, 3), (3, 3), (3, 8), (8, 12))])
        backward(y)
        grads.append(weight.grad)
    np.testing.assert_allclose(grads[0].numpy(), grads[1].numpy(), rtol=1e-5, atol=1e-6)


def test_bags_of_a_matrix():
    weights, inputs = table(), indices(3, 4)
    for mode in ("sum", "mean", "max"):
        assert_same(*(lib.nn.functional.embedding_bag(i, w, mode=mode)
            for lib, i, w in zip((pydl, torch), inputs, weights, strict=True)))


@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
def test_max_norm_scales_the_rows_that_are_looked_up(norm_type):
    weights, inputs = table(), pair(torch, np.array([1, 4, 1, 7]))
    results = [lib.nn.functional.embedding(i, w, max_norm=1.0, norm_type=norm_type)
        for lib, i, w in zip((pydl, torch), inputs, weights, strict=True)]
    assert_same(results[0], results[1], 1e-5)
    assert_same(weights[0], weights[1], 1e-5)
    backward(results[0])  # the table was written before it was read, not after


@pytest.mark.parametrize("options", [
    {"offsets": [1, 2]}, {"offsets": [0, 9]}, {"offsets": [0, 2, 1]}, {"offsets": [0.0]}, {"input": [0, 5]},
    {"input": [0, -1]}, {"mode": "product"}, {"mode": "max", "sparse": True},
    {"mode": "mean", "per_sample_weights": [1.0, 1.0]}, {"sparse": True, "scale_grad_by_freq": True},
], ids=str)  # fmt: skip
def test_max_norm_leaves_the_table_where_the_call_raises(options):
    weight = pydl.full((5, 2), 10.0, requires_grad=True)
    options = {"input": [1, 2], "offsets": [0], "mode": "sum", **options}
    options = {key: pydl.tensor(value) if isinstance(value, list) else value for key, value in options.items()}
    with pytest.raises(Exception, match="embedding_bag: expected"):
        F.embedding_bag(weight=weight, max_norm=1.0, **options)
    if "scale_grad_by_freq" in options or -1 in options["input"].tolist():
        del options["offsets"], options["mode"]
        with pytest.raises(Exception, match="embedding: expected"):
            F.embedding(weight=weight, max_norm=1.0, **options)
    assert (weight == 10).all()


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("offsets", [[0, 2, 3], [0, 0, 1], [0, 0], [0]], ids=str)
def test_entries_behind_the_last_offset_are_in_no_bag(mode, offsets):
    """PyTorch takes them into its means, maxima and gradients, or reads memory that nobody wrote."""
    given, factors, ends = pydl.tensor([1, 4, 4, 2]), pydl.randn(4), pydl.tensor(offsets)
    found = []
    for end in (4, offsets[-1]):
        weight = table()[0]
        more = {"per_sample_weights": factors[:end]} if mode == "sum" else {}
        bags = F.embedding_bag(given[:end], weight, ends, mode=mode, include_last_offset=True, **more)
        bags.sum().backward()
        found.append((bags, weight.grad))
    assert all(same_bits(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("sparse", [False, True])
def test_the_padding_row_stays(sparse):
    layer = nn.Embedding(5, 3, padding_idx=2, sparse=sparse)
    assert not layer.weight[2].any()
    layer(pydl.tensor([2, 1, 2])).sum().backward()
    assert not dense(layer.weight.grad)[2].any()


def test_second_derivatives():
    def product(w, sparse):
        return (F.embedding(pydl.tensor([1, 1, 0]), w, padding_idx=0, sparse=sparse) ** 3).sum()

    for sparse in (False, True):
        w = pydl.arange(6, dtype=pydl.float64).reshape(2, 3).requires_grad_()
        (g,) = pydl.autograd.grad(product(w, sparse), w, create_graph=True)
        g.sum().backward()
        np.testing.assert_allclose(dense(w.grad).tolist(), [[0] * 3, [6 * 2 * x for x in (3, 4, 5)]])


def test_dense_gradients_do_not_depend_on_the_threads(threads):
    weight = pydl.randn(2000, 64).requires_grad_()
    given, g = pydl.randint(0, 2000, (64, 50)), pydl.randn(64, 50, 64)
    found = []
    for n in (1, 2, 3, 8):
        threads(n)
        for sparse in (False, True):
            weight.grad = None
            F.embedding(given, weight, sparse=sparse).backward(g)
            found.append(dense(weight.grad.coalesce()) if sparse else weight.grad)
    assert all(same_bits(found[0], x) for x in found[2::2])
    assert all(same_bits(found[1], x) for x in found[3::2])


def test_half_precision():
    weight = pydl.randn(6, 3).bfloat16().requires_grad_()
    for sparse in (False, True):
        weight.grad = None
        F.embedding(pydl.tensor([1, 1, 1, 4]), weight, sparse=sparse).sum().backward()
        assert weight.grad.dtype == pydl.bfloat16 and dense(weight.grad)[:, 0].tolist() == [0, 3, 0, 0, 1, 0]


# ---- layers ----------------------------------------------------------------------------------------------------------

LAYERS = [("Embedding", (7, 3), {}), ("Embedding", (7, 3), {"padding_idx": -1, "max_norm": 1.5, "sparse": True}),
    ("EmbeddingBag", (7, 3), {}), ("EmbeddingBag", (7, 3), {"mode": "max", "padding_idx": 2}),
    ("EmbeddingBag", (7, 3), {"mode": "sum", "max_norm": 0.5, "norm_type": 1.0, "sparse": True})]


@pytest.mark.parametrize(("name", "args", "options"), LAYERS, ids=str)
def test_layers(name, args, options):
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({key: pydl.from_numpy(value.numpy().copy()) for key, value in theirs.state_dict().items()})
    a, b = indices(4, 2, rows=7)
    assert_same(ours(a), theirs(b), 1e-5)


@pytest.mark.parametrize("name", ["Embedding", "EmbeddingBag"])
def test_from_pretrained_has_pytorchs_signature(name):
    ours, theirs = (inspect.signature(getattr(lib.nn, name).from_pretrained) for lib in (pydl, torch))
    assert [(p.name, p.default) for p in ours.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()]


def test_from_pretrained():
    values = pydl.arange(6.0).reshape(3, 2)
    frozen = nn.Embedding.from_pretrained(values, padding_idx=0)
    assert not frozen.weight.requires_grad and frozen.padding_idx == 0
    assert frozen.weight.tolist() == values.tolist()
    assert nn.Embedding.from_pretrained(values, freeze=False).weight.requires_grad
    bag = nn.EmbeddingBag.from_pretrained(values, freeze=False, mode="sum")
    assert bag.weight.requires_grad and bag(pydl.tensor([[0, 2]])).tolist() == [[4.0, 6.0]]
    assert not nn.EmbeddingBag.from_pretrained(values).weight.requires_grad


WEIGHT = pydl.zeros(4, 3)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: F.embedding(pydl.tensor([1, 7]), WEIGHT), IndexError, r"embedding: .* \[0, 3\].*size 4, got 7"),
    (lambda: F.embedding(pydl.tensor([-1]), WEIGHT), IndexError, "got -1"),
    (lambda: F.embedding(pydl.tensor([4]), WEIGHT, max_norm=1.0), IndexError, "got 4"),
    (lambda: F.embedding(pydl.tensor([1.0]), WEIGHT), RuntimeError, "expected int64 or int32 indices"),
    (lambda: F.embedding(pydl.tensor([1]), WEIGHT[0]), RuntimeError, "expected a table"),
    (lambda: F.embedding(pydl.tensor([1]), WEIGHT, padding_idx=4), ValueError, "padding_idx in"),
    (lambda: F.embedding(pydl.tensor([1]), WEIGHT, sparse=True, scale_grad_by_freq=True), RuntimeError, "by_freq"),
    (lambda: F.embedding_bag(pydl.tensor([1, 5]), WEIGHT, pydl.tensor([0])), IndexError, "got 5"),
    (lambda: F.embedding_bag(pydl.tensor([1, 2]), WEIGHT), ValueError, "tensor of offsets"),
    (lambda: F.embedding_bag(pydl.tensor([[1, 2]]), WEIGHT, pydl.tensor([0])), ValueError, "no offsets"),
    (lambda: F.embedding_bag(pydl.tensor([1, 2]), WEIGHT, pydl.tensor([1])), RuntimeError, "begin with 0, got 1"),
    (lambda: F.embedding_bag(pydl.tensor([1, 2]), WEIGHT, pydl.tensor([0, 3])), RuntimeError, "got 3"),
    (lambda: F.embedding_bag(pydl.tensor([1, 2]), WEIGHT, pydl.tensor([0, 2, 1])), RuntimeError, "ascending"),
    (lambda: F.embedding_bag(pydl.tensor([1, 2]), WEIGHT, pydl.tensor([0, 3]), include_last_offset=True), RuntimeError,
     "got 3"),
    (lambda: F.embedding_bag(pydl.tensor([1, 2]), WEIGHT, WEIGHT[0, :0].long(), include_last_offset=True), RuntimeError,
     "at least one offset"),
    (lambda: F.embedding_bag(pydl.tensor([1]), WEIGHT, pydl.tensor([0]), mode="product"), ValueError, "got 'product'"),
    (lambda: F.embedding_bag(pydl.tensor([1]), WEIGHT, pydl.tensor([0]), mode="max", sparse=True), ValueError, "'max'"),
    (lambda: F.embedding_bag(pydl.tensor([1]), WEIGHT, pydl.tensor([0]), per_sample_weights=pydl.ones(1)),
     NotImplementedError, "mode 'sum'"),
    (lambda: F.embedding_bag(pydl.tensor([1]), WEIGHT, pydl.tensor([0]), mode="sum", per_sample_weights=pydl.ones(2)),
     RuntimeError, "per_sample_weights of shape"),
    (lambda: nn.Embedding(4, 3, padding_idx=4), ValueError, "within num_embeddings"),
    (lambda: nn.Embedding(4, 3, padding_idx="a"), TypeError, "expected padding_idx to be an int, got str"),
    (lambda: nn.Embedding(4, 3, _weight=pydl.zeros(3, 3)), RuntimeError, r"expected weight \(4, 3\)"),
    (lambda: nn.EmbeddingBag(4, 3, mode="product"), ValueError, "got 'product'"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_layers_pickle():
    layer = nn.Embedding(4, 3, padding_idx=1, sparse=True)
    copy = pickle.loads(pickle.dumps(layer))
    assert repr(copy) == repr(layer) and pydl.equal(copy.weight, layer.weight)


def test_rows_are_those_of_the_call_whatever_happens_to_the_indices():
    for sparse in (False, True):
        table, at = pydl.ones(4, 2, requires_grad=True), pydl.tensor([0, 1])
        y = F.embedding(at, table, sparse=sparse)
        at.fill_(1 << 30)
        y.sum().backward()
        at.fill_(-5)
        assert table.grad.to_dense().tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]]
    table, at = pydl.ones(4, 2, requires_grad=True), pydl.tensor([0, 1])
    y = F.embedding_bag(at, table, pydl.tensor([0]), mode="sum")
    at.fill_(1 << 30)
    y.sum().backward()
    assert table.grad.tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]]

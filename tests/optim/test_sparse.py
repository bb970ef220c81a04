"""Row-sparse gradients through training: accumulation, hooks, clipping, and the optimizers that take them."""
from __future__ import annotations

import numpy as np
import pytest
from support import same_bits
from twins import assert_same, pair

import pydl

torch = pytest.importorskip("torch")

ROWS, WIDTH = 12, 3
BATCHES = [np.random.default_rng(i).integers(0, ROWS - 3, (2, 4)) for i in range(7)]


def weights(dtype=np.float32):
    values = np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(dtype)
    return [lib.nn.Parameter(x) for lib, x in zip((pydl, torch), pair(torch, values), strict=True)]


def look_up(lib, weight, batch, **options):
    index = lib.from_numpy(np.array(batch))
    return lib.nn.functional.embedding(index, weight, **{"sparse": True, **options})


def loss(lib, weight, batch, **options):
    return (look_up(lib, weight, batch, **options) ** 2).sum()


OPTIMIZERS = [
    ("SGD", {"lr": 0.1}), ("SGD", {"lr": 0.1, "maximize": True}), ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "dampening": 0.3}), ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.7, "maximize": True}), ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.5}), ("SparseAdam", {}),
    ("SparseAdam", {"lr": 0.1, "betas": (0.7, 0.9), "eps": 1e-3}), ("SparseAdam", {"lr": 0.1, "maximize": True}),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("padding", [None, 2])
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=str)
def test_steps(name, options, padding, dtype):
    found = []
    for lib, weight in zip((pydl, torch), weights(dtype), strict=True):
        optimizer = getattr(lib.optim, name)([weight], **options)
        for batch in BATCHES:
            optimizer.zero_grad()
            loss(lib, weight, batch, padding_idx=padding).backward()
            optimizer.step()
        found.append((weight, optimizer.state[weight]))
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    assert_same(found[0][0], found[1][0], rtol)
    for key, value in found[1][1].items():
        if isinstance(value, torch.Tensor) and value.dim():
            ours = found[0][1][key]
            assert_same(ours.to_dense() if ours.is_sparse else ours, value.to_dense(), rtol)


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "SparseAdam"])
def test_only_touched_rows_move(name):
    weight = weights()[0]
    before = weight.detach().clone()
    optimizer = getattr(pydl.optim, name)([weight], lr=0.1)
    loss(pydl, weight, [[1, 5], [5, 5]]).backward()
    optimizer.step()
    assert (weight.detach() != before).any(1).nonzero().reshape(-1).tolist() == [1, 5]


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}])
def test_dense_and_sparse_in_one_group(options):
    found = []
    for lib, weight in zip((pydl, torch), weights(), strict=True):
        scale = lib.nn.Parameter(lib.full((WIDTH,), 0.5))
        optimizer = lib.optim.SGD([weight, scale], lr=0.1, **options)
        for batch in BATCHES:
            optimizer.zero_grad()
            ((look_up(lib, weight, batch) * scale) ** 2).sum().backward()
            optimizer.step()
        found.append((weight, scale))
    assert_same(*found, 1e-5, 1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "SparseAdam"])
def test_resuming(name):
    options = {"lr": 0.1, **({"momentum": 0.9} if name == "SGD" else {})}

    def steps(weight, optimizer, batches):
        for batch in batches:
            optimizer.zero_grad()
            loss(pydl, weight, batch).backward()
            optimizer.step()

    whole = weights()[0]
    steps(whole, getattr(pydl.optim, name)([whole], **options), BATCHES)
    first = weights()[0]
    optimizer = getattr(pydl.optim, name)([first], **options)
    steps(first, optimizer, BATCHES[:3])
    again = getattr(pydl.optim, name)([first], **options)
    again.load_state_dict(optimizer.state_dict())
    steps(first, again, BATCHES[3:])
    assert same_bits(first, whole)


def test_bits_do_not_depend_on_the_threads(threads):
    found = []
    for n in (1, 2, 3, 8):
        threads(n)
        pydl.manual_seed(1)
        weight = pydl.nn.Parameter(pydl.randn(3000, 64))
        optimizer = pydl.optim.SparseAdam([weight])
        for _ in range(3):
            weight.grad = None
            loss(pydl, weight, pydl.randint(0, 3000, (64, 50)).numpy()).backward()
            optimizer.step()
        found.append(weight.detach())
    assert all(same_bits(found[0], x) for x in found)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "Adamax", "NAdam", "RAdam", "Adadelta"])
def test_other_optimizers_refuse(name):
    texts = (f"{name}: expected dense gradients, got sparse", "does not support sparse gradients")
    for lib, weight, text in zip((pydl, torch), weights(), texts, strict=True):
        optimizer = getattr(lib.optim, name)([weight])
        loss(lib, weight, BATCHES[0]).backward()
        with pytest.raises(RuntimeError, match=text):
            optimizer.step()
    weight = weights()[0]  # dense first: the plan holds, the core refuses
    optimizer = getattr(pydl.optim, name)([weight])
    weight.grad = pydl.ones(ROWS, WIDTH)
    optimizer.step()
    before = weight.detach().clone()
    weight.grad = pydl.sparse_coo_tensor([[1]], pydl.ones(1, WIDTH), (ROWS, WIDTH))
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        optimizer.step()
    assert same_bits(weight.detach(), before)


def test_wrong_use():
    weight = weights()[0]
    weight.grad = pydl.ones(ROWS, WIDTH)
    with pytest.raises(RuntimeError, match="SparseAdam: expected sparse gradients, got dense"):
        pydl.optim.SparseAdam([weight]).step()
    for name in ("SGD", "Adagrad"):
        optimizer = getattr(pydl.optim, name)([weight], lr=0.1, weight_decay=0.1)
        weight.grad = pydl.sparse_coo_tensor([[1]], pydl.ones(1, WIDTH), (ROWS, WIDTH))
        with pytest.raises(RuntimeError, match="weight_decay"):
            optimizer.step()
    for options in ({"lr": 0.0}, {"eps": 0.0}, {"betas": (1.0, 0.9)}):
        with pytest.raises(ValueError, match="SparseAdam: expected .*, got"):
            pydl.optim.SparseAdam([weight], **options)


# ---- gradients before a step -----------------------------------------------------------------------------------------


def test_accumulation():
    """Sparse and sparse, sparse and dense, in either order, in one backward pass and in two."""
    for order in ([True, True], [True, False], [False, True], [True, False, True]):
        for together in (False, True):
            grads = []
            for lib, weight in zip((pydl, torch), weights(), strict=True):
                losses = [loss(lib, weight, BATCHES[i], sparse=sparse) for i, sparse in enumerate(order)]
                for x in [sum(losses)] if together else losses:
                    x.backward()
                grads.append(weight.grad)
            assert grads[0].is_sparse == grads[1].is_sparse, (order, together)
            assert_same(grads[0].to_dense(), grads[1].to_dense(), 1e-5)


def test_zero_grad_both_ways():
    weight = weights()[0]
    optimizer = pydl.optim.SGD([weight], lr=0.1)
    loss(pydl, weight, BATCHES[0]).backward()
    optimizer.zero_grad(set_to_none=False)
    assert weight.grad.is_sparse and weight.grad._nnz() == 0 and not weight.grad.to_dense().any()
    loss(pydl, weight, BATCHES[1]).backward()
    assert weight.grad._nnz() == 8
    optimizer.zero_grad()
    assert weight.grad is None


@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
def test_clipping(norm_type):
    sparse, plain = weights()[0], weights()[0]
    for weight, flag in ((sparse, True), (plain, False)):
        (look_up(pydl, weight, BATCHES[0], sparse=flag) * 3).sum().backward()
    values = sparse.grad._values().clone()
    norms = [pydl.nn.utils.clip_grad_norm_([w], 1.5, norm_type) for w in (sparse, plain)]
    assert_same(norms[0], torch.from_numpy(norms[1].numpy()))
    assert_same(sparse.grad.to_dense(), torch.from_numpy(plain.grad.numpy()))
    assert sparse.grad.is_sparse and values.shape == sparse.grad._values().shape


def test_clipping_leaves_the_gradient_of_the_output():
    weight = weights()[0]
    rows = look_up(pydl, weight, BATCHES[0])
    rows.retain_grad()
    (rows * 2).sum().backward()
    pydl.nn.utils.clip_grad_norm_([weight], 0.1)
    assert (rows.grad == 2).all()


def test_hooks():
    seen = []
    weight = weights()[0]
    weight.register_hook(lambda g: seen.append(g.is_sparse) or g * 2)
    weight.register_post_accumulate_grad_hook(lambda w: seen.append(w.grad._nnz()))
    look_up(pydl, weight, BATCHES[0]).sum().backward()
    assert seen == [True, 8] and weight.grad._values().unique().tolist() == [2.0]


def test_the_engine():
    weight = weights()[0]
    (g,) = pydl.autograd.grad(loss(pydl, weight, BATCHES[0]), weight)
    assert g.is_sparse and weight.grad is None
    loss(pydl, weight, BATCHES[0]).backward(inputs=[weight])
    loss(pydl, weight, BATCHES[0]).backward(inputs=[weight])
    assert_same(weight.grad.to_dense(), torch.from_numpy(2 * g.to_dense().numpy()), 1e-5)
    with pydl.autograd.detect_anomaly(check_nan=True):
        loss(pydl, weight, BATCHES[0]).backward()
    weight.grad = None
    x = loss(pydl, weight, BATCHES[1])
    x.backward(retain_graph=True)
    x.backward()
    assert weight.grad._nnz() == 16


def test_lbfgs_takes_them():
    weight = weights()[0]
    optimizer = pydl.optim.LBFGS([weight], max_iter=3)

    def closure():
        optimizer.zero_grad()
        x = loss(pydl, weight, BATCHES[0])
        x.backward()
        return x

    before = closure().item()
    optimizer.step(closure)
    assert closure().item() < before


def test_a_set_gradient():
    weight = weights()[0]
    weight.grad = pydl.sparse_coo_tensor([[1, 1]], pydl.ones(2, WIDTH), (ROWS, WIDTH))
    assert weight.grad.is_sparse
    with pytest.raises(RuntimeError, match="shape"):
        weight.grad = pydl.sparse_coo_tensor([[1, 1]], pydl.ones(2, WIDTH), (ROWS + 1, WIDTH))

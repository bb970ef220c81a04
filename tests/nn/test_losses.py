"""Losses against PyTorch: values and gradients of every argument, every reduction, edge cases."""
from __future__ import annotations

import numpy as np
import pytest
from twins import assert_same, numpy, pair

import pydl
from pydl import nn

torch = pytest.importorskip("torch")

rng = np.random.default_rng(11)


def normal(*shape):
    return rng.normal(0, 1.5, shape).astype(np.float32)


def unit(*shape):
    return rng.uniform(0.02, 0.98, shape).astype(np.float32)


def signs(*shape):
    return rng.choice([-1.0, 1.0], shape).astype(np.float32)


def classes(high, *shape):
    return rng.integers(0, high, shape)


def distribution(*shape):
    values = rng.uniform(0.1, 1, shape)
    return (values / values.sum(1, keepdims=True)).astype(np.float32)


def labels():
    return np.array([[3, 0, -1, 1, 2], [1, -1, 0, 0, 0], [-1, 4, 4, 4, 4], [0, 1, 2, 3, 4]])


W5 = np.array([0.5, 2.0, 1.0, 0.0, 3.0], np.float32)
CASES = [
    # (name, arrays given to the constructor, its options, arrays given to the loss)
    ("MSELoss", {}, {}, [normal(4, 5), normal(4, 5)]),
    ("L1Loss", {}, {}, [normal(4, 5), normal(4, 5)]),
    ("SmoothL1Loss", {}, {}, [normal(4, 5), normal(4, 5)]),
    ("SmoothL1Loss", {}, {"beta": 0.3}, [normal(4, 5), normal(4, 5)]),
    ("SmoothL1Loss", {}, {"beta": 0.0}, [normal(4, 5), normal(4, 5)]),
    ("HuberLoss", {}, {}, [normal(4, 5), normal(4, 5)]),
    ("HuberLoss", {}, {"delta": 0.3}, [normal(4, 5), normal(4, 5)]),
    ("NLLLoss", {}, {}, [-unit(4, 5), classes(5, 4)]),
    ("NLLLoss", {"weight": W5}, {"ignore_index": 2}, [-unit(4, 5, 3), classes(5, 4, 3)]),
    ("CrossEntropyLoss", {}, {}, [normal(4, 5), classes(5, 4)]),
    ("CrossEntropyLoss", {}, {}, [normal(5), classes(5)]),
    ("CrossEntropyLoss", {"weight": W5}, {"label_smoothing": 0.1}, [normal(6, 5), classes(5, 6)]),
    ("CrossEntropyLoss", {}, {"ignore_index": 1}, [normal(6, 5, 2, 3), classes(5, 6, 2, 3)]),
    ("CrossEntropyLoss", {"weight": W5}, {"label_smoothing": 0.2}, [normal(6, 5), distribution(6, 5)]),
    ("BCELoss", {}, {}, [unit(4, 5), unit(4, 5)]),
    ("BCELoss", {"weight": W5}, {}, [unit(4, 5), unit(4, 5)]),
    ("BCEWithLogitsLoss", {}, {}, [normal(4, 5) * 20, unit(4, 5)]),
    ("BCEWithLogitsLoss", {"weight": W5, "pos_weight": W5 + 1}, {}, [normal(4, 5), unit(4, 5)]),
    ("KLDivLoss", {}, {}, [-unit(4, 5), np.maximum(unit(4, 5) - 0.3, 0)]),
    ("KLDivLoss", {}, {"log_target": True}, [-unit(4, 5), -unit(4, 5)]),
    ("PoissonNLLLoss", {}, {}, [normal(4, 5), unit(4, 5) * 9]),
    ("PoissonNLLLoss", {}, {"log_input": False, "full": True}, [unit(4, 5), unit(4, 5) * 9]),
    ("GaussianNLLLoss", {}, {}, [normal(4, 5), normal(4, 5), unit(4, 5)]),
    ("GaussianNLLLoss", {}, {"full": True, "eps": 0.3}, [normal(4, 5), normal(4, 5), unit(4, 1)]),
    ("GaussianNLLLoss", {}, {}, [normal(4, 5), normal(4, 5), unit(4)]),
    ("HingeEmbeddingLoss", {}, {}, [normal(4, 5), signs(4, 5)]),
    ("HingeEmbeddingLoss", {}, {"margin": 0.2}, [normal(4, 5), signs(4, 5)]),
    ("CosineEmbeddingLoss", {}, {}, [normal(4, 5), normal(4, 5), signs(4)]),
    ("CosineEmbeddingLoss", {}, {"margin": 0.3}, [normal(5), normal(5), signs()]),
    ("MarginRankingLoss", {}, {}, [normal(4), normal(4), signs(4)]),
    ("MarginRankingLoss", {}, {"margin": 1.0}, [normal(4, 3), normal(4, 3), signs(4, 1)]),
    ("SoftMarginLoss", {}, {}, [normal(4, 5), signs(4, 5)]),
    ("MultiMarginLoss", {}, {}, [normal(4, 5), classes(5, 4)]),
    ("MultiMarginLoss", {"weight": W5}, {"p": 2, "margin": 0.5}, [normal(4, 5), classes(5, 4)]),
    ("MultiMarginLoss", {}, {}, [normal(5), classes(5)]),
    ("MultiLabelMarginLoss", {}, {}, [normal(4, 5), labels()]),
    ("MultiLabelMarginLoss", {}, {}, [normal(5), labels()[0]]),
    ("MultiLabelSoftMarginLoss", {}, {}, [normal(4, 5), (unit(4, 5) > 0.5).astype(np.float32)]),
    ("MultiLabelSoftMarginLoss", {"weight": W5}, {}, [normal(4, 5), (unit(4, 5) > 0.5).astype(np.float32)]),
    ("TripletMarginLoss", {}, {}, [normal(4, 5), normal(4, 5), normal(4, 5)]),
    ("TripletMarginLoss", {}, {"margin": 3.0, "p": 1.0, "swap": True}, [normal(4, 5), normal(4, 5), normal(4, 5)]),
    ("TripletMarginWithDistanceLoss", {}, {"swap": True}, [normal(4, 5), normal(4, 5), normal(4, 5)]),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "tensors", "options", "arrays"), CASES, ids=IDS)
def test_loss(name, tensors, options, arrays, reduction):
    results = []
    for side, lib in enumerate((pydl, torch)):
        given = {key: pair(torch, value)[side] for key, value in tensors.items()}
        loss = getattr(lib.nn, name)(**given, **options, reduction=reduction)
        inputs = [pair(torch, array, requires_grad=np.asarray(array).dtype.kind == "f" and not _is_sign(array))[side]
                  for array in arrays]
        value = loss(*inputs)
        value.sum().backward()
        results.append([value, *(x.grad for x in inputs if x.requires_grad)])
    assert_same(results[0], results[1], rtol=2e-5, atol=1e-5)


def _is_sign(array):
    return bool((abs(array) == 1).all())


def test_every_loss_is_tested():
    elsewhere = {"CTCLoss", "AdaptiveLogSoftmaxWithLoss"}  # in test_ctc.py, test_adaptive.py
    assert {name for name in nn.modules.__all__ if name.endswith("Loss")} == {case[0] for case in CASES} | elsewhere


def test_numpy_formulas():
    """The definitions, written out in float64."""
    x, t = normal(7, 3).astype(np.float64), normal(7, 3).astype(np.float64)
    ours = [pydl.from_numpy(a.copy()) for a in (x, t)]
    F, d = nn.functional, abs(x - t)
    for got, want in (
        (F.mse_loss(*ours), (d**2).mean()),
        (F.l1_loss(*ours, reduction="sum"), d.sum()),
        (F.smooth_l1_loss(*ours, beta=0.5), np.where(d < 0.5, d * d, d - 0.25).mean()),
        (F.huber_loss(*ours, delta=2.0), np.where(d < 2, d * d / 2, 2 * d - 2).mean()),
        (F.cross_entropy(ours[0], pydl.tensor([0, 1, 2, 0, 1, 2, 0])),
         np.mean(np.log(np.exp(x).sum(1)) - x[range(7), [0, 1, 2, 0, 1, 2, 0]])),
        (F.soft_margin_loss(*ours), np.log1p(np.exp(-t * x)).mean()),
    ):
        np.testing.assert_allclose(got.item(), want, rtol=1e-12)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_weights_per_element(name, reduction):
    arrays = [normal(4, 5), normal(4, 5), unit(4, 5)]
    results = [getattr(lib.nn.functional, name)(*(pair(torch, a)[side] for a in arrays[:2]), reduction=reduction,
                                                weight=pair(torch, arrays[2])[side])
               for side, lib in enumerate((pydl, torch))]
    assert_same(*results, rtol=1e-5)
    with pytest.raises(ValueError, match=rf"{name}: expected weight of shape \[2\], got \[3\]"):
        getattr(nn.functional, name)(pydl.zeros(2), pydl.zeros(2), weight=pydl.zeros(3))


def test_binary_cross_entropy_at_the_ends():
    for values, targets in (([0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]),):
        results = []
        for side, lib in enumerate((pydl, torch)):
            x = pair(torch, np.array(values, np.float32), True)[side]
            loss = lib.nn.functional.binary_cross_entropy(x, pair(torch, np.array(targets, np.float32))[side],
                                                          reduction="none")
            loss.sum().backward()
            results.append([loss, x.grad])
        assert_same(*results)
    for bad in (1.5, -0.5, float("nan")):
        with pytest.raises(RuntimeError, match="between 0 and 1"):
            nn.functional.binary_cross_entropy(pydl.tensor([bad]), pydl.tensor([0.0]))


def test_second_derivatives():
    x = normal(5).astype(np.float64)

    def hessian_diagonals(lib, side):
        F = lib.nn.functional
        for function in (
            lambda x: F.smooth_l1_loss(x, lib.zeros_like(x)),
            lambda x: F.binary_cross_entropy(x.sigmoid(), lib.full_like(x, 0.3)),
            lambda x: F.binary_cross_entropy_with_logits(x, lib.full_like(x, 0.3)),
            lambda x: F.gaussian_nll_loss(x, lib.zeros_like(x), x * x + 1),
        ):
            leaf = pair(torch, x, requires_grad=True)[side]
            (first,) = lib.autograd.grad(function(leaf), leaf, create_graph=True)
            yield from (first, *lib.autograd.grad(first.sum(), leaf))

    assert_same(list(hessian_diagonals(pydl, 0)), list(hessian_diagonals(torch, 1)), rtol=1e-9)


def test_empty_batches():
    for name, arrays in (("mse_loss", [(0, 3), (0, 3)]), ("binary_cross_entropy", [(0,), (0,)]),
                         ("soft_margin_loss", [(0, 2), (0, 2)])):
        function = getattr(nn.functional, name)
        assert np.isnan(function(*(pydl.zeros(shape) for shape in arrays)).item())
        assert function(*(pydl.zeros(shape) for shape in arrays), reduction="sum").item() == 0


def test_warnings_and_errors():
    F, two, three = nn.functional, pydl.zeros(2), pydl.zeros(3, 1)
    with pytest.warns(UserWarning, match="different to the input size"):
        F.mse_loss(two, three)
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert nn.MSELoss(size_average=False).reduction == "sum"
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(two, two)
    for call in (
        lambda: F.binary_cross_entropy(two, three), lambda: F.binary_cross_entropy_with_logits(two, three),
        lambda: F.cosine_embedding_loss(two, two, two), lambda: F.margin_ranking_loss(two, two, three),
        lambda: F.multi_margin_loss(pydl.zeros(2, 3), pydl.tensor([0])),
        lambda: F.multilabel_margin_loss(two, pydl.tensor([0])), lambda: F.triplet_margin_loss(two, two, three),
    ):
        with pytest.raises(pydl.ShapeError, match="expected"):
            call()
    for call in (
        lambda: F.mse_loss(two, two, reduction="average"), lambda: F.gaussian_nll_loss(two, two, -pydl.ones(2)),
        lambda: F.gaussian_nll_loss(two, two, pydl.ones(3)), lambda: nn.MultiMarginLoss(p=3),
        lambda: nn.TripletMarginLoss(margin=0.0), lambda: F.triplet_margin_loss(two, two, two, margin=-1.0),
    ):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(TypeError):
        nn.HuberLoss(delta="1")


def test_what_is_no_tensor_raises():
    F, x = nn.functional, pydl.ones(2)
    for loss in (
        F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.kl_div, F.poisson_nll_loss, F.hinge_embedding_loss,
        F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.soft_margin_loss, F.multilabel_soft_margin_loss,
        F.multi_margin_loss, F.multilabel_margin_loss,
    ):
        for args in ((x, 1.0), (1.0, x)):
            with pytest.raises(TypeError, match=f"^{loss.__name__}: expected a Tensor, got float$"):
                loss(*args)
    for loss in (F.margin_ranking_loss, F.cosine_embedding_loss, F.triplet_margin_loss, F.gaussian_nll_loss,
                 F.triplet_margin_with_distance_loss, F.bilinear):
        with pytest.raises(TypeError, match=f"^{loss.__name__}: expected a Tensor, got ndarray$"):
            loss(x, np.ones(2), x)


def test_one_hot_and_distances():
    F, TF = nn.functional, torch.nn.functional
    index, x = classes(4, 2, 3), normal(5, 3)
    for n in (-1, 6):
        assert_same(F.one_hot(pair(torch, index)[0], n), TF.one_hot(pair(torch, index)[1], n))
    with pytest.raises(RuntimeError, match="non-negative"):
        F.one_hot(pydl.tensor([-1]))
    with pytest.raises(RuntimeError, match="below"):
        F.one_hot(pydl.tensor([3]), 3)
    ours, theirs = pair(torch, x)
    for p in (1.0, 2.0, 3.0, float("inf")):
        assert_same(F.pdist(ours, p), TF.pdist(theirs, p), rtol=1e-5)
        assert_same(F.normalize(ours, p, 0), TF.normalize(theirs, p, 0), rtol=1e-5)
    out = pydl.empty(5, 3)
    assert F.normalize(ours, out=out) is out


def test_gumbel_softmax():
    pydl.manual_seed(5)
    logits = pydl.from_numpy(np.log(np.array([0.1, 0.2, 0.7], np.float32))).expand(20_000, 3).clone().requires_grad_()
    draw = nn.functional.gumbel_softmax(logits, hard=True)
    np.testing.assert_allclose(numpy(draw).mean(0), [0.1, 0.2, 0.7], atol=0.02)
    np.testing.assert_allclose(numpy(draw).sum(1), 1, rtol=1e-6)
    draw[:, 0].sum().backward()
    assert float(logits.grad.abs().sum()) > 0

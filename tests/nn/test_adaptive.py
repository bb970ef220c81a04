"""The adaptive softmax: PyTorch's numbers, the distribution that it is, errors."""
from __future__ import annotations

import numpy as np
import pytest
from twins import assert_same, copy_weights, numpy, pair

import pydl
from pydl import nn

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("options", [{}, {"head_bias": True, "div_value": 2.0}])
@pytest.mark.parametrize("cutoffs", [[4], [3, 10, 30]])
@pytest.mark.parametrize("batch", [(), (1,), (7,)])
def test_against_torch(options, cutoffs, batch):
    rng = np.random.default_rng(len(cutoffs) + sum(batch))
    twins = [lib.nn.AdaptiveLogSoftmaxWithLoss(16, 40, cutoffs, **options) for lib in (pydl, torch)]
    copy_weights(*twins)
    x = pair(torch, rng.normal(size=(*batch, 16)).astype(np.float32), requires_grad=True)
    target = pair(torch, rng.integers(0, 40, batch))
    results = []
    for side in range(2):
        output, loss = twins[side](x[side], target[side])
        loss.backward()
        results.append([output, loss, x[side].grad, *(p.grad for p in twins[side].parameters())])
    used = [i for i, gradient in enumerate(results[1]) if gradient is not None]
    assert used == [i for i, gradient in enumerate(results[0]) if gradient is not None]
    assert_same([results[0][i] for i in used], [results[1][i] for i in used], rtol=1e-5, atol=1e-6)
    if batch:
        assert_same(twins[0].log_prob(x[0]), twins[1].log_prob(x[1]), rtol=1e-5, atol=1e-6)
        assert_same(twins[0].predict(x[0]), twins[1].predict(x[1]))


def test_it_is_a_distribution():
    layer, x, target = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [2, 5]), pydl.randn(3, 8), pydl.tensor([1, 4, 19])
    everything = layer.log_prob(x)
    np.testing.assert_allclose(numpy(everything.exp().sum(1)), 1, rtol=1e-6)
    output, loss = layer(x, target)
    np.testing.assert_allclose(numpy(output), numpy(everything.gather(1, target[:, None])[:, 0]), rtol=1e-5)
    assert loss.item() == pytest.approx(-output.mean().item())


@pytest.mark.parametrize("cutoffs", [[], [0], [3, 2], [2, 2], [10], [2.5]])
def test_wrong_cutoffs(cutoffs):
    with pytest.raises(ValueError, match=r"expected cutoffs that ascend from 1 to 9, got"):
        nn.AdaptiveLogSoftmaxWithLoss(8, 10, cutoffs)


@pytest.mark.parametrize(("shape", "target"), [
    ((2, 8), [1, 10]), ((2, 8), [1, -1]), ((2, 8), [1]), ((2, 8), [[1, 1]]), ((8,), [1]), ((2, 8), 1),
])  # fmt: skip
def test_wrong_calls(shape, target):
    with pytest.raises(RuntimeError, match=r"^AdaptiveLogSoftmaxWithLoss: expected .*, got "):
        nn.AdaptiveLogSoftmaxWithLoss(8, 10, [2])(pydl.zeros(shape), pydl.tensor(target))

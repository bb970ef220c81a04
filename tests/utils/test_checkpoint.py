"""Checkpoints: gradients equal those without, and what a layer computes is gone in between."""
from __future__ import annotations

import gc
import weakref

import pytest

import pydl
from pydl import nn
from pydl.utils.checkpoint import checkpoint, checkpoint_sequential


def gradients(function, x, params, seed=3):
    pydl.manual_seed(seed)
    loss = function(x).square().sum()
    return loss.detach(), pydl.autograd.grad(loss, [x, *params])


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradients_are_those_without(reentrant):
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.GELU(), nn.Linear(8, 3))
    x, params = pydl.randn(5, 4, requires_grad=True), list(net.parameters())
    plain = gradients(net, x, params)
    again = gradients(lambda x: checkpoint(net, x, use_reentrant=reentrant), x, params)
    state = pydl.get_rng_state()
    assert plain[0].equal(again[0]) and all(a.equal(b) for a, b in zip(plain[1], again[1], strict=True))
    gradients(net, x, params)
    assert pydl.get_rng_state().equal(state)
    checkpoint(net, x.detach()).sum().backward()  # parameters alone
    assert all(p.grad is not None for p in params) and x.grad is None
    other = gradients(lambda x: checkpoint(net, x, preserve_rng_state=False), x, params)
    assert not all(a.equal(b) for a, b in zip(plain[1], other[1], strict=True))


def test_nothing_is_kept_between_the_calls():
    kept = []

    def function(x):
        y = x.exp()
        kept.append(weakref.ref(y))
        return y.sin()

    x = pydl.ones(3, requires_grad=True)
    y = checkpoint(function, x)
    gc.collect()
    assert len(kept) == 1 and kept[0]() is None
    y.sum().backward()
    assert len(kept) == 2
    want = pydl.autograd.grad(x.exp().sin().sum(), x)[0]
    assert x.grad.equal(want)


def test_arguments_and_results_of_any_form():
    def function(pair, *, factor, flags):
        a, b = pair
        return {"sum": a + b * factor["of"], "rest": [a * 2, flags.sum(), "text"]}

    a, b, c = (pydl.full((2,), v, requires_grad=True) for v in (2.0, 3.0, 5.0))
    h = a * 1
    result = checkpoint(function, (h, b), factor={"of": c}, flags=pydl.tensor([True, False]), use_reentrant=False)
    assert result["rest"][1].item() == 1 and not result["rest"][1].requires_grad and result["rest"][2] == "text"
    grads = pydl.autograd.grad(result["sum"].sum(), [a, b, c, h], retain_graph=True)
    assert [g.tolist() for g in grads] == [[1, 1], [5, 5], [3, 3], [1, 1]]
    assert pydl.autograd.grad(result["rest"][0].sum(), [a, b], allow_unused=True)[1] is None


def test_second_derivatives():
    x, w = (pydl.rand(3, dtype=pydl.float64, requires_grad=True) for _ in range(2))
    assert pydl.autograd.gradcheck(lambda x: checkpoint(lambda y: (y * w).sin(), x), (x,))
    assert pydl.autograd.gradgradcheck(lambda x: checkpoint(lambda y: (y * w).sin(), x * 2), (x,))


def test_a_result_with_history_that_the_function_refers_to():
    w, x = pydl.full((2,), 3.0, requires_grad=True), pydl.ones(2, requires_grad=True)
    h = w.exp()
    y = checkpoint(lambda x: x * h, x)
    (y.sum() + h.sum()).backward()
    want = pydl.autograd.grad((x * w.exp()).sum() + w.exp().sum(), [x, w])
    assert x.grad.equal(want[0]) and w.grad.allclose(want[1])


def test_without_gradients_it_is_a_call():
    with pydl.no_grad():
        assert not checkpoint(lambda x: x * 2, pydl.ones(2, requires_grad=True)).requires_grad
    assert not checkpoint(lambda x: x * 2, pydl.ones(2)).requires_grad


def test_what_raises():
    lengths = iter((2, 3))
    y = checkpoint(lambda x: x[:next(lengths)], pydl.ones(4, requires_grad=True))
    with pytest.raises(RuntimeError, match="checkpoint: expected the same results again"):
        y.sum().backward()
    with pytest.raises(NotImplementedError, match="checkpoint: expected no debug"):
        checkpoint(lambda x: x, pydl.ones(1), debug=True)
    with pytest.raises(ValueError, match="checkpoint_sequential: expected 1 to 1 segments, got 2"):
        checkpoint_sequential([nn.ReLU()], 2, pydl.ones(1))
    x = pydl.ones(2, requires_grad=True)
    h = x * 1
    y = checkpoint(lambda h: h * h, h)
    with pydl.no_grad():
        h.add_(1)
    with pytest.raises(RuntimeError, match="changed|modified"):
        y.sum().backward()


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_sequential(segments):
    net = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3), nn.Tanh()) for _ in range(5)))
    x, params = pydl.randn(5, 4, requires_grad=True), list(net.parameters())
    plain = gradients(net, x, params)
    again = gradients(lambda x: checkpoint_sequential(net, segments, x, use_reentrant=False), x, params)
    assert all(a.equal(b) for a, b in zip(plain[1], again[1], strict=True))


def test_checkpoints_in_checkpoints():
    net = nn.Linear(3, 3)
    x, params = pydl.randn(2, 3, requires_grad=True), list(net.parameters())
    plain = gradients(lambda x: net(net(x).tanh()), x, params)
    again = gradients(lambda x: checkpoint(lambda x: net(checkpoint(net, x).tanh()), x), x, params)
    assert all(a.allclose(b) for a, b in zip(plain[1], again[1], strict=True))

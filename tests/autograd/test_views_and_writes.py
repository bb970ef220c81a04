"""Gradients through views and in-place writes follow PyTorch's history rules: every program here runs in both."""
from __future__ import annotations

import numpy as np
import pytest
from support import same_bits

import pydl


def write_to_view(lib, x):
    y = x * 2
    y[0].mul_(3)
    return y


def write_to_base_after_view(lib, x):
    y = x * 2
    v = y[1]
    y.mul_(x)
    return v + y[0]


def view_of_view(lib, x):
    y = x.exp()
    y.t()[1:].reshape(-1)[:2].add_(x[0, :2])
    return y


def view_sees_write_to_sibling(lib, x):
    y = x * 1
    a, b = y[0], y[:, 0]
    a.mul_(x[1])
    return b * b


def setitem_of_result(lib, x):
    y = lib.zeros(3, 4)
    y[1:] = x[1:] * 2
    y[0] = x[0] * x[0]
    return y * y


def setitem_overwrites(lib, x):
    y = x * 2
    y[:, 1] = 5.0
    return y * y


def mask_assignment(lib, x):
    y = x * 1
    y[x > 0.5] = 0.0
    return y * x


def copy_into_slice(lib, x):
    y = lib.ones(3, 4) * x[0]
    y[:, ::2].copy_(x[:, 1::2])
    return y.sin()


def fill_and_zero(lib, x):
    y = x * x
    y[0].fill_(1.0)
    y[1].zero_()
    return y * x


def inplace_activation(lib, x):
    y = x - 0.5
    y.relu_()
    return y * 2


def chain_of_writes(lib, x):
    y = x.clone()
    y.add_(1).mul_(x).sub_(x * x).pow_(2)
    return y


def diagonal_write(lib, x):
    y = x[:, :3] * 1
    y.diagonal().mul_(x[0, :3])
    return y


def expanded_operand(lib, x):
    y = lib.zeros(3, 4)
    y.add_(x[0].expand(3, 4))
    return y * x


def transposed_write(lib, x):
    y = x * 1
    y.t().mul_(x.t())
    return y


def unfold_read(lib, x):
    return x.flatten().unfold(0, 4, 2).square()


def as_strided_read(lib, x):
    return (x * 1).as_strided((3, 3), (1, 3), 1) ** 2


def split_write(lib, x):
    parts = [p.clone() for p in (x * 1).split(2, dim=1)]
    parts[0].mul_(parts[1])
    return lib.cat(parts, 1)


def no_grad_view_then_write(lib, x):
    y = x * 1
    with lib.no_grad():
        y[0] *= 2.0
    return y


def detach_shares_memory(lib, x):
    y = x * 1
    y.detach()[0] = 7.0
    return y + x


def inplace_on_nondifferentiable_target(lib, x):
    y = lib.ones(3, 4)
    y *= x
    y += y.detach()
    return y


def scatter_writes(lib, x):
    y = x * 1
    y.scatter_add_(1, lib.tensor([[0, 0, 1]] * 3), x[:, 1:])
    y.index_add_(0, lib.tensor([2, 2]), x[:2])
    y.masked_fill_(lib.eye(3, 4).bool(), 0.0)
    return y * x


def write_through_reshape(lib, x):
    y = (x * 1).reshape(2, 6)
    y[0] *= 3
    return y.view(-1)


PROGRAMS = [f for f in list(globals().values()) if callable(f) and getattr(f, "__module__", "") == __name__]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_program(program, torch_or_fail):
    outcomes = []
    for lib in (pydl, torch_or_fail):
        x = (lib.arange(12.0).reshape(3, 4) / 12 + 0.1).requires_grad_()
        y = program(lib, x)
        (g,) = lib.autograd.grad((y * lib.arange(1.0, y.numel() + 1).reshape(y.shape)).sum(), x, create_graph=True)
        second = lib.autograd.grad(g.sum(), x, allow_unused=True)[0] if g.requires_grad else None
        # No path and a path of zeros mean the same.
        outcomes.append((y, g, lib.zeros_like(x) if second is None else second))
    for ours, theirs in zip(*outcomes):
        assert ours.detach().numpy() == pytest.approx(theirs.detach().numpy(), rel=1e-5, abs=1e-6)


def test_unbind_outputs_refuse_writes():
    x = pydl.ones(3, 4, requires_grad=True) * 1
    with pytest.raises(RuntimeError):
        x.unbind()[0].add_(1)


def test_grad_fn_of_a_written_view():
    x = pydl.ones(3, 4, requires_grad=True) * 1
    v = x[0]
    before = v.grad_fn
    v.mul_(2)
    assert v.grad_fn is not before and x.grad_fn is not None
    x.add_(1)
    assert v.grad_fn is not None and v.grad_fn.name() != before


def test_write_of_a_differentiable_into_a_plain_slice():
    y = pydl.zeros(3)
    x = pydl.ones(2, requires_grad=True)
    y[1:] = x * 2
    assert y.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_values_of_writes_match_out_of_place():
    x = pydl.linspace(-1, 1, 37)
    for name in ("exp", "tanh", "sigmoid", "abs", "neg", "sqrt", "relu"):
        assert same_bits(getattr(x.clone(), name + "_")(), getattr(x, name)())


def test_integers_take_a_differentiable_value_without_its_history():
    value = pydl.full((), 2.7, requires_grad=True)
    y, flags = pydl.zeros(3, dtype=pydl.int64), pydl.zeros(2, 3, dtype=pydl.bool)
    y[0] = value
    y[1:].copy_(value)
    flags[0, 1] = value
    assert y.tolist() == [2, 2, 2] and not y.requires_grad
    assert flags.tolist() == [[False, True, False], [False] * 3]


@pytest.mark.parametrize("read", [
    lambda x, at: x[at], lambda x, at: x.gather(0, at), lambda x, at: x.index_select(0, at), lambda x, at: x.take(at),
    lambda x, at: pydl.zeros(4).scatter(0, at, x[:2]), lambda x, at: pydl.zeros(4).scatter_add(0, at, x[:2]),
    lambda x, at: pydl.zeros(4).scatter_reduce(0, at, x[:2], "amax"), lambda x, at: x.index_fill(0, at, 2.0),
    lambda x, at: pydl.zeros(4).index_put((at,), x[:2]), lambda x, at: pydl.zeros(4).index_add(0, at, x[:2]),
])
def test_indices_written_before_the_backward_pass_are_noticed(read):
    x, at = pydl.ones(4, requires_grad=True), pydl.tensor([0, 1])
    y = read(x, at)
    at.fill_(3)
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        y.sum().backward()


def test_a_condition_written_before_the_backward_pass_is_noticed():
    x, condition = pydl.ones(2, requires_grad=True), pydl.tensor([True, False])
    y = pydl.where(condition, x, 0.0)
    condition.fill_(True)
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        y.sum().backward()


@pytest.mark.parametrize("write", ["sigmoid_", "tanh_", "exp_", "sqrt_", "relu_"])
def test_second_derivative_through_a_written_view(write: str, torch_or_fail):
    """What is written saves its output, which the first derivative reads again."""
    found = []
    for lib in (pydl, torch_or_fail):
        x = ((lib.arange(6.0, dtype=lib.float64) + 1) / 4).reshape(2, 3).requires_grad_()
        y = x * 1
        getattr(y[0], write)()
        (g,) = lib.autograd.grad((y * y).sum(), x, create_graph=True)
        (h,) = lib.autograd.grad((g * g).sum(), x)
        found.append((g.tolist(), h.tolist()))
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_an_expanded_view_whose_base_was_written(torch_or_fail):
    """Its elements share memory, so that their gradients add up."""
    found = []
    for lib in (pydl, torch_or_fail):
        x = (lib.arange(12.0, dtype=lib.float64) / 5).reshape(3, 4).requires_grad_()
        e = x.sum(0, keepdim=True).expand(3, 4)
        e[0].mul_(2)
        (g,) = lib.autograd.grad((e * e * x).sum(), x, create_graph=True)
        (g * g).sum().backward()
        found.append((g.tolist(), x.grad.tolist()))
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_detaching_in_place(torch_or_fail):
    for lib in (pydl, torch_or_fail):
        x = lib.ones(2, 3, requires_grad=True)
        for result in (lib.nn.GRUCell(3, 2)(x), *lib.nn.LSTMCell(3, 2)(x), x.repeat(2, 1), x.t().reshape(-1), x @ x.t(),
                (x * 1).detach_()):
            assert result.detach_() is result and result.is_leaf and not result.requires_grad
            result.add_(1)
        y = x * 1
        with pytest.raises(RuntimeError):
            y[0].detach_()
        with pytest.raises(RuntimeError):
            y.view(6).detach_()
        assert y.detach_().is_leaf

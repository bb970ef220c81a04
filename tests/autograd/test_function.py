"""Custom autograd.Function and hooks."""
from __future__ import annotations

import gc
import weakref

import pytest

import pydl


class Exp(pydl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class ScaleAndSum(pydl.autograd.Function):
    """Two outputs, a number argument, an unused input."""

    @staticmethod
    def forward(ctx, x, factor, y):
        ctx.factor = factor
        ctx.mark_non_differentiable(flags := x > 0)
        return x * factor, x.sum(), flags

    @staticmethod
    def backward(ctx, g_scaled, g_sum, g_flags):
        return g_scaled * ctx.factor + g_sum, None, None


def leaf(*values: float):
    return pydl.tensor(values, requires_grad=True)


def test_function():
    x = leaf(0.0, 1.0)
    y = Exp.apply(x)
    assert y.requires_grad and "Exp" in y.grad_fn.name()
    y.sum().backward()
    assert x.grad.tolist() == pytest.approx([1.0, 2.7182818])


def test_double_backward_through_a_function():
    x = pydl.tensor([0.5], dtype=pydl.float64, requires_grad=True)
    (g,) = pydl.autograd.grad(Exp.apply(x).sum(), x, create_graph=True)
    (h,) = pydl.autograd.grad(g.sum(), x)
    assert h.item() == pytest.approx(1.6487212707)
    assert pydl.autograd.gradcheck(Exp.apply, (x,))


def test_several_outputs():
    x, y = leaf(1.0, -2.0), leaf(1.0)
    scaled, total, flags = ScaleAndSum.apply(x, 3.0, y)
    assert not flags.requires_grad and flags.tolist() == [True, False]
    (scaled.sum() + total * 10).backward()
    assert x.grad.tolist() == [13, 13] and y.grad is None


def test_no_graph_without_gradient():
    assert not Exp.apply(pydl.ones(1)).requires_grad
    with pydl.no_grad():
        assert not Exp.apply(leaf(1.0)).requires_grad


def test_needs_input_grad_and_undefined_gradients():
    seen = []

    class Probe(pydl.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.set_materialize_grads(False)
            return a * 1, b * 1

        @staticmethod
        def backward(ctx, ga, gb):
            seen.append((ctx.needs_input_grad, ga is None, gb is None))
            return ga, gb

    x = leaf(1.0)
    a, _ = Probe.apply(x, pydl.ones(1))
    a.sum().backward()
    assert seen == [((True, False), False, True)]


def test_setup_context():
    class Square(pydl.autograd.Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    x = leaf(3.0)
    Square.apply(x).backward()
    assert x.grad.tolist() == [6]


def test_in_place_function():
    class Double(pydl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    x = leaf(3.0)
    y = x * 1
    z = Double.apply(y)
    assert z is y
    z.sum().backward()
    assert x.grad.tolist() == [2]


def test_wrong_number_of_gradients():
    class Wrong(pydl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g, g

    with pytest.raises(RuntimeError):
        Wrong.apply(leaf(1.0)).sum().backward()


def test_gradients_of_a_wrong_shape(torch_or_fail):
    for lib in (pydl, torch_or_fail):
        class Sum(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x, gradient):
                ctx.gradient = gradient
                return x.sum()

            @staticmethod
            def backward(ctx, g):
                return ctx.gradient, None

        x = lib.zeros(2, 3, requires_grad=True)
        for shape in ((3, 2), (6,), (), (1, 3), (3,), (2, 3, 1)):
            with pytest.raises(RuntimeError, match="Backward"):
                Sum.apply(x, lib.ones(shape)).backward()
        Sum.apply(x, lib.ones(4, 2, 3)).backward()
        assert x.grad.tolist() == [[4, 4, 4], [4, 4, 4]]
        x = lib.zeros(1, 3, requires_grad=True)
        Sum.apply(x, lib.ones(2, 3)).backward()
        assert x.grad.tolist() == [[2, 2, 2]]


def test_gradients_of_outputs_that_have_none(torch_or_fail):
    seen = []
    for lib in (pydl, torch_or_fail):
        class Mixed(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2, x.argmax(), None, "text", x * 3

            @staticmethod
            def backward(ctx, *gradients):
                seen.append([None if g is None else (g.tolist(), str(g.dtype).split(".")[1]) for g in gradients])
                return gradients[0]

        Mixed.apply(lib.ones(2, requires_grad=True))[0].sum().backward()
    assert seen[0] == seen[1]


def test_exception_in_backward_arrives():
    class Fails(pydl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            raise KeyError("from backward")

    with pytest.raises(KeyError, match="from backward"):
        Fails.apply(leaf(1.0)).sum().backward()
    x = leaf(1.0)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2]


def test_saved_tensors_check_versions():
    x = leaf(1.0)
    y = Exp.apply(x)
    with pydl.no_grad():
        y.add_(1)
    with pytest.raises(RuntimeError):
        y.sum().backward()


def test_once_differentiable():
    class Once(pydl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * x

        @staticmethod
        @pydl.autograd.function.once_differentiable
        def backward(ctx, g):
            return g

    x = leaf(1.0)
    (g,) = pydl.autograd.grad(Once.apply(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError):
        g.sum().backward()


# ---- Hooks -----------------------------------------------------------------------------------------------------------

def test_hook_on_a_leaf_changes_its_gradient():
    x = leaf(1.0, 2.0)
    handle = x.register_hook(lambda g: g * 10)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [20, 20]
    handle.remove()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [22, 22]


def test_hook_on_an_inner_value():
    x, seen = leaf(3.0), []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.item()))
    y.register_hook(lambda g: g + 1)
    (y * y).sum().backward()
    assert seen == [12.0] and x.grad.tolist() == [26]


def test_hook_sees_the_whole_gradient():
    x, seen = leaf(3.0), []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * 2 + x * 3).sum().backward()
    assert seen == [5.0]


def test_hook_needs_gradients():
    with pytest.raises(RuntimeError):
        pydl.ones(1).register_hook(lambda g: g)


def test_hook_that_raises():
    x = leaf(1.0)

    def hook(g):
        raise ValueError("from the hook")
    x.register_hook(hook)
    with pytest.raises(ValueError, match="from the hook"):
        (x * 2).sum().backward()


def test_hook_after_accumulation():
    x, seen = leaf(1.0), []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.item()))
    (x * 2).sum().backward()
    assert seen == [2.0]


def test_hooks_do_not_leak():
    class Big:
        pass
    big = Big()
    gone = weakref.ref(big)
    x = leaf(1.0)
    y = x * 2
    y.register_hook(lambda g, keep=big: None)
    del big, y, x
    gc.collect()
    assert gone() is None


class KeepsItsOutput(pydl.autograd.Function):
    """ctx holds the output, whose node holds ctx."""

    @staticmethod
    def forward(ctx, x):
        ctx.output = x * 2
        return ctx.output

    @staticmethod
    def backward(ctx, g):
        return g * 2


def collected(make) -> bool:
    """Does the garbage collector free what make() left in a cycle?"""
    gc.disable()
    try:
        gone = make()
        assert gone() is not None, "without the collector the cycle should live"
        gc.collect()
        return gone() is None
    finally:
        gc.enable()


def test_cycle_through_ctx_is_collected():
    def make():
        y = KeepsItsOutput.apply(pydl.ones(3, requires_grad=True))
        y.sum().backward()
        return weakref.ref(y)

    assert collected(make)


def test_cycle_through_a_hook_is_collected():
    def make():
        y = pydl.ones(3, requires_grad=True) * 2
        y.register_hook(lambda g: g * y.detach())
        return weakref.ref(y)

    assert collected(make)


def test_collector_leaves_live_graphs_alone():
    x = pydl.ones(3, requires_grad=True)
    y = KeepsItsOutput.apply(x)
    loss, node = (y * y).sum(), y.grad_fn
    y.register_hook(lambda g, keep=[y]: g + 0 * keep[0].detach())
    del y
    gc.collect()
    loss.backward()
    assert x.grad.tolist() == [8, 8, 8] and node.name() == "KeepsItsOutputBackward"


def test_gradients_that_are_none(torch_or_fail):
    """Arguments that are no tensors have no gradient, and gradients are tensors."""
    for lib in (pydl, torch_or_fail):
        class Scale(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x, factor, gradient):
                ctx.gradient = gradient
                return x * factor

            @staticmethod
            def backward(ctx, g):
                return ctx.gradient(g)

        x = lib.ones(2, requires_grad=True)
        for gradient in (lambda g: (g, g, None), lambda g: (3.0, None, None)):
            with pytest.raises(RuntimeError):
                Scale.apply(x, 2.0, gradient).sum().backward()
        Scale.apply(x, 2.0, lambda g: (g * 5, None, None)).sum().backward()
        assert x.grad.tolist() == [5, 5]


def test_materialized_zeros_need_no_gradient(torch_or_fail):
    for lib in (pydl, torch_or_fail):
        x, y = lib.ones(1, requires_grad=True), lib.ones(1, requires_grad=True)
        assert not lib.autograd.grad(x.sum(), y, materialize_grads=True)[0].requires_grad
        assert lib.autograd.grad(x.sum(), y, materialize_grads=True, create_graph=True)[0].requires_grad

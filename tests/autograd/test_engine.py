"""backward and grad: accumulation, retained graphs, unused inputs, modes, deep graphs, anomaly mode."""
from __future__ import annotations

import gc
import sys
import threading
import warnings
import weakref

import pytest
from support import python

import pydl


def leaf(*values: float):
    return pydl.tensor(values, requires_grad=True)


# ---- backward --------------------------------------------------------------------------------------------------------

def test_backward_accumulates():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4]
    first = x.grad
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5, 7] and x.grad is first
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3] and x.grad is not first


def test_gradient_is_not_an_alias():
    x = leaf(1.0, 2.0)
    g = pydl.ones(2)
    (x * 1).backward(g)
    x.grad.add_(5)
    assert g.tolist() == [1, 1]
    y, z = leaf(1.0), leaf(1.0)
    (y + z).sum().backward()
    y.grad.add_(1)
    assert z.grad.tolist() == [1]


def test_diamond_and_reuse():
    x = leaf(3.0)
    y = x * x
    (y + y * x + x).sum().backward()
    assert x.grad.tolist() == [2 * 3 + 3 * 9 + 1]


def test_backward_needs_a_scalar_or_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError):
        (x * 2).backward()
    (x * 2).backward(pydl.tensor([1.0, 10.0]))
    assert x.grad.tolist() == [2, 20]
    with pytest.raises(RuntimeError):
        (x * 2).backward(pydl.ones(3))
    with pytest.raises(RuntimeError):
        pydl.ones(1).backward()


def test_backward_of_a_leaf():
    x = leaf(2.0)
    x.backward()
    assert x.grad.tolist() == [1]


def test_retain_graph():
    x = leaf(3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [12]
    with pytest.raises(RuntimeError):
        y.backward()


def test_freed_graph_of_an_addition_can_run_again():
    x = leaf(3.0)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [2]


def test_retain_grad():
    x = leaf(3.0)
    y = x * 2
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.tolist() == [12] and y.retains_grad
    with pytest.warns(UserWarning):
        assert (x * 2).grad is None


def test_retained_gradients_add_up():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    z = (y * y).sum()
    z.backward(retain_graph=True)
    z.backward()
    assert y.grad.tolist() == [8, 16]


def test_retained_gradient_has_its_own_memory():
    x = leaf(1.0, 2.0)
    y = x * 2
    z = y + 0
    for t in (y, z):
        t.retain_grad()
    z.sum().backward()
    z.grad.mul_(3)
    z.grad[0] = 5
    assert z.grad.tolist() == [5, 3] and y.grad.tolist() == [1, 1] and x.grad.tolist() == [2, 2]


def test_retained_gradient_is_that_of_the_tensor_as_it_is():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: None)
    y.mul_(3)
    y.sum().backward()
    assert y.grad.tolist() == [1, 1] and x.grad.tolist() == [6, 6]


def test_retained_gradient_follows_writes_through_views():
    def trial(write):
        y = leaf(1.0, 2.0) * 2
        view = y[:1]
        for t in (y, view):
            t.retain_grad()
        write(y, view)
        (y * y).sum().backward(retain_graph=True)
        (view * view).sum().backward()
        return y.grad.tolist(), view.grad.tolist()

    # y is [10, 4] then, and [10, 20]; its view [10] is used by the second sum alone.
    assert trial(lambda y, view: view.mul_(5)) == ([40, 8], [20])
    assert trial(lambda y, view: y.mul_(5)) == ([40, 40], [20])


def test_backward_into_chosen_inputs():
    x, y = leaf(2.0), leaf(3.0)
    (x * y).sum().backward(inputs=[x])
    assert x.grad.tolist() == [3] and y.grad is None
    x.grad = None
    (x * x).sum().backward(inputs=[x, x])
    assert x.grad.tolist() == [4]
    z = x * 2
    z.retain_grad()
    (z * z).sum().backward(inputs=[z])
    assert z.grad.tolist() == [8] and x.grad.tolist() == [4]


def test_backward_into_chosen_inputs_treats_leaves_as_always():
    x, y, seen = leaf(1.0, 2.0), leaf(1.0, 2.0), []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.tolist()))
    (x + y).sum().backward(inputs=[x, y])
    x.grad.mul_(3)
    assert x.grad.tolist() == [3, 3] and y.grad.tolist() == [1, 1] and seen == [[1, 1]]
    g = pydl.ones(2)
    y.grad = None
    (y + 0).backward(g, inputs=[y])
    g.zero_()
    assert y.grad.tolist() == [1, 1]


def test_several_roots():
    x = leaf(2.0)
    pydl.autograd.backward([(x * 2).sum(), (x * 3).sum()])
    assert x.grad.tolist() == [5]


def test_gradient_takes_the_dtype_of_its_tensor():
    x, y = leaf(2.0), pydl.ones(1, dtype=pydl.float64, requires_grad=True)
    (x * y).sum().backward()
    assert x.grad.dtype == pydl.float32 and y.grad.dtype == pydl.float64


def test_gradient_of_broadcasting():
    x, y = pydl.ones(3, 1, requires_grad=True), pydl.ones(4, requires_grad=True)
    (x * y).sum().backward()
    assert x.grad.shape == (3, 1) and x.grad.tolist() == [[4]] * 3 and y.grad.tolist() == [3] * 4


def test_assigning_grad():
    x = leaf(1.0, 2.0)
    x.grad = pydl.ones(2)
    assert x.grad.tolist() == [1, 1]
    for wrong in (pydl.ones(3), pydl.ones(2, dtype=pydl.float64)):
        with pytest.raises(RuntimeError):
            x.grad = wrong
    with pytest.raises(TypeError):
        x.grad = 1


# ---- autograd.grad ---------------------------------------------------------------------------------------------------

def test_grad_leaves_grad_alone():
    x = leaf(3.0)
    (g,) = pydl.autograd.grad((x * x).sum(), x)
    assert g.tolist() == [6] and x.grad is None and not g.requires_grad


def test_grad_of_an_inner_value():
    x = leaf(3.0)
    y = x * 2
    (g,) = pydl.autograd.grad((y * y).sum(), y)
    assert g.tolist() == [12]


def test_grad_takes_the_arguments_that_pytorch_has():
    x = pydl.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    (g,) = pydl.autograd.grad(y, x, pydl.ones(2), create_graph=True, retain_graph=True, only_inputs=True)
    assert g.tolist() == [2, 4] and g.requires_grad
    positional = pydl.autograd.grad(y, [x, pydl.ones(1, requires_grad=True)], pydl.ones(2), True, False, True, True)
    assert positional[0].tolist() == [2, 4] and positional[1] is None
    with pytest.raises(NotImplementedError, match="grad: expected only_inputs=True, got False"):
        pydl.autograd.grad(y, x, pydl.ones(2), only_inputs=False)
    with pytest.raises(NotImplementedError, match="grad: expected is_grads_batched=False, got True"):
        pydl.autograd.grad(y, x, pydl.ones(1, 2), is_grads_batched=True)


def test_variable():
    x = pydl.ones(2, requires_grad=True)
    y = pydl.autograd.Variable(x * 2)
    assert y.is_leaf and not y.requires_grad and isinstance(y, pydl.Tensor) and isinstance(y, pydl.autograd.Variable)
    assert pydl.autograd.Variable(y, requires_grad=True).requires_grad and not y.requires_grad
    assert pydl.autograd.Variable(y).data_ptr() == y.data_ptr()
    with pytest.raises(TypeError, match="Variable: expected a Tensor, got float"):
        pydl.autograd.Variable(3.0)


def test_unused_inputs():
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(RuntimeError):
        pydl.autograd.grad((x * 2).sum(), [x, y])
    assert pydl.autograd.grad((x * 2).sum(), [x, y], allow_unused=True)[1] is None
    assert pydl.autograd.grad((x * 2).sum(), [x, y], materialize_grads=True)[1].tolist() == [0]
    with pytest.raises(RuntimeError):
        pydl.autograd.grad((x * 2).sum(), pydl.ones(1), allow_unused=True)


def test_costly_gradients_that_nobody_asked_for_are_left_out():
    x, w, k = pydl.randn(4, 3), pydl.randn(5, 3), pydl.randn(2, 1, 2, 2)
    linear, conv2d = pydl.nn.functional.linear, pydl.nn.functional.conv2d
    for operation, a, b in ((pydl.mm, x, w.T.clone()), (pydl.bmm, x[None], w.T.clone()[None]), (linear, x, w),
                            (conv2d, x[None, None], k)):
        a, b = a.clone().requires_grad_(), b.requires_grad_()
        y = operation(a, b)
        computed = []
        y.grad_fn.register_hook(lambda grads, _, to=computed: to.append([g is not None for g in grads[:2]]))
        both = pydl.autograd.grad(y.sum(), (a, b), retain_graph=True)
        (first,), (second,) = (pydl.autograd.grad(y.sum(), t, retain_graph=True) for t in (a, b))
        assert computed == [[True, True], [True, False], [False, True]]
        assert pydl.equal(first, both[0]) and pydl.equal(second, both[1])
        (penalty,) = pydl.autograd.grad((first := pydl.autograd.grad(y.sum(), a, create_graph=True)[0]).sum(), b)
        assert first.requires_grad and penalty.shape == b.shape
    lstm = pydl.nn.LSTM(3, 4)
    sequence = pydl.randn(6, 2, 3, requires_grad=True)
    out = lstm(sequence)[0].sum()
    (dx,) = pydl.autograd.grad(out, sequence, retain_graph=True)
    out.backward()
    assert pydl.equal(dx, sequence.grad) and lstm.weight_hh_l0.grad is not None


def test_hooks_keep_shape_and_dtype():
    for replace in (lambda g: pydl.ones(3), lambda g: g.double()):
        x = pydl.ones(2, requires_grad=True)
        x.register_hook(replace)
        with pytest.raises(RuntimeError, match="hook: expected a gradient like the one that came"):
            x.sum().backward()


def test_create_graph():
    x = leaf(2.0)
    (g,) = pydl.autograd.grad((x**3).sum(), x, create_graph=True)
    assert g.tolist() == [12] and g.requires_grad
    (h,) = pydl.autograd.grad(g.sum(), x, create_graph=True)
    (k,) = pydl.autograd.grad(h.sum(), x)
    assert h.tolist() == [12] and k.tolist() == [6]


def test_gradient_penalty():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (g,) = pydl.autograd.grad((x * w).sum().tanh(), x, create_graph=True)
    (g * g).sum().backward()
    assert w.grad is not None and x.grad is not None


def test_functional_helpers():
    jacobian = pydl.autograd.functional.jacobian(lambda x: x * x, pydl.tensor([1.0, 2.0]))
    assert jacobian.tolist() == [[2, 0], [0, 4]]
    hessian = pydl.autograd.functional.hessian(lambda x: (x**3).sum(), pydl.tensor([1.0, 2.0]))
    assert hessian.tolist() == [[6, 0], [0, 12]]
    x = pydl.tensor([0.5, 1.0], dtype=pydl.float64, requires_grad=True)
    assert pydl.autograd.gradcheck(pydl.sin, (x,)) and pydl.autograd.gradgradcheck(pydl.sin, (x,))


def test_gradcheck_is_the_function_after_an_import_of_its_module():
    assert python("import pydl.autograd.gradcheck; print(callable(pydl.autograd.gradcheck))") == "True"


# ---- Leaves and requires_grad ----------------------------------------------------------------------------------------

def test_the_rows_of_a_jacobian_do_not_depend_on_vectorize():
    x = pydl.tensor([1.0, 2.0])
    for function in (pydl.autograd.functional.jacobian, pydl.autograd.functional.hessian):
        def cube(x, of=function):
            return x**3 if of is pydl.autograd.functional.jacobian else (x**3).sum()

        assert function(cube, x, vectorize=True).equal(function(cube, x))
        assert function(cube, x, False, False, False, "reverse-mode").equal(function(cube, x))
        with pytest.raises(NotImplementedError, match="expected .*strategy='reverse-mode', got 'forward-mode'"):
            function(cube, x, False, False, True, "forward-mode")
        with pytest.raises(ValueError, match="got 'sideways'"):
            function(cube, x, False, False, False, "sideways")


def test_requires_grad_flags():
    x = pydl.ones(2)
    assert x.requires_grad_() is x and x.requires_grad and x.is_leaf
    y = x * 2
    assert not y.is_leaf and y.grad_fn is not None
    with pytest.raises(RuntimeError):
        y.requires_grad = False
    with pytest.raises(RuntimeError):
        pydl.ones(2, dtype=pydl.int64, requires_grad=True)
    assert not (x > 1).requires_grad and not x.argmax().requires_grad and not x.detach().requires_grad


def test_grad_fn_is_walkable():
    x = leaf(1.0)
    y = (x * 2).exp()
    (mul, _) = y.grad_fn.next_functions[0]
    assert "Mul" in mul.name()
    accumulate = mul.next_functions[0][0]
    assert accumulate.variable is x


def test_leaf_refuses_writes():
    x = leaf(1.0, 2.0)
    for write in (lambda: x.add_(1), lambda: x[0:1].mul_(2), lambda: x.__setitem__(0, 5.0), lambda: x.zero_()):
        with pytest.raises(RuntimeError):
            write()
    with pydl.no_grad():
        x.add_(1)
    assert x.tolist() == [2, 3]


# ---- Modes -----------------------------------------------------------------------------------------------------------

def test_no_grad():
    x = leaf(1.0)
    with pydl.no_grad():
        y = x * 2
        assert not pydl.is_grad_enabled()
        with pydl.enable_grad():
            assert (x * 2).requires_grad
    assert pydl.is_grad_enabled() and not y.requires_grad and y.is_leaf


def test_no_grad_decorates_and_unwinds():
    @pydl.no_grad()
    def f(x):
        return x * 2
    assert not f(leaf(1.0)).requires_grad

    @pydl.no_grad()
    def generator(x):
        yield x * 2
        yield x * 3
    assert not any(y.requires_grad for y in generator(leaf(1.0)))
    with pytest.raises(ZeroDivisionError), pydl.no_grad():
        1 / 0  # noqa: B018
    assert pydl.is_grad_enabled()


def test_set_grad_enabled():
    with pydl.set_grad_enabled(False):
        assert not pydl.is_grad_enabled()
    pydl.set_grad_enabled(False)
    try:
        assert not (leaf(1.0) * 2).requires_grad
    finally:
        pydl.set_grad_enabled(True)


def test_modes_are_per_thread():
    seen = []
    with pydl.no_grad():
        worker = threading.Thread(target=lambda: seen.append(pydl.is_grad_enabled()))
        worker.start()
        worker.join()
    assert seen == [True]


def test_inference_mode():
    x = leaf(1.0)
    with pydl.inference_mode():
        y = x * 2
        assert pydl.is_inference_mode_enabled() and y.is_inference() and not y.requires_grad
    assert not pydl.is_inference_mode_enabled()
    with pytest.raises(RuntimeError):
        (x * y).sum().backward()
    with pytest.raises(RuntimeError):
        y.add_(x)


# ---- Saved tensors ---------------------------------------------------------------------------------------------------

def test_changed_saved_tensor_is_noticed():
    x = leaf(1.0, 2.0)
    y = x * 2
    z = y * y
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified|version"):
        z.sum().backward()


def test_changed_tensor_that_was_not_saved_is_fine():
    x = leaf(1.0, 2.0)
    y = x + 2
    z = y + y
    y.mul_(3)
    z.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_own_result_may_be_saved():
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.mul_(2)
    with pytest.raises(RuntimeError):
        y.sum().backward()


# ---- Large and long --------------------------------------------------------------------------------------------------

def test_deep_graph():
    """100,000 nodes, run and freed without recursion."""
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1
    y.sum().backward()
    assert x.grad.tolist() == [1]
    del y
    y = x
    for _ in range(100_000):
        y = y * 1
    del y
    gc.collect()


def test_wide_graph():
    x = leaf(1.0)
    sum([x * k for k in range(3000)], pydl.zeros(1)).sum().backward()
    assert x.grad.tolist() == [3000 * 2999 / 2]


def test_graph_is_freed_with_its_output():
    x = leaf(1.0)
    y = x * 2
    node = weakref.ref(y)
    z = y.exp()
    del y
    z.sum().backward()
    del z
    gc.collect()
    assert node() is None


def test_threads_run_their_own_backwards():
    results = []

    def work(k: int) -> None:
        x = pydl.full((50, 50), float(k), requires_grad=True)
        (x @ x).sum().backward()
        results.append((k, x.grad.sum().item()))
    workers = [threading.Thread(target=work, args=(k,)) for k in range(1, 9)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert len(results) == 8 and all(abs(g - 2 * 50**3 * k) < 1e-2 * g for k, g in results)


# ---- Anomaly mode ----------------------------------------------------------------------------------------------------

def test_anomaly_mode_names_the_forward_line(capfd):
    with warnings.catch_warnings(record=True) as warned, pydl.autograd.set_detect_anomaly(True):
        warnings.simplefilter("always")
        x = leaf(0.0)
        y = (x / x).sum()  # the culprit
        with pytest.raises(RuntimeError) as caught:
            y.backward()
    said = str(caught.value) + "".join(capfd.readouterr()) + "".join(str(w.message) for w in warned)
    assert "Div" in str(caught.value)
    assert "the culprit" in said or f"line {_line_of('# the culprit')}" in said


def _line_of(text: str) -> int:
    with open(__file__) as f:
        return next(n for n, line in enumerate(f, 1) if text in line and "_line_of" not in line)


def test_anomaly_mode_lets_good_gradients_pass():
    with pydl.autograd.set_detect_anomaly(True):
        x = leaf(1.0)
        (x * 2).sum().backward()
    assert x.grad.tolist() == [2]
    assert not pydl.is_anomaly_enabled()


def test_recursion_limit_is_not_touched():
    assert sys.getrecursionlimit() >= 1000

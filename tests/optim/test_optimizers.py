"""Every optimizer against PyTorch's over several steps, and the machinery they share."""
from __future__ import annotations

import copy
import gc
import inspect
import pickle
import weakref

import numpy as np
import pytest
from twins import assert_same, numpy, pair

import pydl

torch = pytest.importorskip("torch")

OPTIONS = [
    ("SGD", {}), ("SGD", {"lr": 0.1, "momentum": 0.9}), ("SGD", {"momentum": 0.9, "nesterov": True, "lr": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {}), ("Adam", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "maximize": True}), ("Adam", {"decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.1}), ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True}),
    ("RMSprop", {}), ("RMSprop", {"momentum": 0.7, "centered": True, "weight_decay": 0.1}),
    ("RMSprop", {"alpha": 0.8, "centered": True, "maximize": True}), ("RMSprop", {"momentum": 0.5, "eps": 1e-3}),
    ("Adagrad", {}), ("Adagrad", {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.5, "weight_decay": 0.1}),
    ("Adadelta", {}), ("Adadelta", {"lr": 0.5, "rho": 0.7, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}), ("NAdam", {"lr": 0.1, "momentum_decay": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("NAdam", {"weight_decay": 0.2, "maximize": True}),
    ("RAdam", {}), ("RAdam", {"lr": 0.1, "betas": (0.9, 0.9), "weight_decay": 0.1}),
    ("RAdam", {"betas": (0.5, 0.7), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adamax", {}), ("Adamax", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {}), ("Rprop", {"lr": 0.1, "etas": (0.3, 1.6), "step_sizes": (0.02, 0.2), "maximize": True}),
    ("ASGD", {}), ("ASGD", {"lr": 0.1, "lambd": 0.1, "t0": 3, "alpha": 0.5, "weight_decay": 0.1, "maximize": True}),
]
IDS = [f"{name}-{i}" for i, (name, _) in enumerate(OPTIONS)]
SHAPES = [(3, 4), (7,), (), (0, 2), (2, 3, 5)]
NAMES = sorted({name for name, _ in OPTIONS})


def problem(lib, side, dtype=np.float32):
    """Parameters and the function that gives them the gradients of step i."""
    rng = np.random.default_rng(5)
    params = [lib.nn.Parameter(pair(torch, rng.normal(size=shape).astype(dtype))[side]) for shape in SHAPES]

    def gradients(i, skip=()):
        rng = np.random.default_rng(100 + i)
        for j, param in enumerate(params):
            grad = pair(torch, np.array(rng.normal(size=tuple(param.shape)), dtype=dtype))[side]
            param.grad = None if j in skip else grad

    return params, gradients


def run(lib, side, name, options, steps=8, skip=None, dtype=np.float32):
    params, gradients = problem(lib, side, dtype)
    optimizer = getattr(lib.optim, name)(params, **options)
    for i in range(steps):
        gradients(i, skip(i) if skip else ())
        optimizer.step()
    return params, optimizer


def assert_same_state(ours, theirs, rtol=1e-5):
    """Keys, layout and values of two state dicts."""
    assert ours.keys() == theirs.keys() and ours["state"].keys() == theirs["state"].keys()
    for key, state in theirs["state"].items():
        assert ours["state"][key].keys() == state.keys()
        for name, value in state.items():
            assert_same(ours["state"][key][name], value, rtol, 1e-6)
    for a, b in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        assert a == b


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=IDS)
def test_steps(name, options, dtype):
    ours, theirs = run(pydl, 0, name, options, dtype=dtype), run(torch, 1, name, options, dtype=dtype)
    for a, b in zip(ours[0], theirs[0], strict=True):
        assert_same(a, b, 2e-5, 2e-6)
    assert_same_state(ours[1].state_dict(), theirs[1].state_dict(), 2e-5)
    assert repr(ours[1]) == repr(theirs[1])


@pytest.mark.parametrize("name", NAMES)
def test_gradients_come_and_go(name):
    def skip(i):
        return [(), (0, 2), (1,), (0, 1, 2, 3, 4), (4,), (), (0,), ()][i]

    ours, theirs = run(pydl, 0, name, {}, skip=skip), run(torch, 1, name, {}, skip=skip)
    for a, b in zip(ours[0], theirs[0], strict=True):
        assert_same(a, b, 2e-5, 2e-6)
    assert_same_state(ours[1].state_dict(), theirs[1].state_dict(), 2e-5)


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=IDS)
def test_signature_and_defaults(name, options):
    def arguments(lib):
        signature = inspect.signature(getattr(lib.optim, name).__init__)
        return [(p.name, p.kind, p.default) for p in signature.parameters.values()]

    assert arguments(pydl) == arguments(torch)
    assert run(pydl, 0, name, options, 0)[1].defaults == run(torch, 1, name, options, 0)[1].defaults


@pytest.mark.parametrize("name", NAMES)
def test_resuming(name):
    """Saving and loading in the middle changes nothing, in the same optimizer, a new one, a copy, a pickled one."""
    params, gradients = problem(pydl, 0)
    start = [numpy(p).copy() for p in params]
    optimizer = getattr(pydl.optim, name)(params)

    def steps(optimizer, params, which):
        for i in which:
            rng = np.random.default_rng(i)
            for p in params:
                p.grad = pydl.from_numpy(np.array(rng.normal(size=tuple(p.shape)), np.float32))
            optimizer.step()
        return [numpy(p).copy() for p in params]

    want = steps(optimizer, params, range(6))
    for resume in ("new", "copy", "pickle", "looked at"):
        with pydl.no_grad():
            for p, old in zip(params, start, strict=True):
                p.copy_(pydl.from_numpy(old))
        optimizer, now = getattr(pydl.optim, name)(params), params
        steps(optimizer, params, range(3))
        if resume == "new":
            state = optimizer.state_dict()
            optimizer = getattr(pydl.optim, name)(params, lr=77.0)
            optimizer.load_state_dict(state)
        elif resume == "copy":
            optimizer = copy.deepcopy(optimizer)
        elif resume == "pickle":
            optimizer = pickle.loads(pickle.dumps(optimizer))
        else:
            assert optimizer.state is not None
        now = optimizer.param_groups[0]["params"]
        for a, b in zip(steps(optimizer, now, range(3, 6)), want, strict=True):
            assert (a == b).all(), resume


def test_state_is_live():
    """What is changed in the state counts in the next step."""
    params, gradients = problem(pydl, 0)
    optimizer = pydl.optim.Adam(params, lr=0.1)
    for i in range(2):
        gradients(i)
        optimizer.step()
    state = optimizer.state[params[0]]
    assert state["step"].item() == 2 and state["step"].dtype == pydl.float32
    state["exp_avg"] = pydl.full((3, 4), 1e6)
    before = numpy(params[0]).copy()
    gradients(2)
    optimizer.step()
    assert (numpy(params[0]) < before - 1).all()
    optimizer.state.clear()
    gradients(3)
    optimizer.step()
    assert optimizer.state[params[1]]["step"].item() == 1


def test_options_are_live():
    weight = pydl.nn.Parameter(pydl.zeros(1))
    rate = pydl.tensor(0.5)
    optimizer = pydl.optim.SGD([weight], lr=rate)
    weight.grad = pydl.ones(1)
    optimizer.step()
    rate.fill_(2.0)
    optimizer.step()
    assert weight.item() == -2.5
    optimizer.param_groups[0]["momentum"] = 0.5
    optimizer.param_groups[0]["lr"] = 1
    optimizer.step()
    optimizer.step()
    assert weight.item() == -5.0
    other = pydl.nn.Parameter(pydl.zeros(2))
    optimizer.param_groups[0]["params"][0] = other
    other.grad = pydl.ones(2)
    optimizer.step()
    assert other.tolist() == [-1.0, -1.0] and weight.item() == -5.0


def test_groups():
    a, b, c = (pydl.nn.Parameter(pydl.zeros(1)) for _ in range(3))
    optimizer = pydl.optim.SGD([{"params": a}, {"params": (p for p in [b]), "lr": 10.0}], lr=1.0)
    optimizer.add_param_group({"params": [c], "momentum": 0.9})
    for p in (a, b, c):
        p.grad = pydl.ones(1)
    optimizer.step()
    assert [p.item() for p in (a, b, c)] == [-1, -10, -1]
    assert [group["params"] for group in optimizer.state_dict()["param_groups"]] == [[0], [1], [2]]
    assert "\n\nParameter Group 2\n" in repr(optimizer)
    assert list(optimizer.state_dict()["state"]) == [2]
    named = pydl.optim.SGD([("a", a), ("b", b)])
    assert named.param_groups[0]["param_names"] == ["a", "b"] and named.param_groups[0]["params"][1] is b
    with pytest.raises(ValueError, match="expected a param group with names"):
        named.add_param_group({"params": [c]})


def test_closure_and_hooks():
    weight = pydl.nn.Parameter(pydl.ones(1))
    optimizer = pydl.optim.SGD([weight], lr=0.25)
    calls = []
    optimizer.register_step_pre_hook(lambda opt, args, kwargs: calls.append("pre"))
    handle = optimizer.register_step_post_hook(lambda opt, args, kwargs: calls.append("post"))

    def closure():
        optimizer.zero_grad()
        loss = (weight * weight).sum()
        loss.backward()
        return loss

    with pydl.no_grad():
        assert optimizer.step(closure).item() == 1.0
    assert weight.item() == 0.5 and calls == ["pre", "post"]
    handle.remove()
    optimizer.step()
    assert calls == ["pre", "post", "pre"]
    optimizer.register_state_dict_post_hook(lambda opt, state: {**state, "more": 1})
    optimizer.register_load_state_dict_pre_hook(lambda opt, state: {**state, "state": {}})
    optimizer.register_load_state_dict_post_hook(lambda opt: calls.append("loaded"))
    state = optimizer.state_dict()
    assert state["more"] == 1
    optimizer.load_state_dict(state)
    assert calls[-1] == "loaded"


def test_own_optimizer():
    """A class written for PyTorch: defaults, state, a step of its own and one that extends another."""

    class Halve(pydl.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"factor": 0.5})

        @pydl.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p]["n"] = self.state[p].get("n", 0) + 1
                    p.mul_(group["factor"])

    class Twice(pydl.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            return super().step(closure)

    weight = pydl.nn.Parameter(pydl.ones(1))
    halve = Halve([weight])
    halve.register_step_post_hook(lambda *args: None)
    halve.step()
    assert weight.item() == 0.5 and halve.state_dict()["state"] == {0: {"n": 1}}
    weight.grad = pydl.ones(1)
    twice, calls = Twice([weight], lr=1.0), []
    twice.register_step_pre_hook(lambda *args: calls.append(1))
    twice.step()
    assert weight.item() == -1.5 and calls == [1]


def test_zero_grad():
    params, gradients = problem(pydl, 0)
    optimizer = pydl.optim.SGD(params)
    gradients(0)
    optimizer.zero_grad(set_to_none=False)
    assert all(p.grad.abs().sum().item() == 0 for p in params)
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)
    optimizer.step()


def test_optimizer_keeps_nothing_alive():
    weight = pydl.nn.Parameter(pydl.ones(1))
    optimizer = pydl.optim.Adam([weight])
    weight.grad = pydl.ones(1)
    optimizer.step()
    gone = weakref.ref(weight)
    del weight, optimizer
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("name", NAMES)
def test_repeated_parameter(name):
    """Tied weights that are listed twice take two steps at a time."""
    def scenario(lib, side):
        params, gradients = problem(lib, side)
        with pytest.warns(UserWarning, match="duplicate parameters"):
            optimizer = getattr(lib.optim, name)([*params, params[0], params[1], params[0]], lr=0.01)
        for i in range(4):
            gradients(i, skip=(1,) if i == 2 else ())
            optimizer.step()
        return params, optimizer.state_dict()

    ours, theirs = scenario(pydl, 0), scenario(torch, 1)
    for a, b in zip(ours[0], theirs[0], strict=True):
        assert_same(a, b, 2e-5, 2e-6)
    assert_same_state(ours[1], theirs[1], 2e-5)


def test_loaded_counts_keep_their_dtype():
    def scenario(lib, side):
        params, gradients = problem(lib, side, np.float64)
        first, second = lib.optim.NAdam(params), lib.optim.NAdam(params)
        gradients(0)
        first.step()
        second.load_state_dict(first.state_dict())
        gradients(1)
        second.step()
        return second.state_dict()

    assert_same_state(scenario(pydl, 0), scenario(torch, 1))


def test_lowered_precision_state():
    weight = pydl.nn.Parameter(pydl.ones(4, dtype=pydl.bfloat16))
    optimizer = pydl.optim.Adam([weight])
    weight.grad = pydl.ones(4, dtype=pydl.bfloat16)
    optimizer.step()
    state = optimizer.state_dict()
    state["state"][0]["exp_avg"] = state["state"][0]["exp_avg"].float()
    optimizer.load_state_dict(state)
    assert optimizer.state[weight]["exp_avg"].dtype == pydl.bfloat16
    assert optimizer.state[weight]["step"].dtype == pydl.float32


def test_wrong_arguments():
    weight = pydl.nn.Parameter(pydl.zeros(1))
    optim = pydl.optim
    for call, error, text in (
        (lambda: optim.SGD([]), ValueError, "SGD: expected at least one parameter, got none"),
        (lambda: optim.SGD(weight), TypeError, "SGD: expected an iterable of tensors or dicts, got a Parameter"),
        (lambda: optim.SGD([3]), TypeError, "SGD: expected params to be tensors, got one of type int"),
        (lambda: optim.SGD([weight * 2]), ValueError, r"SGD: expected leaf tensors, got a non-leaf of shape \[1\]"),
        (lambda: optim.SGD([{"params": {weight}}]), TypeError,
         "SGD: expected params in an order, such as a list, got a set"),
        (lambda: optim.SGD([{"params": [weight]}, {"params": [weight]}]), ValueError,
         "SGD: expected each parameter in one group, got"),
        (lambda: optim.SGD([("a", weight), pydl.nn.Parameter()]), ValueError, "all without, got 1 of 2 with"),
        (lambda: optim.SGD([weight], lr=-1.0), ValueError, "SGD: expected a learning rate of at least 0, got -1.0"),
        (lambda: optim.SGD([weight], lr=float("nan")), ValueError, "at least 0, got nan"),
        (lambda: optim.SGD([weight], lr=pydl.ones(2)), ValueError,
         r"SGD: expected a learning rate of 1 element, got a tensor of shape \[2\]"),
        (lambda: optim.SGD([weight], momentum=-1), ValueError, "SGD: expected momentum of at least 0, got -1"),
        (lambda: optim.SGD([weight], nesterov=True), ValueError,
         "expected momentum above 0 and dampening 0 .*got 0 and 0"),
        (lambda: optim.Adam([weight], betas=(1.0, 0.9)), ValueError, r"Adam: expected betas\[0\] in \[0, 1\), got 1.0"),
        (lambda: optim.AdamW([weight], betas=(0, 0.9)), ValueError, "AdamW: expected betas .*, got int and float"),
        (lambda: optim.Adam([weight], eps=-1), ValueError, "Adam: expected eps of at least 0, got -1"),
        (lambda: optim.Adadelta([weight], rho=2), ValueError, r"Adadelta: expected rho in \[0, 1\], got 2"),
        (lambda: optim.Adagrad([weight], lr_decay=-1), ValueError, "Adagrad: expected lr_decay of"),
        (lambda: optim.NAdam([weight], momentum_decay=-1), ValueError, "NAdam: expected momentum_decay of"),
        (lambda: optim.RMSprop([weight], alpha=-1), ValueError, "RMSprop: expected alpha of"),
        (lambda: optim.Adam([weight], capturable=True), NotImplementedError, "Adam: expected capturable=False"),
        (lambda: optim.SGD([weight], differentiable=True), NotImplementedError, "differentiable"),
        (lambda: optim.Adam([weight], fused=True, foreach=True), RuntimeError,
         "expected fused=True or foreach=True, got both"),
        (lambda: optim.LBFGS([{"params": [weight]}, {"params": [pydl.nn.Parameter()]}]), ValueError,
         "LBFGS: expected one parameter group, got 2"),
        (lambda: optim.SGD([weight]).add_param_group([weight]), TypeError,
         "SGD: expected param_group to be a dict, got a list"),
        (lambda: optim.SGD([weight]).load_state_dict({"state": {}, "param_groups": []}), ValueError,
         "SGD.load_state_dict: expected 1 parameter groups, got 0"),
        (lambda: optim.SGD([weight]).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}), ValueError,
         r"SGD.load_state_dict: expected 1 parameters in group 0, got 2"),
    ):
        with pytest.raises(error, match=text):
            call()
    optim.Adam([weight], fused=True), optim.Adam([weight], foreach=False)


# -- L-BFGS -----------------------------------------------------------------------------------------------------------


def rosenbrock(lib, side, steps, **options):
    x = lib.nn.Parameter(pair(torch, np.array([-1.5, 2.0]))[side])
    y = lib.nn.Parameter(pair(torch, np.array(0.3))[side])
    optimizer = lib.optim.LBFGS([x, y], **options)
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2 + (y - x[1]) ** 4
        loss.backward()
        return loss

    for _ in range(steps):
        losses.append(optimizer.step(closure).item())
    state = optimizer.state_dict()["state"][0]
    return [*losses, *x.tolist(), y.item()], state["func_evals"], state["n_iter"]


@pytest.mark.parametrize(("steps", "options"), [
    (3, {"lr": 0.001, "max_iter": 4}), (4, {"line_search_fn": "strong_wolfe", "max_iter": 5}),
    (3, {"line_search_fn": "strong_wolfe", "history_size": 3}), (2, {"line_search_fn": "strong_wolfe", "max_eval": 7}),
    (12, {"line_search_fn": "strong_wolfe", "lr": 0.5}), (1, {"line_search_fn": "strong_wolfe", "max_eval": 2}),
    (3, {"lr": 0.01, "max_eval": 2, "tolerance_grad": 1e3}),
])
def test_lbfgs(steps, options):
    ours, theirs = rosenbrock(pydl, 0, steps, **options), rosenbrock(torch, 1, steps, **options)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6, atol=1e-9)
    assert ours[1:] == theirs[1:]


def test_lbfgs_converges():
    values, _, _ = rosenbrock(pydl, 0, 20, line_search_fn="strong_wolfe")
    np.testing.assert_allclose(values[-3:-1], [1, 1], atol=1e-4)
    with pytest.raises(RuntimeError, match="LBFGS: expected line_search_fn None or 'strong_wolfe', got 'golden'"):
        rosenbrock(pydl, 0, 1, line_search_fn="golden")


# -- averages ---------------------------------------------------------------------------------------------------------

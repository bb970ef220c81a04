"""Every schedule against PyTorch's: rates, momenta, states, resumption, composition."""
from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest

import pydl

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:Detected call of|The epoch parameter|To get the last learning rate")

SCHEDULES = [
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.9**epoch}),
    ("LambdaLR", {"lr_lambda": [lambda epoch: 1 / (1 + epoch), lambda epoch: 0.5]}),
    ("MultiplicativeLR", {"lr_lambda": lambda epoch: 1 - 0.05 * (epoch % 3)}),
    ("StepLR", {"step_size": 3}), ("StepLR", {"step_size": 1, "gamma": 0.7}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 9], "gamma": 0.5}),
    ("ConstantLR", {}), ("ConstantLR", {"factor": 0.5, "total_iters": 3}),
    ("LinearLR", {}), ("LinearLR", {"start_factor": 0.2, "end_factor": 0.0, "total_iters": 6}),
    ("ExponentialLR", {"gamma": 0.8}),
    ("PolynomialLR", {}), ("PolynomialLR", {"total_iters": 8, "power": 2.0}),
    ("CosineAnnealingLR", {"T_max": 5}), ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.1}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 4}),
    ("CyclicLR", {"base_lr": [0.1, 0.2], "max_lr": 1.0, "step_size_up": 3, "step_size_down": 2, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 3, "mode": "exp_range", "gamma": 0.9}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 3, "scale_fn": lambda x: 1 / x,
                  "cycle_momentum": False}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 20}),
    ("OneCycleLR", {"max_lr": [1.0, 2.0], "epochs": 5, "steps_per_epoch": 4, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 25, "three_phase": True, "pct_start": 0.2, "div_factor": 10.0}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 20, "cycle_momentum": False}),
]
IDS = [f"{name}-{i}" for i, (name, _) in enumerate(SCHEDULES)]


def optimizer(lib, kind="SGD", **options):
    params = [lib.nn.Parameter(lib.zeros(1)) for _ in range(2)]
    options = options or ({"momentum": 0.5} if kind == "SGD" else {})
    return getattr(lib.optim, kind)([{"params": params[:1]}, {"params": params[1:], "lr": 0.3}], lr=1.0, **options)


def rates(opt):
    """The options that schedules change."""
    return [value for group in opt.param_groups for value in
            (float(group["lr"]), group.get("momentum", 0), *group.get("betas", ()))]


def follow(opt, scheduler, steps, args=None):
    seen = [rates(opt)]
    for i in range(steps):
        opt.step()
        scheduler.step(*(() if args is None else (args[i],)))
        seen.append(rates(opt))
    last = list(map(float, scheduler.get_last_lr()))
    return [*seen, last + [0.0] * (len(seen[0]) - len(last))]


def both(scenario):
    np.testing.assert_allclose(scenario(pydl), scenario(torch), rtol=1e-9, atol=1e-12)


def make(lib, name, options, opt, **more):
    return getattr(lib.optim.lr_scheduler, name)(opt, **options, **more)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=IDS)
def test_rates(name, options, kind):
    def scenario(lib):
        opt = optimizer(lib, kind)
        return follow(opt, make(lib, name, options, opt), 19)

    both(scenario)


@pytest.mark.parametrize("name", ["LinearLR", "PolynomialLR"])
def test_no_iterations(name):
    def scenario(lib):
        opt = optimizer(lib)
        return follow(opt, make(lib, name, {"total_iters": 0}, opt), 4)

    both(scenario)


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=IDS)
def test_saving_in_the_middle(name, options):
    opt = optimizer(pydl)
    scheduler = make(pydl, name, options, opt)
    want = follow(opt, scheduler, 12)
    opt = optimizer(pydl)
    scheduler = make(pydl, name, options, opt)
    follow(opt, scheduler, 5)
    other = optimizer(pydl)
    resumed = make(pydl, name, options, other)
    other.load_state_dict(opt.state_dict())
    state = scheduler.state_dict()
    assert "optimizer" not in state
    resumed.load_state_dict(state)
    np.testing.assert_allclose(follow(other, resumed, 7), want[5:], rtol=1e-12)
    assert scheduler.state_dict().keys() == state.keys()


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=IDS)
def test_last_epoch(name, options):
    def scenario(lib):
        opt = optimizer(lib)
        follow(opt, make(lib, name, options, opt), 4)
        return follow(opt, make(lib, name, options, opt, last_epoch=4), 8)

    both(scenario)
    with pytest.raises(KeyError, match=rf"{name}: expected 'initial_lr' in param_groups\[0\] to resume after epoch 3"):
        make(pydl, name, options, optimizer(pydl), last_epoch=3)


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=IDS)
def test_jumping_to_an_epoch(name, options):
    def scenario(lib):
        opt = optimizer(lib)
        return follow(opt, make(lib, name, options, opt), 4, [3, 8, 2, 11])

    both(scenario)


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=IDS)
def test_rate_in_a_tensor(name, options):
    opt, plain = optimizer(pydl), optimizer(pydl)
    for group in opt.param_groups:
        group["lr"] = pydl.tensor(group["lr"], dtype=pydl.float64)
    held = opt.param_groups[0]["lr"]
    got = follow(opt, make(pydl, name, options, opt), 9)
    np.testing.assert_allclose(got, follow(plain, make(pydl, name, options, plain), 9), rtol=1e-6)
    assert opt.param_groups[0]["lr"] is held


def test_signatures():
    names = {name for name, _ in SCHEDULES} | {"ChainedScheduler", "SequentialLR", "ReduceLROnPlateau", "LRScheduler"}
    assert names == set(pydl.optim.lr_scheduler.__all__)
    for name in names:
        ours, theirs = ([(p.name, p.default) for p in inspect.signature(
            getattr(lib.optim.lr_scheduler, name).__init__).parameters.values()] for lib in (pydl, torch))
        assert ours == theirs, name


@pytest.mark.parametrize("options", [
    {}, {"mode": "max", "patience": 1}, {"patience": 0, "cooldown": 2, "factor": 0.5},
    {"patience": 2, "min_lr": [0.2, 0.01]},
    {"threshold_mode": "abs", "threshold": 0.5, "patience": 1, "min_lr": 0.05}, {"patience": 0, "eps": 0.2},
    {"mode": "max", "threshold_mode": "abs", "threshold": 0.1, "patience": 1},
])
def test_plateau(options):
    metrics = np.random.default_rng(0).normal(size=40).cumsum().tolist()
    metrics[7] = float("nan")

    def scenario(lib):
        opt = optimizer(lib)
        scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(opt, **options)
        first = follow(opt, scheduler, 20, [lib.tensor(m) for m in metrics])
        other = lib.optim.lr_scheduler.ReduceLROnPlateau(opt)
        other.load_state_dict(scheduler.state_dict())
        return first + follow(opt, other, 20, metrics[20:])

    both(scenario)


def test_chained():
    def scenario(lib):
        opt, s = optimizer(lib), lib.optim.lr_scheduler
        chained = s.ChainedScheduler([s.ConstantLR(opt, 0.1, 4), s.ExponentialLR(opt, 0.9), s.StepLR(opt, 3)])
        first = follow(opt, chained, 6)
        chained.load_state_dict(chained.state_dict())
        return first + follow(opt, chained, 6)

    both(scenario)


def test_sequential():
    def scenario(lib):
        opt, s = optimizer(lib), lib.optim.lr_scheduler
        parts = [s.LinearLR(opt, 0.1, total_iters=4), s.CosineAnnealingLR(opt, 6), s.ExponentialLR(opt, 0.9)]
        sequence = s.SequentialLR(opt, parts, [4, 9])
        first = follow(opt, sequence, 3)
        sequence.load_state_dict(sequence.state_dict())
        return first + follow(opt, sequence, 10)

    both(scenario)


def test_sequence_that_begins_with_a_sequence():
    def scenario(lib):
        opt, s = optimizer(lib), lib.optim.lr_scheduler
        inner = s.SequentialLR(opt, [s.ConstantLR(opt, 0.3, 2), s.StepLR(opt, 2)], [4])
        return follow(opt, s.SequentialLR(opt, [inner], []), 9)

    both(scenario)


def test_order_of_calls():
    opt = optimizer(pydl)
    scheduler = pydl.optim.lr_scheduler.ExponentialLR(opt, 0.9)
    with pytest.warns(UserWarning, match="Detected call of `lr_scheduler.step"):
        scheduler.step()
    opt = optimizer(pydl)
    scheduler = pydl.optim.lr_scheduler.ExponentialLR(opt, 0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opt.step()
        scheduler.step()
    with pytest.warns(UserWarning, match="get_last_lr"):
        scheduler.get_lr()


def test_wrong_arguments():
    s, opt = pydl.optim.lr_scheduler, optimizer(pydl)
    adagrad = optimizer(pydl, "Adagrad")
    for call, error, text in (
        (lambda: s.StepLR(3, 1), TypeError, "StepLR: expected an Optimizer, got int"),
        (lambda: s.LambdaLR(opt, [abs]), ValueError,
         "LambdaLR: expected 2 lr_lambdas, one for each param group, got 1"),
        (lambda: s.MultiplicativeLR(opt, 3), TypeError,
         "MultiplicativeLR: expected lr_lambda to be a function, got int"),
        (lambda: s.ConstantLR(opt, 2.0), ValueError, r"ConstantLR: expected a factor in \[0, 1\], got 2.0"),
        (lambda: s.LinearLR(opt, 0.0), ValueError, r"LinearLR: expected start_factor in \(0, 1\], got 0.0"),
        (lambda: s.LinearLR(opt, 0.5, 2.0), ValueError, r"LinearLR: expected end_factor in \[0, 1\], got 2.0"),
        (lambda: s.CosineAnnealingWarmRestarts(opt, 0), ValueError, "expected a positive integer T_0, got 0"),
        (lambda: s.CosineAnnealingWarmRestarts(opt, 1, 0), ValueError, "T_mult >= 1, got 0"),
        (lambda: s.CosineAnnealingWarmRestarts(opt, 1).step(-1), ValueError, "expected an epoch of at least 0, got -1"),
        (lambda: s.CyclicLR(opt, [0.1], 1.0), ValueError,
         "CyclicLR: expected 2 values of base_lr, one for each param group, got 1"),
        (lambda: s.CyclicLR(opt, 0.1, 1.0, mode="square"), ValueError, "CyclicLR: expected mode .*, got 'square'"),
        (lambda: s.CyclicLR(adagrad, 0.1, 1.0), ValueError,
         "CyclicLR: expected .* for cycle_momentum=True, got Adagrad"),
        (lambda: s.OneCycleLR(opt, 1.0), ValueError,
         "OneCycleLR: expected total_steps, or epochs and steps_per_epoch, got"),
        (lambda: s.OneCycleLR(opt, 1.0, total_steps=0), ValueError,
         "OneCycleLR: expected a positive integer total_steps, got 0"),
        (lambda: s.OneCycleLR(opt, 1.0, 5, pct_start=2.0), ValueError,
         r"OneCycleLR: expected a float pct_start in \[0, 1\], got 2.0"),
        (lambda: s.OneCycleLR(opt, 1.0, 5, anneal_strategy="log"), ValueError,
         "OneCycleLR: expected anneal_strategy .*, got 'log'"),
        (lambda: follow(opt, s.OneCycleLR(opt, 1.0, 2), 3), ValueError,
         "OneCycleLR: expected at most 2 steps, got step 3"),
        (lambda: s.ReduceLROnPlateau(opt, factor=1.0), ValueError,
         "ReduceLROnPlateau: expected a factor below 1, got 1.0"),
        (lambda: s.ReduceLROnPlateau(opt, "mean"), ValueError, "ReduceLROnPlateau: expected mode .*, got 'mean'"),
        (lambda: s.ReduceLROnPlateau(opt, min_lr=[0.1]), ValueError, "ReduceLROnPlateau: expected 2 min_lrs, .*got 1"),
        (lambda: s.ChainedScheduler([]), ValueError, "ChainedScheduler: expected at least one scheduler, got none"),
        (lambda: s.ChainedScheduler([s.ReduceLROnPlateau(opt)]), ValueError,
         "without arguments, got ReduceLROnPlateau"),
        (lambda: s.ChainedScheduler([s.StepLR(opt, 1)], optimizer(pydl)), ValueError,
         "expected schedulers of one optimizer, got StepLR at index 0"),
        (lambda: s.SequentialLR(opt, [s.StepLR(opt, 1)], [1]), ValueError,
         "SequentialLR: expected 0 milestones for 1 schedulers, got 1"),
    ):
        with pytest.raises(error, match=text):
            call()


def test_constant_lr_without_iterations_keeps_its_factor(torch_or_fail):
    rates = []
    for lib in (pydl, torch_or_fail):
        optimizer = lib.optim.SGD([lib.nn.Parameter(lib.zeros(1))], lr=1.0)
        scheduler = lib.optim.lr_scheduler.ConstantLR(optimizer, factor=0.25, total_iters=0)
        for _ in range(3):
            rates += scheduler.get_last_lr()
            optimizer.step()
            scheduler.step()
    assert rates == [0.25] * 6

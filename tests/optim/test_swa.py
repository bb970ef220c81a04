"""Averages of weights, and the schedule that goes with them, against PyTorch's."""
from __future__ import annotations

import inspect

import numpy as np
import pytest
from twins import assert_same, pair

import pydl

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("decay", [None, 0.8])
@pytest.mark.parametrize("lists", [False, True])
def test_averaged_model(use_buffers, decay, lists):
    results = []
    for lib in (pydl, torch):
        swa = lib.optim.swa_utils
        model = lib.nn.Linear(2, 1)
        model.register_buffer("b", lib.zeros(1))
        if lists:
            how = {"multi_avg_fn": swa.get_swa_multi_avg_fn() if decay is None else swa.get_ema_multi_avg_fn(decay)}
        else:
            how = {"avg_fn": None if decay is None else swa.get_ema_avg_fn(decay)}
        average = swa.AveragedModel(model, use_buffers=use_buffers, **how)
        for value in (1.0, 2.0, 4.0):
            with lib.no_grad():
                for tensor in (*model.parameters(), model.b):
                    tensor.fill_(value)
            average.update_parameters(model)
        results.append([average.module.weight, average.module.bias, average.n_averaged, average(lib.ones(1, 2))])
        if use_buffers:
            results[-1].append(average.module.b)
    assert_same(*results)


def test_one_average_function():
    swa = pydl.optim.swa_utils
    with pytest.raises(AssertionError, match="got both"):
        swa.AveragedModel(pydl.nn.ReLU(), avg_fn=swa.get_swa_avg_fn(), multi_avg_fn=swa.get_swa_multi_avg_fn())
    for make in (swa.get_ema_avg_fn, swa.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match=rf"{make.__name__}: expected a decay in \[0, 1\], got 1.5"):
            make(1.5)


@pytest.mark.parametrize("tuples", [False, True])
def test_update_bn(tuples):
    batches = np.random.default_rng(0).normal(2, 3, (4, 8, 3)).astype(np.float32)
    results = []
    for side, lib in enumerate((pydl, torch)):
        model = lib.nn.Sequential(lib.nn.BatchNorm1d(3, momentum=0.3), lib.nn.ReLU(), lib.nn.BatchNorm1d(3)).eval()
        inputs = [pair(torch, batch)[side] for batch in batches]
        lib.optim.swa_utils.update_bn([(x, 0) for x in inputs] if tuples else inputs, model)
        assert not model.training and not model[0].training and (model[0].momentum, model[2].momentum) == (0.3, 0.1)
        results.append(list(model.state_dict().values()))
    assert_same(*results, rtol=1e-5)
    pydl.optim.swa_utils.update_bn(None, pydl.nn.Linear(1, 1))  # nothing to do


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 5])
@pytest.mark.parametrize("swa_lr", [0.5, [0.5, 0.2]])
def test_swa_lr(strategy, epochs, swa_lr):
    def scenario(lib):
        groups = [{"params": [lib.nn.Parameter(lib.zeros(1))], "lr": lr} for lr in (1.0, 0.1)]
        optimizer = lib.optim.SGD(groups)
        decay = lib.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        scheduler = lib.optim.swa_utils.SWALR(optimizer, swa_lr, epochs, strategy)
        rates = [scheduler.get_last_lr()]
        for i in range(10):
            optimizer.step()
            (decay if i < 2 else scheduler).step()
            rates.append([group["lr"] for group in optimizer.param_groups])
            if i == 5:
                state = scheduler.state_dict()
                scheduler = lib.optim.swa_utils.SWALR(optimizer, swa_lr, epochs, strategy)
                scheduler.load_state_dict(state)
        return rates

    np.testing.assert_allclose(scenario(pydl), scenario(torch), rtol=1e-9)


def test_wrong_arguments():
    optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))])
    for args, message in (((0.1, 5, "square"), "anneal_strategy 'cos' or 'linear', got 'square'"),
                          ((0.1, -1), "anneal_epochs >= 0, got -1"), (([0.1, 0.2],), "expected 1 values of swa_lr")):
        with pytest.raises(ValueError, match=message):
            pydl.optim.swa_utils.SWALR(optimizer, *args)


@pytest.mark.parametrize("name", ["AveragedModel", "SWALR", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
                                  "get_swa_multi_avg_fn", "update_bn"])
def test_signatures(name):
    def arguments(lib):
        signature = inspect.signature(getattr(lib.optim.swa_utils, name))
        return [(p.name, p.kind, p.default) for p in signature.parameters.values()]

    assert arguments(pydl) == arguments(torch)


def test_a_wrong_schedule_leaves_the_optimizer_alone():
    optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    for wrong in ({"anneal_strategy": "square"}, {"anneal_epochs": -1}):
        with pytest.raises(ValueError, match="SWALR: expected anneal_"):
            pydl.optim.swa_utils.SWALR(optimizer, 0.5, **wrong)
    assert "swa_lr" not in optimizer.param_groups[0]

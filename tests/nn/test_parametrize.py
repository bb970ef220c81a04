"""Weight and spectral normalization against PyTorch, and the parametrizations under them."""
from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
from twins import assert_same, copy_weights, numpy, pair

import pydl
from pydl import nn

torch = pytest.importorskip("torch")

LAYERS = [("Linear", (4, 3), (5, 4)), ("Conv2d", (4, 6, 3), (2, 4, 5, 5)), ("ConvTranspose1d", (4, 3, 2), (2, 4, 5)),
    ("Conv1d", (4, 3, 2), (2, 4, 5))]
FORMS = ["weight_norm", "parametrizations.weight_norm", "spectral_norm", "parametrizations.spectral_norm"]


def normalize(lib, form, layer, **options):
    home = lib.nn.utils.parametrizations if form.startswith("parametrizations.") else lib.nn.utils
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(home, form.rpartition(".")[2])(layer, **options)


def remove(lib, form, layer):
    utils = lib.nn.utils
    if form.startswith("parametrizations."):
        return utils.parametrize.remove_parametrizations(layer, "weight")
    return getattr(utils, f"remove_{form}")(layer)


@pytest.mark.parametrize(("name", "args", "shape"), LAYERS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [{}, {"dim": 1}, {"dim": None}], ids=["default", "1", "None"])
def test_layers(name, args, shape, form, options):
    """The same state gives the same results, gradients and next state, in training, evaluation and after removal."""
    ours, theirs = (normalize(lib, form, getattr(lib.nn, name)(*args), **options) for lib in (pydl, torch))
    copy_weights(ours, theirs)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for step in range(3):
        if step == 2:
            ours.eval(), theirs.eval()
        a, b = pair(torch, x)
        y, z = ours(a), theirs(b)
        assert_same(y, z, 1e-5, 1e-5)
        for layer, loss in ((ours, y.square().sum()), (theirs, z.square().sum())):
            layer.zero_grad()
            loss.backward()
        for (key, p), (other, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            assert key == other
            assert_same(p.grad, q.grad, 1e-3, 1e-3)
        assert_same(list(ours.state_dict().values()), list(theirs.state_dict().values()), 1e-4, 1e-5)
    remove(pydl, form, ours), remove(torch, form, theirs)
    assert set(ours.state_dict()) == set(theirs.state_dict()) and type(ours) is getattr(nn, name)
    assert_same(ours.weight, theirs.weight, 1e-4, 1e-5)
    assert isinstance(ours.weight, nn.Parameter)
    assert_same(ours(a), theirs(b), 1e-4, 1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_in_a_network(form):
    """It trains, two forward passes before one backward included, and its state goes into a network of its kind."""
    net = nn.Sequential(normalize(pydl, form, nn.Linear(4, 8)), nn.ReLU(), normalize(pydl, form, nn.Linear(8, 1)))
    optimizer = pydl.optim.SGD(net.parameters(), lr=0.05)
    x, losses = pydl.randn(16, 4), []
    for _ in range(20):
        loss = (net(x) - x.sum(1, keepdim=True)).square().mean() + 0 * net(-x).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    other = nn.Sequential(normalize(pydl, form, nn.Linear(4, 8)), nn.ReLU(), normalize(pydl, form, nn.Linear(8, 1)))
    other.load_state_dict(net.state_dict())
    assert other.eval()(x).allclose(net.eval()(x))
    if "." in form:
        twin = copy.deepcopy(net)
        assert twin(x).equal(net(x)) and not any(a is b for a, b in zip(twin.parameters(), net.parameters()))


def test_state_of_the_older_weight_norm():
    old, new = normalize(pydl, FORMS[0], nn.Linear(3, 2)), normalize(pydl, FORMS[1], nn.Linear(3, 2))
    nn.Sequential(new).load_state_dict(nn.Sequential(old).state_dict())
    assert numpy(new.weight).tolist() == numpy(old.weight).tolist()


def test_what_raises():
    with pytest.warns(FutureWarning, match="parametrizations.weight_norm"):
        layer = nn.utils.weight_norm(nn.Linear(3, 2))
    for form in FORMS[0], FORMS[2]:
        layer = normalize(pydl, form, nn.Linear(3, 2))
        with pytest.raises(RuntimeError, match="(weight|spectral)_norm: expected a parameter without"):
            normalize(pydl, form, layer)
        with pytest.raises(ValueError, match=r"remove_\w+_norm: expected a parameter with .* of Linear"):
            remove(pydl, form, nn.Linear(3, 2))
    for form in FORMS[2:]:
        with pytest.raises(ValueError, match="n_power_iterations"):
            normalize(pydl, form, nn.Linear(3, 2), n_power_iterations=0)
    with pytest.raises(IndexError, match="expected a dimension"):
        normalize(pydl, FORMS[3], nn.Linear(3, 2), dim=2)
    parametrize = nn.utils.parametrize
    with pytest.raises(ValueError, match="expected a parametrized tensor, got 'weight'"):
        parametrize.remove_parametrizations(nn.Linear(3, 2), "weight")
    with pytest.raises(ValueError, match="expected a parameter or buffer of Linear, got 'scale'"):
        parametrize.register_parametrization(nn.Linear(3, 2), "scale", nn.ReLU())
    with pytest.raises(ValueError, match=r"expected a tensor of shape .*\[2, 3\]\), got .*\[6\]\)"):
        parametrize.register_parametrization(nn.Linear(3, 2), "weight", nn.Flatten(0))


# ---- Parametrizations ------------------------------------------------------------------------------------------------

def doubled(lib):
    class Double(lib.nn.Module):
        calls = 0

        def forward(self, x):
            type(self).calls += 1
            return 2 * x

        def right_inverse(self, x):
            return x / 2

    return Double()


def test_a_parametrization():
    parametrize = nn.utils.parametrize
    layer, double = nn.Linear(3, 2), doubled(pydl)
    weight, before = layer.weight, layer.weight.detach().clone()
    assert parametrize.register_parametrization(layer, "weight", double) is layer
    assert isinstance(layer, nn.Linear) and type(layer).__name__ == "ParametrizedLinear" and "Double" in repr(layer)
    assert parametrize.is_parametrized(layer) and not parametrize.is_parametrized(layer, "bias")
    assert layer.parametrizations.weight.original is weight and layer.weight.equal(before)
    assert type(nn.Linear(3, 2)).__name__ == "Linear"
    parametrize.register_parametrization(layer, "weight", nn.ReLU())
    assert layer.weight.equal(before.relu())
    calls = type(double).calls
    with parametrize.cached():
        assert layer.weight is layer.weight and type(double).calls == calls + 1
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and layer.weight is weight and weight.equal(before.relu())


@pytest.mark.parametrize("lib", [pydl, torch])
def test_assignment_and_removal_of_a_parametrization(lib):
    parametrize, layer = lib.nn.utils.parametrize, lib.nn.Linear(3, 2)
    parametrize.register_parametrization(layer, "weight", doubled(lib))
    layer.weight = lib.ones(2, 3)
    assert layer.parametrizations.weight.original.tolist() == [[0.5] * 3] * 2 and layer.weight.tolist() == [[1] * 3] * 2
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert layer.weight.tolist() == [[0.5] * 3] * 2


def test_parametrized_buffers():
    net = nn.BatchNorm1d(2)
    nn.utils.parametrize.register_parametrization(net, "running_mean", doubled(pydl))
    net.running_mean = pydl.ones(2)
    assert dict(net.named_buffers())["parametrizations.running_mean.original"].tolist() == [0.5, 0.5]
    nn.utils.parametrize.remove_parametrizations(net, "running_mean")
    assert net.running_mean.tolist() == [1, 1] and "running_mean" in dict(net.named_buffers())

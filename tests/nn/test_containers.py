"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""
from __future__ import annotations

from collections import OrderedDict

import pytest

import pydl
from pydl import nn

torch = pytest.importorskip("torch")


def kinds(modules):
    return [type(module).__name__ for module in modules]


def both(scenario):
    """What a scenario yields in pydl is what it yields in PyTorch."""
    assert scenario(nn, pydl) == scenario(torch.nn, torch)


def test_sequential():
    def scenario(nn, lib):
        named = nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh(), c=nn.Sigmoid()))
        seen = [repr(named), repr(named[1:]), repr(named[-1]), repr(named.b)]
        model = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
        seen += [kinds(model), list(model.state_dict()), repr(model[1:]), repr(model[-1]), len(model)]
        model.append(nn.ELU())
        model.insert(0, nn.SELU())
        seen += [repr(model), kinds(model[::2])]
        model[1] = nn.Identity()
        del model[0]
        seen += [repr(model), repr(model.pop(-1)), repr(model + nn.Sequential(nn.GELU()))]
        model += nn.Sequential(nn.Mish())
        model *= 2
        return [*seen, repr(model), repr(2 * model), kinds(model.extend([nn.ReLU()]))]

    both(scenario)


def test_sequential_errors():
    model = nn.Sequential(nn.ReLU())
    with pytest.raises(IndexError):
        model[1]
    with pytest.raises(IndexError):
        del model[-2]
    with pytest.raises(ValueError, match="Sequential: expected a Sequential to add, got list"):
        model + [nn.ReLU()]
    with pytest.raises(ValueError, match="Sequential: expected a positive int to multiply by, got 0"):
        model * 0
    with pytest.raises(TypeError):
        model * 1.5


def test_module_list():
    def scenario(nn, lib):
        layers = nn.ModuleList([nn.ReLU(), nn.Tanh()])
        layers.append(nn.ELU())
        layers.insert(1, nn.GELU())
        layers += [nn.Mish()]
        seen = [repr(layers), repr(layers[1:3]), repr(layers + [nn.ReLU()]), kinds(layers)]
        layers[0] = nn.SELU()
        del layers[1:3]
        return [*seen, repr(layers), repr(layers.pop(0)), repr(layers), len(layers), layers[-1] in layers]

    both(scenario)
    with pytest.raises(TypeError, match="ModuleList.extend: expected an iterable of modules, got int"):
        nn.ModuleList().extend(3)


def test_module_dict():
    def scenario(nn, lib):
        modules = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Tanh()})
        modules.update([["c", nn.ELU()], ("a", nn.GELU())])
        seen = [repr(modules), list(modules), list(modules.keys()), kinds(modules.values()), "b" in modules]
        del modules["b"]
        return [*seen, repr(modules.pop("c")), [key for key, _ in modules.items()], len(modules), modules.clear()]

    both(scenario)
    for wrong, error in ((3, TypeError), ([3], TypeError), ([("a",)], ValueError)):
        with pytest.raises(error, match="ModuleDict.update: expected"):
            nn.ModuleDict().update(wrong)
    with pytest.raises(KeyError, match="ModuleDict: expected a name for a module that no attribute has, got 'keys'"):
        nn.ModuleDict({"keys": nn.ReLU()})


def test_parameter_list():
    def scenario(nn, lib):
        values = nn.ParameterList([lib.zeros(2, 3), nn.Parameter(lib.ones(1)), "text"])
        values += [lib.ones(2)]
        values[0] = lib.ones(4)
        text = repr(values).replace("torch.", "pydl.")
        return [len(values), [name for name, _ in values.named_parameters()], values[2], len(values[1:]),
                values[-1].tolist(), [type(value).__name__ for value in values], text]

    both(scenario)
    with pytest.raises(IndexError):
        nn.ParameterList()[0]
    with pytest.raises(RuntimeError, match="ParameterList: expected .* got a call"):
        nn.ParameterList()(1)


def test_parameter_dict():
    def scenario(nn, lib):
        values = nn.ParameterDict({"b": lib.zeros(2), "a": nn.Parameter(lib.ones(1)), "n": 3})
        values["c"] = lib.ones(3)
        seen = [list(values), list(reversed(values)), values.get("x", 7), values.get("n"), "a" in values, len(values)]
        other = values | nn.ParameterDict({"d": lib.ones(1)})
        seen += [list(other), values.popitem()[0], values.pop("n"), [k for k, v in values.items()],
                 [name for name, _ in values.named_parameters()], list(values.state_dict()),
                 values.setdefault("z", lib.ones(1)).tolist(), list(values.copy())]
        values.clear()
        return [*seen, len(values)]

    both(scenario)
    with pytest.raises(TypeError, match="string"):
        nn.ParameterDict()[3] = pydl.zeros(1)
    with pytest.raises(KeyError):
        nn.ParameterDict()["x"]


def test_parameters_of_containers_train():
    weights = nn.ParameterList([pydl.ones(1), pydl.ones(1)])
    (weights[0] * weights[1] * 3).sum().backward()
    assert [weight.grad.item() for weight in weights] == [3.0, 3.0]

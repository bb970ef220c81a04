"""Module: members, iteration, modes, hooks, state."""
from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import pytest
from twins import numpy

import pydl
from pydl import nn

torch = pytest.importorskip("torch")


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.scale = nn.Parameter(pydl.ones(3))
        self.register_buffer("count", pydl.tensor(0.0))
        self.register_buffer("cache", pydl.zeros(2), persistent=False)
        self.register_parameter("absent", None)

    def forward(self, input):
        return self.linear(input) * self.scale


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Block()
        self.second = self.first
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(3, 2, bias=False))

    def forward(self, input):
        return self.head(self.second(self.first(input)))


def test_names_and_sharing():
    net = Net()
    names = ["first.scale", "first.linear.weight", "first.linear.bias", "head.1.weight"]
    assert [name for name, _ in net.named_parameters()] == names
    assert len(list(net.parameters())) == 4
    both = [name for name, _ in net.named_parameters(remove_duplicate=False)]
    assert both == [*names[:3], "second.scale", "second.linear.weight", "second.linear.bias", names[3]]
    assert [name for name, _ in net.named_buffers()] == ["first.count", "first.cache"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "first.linear", "head", "head.0", "head.1"]
    assert [name for name, _ in net.named_children()] == ["first", "head"]
    assert list(net.first.named_parameters(prefix="p", recurse=False))[0][0] == "p.scale"
    assert list(net.state_dict()) == [
        "first.scale", "first.count", "first.linear.weight", "first.linear.bias",
        "second.scale", "second.count", "second.linear.weight", "second.linear.bias", "head.1.weight",
    ]


def test_members_behave_as_mappings():
    block = Block()
    assert list(block._parameters) == ["scale", "absent"] and block._parameters["absent"] is None
    assert block._parameters["scale"] is block.scale and "linear" in block._modules
    del block._parameters["scale"]
    assert not hasattr(block, "scale")
    block._buffers["late"] = pydl.ones(1)
    assert "late" in block.state_dict() and block.late.item() == 1.0
    del block.linear
    assert not list(block.children())


def test_assignment_changes_the_kind():
    module = nn.Module()
    module.x = 3
    module.x = nn.Parameter(pydl.zeros(1))
    assert "x" in dict(module.named_parameters())
    module.x = nn.ReLU()
    assert not list(module.parameters()) and "x" in dict(module.named_children())
    module.x = None
    assert module.x is None and list(module._modules) == ["x"]
    module.y = nn.Buffer(pydl.zeros(2), persistent=False)
    assert "y" in dict(module.named_buffers()) and not module.state_dict()
    module.y = pydl.ones(3)
    assert tuple(dict(module.named_buffers())["y"].shape) == (3,)


def test_wrong_members():
    block = Block()
    with pytest.raises(TypeError, match="Block: expected a Parameter or None as parameter 'scale', got .*Tensor"):
        block.scale = pydl.zeros(3)
    with pytest.raises(TypeError, match="Block: expected a Module or None as submodule 'linear', got int"):
        block.linear = 3
    with pytest.raises(TypeError, match="Block: expected a Tensor or None as buffer 'count', got str"):
        block.count = "three"
    with pytest.raises(KeyError, match="expected a name for a buffer that no attribute has, got 'forward'"):
        block.register_buffer("forward", pydl.zeros(1))
    for name in ("a.b", ""):
        with pytest.raises(KeyError, match="Block: expected .*name.* a module"):
            block.add_module(name, nn.ReLU())
    with pytest.raises(TypeError, match="Block: expected a Module or None as submodule 'x', got int"):
        block.add_module("x", 3)
    with pytest.raises(ValueError, match="Block: expected a leaf as parameter 'y'"):
        block.register_parameter("y", _non_leaf())
    with pytest.raises(AttributeError, match="object has no attribute 'nothing'"):
        block.nothing  # noqa: B018
    with pytest.raises(NotImplementedError, match='missing the required "forward" function'):
        nn.Module()(1)


def _non_leaf():
    class Odd(nn.Parameter):
        is_leaf = False

    return Odd(pydl.zeros(1))


def test_members_before_init():
    class Early(nn.Module):
        def __init__(self, value):
            self.x = value
            super().__init__()

    for value, word in ((nn.Parameter(pydl.zeros(1)), "parameter"), (nn.ReLU(), "module")):
        with pytest.raises(AttributeError, match=rf"Early: expected Module.__init__\(\) .* first, got {word} 'x'"):
            Early(value)
    assert Early(3).x == 3


def test_dotted_paths():
    net = Net()
    assert net.get_submodule("head.1") is net.head[1] and net.get_submodule("") is net
    assert net.get_parameter("first.linear.weight") is net.first.linear.weight
    assert net.get_buffer("first.count") is net.first.count
    with pytest.raises(AttributeError, match="Net: expected a submodule 'third', got none"):
        net.get_submodule("third")
    with pytest.raises(AttributeError, match="Net: expected a Module at 'first.scale', got .*Parameter"):
        net.get_submodule("first.scale")
    with pytest.raises(AttributeError, match="Net: expected a buffer at 'first.scale', got .*Parameter"):
        net.get_buffer("first.scale")
    net.set_submodule("head.0", nn.Tanh())
    assert isinstance(net.head[0], nn.Tanh)


def test_modes_and_dtypes():
    net = Net()
    assert net.eval() is net and not net.head[0].training
    assert net.train().head[0].training
    with pytest.raises(ValueError, match="train: expected mode to be a bool, got 1"):
        net.train(1)
    weight = net.first.linear.weight
    weight.grad = pydl.ones(3, 3)
    net.first.register_buffer("index", pydl.tensor([1]))
    net.double()
    assert net.first.linear.weight is weight
    assert weight.dtype == weight.grad.dtype == net.first.count.dtype == pydl.float64
    assert net.first.index.dtype == pydl.int64
    assert net.to(pydl.zeros(1, dtype=pydl.float32)).first.scale.dtype == pydl.float32
    assert net.to("cpu", pydl.float64).first.scale.dtype == pydl.float64
    assert net.bfloat16().half().float().first.scale.dtype == pydl.float32
    assert net.type(pydl.float64).first.index.dtype == pydl.float64
    with pytest.raises(TypeError, match="Module.to: expected a floating point dtype, got .*int32"):
        net.to(pydl.int32)
    for place in ((), ("cpu",), (pydl.float32,), (pydl.zeros(1),)):
        assert net.to(*place, memory_format=pydl.channels_last) is net
    assert net.to(memory_format=None).first.scale.dtype == pydl.float32
    conv = nn.Conv2d(3, 4, 3).to(memory_format=pydl.channels_last, dtype=pydl.float64)
    assert conv.weight.is_contiguous() and conv.weight.dtype == pydl.float64
    with pytest.raises(TypeError, match="Module.to: expected memory_format to be a pydl.memory_format, got 'nhwc'"):
        net.to(memory_format="nhwc")
    with pytest.raises(NotImplementedError):
        net.share_memory()


def test_gradients_of_parameters():
    net = Net()
    net(pydl.ones(1, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(p.grad is not None and float(p.grad.abs().sum()) == 0 for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert not any(p.requires_grad for p in net.requires_grad_(False).parameters())


def test_apply_visits_children_first():
    seen = []
    net = Net()
    net.apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "Block", "ReLU", "Linear", "Sequential", "Net"]


def test_copy_and_pickle():
    net = Net()
    net.first.linear.weight.grad = None
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.second is twin.first and twin.first.linear.weight is not net.first.linear.weight
        assert isinstance(twin.first.scale, nn.Parameter) and twin.first.scale.requires_grad
        x = pydl.ones(2, 3)
        assert (numpy(twin(x)) == numpy(net(x))).all()


# -- state ------------------------------------------------------------------------------------------------------------


def test_state_dict_shares_memory():
    net = Net()
    state = net.state_dict()
    assert isinstance(state, OrderedDict) and not state["head.1.weight"].requires_grad
    with pydl.no_grad():
        net.head[1].weight.fill_(7)
    assert float(state["head.1.weight"].sum()) == 42
    assert net.state_dict(keep_vars=True)["head.1.weight"] is net.head[1].weight


def test_load_reports_everything_and_changes_nothing():
    net = Net()
    before = numpy(net.first.scale).copy()
    state = {key: value + 1 for key, value in net.state_dict().items()}
    del state["head.1.weight"]
    state["first.linear.bias"] = pydl.zeros(5)
    state["extra"] = state["head.7.x"] = pydl.zeros(1)
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    text = str(caught.value)
    assert text.startswith("Error(s) in loading state_dict for Net:\n\t")
    assert 'Missing key(s) in state_dict: "head.1.weight". ' in text
    assert 'Unexpected key(s) in state_dict: "extra", "head.7.x". ' in text
    assert "size mismatch for first.linear.bias: copying a param with shape" in text
    assert (numpy(net.first.scale) == before).all()
    del state["first.linear.bias"], state["second.linear.bias"]
    result = net.load_state_dict(state, strict=False)
    assert result.unexpected_keys == [] or set(result.unexpected_keys) == {"extra", "head.7.x"}
    assert "head.1.weight" in result.missing_keys
    assert (numpy(net.first.scale) == before + 1).all()


def test_load_assign_and_odd_values():
    linear = nn.Linear(2, 2, bias=False)
    value = pydl.ones(2, 2, dtype=pydl.float64)
    assert repr(linear.load_state_dict({"weight": value}, assign=True)) == "<All keys matched successfully>"
    assert linear.weight.dtype == pydl.float64 and isinstance(linear.weight, nn.Parameter)
    with pytest.raises(RuntimeError, match="expected pydl.Tensor"):
        linear.load_state_dict({"weight": 3})
    with pytest.raises(TypeError, match="load_state_dict: expected a mapping as state_dict, got list"):
        linear.load_state_dict([1])


def test_extra_state():
    class Counter(nn.Module):
        n = 0

        def get_extra_state(self):
            return {"n": self.n}

        def set_extra_state(self, state):
            self.n = state["n"]

    counter = nn.Sequential(Counter())
    counter[0].n = 5
    state = counter.state_dict()
    assert state == {"0._extra_state": {"n": 5}}
    other = nn.Sequential(Counter())
    other.load_state_dict(state)
    assert other[0].n == 5
    with pytest.raises(RuntimeError, match="Missing"):
        other.load_state_dict({})


def test_state_hooks():
    linear = nn.Linear(1, 1, bias=False)
    linear.register_state_dict_pre_hook(lambda module, prefix, keep_vars: setattr(module, "seen", prefix))
    linear.register_state_dict_post_hook(lambda module, state, prefix, meta: state.update({prefix + "more": 1}))

    def rename(module, state, prefix, meta, strict, missing, unexpected, errors):
        state[prefix + "weight"] = state.pop(prefix + "old")
        state.pop(prefix + "more")

    linear.register_load_state_dict_pre_hook(rename)
    loaded = []
    linear.register_load_state_dict_post_hook(lambda module, keys: loaded.append(module.weight.item()))
    model = nn.Sequential(linear)
    state = model.state_dict()
    assert linear.seen == "0." and state["0.more"] == 1
    state["0.old"] = pydl.full((1, 1), 4.0)
    del state["0.weight"]
    model.load_state_dict(state)
    assert loaded == [4.0] and "0.old" in state


def test_versions_of_states(torch_or_fail):
    """A module that changed its layout converts the states that were written before."""
    seen = []
    for lib in (pydl, torch_or_fail):
        class Layer(lib.nn.Linear):
            _version = 3

            def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
                seen.append((prefix, local_metadata.get("version")))
                super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

        model = lib.nn.Sequential(lib.nn.ReLU(), lib.nn.Sequential(Layer(2, 2)))
        state = model.state_dict()
        model.load_state_dict(copy.deepcopy(state))
        model.load_state_dict(dict(state))
        seen.append({name: about["version"] for name, about in state._metadata.items()})
        inner = model[1]
        inner._register_load_state_dict_pre_hook(lambda state, prefix, *args: seen.append((prefix, sorted(state))))
        inner._register_load_state_dict_pre_hook(lambda module, *args: seen.append(len(module)), with_module=True)
        model.load_state_dict(state)
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]


# -- hooks ------------------------------------------------------------------------------------------------------------


def test_forward_hooks():
    linear, calls = nn.Identity(), []
    first = linear.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    linear.register_forward_pre_hook(lambda module, args, kwargs: calls.append(("pre", kwargs)), with_kwargs=True)
    linear.register_forward_hook(lambda module, args, output: output * 2)
    linear.register_forward_hook(lambda module, args, output: calls.append("first"), prepend=True)
    assert float(linear(pydl.tensor(1.0))) == 4.0
    assert calls == [("pre", {}), "first"]
    first.remove()
    assert float(linear(pydl.tensor(1.0))) == 2.0
    with linear.register_forward_pre_hook(lambda module, args: 10):
        assert linear(1) == 20
    assert linear(1) == 2
    linear.register_forward_pre_hook(lambda module, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="forward pre-hook: expected None or a tuple .*, got 3"):
        linear(1)


def test_always_called_hooks():
    class Fails(nn.Module):
        def forward(self, input):
            raise KeyError("no")

    module, calls = Fails(), []
    module.register_forward_hook(lambda module, args, output: calls.append("never"))
    module.register_forward_hook(lambda module, args, output: calls.append("always"), always_call=True)
    with pytest.raises(KeyError):
        module(1)
    assert calls == ["always"]


@pytest.mark.parametrize("inputs_need_grad", [True, False])
def test_full_backward_hooks(inputs_need_grad):
    def run(lib):
        seen = []

        class Two(lib.nn.Module):
            def __init__(self):
                super().__init__()
                self.w = lib.nn.Parameter(lib.tensor([2.0]))

            def forward(self, a, n, b):
                return a * b * self.w, b * n

        module = Two()
        module.register_full_backward_pre_hook(lambda m, g: tuple(None if x is None else x * 2 for x in g))
        module.register_full_backward_hook(
            lambda m, gi, go: seen.append([None if x is None else x.tolist() for x in (*gi, *go)]))
        if inputs_need_grad:
            module.register_full_backward_hook(lambda m, gi, go: tuple(None if x is None else x * 10 for x in gi))
        a, b = (lib.tensor([x], requires_grad=inputs_need_grad) for x in (3.0, 5.0))
        product, other = module(a, 4.0, b)
        (product.sum() + 0 * other.sum() if inputs_need_grad else product.sum()).backward()
        return seen, module.w.grad.tolist(), [None if x.grad is None else x.grad.tolist() for x in (a, b)]

    assert run(pydl) == run(torch)


def test_hooks_of_every_module():
    def run(lib):
        seen, hooks = [], lib.nn.modules.module
        model = lib.nn.Sequential(lib.nn.Identity(), lib.nn.ReLU(), lib.nn.MaxPool1d(2))
        model[1].register_forward_hook(lambda m, args, output: seen.append("own"))
        handles = [
            hooks.register_module_forward_pre_hook(lambda m, args: seen.append(("pre", type(m).__name__))),
            hooks.register_module_forward_hook(
                lambda m, args, kwargs, output: seen.append((type(m).__name__, output.tolist())), with_kwargs=True),
            hooks.register_module_full_backward_pre_hook(lambda m, g: seen.append((type(m).__name__, g[0].tolist()))),
            hooks.register_module_full_backward_hook(lambda m, gi, go: seen.append((type(m).__name__, gi[0].tolist()))),
        ]
        x = lib.tensor([[1.0, -2.0, 3.0, 4.0]], requires_grad=True)
        try:
            model(x).sum().backward()
            handles.pop().remove()
            handles.pop().remove()
            model(x)
        finally:
            for handle in handles:
                handle.remove()
        count = len(seen)
        model(x)
        return seen[:count], seen[count:], x.grad.tolist()

    assert run(pydl) == run(torch)
    assert nn.Module._hooks is None  # calls take the short way again


def test_repr_matches():
    def build(nn):
        class Odd(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(1, 2), nn.Linear(1, 2), nn.ReLU(), nn.ModuleList()])
                self.acts = nn.ModuleDict({"a": nn.ELU(0.5, inplace=True)})
                self.add_module("none", None)

            def extra_repr(self):
                return "one=1\ntwo=2"

        return nn.Sequential(Odd(), nn.Sequential(), nn.Dropout(0.1))

    assert repr(build(nn)) == repr(build(torch.nn))


# -- parameters -------------------------------------------------------------------------------------------------------


def test_parameter():
    data = pydl.zeros(2)
    parameter = nn.Parameter(data)
    data += 1
    assert parameter.tolist() == [1, 1] and parameter.is_leaf and isinstance(parameter, pydl.Tensor)
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    assert tuple(nn.Parameter().shape) == (0,)
    assert repr(parameter).startswith("Parameter containing:\n")
    twin = copy.deepcopy(parameter)
    assert isinstance(twin, nn.Parameter) and twin is not parameter and twin.tolist() == [1, 1]
    assert not isinstance(parameter * 2, nn.Parameter)
    with pytest.raises(RuntimeError):
        nn.Parameter(pydl.tensor([1]))


def test_lazy_linear():
    model = nn.Sequential(nn.LazyLinear(4), nn.LazyLinear(2, bias=False))
    assert repr(model[0]) == "LazyLinear(in_features=0, out_features=4, bias=True)"
    with pytest.raises(RuntimeError, match="initialized"):
        model[0].weight.shape  # noqa: B018
    copy.deepcopy(model)
    parameter = model[0].weight
    assert tuple(model(pydl.zeros(5, 3)).shape) == (5, 2)
    assert type(model[0]) is nn.Linear and model[0].weight is parameter and type(parameter) is nn.Parameter
    assert tuple(parameter.shape) == (4, 3) and parameter.abs().max().item() <= 3**-0.5
    lazy = nn.LazyLinear(4)
    lazy.load_state_dict(nn.Linear(7, 4).state_dict())
    assert tuple(lazy.weight.shape) == (4, 7) and tuple(lazy(pydl.zeros(7)).shape) == (4,)


def test_a_module_whose_last_hook_is_gone_is_called_without_hooks():
    layer = nn.Linear(2, 2)
    handles = [layer.register_forward_hook(lambda *_: None), layer.register_full_backward_hook(lambda *_: None),
        layer.register_state_dict_pre_hook(lambda *_: None)]
    for handle in handles:
        assert layer._hooks is not None
        handle.remove()
    assert layer._hooks is None
    with layer.register_forward_pre_hook(lambda module, args: (args[0] * 0,)):
        assert layer(pydl.ones(2)).equal(layer.bias)
    assert layer._hooks is None
    handles[0].remove()  # twice does nothing

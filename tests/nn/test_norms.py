"""Layers that keep running statistics: training and evaluation against PyTorch's, state, laziness, memory format."""
from __future__ import annotations

import numpy as np
import pytest
from twins import assert_same, copy_weights, numpy, pair

import pydl
from pydl import nn

torch = pytest.importorskip("torch")

SHAPES = {"1d": (4, 3, 5), "2d": (4, 3, 5, 6), "3d": (4, 3, 2, 5, 6)}


def channels_last(x):
    """The same values with the channels of a pixel together in memory."""
    n = x.dim()
    return x.permute(0, *range(2, n), 1).contiguous().permute(0, n - 1, *range(1, n - 1))


def train(lib, layer, arrays, layout=lambda x: x):
    """Outputs and gradients of a few training steps, then of one evaluation, with the state in between."""
    seen = []
    for step, values in enumerate(arrays):
        layer.train(step < len(arrays) - 1)
        leaf = lib.from_numpy(values.copy()).requires_grad_()
        y = layer(layout(leaf))
        (y * y * y).sum().backward()
        seen += [y, leaf.grad, *(p.grad for p in layer.parameters())]
        seen += [v.clone() for v in layer.state_dict().values()]
        layer.zero_grad()
    return seen


@pytest.mark.parametrize(("kind", "momentum"), [
    ("BatchNorm", 0.1), ("BatchNorm", None), ("BatchNorm", 1.0),  # None: the average over all batches
    ("InstanceNorm", 0.1), ("InstanceNorm", 1.0),
])
@pytest.mark.parametrize("dims", SHAPES)
def test_running_statistics(kind, dims, momentum):
    make = [getattr(lib, kind + dims)(3, momentum=momentum, affine=True, track_running_stats=True)
        for lib in (nn, torch.nn)]
    copy_weights(*make)
    rng = np.random.default_rng(1)
    arrays = [(3 + 2 * rng.standard_normal(SHAPES[dims])).astype(np.float32) for _ in range(4)]
    assert_same(train(pydl, make[0], arrays), train(torch, make[1], arrays), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("name", ["BatchNorm2d", "InstanceNorm2d"])
def test_memory_formats(name):
    """Channels-last input gives channels-last output and, but for rounding, the same values."""
    rng = np.random.default_rng(2)
    arrays = [rng.standard_normal((5, 19, 6, 7)).astype(np.float32) for _ in range(3)]
    results = [train(pydl, getattr(nn, name)(19, affine=True, track_running_stats=True), arrays, layout)
        for layout in (lambda x: x, channels_last)]
    for contiguous, last in zip(*results):
        want = numpy(contiguous)
        np.testing.assert_allclose(numpy(last), want, rtol=1e-5, atol=2e-6 * max(1, abs(want).max()))
    x = channels_last(pydl.from_numpy(arrays[0]))
    for layer in (getattr(nn, name)(19), nn.GroupNorm(1, 19)):
        assert layer(x).stride() == x.stride()
        assert layer(x.contiguous()).is_contiguous()


@pytest.mark.parametrize("layout", [lambda x: x, channels_last])
@pytest.mark.parametrize("training", [True, False])
def test_relu_after_batch_norm(training, layout):
    """In a Sequential the two are one pass with the same bits, unless somebody looks between them."""
    values = np.random.default_rng(4).standard_normal((4, 19, 5, 7)).astype(np.float32)
    values[0, 0, 0, 0] = np.nan
    seen = []
    for hooked in (False, True):
        pydl.manual_seed(0)
        model = nn.Sequential(nn.BatchNorm2d(19), nn.ReLU(inplace=True), nn.BatchNorm2d(19)).train(training)
        nn.init.uniform_(model[0].weight), nn.init.normal_(model[0].bias), nn.init.uniform_(model[0].running_var)
        calls = []
        if hooked:
            model[0].register_forward_hook(lambda *args, calls=calls: calls.append(args))
        x = pydl.from_numpy(values.copy()).requires_grad_()
        y = model(layout(x))
        first, = pydl.autograd.grad(y.nan_to_num().sum(), x, create_graph=True)
        assert len(calls) == hooked
        if training:  # else the gradient does not depend on x
            (first * first).nan_to_num().sum().backward()
        fused = pydl.autograd.grad(model(layout(x)).nan_to_num().sum(), [x, *model[0].parameters()])
        seen.append([y, *fused, *model.state_dict().values(), first, x.grad if training else first])
    for one, two in zip(seen[0][:-2], seen[1][:-2]):
        np.testing.assert_array_equal(numpy(one), numpy(two))
    for one, two in zip(seen[0][-2:], seen[1][-2:]):
        np.testing.assert_allclose(numpy(one), numpy(two), rtol=1e-4, atol=1e-5)
    assert nn.Sequential(nn.ReLU(), nn.BatchNorm2d(19))(x).shape == x.shape


def test_batch_of_one_value():
    layer = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="batch_norm: expected more than one value"):
        layer(pydl.zeros(1, 3))
    assert layer.eval()(pydl.ones(1, 3)).shape == (1, 3)
    with pytest.raises(ValueError, match="instance_norm: expected more than one value"):
        nn.InstanceNorm1d(3)(pydl.zeros(2, 3, 1))
    with pytest.raises(ValueError, match=r"BatchNorm2d: expected 4D input, got \[2, 3\]"):
        nn.BatchNorm2d(3)(pydl.zeros(2, 3))
    with pytest.raises(ValueError, match="GroupNorm: expected num_channels divisible by num_groups, got 6 and 4"):
        nn.GroupNorm(4, 6)


@pytest.mark.parametrize("dims", SHAPES)
@pytest.mark.parametrize("kind", ["BatchNorm", "InstanceNorm"])
def test_lazy(kind, dims):
    lazy = getattr(nn, f"Lazy{kind}{dims}")(affine=True, track_running_stats=True)
    assert lazy.has_uninitialized_params()
    x = pydl.randn(SHAPES[dims])
    y = lazy(x)
    assert type(lazy) is getattr(nn, kind + dims) and lazy.num_features == 3
    other = getattr(nn, kind + dims)(3, affine=True, track_running_stats=True)
    np.testing.assert_array_equal(numpy(y), numpy(other(x)))
    assert list(lazy.state_dict()) == list(other.state_dict())
    loaded = getattr(nn, f"Lazy{kind}{dims}")(affine=True, track_running_stats=True)
    loaded.load_state_dict(lazy.state_dict())
    assert loaded.running_mean.tolist() == lazy.running_mean.tolist()


def test_state_without_counter():
    """States from before PyTorch counted batches load."""
    state = nn.BatchNorm2d(3).state_dict()
    del state["num_batches_tracked"]
    layer = nn.BatchNorm2d(3)
    layer(pydl.randn(2, 3, 4, 4))
    layer.load_state_dict(state)
    assert layer.num_batches_tracked.item() == 1


def test_statistics_are_accurate():
    """A mean far from zero costs no more than PyTorch lets it cost."""
    rng = np.random.default_rng(3)
    values = (1000 + rng.standard_normal((16, 8, 33, 31))).astype(np.float32)
    exact = values.astype(np.float64)
    exact = (exact - exact.mean((0, 2, 3), keepdims=True)) / np.sqrt(exact.var((0, 2, 3), keepdims=True) + 1e-5)
    a, b = pair(torch, values)
    for layout in (lambda x: x, channels_last):
        ours = nn.functional.batch_norm(layout(a), None, None, training=True)
        theirs = torch.nn.functional.batch_norm(layout(b), None, None, training=True)
        off, allowed = abs(numpy(ours) - exact).max(), abs(numpy(theirs) - exact).max()
        assert off <= 4 * allowed
    mean, var = pydl.zeros(8), pydl.ones(8)
    nn.functional.batch_norm(a, mean, var, training=True, momentum=1.0)
    np.testing.assert_allclose(numpy(mean), values.astype(np.float64).mean((0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(numpy(var), values.astype(np.float64).var((0, 2, 3), ddof=1), rtol=1e-6)


def test_wrong_arguments():
    F = nn.functional
    x = pydl.randn(2, 4, 3)
    with pytest.raises(pydl.ShapeError, match="batch_norm: expected running_mean of one element for each"):
        F.batch_norm(x, pydl.zeros(3), pydl.ones(4))
    with pytest.raises(ValueError, match="batch_norm: expected running_mean and running_var both or neither"):
        F.batch_norm(x, pydl.zeros(4), None, training=True)
    with pytest.raises(RuntimeError, match="batch_norm: expected running_mean and running_var in evaluation mode"):
        F.batch_norm(x, None, None)
    with pytest.raises(RuntimeError, match="batch_norm: expected a floating point tensor, got int64"):
        F.batch_norm(x.long(), None, None, training=True)
    with pytest.raises(pydl.ShapeError, match="group_norm: expected a number of channels that num_groups divides"):
        F.group_norm(x, 3)
    mean, var = pydl.zeros(4), pydl.ones(4)
    with pytest.raises(RuntimeError):
        F.batch_norm(x, mean, var, pydl.ones(3), training=True)
    assert mean.tolist() == [0] * 4 and var.tolist() == [1] * 4


def test_wrong_channels_name_the_running_statistics():
    """A layer given an input of another width is told by what the user can see is wrong, before anything is written."""
    layer = nn.BatchNorm2d(4)
    with pytest.raises(pydl.ShapeError, match="batch_norm: expected running_mean of one element for each of 5"):
        layer(pydl.randn(2, 5, 3, 3))
    assert layer.running_mean.tolist() == [0] * 4 and layer.running_var.tolist() == [1] * 4
    F, x = nn.functional, pydl.randn(2, 4, 3)
    with pytest.raises(pydl.ShapeError, match="batch_norm: expected running_var of one element for each of 4 channels"):
        F.batch_norm(x, pydl.zeros(4), pydl.ones(5), pydl.ones(5))
    with pytest.raises(pydl.ShapeError, match="batch_norm: expected weight of one element for each of 4 channels"):
        F.batch_norm(x, pydl.zeros(4), pydl.ones(4), pydl.ones(5))


def test_read_only_statistics_are_refused_before_the_first_write():
    frozen = np.ones(4, np.float32)
    frozen.flags.writeable = False
    mean = pydl.zeros(4)
    with pytest.raises(RuntimeError, match="batch_norm: expected memory that may be written"):
        nn.functional.batch_norm(pydl.randn(2, 4, 3), mean, pydl.from_dlpack(frozen), training=True)
    assert mean.tolist() == [0] * 4


def test_gradients_of_an_empty_batch():
    x, layer = pydl.zeros(0, 4, 3, 5, requires_grad=True), nn.GroupNorm(2, 4)
    layer(x).sum().backward()
    nn.functional.instance_norm(x).sum().backward()
    assert x.grad.shape == x.shape and layer.weight.grad.tolist() == [0] * 4

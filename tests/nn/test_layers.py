"""Every layer against PyTorch's of the same name: repr, state, outputs, gradients."""
from __future__ import annotations

import inspect
import math
import warnings

import numpy as np
import pytest
from twins import assert_same, copy_weights, numpy, pair

import pydl
from pydl import nn

torch = pytest.importorskip("torch")

X = (5, 6)
LAYERS = [
    # (name, positional arguments, keyword arguments, shapes of the inputs)
    ("Identity", (54, 3), {"unused": 1}, [X]),
    ("Linear", (6, 4), {}, [X]), ("Linear", (6, 4), {"bias": False}, [(2, 3, 6)]), ("Linear", (6, 4), {}, [(6,)]),
    ("Linear", (6, 4), {}, [(0, 6)]),
    ("Bilinear", (3, 4, 2), {}, [(5, 3), (5, 4)]), ("Bilinear", (3, 4, 2, False), {}, [(2, 5, 3), (2, 5, 4)]),
    ("Flatten", (), {}, [(2, 3, 4)]), ("Flatten", (0, 1), {}, [(2, 3, 4)]), ("Unflatten", (1, (2, 3)), {}, [X]),
    ("Unflatten", (-1, [-1, 2]), {}, [X]),
    ("Dropout", (0.3,), {}, [X]), ("Dropout", (), {"inplace": True}, [X]), ("Dropout1d", (), {}, [(2, 3, 4)]),
    ("Dropout2d", (0.2, True), {}, [(2, 3, 4, 4)]), ("Dropout3d", (), {}, [(2, 3, 4, 4, 4)]),
    ("AlphaDropout", (0.1,), {}, [X]), ("FeatureAlphaDropout", (), {}, [(2, 3, 4)]),
    ("LayerNorm", (6,), {}, [X]), ("LayerNorm", ([5, 6], 1e-3), {"bias": False}, [(2, 5, 6)]),
    ("LayerNorm", (6,), {"elementwise_affine": False}, [X]),
    ("RMSNorm", (6,), {}, [X]), ("RMSNorm", ((5, 6), 0.1, False), {}, [(2, 5, 6)]),
    ("CosineSimilarity", (), {}, [X, X]), ("CosineSimilarity", (0, 0.1), {}, [X, X]),
    ("CosineSimilarity", (), {"dim": -1}, [X, (6,)]),
    ("PairwiseDistance", (), {}, [X, X]), ("PairwiseDistance", (1.0, 0.1, True), {}, [X, (6,)]),
    ("ReLU", (), {}, [X]), ("ReLU6", (), {}, [X]), ("LeakyReLU", (0.2,), {}, [X]), ("RReLU", (), {}, [X]),
    ("Threshold", (0.1, 20.0), {}, [X]), ("ELU", (0.7,), {}, [X]), ("SELU", (), {}, [X]), ("CELU", (1.3,), {}, [X]),
    ("GELU", (), {}, [X]), ("GELU", ("tanh",), {}, [X]), ("SiLU", (), {}, [X]), ("Mish", (), {}, [X]),
    ("Hardtanh", (), {}, [X]), ("Hardtanh", (-0.5, 2.0), {}, [X]), ("Hardsigmoid", (), {}, [X]),
    ("Hardswish", (), {}, [X]), ("Hardshrink", (0.3,), {}, [X]), ("Softshrink", (0.3,), {}, [X]),
    ("Sigmoid", (), {}, [X]), ("LogSigmoid", (), {}, [X]), ("Tanh", (), {}, [X]), ("Tanhshrink", (), {}, [X]),
    ("Softsign", (), {}, [X]), ("Softplus", (), {}, [X]), ("Softplus", (2.0, 1.0), {}, [X]),
    ("GLU", (), {}, [X]), ("GLU", (0,), {}, [(4, 3)]), ("PReLU", (), {}, [X]), ("PReLU", (6, 0.1), {}, [X]),
    ("Softmax", (1,), {}, [X]), ("Softmin", (0,), {}, [X]), ("LogSoftmax", (-1,), {}, [X]),
    ("Softmax2d", (), {}, [(2, 3, 4, 5)]), ("Softmax2d", (), {}, [(3, 4, 5)]),
    *((f"{kind}Pad{n}d", (1, *value), {}, [(2, 3, 4, 5, 6)[:n + 2]]) for n in (1, 2, 3) for kind, value in (
        ("Constant", (3.5,)), ("Zero", ()), ("Reflection", ()), ("Replication", ()), ("Circular", ()))),
    ("ConstantPad2d", ((1, 2, 0, -1), 3.5), {}, [(2, 3, 4, 5)]), ("ReflectionPad1d", ((3, 1),), {}, [(2, 4)]),
    ("ReplicationPad3d", ((0, 1, 2, 0, 1, 1),), {}, [(2, 3, 4, 5)]),
    ("CircularPad2d", ((2, 1, 0, 3),), {}, [(2, 3, 4)]), ("ZeroPad2d", (np.int64(1),), {}, [(2, 3, 4, 5)]),
    ("LPPool2d", (2, np.int64(2)), {}, [(2, 3, 4, 5)]),
    ("Upsample", (), {"scale_factor": 2}, [(2, 3, 4)]),
    ("Upsample", ((5, 7),), {"mode": "bilinear"}, [(2, 3, 4, 5)]),
    ("Upsample", (), {"scale_factor": (1.5, 2.0), "mode": "bicubic", "align_corners": True}, [(2, 3, 4, 5)]),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}, [(2, 3, 4, 5)]),
    ("UpsamplingBilinear2d", (6,), {}, [(2, 3, 4, 5)]),
    ("PixelShuffle", (2,), {}, [(2, 8, 3, 4)]), ("PixelUnshuffle", (2,), {}, [(2, 2, 6, 4)]),
    ("ChannelShuffle", (3,), {}, [(2, 6, 3, 4)]), ("Unfold", ((2, 3), 1, 1, 2), {}, [(2, 3, 5, 6)]),
    ("Fold", ((4, 5), (2, 3)), {}, [(2, 12, 9)]),
    ("BatchNorm1d", (6,), {}, [X]), ("BatchNorm1d", (3, 0.1), {"affine": False}, [(2, 3, 7)]),
    ("BatchNorm2d", (3,), {"bias": False}, [(2, 3, 6, 7)]), ("BatchNorm3d", (3,), {}, [(2, 3, 4, 5, 6)]),
    ("BatchNorm2d", (3,), {"track_running_stats": False}, [(2, 3, 6, 7)]),
    ("InstanceNorm1d", (3,), {}, [(2, 3, 7)]), ("InstanceNorm1d", (3,), {"affine": True}, [(3, 7)]),
    ("InstanceNorm2d", (3, 0.1), {"affine": True, "bias": False}, [(2, 3, 6, 7)]),
    ("InstanceNorm2d", (3,), {"track_running_stats": True}, [(2, 3, 6, 7)]),
    ("InstanceNorm3d", (3,), {"affine": True}, [(2, 3, 4, 5, 6)]),
    ("GroupNorm", (2, 6), {}, [X]), ("GroupNorm", (3, 6, 0.1), {"bias": False}, [(2, 6, 3, 4)]),
    ("GroupNorm", (1, 6), {"affine": False}, [(2, 6, 5)]),
    ("LocalResponseNorm", (3,), {}, [(2, 6, 5)]), ("LocalResponseNorm", (2, 0.5, 0.6, 2.0), {}, [(2, 5, 3, 4)]),
    ("MaxPool1d", (2,), {}, [(2, 3, 7)]), ("MaxPool1d", (3, 2, 1, 2), {"ceil_mode": True}, [(3, 9)]),
    ("MaxPool2d", (2,), {}, [(2, 3, 6, 7)]), ("MaxPool2d", ((3, 2), (2, 1), (1, 0)), {}, [(2, 17, 6, 7)]),
    ("MaxPool3d", (2,), {}, [(2, 3, 4, 5, 6)]), ("MaxPool3d", ((1, 2, 2), 1), {}, [(3, 4, 5, 6)]),
    ("AvgPool1d", (2,), {}, [(2, 3, 7)]), ("AvgPool1d", (3, 2, 1, True, False), {}, [(3, 8)]),
    ("AvgPool2d", (2,), {}, [(2, 3, 6, 7)]), ("AvgPool2d", (3, (2, 1), 1), {"divisor_override": 2}, [(2, 17, 6, 7)]),
    ("AvgPool3d", (2,), {}, [(2, 3, 4, 5, 6)]), ("AvgPool3d", ((1, 2, 2), 1), {}, [(3, 4, 5, 6)]),
    ("LPPool1d", (2, 3), {}, [(2, 3, 7)]), ("LPPool2d", (2, (3, 2)), {"stride": 1}, [(2, 3, 5, 6)]),
    ("LPPool3d", (2, 2), {}, [(2, 3, 4, 5, 6)]),
    ("AdaptiveMaxPool1d", (3,), {}, [(2, 3, 7)]), ("AdaptiveMaxPool2d", ((3, None),), {}, [(2, 3, 6, 7)]),
    ("AdaptiveMaxPool3d", (2,), {}, [(2, 3, 4, 5, 6)]), ("AdaptiveAvgPool1d", (3,), {}, [(3, 7)]),
    ("AdaptiveAvgPool2d", (1,), {}, [(2, 3, 6, 7)]), ("AdaptiveAvgPool2d", ((None, 2),), {}, [(3, 6, 7)]),
    ("AdaptiveAvgPool3d", ((2, 1, 3),), {}, [(2, 3, 4, 5, 6)]),
    ("Conv1d", (4, 6, 3), {}, [(2, 4, 9)]), ("Conv1d", (4, 6, 3, 2, 1, 1, 2, False), {}, [(4, 9)]),
    ("Conv2d", (4, 6, 3), {"padding": "same", "dilation": 2}, [(2, 4, 7, 8)]),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 0), "groups": 2}, [(2, 4, 7, 8)]),
    ("Conv2d", (4, 8, 3), {"padding": "valid", "groups": 4}, [(2, 4, 7, 8)]),
    ("Conv3d", (2, 3, 2), {"padding": 1, "bias": False}, [(1, 2, 4, 3, 5)]),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "output_padding": 1}, [(2, 4, 5)]),
    ("ConvTranspose2d", (4, 6, 3, 2, 1), {"groups": 2}, [(2, 4, 5, 4)]),
    ("ConvTranspose2d", (4, 6, 3), {"dilation": 2, "bias": False}, [(4, 5, 4)]),
    ("ConvTranspose3d", (2, 3, 2), {"stride": 2}, [(1, 2, 2, 3, 2)]),
    *((name, (), {"inplace": True}, [X]) for name in (
        "ReLU", "ReLU6", "LeakyReLU", "RReLU", "ELU", "SELU", "CELU", "SiLU", "Mish", "Hardtanh", "Hardsigmoid",
        "Hardswish")),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(LAYERS)]


@pytest.mark.parametrize(("name", "args", "kwargs", "shapes"), LAYERS, ids=IDS)
def test_layer(name, args, kwargs, shapes):
    ours, theirs = getattr(nn, name)(*args, **kwargs), getattr(torch.nn, name)(*args, **kwargs)
    copy_weights(ours, theirs)
    assert repr(ours) == repr(theirs)
    ours.eval(), theirs.eval()
    rng = np.random.default_rng(7)
    arrays = [rng.normal(0, 2, shape).astype(np.float32) for shape in shapes]
    leaves = [pair(torch, array, requires_grad=True) for array in arrays]
    results = []
    for layer, inputs in ((ours, [a for a, _ in leaves]), (theirs, [b for _, b in leaves])):
        output = layer(*(x * 1 for x in inputs))  # a leaf could not be written in place
        (output * output).sum().backward()
        results.append([output, *(x.grad for x in inputs), *(p.grad for p in layer.parameters())])
    assert_same(results[0], results[1], rtol=3e-5, atol=3e-5)


def test_every_layer_is_tested():
    lazy = {name for name in nn.modules.__all__ if name.startswith("Lazy")}
    named = {name for name, *_ in LAYERS} | {"Module", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"} | lazy
    named |= {name for module in (nn.modules.rnn, nn.modules.attention, nn.modules.positional, nn.modules.transformer,
                                  nn.modules.sparse) for name in module.__all__}  # in files of their own
    missing = {name for name in nn.modules.__all__ if not name.endswith(("Loss", "List", "Dict", "Sequential"))} - named
    assert not missing


def test_signatures():
    """Names, order and defaults of all arguments are PyTorch's; a function as default goes by its name."""
    def arguments(function):
        return [(p.name, p.kind, getattr(p.default, "__name__", p.default))
                for p in inspect.signature(function).parameters.values()]

    for name in sorted(set(nn.modules.__all__) - {"Attention", "KeyValueCache", "PositionalEncoding"}):  # pydl's own
        theirs = arguments(getattr(torch.nn, name).__init__)
        if [p[1] for p in theirs[1:]] == [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]:
            continue
        assert arguments(getattr(nn, name).__init__) == theirs, name
    for name in dir(nn.functional):
        ours, theirs = getattr(nn.functional, name), getattr(torch.nn.functional, name, None)
        theirs = getattr(torch.nn.functional, name + "_with_indices", theirs)  # max_pool2d itself hides its arguments
        if inspect.isfunction(ours) and inspect.isfunction(theirs):
            assert [a[:1] + a[2:] for a in arguments(ours)] == [a[:1] + a[2:] for a in arguments(theirs)], name


def test_initial_values():
    pydl.manual_seed(0)
    linear = nn.Linear(300, 200)
    bound = 1 / math.sqrt(300)
    for tensor in (linear.weight, linear.bias):
        values = numpy(tensor)
        assert abs(values).max() <= bound and abs(values).max() > 0.95 * bound
        assert abs(values.mean()) < 4 * bound / math.sqrt(3 * values.size)
    bilinear = nn.Bilinear(64, 8, 8)
    assert 0.95 / 8 < abs(numpy(bilinear.weight)).max() <= 1 / 8
    assert nn.PReLU(3).weight.tolist() == [0.25] * 3
    assert nn.LayerNorm(2).weight.tolist() == [1, 1] and nn.LayerNorm(2).bias.tolist() == [0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert tuple(nn.Linear(0, 3)(pydl.zeros(2, 0)).shape) == (2, 3)


def test_dtype_argument():
    for layer in (nn.Linear(2, 3, dtype=pydl.float64), nn.Bilinear(1, 2, 3, dtype=pydl.float64),
                  nn.LayerNorm(3, dtype=pydl.float64), nn.RMSNorm(3, device="cpu", dtype=pydl.float64),
                  nn.PReLU(dtype=pydl.float64)):
        assert all(p.dtype == pydl.float64 for p in layer.parameters())


@pytest.mark.parametrize("name", ["Dropout", "AlphaDropout"])
@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_statistics(name, inplace):
    pydl.manual_seed(3)
    x = pydl.randn(100_000)
    before = numpy(x).copy()
    y = getattr(nn, name)(0.25, inplace)(x)
    assert (y is x) == inplace
    after = numpy(y)
    if name == "Dropout":
        kept = after != 0
        np.testing.assert_allclose(after[kept], before[kept] / 0.75, rtol=1e-6)
        assert abs(kept.mean() - 0.75) < 0.01
    else:
        assert abs(after.mean()) < 0.02 and abs(after.var() - 1) < 0.05


@pytest.mark.parametrize(("name", "shape"), [
    ("Dropout1d", (20, 30, 4)), ("Dropout1d", (30, 4)), ("Dropout2d", (20, 30, 4, 4)), ("Dropout2d", (20, 30, 4)),
    ("Dropout3d", (20, 30, 2, 3, 4)), ("Dropout3d", (30, 2, 3, 4)), ("FeatureAlphaDropout", (20, 30, 4, 4)),
])
def test_channels_drop_together(name, shape):
    pydl.manual_seed(1)
    y = numpy(getattr(nn, name)(0.5)(pydl.ones(shape)))
    unbatched = (name, len(shape)) in (("Dropout1d", 2), ("Dropout3d", 4))
    channels = y.reshape(*shape[: 1 if unbatched else 2], -1)
    assert (channels == channels[..., :1]).all() and len(np.unique(y)) == 2


def test_alpha_dropout_in_place():
    x = pydl.zeros(1000)
    assert pydl.alpha_dropout_(x, 0.5, True) is x and len(x.unique()) == 2
    assert pydl.alpha_dropout_(x, p=0.5, train=False) is x
    with pytest.raises(ValueError, match="expected a probability"):
        pydl.alpha_dropout_(x, 2.0, True)


def test_dropout_limits():
    x = pydl.ones(10, requires_grad=True)
    for layer in (nn.Dropout(1.0), nn.AlphaDropout(1.0)):
        assert layer(x).abs().sum().item() == 0
    assert nn.Dropout(0.0)(x).tolist() == [1.0] * 10
    y = nn.Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            nn.Dropout(p)
        with pytest.raises(ValueError, match="between 0 and 1"):
            nn.functional.dropout(x, p)
    with pytest.raises(RuntimeError, match="dropout1d: expected a 2D or 3D input, got 1D"):
        nn.Dropout1d()(x)
    with pytest.raises(RuntimeError, match="feature_alpha_dropout: expected an input of at least 2 dimensions, got 1"):
        nn.functional.feature_alpha_dropout(x, 0.5, True)


@pytest.mark.parametrize(("name", "shape"), [("1d", (2, 3, 7)), ("2d", (2, 3, 5, 8)), ("3d", (2, 3, 4, 5, 6))])
def test_max_pool_and_back(name, shape):
    """Positions of a max pool are PyTorch's, and unpooling puts the values back there."""
    a, b = pair(torch, np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    results = []
    for lib, x in ((nn, a), (torch.nn, b)):
        pool, unpool = getattr(lib, f"MaxPool{name}")(2, return_indices=True), getattr(lib, f"MaxUnpool{name}")(2)
        pooled = pool(x)
        even = pool(x[(..., *(slice(4),) * (len(shape) - 2))])
        results.append([*pooled, unpool(*pooled, output_size=list(shape)), unpool(*even)])
        results[-1] += getattr(lib, f"AdaptiveMaxPool{name}")(3, return_indices=True)(x)
    assert repr(getattr(nn, f"MaxUnpool{name}")(3, 2, 1)) == repr(getattr(torch.nn, f"MaxUnpool{name}")(3, 2, 1))
    assert_same(results[0], results[1], rtol=0, atol=0)
    with pytest.raises(ValueError, match=rf"max_unpool{name}: expected output_size above .* got \[99"):
        getattr(nn, f"MaxUnpool{name}")(2)(*results[0][:2], output_size=[99] * (len(shape) - 2))


def test_adaptive_sizes_of_numpy():
    for kind in ("AdaptiveAvgPool2d", "AdaptiveMaxPool2d"):
        assert getattr(nn, kind)(np.int64(2))(pydl.zeros(1, 3, 5, 4)).shape == (1, 3, 2, 2)


def test_rrelu_in_training():
    pydl.manual_seed(2)
    x = pydl.full((10_000,), -1.0, requires_grad=True)
    y = nn.RReLU(0.1, 0.3)(x)
    slopes = -numpy(y)
    assert slopes.min() >= 0.1 and slopes.max() <= 0.3 and abs(slopes.mean() - 0.2) < 0.005
    y.sum().backward()
    np.testing.assert_allclose(numpy(x.grad), slopes, rtol=1e-6)


def test_wrong_arguments():
    with pytest.raises(AttributeError, match="Conv9d"):
        nn.Conv9d  # noqa: B018
    with pytest.raises(TypeError):
        nn.Unflatten("a", (1,))
    with pytest.raises(TypeError, match="Unflatten: expected integers in unflattened_size, got str at position 1"):
        nn.Unflatten(1, (2, "b"))
    with pytest.raises(ValueError, match="3D or 4D"):
        nn.Softmax2d()(pydl.zeros(2, 2))
    with pytest.raises(ValueError, match="Bilinear: expected positive in1_features, got 0"):
        nn.Bilinear(0, 1, 1)
    with pytest.raises(pydl.ShapeError, match="bilinear: expected"):
        nn.Bilinear(2, 3, 1)(pydl.zeros(4, 2), pydl.zeros(4, 2))
    with pytest.raises(ValueError):
        nn.functional.hardtanh(pydl.zeros(1), 1.0, -1.0)
    with pytest.raises(AssertionError):
        nn.Hardtanh(1.0, 1.0)
    with pytest.warns(UserWarning, match="Implicit dimension choice"):
        nn.Softmax()(pydl.zeros(2, 2))

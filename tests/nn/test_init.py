"""Initial values: distributions by their moments and limits, structures exactly."""
from __future__ import annotations

import math

import numpy as np
import pytest
from twins import numpy

import pydl
from pydl.nn import init

torch = pytest.importorskip("torch")

SHAPE = (200, 30, 5)  # fan_in 150, fan_out 1000
UNIFORM = [
    ("uniform_", {"a": -3.0, "b": 1.0}, -3.0, 1.0),
    ("xavier_uniform_", {}, -math.sqrt(6 / 1150), math.sqrt(6 / 1150)),
    ("xavier_uniform_", {"gain": 2.0}, -2 * math.sqrt(6 / 1150), 2 * math.sqrt(6 / 1150)),
    ("kaiming_uniform_", {"a": math.sqrt(5)}, -1 / math.sqrt(150), 1 / math.sqrt(150)),
    ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}, -math.sqrt(6 / 1000), math.sqrt(6 / 1000)),
]
NORMAL = [
    ("normal_", {"mean": 2.0, "std": 3.0}, 2.0, 3.0),
    ("xavier_normal_", {"gain": 0.5}, 0.0, 0.5 * math.sqrt(2 / 1150)),
    ("kaiming_normal_", {}, 0.0, math.sqrt(2 / 150)),
    ("kaiming_normal_", {"nonlinearity": "tanh"}, 0.0, 5 / 3 / math.sqrt(150)),
]


@pytest.mark.parametrize(("name", "options", "low", "high"), UNIFORM)
def test_uniform(name, options, low, high):
    pydl.manual_seed(0)
    tensor = pydl.nn.Parameter(pydl.empty(SHAPE))
    assert getattr(init, name)(tensor, **options) is tensor and tensor.is_leaf and tensor.requires_grad
    values = numpy(tensor)
    assert low * 1.0001 <= values.min() and values.max() <= high * 1.0001
    assert abs(values.mean() - (low + high) / 2) < 0.02 * (high - low)
    assert abs(values.std() * math.sqrt(12) / (high - low) - 1) < 0.02


@pytest.mark.parametrize(("name", "options", "mean", "std"), NORMAL)
def test_normal(name, options, mean, std):
    pydl.manual_seed(0)
    values = numpy(getattr(init, name)(pydl.empty(SHAPE), **options))
    assert abs(values.mean() - mean) < 0.05 * std and abs(values.std() / std - 1) < 0.02
    assert abs((abs(values - mean) < std).mean() - 0.6827) < 0.01


def test_truncated_normal():
    pydl.manual_seed(0)
    values = numpy(init.trunc_normal_(pydl.empty(SHAPE), mean=1.0, std=2.0, a=0.0, b=3.0))
    assert values.min() >= 0 and values.max() <= 3 and abs(values.mean() - 1.38) < 0.05
    with pytest.warns(UserWarning, match="more than 2 std"):
        init.trunc_normal_(pydl.empty(3), mean=100.0)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (3, 2, 4)])
def test_orthogonal(shape):
    pydl.manual_seed(0)
    matrix = numpy(init.orthogonal_(pydl.empty(shape), gain=2.0)).reshape(shape[0], -1)
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(matrix @ matrix.T, 4 * np.eye(len(matrix)), atol=1e-5)


@pytest.mark.parametrize(("name", "shape", "options"), [
    ("eye_", (3, 5), {}), ("zeros_", (2, 3), {}), ("ones_", (2,), {}), ("constant_", (2, 2), {"val": 0.3}),
    ("dirac_", (4, 2, 3), {}), ("dirac_", (4, 2, 3, 3), {"groups": 2}), ("dirac_", (2, 4, 1, 2, 5), {}),
])
def test_exact(name, shape, options):
    ours, theirs = (numpy(getattr(lib.nn.init, name)(lib.ones(shape), **options)) for lib in (pydl, torch))
    assert (ours == theirs).all()


def test_sparse():
    pydl.manual_seed(0)
    values = numpy(init.sparse_(pydl.empty(50, 8), 0.3, std=0.1))
    assert ((values == 0).sum(0) == 15).all() and 0.08 < values[values != 0].std() < 0.12


def test_gain():
    for name in ("linear", "conv2d", "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 2) == torch.nn.init.calculate_gain("leaky_relu", 2)
    with pytest.raises(ValueError, match="calculate_gain: expected the name of a nonlinearity .*, got 'swish'"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="calculate_gain: expected a number .*, got True"):
        init.calculate_gain("leaky_relu", True)


def test_wrong_shapes():
    vector = pydl.empty(3)
    for function in (init.eye_, init.dirac_, init.xavier_normal_, init.kaiming_uniform_, init.orthogonal_):
        with pytest.raises(ValueError, match=rf"{function.__name__}: expected .* got \[3\]"):
            function(vector)
    with pytest.raises(ValueError, match="dirac_: expected a first size divisible by groups, got 3 and 2"):
        init.dirac_(pydl.empty(3, 1, 1), groups=2)
    with pytest.raises(ValueError, match="kaiming_normal_: expected mode 'fan_in' or 'fan_out', got 'fan_sideways'"):
        init.kaiming_normal_(pydl.empty(2, 2), mode="fan_sideways")
    with pytest.warns(UserWarning, match="no-op"):
        init.kaiming_normal_(pydl.empty(0, 2))


@pytest.mark.parametrize("name", ["constant", "dirac", "eye", "kaiming_normal", "kaiming_uniform", "normal",
    "orthogonal", "sparse", "uniform", "xavier_normal", "xavier_uniform"])
def test_older_names(name):
    with pytest.warns(FutureWarning, match=f"nn.init.{name} is now deprecated"):
        assert getattr(init, name) is getattr(init, f"{name}_")


def test_a_name_that_never_was():
    with pytest.raises(AttributeError, match="has no attribute 'kaiming'"):
        init.kaiming(pydl.empty(2, 2))

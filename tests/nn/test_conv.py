"""Convolution layers: lazy ones, output sizes, padding modes, arguments."""
from __future__ import annotations

import numpy as np
import pytest
from twins import assert_same, copy_weights, pair

import pydl
from pydl import nn

KINDS = ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_lazy_layers_become_what_they_stand_for(kind, bias):
    axes = int(kind[-2])
    lazy = getattr(nn, f"Lazy{kind}")(6, 2, stride=2, groups=2, bias=bias)
    assert lazy.has_uninitialized_params()
    x = pydl.zeros(3, 4, *[5] * axes)
    shape = lazy(x).shape
    assert type(lazy) is getattr(nn, kind) and lazy.in_channels == 4
    assert repr(lazy) == repr(getattr(nn, kind)(4, 6, 2, stride=2, groups=2, bias=bias))
    assert lazy(x[0]).shape == shape[1:]
    with pytest.raises(RuntimeError, match=f"{axes + 1}D"):
        getattr(nn, f"Lazy{kind}")(6, 2)(pydl.zeros(4))
    with pytest.raises(ValueError, match=f"Lazy{kind}: expected in_channels divisible by groups, got 4 and 3"):
        getattr(nn, f"Lazy{kind}")(6, 2, groups=3)(x)


def test_output_size():
    torch = pytest.importorskip("torch")
    ours, theirs = (lib.nn.ConvTranspose2d(3, 2, 3, stride=(2, 3), padding=1) for lib in (pydl, torch))
    copy_weights(ours, theirs)
    x, y = pair(torch, np.random.default_rng(0).standard_normal((1, 3, 4, 5)).astype("float32"))
    for size in ((7, 13), (8, 15), (1, 2, 8, 14)):
        assert_same(ours(x, output_size=size), theirs(y, output_size=size), 1e-5, 1e-5)
    for size in ((6, 13), (9, 13), (7,)):
        with pytest.raises(ValueError, match="output_size"):
            ours(x, output_size=size)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [1, (2, 1), "same", "valid"])
def test_padding_modes(mode, padding):
    torch = pytest.importorskip("torch")
    ours, theirs = (lib.nn.Conv2d(3, 4, (3, 4), padding=padding, padding_mode=mode) for lib in (pydl, torch))
    assert repr(ours) == repr(theirs)
    copy_weights(ours, theirs)
    x, y = pair(torch, np.random.default_rng(0).standard_normal((2, 3, 6, 7)).astype("float32"), requires_grad=True)
    a, b = ours(x), theirs(y)
    assert_same(a, b, 1e-5, 1e-5)
    a.sum().backward()
    b.sum().backward()
    assert_same(x.grad, y.grad, 1e-4, 1e-5)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_weights_of_a_subclass(mode):
    torch = pytest.importorskip("torch")

    def standardized(lib):
        class Standardized(lib.nn.Conv2d):
            def forward(self, input):
                weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
                return self._conv_forward(input, weight, self.bias)

        class Doubled(Standardized):
            def _conv_forward(self, input, weight, bias):
                return super()._conv_forward(input, 2 * weight, bias)

        return Doubled(3, 4, 3, padding=1, padding_mode=mode)

    ours, theirs = standardized(pydl), standardized(torch)
    copy_weights(ours, theirs)
    x, y = pair(torch, np.random.default_rng(0).standard_normal((2, 3, 6, 7)).astype("float32"))
    assert_same(ours(x), theirs(y), 1e-5, 1e-5)
    with pydl.no_grad():
        assert_same(nn.Sequential(ours, nn.ReLU())(x), theirs(y).relu(), 1e-5, 1e-5)


@pytest.mark.parametrize(("args", "kwargs"), [
    ((3, 4, 3), {"groups": 2}), ((4, 3, 3), {"groups": 2}), ((4, 4, 3), {"groups": 0}),
    ((4, 4, 3), {"padding": "full"}), ((4, 4, 3), {"padding": "same", "stride": 2}),
    ((4, 4, 3), {"padding_mode": "mirror"}),
])
def test_arguments(args, kwargs):
    with pytest.raises(ValueError):
        nn.Conv2d(*args, **kwargs)


def test_transposed_layers_pad_with_zeros_only():
    with pytest.raises(ValueError, match="zeros"):
        nn.ConvTranspose1d(2, 2, 2, padding_mode="circular")

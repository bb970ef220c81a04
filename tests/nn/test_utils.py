"""Clipping of gradients, parameters as a vector, fused layers."""
from __future__ import annotations

import numpy as np
import pytest
from twins import assert_same, copy_weights, numpy, pair

import pydl
from pydl import nn

torch = pytest.importorskip("torch")

ARRAYS = [np.array([[3.0, -4.0], [0.5, 0.0]], np.float32), np.array([12.0], np.float32)]


def parameters():
    """The same parameters with the same gradients in both libraries, and one without a gradient."""
    sides = ([], [])
    for side, lib in enumerate((pydl, torch)):
        for array in ARRAYS:
            parameter = lib.nn.Parameter(pair(torch, array)[side])
            parameter.grad = pair(torch, array)[side]
            sides[side].append(parameter)
        sides[side].append(lib.nn.Parameter(lib.zeros(3)))
    return sides


@pytest.mark.parametrize("norm_type", [1, 2, 3.0, float("inf")])
@pytest.mark.parametrize("max_norm", [1.0, 100.0])
def test_clip_grad_norm(norm_type, max_norm):
    ours, theirs = parameters()
    assert_same(nn.utils.clip_grad_norm_((p for p in ours), max_norm, norm_type),
                torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type))
    for a, b in zip(ours[:2], theirs[:2], strict=True):
        assert_same(a.grad, b.grad)


def test_clip_grad_norm_limits():
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0
    ours, _ = parameters()
    ours[0].grad = pydl.full((2, 2), float("nan"))
    with pytest.raises(RuntimeError, match="get_total_norm: expected a finite norm of order 2.0 .* got nan"):
        nn.utils.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)
    assert ours[1].grad.item() == 12.0
    assert np.isnan(nn.utils.clip_grad_norm_(ours, 1.0).item())


def test_clip_grad_value():
    ours, _ = parameters()
    nn.utils.clip_grad_value_(ours, 3)
    assert ours[0].grad.tolist() == [[3.0, -3.0], [0.5, 0.0]] and ours[1].grad.item() == 3.0


def test_total_norm():
    ours, theirs = parameters()
    norm = nn.utils.get_total_norm([p.grad for p in ours[:2]])
    assert_same(norm, torch.nn.utils.get_total_norm([p.grad for p in theirs[:2]]))
    nn.utils.clip_grads_with_norm_(ours, 1.0, norm)
    assert abs(nn.utils.get_total_norm([p.grad for p in ours[:2]]).item() - 1) < 1e-5


def test_vector():
    model = nn.Linear(3, 2)
    vector = nn.utils.parameters_to_vector(model.parameters())
    assert vector.requires_grad and vector.tolist() == [*numpy(model.weight).ravel(), *numpy(model.bias)]
    nn.utils.vector_to_parameters(pydl.arange(8.0), model.parameters())
    assert model.bias.tolist() == [6.0, 7.0] and isinstance(model.bias, nn.Parameter)
    with pytest.raises(TypeError):
        nn.utils.vector_to_parameters([1.0], model.parameters())
    with pytest.raises(pydl.ShapeError):
        nn.utils.vector_to_parameters(pydl.zeros(7), model.parameters())
    assert model.bias.tolist() == [6.0, 7.0]


LAYERS = {"conv": (lambda nn, bias: nn.Conv2d(3, 4, 3, bias=bias), "BatchNorm2d", (2, 3, 6, 5)),
    "transposed": (lambda nn, bias: nn.ConvTranspose1d(3, 4, 3, stride=2, bias=bias), "BatchNorm1d", (2, 3, 6)),
    "linear": (lambda nn, bias: nn.Linear(3, 4, bias=bias), "BatchNorm1d", (5, 3))}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_fused_batch_norm(name, bias, affine):
    make, norm, shape = LAYERS[name]
    ours = make(nn, bias).double().eval(), getattr(nn, norm)(4, affine=affine).double().eval()
    theirs = make(torch.nn, bias).double().eval(), getattr(torch.nn, norm)(4, affine=affine).double().eval()
    with torch.no_grad():
        for value in (*theirs[1].state_dict().values(),):
            if value.is_floating_point():
                value.uniform_(0.5, 2)
    for a, b in zip(ours, theirs, strict=True):
        copy_weights(a, b)
    fuse, options = ("fuse_linear_bn_eval", {}) if name == "linear" else ("fuse_conv_bn_eval",
        {"transpose": name == "transposed"})
    fused, x = getattr(nn.utils, fuse)(*ours, **options), pydl.rand(*shape, dtype=pydl.float64)
    assert pydl.allclose(fused(x), ours[1](ours[0](x)), rtol=1e-10)
    if name == "linear" and not affine:
        return  # PyTorch folds norms with weights alone into linear layers
    expected = getattr(torch.nn.utils, fuse)(*theirs, **options)
    assert [k for k, _ in fused.named_parameters()] == [k for k, _ in expected.named_parameters()]
    assert [p.requires_grad for p in fused.parameters()] == [p.requires_grad for p in expected.parameters()]
    assert_same(fused.weight, expected.weight, rtol=1e-12)
    assert_same(fused.bias, expected.bias, rtol=1e-12, atol=1e-14)


def test_what_does_not_fuse():
    conv, norm = nn.Conv1d(1, 2, 1).eval(), nn.BatchNorm1d(2).eval()
    with pytest.raises(AssertionError, match="expected both modules in evaluation mode"):
        nn.utils.fuse_conv_bn_eval(conv.train(), norm)
    with pytest.raises(AssertionError, match="running statistics"):
        nn.utils.fuse_conv_bn_eval(conv.eval(), nn.BatchNorm1d(2, track_running_stats=False).eval())
    with pytest.raises(AssertionError, match="expected a batch norm of 3 features or 1, got 2"):
        nn.utils.fuse_linear_bn_eval(nn.Linear(1, 3).eval(), norm)

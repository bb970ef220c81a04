"""Clipping of gradients, parameters as a vector."""
from __future__ import annotations

import numpy as np
import pytest
from twins import assert_same, numpy, pair

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

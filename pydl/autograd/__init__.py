"""Gradients: the engine's functions, gradient modes and custom operations, with PyTorch's names."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydl import _core
from pydl._core import Tensor
from pydl.autograd import function, grad_mode, graph
from pydl.autograd.anomaly_mode import detect_anomaly, set_detect_anomaly
from pydl.autograd.function import Function, once_differentiable
from pydl.autograd.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from pydl.autograd.gradcheck import gradcheck, gradgradcheck  # not lazily: the module would take the function's name
from pydl.autograd.variable import Variable

if TYPE_CHECKING:
    from pydl.autograd import functional

__all__ = [
    "Function", "Variable", "backward", "detect_anomaly", "enable_grad", "function", "functional", "grad", "grad_mode",
    "gradcheck", "gradgradcheck", "graph", "inference_mode", "no_grad", "once_differentiable", "set_detect_anomaly",
    "set_grad_enabled",
]  # fmt: skip

_Tensors = Tensor | Sequence[Tensor]


def backward(
    tensors: _Tensors,
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: _Tensors | None = None,
) -> None:
    """Adds the gradients of `tensors` to the `grad` of the leaves they depend on, or to that of `inputs` alone.

    `grad_tensors` are the gradients that arrive at `tensors`; scalars need none. `create_graph` records the backward
    pass itself, for higher derivatives; `retain_graph` (by default: when it is recorded) keeps the graph for another
    pass.

    >>> import pydl
    >>> x = pydl.tensor(3.0, requires_grad=True)
    >>> pydl.autograd.backward([x * x, 2 * x])
    >>> x.grad
    tensor(8.)
    """
    retain = create_graph if retain_graph is None else retain_graph
    _core._backward(tensors, grad_tensors, retain, create_graph, inputs)


def grad(
    outputs: _Tensors,
    inputs: _Tensors,
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of the sum of `outputs` with respect to `inputs`, whose `grad` stays as it is.

    An input that the outputs do not depend on raises, unless `allow_unused` gives None or `materialize_grads` zeros.
    `only_inputs=False`, which PyTorch has given up, and `is_grads_batched=True` raise NotImplementedError.

    >>> import pydl
    >>> x = pydl.tensor(3.0, requires_grad=True)
    >>> pydl.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    if not only_inputs:
        raise NotImplementedError("grad: expected only_inputs=True, got False; backward() reaches the other leaves")
    if is_grads_batched:
        raise NotImplementedError("grad: expected is_grads_batched=False, got True; call grad() for each gradient")
    if materialize_grads and allow_unused is False:
        raise ValueError("grad: expected allow_unused to be True or None with materialize_grads=True, got False")
    retain = create_graph if retain_graph is None else retain_graph
    unused = bool(allow_unused) or materialize_grads
    results = _core._gradients(outputs, inputs, grad_outputs, retain, create_graph, unused)
    if materialize_grads:
        leaves = (inputs,) if isinstance(inputs, Tensor) else inputs
        pairs = zip(results, leaves, strict=True)
        results = tuple(_core.zeros_like(leaf, requires_grad=create_graph) if g is None else g for g, leaf in pairs)
    return results


def __getattr__(name: str) -> Any:
    if name == "functional":
        return importlib.import_module("pydl.autograd.functional")
    raise AttributeError(f"module 'pydl.autograd' has no attribute {name!r}")

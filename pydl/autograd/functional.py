"""Derivatives of functions: products with the Jacobian and the Hessian, and the matrices themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pydl
from pydl import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

_Function = Callable[..., Any]
_Tensors = tuple[Tensor, ...]


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _like(values: tuple[Any, ...], example: Any) -> Any:
    """A tuple where the caller gave one, else the single value."""
    return values if isinstance(example, tuple) else values[0]


def _leaves(inputs: Any, create_graph: bool) -> _Tensors:
    # Under create_graph the result stays connected to the caller's inputs.
    return tuple(
        x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in _tuple(inputs)
    )


def _gradients(outputs: Any, inputs: _Tensors, weights: Any, create_graph: bool, strict: bool) -> _Tensors:
    pairs = [(o, w) for o, w in zip(_tuple(outputs), weights, strict=True) if o.requires_grad]
    if not pairs:
        grads: tuple[Tensor | None, ...] = (None,) * len(inputs)
    else:
        grads = pydl.autograd.grad(
            [o for o, _ in pairs], inputs, [w for _, w in pairs], retain_graph=True, create_graph=create_graph,
            allow_unused=True,
        )  # fmt: skip
    if strict and any(g is None for g in grads):
        raise RuntimeError("functional: expected outputs that depend on every input (strict=True), got others")
    return tuple(pydl.zeros_like(x) if g is None else g for x, g in zip(inputs, grads, strict=True))


def _finished(value: Any, create_graph: bool) -> Any:
    if create_graph:
        return value
    return tuple(v.detach() for v in value) if isinstance(value, tuple) else value.detach()


def _weights(v: Any, outputs: Any, name: str) -> _Tensors:
    targets = _tuple(outputs)
    if v is None:
        if len(targets) != 1 or targets[0].numel() != 1:
            raise RuntimeError(f"{name}: expected v, since the function has more than one output, got None")
        return (pydl.ones_like(targets[0]),)
    weights = _tuple(v)
    shapes = [tuple(w.shape) for w in weights], [tuple(t.shape) for t in targets]
    if shapes[0] != shapes[1]:
        raise RuntimeError(f"{name}: expected v of shapes {shapes[1]}, got {shapes[0]}")
    return weights


def vjp(
    func: _Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The outputs of `func`, and v times its Jacobian.

    >>> import pydl
    >>> pydl.autograd.functional.vjp(lambda x: x * x, pydl.tensor([1.0, 2.0]), pydl.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with pydl.enable_grad():
        leaves = _leaves(inputs, create_graph)
        outputs = func(*leaves)
        result = _gradients(outputs, leaves, _weights(v, outputs, "vjp"), create_graph, strict)
    return _finished(outputs, create_graph), _like(_finished(result, create_graph), inputs)


def jvp(
    func: _Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The outputs of `func`, and its Jacobian times v: the vjp's own derivative with respect to its weights.

    >>> import pydl
    >>> pydl.autograd.functional.jvp(lambda x: x * x, pydl.tensor([1.0, 2.0]), pydl.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with pydl.enable_grad():
        leaves = _leaves(inputs, create_graph)
        outputs = func(*leaves)
        weights = tuple(pydl.zeros_like(o).requires_grad_() for o in _tuple(outputs))
        products = _gradients(outputs, leaves, weights, True, strict)
        result = _gradients(products, weights, _weights(v, _like(leaves, inputs), "jvp"), create_graph, False)
    return _finished(outputs, create_graph), _like(_finished(result, create_graph), outputs)


def _jacobian(
    func: _Function, leaves: _Tensors, create_graph: bool, strict: bool
) -> tuple[Any, tuple[_Tensors, ...]]:
    outputs = func(*leaves)
    blocks = []
    for output in _tuple(outputs):
        rows = []
        for i in range(output.numel()):
            weight = pydl.zeros(output.numel(), dtype=output.dtype)
            weight[i] = 1
            rows.append(_gradients(output, leaves, (weight.reshape(output.shape),), create_graph, strict))
        columns = zip(*rows, strict=True) if rows else [() for _ in leaves]
        blocks.append(
            tuple(
                (pydl.stack(list(column)) if column else pydl.zeros(0, *x.shape, dtype=x.dtype)).reshape(
                    *output.shape, *x.shape
                )
                for column, x in zip(columns, leaves, strict=True)
            )
        )
    return outputs, tuple(blocks)


def _check_strategy(op: str, name: str, strategy: str) -> None:
    if strategy == "forward-mode":
        raise NotImplementedError(f"{op}: expected {name}='reverse-mode', got 'forward-mode'")
    if strategy != "reverse-mode":
        raise ValueError(f"{op}: expected {name} 'reverse-mode', got {strategy!r}")


def jacobian(
    func: _Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """All first derivatives of `func`: for each output and input a tensor of shape output.shape + input.shape.

    The rows are computed one by one: `vectorize`, which asks PyTorch for all at once, changes nothing about the result.
    The strategy "forward-mode" raises NotImplementedError.

    >>> import pydl
    >>> pydl.autograd.functional.jacobian(lambda x: x * x, pydl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_strategy("jacobian", "strategy", strategy)
    with pydl.enable_grad():
        outputs, blocks = _jacobian(func, _leaves(inputs, create_graph), create_graph, strict)
    return _like(tuple(_like(_finished(row, create_graph), inputs) for row in blocks), outputs)


def hessian(
    func: _Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """All second derivatives of a function with one scalar output; `vectorize` and the strategy as in `jacobian`.

    >>> import pydl
    >>> pydl.autograd.functional.hessian(lambda x: (x**3).sum(), pydl.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    _check_strategy("hessian", "outer_jacobian_strategy", outer_jacobian_strategy)

    def gradient(*leaves: Tensor) -> _Tensors:
        return _scalar_gradient(func, leaves, "hessian", strict)

    with pydl.enable_grad():
        _, blocks = _jacobian(gradient, _leaves(inputs, create_graph), create_graph, strict)
    return _like(tuple(_like(_finished(row, create_graph), inputs) for row in blocks), inputs)


def _scalar_gradient(func: _Function, leaves: _Tensors, name: str, strict: bool) -> _Tensors:
    output = func(*leaves)
    if not isinstance(output, Tensor) or output.numel() != 1:
        raise RuntimeError(f"{name}: expected a function with one scalar output, got another")
    return _gradients(output, leaves, (pydl.ones_like(output),), True, strict)


def vhp(
    func: _Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The output of a scalar function, and v times its Hessian.

    >>> import pydl
    >>> pydl.autograd.functional.vhp(lambda x: (x**3).sum(), pydl.tensor([1.0, 2.0]), pydl.tensor([1.0, 10.0]))
    (tensor(9.), tensor([  6., 120.]))
    """
    with pydl.enable_grad():
        leaves = _leaves(inputs, create_graph)
        output = func(*leaves)
        gradient = _scalar_gradient(func, leaves, "vhp", strict)
        result = _gradients(gradient, leaves, _weights(v, _like(leaves, inputs), "vhp"), create_graph, strict)
    return _finished(output, create_graph), _like(_finished(result, create_graph), inputs)


def hvp(
    func: _Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The output of a scalar function, and its Hessian, which is symmetric, times v.

    >>> import pydl
    >>> pydl.autograd.functional.hvp(lambda x: x[0] * x[1], pydl.tensor([1.0, 2.0]), pydl.tensor([1.0, 10.0]))
    (tensor(2.), tensor([10.,  1.]))
    """
    return vhp(func, inputs, v, create_graph, strict)

"""Gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pydl
from pydl import Tensor

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """Raised by `gradcheck` and `gradgradcheck` where the two gradients differ."""


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, Tensor) else tuple(value)


def _differentiable(tensors: Sequence[Any]) -> list[Tensor]:
    return [t for t in tensors if isinstance(t, Tensor) and t.requires_grad]


def _analytical(output: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """For each leaf its Jacobian: a row for each element of the output."""
    rows: list[list[Tensor]] = [[] for _ in leaves]
    for i in range(output.numel()):
        seed = pydl.zeros(output.numel(), dtype=output.dtype)
        seed[i] = 1
        grads = pydl.autograd.grad(output, leaves, seed.reshape(output.shape), retain_graph=True, allow_unused=True)
        for row, leaf, grad in zip(rows, leaves, grads, strict=True):
            row.append(pydl.zeros(leaf.numel(), dtype=leaf.dtype) if grad is None else grad.detach().reshape(-1))
    return [pydl.stack(row) if row else pydl.zeros(0, x.numel()) for row, x in zip(rows, leaves, strict=True)]


def _numerical(outputs: Callable[[], list[Tensor]], leaf: Tensor, eps: float) -> list[Tensor]:
    """For each output its Jacobian for one leaf, by central differences: a column for each element of the leaf."""
    columns: list[list[Tensor]] = [[] for _ in outputs()]
    with pydl.no_grad():
        original = leaf.detach().clone()
        for i in range(leaf.numel()):
            sides = []
            for step in (eps, -eps):
                shifted = original.clone().reshape(-1)
                shifted[i] += step
                leaf.copy_(shifted.reshape(leaf.shape))
                sides.append([o.detach().clone().reshape(-1) for o in outputs()])
            leaf.copy_(original)
            for column, above, below in zip(columns, *sides, strict=True):
                column.append((above - below) / (2 * eps))
    return [pydl.stack(c, 1) if c else pydl.zeros(o.numel(), 0) for c, o in zip(columns, outputs(), strict=True)]


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compares the gradients of `func` with finite differences at `inputs`, which are best in float64.

    >>> import pydl
    >>> x = pydl.tensor([0.5, 1.0], dtype=pydl.float64, requires_grad=True)
    >>> pydl.autograd.gradcheck(pydl.sin, x)
    True
    """
    arguments = _as_tuple(inputs)
    leaves = _differentiable(arguments)
    if not leaves:
        raise ValueError("gradcheck: expected at least one input tensor that requires grad, got none")

    # Which outputs have gradients is settled once: without recording, none says so.
    chosen = [i for i, o in enumerate(_as_tuple(func(*arguments))) if isinstance(o, Tensor) and o.requires_grad]

    def outputs() -> list[Tensor]:
        results = _as_tuple(func(*arguments))
        return [results[i] for i in chosen]

    analytical = [_analytical(output, leaves) for output in outputs()]
    for position, leaf in enumerate(leaves):
        for number, numerical in enumerate(_numerical(outputs, leaf, eps)):
            if pydl.allclose(analytical[number][position], numerical, rtol, atol):
                continue
            if not raise_exception:
                return False
            raise GradcheckError(
                f"gradcheck: expected the Jacobian of output {number} for input {position} to be (finite differences)\n"
                f"{numerical}\ngot\n{analytical[number][position]}"
            )
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compares the second derivatives of `func` with finite differences of its first ones.

    >>> import pydl
    >>> x = pydl.tensor([0.5, 1.0], dtype=pydl.float64, requires_grad=True)
    >>> pydl.autograd.gradgradcheck(pydl.sin, x)
    True
    """
    arguments = _as_tuple(inputs)

    def outputs(own: Sequence[Any]) -> list[Tensor]:
        return [o for o in _as_tuple(func(*own)) if isinstance(o, Tensor) and o.requires_grad]

    if grad_outputs is None:
        random = pydl.Generator().manual_seed(0)
        seeds = [pydl.randn(o.shape, dtype=o.dtype, generator=random).requires_grad_() for o in outputs(arguments)]
    else:
        seeds = list(_as_tuple(grad_outputs))

    def gradients(*given: Any) -> tuple[Tensor, ...]:
        own, weights = given[: len(arguments)], list(given[len(arguments) :])
        with pydl.enable_grad():
            leaves = _differentiable(own)
            grads = pydl.autograd.grad(outputs(own), leaves, weights, create_graph=True, allow_unused=True)
        return tuple(pydl.zeros_like(x) if g is None else g for x, g in zip(leaves, grads, strict=True))

    return gradcheck(gradients, (*arguments, *seeds), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)

"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import pydl
from pydl import Tensor
from pydl._core import optim as _core
from pydl.optim._one_call import OneCallOptimizer, Plan, check_at_least_zero, check_learning_rate, number

__all__ = ["SGD"]


class SGD(OneCallOptimizer):
    """p -= lr d with d = g + weight_decay p; with momentum d becomes b = momentum b + (1 - dampening) d, where b starts
    as the first d; with Nesterov's it becomes d + momentum b (Sutskever et al. 2013).

    Of a row-sparse gradient only the rows that it holds move; with momentum, those that any gradient held so far.

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.tensor([1.0]))
    >>> optimizer = pydl.optim.SGD([weight], lr=0.5)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.item()
    0.0
    """

    _counts = ()
    _takes_sparse = True

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        name = type(self).__name__
        check_learning_rate(name, lr)
        check_at_least_zero(name, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                f"{name}: expected momentum above 0 and dampening 0 for nesterov=True, got {momentum} and {dampening}")
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
        })

    def _tensors(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    def _start(self, name: str, param: Tensor, group: dict[str, Any]) -> Tensor:
        """What, decayed and added to the dampened first d, gives that d."""
        if param.grad is None or (group["dampening"] == 0 and not param.grad.is_sparse):
            return pydl.zeros_like(param)
        grad = -param.grad if group["maximize"] else param.grad
        if grad.is_sparse:
            return grad.detach() * (group["dampening"] / group["momentum"])
        first = grad.detach() + number(group["weight_decay"]) * param.detach()
        return first * (group["dampening"] / group["momentum"])

    def _update(self, group: dict[str, Any], plan: Plan, grads: list[Tensor]) -> None:
        _core.sgd(
            plan.params,
            grads,
            plan.buffers[0] if plan.buffers else [],
            lr=number(group["lr"]),
            momentum=number(group["momentum"]),
            dampening=number(group["dampening"]),
            weight_decay=number(group["weight_decay"]),
            nesterov=group["nesterov"],
            maximize=group["maximize"],
        )

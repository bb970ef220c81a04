"""RMSprop."""

from __future__ import annotations

from typing import Any

from pydl import Tensor
from pydl._core import optim as _core
from pydl.optim._one_call import OneCallOptimizer, Plan, check_at_least_zero, check_learning_rate, number

__all__ = ["RMSprop"]


class RMSprop(OneCallOptimizer):
    """v = alpha v + (1 - alpha) g^2; p -= lr g / (sqrt(v) + eps) (Hinton, lecture 6 of his course, 2012).

    `centered` subtracts the square of a running mean of g from v (Graves 2013). With `momentum`, b = momentum b +
    g / (sqrt(v) + eps) and p -= lr b.

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.tensor([1.0]))
    >>> optimizer = pydl.optim.RMSprop([weight], lr=0.05)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 4)
    0.5
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        name = type(self).__name__
        check_learning_rate(name, lr)
        check_at_least_zero(name, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable,
        })

    def _tensors(self, group: dict[str, Any]) -> tuple[str, ...]:
        names: tuple[str, ...] = ("square_avg",)
        if group["momentum"] > 0:
            names += ("momentum_buffer",)
        return (*names, "grad_avg") if group["centered"] else names

    def _update(self, group: dict[str, Any], plan: Plan, grads: list[Tensor]) -> None:
        buffers = dict(zip(plan.names, plan.buffers, strict=True))
        _core.rmsprop(
            plan.params,
            grads,
            buffers["square_avg"],
            buffers.get("grad_avg", []),
            buffers.get("momentum_buffer", []),
            lr=number(group["lr"]),
            alpha=number(group["alpha"]),
            eps=number(group["eps"]),
            weight_decay=number(group["weight_decay"]),
            momentum=number(group["momentum"]),
            maximize=group["maximize"],
        )
        plan.counts["step"] = [step + 1 for step in plan.counts["step"]]

"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np

import pydl
from pydl import Tensor
from pydl.optim._one_call import OneCallOptimizer, Plan, check_at_least_zero, check_learning_rate, number

__all__ = ["ASGD"]


class ASGD(OneCallOptimizer):
    """p = (1 - lambd eta) p - eta g with eta = lr / (1 + lambd lr t)^alpha; the state "ax" is the mean of p over the
    steps after `t0` (Polyak and Juditsky 1992).

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.tensor([1.0]))
    >>> optimizer = pydl.optim.ASGD([weight], lr=0.1)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 4)
    0.8
    """

    _counts = ("step", "eta", "mu")

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        name = type(self).__name__
        check_learning_rate(name, lr)
        check_at_least_zero(name, weight_decay=weight_decay)
        super().__init__(params, {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        })

    def _tensors(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("ax",)

    def _start_count(self, name: str, group: dict[str, Any]) -> float:
        return {"step": 0.0, "eta": _rounded(number(group["lr"])), "mu": 1.0}[name]

    def _update(self, group: dict[str, Any], plan: Plan, grads: list[Tensor]) -> None:
        lr, lambd, decay = number(group["lr"]), group["lambd"], number(group["weight_decay"])
        etas, mus = plan.counts["eta"], plan.counts["mu"]
        with pydl.no_grad():
            for param, grad, mean, eta, mu in zip(plan.params, grads, *plan.buffers, etas, mus, strict=True):
                grad = -grad if group["maximize"] else grad
                if decay != 0:
                    grad = grad.add(param, alpha=decay)
                param.mul_(1 - lambd * eta).add_(grad, alpha=-eta)
                if mu == 1:
                    mean.copy_(param)
                else:
                    mean.add_(param - mean, alpha=mu)
        steps = [step + 1 for step in plan.counts["step"]]
        plan.counts["step"] = steps
        plan.counts["eta"] = [_rounded(lr / (1 + lambd * lr * step) ** group["alpha"]) for step in steps]
        plan.counts["mu"] = [_rounded(1 / max(1, step - group["t0"])) for step in steps]


def _rounded(value: float) -> float:
    """In the precision of the state that is saved, so that to look at it changes nothing."""
    return float(np.float32(value))

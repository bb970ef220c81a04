"""Adamax: Adam in the infinity norm."""

from __future__ import annotations

from typing import Any

from pydl import Tensor
from pydl._core import optim as _core
from pydl.optim._one_call import OneCallOptimizer, Plan, check_at_least_zero, check_betas, check_learning_rate, number

__all__ = ["Adamax"]


class Adamax(OneCallOptimizer):
    """m as in Adam; u = max(beta2 u, |g| + eps); p -= lr / (1 - beta1^t) m / u (Kingma and Ba 2015, section 7).

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.tensor([1.0]))
    >>> optimizer = pydl.optim.Adamax([weight], lr=0.5)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 4)
    0.5
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        name = type(self).__name__
        check_learning_rate(name, lr)
        check_at_least_zero(name, eps=eps, weight_decay=weight_decay)
        check_betas(name, betas)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        })

    def _tensors(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf")

    def _update(self, group: dict[str, Any], plan: Plan, grads: list[Tensor]) -> None:
        steps = [step + 1 for step in plan.counts["step"]]
        exp_avgs, exp_infs = plan.buffers
        _core.adamax(
            plan.params,
            grads,
            exp_avgs,
            exp_infs,
            steps,
            lr=number(group["lr"]),
            beta1=number(group["betas"][0]),
            beta2=number(group["betas"][1]),
            eps=number(group["eps"]),
            weight_decay=number(group["weight_decay"]),
            maximize=group["maximize"],
        )
        plan.counts["step"] = steps

"""Adadelta."""

from __future__ import annotations

from typing import Any

from pydl import Tensor
from pydl._core import optim as _core
from pydl.optim._one_call import OneCallOptimizer, Plan, check_at_least_zero, check_learning_rate, number

__all__ = ["Adadelta"]


class Adadelta(OneCallOptimizer):
    """v = rho v + (1 - rho) g^2; d = sqrt(a + eps) / sqrt(v + eps) g; a = rho a + (1 - rho) d^2; p -= lr d.

    Zeiler 2012.

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.tensor([1.0]))
    >>> optimizer = pydl.optim.Adadelta([weight], lr=1.0)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 4)
    0.9968
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        name = type(self).__name__
        check_learning_rate(name, lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"{name}: expected rho in [0, 1], got {rho}")
        check_at_least_zero(name, eps=eps, weight_decay=weight_decay)
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        })

    def _tensors(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    def _update(self, group: dict[str, Any], plan: Plan, grads: list[Tensor]) -> None:
        _core.adadelta(
            plan.params,
            grads,
            *plan.buffers,
            lr=number(group["lr"]),
            rho=number(group["rho"]),
            eps=number(group["eps"]),
            weight_decay=number(group["weight_decay"]),
            maximize=group["maximize"],
        )
        plan.counts["step"] = [step + 1 for step in plan.counts["step"]]

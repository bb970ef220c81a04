"""Adagrad."""

from __future__ import annotations

from typing import Any

import pydl
from pydl import Tensor
from pydl._core import optim as _core
from pydl.optim._one_call import OneCallOptimizer, Plan, check_at_least_zero, check_learning_rate, number

__all__ = ["Adagrad"]


class Adagrad(OneCallOptimizer):
    """s += g^2; p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps) (Duchi et al. 2011). A row-sparse gradient changes
    the rows that it holds.

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.tensor([1.0]))
    >>> optimizer = pydl.optim.Adagrad([weight], lr=0.5)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 4)
    0.5
    """

    _takes_sparse = True

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        name = type(self).__name__
        check_learning_rate(name, lr)
        check_at_least_zero(
            name, lr_decay=lr_decay, weight_decay=weight_decay, initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        })

    def _tensors(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def _start(self, name: str, param: Tensor, group: dict[str, Any]) -> Tensor:
        return pydl.full_like(param, group["initial_accumulator_value"])

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group; unlike other optimizers, this one has state before the first step."""
        super().add_param_group(param_group)
        for param in param_group["params"]:
            self._state[param] = {"step": pydl.tensor(0.0), "sum": self._start("sum", param, param_group)}

    def _update(self, group: dict[str, Any], plan: Plan, grads: list[Tensor]) -> None:
        steps = [step + 1 for step in plan.counts["step"]]
        _core.adagrad(
            plan.params,
            grads,
            plan.buffers[0],
            steps,
            lr=number(group["lr"]),
            lr_decay=number(group["lr_decay"]),
            eps=number(group["eps"]),
            weight_decay=number(group["weight_decay"]),
            maximize=group["maximize"],
        )
        plan.counts["step"] = steps

"""Rprop: steps from the signs of the gradients alone."""

from __future__ import annotations

from typing import Any

import pydl
from pydl import Tensor
from pydl.optim._one_call import OneCallOptimizer, Plan, check_learning_rate, number

__all__ = ["Rprop"]


class Rprop(OneCallOptimizer):
    """s = s eta+ where the gradient has kept its sign, s eta- where it has changed (and counts as 0), limited to
    `step_sizes`; p -= s sign(g). s begins as lr. For full batches (Riedmiller and Braun 1993, without weight
    backtracking).

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.tensor([1.0]))
    >>> optimizer = pydl.optim.Rprop([weight], lr=0.1)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 4)
    0.9
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        name = type(self).__name__
        check_learning_rate(name, lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"{name}: expected etas with 0 < etas[0] < 1 < etas[1], got {etas}")
        super().__init__(params, {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        })

    def _tensors(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("prev", "step_size")

    def _start(self, name: str, param: Tensor, group: dict[str, Any]) -> Tensor:
        return pydl.zeros_like(param) if name == "prev" else pydl.full_like(param, number(group["lr"]))

    def _update(self, group: dict[str, Any], plan: Plan, grads: list[Tensor]) -> None:
        (shrink, grow), (lowest, highest) = group["etas"], group["step_sizes"]
        with pydl.no_grad():
            for param, grad, prev, size in zip(plan.params, grads, *plan.buffers, strict=True):
                grad = -grad if group["maximize"] else grad
                agreement = grad * prev
                turned = agreement < 0
                size.mul_(pydl.where(turned, shrink, pydl.where(agreement > 0, grow, 1.0)).to(size.dtype))
                size.clamp_(lowest, highest)
                prev.copy_(grad.masked_fill(turned, 0.0))
                param.addcmul_(prev.sign(), size, value=-1)
        plan.counts["step"] = [step + 1 for step in plan.counts["step"]]

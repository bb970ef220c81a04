"""NAdam: Adam with Nesterov momentum."""

from __future__ import annotations

from typing import Any

import pydl
from pydl import Tensor
from pydl._core import optim as _core
from pydl.optim._one_call import OneCallOptimizer, Plan, check_at_least_zero, check_betas, check_learning_rate, number

__all__ = ["NAdam"]


class NAdam(OneCallOptimizer):
    """m, v as in Adam, mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2), M_t = mu_1 ... mu_t;
    p -= lr ((1 - mu_t) / (1 - M_t) g + mu_{t+1} / (1 - M_t mu_{t+1}) m) / (sqrt(v / (1 - beta2^t)) + eps) (Dozat 2016).

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.tensor([1.0]))
    >>> optimizer = pydl.optim.NAdam([weight], lr=0.1)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 4)
    0.8944
    """

    _counts = ("step", "mu_product")

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        name = type(self).__name__
        check_learning_rate(name, lr)
        check_at_least_zero(name, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        check_betas(name, betas)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable,
        })

    def _tensors(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _start_count(self, name: str, group: dict[str, Any]) -> float:
        return 1.0 if name == "mu_product" else 0.0

    def _update(self, group: dict[str, Any], plan: Plan, grads: list[Tensor]) -> None:
        steps = [step + 1 for step in plan.counts["step"]]
        exp_avgs, exp_avg_sqs = plan.buffers
        beta1, decay = number(group["betas"][0]), group["momentum_decay"]
        mu = {step: beta1 * (1.0 - 0.5 * 0.96 ** (step * decay)) for step in set(steps)}
        mu_products = [product * mu[step] for product, step in zip(plan.counts["mu_product"], steps, strict=True)]
        _core.nadam(
            plan.params,
            grads,
            exp_avgs,
            exp_avg_sqs,
            pydl.tensor(mu_products, dtype=pydl.float64),
            steps,
            lr=number(group["lr"]),
            beta1=beta1,
            beta2=number(group["betas"][1]),
            eps=number(group["eps"]),
            weight_decay=number(group["weight_decay"]),
            momentum_decay=decay,
            decoupled=group["decoupled_weight_decay"],
            maximize=group["maximize"],
        )
        plan.counts["step"] = steps
        plan.counts["mu_product"] = mu_products

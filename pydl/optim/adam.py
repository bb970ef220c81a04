"""Adam, and AdamW, which decays the weights apart from the gradients."""

from __future__ import annotations

from typing import Any

from pydl import Tensor
from pydl._core import optim as _core
from pydl.optim._one_call import OneCallOptimizer, Plan, check_at_least_zero, check_betas, check_learning_rate, number

__all__ = ["Adam", "AdamW"]

_PLAIN = ("exp_avg", "exp_avg_sq")
_WITH_MAXIMUM = (*_PLAIN, "max_exp_avg_sq")


class Adam(OneCallOptimizer):
    """m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; p -= lr m_hat / (sqrt(v_hat) + eps), where the hats
    divide by 1 - beta^t (Kingma and Ba 2015). `weight_decay` is added to the gradient, or to p itself when decoupled.

    `amsgrad` uses the largest v so far (Reddi et al. 2018). State: "step", "exp_avg" (m), "exp_avg_sq" (v) and
    "max_exp_avg_sq".

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.tensor([1.0]))
    >>> optimizer = pydl.optim.Adam([weight], lr=0.1)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 4)
    0.9
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        name = type(self).__name__
        check_learning_rate(name, lr)
        check_at_least_zero(name, eps=eps, weight_decay=weight_decay)
        check_betas(name, betas)
        if not all(isinstance(beta, float) for beta in betas) and not all(isinstance(beta, Tensor) for beta in betas):
            kinds = " and ".join(type(beta).__name__ for beta in betas)
            raise ValueError(f"{name}: expected betas to be two floats or two tensors, got {kinds}")
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
            "fused": fused, "decoupled_weight_decay": decoupled_weight_decay,
        })

    _instead = "; SparseAdam takes these"

    def _tensors(self, group: dict[str, Any]) -> tuple[str, ...]:
        return _WITH_MAXIMUM if group["amsgrad"] else _PLAIN

    def _update(self, group: dict[str, Any], plan: Plan, grads: list[Tensor]) -> None:
        steps = [step + 1 for step in plan.counts["step"]]
        exp_avgs, exp_avg_sqs, *maxima = plan.buffers
        beta1, beta2 = group["betas"]
        _core.adam(
            plan.params,
            grads,
            exp_avgs,
            exp_avg_sqs,
            maxima[0] if maxima else [],
            steps,
            lr=number(group["lr"]),
            beta1=number(beta1),
            beta2=number(beta2),
            eps=number(group["eps"]),
            weight_decay=number(group["weight_decay"]),
            maximize=group["maximize"],
            decoupled=group["decoupled_weight_decay"],
        )
        plan.counts["step"] = steps


class AdamW(Adam):
    """Adam whose weight decay is not part of the gradient: p -= lr weight_decay p first (Loshchilov and Hutter 2019).

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.tensor([1.0]))
    >>> optimizer = pydl.optim.AdamW([weight], lr=0.1)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 4)
    0.899
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )

"""Adam for row-sparse gradients."""

from __future__ import annotations

from typing import Any

from pydl import Tensor
from pydl._core import optim as _core
from pydl.optim._one_call import OneCallOptimizer, Plan, check_betas, number

__all__ = ["SparseAdam"]


class SparseAdam(OneCallOptimizer):
    """Adam on the rows that a row-sparse gradient holds: the other rows keep their values and their moments, whatever
    time passes. For `nn.Embedding(..., sparse=True)` and `nn.EmbeddingBag(..., sparse=True)`.

    m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; p -= lr_t m / (sqrt(v) + eps) with
    lr_t = lr sqrt(1 - beta2^t) / (1 - beta1^t).

    >>> import pydl
    >>> table = pydl.nn.Embedding(5, 2, sparse=True)
    >>> before = table.weight.detach().clone()
    >>> optimizer = pydl.optim.SparseAdam(table.parameters(), lr=0.1)
    >>> table(pydl.tensor([1, 3])).sum().backward()
    >>> optimizer.step()
    >>> (table.weight != before).any(1)
    tensor([False,  True, False,  True, False])
    """

    _takes_sparse = True

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        name = type(self).__name__
        if not lr > 0.0:
            raise ValueError(f"{name}: expected a learning rate above 0, got {lr}")
        if not eps > 0.0:
            raise ValueError(f"{name}: expected eps above 0, got {eps}")
        check_betas(name, betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        sparse = [i for group in self.param_groups for i, param in enumerate(group["params"]) if param.is_sparse]
        if sparse:
            raise ValueError(f"{name}: expected dense parameters, got sparse ones at indices {sparse}")

    def _tensors(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _plan(self, i: int, group: dict[str, Any]) -> Plan:
        if any(param.grad is not None and not param.grad.is_sparse for param in group["params"]):
            raise RuntimeError(f"{type(self).__name__}: expected sparse gradients, got dense ones; Adam takes these")
        return super()._plan(i, group)

    def _update(self, group: dict[str, Any], plan: Plan, grads: list[Tensor]) -> None:
        steps = [step + 1 for step in plan.counts["step"]]
        exp_avgs, exp_avg_sqs = plan.buffers
        beta1, beta2 = group["betas"]
        _core.sparse_adam(
            plan.params,
            grads,
            exp_avgs,
            exp_avg_sqs,
            steps,
            lr=number(group["lr"]),
            beta1=number(beta1),
            beta2=number(beta2),
            eps=number(group["eps"]),
            maximize=group["maximize"],
        )
        plan.counts["step"] = steps

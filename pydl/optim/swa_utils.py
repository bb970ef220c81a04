"""Averages of weights over the course of training."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pydl
from pydl import Tensor
from pydl.nn.modules.module import Module

__all__ = ["AveragedModel", "get_ema_avg_fn", "get_swa_avg_fn"]


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """average = decay * average + (1 - decay) * current."""
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")

    def ema_update(average: Tensor, current: Tensor, n_averaged: Any) -> Tensor:
        return decay * average + (1 - decay) * current

    return ema_update


def get_swa_avg_fn() -> Callable[[Tensor, Tensor, Any], Tensor]:
    """The plain mean of all weights that were given (Izmailov et al. 2018)."""

    def swa_update(average: Tensor, current: Tensor, n_averaged: Any) -> Tensor:
        return average + (current - average) / (n_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of `model` whose parameters average those that `update_parameters` is shown.

    The first call copies, later ones use ``avg_fn(average, current, n_averaged)``, by default the mean. Buffers are
    averaged too with `use_buffers`, else copied.

    >>> import pydl
    >>> from pydl import nn
    >>> model = nn.Linear(1, 1, bias=False)
    >>> average = pydl.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 3.0):
    ...     _ = nn.init.constant_(model.weight, value)
    ...     average.update_parameters(model)
    >>> average.module.weight.item()
    2.0
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable[[Tensor, Tensor, Any], Tensor] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", pydl.tensor(0, dtype=pydl.int64))
        self.avg_fn = get_swa_avg_fn() if avg_fn is None else avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Takes the present weights of `model` into the average."""
        averaged, copied = list(zip(self.module.parameters(), model.parameters(), strict=True)), []
        (averaged if self.use_buffers else copied).extend(zip(self.module.buffers(), model.buffers(), strict=True))
        n_averaged = self.n_averaged.item()
        with pydl.no_grad():
            for average, current in averaged:
                current = current.detach()
                average.copy_(self.avg_fn(average.detach(), current, n_averaged) if n_averaged else current)
            for old, current in copied:
                old.copy_(current)
            self.n_averaged.add_(1)

"""Averages of weights over the course of training, and the schedule that goes with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import pydl
from pydl import Tensor
from pydl.nn.modules.batchnorm import _BatchNorm
from pydl.nn.modules.module import Module
from pydl.optim._cycles import per_group
from pydl.optim._schedule import LRScheduler
from pydl.optim.optimizer import Optimizer

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn",
    "update_bn",
]

_Lists = Callable[[list[Tensor], list[Tensor], Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """average = decay * average + (1 - decay) * current.

    >>> import pydl
    >>> pydl.optim.swa_utils.get_ema_avg_fn(0.75)(pydl.tensor(4.0), pydl.tensor(8.0), 1)
    tensor(5.)
    """
    return _ema("get_ema_avg_fn", decay)


def _ema(op: str, decay: float) -> Callable[[Tensor, Tensor, Any], Tensor]:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"{op}: expected a decay in [0, 1], got {decay}")

    def ema_update(average: Tensor, current: Tensor, n_averaged: Any) -> Tensor:
        return decay * average + (1 - decay) * current

    return ema_update


def get_swa_avg_fn() -> Callable[[Tensor, Tensor, Any], Tensor]:
    """The plain mean of all weights that were given (Izmailov et al. 2018).

    >>> import pydl
    >>> pydl.optim.swa_utils.get_swa_avg_fn()(pydl.tensor(1.0), pydl.tensor(4.0), 2)  # of three
    tensor(2.)
    """

    def swa_update(average: Tensor, current: Tensor, n_averaged: Any) -> Tensor:
        return average + (current - average) / (n_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> _Lists:
    """`get_ema_avg_fn` for lists of tensors, in place.

    >>> import pydl
    >>> average = pydl.tensor(4.0)
    >>> pydl.optim.swa_utils.get_ema_multi_avg_fn(0.75)([average], [pydl.tensor(8.0)], 1)
    >>> average
    tensor(5.)
    """
    return _in_place(_ema("get_ema_multi_avg_fn", decay))


def get_swa_multi_avg_fn() -> _Lists:
    """`get_swa_avg_fn` for lists of tensors, in place.

    >>> import pydl
    >>> average = pydl.tensor(1.0)
    >>> pydl.optim.swa_utils.get_swa_multi_avg_fn()([average], [pydl.tensor(4.0)], 2)  # of three
    >>> average
    tensor(2.)
    """
    return _in_place(get_swa_avg_fn())


def _in_place(average_of: Callable[[Tensor, Tensor, Any], Tensor]) -> _Lists:
    def update(averages: list[Tensor], currents: list[Tensor], n_averaged: Any) -> None:
        with pydl.no_grad():
            for average, current in zip(averages, currents, strict=True):
                average.copy_(average_of(average, current, n_averaged))

    return update


class AveragedModel(Module):
    """A copy of `model` whose parameters average those that `update_parameters` is shown.

    The first call copies, later ones use ``avg_fn(average, current, n_averaged)``, by default the mean, or
    ``multi_avg_fn(averages, currents, n_averaged)``, which updates a list of tensors in place. Buffers are averaged too
    with `use_buffers`, else copied.

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
        multi_avg_fn: _Lists | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("AveragedModel: expected avg_fn or multi_avg_fn, got both")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", pydl.tensor(0, dtype=pydl.int64))
        self.avg_fn = get_swa_avg_fn() if avg_fn is None and multi_avg_fn is None else avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Takes the present weights of `model` into the average."""
        averaged: list[tuple[Tensor, Tensor]] = list(zip(self.module.parameters(), model.parameters(), strict=True))
        copied: list[tuple[Tensor, Tensor]] = []
        (averaged if self.use_buffers else copied).extend(zip(self.module.buffers(), model.buffers(), strict=True))
        averages, currents = [a.detach() for a, _ in averaged], [c.detach() for _, c in averaged]
        if self.n_averaged == 0:
            copied += averaged
        elif self.multi_avg_fn is not None:
            self.multi_avg_fn(averages, currents, self.n_averaged)
        elif self.avg_fn is not None:
            _in_place(self.avg_fn)(averages, currents, self.n_averaged)
        with pydl.no_grad():
            for old, current in copied:
                old.copy_(current)
            self.n_averaged.add_(1)


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of the batch norms of `model` anew, as means over the batches of `loader`.

    A batch is the input, or a tuple or list that begins with it.

    >>> import pydl
    >>> from pydl import nn
    >>> model = nn.Sequential(nn.BatchNorm1d(1))
    >>> pydl.optim.swa_utils.update_bn([pydl.tensor([[1.0], [3.0]]), pydl.tensor([[5.0], [7.0]])], model)
    >>> model[0].running_mean
    tensor([4.])
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    was_training, momenta = model.training, [norm.momentum for norm in norms]
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with pydl.no_grad():
        for batch in loader:
            input = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(input if device is None else input.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Goes from the present rate to `swa_lr` in `anneal_epochs` epochs, along a cosine ("cos") or "linear", and stays.

    >>> import pydl
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> scheduler = pydl.optim.swa_utils.SWALR(optimizer, 0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> for _ in range(1):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR: expected anneal_strategy 'cos' or 'linear', got {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: expected anneal_epochs >= 0, got {anneal_epochs}")
        for group, lr in zip(optimizer.param_groups, per_group("SWALR", "swa_lr", optimizer, swa_lr), strict=True):
            group["swa_lr"] = lr
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How far the rate has come to `swa_lr`."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            swa_lr = group["swa_lr"]
            start = swa_lr if before == 1 else (group["lr"] - before * swa_lr) / (1 - before)
            rates.append(swa_lr * now + start * (1 - now))
        return rates

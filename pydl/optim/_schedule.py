"""The base class of the schedules of the learning rate."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydl import Tensor
from pydl.optim.optimizer import Optimizer

__all__ = ["LRScheduler", "check_optimizer", "options", "set_option", "warn_about_epoch"]


def set_option(group: dict[str, Any], name: str, value: float) -> None:
    """Sets an option of a parameter group; one that is a tensor stays that tensor."""
    if isinstance(group[name], Tensor):
        group[name].fill_(float(value))
    else:
        group[name] = value


def options(optimizer: Optimizer, name: str) -> list[Any]:
    """An option of every parameter group."""
    return [g[name].clone() if isinstance(g[name], Tensor) else g[name] for g in optimizer.param_groups]


def check_optimizer(op: str, optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{op}: expected an Optimizer, got {type(optimizer).__name__}")
    return optimizer


def warn_about_epoch() -> None:
    warnings.warn(
        "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please "
        "use `scheduler.step()` to step the scheduler.",
        stacklevel=3,
    )


class LRScheduler:
    """The base class: `get_lr` computes the rates of all groups for `last_epoch`.

    `last_epoch` is the epoch to resume after; the groups then need their "initial_lr".

    >>> import pydl
    >>> class Halving(pydl.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [lr * 0.5**self.last_epoch for lr in self.base_lrs]
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> scheduler = Halving(optimizer)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    _is_initial = False
    _in_step = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = check_optimizer(type(self).__name__, optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                lr = group["lr"]
                group.setdefault("initial_lr", lr.clone() if isinstance(lr, Tensor) else lr)
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: expected 'initial_lr' in param_groups[{i}] to resume after epoch "
                    f"{last_epoch}, got {list(group)}; load the optimizer's state first"
                )
        self.base_lrs = options(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            del self._is_initial

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what `state_dict` returned."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list[Any]:
        """The rates that were set last."""
        return self._last_lr

    def get_lr(self) -> list[Any]:
        """The rates for `last_epoch`. For use by `step`; others want `get_last_lr`."""
        raise NotImplementedError

    if TYPE_CHECKING:
        step: Callable[..., None]  # a metric, or nothing, in the place of the epoch
    else:
        def step(self, epoch: int | None = None) -> None:
            """Goes on to the next epoch, or to `epoch` (deprecated)."""
            if self._step_count == 1 and self.optimizer._step_count < 1:
                warnings.warn(
                    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite "
                    "order: otherwise the first value of the learning rate schedule is skipped.",
                    stacklevel=2,
                )
            self._step_count += 1
            if epoch is not None:
                warn_about_epoch()
            self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed_form = None if epoch is None else getattr(self, "_get_closed_form_lr", None)
        self._set(self._rates() if closed_form is None else closed_form())

    def _rates(self) -> list[Any]:
        self._in_step = True
        try:
            return self.get_lr()
        finally:
            del self._in_step

    def _set(self, rates: list[Any]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            set_option(group, "lr", lr)
        self._last_lr = options(self.optimizer, "lr")

    def _warn_outside_step(self) -> None:
        if not self._in_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.", stacklevel=3)

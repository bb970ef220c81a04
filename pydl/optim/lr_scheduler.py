"""Schedules of the learning rate. ``scheduler.step()`` after each epoch, or batch, and after ``optimizer.step()``.

Most schedules are a factor m(t) of the initial rate. They multiply the present rate by m(t) / m(t - 1), so that several
of them can act on one optimizer; `ChainedScheduler` says so explicitly, `SequentialLR` lets one follow the other.
"""

from __future__ import annotations

import math
import types
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydl.optim._cycles import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from pydl.optim._plateau import ReduceLROnPlateau
from pydl.optim._schedule import LRScheduler, check_optimizer, options, set_option
from pydl.optim.optimizer import Optimizer

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR", "PolynomialLR",
    "ReduceLROnPlateau", "SequentialLR", "StepLR",
]


class _FactorLR(LRScheduler):
    """A schedule that is m(t) times the initial rate."""

    _changes_when_resumed = False  # else a scheduler made with last_epoch >= 0 leaves the rate as it finds it

    def _factor(self, epoch: int) -> float:
        """m(epoch)."""
        raise NotImplementedError

    def _ratio(self, epoch: int) -> float:
        """m(epoch) / m(epoch - 1); a rate that has become zero stays."""
        before = self._factor(epoch - 1)
        return self._factor(epoch) / before if before else 1.0

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        if self.last_epoch == 0:
            ratio = self._factor(0)
        else:
            ratio = 1.0 if self._is_initial and not self._changes_when_resumed else self._ratio(self.last_epoch)
        return options(self.optimizer, "lr") if ratio == 1.0 else [g["lr"] * ratio for g in self.optimizer.param_groups]

    def _get_closed_form_lr(self) -> list[Any]:
        return [base * self._factor(self.last_epoch) for base in self.base_lrs]


class StepLR(_FactorLR):
    """m(t) = gamma^floor(t / step_size).

    >>> import pydl
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> scheduler = pydl.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> rates = []
    >>> for epoch in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    _changes_when_resumed = True

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        return self.gamma ** (epoch // self.step_size)

    def _ratio(self, epoch: int) -> float:
        return 1.0 if epoch % self.step_size else self.gamma


class MultiStepLR(_FactorLR):
    """Times gamma at every milestone.

    >>> import pydl
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> scheduler = pydl.optim.lr_scheduler.MultiStepLR(optimizer, [1, 3], gamma=0.5)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    _changes_when_resumed = True

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), epoch)

    def _ratio(self, epoch: int) -> float:
        return self.gamma ** self.milestones[epoch]


class ConstantLR(_FactorLR):
    """m(t) = factor for t < total_iters, then 1; if these are 0, it stays.

    >>> import pydl
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> scheduler = pydl.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [1.0]
    """

    _changes_when_resumed = True

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0 <= factor <= 1:
            raise ValueError(f"ConstantLR: expected a factor in [0, 1], got {factor}")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        return 1.0 if 0 < self.total_iters <= epoch else self.factor


class LinearLR(_FactorLR):
    """m(t) goes linearly from `start_factor` to `end_factor` in `total_iters` epochs; if these are 0, it stays.

    >>> import pydl
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> scheduler = pydl.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> for _ in range(1):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: expected start_factor in (0, 1], got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: expected end_factor in [0, 1], got {end_factor}")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        done = min(self.total_iters, epoch) / self.total_iters if self.total_iters else 0.0
        return self.start_factor + (self.end_factor - self.start_factor) * done


class ExponentialLR(_FactorLR):
    """m(t) = gamma^t.

    >>> import pydl
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> scheduler = pydl.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        return self.gamma**epoch

    def _ratio(self, epoch: int) -> float:
        return self.gamma


class PolynomialLR(_FactorLR):
    """m(t) = (1 - t / total_iters)^power, then 0; without iterations the rate stays.

    >>> import pydl
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> scheduler = pydl.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4)
    >>> for _ in range(1):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.75]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        if self.total_iters == 0:
            return 1.0
        return (1.0 - min(self.total_iters, epoch) / self.total_iters) ** self.power


class CosineAnnealingLR(LRScheduler):
    """eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2 (Loshchilov and Hutter 2017, without restarts).

    >>> import pydl
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> scheduler = pydl.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _height(self, epoch: int) -> float:
        return (1 + math.cos(math.pi * epoch / self.T_max)) / 2

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        if self._is_initial:
            return options(self.optimizer, "lr")
        if self._step_count == 1 and self.last_epoch > 0:
            return self._get_closed_form_lr()
        before, now = self._height(self.last_epoch - 1), self._height(self.last_epoch)
        groups = self.optimizer.param_groups
        if (self.last_epoch - 1) % (2 * self.T_max) == self.T_max:  # at the bottom there is no ratio
            return [g["lr"] + (base - self.eta_min) * now for g, base in zip(groups, self.base_lrs, strict=True)]
        return [(g["lr"] - self.eta_min) * (now / before) + self.eta_min for g in groups]

    def _get_closed_form_lr(self) -> list[Any]:
        return [self.eta_min + (base - self.eta_min) * self._height(self.last_epoch) for base in self.base_lrs]


class _FunctionLR(LRScheduler):
    """A schedule by a function of the epoch, or one for every group."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        name = type(self).__name__
        n_groups = len(check_optimizer(name, optimizer).param_groups)
        functions: list[Any] = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * n_groups
        if len(functions) != n_groups:
            raise ValueError(f"{name}: expected {n_groups} lr_lambdas, one for each param group, got {len(functions)}")
        for function in functions:
            if not callable(function):
                raise TypeError(f"{name}: expected lr_lambda to be a function, got {type(function).__name__}")
        self.lr_lambdas: list[Any] = functions
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Without functions; of callable objects their attributes."""
        state = super().state_dict()
        state["lr_lambdas"] = [
            None if isinstance(f, types.FunctionType) else dict(f.__dict__) for f in self.lr_lambdas]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state = dict(state_dict)
        for function, attributes in zip(self.lr_lambdas, state.pop("lr_lambdas"), strict=True):
            if attributes is not None:
                function.__dict__.update(attributes)
        super().load_state_dict(state)


class LambdaLR(_FunctionLR):
    """The initial rate times ``lr_lambda(epoch)``.

    >>> import pydl
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> scheduler = pydl.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    >>> for _ in range(1):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        return [base * f(self.last_epoch) for f, base in zip(self.lr_lambdas, self.base_lrs, strict=True)]


class MultiplicativeLR(_FunctionLR):
    """The present rate times ``lr_lambda(epoch)``.

    >>> import pydl
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> scheduler = pydl.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 0.5)
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        if self._is_initial:
            return options(self.optimizer, "lr")
        groups = self.optimizer.param_groups
        return [group["lr"] * f(self.last_epoch) for f, group in zip(self.lr_lambdas, groups, strict=True)]


class _SchedulerList(LRScheduler):
    """Several schedulers of one optimizer."""

    def _take(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        name = type(self).__name__
        if len(schedulers) < 1:
            raise ValueError(f"{name}: expected at least one scheduler, got none")
        optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"{name}: expected schedulers, got {type(scheduler).__name__} at index {i}")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name}: expected schedulers that step without arguments, got ReduceLROnPlateau at index {i}")
            if scheduler.optimizer is not optimizer:
                raise ValueError(
                    f"{name}: expected schedulers of one optimizer, got {type(scheduler).__name__} at index {i} of "
                    "another"
                )
        self._schedulers = schedulers
        self.optimizer = optimizer

    def _rewind(self) -> None:
        for scheduler in self._schedulers:
            if isinstance(scheduler, _SchedulerList):
                scheduler._rewind()
            else:
                scheduler.last_epoch -= 1

    def state_dict(self) -> dict[str, Any]:
        """The state of all schedulers in a list."""
        return {**super().state_dict(), "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state = dict(state_dict)
        for scheduler, saved in zip(self._schedulers, state.pop("_schedulers"), strict=True):
            scheduler.load_state_dict(saved)
        super().load_state_dict(state)


class ChainedScheduler(_SchedulerList):
    """All schedulers at every step, one after the other.

    >>> import pydl
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> halve = pydl.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> step = pydl.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
    >>> scheduler = pydl.optim.lr_scheduler.ChainedScheduler([halve, step])
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.125]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._take(schedulers, optimizer)
        self._last_lr = options(self.optimizer, "lr")

    def step(self) -> None:
        """A step of every scheduler."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = options(self.optimizer, "lr")


class SequentialLR(_SchedulerList):
    """The first scheduler up to the first milestone, then the second, each from its own epoch 0.

    >>> import pydl
    >>> optimizer = pydl.optim.SGD([pydl.nn.Parameter(pydl.zeros(1))], lr=1.0)
    >>> warm = pydl.optim.lr_scheduler.LinearLR(optimizer, 0.5, total_iters=2)
    >>> decay = pydl.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = pydl.optim.lr_scheduler.SequentialLR(optimizer, [warm, decay], milestones=[2])
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        self._take(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: expected {len(schedulers) - 1} milestones for {len(schedulers)} schedulers, got "
                f"{len(milestones)}"
            )
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        # Every scheduler has set the rate when it was made: undo that, then start only the one whose turn it is.
        for group in optimizer.param_groups:
            set_option(group, "lr", group["initial_lr"])
        self._rewind()
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        """A step of the scheduler whose turn it is."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

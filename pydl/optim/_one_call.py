"""The step of all first-order optimizers: one core call for all parameters of a group. (Rprop and
ASGD, seldom used, compute theirs in tensor operations.)

The core takes lists: parameters, gradients, and one list for each kind of state. The lists, but for the gradients, are
the same from step to step, so each group keeps them in a `Plan`. A plan holds as long as the same parameters have
gradients. Step counts are Python integers in the plan; they become PyTorch's scalar tensors when somebody asks for
`state`, and since the one who asks may change what he sees, the plans are then built anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from operator import is_
from typing import Any

import pydl
from pydl import Tensor
from pydl.optim.optimizer import Optimizer

__all__ = ["OneCallOptimizer", "Plan", "check_at_least_zero", "check_betas", "check_learning_rate", "number"]


class Plan:
    """The lists of one group: `params` have gradients, `idle` ones have none, `repeated` ones are in `params` too."""

    __slots__ = ("buffers", "counts", "group", "idle", "names", "params", "repeated", "source", "states")

    def __init__(self, group: dict[str, Any], names: tuple[str, ...], counts: tuple[str, ...]) -> None:
        self.group = group
        self.names = names
        self.source: list[Tensor] = list(group["params"])
        self.params: list[Tensor] = []
        self.idle: list[Tensor] = []
        self.repeated: list[Tensor] = []
        self.states: list[dict[str, Any]] = []
        self.buffers: tuple[list[Tensor], ...] = ()
        self.counts: dict[str, list[Any]] = {name: [] for name in counts}  # of steps int, else float

    def write_counts(self) -> None:
        """Puts the counts into the dictionaries of state."""
        for name, values in self.counts.items():
            for state, value in zip(self.states, values, strict=True):
                # Loaded counts other than the step have the parameter's dtype, and keep it.
                kept = state[name]
                state[name] = pydl.tensor(float(value), dtype=kept.dtype if isinstance(kept, Tensor) else None)


class OneCallOptimizer(Optimizer):
    """An algorithm says what it remembers (`_tensors`, `_counts`), how that starts (`_start`) and what one step is."""

    _counts: tuple[str, ...] = ("step",)  # scalars that every parameter has one of
    _takes_sparse = False
    _instead = ""  # advice to those who come with sparse gradients

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self._plans: dict[int, Plan] = {}
        super().__init__(params, defaults)

    def _tensors(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The names of the state tensors under the options of `group`."""
        raise NotImplementedError

    def _start(self, name: str, param: Tensor, group: dict[str, Any]) -> Tensor:
        """A state tensor before the first step."""
        return pydl.zeros_like(param)

    def _start_count(self, name: str, group: dict[str, Any]) -> float:
        return 0.0

    def _update(self, group: dict[str, Any], plan: Plan, grads: list[Tensor]) -> None:
        """The core call."""
        raise NotImplementedError

    @property
    def state(self) -> defaultdict[Tensor, Any]:
        self._drop_plans()
        return self._state

    @state.setter
    def state(self, state: defaultdict[Tensor, Any]) -> None:
        self._plans = {}
        self._state = state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._plans = {}
        super().__setstate__(state)

    def _drop_plans(self) -> None:
        for plan in self._plans.values():
            plan.write_counts()
        self._plans = {}

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates all parameters that have a gradient. Returns the loss that `closure` returned, if there is one."""
        loss = None
        if closure is not None:
            with pydl.enable_grad():
                loss = closure()
        for i, group in enumerate(self.param_groups):
            plan = self._plans.get(i)
            grads = None if plan is None else self._grads(plan, group)
            if plan is None or grads is None:
                plan = self._plan(i, group)
                grads = _gradients(plan.params)
            if grads:
                self._update(group, plan, grads)
            for param in plan.repeated:
                # One step for each time that it is in the group, each from the state that the one before left.
                single = self._plan(i, {**group, "params": [param]})
                self._update(group, single, _gradients([param]))
        return loss

    def _grads(self, plan: Plan, group: dict[str, Any]) -> list[Tensor] | None:
        """The gradients in the order of the plan, or None if it does not hold any more."""
        source, params = plan.source, plan.params
        now = group["params"]
        if plan.group is not group or len(source) != len(now) or not all(map(is_, source, now)):
            return None
        grads = [grad for param in params if (grad := param.grad) is not None]
        if len(grads) != len(params) or plan.names != self._tensors(group):
            return None
        for param in plan.idle:
            if param.grad is not None:
                return None
        return grads

    def _plan(self, i: int, group: dict[str, Any]) -> Plan:
        if i in self._plans:
            self._plans.pop(i).write_counts()
        plan = Plan(group, self._tensors(group), self._counts)
        seen: set[int] = set()
        for param in plan.source:
            if param.grad is None:
                plan.idle.append(param)
                continue
            if id(param) in seen:
                plan.repeated.append(param)
                continue
            seen.add(id(param))
            if not self._takes_sparse and param.grad.is_sparse:
                raise RuntimeError(f"{type(self).__name__}: expected dense gradients, got sparse ones{self._instead}")
            state = self._state[param] if plan.names or self._counts else {}
            for name in self._counts:
                plan.counts[name].append(float(state.setdefault(name, self._start_count(name, group))))
            for name in plan.names:
                if state.get(name) is None:
                    state[name] = self._start(name, param, group)
            plan.params.append(param)
            plan.states.append(state)
        if "step" in plan.counts:
            plan.counts["step"] = [int(step) for step in plan.counts["step"]]
        plan.buffers = tuple([state[name] for state in plan.states] for name in plan.names)
        self._plans[i] = plan
        return plan


def _gradients(params: list[Tensor]) -> list[Tensor]:
    return [grad for param in params if (grad := param.grad) is not None]


def number(value: float | Tensor) -> float:
    """An option that may also be a tensor of one element."""
    return value if type(value) is float else float(value)


def check_learning_rate(op: str, lr: float | Tensor) -> None:
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError(f"{op}: expected a learning rate of 1 element, got a tensor of shape {list(lr.shape)}")
    if not lr >= 0.0:
        raise ValueError(f"{op}: expected a learning rate of at least 0, got {lr}")


def check_at_least_zero(op: str, **options: float) -> None:
    for name, value in options.items():
        if not value >= 0.0:
            raise ValueError(f"{op}: expected {name} of at least 0, got {value}")


def check_betas(op: str, betas: tuple[float, float]) -> None:
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"{op}: expected betas[{i}] in [0, 1), got {beta}")

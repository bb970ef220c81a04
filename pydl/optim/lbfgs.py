"""L-BFGS, with an optional line search."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pydl
from pydl import Tensor
from pydl.optim._one_call import check_learning_rate, number
from pydl.optim.optimizer import Optimizer

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Quasi-Newton steps from the last `history_size` changes of the gradient (Nocedal and Wright 2006, chapter 7).

    `step` needs a closure that zeroes the gradients, computes the loss, calls `backward` and returns the loss. It
    takes at most `max_iter` iterations and `max_eval` (1.25 max_iter) evaluations, and stops early when the largest
    gradient is at most `tolerance_grad` or a step or the loss changes by less than `tolerance_change`.
    `line_search_fn` is None, for steps of `lr`, or "strong_wolfe". All parameters are one group.

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.tensor([3.0, -2.0]))
    >>> optimizer = pydl.optim.LBFGS([weight], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((weight - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> _ = optimizer.step(closure)
    >>> [round(w, 3) for w in weight.tolist()]
    [1.0, 1.0]
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        name = type(self).__name__
        check_learning_rate(name, lr)
        super().__init__(params, {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        })
        if len(self.param_groups) != 1:
            raise ValueError(f"{name}: expected one parameter group, got {len(self.param_groups)}")

    def step(self, closure: Callable[[], Any]) -> Any:
        """Minimizes until one of the limits is reached; returns the loss before it."""
        with pydl.no_grad():
            return self._minimize(closure)

    def _minimize(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError(
                f"{type(self).__name__}: expected line_search_fn None or 'strong_wolfe', got "
                f"{group['line_search_fn']!r}"
            )
        params = group["params"]
        state = self.state[params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        def evaluate() -> Any:
            state["func_evals"] += 1
            with pydl.enable_grad():
                return closure()

        first_evals = state["func_evals"]
        first_loss = evaluate()
        loss, grad = float(first_loss), _flat_grad(params)
        if _largest(grad) <= group["tolerance_grad"]:
            return first_loss

        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                direction = -grad
                state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
                step = min(1.0, 1.0 / grad.abs().sum().item()) * number(group["lr"])
            else:
                _remember(state, grad - state["prev_flat_grad"], state["d"] * state["t"], group["history_size"])
                direction = _newton_direction(state, -grad)
                step = number(group["lr"])
            previous_loss = loss
            state.update(prev_flat_grad=grad.clone(), prev_loss=loss, d=direction, t=step)
            slope = grad.dot(direction).item()
            if slope > -group["tolerance_change"]:
                break
            last = iteration == group["max_iter"]
            if group["line_search_fn"] is not None:
                start = [param.clone() for param in params]

                def at(step: float, direction: Tensor = direction, start: list[Tensor] = start) -> _Point:
                    _move(params, direction, step)
                    value, grad = float(evaluate()), _flat_grad(params)
                    for param, old in zip(params, start, strict=True):
                        param.copy_(old)
                    return _Point(step, value, grad, grad.dot(direction).item())

                evals_left = group["max_eval"] - (state["func_evals"] - first_evals)
                point = _strong_wolfe(at, _Point(0.0, loss, grad, slope), step, _largest(direction), evals_left)
                loss, grad, step = point.value, point.grad, point.step
                _move(params, direction, step)
            else:
                _move(params, direction, step)
                if not last:
                    loss = float(evaluate())
                    grad = _flat_grad(params)
            state["t"] = step
            if (
                last
                or state["func_evals"] - first_evals >= group["max_eval"]
                or _largest(grad) <= group["tolerance_grad"]
                or abs(step) * _largest(direction) <= group["tolerance_change"]
                or abs(loss - previous_loss) < group["tolerance_change"]
            ):
                break
        return first_loss


def _flat_grad(params: list[Tensor]) -> Tensor:
    """All gradients as one vector, zeros where there is none."""
    pieces = [pydl.zeros_like(param) if param.grad is None else param.grad.detach().to_dense() for param in params]
    return pydl.cat([piece.reshape(-1) for piece in pieces])


def _largest(vector: Tensor) -> float:
    return vector.abs().max().item() if vector.numel() else 0.0


def _move(params: list[Tensor], direction: Tensor, step: float) -> None:
    start = 0
    for param in params:
        stop = start + param.numel()
        param.add_(direction[start:stop].view_as(param), alpha=step)
        start = stop


def _remember(state: dict[str, Any], y: Tensor, s: Tensor, history_size: int) -> None:
    """Adds the change of gradient y and of position s to the history, if the curvature along s is positive."""
    curvature = y.dot(s).item()
    if curvature <= 1e-10:
        return
    for name, value in (("old_dirs", y), ("old_stps", s), ("ro", 1.0 / curvature)):
        state[name].append(value)
        del state[name][:-history_size]
    state["H_diag"] = curvature / y.dot(y).item()


def _newton_direction(state: dict[str, Any], q: Tensor) -> Tensor:
    """The inverse Hessian's approximation times q, by the two loops over the history."""
    history = list(zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True))
    alphas = []
    for y, s, rho in reversed(history):
        alphas.append(s.dot(q).item() * rho)
        q.add_(y, alpha=-alphas[-1])
    q.mul_(state["H_diag"])
    for (y, s, rho), alpha in zip(history, reversed(alphas), strict=True):
        q.add_(s, alpha=alpha - y.dot(q).item() * rho)
    return q


@dataclass
class _Point:
    """The loss, its gradient and its slope along the direction, after a step of that length."""

    step: float
    value: float
    grad: Tensor
    slope: float


def _cubic_minimum(a: _Point, b: _Point, low: float, high: float) -> float:
    """Where the cubic through two points with their slopes is smallest in [low, high]; the middle if nowhere."""
    if a.step > b.step:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    d2 = square**0.5
    minimum = b.step - (b.step - a.step) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(minimum, low), high)


def _strong_wolfe(
    at: Callable[[float], _Point], start: _Point, step: float, size: float, max_evals: int,
    c1: float = 1e-4, c2: float = 0.9, tolerance_change: float = 1e-9,
) -> _Point:
    """A step with sufficient decrease and small slope: first an interval that holds one, then ever smaller ones.

    Nocedal and Wright 2006, algorithms 3.5 and 3.6, with cubic interpolation. `size` is the largest component of the
    direction, which turns lengths of steps into changes of parameters.
    """

    def decreases(point: _Point) -> bool:
        return point.value <= start.value + c1 * point.step * start.slope

    def is_flat(point: _Point) -> bool:
        return abs(point.slope) <= -c2 * start.slope

    previous, point = start, at(step)
    tries = 0
    while tries < max_evals:
        if not decreases(point) or (tries > 1 and point.value >= previous.value):
            break
        if is_flat(point):
            return point
        if point.slope >= 0:
            break
        longer = _cubic_minimum(previous, point, point.step + 0.01 * (point.step - previous.step), 10 * point.step)
        previous, point = point, at(longer)
        tries += 1
    else:
        previous = start

    low, high = (previous, point) if previous.value <= point.value else (point, previous)
    stalled = False
    while tries < max_evals and abs(high.step - low.step) * size >= tolerance_change:
        left, right = sorted((low.step, high.step))
        step = _cubic_minimum(low, high, left, right)
        margin = 0.1 * (right - left)
        if min(right - step, step - left) < margin:
            # Close to an end: tolerated once, then moved inside, lest the interval shrink from one side only.
            if stalled or step >= right or step <= left:
                step = right - margin if abs(step - right) < abs(step - left) else left + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        point = at(step)
        tries += 1
        if not decreases(point) or point.value >= low.value:
            high = point
            if low.value > high.value:
                low, high = high, low
        else:
            if is_flat(point):
                return point
            if point.slope * (high.step - low.step) >= 0:
                high = low
            low = point
    return low

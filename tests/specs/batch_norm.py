"""Normalization by channel: batch, group, instance, and over neighbouring channels."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .spec import ANY_FLOAT, FLOATS, Call, call, op, t


def norm(name: str, ref: Callable, calls: list[Call], **fields: Any) -> None:
    op("nn.functional." + name, ref, calls, **{"grad": True, "forms": "f", "family": "batch_norm", "dtypes": FLOATS,
        "magnitude": "max", "eps": 16, "half_eps": 8, "grad_eps": 200, "grad_floor": 1} | fields)


def by_channel(v: Any, ndim: int, otherwise: float) -> Any:
    return otherwise if v is None else v.reshape([-1 if d == 1 else 1 for d in range(ndim)])


def standardized(x: np.ndarray, mean: Any, var: Any, weight: Any, bias: Any, eps: float) -> np.ndarray:
    return (x - mean) / np.sqrt(var + eps) * by_channel(weight, x.ndim, 1) + by_channel(bias, x.ndim, 0)


def batch_norm(x: np.ndarray, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
        training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> np.ndarray:
    if training:
        axes = tuple(d for d in range(x.ndim) if d != 1)
        mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    else:
        mean, var = by_channel(running_mean, x.ndim, 0), by_channel(running_var, x.ndim, 1)
    return standardized(x, mean, var, weight, bias, eps)


def group_norm(x: np.ndarray, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> np.ndarray:
    grouped = x.reshape(x.shape[0], num_groups, int(np.prod(x.shape[1:])) // num_groups)
    y = (grouped - grouped.mean(-1, keepdims=True)) / np.sqrt(grouped.var(-1, keepdims=True) + eps)
    return y.reshape(x.shape) * by_channel(weight, x.ndim, 1) + by_channel(bias, x.ndim, 0)


def instance_norm(x: np.ndarray, running_mean: Any = None, running_var: Any = None, weight: Any = None,
        bias: Any = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5) -> np.ndarray:
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    axes = tuple(range(2, x.ndim))
    return standardized(x, x.mean(axes, keepdims=True), x.var(axes, keepdims=True), weight, bias, eps)


def running(n: int) -> tuple:
    return t(n, grad=False), t(n, low=0.2, high=3, grad=False)


# Two to five dimensions, few and many channels, memory in another order.
SHAPES = [(7, 3), (4, 17), (3, 5, 6), (2, 3, 4, 5), (2, 33, 3, 2), (2, 2, 3, 2, 4)]
norm("batch_norm", batch_norm, [call(t(*s), None, None, t(s[1]), t(s[1]), training=True) for s in SHAPES]
    + [call(t(*s), *running(s[1]), t(s[1]), t(s[1])) for s in SHAPES[1:4]]
    + [call(t(3, 5, 6), None, None, training=True, eps=0.1), call(t(3, 5, 6), *running(5), training=False),
    call(t(3, 5, 6), None, None, t(5), training=True), call(t(3, 5, 6), None, None, None, t(5), True),
    call(t(2, 3, 4, 5, layout="transposed"), None, None, t(3), t(3), True),
    call(t(3, 5, 6), *running(5), None, None, True, 0.3), call(t(0, 3, 4), None, None, t(3), t(3), True)],
    dtypes=ANY_FLOAT, large=call(t(16, 24, 17, 19), None, None, t(24), t(24), True))
norm("group_norm", group_norm, [call(t(*s), g, t(s[1]), t(s[1])) for s, g in (((3, 6), 2), ((2, 4, 5), 4),
    ((2, 6, 3, 5), 3), ((2, 34, 3, 2), 2), ((1, 4, 2, 3, 2), 1))] + [call(t(2, 4, 5), 2), call(t(2, 4, 5), 2, t(4)),
    call(t(2, 4, 5), 2, None, t(4), 0.1, grad=False),  # PyTorch fails there
    call(t(2, 6, 3, 5, layout="transposed"), 3, t(6), t(6)),
    call(t(0, 4, 3), 2, t(4), t(4))], dtypes=ANY_FLOAT, large=call(t(16, 24, 17, 19), 3, t(24), t(24)))
norm("instance_norm", instance_norm, [call(t(*s), weight=t(s[1]), bias=t(s[1])) for s in SHAPES[2:]]
    + [call(t(2, 3, 5)), call(t(2, 3, 5), *running(3), use_input_stats=False), call(t(2, 3, 5), *running(3)),
    call(t(2, 3, 4, 5, layout="transposed"), weight=t(3), bias=t(3))],
    large=call(t(16, 24, 17, 19), weight=t(24), bias=t(24)))


def local_response_norm(x: np.ndarray, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> np.ndarray:
    padded = np.concatenate([np.zeros((x.shape[0], size // 2, *x.shape[2:])), x * x,
        np.zeros((x.shape[0], (size - 1) // 2, *x.shape[2:]))], 1)
    means = sum(padded[:, i:i + x.shape[1]] for i in range(size)) / size
    return x / (k + alpha * means) ** beta


norm("local_response_norm", local_response_norm, [call(t(2, 5, 4), 3), call(t(2, 6, 3, 2), 2, 0.5, 0.6, 2.0),
    call(t(1, 7, 2, 3, 2), 5, 0.1), call(t(2, 5, 3, 4, layout="transposed"), 3, 1.0)], eps=8)

"""Connectionist temporal classification, summed over every alignment there is."""
from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .reduce import log_softmax
from .spec import FLOATS, In, call, literal, op, t


def collapsed(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    """What an alignment spells: repeats once, blanks not at all."""
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def ctc_loss(x: np.ndarray, targets: np.ndarray, input_lengths: Any, target_lengths: Any, blank: int = 0,
        reduction: str = "mean", zero_infinity: bool = False) -> np.ndarray:
    if x.ndim == 2:
        x, input_lengths, target_lengths = x[:, None], np.reshape(input_lengths, 1), np.reshape(target_lengths, 1)
        alone = True
    else:
        alone = False
    starts = np.cumsum([0, *target_lengths])
    losses = []
    for b, (frames, length) in enumerate(zip(input_lengths, target_lengths)):
        target = tuple(targets[b, :length] if targets.ndim == 2 else targets[starts[b] : starts[b] + length])
        total = sum(np.exp(sum(x[f, b, label] for f, label in enumerate(path)))
            for path in itertools.product(range(x.shape[2]), repeat=int(frames)) if collapsed(path, blank) == target)
        losses.append(-np.log(total))
    result = np.array(losses) + 0.0
    if zero_infinity:
        result[np.isinf(result)] = 0
    if reduction == "mean":
        return (result / np.maximum(target_lengths, 1)).mean()
    if reduction == "sum":
        return result.sum()
    return result[0] if alone else result


def scores(*shape: int) -> In:
    return t(*shape, make=lambda rng, s: log_softmax(rng.standard_normal(s) * 2, -1))


def ints(*values: int) -> In:
    return literal(list(values), "int64")


_padded, _joined = literal([[1, 2, 0], [2, 2, 0], [1, 0, 0]], "int64"), ints(1, 2, 2, 2, 1)
_lengths = (ints(5, 5, 4), ints(2, 2, 1))
_many = np.random.default_rng(0).integers(1, 40, (16, 30))

op("nn.functional.ctc_loss", ctc_loss, [
    *[call(scores(5, 3, 4), targets, *_lengths, reduction=r) for targets in (_padded, _joined)
        for r in ("none", "mean", "sum")],
    call(scores(5, 3, 4), literal([[1, 2], [2, 2], [1, 3]], "int32"), (5, 4, 5), (2, 2, 2)),
    call(scores(5, 3, 4), literal([[1, 2], [0, 0], [1, 1]], "int64"), (5, 4, 5), (2, 2, 1), blank=3),
    call(scores(6, 1, 3), literal([[1, 2, 1]], "int64"), [6], [3]),
    call(scores(5, 2, 3), literal([[1], [2]], "int64"), (5, 3), (0, 1), reduction="none"),
    call(scores(3, 2, 3), literal([[1, 1], [1, 2]], "int64"), (2, 3), (2, 2), reduction="none", grad=False),
    call(scores(3, 2, 3), literal([[1, 1], [1, 2]], "int64"), (2, 3), (2, 2), reduction="none", zero_infinity=True),
    call(scores(3, 2, 3), literal([[1, 1], [1, 2]], "int64"), (2, 3), (2, 2), zero_infinity=True),
    call(scores(5, 3), ints(1, 2), ints(5), ints(2), reduction="none"), call(scores(5, 3), ints(2), (5,), (1,))],
    dtypes=FLOATS, grad=True, order=1, forms="f", family="ctc", eps=32, magnitude="one", grad_eps=400, grad_floor=1,
    chart=lambda x: x.log_softmax(-1),  # whose gradient the operator assumes
    large=call(scores(60, 16, 40), literal(_many, "int64"), [60] * 16, [30] * 16))

"""Convolutions in one to three dimensions, and their transposes."""
from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from .spec import ANY_FLOAT, FLOATS, Call, call, op, t

Numbers = Any  # one number, or one an axis


def each(value: Numbers, n: int) -> tuple[int, ...]:
    return tuple(value) * (n if len(value) == 1 else 1) if isinstance(value, (tuple, list)) else (value,) * n


def conv(x: np.ndarray, w: np.ndarray, b: Any = None, stride: Numbers = 1, padding: Any = 0, dilation: Numbers = 1,
         groups: int = 1) -> np.ndarray:
    """The definition, one output pixel at a time."""
    n = w.ndim - 2
    if x.ndim == n + 1:
        return conv(x[None], w, b, stride, padding, dilation, groups)[0]
    stride, dilation = each(stride, n), each(dilation, n)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:])]
    if padding == "same":
        around = [((r - 1) // 2, r - 1 - (r - 1) // 2) for r in reach]
    else:
        around = [(p, p) for p in each(0 if padding == "valid" else padding, n)]
    x = np.pad(x, [(0, 0), (0, 0), *around])
    size = [(i - r) // s + 1 for i, r, s in zip(x.shape[2:], reach, stride)]
    y = np.zeros((x.shape[0], w.shape[0], *size))
    ci, co = w.shape[1], w.shape[0] // groups
    for at in product(*map(range, size)):
        patch = x[(..., *[slice(i * s, i * s + r, d) for i, s, r, d in zip(at, stride, reach, dilation)])]
        for g in range(groups):
            y[(slice(None), slice(g * co, (g + 1) * co), *at)] = np.tensordot(
                patch[:, g * ci:(g + 1) * ci], w[g * co:(g + 1) * co], (range(1, n + 2), range(1, n + 2)))
    return y if b is None else y + b.reshape(-1, *[1] * n)


def conv_transpose(x: np.ndarray, w: np.ndarray, b: Any = None, stride: Numbers = 1, padding: Numbers = 0,
                   output_padding: Numbers = 0, groups: int = 1, dilation: Numbers = 1) -> np.ndarray:
    """The definition: every input pixel adds the filter, scaled, to the output."""
    n = w.ndim - 2
    if x.ndim == n + 1:
        return conv_transpose(x[None], w, b, stride, padding, output_padding, groups, dilation)[0]
    stride, padding, extra, dilation = (each(v, n) for v in (stride, padding, output_padding, dilation))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:])]
    full = [(i - 1) * s + r for i, s, r in zip(x.shape[2:], stride, reach)]
    y = np.zeros((x.shape[0], w.shape[1] * groups, *[f + e for f, e in zip(full, extra)]))
    ci, co = w.shape[0] // groups, w.shape[1]
    for at in product(*map(range, x.shape[2:])):
        window = tuple(slice(i * s, i * s + r, d) for i, s, r, d in zip(at, stride, reach, dilation))
        for g in range(groups):
            y[(slice(None), slice(g * co, (g + 1) * co), *window)] += np.tensordot(
                x[(slice(None), slice(g * ci, (g + 1) * ci), *at)], w[g * ci:(g + 1) * ci], 1)
    y = y[(..., *[slice(p, s - p) for p, s in zip(padding, y.shape[2:])])]
    return y if b is None else y + b.reshape(-1, *[1] * n)


def row(name: str, ref: Any, calls: list[Call], **fields: Any) -> None:
    op("nn.functional." + name, ref, calls, **{"grad": True, "forms": "f", "family": "conv", "dtypes": FLOATS,
        "aliases": (name,), "domain": (-2.0, 2.0), "magnitude": "abs", "eps": 4, "half_eps": 4, "grad_eps": 100,
        "grad_floor": 1.0} | fields)


row("conv1d", conv, [
    call(t(2, 3, 9), t(4, 3, 3), t(4)),
    call(t(2, 3, 9), t(4, 3, 3), t(4), stride=2, padding=1),
    call(t(3, 9), t(4, 3, 2), None, padding="same", dilation=3),
    call(t(1, 4, 40), t(6, 2, 5), t(6), groups=2, dilation=2, padding=(4,)),
    call(t(0, 3, 9), t(4, 3, 3), t(4)),
    call(t(2, 33, 70), t(17, 33, 3), t(17), padding=1),
], large=call(t(2, 16, 3000), t(24, 16, 5), t(24), padding=2))
row("conv2d", conv, [
    call(t(2, 3, 5, 6), t(4, 3, 3, 3), t(4)),
    call(t(2, 3, 5, 6), t(4, 3, 3, 3), None, padding=1),
    call(t(1, 2, 7, 7), t(3, 2, 3, 2), t(3), stride=(2, 3), padding=(1, 0)),
    call(t(1, 2, 8, 9), t(3, 2, 3, 3), t(3), dilation=(2, 1), padding="same"),
    call(t(1, 2, 5, 5), t(3, 2, 2, 4), t(3), padding="same"),
    call(t(1, 2, 5, 5), t(3, 2, 3, 3), t(3), padding="valid"),
    call(t(1, 4, 4, 4), t(6, 2, 3, 3), t(6), padding=1, groups=2),
    call(t(1, 5, 4, 5), t(5, 1, 3, 3), t(5), padding=1, groups=5),
    call(t(1, 3, 5, 4), t(6, 1, 3, 3), t(6), padding=1, groups=3, stride=2),
    call(t(2, 5, 4, 3), t(7, 5, 1, 1), t(7)),
    call(t(1, 5, 5, 3), t(7, 5, 1, 1), t(7), stride=2),
    call(t(1, 3, 2, 2), t(2, 3, 3, 3), t(2), padding=2),
    call(t(3, 5, 6), t(4, 3, 3, 3), t(4)),
    call(t(0, 3, 5, 6), t(4, 3, 3, 3), t(4)),
    call(t(2, 3, 5, 6, layout="transposed"), t(4, 3, 3, 3, layout="transposed"), t(4, layout="stepped"), padding=1),
    call(t(1, 3, 12, 12), t(20, 3, 7, 7), t(20), stride=2, padding=3),
    call(t(2, 20, 9, 11), t(35, 20, 3, 3), t(35), padding=1),
    call(t(1, 70, 7, 7), t(66, 70, 3, 3), t(66), padding=1),
    call(t(2, 40, 9, 9), t(40, 1, 3, 3), t(40), padding=1, groups=40),
    call(t(1, 33, 9, 9), t(33, 1, 5, 5), t(33), padding=2, stride=2, groups=33),
], dtypes=ANY_FLOAT, large=call(t(3, 32, 24, 28), t(40, 32, 3, 3), t(40), padding=1))
row("conv2d", conv, [call(t(1, 24, 9, 9), t(24, 1, 3, 3), t(24), padding=1, groups=24)], variant="depthwise",
    large=call(t(2, 96, 40, 40), t(96, 1, 3, 3), t(96), padding=1, groups=96))
row("conv2d", conv, [call(t(1, 24, 9, 9), t(17, 24, 1, 1), t(17))], variant="pointwise",
    large=call(t(2, 96, 30, 30), t(96, 96, 1, 1), t(96)))
row("conv2d", conv, [call(t(1, 64, 9, 9), t(64, 64, 3, 3), t(64), padding=1)], variant="3x3",
    large=call(t(2, 64, 30, 30), t(64, 64, 3, 3), t(64), padding=1))
row("conv3d", conv, [
    call(t(1, 2, 4, 4, 3), t(3, 2, 3, 2, 3), t(3), padding=1),
    call(t(1, 2, 4, 5, 3), t(2, 1, 2, 2, 2), t(2), stride=2, padding=(1, 0, 1), groups=2),
    call(t(2, 3, 3, 4), t(4, 2, 2, 2, 2), None, dilation=(1, 2, 3), padding="same"),
    call(t(1, 17, 5, 6, 7), t(18, 17, 3, 3, 3), t(18), padding=1),
], large=call(t(2, 16, 12, 12, 12), t(16, 16, 3, 3, 3), t(16), padding=1))
row("conv_transpose1d", conv_transpose, [
    call(t(2, 3, 5), t(3, 4, 3), t(4)),
    call(t(2, 3, 5), t(3, 4, 3), t(4), stride=2, padding=1, output_padding=1),
    call(t(4, 6), t(4, 3, 2), None, dilation=3, groups=2),
], large=call(t(2, 16, 1500), t(16, 24, 4), t(24), stride=2, padding=1))
row("conv_transpose2d", conv_transpose, [
    call(t(2, 3, 3, 4), t(3, 4, 3, 3), t(4)),
    call(t(1, 3, 3, 4), t(3, 2, 4, 4), t(2), stride=2, padding=1),
    call(t(1, 4, 3, 3), t(4, 3, 3, 2), t(6), stride=(3, 2), padding=(0, 1), output_padding=(2, 1), groups=2),
    call(t(1, 3, 3, 3), t(3, 2, 1, 1), t(2), stride=2),
    call(t(1, 3, 4, 4), t(3, 2, 3, 3), None, dilation=2, padding=3),
    call(t(0, 3, 3, 4), t(3, 4, 3, 3), t(4)),
    call(t(3, 3, 4), t(3, 4, 2, 2), t(4), stride=2),
    call(t(2, 40, 5, 5), t(40, 34, 3, 3), t(34), stride=2, padding=1, output_padding=1),
], large=call(t(2, 32, 14, 14), t(32, 24, 4, 4), t(24), stride=2, padding=1))
row("conv_transpose3d", conv_transpose, [
    call(t(1, 2, 2, 3, 3), t(2, 3, 3, 3, 2), t(3), stride=2, padding=1),
    call(t(1, 2, 2, 3, 3), t(2, 2, 2, 2, 2), t(2), stride=(1, 2, 3)),
], large=call(t(1, 16, 7, 8, 9), t(16, 16, 3, 3, 3), t(16), stride=2, padding=1))

"""Operators on images: padding."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .spec import ALL, FLOATS, Call, call, op, t

MOVED = {"dtypes": ALL, "grad": True, "eps": 0, "half_eps": 0, "forms": "f", "family": "image"}


def image(name: str, ref: Callable, calls: list[Call], **fields: Any) -> None:
    op(name, ref, calls, **{"dtypes": FLOATS, "grad": True, "forms": "f", "family": "image", "magnitude": "max",
        "eps": 16, "half_eps": 4, "grad_eps": 200} | fields)


# ---- Padding ---------------------------------------------------------------------------------------------------------
def pad(x: np.ndarray, pad: tuple, mode: str = "constant", value: float | None = None) -> np.ndarray:
    """Position by position: crop first, then look beyond the border."""
    value = 0 if value is None else value
    for i in range(len(pad) // 2):
        axis, (before, after) = x.ndim - 1 - i, pad[2 * i:2 * i + 2]
        x = np.take(x, range(max(-before, 0), x.shape[axis] - max(-after, 0)), axis)
        n, shown = x.shape[axis], []
        for o in range(-max(before, 0), n + max(after, 0)):
            at = {"constant": o, "circular": o % max(n, 1), "replicate": min(max(o, 0), n - 1),
                "reflect": -o if o < 0 else 2 * (n - 1) - o if o >= n else o}[mode]
            shown.append(np.take(x, at, axis) if 0 <= at < n else np.full(np.delete(x.shape, axis), value, x.dtype))
        x = np.stack(shown, axis)
    return x


PADDINGS = [(t(2, 3, 7), (2, 1)), (t(2, 3, 7), (3, 0)), (t(3, 7), (0, 5)), (t(2, 3, 5, 6), (1, 2, 3, 0)),
    (t(2, 1, 5, 17), (4, 4, 1, 1)), (t(0, 3, 4, 4), (1, 1, 1, 1)), (t(2, 3, 3, 4, 3), (1, 0, 2, 1, 1, 2)),
    (t(2, 3, 5, 6, layout="transposed"), (1, 2, 3, 0)), (t(2, 3, 5, 6, layout="stepped"), (2, 2, 2, 2)),
    (t(2, 3, 5, 6), (-1, 2, 1, -2)), (t(2, 3, 7), (-2, -3))]
op("nn.functional.pad", pad, [call(*a) for a in PADDINGS] + [call(t(3, 4), (1, 2), value=2), call(t(5), (2, 3)),
    call(t(3, 4), (1, 2, 0, 1), "constant", 1), call(t(0, 3), (1, 0, 2, 0), value=1), call(t(2, 0), (1, 1)),
    call(t(2, 3, 4), (0, 0, 1, -1, 2, 2)), call(t(), ())], **MOVED, large=call(t(8, 16, 40, 40), (1, 1, 1, 1)))
for _mode in ("reflect", "replicate", "circular"):
    op("nn.functional.pad", pad, [call(*a, mode=_mode) for a in PADDINGS], variant=_mode, **MOVED | {"dtypes": FLOATS},
        large=call(t(8, 16, 40, 40), (1, 1, 1, 1), mode=_mode))
op("constant_pad_nd", pad, [call(t(3, 4), (1, 2)), call(t(2, 3), (0, 1, -1, 2))], **MOVED)

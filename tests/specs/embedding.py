"""Rows of tables, alone and in bags. Sparse gradients, padding and norms are tested in nn/test_embedding.py."""
from __future__ import annotations

from typing import Any

import numpy as np

from .spec import ANY_FLOAT, FLOATS, call, index, literal, op, t

ROWS = {"grad": True, "forms": "f", "family": "embedding"}

op("nn.functional.embedding", lambda i, w: w[i], [call(index(5, n=7), t(7, 4)), call(index(2, 3, n=7), t(7, 33)),
    call(literal(2, "int64"), t(3, 5)), call(index(0, n=3), t(3, 5)), call(index(2, 0, 3, n=3), t(3, 5)),
    call(index(40, n=3), t(3, 17)), call(index(6, n=9), t(9, 4, layout="transposed")),
    call(index(6, n=9, layout="stepped"), t(9, 4)), call(index(3, n=4), t(4, 1)), call(index(3, n=4), t(4, 0))],
    dtypes=ANY_FLOAT, eps=0, half_eps=0, large=call(index(64, 50, n=3000), t(3000, 128)), **ROWS)


def bags(i: np.ndarray, w: np.ndarray, offsets: Any = None, mode: str = "mean", per_sample_weights: Any = None,
        include_last_offset: bool = False, padding_idx: int | None = None) -> np.ndarray:
    if i.ndim == 2:
        cuts = np.arange(i.shape[0] + 1) * i.shape[1]
    else:
        cuts = offsets if include_last_offset else np.append(offsets, i.size)
    rows, factors = i.ravel(), np.ones(i.size) if per_sample_weights is None else per_sample_weights.ravel()
    out = np.zeros((len(cuts) - 1, w.shape[1]))
    for b, (start, stop) in enumerate(zip(cuts, cuts[1:])):
        kept = [k for k in range(start, stop) if rows[k] != padding_idx]
        if not kept:
            continue
        values = w[rows[kept]] * factors[kept][:, None]
        out[b] = {"sum": values.sum, "mean": values.mean, "max": values.max}[mode](0)
    return out


_cuts = literal([0, 2, 2, 7], "int64")
op("nn.functional.embedding_bag", bags, [
    *[c for mode in ("sum", "mean", "max") for c in (call(index(9, n=7), t(7, 4, distinct=True), _cuts, mode=mode),
        call(index(4, 5, n=7), t(7, 33, distinct=True), mode=mode),
        call(index(9, n=7), t(7, 5, distinct=True), literal([0, 3, 9], "int64"), mode=mode, include_last_offset=True),
        call(index(9, n=3), t(3, 5, distinct=True), _cuts, mode=mode, padding_idx=1, grad=False),
        call(index(0, n=3), t(3, 5, distinct=True), literal([0, 0], "int64"), mode=mode),
        call(index(300, n=40), t(40, 130, distinct=True), literal([0, 290], "int64"), mode=mode))],
    call(index(9, n=7), t(7, 4), _cuts, mode="sum", per_sample_weights=t(9)),
    call(index(3, 4, n=7), t(7, 19), mode="sum", per_sample_weights=t(3, 4)),
    call(index(9, n=3), t(3, 4), _cuts, mode="sum", per_sample_weights=t(9), padding_idx=2, grad=False)],
    dtypes=FLOATS, eps=16, magnitude="max", grad_floor=1,
    large=call(index(400, 50, n=3000), t(3000, 128), mode="sum", per_sample_weights=t(400, 50)), **ROWS)

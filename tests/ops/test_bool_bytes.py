"""A bool tensor's bytes: all but 0 are true."""
from __future__ import annotations

import numpy as np
import pytest

import pydl
from pydl.nn import functional as F

ANY_BYTE = {
    "nonzero": lambda b, x: b.nonzero(),
    "nonzero of rows": lambda b, x: b.view(10, -1).nonzero(),
    "x[b]": lambda b, x: x[b],
    "x[:, b]": lambda b, x: x.view(10, -1)[:, b[:101]],
    "x[b] = 1": lambda b, x: x.index_put((b,), pydl.tensor(1.0)),
    "x[b[0]]": lambda b, x: x[b[0]],
    "masked_select": lambda b, x: pydl.masked_select(x, b),
    "masked_scatter": lambda b, x: x.masked_scatter(b, -x),
    "masked_fill": lambda b, x: x.masked_fill(b, 7.0),
    "where": lambda b, x: pydl.where(b, x, -x),
    "tolist": lambda b, x: pydl.tensor(b.tolist()),
    "item": lambda b, x: pydl.tensor([e.item() for e in b[:20]]),
    "int": lambda b, x: b.int(),
    "sum": lambda b, x: b.sum(),
    "sum of columns": lambda b, x: b.view(10, -1).sum(0),
    "count_nonzero": lambda b, x: pydl.count_nonzero(b),
    "cumsum": lambda b, x: b.cumsum(0),
    "cummax": lambda b, x: b.cummax(0).indices,
    "prod": lambda b, x: b[:2].prod(),
    "any": lambda b, x: b.view(-1, 10).any(1),
    "all": lambda b, x: b.view(-1, 10).all(1),
    "amax": lambda b, x: b.view(-1, 10).amax(1),
    "max of columns": lambda b, x: b.view(-1, 10).max(0).indices,
    "sort": lambda b, x: b.sort(stable=True).indices,
    "topk": lambda b, x: b.topk(5).indices,
    "unique": lambda b, x: pydl.unique(b),
    "logical_not": lambda b, x: pydl.logical_not(b),
    "~": lambda b, x: ~b,
    "&": lambda b, x: b & b.flip(0),
    "|": lambda b, x: b | b.flip(0),
    "^": lambda b, x: b ^ b.flip(0),
    "==": lambda b, x: b == b.flip(0),
    "== True": lambda b, x: b == pydl.tensor(True),
    "<": lambda b, x: b < b.flip(0),
    "+": lambda b, x: b + b.flip(0),
    "* x": lambda b, x: b * x,
    "maximum": lambda b, x: pydl.maximum(b, b.flip(0)),
    "index_add": lambda b, x: pydl.zeros(5, dtype=pydl.bool).index_add(0, pydl.arange(1010) % 5, b),
    "scatter_reduce": lambda b, x: b[:5].scatter_reduce(0, pydl.arange(1010) % 5, b, "amin"),
    "searchsorted": lambda b, x: pydl.searchsorted(pydl.tensor([False, True]), b),
    "attention": lambda b, x: F.scaled_dot_product_attention(*(x[:640].view(1, 40, 16) / 640,) * 3,
                                                             attn_mask=b[1:401].view(10, 40).repeat(4, 1)),
}


@pytest.mark.parametrize("name", ANY_BYTE)
def test_every_byte_but_zero_is_true(name):
    """Memory of NumPy, or memory that nobody has written, may hold other bytes than 0 and 1 in a bool tensor."""
    f, x = ANY_BYTE[name], pydl.arange(1010.0)
    raw = np.random.default_rng(0).choice(np.array([0, 0, 1, 2, 190, 255], np.uint8), 1010)
    for b in (raw, np.sort(raw)[::-1].copy()):
        got, expected = f(pydl.from_numpy(b.view(bool)), x), f(pydl.from_numpy(b != 0), x)
        assert got.dtype == expected.dtype and np.array_equal(np.array(got.tolist()), np.array(expected.tolist()))

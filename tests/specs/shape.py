"""Views, rearrangements, joining and splitting: values move, none is computed."""
from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from .spec import ALL, FLOATS, NUMBERS, Call, call, op, t

MOVED = {"dtypes": ALL, "grad": True, "eps": 0, "half_eps": 0, "forms": "mf", "family": "shape"}


def moved(name: str, ref: Callable, *calls: Call, **fields: Any) -> None:
    op(name, ref, calls, **MOVED | fields)


# ---- Views of the same elements --------------------------------------------------------------------------------------
moved("reshape", lambda x, shape: x.reshape(shape), call(t(3, 4), (2, 6)), call(t(2, 3, 4), (-1, 4)), call(t(), (1, 1)),
    call(t(0, 3), (3, 0)), call(t(3, 4, layout="transposed"), (4, 3)), call(t(3, 4, layout="expanded"), (12,)),
    call(t(5, 6, layout="stepped"), (5, 2, 3)))
moved("view", lambda x, *shape: x.reshape(shape), call(t(3, 4), 2, 6), call(t(2, 3, 4), 6, -1), call(t(1), 1, 1),
    call(t(5, 6, layout="stepped"), 5, 2, 3), forms="m")
moved("reshape_as", lambda x, y: x.reshape(y.shape), call(t(3, 4), t(2, 6)), forms="m")
moved("view_as", lambda x, y: x.reshape(y.shape), call(t(3, 4), t(2, 6)), forms="m")
moved("ravel", np.ravel, call(t(3, 4)), call(t()), call(t(3, 4, layout="transposed")))
moved("flatten", lambda x, start_dim=0, end_dim=-1: x.reshape(x.shape[:start_dim] + (-1,)
    + (x.shape[end_dim:][1:] if end_dim != -1 else ())) if x.ndim else x.reshape(1), call(t(2, 3, 4)),
    call(t(2, 3, 4), 1), call(t(2, 3, 4, 5), 1, 2), call(t(2, 3, 4, 5), start_dim=1, end_dim=-2), call(t()),
    call(t(3, 4, layout="transposed")))
moved("unflatten", lambda x, dim, sizes: x.reshape(x.shape[:dim] + tuple(sizes) + x.shape[dim + 1:]),
    call(t(12, 5), 0, (3, 4)), call(t(2, 12), 1, (-1, 6)))
moved("squeeze", lambda x, dim=None: np.squeeze(x, tuple(d for d in np.atleast_1d(dim) if x.shape[d] == 1))
    if dim is not None else np.squeeze(x), call(t(1, 3, 1, 4)), call(t(1, 3, 1), 0), call(t(1, 3, 1), -1),
    call(t(2, 3), 0), call(t(1, 3, 1, 2), (0, 2)), forms="mfi")
moved("unsqueeze", np.expand_dims, call(t(3, 4), 0), call(t(3, 4), -1), call(t(3, 4), 1), call(t(), 0), forms="mfi")
moved("transpose", np.swapaxes, call(t(3, 4), 0, 1), call(t(2, 3, 4), 0, -1), call(t(2, 3, 4, layout="stepped"), 1, 2),
    forms="mfi", aliases=("swapaxes", "swapdims"))
moved("permute", lambda x, dims: np.transpose(x, dims), call(t(2, 3, 4), (2, 0, 1)), call(t(2, 3, 4), (0, -1, 1)),
    call(t(3, 0), (1, 0)), call(t(33, 17), (1, 0)))
moved("movedim", np.moveaxis, call(t(2, 3, 4), 0, 2), call(t(2, 3, 4, 5), (0, 2), (3, 0)), call(t(2, 3), -1, 0),
    aliases=("moveaxis",))
moved("t", lambda x: x.T, call(t(3, 4)), call(t(3)), call(t()), forms="mfi")
moved("adjoint", lambda x: np.swapaxes(x, -1, -2), call(t(3, 4)), call(t(2, 3, 4)), dtypes=NUMBERS)
moved("expand", lambda x, *shape: np.broadcast_to(x, [n if s == -1 else s for s,
    n in zip(shape, (1,) * (len(shape) - x.ndim) + x.shape)]), call(t(3, 1), 3, 4), call(t(3, 1), 2, 3, 4),
    call(t(3, 1), -1, 5), call(t(), 2), call(t(1), 0), forms="m")
moved("expand_as", lambda x, y: np.broadcast_to(x, y.shape), call(t(3, 1), t(2, 3, 4)), forms="m")
moved("broadcast_to", lambda x, shape: np.broadcast_to(x, shape), call(t(3, 1), (3, 4)), call(t(), (2, 2)),
    call(t(1, 4), (3, 2, 4)))
moved("broadcast_tensors", lambda *xs: np.broadcast_arrays(*xs), call(t(3, 1), t(1, 4)), call(t(2), t(3, 1), t()),
    forms="f")
for _n in (1, 2, 3):
    moved(f"atleast_{_n}d", getattr(np, f"atleast_{_n}d"), call(t()), call(t(3)), call(t(3, 4)), call(t(2, 3, 4)),
        forms="f")
moved("narrow", lambda x, dim, start, length: np.take(x, range(start % max(x.shape[dim], 1),
    start % max(x.shape[dim], 1) + length), dim), call(t(5, 7), 0, 1, 3), call(t(5, 7), 1, -3, 2),
    call(t(5, 7, layout="transposed"), -1, 0, 7), call(t(5), 0, 2, 0))
moved("select", lambda x, dim, index: np.take(x, index, dim), call(t(3, 4), 0, 1), call(t(2, 3, 4), -1, -2),
    call(t(5), 0, 4))
moved("diagonal", lambda x, offset=0, dim1=0, dim2=1: np.diagonal(x, offset, dim1, dim2), call(t(3, 4)),
    call(t(3, 4), 1), call(t(4, 3), -2), call(t(2, 3, 4), 0, 1, 2), call(t(3, 3), 5))
moved("as_strided", lambda x, size, stride, offset=0: np.lib.stride_tricks.as_strided(x.ravel()[offset:], size,
    [s * x.itemsize for s in stride]), call(t(12), (3, 4), (4, 1)), call(t(12), (3, 3), (1, 2), 2),
    call(t(7), (3, 5), (1, 1)), forms="mfi")
moved("unfold", lambda x, dim, size, step: np.moveaxis(np.stack([np.take(x, range(s, s + size), dim) for s in range(0,
    x.shape[dim] - size + 1, step)], dim), dim + 1, -1), call(t(9), 0, 3, 2), call(t(4, 9), 1, 2, 3),
    call(t(5, 3), 0, 5, 1), forms="m")
moved("contiguous", lambda x: x, call(t(3, 4, layout="transposed")), call(t(3, 4, layout="expanded")), call(t(5)),
    forms="m")
moved("detach", lambda x: x, call(t(3, 4)), forms="mfi", grad=False)

# ---- Joining ---------------------------------------------------------------------------------------------------------
JOINED = {"forms": "fo"}
moved("cat", lambda xs, dim=0: np.concatenate(xs, dim), call([t(3, 4), t(2, 4)]), call([t(3, 4), t(3, 5), t(3, 1)], 1),
    call([t(3, 4), t(3, 4)], dim=-1), call([t(5)]), call([t(3, 4, layout="transposed"), t(2, 4, layout="stepped")]),
    call([t(0, 4), t(2, 4)]), call([t(2, 3, 4), t(2, 1, 4)], 1), call([t(257), t(33), t(1)]), **JOINED,
    aliases=("concat", "concatenate"), large=call([t(700, 800), t(300, 800)]))
moved("stack", lambda xs, dim=0: np.stack(xs, dim), call([t(3, 4), t(3, 4)]), call([t(3, 4), t(3, 4)], 1),
    call([t(3), t(3), t(3)], dim=-1), call([t(), t()]), call([t(3, 4, layout="transposed"), t(3, 4)]), **JOINED,
    large=call([t(100_001), t(100_001)], 1))
moved("hstack", np.hstack, call([t(3), t(4)]), call([t(3, 4), t(3, 2)]), call([t(), t()]), **JOINED)
moved("vstack", np.vstack, call([t(3), t(3)]), call([t(3, 4), t(2, 4)]), call([t(), t()]), **JOINED,
    aliases=("row_stack",))
moved("dstack", np.dstack, call([t(3), t(3)]), call([t(3, 4), t(3, 4)]), call([t(2, 3, 4), t(2, 3, 1)]), **JOINED)
moved("column_stack", np.column_stack, call([t(3), t(3)]), call([t(3, 4), t(3)]), **JOINED)


def block_diag(*blocks: np.ndarray) -> np.ndarray:
    blocks = tuple(np.atleast_2d(b) for b in blocks)
    out = np.zeros(np.sum([b.shape for b in blocks], axis=0).astype(int), blocks[0].dtype)
    i = j = 0
    for b in blocks:
        out[i:i + b.shape[0], j:j + b.shape[1]] = b
        i, j = i + b.shape[0], j + b.shape[1]
    return out


moved("block_diag", block_diag, call(t(2, 3), t(1, 4)), call(t(3), t(), t(2, 2)), forms="f")
moved("meshgrid", lambda *xs, indexing="ij": tuple(np.meshgrid(*xs, indexing=indexing)),
    call(t(3), t(4), indexing="ij"), call(t(3), t(4), indexing="xy"), call(t(2), t(3), t(4), indexing="ij"), forms="f")
moved("cartesian_prod", lambda *xs: np.array(list(itertools.product(*xs))), call(t(3), t(4)), call(t(2), t(3), t(2)),
    forms="f", dtypes=FLOATS)
moved("combinations", lambda x, r=2, with_replacement=False: np.array(list((itertools.combinations_with_replacement
    if with_replacement else itertools.combinations)(x, r))), call(t(5)), call(t(4), 3),
    call(t(4), with_replacement=True), dtypes=FLOATS, forms="f")

# ---- Splitting -------------------------------------------------------------------------------------------------------
def split(x: np.ndarray, sizes: int | list[int], dim: int = 0) -> list[np.ndarray]:
    if isinstance(sizes, int):
        sizes = [min(sizes, x.shape[dim] - i) for i in range(0, x.shape[dim], sizes)]
    return np.split(x, np.cumsum(sizes)[:-1], dim)


def chunk(x: np.ndarray, chunks: int, dim: int = 0) -> list[np.ndarray]:
    return split(x, -(-x.shape[dim] // chunks), dim)


moved("split", split, call(t(7, 3), 3), call(t(7, 3), [2, 4, 1]), call(t(3, 8), 2, dim=1),
    call(t(3, 8, layout="transposed"), [5, 3], -1))
moved("split_with_sizes", split, call(t(7, 3), [2, 4, 1]), call(t(3, 7), [0, 7], 1))
moved("chunk", chunk, call(t(7, 3), 3), call(t(3, 8), 4, 1), call(t(5), 9))
moved("tensor_split", np.array_split, call(t(7, 3), 3), call(t(3, 8), [2, 5], 1), call(t(5), (1, 1)))
for _name, _dim, _shape in (("hsplit", 1, (3, 6)), ("vsplit", 0, (6, 3)), ("dsplit", 2, (2, 3, 6))):
    moved(_name, getattr(np, _name), call(t(*_shape), 3), call(t(*_shape), [1, 4]))
moved("unbind", lambda x, dim=0: [np.take(x, i, dim) for i in range(x.shape[dim])], call(t(3, 4)), call(t(3, 4), 1),
    call(t(2, 3, 4, layout="transposed"), -1))

# ---- Repeating and turning -------------------------------------------------------------------------------------------
moved("roll", lambda x, shifts, dims=None: np.roll(x, shifts, dims), call(t(7), 2), call(t(3, 4), 1, 0),
    call(t(3, 4), (2, -1), (0, 1)), call(t(3, 4), 5), call(t(0), 1), call(t(5, 7, layout="transposed"), -2, 1))
moved("flip", lambda x, dims: np.flip(x, dims), call(t(3, 4), (0,)), call(t(3, 4), (0, 1)), call(t(2, 3, 17), (-1,)),
    call(t(5, 33, layout="transposed"), [1]))
moved("fliplr", np.fliplr, call(t(3, 4)))
moved("flipud", np.flipud, call(t(3, 4)), call(t(5)))
moved("rot90", lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims), call(t(3, 4)), call(t(3, 4), 2),
    call(t(2, 3, 4), -1, (1, 2)), call(t(3, 4), 4, (0, 1)))
moved("repeat", lambda x, *sizes: np.tile(x, sizes), call(t(3), 2), call(t(3, 4), 2, 3), call(t(3), 2, 1, 3),
    call(t(3, 4), 0, 1), call(t(), 2), forms="m")
moved("tile", lambda x, sizes: np.tile(x, sizes), call(t(3), (2,)), call(t(3, 4), (2,)), call(t(3), (2, 2)),
    call(t(2, 3, 4), (1, 2, 1)))
moved("repeat_interleave", lambda x, n, dim=None: np.repeat(x, n if isinstance(n, int) else list(n), dim),
    call(t(3, 4), 2), call(t(3, 4), 3, dim=1), call(t(5), 2, dim=0), call(t(3), 0))
moved("tril", np.tril, call(t(4, 5)), call(t(4, 5), 1), call(t(2, 5, 4), -1), call(t(17, 17, layout="transposed")),
    forms="mfio")
moved("triu", np.triu, call(t(4, 5)), call(t(4, 5), 1), call(t(2, 5, 4), -1), call(t(17, 17, layout="transposed")),
    forms="mfio")
moved("diag", np.diag, call(t(4)), call(t(3), 1), call(t(4, 5)), call(t(4, 5), -1), forms="mfo")
moved("diagflat", np.diagflat, call(t(4)), call(t(2, 2), 1))


def diag_embed(x: np.ndarray, offset: int = 0, dim1: int = -2, dim2: int = -1) -> np.ndarray:
    n = x.shape[-1] + abs(offset)
    out = np.zeros(x.shape[:-1] + (n, n), x.dtype)
    for i in range(x.shape[-1]):
        out[..., i + max(-offset, 0), i + max(offset, 0)] = x[..., i]
    return np.moveaxis(out, (-2, -1), (dim1, dim2))


moved("diag_embed", diag_embed, call(t(4)), call(t(2, 3)), call(t(2, 3), 1), call(t(2, 3), -2), call(t(2, 3), 0, 0, 2))
moved("vander", lambda x, N=None, increasing=False: np.vander(x, N, increasing), call(t(4)), call(t(4), 3),
    call(t(5), increasing=True), forms="f", dtypes=FLOATS, eps=4, magnitude="max", grad=False)



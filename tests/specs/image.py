"""Operators on images: padding, interpolation, sampling, patches, pixels and channels."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .spec import ALL, FLOATS, Call, call, op, t

MOVED = {"dtypes": ALL, "grad": True, "eps": 0, "half_eps": 0, "forms": "f", "family": "image"}


def image(name: str, ref: Callable, calls: list[Call], **fields: Any) -> None:
    op(name, ref, calls, **{"dtypes": FLOATS, "grad": True, "forms": "f", "family": "image", "magnitude": "max",
        "eps": 32, "half_eps": 4, "grad_eps": 200} | fields)


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
        x = np.stack(shown, axis) if shown else x
    return x


PADDINGS = [(t(2, 3, 7), (2, 1)), (t(2, 3, 7), (3, 0)), (t(3, 7), (0, 5)), (t(2, 3, 5, 6), (1, 2, 3, 0)),
    (t(2, 1, 5, 17), (4, 4, 1, 1)), (t(0, 3, 4, 4), (1, 1, 1, 1)), (t(2, 3, 3, 4, 3), (1, 0, 2, 1, 1, 2)),
    (t(2, 3, 5, 6, layout="transposed"), (1, 2, 3, 0)), (t(2, 3, 5, 6, layout="stepped"), (2, 2, 2, 2)),
    (t(2, 3, 5, 6), (-1, 2, 1, -2)), (t(2, 3, 7), (-2, -3)), (t(2, 3, 4, 5), (0, 0, 0, 0))]
op("nn.functional.pad", pad, [call(*a) for a in PADDINGS] + [call(t(3, 4), (1, 2), value=2), call(t(5), (2, 3)),
    call(t(3, 4), (1, 2, 0, 1), "constant", 1), call(t(0, 3), (1, 0, 2, 0), value=1), call(t(2, 0), (1, 1)),
    call(t(2, 3, 4), (0, 0, 1, -1, 2, 2)), call(t(), ()), call(t(2, 3), (0, -3)), call(t(2, 3, 4), (-1, -3, 1, 1)),
    call(t(2, 3), (0, 0, 1, -2)), call(t(2, 3), (0, 0, 0, -2))], **MOVED, large=call(t(8, 16, 40, 40), (1, 1, 1, 1)))
for _mode in ("reflect", "replicate", "circular"):
    op("nn.functional.pad", pad, [call(*a, mode=_mode) for a in PADDINGS], variant=_mode, **MOVED | {"dtypes": FLOATS},
        large=call(t(8, 16, 40, 40), (1, 1, 1, 1), mode=_mode))
op("constant_pad_nd", pad, [call(t(3, 4), (1, 2)), call(t(2, 3), (0, 1, -1, 2))], **MOVED)


# ---- Interpolation ---------------------------------------------------------------------------------------------------
def keys(x: np.ndarray, a: float) -> np.ndarray:
    """Cubic convolution."""
    x = np.abs(x)
    near, far = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def resampling(n: int, out: int, mode: str, align_corners: bool | None, factor: float | None,
        antialias: bool) -> np.ndarray:
    """The matrix (out, n) of one dimension."""
    o, i, rows = np.arange(out)[:, None], np.arange(n), np.arange(out)
    step = 1 / factor if factor else n / out
    matrix = np.zeros((out, n))
    if mode in ("nearest", "nearest-exact"):
        at = np.floor((rows + (0.5 if mode == "nearest-exact" else 0)) * np.float32(step)).astype(int)
        matrix[rows, np.minimum(at, n - 1)] = 1
        return matrix
    if mode == "area":
        inside = (i >= o * n // out) & (i < -(-(o + 1) * n // out))
        return inside / inside.sum(1, keepdims=True)
    if align_corners:
        step = (n - 1) / (out - 1) if out > 1 else 0
    if antialias:
        stretch, cubic = max(step, 1), mode == "bicubic"
        x = (i - step * (o + 0.5) + 0.5) / stretch
        weight = keys(x, -0.5) if cubic else np.maximum(0, 1 - np.abs(x))
        return weight / weight.sum(1, keepdims=True)
    at = rows * step if align_corners else (rows + 0.5) * step - 0.5
    taps = range(-1, 3) if mode == "bicubic" else range(2)
    if mode != "bicubic":
        at = np.maximum(at, 0)
    left = np.floor(at).astype(int)
    for k in taps:
        weight = keys(at - left - k, -0.75) if mode == "bicubic" else np.maximum(0, 1 - np.abs(at - left - k))
        np.add.at(matrix, (rows, np.clip(left + k, 0, n - 1)), weight)
    return matrix


def interpolate(x: np.ndarray, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
        align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
        antialias: bool = False) -> np.ndarray:
    for axis in range(2, x.ndim):
        n, factor = x.shape[axis], scale_factor[axis - 2] if isinstance(scale_factor, tuple) else scale_factor
        out = size[axis - 2] if isinstance(size, tuple) else size if factor is None else int(n * factor)
        kept = None if recompute_scale_factor or mode == "area" else factor
        matrix = resampling(n, out, mode, align_corners, kept, antialias)
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis)
    return x


SIZES = {1: [((2, 3, 5), 9), ((2, 3, 9), 4), ((1, 2, 7), 7)], 2: [((2, 3, 4, 5), (7, 8)), ((1, 2, 7, 6), (3, 11)),
    ((2, 1, 5, 5), (1, 5)), ((0, 3, 4, 4), (2, 6))], 3: [((1, 2, 3, 4, 3), (5, 2, 6)), ((1, 2, 4, 3, 2), (2, 3, 4))]}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
for _mode in ("nearest", "nearest-exact", "area", "linear", "bicubic"):
    _names = {d: _mode if _mode != "linear" else LINEAR[d] for d in ((2,) if _mode == "bicubic" else (1, 2, 3))}
    _corners = (None, True) if _mode in ("linear", "bicubic") else (None,)
    _calls = [call(t(*shape), size, mode=name, align_corners=c) for d, name in _names.items() for shape, size in SIZES[d]
              for c in _corners]
    _calls += [call(t(*SIZES[d][0][0]), scale_factor=f, mode=name, recompute_scale_factor=r)
               for d, name in _names.items() for f in (2, 1.7, 0.6) for r in (None, True)]
    _calls += [call(t(2, 3, 4, 5), scale_factor=(1.5, 3.0), mode=_names[2]),
               call(t(2, 3, 6, 5, layout="transposed"), (3, 10), mode=_names[2])]
    image("nn.functional.interpolate", interpolate, _calls, variant=_mode,
        large=call(t(4, 8, 40, 50), (61, 99), mode=_names[2]))
image("nn.functional.interpolate", interpolate, [call(t(*shape), size, mode=m, align_corners=c, antialias=True)
    for m in ("bilinear", "bicubic") for c in (False, True) for shape, size in (((2, 3, 9, 8), (4, 5)),
    ((1, 2, 13, 4), (3, 9)))] + [call(t(1, 2, 9, 8), scale_factor=0.4, mode="bilinear", antialias=True)],
    variant="antialias")

# ---- Sampling at a grid ----------------------------------------------------------------------------------------------
def grid_sample(x: np.ndarray, grid: np.ndarray, mode: str = "bilinear", padding_mode: str = "zeros",
        align_corners: bool = False) -> np.ndarray:
    """Point by point: every pixel weighted by the product of a kernel's values along the dimensions."""
    spatial = x.shape[2:]

    def inside(at: float, n: int) -> float:
        if padding_mode == "zeros":
            return at
        if padding_mode == "reflection":
            low, high = (0, n - 1) if align_corners else (-0.5, n - 0.5)
            if low == high:
                return 0
            at = (at - low) % (2 * (high - low))
            at = low + min(at, 2 * (high - low) - at)
        return min(max(at, 0), n - 1)

    def weights(c: float, n: int) -> np.ndarray:
        at, row = (c + 1) / 2 * (n - 1) if align_corners else ((c + 1) * n - 1) / 2, np.zeros(n)
        if mode != "bicubic":
            at = inside(at, n)
        left = int(np.floor(at))
        if mode == "nearest":
            taps = [(int(np.round(at)), 1.0)]
        elif mode == "bilinear":
            taps = [(left, left + 1 - at), (left + 1, at - left)]
        else:
            taps = [(int(inside(k, n)), float(keys(np.asarray(at - k), -0.75))) for k in range(left - 1, left + 3)]
        for k, w in taps:
            if 0 <= k < n:
                row[k] += w
        return row

    out = np.zeros(x.shape[:2] + grid.shape[1:-1])
    for at in np.ndindex(grid.shape[:-1]):
        value = x[at[0]]
        for d in range(len(spatial) - 1, -1, -1):
            value = value @ weights(grid[at][len(spatial) - 1 - d], spatial[d])
        out[(at[0], slice(None), *at[1:])] = value
    return out


def _grid(*shape: int) -> Any:
    return t(*shape, low=-1.3, high=1.3)


_flat = [(t(2, 3, 4, 5), _grid(2, 3, 4, 2)), (t(1, 1, 6, 3), _grid(1, 5, 1, 2)), (t(0, 2, 3, 3), _grid(0, 2, 2, 2)),
    (t(1, 17, 3, 4, layout="transposed"), _grid(1, 2, 3, 2))]
_deep = [(t(1, 2, 3, 4, 3), _grid(1, 2, 2, 3, 3))]
for _mode in ("bilinear", "nearest", "bicubic"):
    image("nn.functional.grid_sample", grid_sample, [call(*a, mode=_mode, padding_mode=p, align_corners=c)
        for a in _flat + (_deep if _mode != "bicubic" else []) for p in ("zeros", "border", "reflection")
        for c in (False, True)], variant=_mode, eps=64, grad_eps=2000, order=1 if _mode == "nearest" else 2,
        large=call(t(2, 8, 30, 30), _grid(2, 50, 60, 2), mode=_mode, align_corners=False))


def affine_grid(theta: np.ndarray, size: tuple, align_corners: bool = False) -> np.ndarray:
    lines = [np.linspace(-1, 1, n) * (1 if align_corners else (n - 1) / n) if n > 1 else np.zeros(1) for n in size[2:]]
    points = np.stack([*np.meshgrid(*lines, indexing="ij")[::-1], np.ones(size[2:])], -1)
    return np.einsum("...i,nji->n...j", points, theta)


image("nn.functional.affine_grid", affine_grid, [call(t(n, d, d + 1), size, align_corners=c) for c in (False, True)
    for n, d, size in ((2, 2, (2, 3, 4, 5)), (1, 2, (1, 1, 3, 2)), (2, 3, (2, 1, 2, 3, 4)))])

# ---- Patches, pixels and channels ------------------------------------------------------------------------------------
def pair(v: Any) -> tuple:
    return tuple(v) if isinstance(v, (tuple, list)) else (v, v)


def unfold(x: np.ndarray, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> np.ndarray:
    (kh, kw), (dh, dw), (ph, pw), (sh, sw) = map(pair, (kernel_size, dilation, padding, stride))
    x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(ph, ph), (pw, pw)])
    tops = range(0, x.shape[-2] - dh * (kh - 1), sh)
    lefts = range(0, x.shape[-1] - dw * (kw - 1), sw)
    patches = [x[..., a:a + dh * (kh - 1) + 1:dh, b:b + dw * (kw - 1) + 1:dw] for a in tops for b in lefts]
    columns = np.stack(patches, -1)
    return columns.reshape(x.shape[:-3] + (x.shape[-3] * kh * kw, len(patches)))


def fold(x: np.ndarray, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
        stride: Any = 1) -> np.ndarray:
    """The transpose of unfold, read from its effect on the numbers of the pixels."""
    h, w = pair(output_size)
    where = unfold(np.arange(1.0, h * w + 1).reshape(1, h, w), kernel_size, dilation, padding, stride)
    channels = x.shape[-2] // where.shape[0]
    values = x.reshape(x.shape[:-2] + (channels, where.size))
    out = np.zeros(x.shape[:-2] + (channels, h * w + 1))
    for k, pixel in enumerate(where.ravel().astype(int)):  # 0: the padding
        out[..., pixel] += values[..., k]
    return out[..., 1:].reshape(out.shape[:-1] + (h, w))


_patches = [((2, 3, 5, 6), {"kernel_size": 3}), ((2, 3, 5, 6), {"kernel_size": (2, 3), "stride": (2, 1)}),
    ((1, 2, 6, 7), {"kernel_size": 2, "dilation": 2, "padding": (1, 0), "stride": 2}), ((3, 4, 4), {"kernel_size": 4}),
    ((2, 1, 3, 3), {"kernel_size": 3, "padding": 1}), ((0, 2, 4, 4), {"kernel_size": 2})]
image("nn.functional.unfold", unfold, [call(t(*shape), **options) for shape, options in _patches]
    + [call(t(2, 3, 5, 6, layout="transposed"), kernel_size=3, padding=1)], engine_names=("unfold",))
image("nn.functional.fold", fold, [call(t(*unfold(np.zeros(shape), **options).shape), shape[-2:], **options)
    for shape, options in _patches])


def pixel_shuffle(x: np.ndarray, r: int) -> np.ndarray:
    *lead, c, h, w = x.shape
    out = np.zeros((*lead, c // r**2, h * r, w * r), x.dtype)
    for i, j in np.ndindex(r, r):
        out[..., i::r, j::r] = x[..., i * r + j::r * r, :, :]
    return out


def pixel_unshuffle(x: np.ndarray, r: int) -> np.ndarray:
    *lead, c, h, w = x.shape
    out = np.zeros((*lead, c * r**2, h // r, w // r), x.dtype)
    for i, j in np.ndindex(r, r):
        out[..., i * r + j::r * r, :, :] = x[..., i::r, j::r]
    return out


op("pixel_shuffle", pixel_shuffle, [call(t(2, 8, 3, 4), 2), call(t(9, 2, 3), 3), call(t(2, 1, 4, 3, 3), 2),
    call(t(2, 3, 2, 2), 1), call(t(2, 12, 3, 4, layout="transposed"), 2), call(t(0, 4, 2, 2), 2)], **MOVED)
op("pixel_unshuffle", pixel_unshuffle, [call(t(2, 2, 6, 4), 2), call(t(1, 6, 9), 3), call(t(2, 1, 3, 4, 4), 2),
    call(t(2, 3, 4, 6, layout="transposed"), 2)], **MOVED)
op("channel_shuffle", lambda x, groups: np.concatenate([x[:, i::x.shape[1] // groups]
    for i in range(x.shape[1] // groups)], 1), [call(t(2, 6, 3, 4), 3), call(t(2, 6, 3, 4), 2), call(t(2, 4, 5), 4),
    call(t(2, 6, 4, 3, layout="transposed"), 3), call(t(2, 4, 2, 2, 2), 2)], **MOVED,
    aliases=("native_channel_shuffle",))

"""Resampling and rearranging images: interpolation, sampling at a grid, patches, pixels and channels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import pydl
from pydl import Tensor
from pydl._core import nn as _nn

__all__ = [
    "affine_grid", "channel_shuffle", "fold", "grid_sample", "interpolate", "native_channel_shuffle", "pixel_shuffle",
    "pixel_unshuffle", "unfold", "upsample", "upsample_bilinear", "upsample_nearest",
]

pixel_shuffle = pydl.pixel_shuffle
pixel_unshuffle = pydl.pixel_unshuffle
channel_shuffle = native_channel_shuffle = pydl.channel_shuffle

_WITHOUT_CORNERS = ("nearest", "area", "nearest-exact")


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resamples (N, C, spatial) to the spatial `size`, or to its own multiplied by `scale_factor` and rounded down.

    `mode` is "nearest", "nearest-exact", "area", or by the number of spatial dimensions "linear", "bilinear",
    "bicubic", "trilinear". `align_corners` puts the centers of the corner pixels of both images onto each other, else
    their outer edges. A scale factor also says how positions correspond, unless `recompute_scale_factor` leaves that to
    the sizes. `antialias` (bilinear, bicubic) widens the filter when the image shrinks. Channels-last memory stays.

    Raises NotImplementedError for a mode that does not fit the dimensions, ValueError for options that contradict.

    >>> import pydl
    >>> from pydl.nn import functional as F
    >>> F.interpolate(pydl.tensor([[[0.0, 1.0]]]), scale_factor=2, mode="linear").tolist()
    [[[0.0, 0.25, 0.75, 1.0]]]
    """
    if mode in _WITHOUT_CORNERS and align_corners is not None:
        raise ValueError(
            "interpolate: expected mode 'linear', 'bilinear', 'bicubic' or 'trilinear' with align_corners, got "
            f"{mode!r} and align_corners={align_corners}"
        )
    spatial = input.shape[2:]
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "interpolate: expected size or scale_factor, got neither"
            if size is None
            else f"interpolate: expected size or scale_factor, got both, {size} and {scale_factor}"
        )
    if antialias and (mode not in ("bilinear", "bicubic") or input.dim() != 4):
        raise ValueError(
            "interpolate: expected mode 'bilinear' or 'bicubic' and a 4D input with antialias, got "
            f"{mode!r} and {input.dim()}D"
        )
    factors: list[float] = []
    if size is not None:
        if recompute_scale_factor:
            raise ValueError(f"interpolate: expected recompute_scale_factor without a size, got it with size {size}")
        sizes = _per_dimension("size", size, len(spatial))
    else:
        factors = _per_dimension("scale_factor", scale_factor, len(spatial))
        sizes = [int(n * factor) for n, factor in zip(spatial, factors)]
        if recompute_scale_factor or mode == "area":
            factors = []
    return _nn.interpolate(input, sizes, mode, bool(align_corners), antialias, *factors)


def _per_dimension(name: str, value: Any, dims: int) -> list[Any]:
    values = list(value) if isinstance(value, list | tuple) else [value] * dims
    if len(values) != dims:
        raise ValueError(f"interpolate: expected {name} to have {dims} numbers, one a spatial dimension, got {value}")
    return values


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate` under its old name."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """`interpolate` to the nearest pixel, under its old name."""
    warnings.warn("`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.",
                  stacklevel=2)
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(
    input: Tensor, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """Bilinear `interpolate` with aligned corners, under its old name."""
    warnings.warn("`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.",
                  stacklevel=2)
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def unfold(
    input: Tensor,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """Sliding patches as columns: (N, C, H, W) -> (N, C * kernel height * kernel width, positions); also unbatched.

    Raises ShapeError where no window fits.

    >>> import pydl
    >>> from pydl.nn import functional as F
    >>> F.unfold(pydl.arange(9.0).reshape(1, 1, 3, 3), kernel_size=2)[0, 0].tolist()
    [0.0, 1.0, 3.0, 4.0]
    """
    return _nn.unfold(input, *map(_listed, (kernel_size, dilation, padding, stride)))


def fold(
    input: Tensor,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """Adds columns up into an image, the transpose of `unfold`: (N, C * taps, positions) -> (N, C, H, W).

    Raises ShapeError unless the columns are as many and as long as `unfold` would make them.

    >>> import pydl
    >>> from pydl.nn import functional as F
    >>> F.fold(pydl.ones(1, 4, 4), output_size=3, kernel_size=2)[0, 0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    return _nn.fold(input, *map(_listed, (output_size, kernel_size, dilation, padding, stride)))


def _listed(value: Any) -> list[int]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _corners(align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please "
            "specify align_corners=True if the old behavior is desired.",
            stacklevel=3,
        )
    return bool(align_corners)


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """The image at the points of a grid: (N, C, H, W) and (N, h, w, 2) -> (N, C, h, w); volumes take (N, d, h, w, 3).

    A point is (x, y) or (x, y, z) with -1 and 1 at the image's borders: the centers of its outermost pixels with
    `align_corners`, else their outer edges. `mode` is "bilinear", "nearest" or (images only) "bicubic"; beyond the
    border, `padding_mode` shows "zeros", the "border" pixel, or the image by "reflection" (Jaderberg et al. 2015).

    >>> import pydl
    >>> from pydl.nn import functional as F
    >>> image = pydl.arange(4.0).reshape(1, 1, 2, 2)
    >>> F.grid_sample(image, pydl.zeros(1, 1, 1, 2), align_corners=False).item()
    1.5
    """
    return _nn.grid_sample(input, grid, mode, padding_mode, _corners(align_corners))


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid for `grid_sample` that maps each point of an output of `size` by the affine `theta` of its image.

    (N, 2, 3) with (N, C, H, W) -> (N, H, W, 2); (N, 3, 4) with (N, C, D, H, W) -> (N, D, H, W, 3).

    >>> import pydl
    >>> from pydl.nn import functional as F
    >>> F.affine_grid(pydl.eye(2, 3)[None], (1, 1, 1, 2), align_corners=True).tolist()
    [[[[-1.0, 0.0], [1.0, 0.0]]]]
    """
    corners = _corners(align_corners)
    if not theta.is_floating_point():
        raise ValueError(f"affine_grid: expected theta of a floating point dtype, got {theta.dtype}")
    if len(size) not in (4, 5):
        raise NotImplementedError(f"affine_grid: expected a size of 4 or 5 numbers, got {list(size)}")
    dims = len(size) - 2
    if theta.shape[1:] != (dims, dims + 1) or theta.size(0) != size[0]:
        raise ValueError(
            f"affine_grid: expected theta of shape [{size[0]}, {dims}, {dims + 1}] for size {list(size)}, "
            f"got {list(theta.shape)}"
        )
    if min(size) <= 0:
        raise ValueError(f"affine_grid: expected a size of positive numbers, got {list(size)}")

    def coordinates(n: int) -> Tensor:
        if n == 1:
            return pydl.zeros(1, dtype=theta.dtype)
        line = pydl.linspace(-1, 1, n, dtype=theta.dtype)
        return line if corners else line * ((n - 1) / n)

    lines = pydl.meshgrid(*(coordinates(n) for n in size[2:]), indexing="ij")
    points = pydl.stack([*reversed(lines), pydl.ones(tuple(size[2:]), dtype=theta.dtype)], -1).reshape(1, -1, dims + 1)
    return pydl.matmul(points, theta.transpose(1, 2)).reshape(size[0], *size[2:], dims)

"""Transforms of images, with torchvision's names.

All but the converters take an image of Pillow, a tensor (C, H, W), or a batch (N, C, H, W) of any dtype, and return
the same kind. Random transforms draw from pydl's generators, so a loader's batches repeat for a seed; of a batch they
draw for each image. Pillow's images keep their mode and palette. Tensors keep their memory format and work on uint8 as
it is: crop and flip before converting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

import pydl
from pydl import Tensor
from pydl.nn import functional as F
from pydl.vision._pillow import is_image, pillow, set_pixels, to_pixels

__all__ = [
    "CenterCrop", "Compose", "ConvertImageDtype", "Normalize", "PILToTensor", "RandomCrop", "RandomHorizontalFlip",
    "Resize", "ToTensor",
]

BORDERS = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}


class Compose:
    """One transform after another.

    >>> import pydl
    >>> from pydl.vision import transforms
    >>> both = transforms.Compose([transforms.CenterCrop(2), transforms.ConvertImageDtype(pydl.float32)])
    >>> both(pydl.full((1, 4, 4), 255, dtype=pydl.uint8)).tolist()
    [[[1.0, 1.0], [1.0, 1.0]]]
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image


class PILToTensor:
    """An image of Pillow as a tensor (C, H, W): uint8, of mode 1 bool, I and I;16 int32, F float32.

    >>> from PIL import Image
    >>> from pydl.vision import transforms
    >>> transforms.PILToTensor()(Image.new("RGB", (4, 2))).shape
    pydl.Size([3, 2, 4])
    """

    def __call__(self, pic: Any) -> Tensor:
        if not is_image(pic):
            raise TypeError(f"PILToTensor: expected an image of Pillow, got {type(pic).__name__}")
        return to_pixels(pic)


class ToTensor:
    """An image of Pillow, or a uint8 array (H, W, C) or (H, W), as a float32 tensor (C, H, W) in [0, 1].

    Arrays of another dtype and images of the modes I, I;16 (int32) and F (float32) keep their values.

    >>> import numpy as np
    >>> from pydl.vision import transforms
    >>> transforms.ToTensor()(np.full((1, 2), 255, np.uint8)).tolist()
    [[[1.0, 1.0]]]
    """

    def __call__(self, pic: Any) -> Tensor:
        if is_image(pic):
            tensor = to_pixels(pic.convert("L") if pic.mode == "1" else pic)
        elif not isinstance(pic, np.ndarray) or pic.ndim not in (2, 3):
            raise TypeError(f"ToTensor: expected an image of Pillow or an array (H, W, C), got {type(pic).__name__}")
        else:
            tensor = pydl.from_numpy(np.array(pic[:, :, None] if pic.ndim == 2 else pic)).permute(2, 0, 1)
        return tensor.to(pydl.float32) / 255 if tensor.dtype == pydl.uint8 else tensor


class ConvertImageDtype:
    """A uint8 tensor in [0, 255] as a floating point one in [0, 1].

    Other dtypes raise TypeError.

    >>> import pydl
    >>> from pydl.vision import transforms
    >>> transforms.ConvertImageDtype(pydl.float32)(pydl.tensor([[[0, 255]]], dtype=pydl.uint8))
    tensor([[[0., 1.]]])
    """

    def __init__(self, dtype: pydl.dtype) -> None:
        self.dtype = dtype

    def __call__(self, image: Tensor) -> Tensor:
        if image.dtype != pydl.uint8 or not self.dtype.is_floating_point:
            raise TypeError(
                f"ConvertImageDtype: expected uint8 to a floating point dtype, got {image.dtype} to {self.dtype}"
            )
        return image.to(self.dtype) / 255


class Normalize:
    """(x - mean) / std, one number of each a channel, of floating point tensors (..., C, H, W).

    >>> import pydl
    >>> from pydl.vision import transforms
    >>> transforms.Normalize([1.0], [2.0])(pydl.full((1, 1, 2), 5.0)).tolist()
    [[[2.0, 2.0]]]
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        if any(s == 0 for s in std):
            raise ValueError(f"Normalize: expected std other than 0, got {list(std)}")
        self.mean = pydl.tensor(list(mean), dtype=pydl.float64)
        self.std = pydl.tensor(list(std), dtype=pydl.float64)
        self.inplace = inplace

    def __call__(self, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            raise TypeError(f"Normalize: expected a floating point tensor, got {tensor.dtype}")
        if not self.inplace:
            tensor = tensor.clone()
        mean, std = (values.to(tensor.dtype) for values in (self.mean, self.std))
        if tensor.dim() == 4 and _is_channels_last(tensor) and tensor.size(1) == len(mean):
            # Whole rows of pixels at a time rather than the few channels of one.
            rows = tensor.permute(0, 2, 3, 1).flatten(2)
            rows.sub_(mean.repeat(tensor.size(3))).div_(std.repeat(tensor.size(3)))
        else:
            tensor.sub_(mean.reshape(-1, 1, 1)).div_(std.reshape(-1, 1, 1))
        return tensor


class RandomHorizontalFlip:
    """Left and right swapped with probability `p`.

    >>> import pydl
    >>> from pydl.vision import transforms
    >>> transforms.RandomHorizontalFlip(p=1)(pydl.tensor([[[1, 2, 3]]])).tolist()
    [[[3, 2, 1]]]
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"RandomHorizontalFlip: expected a probability, got {p}")
        self.p = p

    def __call__(self, img: Any) -> Any:
        chosen = (pydl.rand(_count(img)) < self.p).nonzero().flatten()
        if is_image(img):
            return img.transpose(pillow().Transpose.FLIP_LEFT_RIGHT) if len(chosen) else img
        batch = img if img.dim() == 4 else img.unsqueeze(0)
        channels_last = _is_channels_last(batch)
        rows = (batch.permute(0, 2, 3, 1) if channels_last else batch).clone(memory_format=pydl.contiguous_format)
        rows.index_copy_(0, chosen, rows.index_select(0, chosen).flip(2 if channels_last else 3))
        flipped = rows.permute(0, 3, 1, 2) if channels_last else rows
        return flipped if img.dim() == 4 else flipped[0]


class RandomCrop:
    """A window of `size` (one number: a square) at a random place, after `padding` on all sides.

    `padding` is one number, two (left and right, top and bottom) or four (left, top, right, bottom); the border is
    `fill` ("constant"), its outermost pixel ("edge") or mirrored ("reflect").

    >>> import pydl
    >>> from pydl.vision import transforms
    >>> tuple(transforms.RandomCrop(32, padding=4)(pydl.zeros(5, 3, 32, 32)).shape)
    (5, 3, 32, 32)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        fill: float = 0,
        padding_mode: str = "constant",
    ) -> None:
        if padding_mode not in BORDERS:
            raise ValueError(f"RandomCrop: expected padding_mode {', '.join(BORDERS)}, got {padding_mode!r}")
        self.size = _pair("RandomCrop", size)
        sides = tuple(padding) if isinstance(padding, Iterable) else (padding or 0,)
        if len(sides) not in (1, 2, 4):
            raise ValueError(f"RandomCrop: expected one, two or four paddings, got {padding}")
        self.left, self.top, self.right, self.bottom = sides * (4 // len(sides))
        self.fill = fill
        self.padding_mode = padding_mode

    def __call__(self, img: Any) -> Any:
        if is_image(img):
            return self._of_image(img)
        batch = self._padded(img if img.dim() == 4 else img.unsqueeze(0))
        tops, lefts = self._corners(batch.size(2), batch.size(3), len(batch))
        result = _windows(batch, tops, lefts, *self.size)
        return result if img.dim() == 4 else result[0]

    def _of_image(self, img: Any) -> Any:
        """Pillow's own crop keeps the mode and the palette; what lies outside of the image is 0."""
        tall, wide = img.height + self.top + self.bottom, img.width + self.left + self.right
        tops, lefts = self._corners(tall, wide, 1)
        top, left = int(tops) - self.top, int(lefts) - self.left
        if self.fill or self.padding_mode != "constant":
            padded = self._padded(to_pixels(img).unsqueeze(0))[0]
            img = img.crop((-self.left, -self.top, wide - self.left, tall - self.top))
            set_pixels(img, padded)
            top, left = int(tops), int(lefts)
        return img.crop((left, top, left + self.size[1], top + self.size[0]))

    def _padded(self, batch: Tensor) -> Tensor:
        sides = (self.left, self.right, self.top, self.bottom)
        value = self.fill if self.padding_mode == "constant" else None
        return F.pad(batch, sides, BORDERS[self.padding_mode], value) if any(sides) else batch

    def _corners(self, tall: int, wide: int, count: int) -> tuple[Tensor, Tensor]:
        """Where the windows of `count` padded images begin."""
        height, width = self.size
        if height > tall or width > wide:
            raise ValueError(f"RandomCrop: expected images of at least {list(self.size)}, got {[tall, wide]}")
        return pydl.randint(0, tall - height + 1, (count,)), pydl.randint(0, wide - width + 1, (count,))


def _windows(batch: Tensor, tops: Tensor, lefts: Tensor, height: int, width: int) -> Tensor:
    """A window of each image. A row of a window is a run of memory, so one gather of runs fetches all of them."""
    count, channels, tall, wide = batch.shape
    if count * channels * height * width == 0:
        return batch[:, :, :height, :width]
    channels_last = _is_channels_last(batch)
    planes, pixel = (1, channels) if channels_last else (channels, 1)
    memory = batch.permute(0, 2, 3, 1) if channels_last else batch.contiguous()
    runs = memory.as_strided((count * planes * tall * wide - width + 1, width * pixel), (pixel, 1))
    plane = pydl.arange(count * planes).reshape(count, planes, 1) * tall
    row = plane + tops.reshape(-1, 1, 1) + pydl.arange(height)
    found = runs.index_select(0, (row * wide + lefts.reshape(-1, 1, 1)).flatten())
    if channels_last:
        return found.reshape(count, height, width, channels).permute(0, 3, 1, 2)
    return found.reshape(count, channels, height, width)


class CenterCrop:
    """The window of `size` (one number: a square) in the middle; what is missing is zero.

    >>> import pydl
    >>> from pydl.vision import transforms
    >>> transforms.CenterCrop((1, 2))(pydl.tensor([[[1, 2, 3, 4]]])).tolist()
    [[[2, 3]]]
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = _pair("CenterCrop", size)

    def __call__(self, img: Any) -> Any:
        shape = (img.height, img.width) if is_image(img) else img.shape[-2:]
        (top, bottom), (left, right) = (_center(n, size) for n, size in zip(shape, self.size))
        if is_image(img):
            return img.crop((-left, -top, img.width + right, img.height + bottom))
        return F.pad(img, (left, right, top, bottom))


def _center(n: int, size: int) -> tuple[int, int]:
    """Paddings before and after that leave `size` of n positions."""
    if n < size:
        before = (size - n) // 2
        return before, size - n - before
    before = int(round((n - size) / 2))
    return -before, -(n - size - before)


class Resize:
    """The image at another `size` (height, width); one number is that of the shorter side.

    `interpolation` is "bilinear", "bicubic" or "nearest"; the first two widen their filter when the image shrinks,
    unless `antialias` is off (tensors only). uint8 is rounded.

    >>> import pydl
    >>> from pydl.vision import transforms
    >>> tuple(transforms.Resize(16)(pydl.zeros(3, 32, 64)).shape)
    (3, 16, 32)
    """

    def __init__(self, size: int | Sequence[int], interpolation: str = "bilinear", antialias: bool = True) -> None:
        if interpolation not in ("bilinear", "bicubic", "nearest"):
            raise ValueError(f"Resize: expected interpolation bilinear, bicubic or nearest, got {interpolation!r}")
        both = _pair("Resize", size)
        self.size = both if isinstance(size, Iterable) and len(size) == 2 else both[0]
        self.interpolation = interpolation
        self.antialias = antialias

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if isinstance(self.size, tuple):
            return self.size
        if height <= width:
            return self.size, int(self.size * width / height)
        return int(self.size * height / width), self.size

    def __call__(self, img: Any) -> Any:
        if is_image(img):
            height, width = self._target(img.height, img.width)
            return img.resize((width, height), getattr(pillow().Resampling, self.interpolation.upper()))
        batch = img if img.dim() == 4 else img.unsqueeze(0)
        size = self._target(*batch.shape[2:])
        if self.interpolation == "nearest":
            result = F.interpolate(batch, size, mode="nearest")
        else:
            values = batch if batch.is_floating_point() else batch.to(pydl.float32)
            result = F.interpolate(values, size, mode=self.interpolation, antialias=self.antialias)
            if batch.dtype == pydl.uint8:
                result = result.round().clamp(0, 255)
            result = result.to(batch.dtype)
        return result if img.dim() == 4 else result[0]


def _pair(op: str, size: int | Sequence[int]) -> tuple[int, int]:
    sizes = tuple(size) if isinstance(size, Iterable) else (size,)
    if len(sizes) not in (1, 2) or min(sizes) < 0:
        raise ValueError(f"{op}: expected one or two sizes of at least 0, got {size}")
    return sizes[0], sizes[-1]


def _count(img: Any) -> int:
    return img.size(0) if isinstance(img, Tensor) and img.dim() == 4 else 1


def _is_channels_last(batch: Tensor) -> bool:
    return batch.is_contiguous(memory_format=pydl.channels_last)

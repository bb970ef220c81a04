"""Pillow, imported when the first image is decoded."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

import pydl
from pydl import Tensor


def pillow() -> ModuleType:
    """The module PIL.Image."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("images need Pillow: pip install 'pydl-engine[image]'") from error
    return Image


def is_image(value: Any) -> bool:
    """Is it one of Pillow's images? Asks without importing Pillow: who has an image has imported it."""
    return type(value).__module__.startswith("PIL.") or any(
        base.__module__.startswith("PIL.") for base in type(value).__mro__
    )


def to_pixels(image: Any) -> Tensor:
    """A Pillow image as a tensor (C, H, W), its memory channels last: uint8, or what else the mode holds.

    Mode "1" is bool, "F" float32, "I" int32, and so are the modes of 16 bits, of which pydl has no dtype.
    """
    pixels = np.array(image)  # a copy: Pillow's own buffer is read-only
    if pixels.dtype.kind == "u" and pixels.itemsize == 2:
        pixels = pixels.astype(np.int32)
    return pydl.from_numpy(pixels[:, :, None] if pixels.ndim == 2 else pixels).permute(2, 0, 1)


def set_pixels(image: Any, pixels: Tensor) -> None:
    """Writes what `to_pixels` returns into a Pillow image of that mode and size."""
    native = np.asarray(image)
    values = pixels.permute(1, 2, 0).numpy().astype(native.dtype).reshape(native.shape)
    image.frombytes((np.packbits(values, axis=1) if image.mode == "1" else values).tobytes())

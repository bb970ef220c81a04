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


def to_uint8(image: Any) -> Tensor:
    """A Pillow image as a uint8 tensor (C, H, W); its memory is that of the image, channels last."""
    pixels = np.array(image, dtype=np.uint8)  # a copy: Pillow's own buffer is read-only
    return pydl.from_numpy(pixels[:, :, None] if pixels.ndim == 2 else pixels).permute(2, 0, 1)

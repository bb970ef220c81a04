"""Handwritten digits: 1,797 images of 8x8 pixels (UCI optical recognition of handwritten digits)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import pydl

if TYPE_CHECKING:
    from pydl import Tensor

SPLITS = ("all", "train", "test")


def load_digits(split: str = "all") -> tuple[Tensor, Tensor]:
    """Returns (images, labels): float32 [n, 8, 8] with values in [0, 1], the original 0 to 16 divided by 16; int64 [n].

    `split` is "all" (1,797 images), "train" (1,442) or "test" (355). The split is fixed: of each digit, in the order of
    the file, every fifth image is held out.
    """
    if split not in SPLITS:
        raise ValueError(f"load_digits: expected split to be one of {', '.join(SPLITS)}, got {split!r}")
    with np.load(Path(__file__).parent / "data" / "digits.npz") as archive:
        images, labels = archive["images"], archive["labels"]
    if split != "all":
        held_out = np.zeros(len(labels), dtype=bool)
        for digit in range(10):
            held_out[np.flatnonzero(labels == digit)[4::5]] = True
        chosen = held_out if split == "test" else ~held_out
        images, labels = images[chosen], labels[chosen]
    return pydl.from_numpy(images.astype(np.float32) / 16), pydl.from_numpy(labels.astype(np.int64))

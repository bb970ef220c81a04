"""Images that are in memory already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydl import Tensor
from pydl.utils.data import Dataset
from pydl.utils.data.dataset import positions

__all__ = ["ImageTensors"]


class ImageTensors(Dataset[tuple[Tensor, Tensor]]):
    """Images (N, C, H, W) with their labels (N,), the images transformed a batch at a time.

    A loader that collates by default takes a whole batch by one gather and hands it to `transform` at once, whose
    random transforms draw for each image: far cheaper than sample by sample.

    >>> import pydl
    >>> from pydl.utils.data import DataLoader
    >>> from pydl.vision import ImageTensors, transforms
    >>> images = pydl.zeros(6, 3, 8, 8, dtype=pydl.uint8)
    >>> data = ImageTensors(images, pydl.arange(6), transforms.RandomCrop(8, padding=2))
    >>> [(tuple(batch.shape), labels.tolist()) for batch, labels in DataLoader(data, batch_size=3)]
    [((3, 3, 8, 8), [0, 1, 2]), ((3, 3, 8, 8), [3, 4, 5])]
    """

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Any], Any] | None = None) -> None:
        if images.dim() != 4 or labels.size(0) != images.size(0):
            raise ValueError(
                f"ImageTensors: expected images (N, C, H, W) and N labels, got {list(images.shape)} and "
                f"{list(labels.shape)}"
            )
        self.images = images
        self.labels = labels
        self.transform = transform or (lambda images: images)
        # A gather copies rows: channels-last images as (N, H, W, C) are rows of memory.
        self._rows = images.permute(0, 2, 3, 1)
        self._channels_last = self._rows.is_contiguous()

    def __len__(self) -> int:
        return self.labels.size(0)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.images[index]), self.labels[index]

    def __getbatch__(self, indices: Sequence[int]) -> list[Tensor]:
        chosen = positions(indices, len(self))
        if self._channels_last:
            images = self._rows.index_select(0, chosen).permute(0, 3, 1, 2)
        else:
            images = self.images.index_select(0, chosen)
        return [self.transform(images), self.labels.index_select(0, chosen)]

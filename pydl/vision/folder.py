"""Images sorted into folders by class, on disk or inside a zip file."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pydl
from pydl import Tensor
from pydl.utils.data import DataLoader, Dataset
from pydl.vision._pillow import pillow, to_pixels

__all__ = ["ImageFolder"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


class ImageFolder(Dataset[tuple[Any, Any]]):
    """The images below `root`/<class>/, as (image, class index); classes count in alphabetical order. Links are
    followed.

    `root` is a folder, or a place inside a zip file: "photos.zip", "photos.zip/train". Sample i is the i-th file in
    order of class and name: an RGB image of Pillow, or what `transform` makes of it, and its class index, or what
    `target_transform` makes of that. `classes`, `class_to_idx`, `samples` (path, class index) and `targets` tell what
    was found.

    Raises FileNotFoundError without classes or images; OSError, naming the file, for one that does not decode.

    >>> from pydl.vision import ImageFolder, transforms
    >>> data = ImageFolder("photos.zip/train", transforms.ToTensor())  # doctest: +SKIP
    """

    def __init__(
        self,
        root: str | Path,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ) -> None:
        self.root = str(root)
        self.transform = transform
        self.target_transform = target_transform
        place = _split_zip(Path(root))
        self._files: _Zip | _Folder = _Folder(Path(root)) if place is None else _Zip(*place)
        names = sorted(filter(_is_sample, self._files.names()), key=lambda name: PurePosixPath(name).parts)
        self.classes = sorted({PurePosixPath(name).parts[0] for name in names})
        if not self.classes:
            raise FileNotFoundError(f"ImageFolder: expected images in {self.root}/<class>/, got none")
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.samples = [(name, self.class_to_idx[PurePosixPath(name).parts[0]]) for name in names]
        self.targets = [target for _, target in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        name, target = self.samples[index]
        image = self.decode(name)
        return (
            image if self.transform is None else self.transform(image),
            target if self.target_transform is None else self.target_transform(target),
        )

    def decode(self, name: str) -> Any:
        """The image of that path below root, as Pillow's, in RGB."""
        open_image = pillow().open
        try:
            with open_image(io.BytesIO(self._files.read(name))) as image:
                return image.convert("RGB")
        except Exception as error:
            if getattr(error, "filename", None):  # such as that of a file that is gone
                raise
            reason = str(error).partition(": <")[0] or type(error).__name__
            raise OSError(f"ImageFolder: expected an image, got {self.root}/{name} ({reason})") from error

    def tensors(self, num_workers: int = 0, progress: bool = False) -> tuple[Tensor, Tensor]:
        """All images, which have one size, as uint8 (N, 3, H, W) in channels-last memory, and int64 classes (N,).

        Decoded once, a data set that fits into memory costs an epoch nothing but the gather of each batch: hand both to
        `ImageTensors`. `progress` shows a bar. The transforms of the folder are not applied.
        """
        from tqdm import tqdm

        plain = ImageFolder(self.root, to_pixels)
        width, height = plain.decode(plain.samples[0][0]).size
        images = pydl.empty((len(self), height, width, 3), dtype=pydl.uint8).permute(0, 3, 1, 2)
        at = 0
        with tqdm(total=len(self), desc="decoding", unit="image", disable=not progress) as bar:
            for batch, _ in DataLoader(plain, 256, num_workers=num_workers):
                if batch.shape[1:] != images.shape[1:]:
                    raise pydl.ShapeError(
                        f"ImageFolder: expected images of {list(images.shape[2:])}, got {list(batch.shape[2:])}"
                    )
                images[at : at + len(batch)] = batch
                at += len(batch)
                bar.update(len(batch))
        return images, pydl.tensor(self.targets)


def _is_sample(name: str) -> bool:
    path = PurePosixPath(name)
    return len(path.parts) > 1 and path.suffix.lower() in SUFFIXES


def _split_zip(root: Path) -> tuple[Path, str] | None:
    """The zip file that `root` is or lies in, and the place inside it."""
    for path in (root, *root.parents):
        if path.is_file():
            return path, root.relative_to(path).as_posix()
    return None


class _Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> Iterator[str]:
        for folder, _, files in os.walk(self.root, followlinks=True):
            inside = Path(folder).relative_to(self.root)
            yield from ((inside / file).as_posix() for file in files)

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()


class _Zip:
    """A zip file, or a folder inside it. Reading from several threads is safe."""

    def __init__(self, path: Path, inside: str) -> None:
        self.archive = zipfile.ZipFile(path)
        self.prefix = "" if inside == "." else f"{inside}/"

    def names(self) -> Iterator[str]:
        return (name[len(self.prefix) :] for name in self.archive.namelist() if name.startswith(self.prefix))

    def read(self, name: str) -> bytes:
        return self.archive.read(self.prefix + name)

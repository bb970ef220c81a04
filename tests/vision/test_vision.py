"""Image folders, zip files and transforms; the photographs of CIFAR-10 where they are at hand."""
from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

import pydl
from pydl.utils.data import DataLoader
from pydl.vision import ImageFolder, ImageTensors, transforms

RNG = np.random.default_rng(0)


def photo(height: int = 6, width: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encoded(pixels: np.ndarray, form: str = "png") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    for c, name in enumerate(("cat", "dog", "owl")):
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(3):
            (tmp_path / "train" / name / f"{i}.png").write_bytes(encoded(photo(seed=10 * c + i)))
    (tmp_path / "train" / "notes.txt").write_text("no image")
    return tmp_path / "train"


# ---- Folders and zip files -------------------------------------------------------------------------------------------
def test_folder(folder):
    data = ImageFolder(folder, transforms.PILToTensor(), lambda target: -target)
    assert data.classes == ["cat", "dog", "owl"] and data.class_to_idx["owl"] == 2 and len(data) == 9
    assert data.samples[4] == ("dog/1.png", 1) and data.targets == [0] * 3 + [1] * 3 + [2] * 3
    image, target = data[4]
    assert np.array_equal(image.permute(1, 2, 0).numpy(), photo(seed=11)) and target == -1
    assert ImageFolder(folder)[0][0].mode == "RGB"
    for path in (folder.parent, folder / "cat"):
        if path.name == "cat":
            with pytest.raises(FileNotFoundError, match="ImageFolder: expected images"):
                ImageFolder(path)
        else:
            assert ImageFolder(path).classes == ["train"]


def test_zip_is_read_like_a_folder(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, path.relative_to(folder.parent))
    zipped, plain = ImageFolder(tmp_path / "photos.zip" / "train"), ImageFolder(folder)
    assert zipped.samples == plain.samples
    assert all(np.array_equal(np.array(a), np.array(b)) and s == t for (a, s), (b, t) in zip(zipped, plain))
    images, labels = zipped.tensors(num_workers=2)
    assert images.shape == (9, 3, 6, 8) and images.is_contiguous(memory_format=pydl.channels_last)
    assert np.array_equal(images[4].permute(1, 2, 0).numpy(), photo(seed=11)) and labels.tolist() == plain.targets


def test_samples_are_in_order_of_class_then_name_behind_links_too(folder, tmp_path):
    for name in ("a", "a-b", "a/deep"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "0.png").write_bytes(encoded(photo()))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "0.png").write_bytes(encoded(photo(seed=9)))
    (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    data = ImageFolder(folder)
    assert data.classes == ["a", "a-b", "cat", "dog", "linked", "owl"] and data.targets == sorted(data.targets)
    assert [name for name, _ in data.samples[:3]] == ["a/0.png", "a/deep/0.png", "a-b/0.png"]
    assert np.array_equal(np.array(data[data.targets.index(4)][0]), photo(seed=9))
    (folder / "a" / "0.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"a/0\.png"):
        data[0]


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_entry_of_a_zip_file_is_named(tmp_path, how):
    file = tmp_path / "photos.zip"
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr("train/cat/0.png", encoded(photo()))
        start = archive.getinfo("train/cat/0.png").header_offset + 30 + len("train/cat/0.png")
    damaged = bytearray(file.read_bytes())
    damaged[start : start + 40] = b"\xff" * 40
    file.write_bytes(damaged)
    with pytest.raises(OSError, match=r"ImageFolder: expected an image, got .*photos\.zip/train/cat/0\.png"):
        ImageFolder(file / "train")[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_does_not_decode_is_named(folder, workers):
    (folder / "dog" / "1.png").write_bytes(b"no picture")
    with pytest.raises(OSError, match=r"ImageFolder: expected an image, got .*train/dog/1\.png .*sample 4"):
        list(DataLoader(ImageFolder(folder, transforms.ToTensor()), 3, num_workers=workers))
    (folder / "dog" / "1.png").write_bytes(encoded(photo(seed=1))[:120])  # cut off
    with pytest.raises(OSError, match=r"dog/1\.png"):
        ImageFolder(folder)[4]
    (folder / "dog" / "1.png").write_bytes(encoded(photo(9, 9)))
    with pytest.raises(pydl.ShapeError, match=r"\[6, 8\], got \[9, 9\]|equal|one shape"):
        ImageFolder(folder).tensors()


# ---- Transforms ------------------------------------------------------------------------------------------------------
def kinds(pixels: np.ndarray) -> dict:
    """The same picture as an image of Pillow, a tensor, and a batch in either memory format."""
    chw = pydl.from_numpy(pixels.copy()).permute(2, 0, 1)
    batch = chw[None].contiguous()
    return {"pillow": Image.fromarray(pixels), "tensor": chw, "batch": batch,
            "channels_last": batch.contiguous(memory_format=pydl.channels_last)}


def pixels_of(image) -> np.ndarray:
    if isinstance(image, pydl.Tensor):
        return (image[0] if image.dim() == 4 else image).permute(1, 2, 0).numpy()
    return np.array(image)


@pytest.mark.parametrize("kind", ["pillow", "tensor", "batch", "channels_last"])
def test_every_kind_of_image(kind):
    pixels = photo()
    image = kinds(pixels)[kind]

    def after(transform):
        pydl.manual_seed(5)
        result = transform(image)
        assert type(result) is type(image) or kind == "pillow"
        if kind == "channels_last":
            assert result.is_contiguous(memory_format=pydl.channels_last)
        return pixels_of(result)

    assert np.array_equal(after(transforms.RandomHorizontalFlip(1)), pixels[:, ::-1])
    assert np.array_equal(after(transforms.RandomHorizontalFlip(0)), pixels)
    assert np.array_equal(after(transforms.CenterCrop((2, 4))), pixels[2:4, 2:6])
    assert np.array_equal(after(transforms.CenterCrop(8)), np.pad(pixels, ((1, 1), (0, 0), (0, 0))))
    assert np.array_equal(after(transforms.RandomCrop((6, 8))), pixels)
    for mode in ("constant", "edge", "reflect"):
        padded = np.pad(pixels, ((1, 3), (2, 2), (0, 0)), mode)
        crop = after(transforms.RandomCrop((5, 7), (2, 1, 2, 3), padding_mode=mode))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 7, 3)).reshape(-1, 5, 7, 3)
        assert (windows == crop).all((1, 2, 3)).any()
    want = np.array(Image.fromarray(pixels).resize((4, 3), Image.Resampling.BILINEAR))
    assert np.abs(after(transforms.Resize((3, 4))).astype(int) - want).max() <= 1
    assert after(transforms.Resize(3)).shape == (3, 4, 3)
    assert after(transforms.Resize((3, 4), "nearest")).shape == (3, 4, 3)
    with pytest.raises(ValueError, match="RandomCrop: expected images of at least"):
        transforms.RandomCrop(9)(image)
    assert np.array_equal(pixels_of(image), pixels)  # nothing was written in place


DTYPES = {"1": pydl.bool, "I": pydl.int32, "I;16": pydl.int32, "F": pydl.float32}


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "CMYK", "1", "I", "F", "I;16"])
def test_every_mode_of_pillow(mode):
    colors = Image.fromarray(photo(12, 12))
    image = {
        "P": lambda: colors.quantize(16), "LA": lambda: colors.convert("RGBA").convert("LA"),
        "I": lambda: Image.fromarray(RNG.integers(-70_000, 70_000, (12, 12)).astype(np.int32)),
        "I;16": lambda: Image.fromarray(RNG.integers(0, 65_536, (12, 12)).astype(np.uint16)),
        "F": lambda: Image.fromarray(RNG.standard_normal((12, 12)).astype(np.float32)),
    }.get(mode, lambda: colors.convert(mode))()
    assert image.mode == mode
    pixels = np.array(image)
    sides = ((2, 2), (2, 2), (0, 0))[: pixels.ndim]
    for transform, want in (
        (transforms.CenterCrop((2, 4)), pixels[5:7, 4:8]), (transforms.CenterCrop(16), np.pad(pixels, sides)),
        (transforms.RandomHorizontalFlip(1), pixels[:, ::-1]), (transforms.RandomCrop(12), pixels),
        (transforms.RandomCrop(16, 2), np.pad(pixels, sides)), (transforms.RandomCrop(8, -2), pixels[2:10, 2:10]),
        (transforms.RandomCrop(16, 2, fill=1), np.pad(pixels, sides, constant_values=1)),
        (transforms.RandomCrop(16, 2, padding_mode="edge"), np.pad(pixels, sides, "edge")),
        (transforms.RandomCrop(16, 2, padding_mode="reflect"), np.pad(pixels, sides, "reflect")),
        (transforms.Resize((5, 6)), np.array(image.resize((6, 5), Image.Resampling.BILINEAR))),
    ):
        result = transform(image)
        assert result.mode == mode and result.getpalette() == image.getpalette()
        assert np.array_equal(np.array(result), want)
    raw = transforms.PILToTensor()(image)
    assert raw.dtype == DTYPES.get(mode, pydl.uint8) and raw.shape == (len(image.getbands()), 12, 12)
    assert np.array_equal(raw.permute(1, 2, 0).numpy().reshape(pixels.shape), pixels)
    scaled = transforms.ToTensor()(image)
    if mode == "1":
        assert scaled.dtype == pydl.float32 and scaled.unique().tolist() == [0, 1]
        assert np.array_equal(scaled[0].numpy(), pixels)
    elif mode in DTYPES:
        assert scaled.dtype == raw.dtype and np.array_equal(scaled.numpy(), raw.numpy())
    else:
        assert np.array_equal(scaled.numpy(), raw.numpy().astype(np.float32) / np.float32(255))


def test_sizes_of_crops():
    for shape in ((0, 3, 4, 5), (2, 0, 4, 5)):
        assert transforms.RandomCrop(2, padding=1)(pydl.zeros(*shape)).shape == (*shape[:2], 2, 2)
    assert transforms.RandomCrop(0)(pydl.zeros(2, 3, 4, 5)).shape == (2, 3, 0, 0)
    assert transforms.RandomCrop(np.int64(2), np.int64(1))(pydl.zeros(3, 4, 5)).shape == (3, 2, 2)
    assert transforms.Resize([2])(pydl.zeros(3, 4, 8)).shape == (3, 2, 4)  # of the shorter side
    for transform in (transforms.RandomCrop, transforms.CenterCrop, transforms.Resize):
        for wrong in (-1, (2, -1), (1, 2, 3), ()):
            with pytest.raises(ValueError, match=f"{transform.__name__}: expected one or two sizes of at least 0"):
                transform(wrong)


def test_a_batch_draws_for_each_image():
    batch = pydl.arange(64).reshape(64, 1, 1, 1) * 100 + pydl.arange(25).reshape(1, 1, 5, 5)
    pydl.manual_seed(0)
    flipped = transforms.RandomHorizontalFlip()(batch).numpy()
    turned = (flipped == batch.numpy()[..., ::-1]).all((1, 2, 3))
    assert 15 < turned.sum() < 49 and (turned | (flipped == batch.numpy()).all((1, 2, 3))).all()
    corners = transforms.RandomCrop(2)(batch)[:, 0, 0, 0].numpy() - 100 * np.arange(64)
    assert set(corners) <= {5 * r + c for r in range(4) for c in range(4)} and len(set(corners)) > 8


def test_converters():
    pixels = photo()
    both = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))])
    want = ((pixels / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]).transpose(2, 0, 1)
    for image in (pixels, Image.fromarray(pixels)):
        np.testing.assert_allclose(both(image).numpy(), want, rtol=1e-5, atol=1e-6)
    raw = transforms.PILToTensor()(Image.fromarray(pixels))
    assert raw.dtype == pydl.uint8 and raw.shape == (3, 6, 8)
    np.testing.assert_allclose(transforms.ConvertImageDtype(pydl.float64)(raw).numpy(), raw.numpy() / 255)
    assert transforms.ToTensor()(Image.fromarray(pixels).convert("L")).shape == (1, 6, 8)
    floats = transforms.ToTensor()(pixels.astype(np.float32))
    assert floats.max().item() > 1  # only uint8 is scaled
    for wrong in (lambda: transforms.Normalize([0], [1])(raw), lambda: transforms.ToTensor()(raw),
                  lambda: transforms.ConvertImageDtype(pydl.float32)(floats), lambda: transforms.PILToTensor()(raw)):
        with pytest.raises(TypeError, match="expected"):
            wrong()


def test_image_tensors_transform_a_whole_batch():
    seen = []

    def transform(images):
        seen.append(tuple(images.shape))
        return images

    images = pydl.from_numpy(RNG.integers(0, 256, (10, 4, 5, 3), np.uint8)).permute(0, 3, 1, 2)
    data = ImageTensors(images, pydl.arange(10), transform)
    batches = list(DataLoader(data, 4, num_workers=2))
    shapes = [(4, 3, 4, 5), (4, 3, 4, 5), (2, 3, 4, 5)]
    assert sorted(seen) == sorted(shapes)  # two workers transform in any order, and hand over in the data's
    assert [tuple(b.shape) for b, _ in batches] == shapes and batches[2][1].tolist() == [8, 9]
    assert np.array_equal(pydl.cat([b for b, _ in batches]).numpy(), images.numpy())
    assert batches[0][0].is_contiguous(memory_format=pydl.channels_last)
    assert data[3][0].shape == (3, 4, 5) and len(data) == 10
    plain = ImageTensors(images.contiguous(), pydl.arange(10)).__getbatch__([1, -1])
    assert np.array_equal(plain[0].numpy(), images.numpy()[[1, -1]]) and plain[1].tolist() == [1, 9]
    with pytest.raises(ValueError, match="ImageTensors: expected"):
        ImageTensors(images, pydl.arange(9))


# ---- Photographs -----------------------------------------------------------------------------------------------------
def test_photographs(data_or_fail):
    data = ImageFolder(data_or_fail / "cifar10_jpg.zip" / "test", transforms.ToTensor())
    assert len(data) == 10_000 and data.classes[0] == "airplane" and data.targets[-1] == 9
    first = [next(iter(DataLoader(data, 64, shuffle=True, num_workers=n, generator=pydl.Generator().manual_seed(1))))
             for n in (0, 3)]
    assert np.array_equal(first[0][0].numpy(), first[1][0].numpy()) and first[0][1].tolist() == first[1][1].tolist()
    assert first[0][0].shape == (64, 3, 32, 32) and 0.3 < first[0][0].mean().item() < 0.6

"""examples/cifar10.py on photographs of which one class is dark and the other bright."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for split, count in (("train", 48), ("test", 8)):
        for level, name in enumerate(("dark", "bright")):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                values = generator.integers(100 * level, 100 * level + 130, (32, 32, 3), np.uint8)
                Image.fromarray(values).save(folder / f"{i:02}.png")
    return tmp_path


def test_network_learns_as_in_torch(program, photographs, torch_or_fail):
    small = {"WIDTHS": (24, 24, 32), "BATCH": 16, "MAX_LEARNING_RATE": 0.05}
    printed = program(
        "cifar10", photographs, "--epochs", 3, "--peer", "torch", "--peer-epochs", 2, "--plot", "unused.png", **small
    )
    assert "96 images to learn from, 16 held out" in printed
    assert float(printed.rpartition("test accuracy ")[2].rstrip("%\n")) > 90
    rows = [line.split() for line in printed.splitlines() if line.split() and line.split()[0] in ("1", "2")]
    losses = np.array([row[1:3] for row in rows], float)
    assert losses.shape == (2, 2)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], atol=5e-3)

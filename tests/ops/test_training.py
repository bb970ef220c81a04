"""Small runs end to end: the shipped digits are learnt, and 50 steps follow PyTorch's losses."""
from __future__ import annotations

import numpy as np
import pytest

import pydl
from pydl import nn
from pydl.datasets import load_digits


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images as rows of 64 numbers in [0, 1], and their labels."""
    images, labels = load_digits()
    return images.reshape(-1, 64).numpy(), labels.numpy()


def perceptron(lib):
    return lib.nn.Sequential(lib.nn.Linear(64, 32), lib.nn.ReLU(), lib.nn.Linear(32, 10))


OPTIMIZERS = {"Adam": lambda lib, p: lib.optim.Adam(p, lr=1e-2), "AdamW": lambda lib,
    p: lib.optim.AdamW(p, lr=1e-2, weight_decay=0.1), "SGD": lambda lib, p: lib.optim.SGD(p, lr=0.1),
    "momentum": lambda lib, p: lib.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4),}


def losses(lib, weights: list[np.ndarray], optimizer: str, images: np.ndarray, labels: np.ndarray,
        steps: int = 50) -> list[float]:
    model = perceptron(lib)
    with lib.no_grad():
        for p, w in zip(model.parameters(), weights, strict=True):
            p.copy_(lib.from_numpy(w.copy()))
    step, out = OPTIMIZERS[optimizer](lib, model.parameters()), []
    x, y = lib.from_numpy(images), lib.from_numpy(labels)
    for k in range(steps):
        batch = slice(k * 32 % 1600, k * 32 % 1600 + 32)
        step.zero_grad()
        loss = lib.nn.functional.cross_entropy(model(x[batch]), y[batch])
        loss.backward()
        step.step()
        out.append(loss.item())
    return out


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_losses_follow_pytorch(optimizer: str, torch_or_fail):
    rng = np.random.default_rng(0)
    weights = [rng.uniform(-0.15, 0.15, s).astype(np.float32) for s in ((32, 64), (32,), (10, 32), (10,))]
    ours, theirs = (losses(lib, weights, optimizer, *digits()) for lib in (pydl, torch_or_fail))
    assert ours == pytest.approx(theirs, rel=2e-3, abs=1e-4)
    assert ours[:10] == pytest.approx(theirs[:10], rel=2e-5)
    assert ours[-1] < 0.95 * ours[0]


def test_digits_are_learnt():
    pydl.manual_seed(0)
    images, labels = digits()
    x, y = pydl.from_numpy(images), pydl.from_numpy(labels)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = pydl.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(15):
        for rows in pydl.randperm(1500).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    with pydl.no_grad():
        accuracy = (model(x[1500:]).argmax(1) == y[1500:]).float().mean().item()
    assert accuracy > 0.9


def test_training_repeats_bit_for_bit(threads):
    images, labels = digits()
    runs = []
    for n in (1, 2, 3):
        threads(n)
        pydl.manual_seed(5)
        weights = [p.detach().numpy().copy() for p in perceptron(pydl).parameters()]
        runs.append(losses(pydl, weights, "Adam", images, labels, steps=10))
    assert runs[0] == runs[1] == runs[2]

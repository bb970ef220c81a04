"""`pydl demo`: trains a convolutional network on handwritten digits, and the same network in NumPy beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

import pydl
from pydl import _numpy_network as reference
from pydl import nn, optim
from pydl.datasets import load_digits

BATCH = 32
LEARNING_RATE = 2e-3
REQUIRED_ACCURACY = 0.985
COMPARED_STEPS = 20  # later, rounding that Adam and equal maxima have amplified shows


def build_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 10),
    )


def numpy_copy(network: nn.Sequential) -> reference.NumpyNetwork:
    """The same layers, from the same weights."""
    layers = []
    for layer in network:
        parameters = [p.detach().numpy().copy() for p in layer.parameters()]
        layers.append(getattr(reference, type(layer).__name__)(*parameters))
    return reference.NumpyNetwork(layers)


class Batches:
    """The batches of all epochs, reshuffled for each, as arrays: the same for both networks."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, epochs: int, seed: int) -> None:
        self.images, self.labels, self.epochs, self.seed = images, labels, epochs, seed

    def __len__(self) -> int:
        return self.epochs * (len(self.labels) // BATCH)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        shuffle = np.random.default_rng(self.seed).permutation
        for _ in range(self.epochs):
            order = shuffle(len(self.labels))
            for begin in range(0, len(order) - BATCH + 1, BATCH):
                chosen = order[begin : begin + BATCH]
                yield self.images[chosen], self.labels[chosen]


def train(name: str, batches: Batches, step) -> tuple[list[float], list[float]]:
    """Runs step(images, labels, learning_rate) -> loss on every batch; returns the losses and the seconds of each.
    The learning rate falls to zero along a half cosine."""
    losses, seconds = [], []
    with tqdm(batches, desc=name.ljust(6), unit="step", mininterval=0.2) as bar:
        for number, (images, labels) in enumerate(bar):
            rate = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * number / len(batches)))
            begin = time.perf_counter()
            losses.append(step(images, labels, float(rate)))
            seconds.append(time.perf_counter() - begin)
            if number % 50 == 0:
                bar.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
    return losses, seconds


def run(epochs: int = 15, seed: int = 0) -> int:
    """Exit status 0 when the held-out accuracy reaches 98.5 % and both networks agree."""
    pydl.manual_seed(seed)
    (images, labels), (test_images, test_labels) = load_digits("train"), load_digits("test")
    batches = Batches(images.unsqueeze(3).numpy(), labels.numpy(), epochs, seed)  # (N, H, W, C)
    test_images = test_images.unsqueeze(3)

    network = build_network()
    numpy_network = numpy_copy(network)
    optimizer = optim.Adam(network.parameters(), lr=LEARNING_RATE)

    def step(images: np.ndarray, labels: np.ndarray, learning_rate: float) -> float:
        optimizer.param_groups[0]["lr"] = learning_rate
        optimizer.zero_grad()
        logits = network(pydl.from_numpy(images).movedim(3, 1))
        loss = nn.functional.cross_entropy(logits, pydl.from_numpy(labels))
        loss.backward()
        optimizer.step()
        return loss.item()

    print(f"Digits of 8x8 pixels: {len(labels)} to learn from, {len(test_labels)} held out.")
    print(f"Two convolutions and a linear layer, Adam, batches of {BATCH}, {epochs} epochs.")
    losses, seconds = train("pydl", batches, step)
    numpy_losses, numpy_seconds = train("NumPy", batches, numpy_network.step)

    network.eval()
    with pydl.no_grad():
        accuracy = (network(test_images.movedim(3, 1)).argmax(1) == test_labels).float().mean().item()
    numpy_labels = numpy_network.forward(test_images.numpy()).argmax(1)
    numpy_accuracy = float((numpy_labels == test_labels.numpy()).mean())

    time_pydl, time_numpy = np.median(seconds) * 1e6, np.median(numpy_seconds) * 1e6
    compared = slice(0, COMPARED_STEPS)
    difference = float(np.max(np.abs(np.subtract(losses[compared], numpy_losses[compared]))))
    print(f"{'':8}{'held-out accuracy':>20}{'time per step':>18}")
    print(f"{'pydl':<8}{accuracy:>20.1%}{time_pydl:>15.0f} us   {time_numpy / time_pydl:.1f} times NumPy's speed")
    print(f"{'NumPy':<8}{numpy_accuracy:>20.1%}{time_numpy:>15.0f} us")
    print(f"Losses of the first {min(COMPARED_STEPS, len(losses))} steps agree to {difference:.0e}.")

    if not difference < 1e-3:
        print("FAILED: the two networks should have the same losses.", file=sys.stderr)
        return 1
    if accuracy < REQUIRED_ACCURACY:
        print(f"FAILED: expected a held-out accuracy of at least {REQUIRED_ACCURACY:.1%}.", file=sys.stderr)
        return 1
    return 0

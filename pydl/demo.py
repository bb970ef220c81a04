"""`pydl demo`: trains a classifier on handwritten digits, and the same network in NumPy beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from tqdm import tqdm

import pydl
from pydl import nn, optim
from pydl._numpy_network import NumpyNetwork
from pydl.datasets import load_digits

SIZES = (64, 256, 128, 10)
BATCH = 32
LEARNING_RATE = 1e-3
REQUIRED_ACCURACY = 0.97
COMPARED_STEPS = 100


def build_network() -> nn.Sequential:
    layers: list[nn.Module] = []
    for width, out in pairwise(SIZES):
        layers += [nn.Linear(width, out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def numpy_copy(network: nn.Sequential) -> NumpyNetwork:
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    arrays = [[p.detach().numpy().copy() for p in (layer.weight, layer.bias)] for layer in linear]
    return NumpyNetwork([weight for weight, _ in arrays], [bias for _, bias in arrays])


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


def run(epochs: int = 20, seed: int = 0) -> int:
    """Exit status 0 when the held-out accuracy reaches 97 % and both networks agree."""
    pydl.manual_seed(seed)
    (images, labels), (test_images, test_labels) = load_digits("train"), load_digits("test")
    batches = Batches(images.flatten(1).numpy(), labels.numpy(), epochs, seed)
    test_images = test_images.flatten(1)

    network = build_network()
    reference = numpy_copy(network)
    optimizer = optim.Adam(network.parameters(), lr=LEARNING_RATE)

    def step(images: np.ndarray, labels: np.ndarray, learning_rate: float) -> float:
        optimizer.param_groups[0]["lr"] = learning_rate
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(pydl.from_numpy(images)), pydl.from_numpy(labels))
        loss.backward()
        optimizer.step()
        return loss.item()

    print(f"Digits of 8x8 pixels: {len(labels)} to learn from, {len(test_labels)} held out.")
    print(f"Network {'-'.join(map(str, SIZES))}, Adam, batches of {BATCH}, {epochs} epochs.")
    losses, seconds = train("pydl", batches, step)
    reference_losses, reference_seconds = train("NumPy", batches, reference.step)

    with pydl.no_grad():
        accuracy = (network(test_images).argmax(1) == test_labels).float().mean().item()
    reference_labels = reference.forward(test_images.numpy())[-1].argmax(1)
    reference_accuracy = float((reference_labels == test_labels.numpy()).mean())

    time_pydl, time_numpy = np.median(seconds) * 1e6, np.median(reference_seconds) * 1e6
    compared = slice(0, COMPARED_STEPS)
    difference = float(np.max(np.abs(np.subtract(losses[compared], reference_losses[compared]))))
    print(f"{'':8}{'held-out accuracy':>20}{'time per step':>18}")
    print(f"{'pydl':<8}{accuracy:>20.1%}{time_pydl:>15.0f} us   {time_numpy / time_pydl:.1f} times NumPy's speed")
    print(f"{'NumPy':<8}{reference_accuracy:>20.1%}{time_numpy:>15.0f} us")
    print(f"Losses of the first {min(COMPARED_STEPS, len(losses))} steps agree to {difference:.0e}.")

    if not difference < 1e-3:
        print("FAILED: the two networks should have the same losses.", file=sys.stderr)
        return 1
    if accuracy < REQUIRED_ACCURACY:
        print(f"FAILED: expected a held-out accuracy of at least {REQUIRED_ACCURACY:.0%}.", file=sys.stderr)
        return 1
    return 0

"""Trains a small residual network on the photographs of CIFAR-10 and plots loss and accuracy.

    pip install 'pydl-engine[examples]'
    python examples/cifar10.py DATA                 # 24 epochs
    python examples/cifar10.py DATA --peer torch    # then the same network, schedule and batches in PyTorch, 3 epochs

DATA is a folder or zip file with JPEG or PNG images in train/<class>/ and test/<class>/.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from comparison import compare_epochs, figure, label_epochs, parser_of, twin_of, weights_of
from tqdm import tqdm

import pydl
from pydl.utils.data import DataLoader
from pydl.vision import ImageFolder, ImageTensors, transforms

WIDTHS = (64, 192, 256)  # of stages that halve the image: most work is where channels are many and pixels few
LOGIT_SCALE = 0.125  # maxima over pixels are large: without it the first steps are wild
BATCH = 128
MAX_LEARNING_RATE, WEIGHT_DECAY = 0.1, 5e-4
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def build_network(lib: Any, classes: int) -> Any:
    """The network in pydl or in PyTorch: their modules have the same names and arguments.

    Few epochs ask for a good start (Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024): the stem's
    filters stay as `whitening` gives them, and those that widen a stage begin by passing on their inputs.
    """
    nn = lib.nn

    def convolution(inputs: int, outputs: int, halve: bool = False) -> Any:
        filters = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        if halve:
            nn.init.dirac_(filters.weight[:inputs])
        return nn.Sequential(filters, *([nn.MaxPool2d(2)] if halve else []), nn.BatchNorm2d(outputs), nn.ReLU())

    class Residual(nn.Module):
        def __init__(self, body: Any) -> None:
            super().__init__()
            self.body = body

        def forward(self, x: Any) -> Any:
            return x + self.body(x)

    class Scale(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * LOGIT_SCALE

    stem = nn.Conv2d(3, 24, 2)
    stem.weight.requires_grad_(False)
    stages = [stem, nn.ReLU()]
    for inputs, outputs in zip((24, *WIDTHS), WIDTHS):
        stages += [convolution(inputs, outputs, halve=True), Residual(convolution(outputs, outputs))]
    head = nn.Linear(WIDTHS[-1], classes, bias=False)
    return nn.Sequential(*stages, nn.AdaptiveMaxPool2d(1), nn.Flatten(), head, Scale())


def whitening(images: np.ndarray) -> np.ndarray:
    """Filters (24, 3, 2, 2): the principal axes of the 2x2 patches of images (N, 3, H, W), over their deviation, and
    the same with the other sign."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (2, 2), (2, 3))
    patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 12)
    variances, axes = np.linalg.eigh(patches.T @ patches / len(patches))
    filters = (axes / np.sqrt(variances + 5e-4)).T.reshape(12, 3, 2, 2)
    return np.concatenate([filters, -filters]).astype(np.float32)


@dataclass
class Data:
    """Images decoded once; crops and flips are drawn anew for each batch, by threads in the background."""

    train: ImageTensors
    test: ImageTensors
    classes: list[str]

    @classmethod
    def read(cls, place: Path) -> Data:
        to_float = [transforms.ConvertImageDtype(pydl.float32), transforms.Normalize(MEAN, STD, inplace=True)]
        moved = [transforms.RandomCrop(32, padding=4, padding_mode="reflect"), transforms.RandomHorizontalFlip()]
        found = {}
        for split, steps in (("train", moved + to_float), ("test", to_float)):
            folder = ImageFolder(place / split)
            found[split] = ImageTensors(*folder.tensors(num_workers=2, progress=True), transforms.Compose(steps))
        return cls(found["train"], found["test"], folder.classes)


@dataclass
class History:
    """What one library's run came to, a number an epoch."""

    losses: list[float] = field(default_factory=list)
    test_losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def train(lib: Any, network: Any, data: Data, epochs: int, options: argparse.Namespace) -> History:
    """Runs the first `epochs` of the schedule. pydl's loader feeds both libraries: the same batches for one seed."""
    share: Callable[[Any], Any] = (lambda x: x) if lib is pydl else (lambda x: lib.from_numpy(x.numpy()))
    pydl.manual_seed(options.seed)
    batches = DataLoader(data.train, BATCH, shuffle=True, drop_last=True, num_workers=1, prefetch_factor=4)
    tests = DataLoader(data.test, 500, num_workers=1)
    steps = min(len(batches), options.batches or len(batches))
    loss_of = lib.nn.CrossEntropyLoss(label_smoothing=0.1)
    learnt = [p for p in network.parameters() if p.requires_grad]
    optimizer = lib.optim.SGD(learnt, lr=0.1, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY)
    schedule = lib.optim.lr_scheduler.OneCycleLR(
        optimizer, MAX_LEARNING_RATE, total_steps=options.epochs * steps + 1, pct_start=0.25, anneal_strategy="linear",
        cycle_momentum=False, final_div_factor=1e3,
    )  # fmt: skip
    history = History()
    for epoch in range(1, epochs + 1):
        network.train()
        total, begin = 0.0, time.perf_counter()
        with tqdm(first(steps, batches), f"{lib.__name__} {epoch}/{epochs}", steps, unit="step") as bar:
            for images, labels in bar:
                optimizer.zero_grad()
                loss = loss_of(network(share(images)), share(labels))
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item()
                bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        history.seconds.append(time.perf_counter() - begin)
        history.losses.append(total / steps)
        test_loss, accuracy = evaluate(lib, network, first(options.batches or len(tests), tests), share)
        history.test_losses.append(test_loss)
        history.accuracies.append(accuracy)
        print(
            f"{lib.__name__} epoch {epoch}: {history.seconds[-1]:.1f} s, loss {history.losses[-1]:.3f}, "
            f"test loss {test_loss:.3f}, test accuracy {accuracy:.2%}"
        )
    return history


def first(count: int, batches: Iterable[Any]) -> Iterable[Any]:
    for _, batch in zip(range(count), batches):
        yield batch


def evaluate(lib: Any, network: Any, batches: Iterable[Any], share: Callable[[Any], Any]) -> tuple[float, float]:
    """(loss, accuracy) on the test images, each judged together with its mirror image."""
    network.eval()
    loss, right, count = 0.0, 0, 0
    with lib.no_grad():
        for images, labels in batches:
            images, labels = share(images), share(labels)
            logits = (network(images) + network(images.flip(3))) / 2
            loss += lib.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(1) == labels).sum().item()
            count += len(labels)
    return loss / count, right / count


def plot(runs: dict[str, History], file: Path) -> None:
    with figure(file, 1, 2, figsize=(10, 4)) as (losses, accuracies):
        for color, (name, run) in zip(("tab:blue", "tab:orange"), runs.items()):
            epochs = range(1, len(run.losses) + 1)
            losses.plot(epochs, run.losses, color=color, marker=".", label=f"{name}, training")
            losses.plot(epochs, run.test_losses, color=color, marker=".", linestyle="--", label=f"{name}, test")
            accuracies.plot(epochs, [100 * a for a in run.accuracies], color=color, marker=".", label=f"{name}, test")
        label_epochs(losses, ylabel="cross-entropy", title="Loss (training: smoothed labels)")
        label_epochs(accuracies, ylabel="%", title="Accuracy")


def main() -> None:
    parser = parser_of(__doc__, "folder or zip file with train/ and test/", "cifar10.png")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--peer-epochs", type=int, default=3, help="how many epochs of the schedule (default: 3)")
    parser.add_argument("--batches", type=int, default=0, help="only so many batches an epoch: a quick look")
    options = parser.parse_args()

    data = Data.read(options.data)
    pydl.manual_seed(options.seed)
    network = build_network(pydl, len(data.classes))
    some = pydl.stack([data.train[i][0] for i in range(0, len(data.train), max(1, len(data.train) // 2000))])
    network[0].weight.copy_(pydl.from_numpy(whitening(some.numpy())))
    start = weights_of(network)
    parameters = sum(p.numel() for p in network.parameters())
    print(f"{len(data.train)} images to learn from, {len(data.test)} held out; {parameters / 1e6:.2f} M parameters")
    runs = {"pydl": train(pydl, network, data, options.epochs, options)}

    if options.peer:
        peer, twin = twin_of(options.peer, lambda lib: build_network(lib, len(data.classes)), start, options.seed)
        twin.to(memory_format=peer.channels_last)
        runs[options.peer] = train(peer, twin, data, min(options.peer_epochs, options.epochs), options)
        columns = {"loss": ("losses", ".3f"), "accuracy": ("accuracies", ".2%"), "seconds": ("seconds", ".1f")}
        compare_epochs(runs, columns)
    plot(runs, options.plot)
    print(f"test accuracy {runs['pydl'].accuracies[-1]:.2%}")


if __name__ == "__main__":
    main()

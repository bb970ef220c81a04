"""What the programs share: their options, the same network in a second library, and what compares the two runs."""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from tqdm import tqdm


def parser_of(doc: str | None, data: str, plot: str) -> argparse.ArgumentParser:
    """The options of every program; the first line of `doc` says what it does."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("data", type=Path, metavar="DATA", help=data)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peer", choices=["torch"], help="train the same network in this library too")
    parser.add_argument("--plot", type=Path, default=Path(plot), metavar="FILE")
    return parser


def weights_of(network: Any) -> dict[str, np.ndarray]:
    """A copy of all parameters and buffers."""
    return {key: value.numpy().copy() for key, value in network.state_dict().items()}


def load_weights(lib: Any, network: Any, weights: dict[str, np.ndarray]) -> None:
    network.load_state_dict({key: lib.from_numpy(value.copy()) for key, value in weights.items()})


def twin_of(name: str, build: Callable[[Any], Any], weights: dict[str, np.ndarray], seed: int) -> tuple[Any, Any]:
    """The library of that name, its random numbers seeded, and what `build(library)` makes, with these weights."""
    lib = importlib.import_module(name)
    lib.manual_seed(seed)
    network = build(lib)
    load_weights(lib, network, weights)
    return lib, network


@dataclass
class Run:
    """What one library's training came to: the loss and the seconds of each step."""

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def steps(self, name: str, batches: Iterable[Any], count: int) -> Iterator[Any]:
        """The first `count` batches, under a progress bar; whoever takes them appends each step's loss to `losses`."""
        with tqdm(total=count, desc=name, unit="step") as bar:
            for _, batch in zip(range(count), batches):
                begin = time.perf_counter()
                yield batch
                self.seconds.append(time.perf_counter() - begin)
                bar.set_postfix(loss=f"{self.losses[-1]:.3f}", refresh=False)
                bar.update()

    @property
    def step_seconds(self) -> float:
        """The median: what else the machine did meanwhile hardly counts."""
        return median(self.seconds)


def compare(runs: dict[str, Run], rows: int = 5) -> None:
    """Prints the losses over equal spans of the steps that all runs took, and what a step took."""
    (ours, run), (name, peer) = runs.items()
    count = len(peer.losses)
    spans = [slice(count * row // rows, count * (row + 1) // rows) for row in range(rows)] if count >= rows else []
    print(f"\n{'steps':>12} {f'loss {ours}':>12} {name:>8} {'apart':>8}")
    for span in spans:
        a, b = fmean(run.losses[span]), fmean(peer.losses[span])
        print(f"{f'{span.start + 1}-{span.stop}':>12} {a:12.4f} {b:8.4f} {abs(a - b) / b:8.2%}")
    a, b = (median(r.seconds[:count]) for r in (run, peer))
    print(f"a step takes {ours} {1e3 * a:.1f} ms, {name} {1e3 * b:.1f} ms: {b / a:.2f} times as long")


def compare_epochs(runs: dict[str, Any], columns: dict[str, tuple[str, str]]) -> None:
    """Prints what each epoch came to in two runs: `columns` gives headings an attribute, one value an epoch, and its
    format. One of the attributes is `seconds`."""
    (ours, run), (name, peer) = runs.items()
    print(f"\n{'epoch':>5}" + "".join(f" {f'{heading} {ours}':>16} {name:>8}" for heading in columns))
    for epoch in range(len(peer.seconds)):
        values = ((getattr(r, of)[epoch], layout) for of, layout in columns.values() for r in (run, peer))
        print(f"{epoch + 1:5}" + "".join(f" {format(v, f):>{16 - i % 2 * 8}}" for i, (v, f) in enumerate(values)))
    print(f"{ours} takes {sum(run.seconds[: len(peer.seconds)]) / sum(peer.seconds):.2f} of {name}'s time")


def plot_losses(axes: Any, runs: dict[str, Run]) -> None:
    """Draws each run's loss by steps, averaged over fiftieths of the longest."""
    window = max(1, max(len(run.losses) for run in runs.values()) // 50)
    for line, (name, run) in zip(("-", "--"), runs.items()):
        ends = range(window, len(run.losses) + 1, window)
        axes.plot(ends, [fmean(run.losses[end - window : end]) for end in ends], line, label=name)
    axes.set(xlabel="step", ylabel="loss", title="Training")
    axes.grid(alpha=0.3)
    axes.legend()


def label_epochs(axes: Any, **labels: str) -> None:
    """Titles, whole epochs, a grid and a legend."""
    axes.set(xlabel="epoch", **labels)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()


@contextmanager
def figure(file: Path, *grid: int, **options: Any) -> Iterator[Any]:
    """The axes of a figure (`pyplot.subplots`), which is written to `file` in the end."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawn, axes = pyplot.subplots(*grid, layout="constrained", **options)
    yield axes
    drawn.savefig(file, dpi=120)
    pyplot.close(drawn)
    print(f"wrote {file}")

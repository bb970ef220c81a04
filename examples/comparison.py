"""What the programs share: the same network in a second library, and the figures that compare the two runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from tqdm import tqdm


def weights_of(network: Any) -> dict[str, np.ndarray]:
    """A copy of all parameters and buffers."""
    return {key: value.numpy().copy() for key, value in network.state_dict().items()}


def load_weights(lib: Any, network: Any, weights: dict[str, np.ndarray]) -> None:
    network.load_state_dict({key: lib.from_numpy(value.copy()) for key, value in weights.items()})


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


def plot_losses(axes: Any, runs: dict[str, Run]) -> None:
    """Draws each run's loss by steps, averaged over fiftieths of the longest."""
    window = max(1, max(len(run.losses) for run in runs.values()) // 50)
    for line, (name, run) in zip(("-", "--"), runs.items()):
        ends = range(window, len(run.losses) + 1, window)
        axes.plot(ends, [fmean(run.losses[end - window : end]) for end in ends], line, label=name)
    axes.set(xlabel="step", ylabel="loss", title="Training")
    axes.grid(alpha=0.3)
    axes.legend()


def plot(runs: dict[str, Run], file: Path, unit: str, held_out: float) -> None:
    """A figure of the losses, and of the held-out loss in the end."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.axhline(held_out, color="gray", linestyle="--", label=f"held out, at the end: {held_out:.3f}")
    plot_losses(axes, runs)
    axes.set(ylabel=unit)
    figure.savefig(file, dpi=120)
    print(f"wrote {file}")

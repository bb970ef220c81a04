"""Forecasts the next value of a time series with a recurrent network, and compares with the persistence forecast.

    pip install 'pydl-engine[examples]'
    python examples/forecast.py daily-min-temperatures.csv                # the next day's temperature
    python examples/forecast.py daily-min-temperatures.csv --peer torch   # then the same network in PyTorch
    python examples/forecast.py airline-passengers.csv --log --window 24  # a series that grows by factors

DATA is a file of comma-separated values: a line of titles, then a date (YYYY-MM-DD or YYYY-MM) and a value a line. Its
last fifth is held out. Persistence says that the next value is the present one; the network says how it will differ.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from comparison import Run, compare, figure, parser_of, plot_losses, twin_of, weights_of

import pydl

UNITS = 32
BATCH = 64
MAX_LEARNING_RATE = 5e-3


def build_network(lib: Any, cell: str) -> Any:
    """The network in pydl or in PyTorch: their modules have the same names and arguments."""
    nn = lib.nn

    class Forecaster(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = getattr(nn, cell)(3, UNITS, batch_first=True)
            self.output = nn.Linear(UNITS, 1)

        def forward(self, windows: Any) -> Any:
            """Windows (batch, time, 3) to the differences (batch) between their last values and the next ones."""
            return self.output(self.recurrent(windows)[0][:, -1]).squeeze(1)

    return Forecaster()


@dataclass
class Series:
    """A series cut into windows: the value and the time of the year of some days, and the value that comes next."""

    unit: str
    dates: np.ndarray
    windows: np.ndarray
    last: np.ndarray
    following: np.ndarray
    held_out: int  # the first window whose next value is held out
    scale: float

    @classmethod
    def read(cls, file: Path, window: int, log: bool) -> Series:
        with file.open(encoding="utf-8", newline="") as lines:
            (_, unit), *rows = [row for row in csv.reader(lines) if len(row) == 2]
        dates = np.array([date for date, _ in rows], "datetime64[D]")
        values = np.array([value for _, value in rows], np.float64)
        if log:
            unit, values = f"log {unit}", np.log(values)
        learnt = len(values) * 4 // 5
        mean, scale = values[:learnt].mean(), values[:learnt].std()
        angle = 2 * np.pi * (dates - dates.astype("datetime64[Y]")).astype(float) / 365.25
        features = np.stack([(values - mean) / scale, np.sin(angle), np.cos(angle)], 1).astype(np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(features[:-1], window, axis=0).transpose(0, 2, 1)
        return cls(unit, dates[window:], windows, values[window - 1 : -1], values[window:], learnt - window, scale)

    def batches(self, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(windows, scaled differences), epoch after epoch, each in another order."""
        generator = np.random.default_rng(seed)
        differences = ((self.following - self.last) / self.scale).astype(np.float32)
        while True:
            order = generator.permutation(self.held_out)
            for start in range(0, len(order), BATCH):
                chosen = order[start : start + BATCH]
                yield np.ascontiguousarray(self.windows[chosen]), differences[chosen]


def train(lib: Any, network: Any, series: Series, options: argparse.Namespace) -> Run:
    optimizer = lib.optim.AdamW(network.parameters(), lr=MAX_LEARNING_RATE, weight_decay=1e-2)
    schedule = lib.optim.lr_scheduler.OneCycleLR(
        optimizer, MAX_LEARNING_RATE, total_steps=options.steps + 1, pct_start=0.1, cycle_momentum=False
    )
    network.train()
    run = Run()
    for windows, differences in run.steps(lib.__name__, series.batches(options.seed), options.steps):
        loss = lib.nn.functional.mse_loss(network(lib.from_numpy(windows)), lib.from_numpy(differences))
        optimizer.zero_grad()
        loss.backward()
        lib.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        run.losses.append(loss.item())
    return run


def forecast(lib: Any, network: Any, series: Series) -> np.ndarray:
    """The next value for each window that was held out, from the values before it."""
    network.eval()
    with lib.no_grad():
        differences = network(lib.from_numpy(np.ascontiguousarray(series.windows[series.held_out :]))).numpy()
    return series.last[series.held_out :] + series.scale * differences


def errors(forecasts: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(root mean square, mean absolute)."""
    return float(np.sqrt(np.mean((forecasts - truth) ** 2))), float(np.mean(np.abs(forecasts - truth)))


def plot(series: Series, forecasts: np.ndarray, runs: dict[str, Run], file: Path) -> None:
    shown = slice(-min(len(forecasts), 180), None)
    dates = series.dates[series.held_out :][shown]
    with figure(file, 1, 2, figsize=(12, 4), width_ratios=(3, 1)) as (lines, losses):
        lines.plot(dates, series.following[shown], color="black", marker=".", linewidth=0.8, label="truth")
        lines.plot(dates, series.last[shown], color="tab:gray", linewidth=0.8, linestyle=":", label="persistence")
        lines.plot(dates, forecasts[shown], color="tab:blue", label="network")
        lines.set(ylabel=series.unit, title="The last of the values held out")
        lines.grid(alpha=0.3)
        lines.legend()
        plot_losses(losses, runs)


def main() -> None:
    parser = parser_of(__doc__, "file of comma-separated dates and values", "forecast.png")
    parser.add_argument("--cell", choices=["LSTM", "GRU"], default="GRU")
    parser.add_argument("--window", type=int, default=30, help="how many values the network sees (default: 30)")
    parser.add_argument("--log", action="store_true", help="forecast the logarithm")
    parser.add_argument("--steps", type=int, default=1500)
    options = parser.parse_args()

    series = Series.read(options.data, options.window, options.log)
    truth = series.following[series.held_out :]
    pydl.manual_seed(options.seed)
    network = build_network(pydl, options.cell)
    start = weights_of(network)
    print(f"{series.held_out} windows of {options.window} values to learn from, {len(truth)} held out")
    runs = {"pydl": train(pydl, network, series, options)}
    forecasts = {"persistence": series.last[series.held_out :], "pydl": forecast(pydl, network, series)}

    if options.peer:
        peer, twin = twin_of(options.peer, lambda lib: build_network(lib, options.cell), start, options.seed)
        runs[options.peer] = train(peer, twin, series, options)
        forecasts[options.peer] = forecast(peer, twin, series)
        compare(runs)
    plot(series, forecasts["pydl"], runs, options.plot)
    for name, values in forecasts.items():
        print("{:>12}: root mean square error {:.3f}, mean absolute error {:.3f}".format(name, *errors(values, truth)))
    run = runs["pydl"]
    print(f"errors in {series.unit}; {sum(run.seconds):.1f} s, {BATCH / run.step_seconds:.0f} windows learnt a second")


if __name__ == "__main__":
    main()

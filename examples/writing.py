"""What the programs that learn to write, character by character, share: text, options, report."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from comparison import Run, compare, figure, parser_of, plot_losses, twin_of, weights_of

import pydl


def writers_parser(doc: str | None, steps: int, peer_steps: int, plot: str) -> argparse.ArgumentParser:
    """What these programs ask for; the numbers of steps are defaults."""
    parser = parser_of(doc, "text file", plot)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--write", type=int, default=500, metavar="N", help="how many characters to write")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument(
        "--peer-steps", type=int, default=peer_steps, help=f"how many steps of the schedule (default: {peer_steps})"
    )
    return parser


def run(
    options: argparse.Namespace,
    learnt: int,
    build: Callable[[Any, int], Any],
    train: Callable[[Any, Any, np.ndarray, int, argparse.Namespace], Run],
    evaluate: Callable[[Any, Any, np.ndarray, int], float],
    write: Callable[[Any, int, int, float], np.ndarray],
) -> None:
    """The whole program. `build(lib, characters)` makes the network, `train(lib, network, codes, steps, options)`
    teaches it, `learnt` characters a step, `evaluate(lib, network, codes, first)` is its loss in nats over
    codes[first:], and `write(network, code, count, temperature)` what it writes after a character."""
    characters, codes = np.unique(list(options.data.read_text(encoding="utf-8")), return_inverse=True)
    held_out = len(codes) * 9 // 10
    pydl.manual_seed(options.seed)
    network = build(pydl, len(characters))
    start = weights_of(network)
    print(
        f"{held_out} characters to learn from, {len(codes) - held_out} held out, {len(characters)} different; "
        f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M parameters"
    )
    runs = {"pydl": train(pydl, network, codes[:held_out], options.steps, options)}
    loss = evaluate(pydl, network, codes, held_out)

    begin = time.perf_counter()
    written = write(network, int(codes[0]), options.write, options.temperature)
    seconds = time.perf_counter() - begin
    print("", "".join(characters[written]), "", sep="\n")
    print(f"{options.write / seconds:.0f} characters a second written")

    if options.peer:
        peer, twin = twin_of(options.peer, lambda lib: build(lib, len(characters)), start, options.seed)
        runs[options.peer] = train(peer, twin, codes[:held_out], min(options.peer_steps, options.steps), options)
        compare(runs)
    with figure(options.plot, figsize=(7, 4)) as axes:
        axes.axhline(loss, color="gray", linestyle="--", label=f"held out, at the end: {loss:.3f}")
        plot_losses(axes, runs)
        axes.set(ylabel="nats a character")
    ours = runs["pydl"]
    print(
        f"held-out loss {loss:.4f} nats a character after {sum(ours.seconds):.0f} s, "
        f"{learnt / ours.step_seconds:.0f} characters learnt a second"
    )

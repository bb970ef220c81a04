"""The command `pydl` (also `python -m pydl`)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pydl._version import __version__


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text}")
    return value


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="pydl", description="A CPU-first deep learning engine.")
    top.add_argument("--version", action="version", version=f"pydl {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    demo = commands.add_parser("demo", help="train a convolutional network on handwritten digits, beside NumPy")
    demo.add_argument("--epochs", type=positive, default=15, help="passes over the training images (default: 15)")
    demo.add_argument("--seed", type=int, default=0, help="seed of weights and batches (default: 0)")

    commands.add_parser("info", help="show version, instruction set, threads, build and memory")

    bench = commands.add_parser("bench", help="measure pydl against NumPy, PyTorch, JAX and ONNX Runtime")
    bench.add_argument("--group", action="append", metavar="NAME", help="only this group (repeatable)")
    bench.add_argument("--case", metavar="PATTERN", help="only cases whose name matches, e.g. '*softmax*'")
    bench.add_argument("--list", action="store_true", help="list the groups and their cases")
    bench.add_argument("--against", type=Path, metavar="DIR", help="beside the build of pydl in DIR, not beside peers")
    bench.add_argument("--quick", action="store_true", help="fewer rounds: a rough look")
    bench.add_argument("--strict", action="store_true", help="exit status 1 when a bar is neither met nor explained")
    form = bench.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print Markdown tables")
    form.add_argument("--json", action="store_true", help="print all samples as JSON")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.command == "demo":
        from pydl import demo

        return demo.run(options.epochs, options.seed)
    if options.command == "info":
        import pydl

        pydl.show_config()
        return 0
    from pydl import bench

    return bench.run(options)

"""pydl beside PyTorch over many operations and shapes, one thread each, slowest ratios first: what no bar looks at.

    python bench/sweep.py [GROUP ...] [--worst N]

Statements are written once and timed in turns; a ratio is PyTorch's median time over pydl's.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import torch

import pydl

Case = tuple[str, str, str]  # name, setup, statement

UNARY = """abs neg exp exp2 expm1 log log2 log1p sqrt rsqrt sin cos tan asin atan sinh tanh asinh sigmoid erf erfc
erfinv lgamma digamma floor round trunc frac sign reciprocal square relu isnan isfinite logical_not""".split()
ACTIVATIONS = """gelu silu mish elu selu leaky_relu hardswish hardsigmoid hardtanh softplus softsign tanhshrink
logsigmoid relu6 glu""".split()
BINARY = ["a + b", "a * b", "a / b", "lib.maximum(a, b)", "a > b", "lib.where(a > b, a, b)", "lib.addcmul(a, a, b)",
          "lib.lerp(a, b, 0.3)", "lib.atan2(a, b)", "a.clamp(-1, 1)"]
BROADCAST = [((64, 128), (64, 128)), ((64, 128), (128,)), ((64, 128), (64, 1)), ((100000, 8), (8,)),
             ((1000, 1000), (1000,)), ((1000, 1000), (1000, 1)), ((8, 1, 512), (1, 512, 1)),
             ((2048, 2048), (2048, 2048))]
REDUCTIONS = """sum mean amax argmax var prod logsumexp any cumsum cumprod median sort nansum count_nonzero""".split()
REDUCED = [((64, 128), 1), ((64, 128), 0), ((1000, 1000), 0), ((1000, 1000), 1), ((100000, 8), 1), ((100000, 8), 0),
           ((8, 100000), 1), ((3, 5, 7, 1000), 2)]
ROWS = [(128, 10), (64, 100), (32, 1000), (200, 2048), (4096, 256), (20000, 16)]
LOSSES = {
    "softmax": "F.softmax(x, -1)", "layer_norm": "F.layer_norm(x, x.shape[-1:])", "normalize": "F.normalize(x, dim=-1)",
    "cross_entropy": "F.cross_entropy(x, classes)", "nll_loss": "F.nll_loss(x, classes)",
    "mse_loss": "F.mse_loss(x, y)", "l1_loss": "F.l1_loss(x, y)", "smooth_l1_loss": "F.smooth_l1_loss(x, y)",
    "kl_div": "F.kl_div(x, y, reduction='batchmean')",
    "bce": "F.binary_cross_entropy_with_logits(x, y)",
}
MOVED = [(100, 60), (512, 512), (1000, 3000), (64, 64, 64), (32, 128, 14, 14)]
MOVES = ["lib.cat([a, a, a], {d})", "lib.stack([a, a, a], {d})", "lib.flip(a, [{d}])", "lib.roll(a, 3, {d})",
         "lib.repeat_interleave(a, 2, {d})", "lib.index_select(a, {d}, row)", "lib.gather(a, {d}, index)",
         "lib.zeros_like(a).scatter_add_({d}, index, a)", "lib.zeros_like(a).index_add_({d}, row, a)"]
COPIES = ["a.permute(*range(a.dim())[::-1]).contiguous()", "a[..., ::2].contiguous()", "a[..., 1:-1].contiguous()",
          "a[a > 0]", "lib.nonzero(a > 0)", "lib.tril(a)", "a.double()", "a.clone()"]
MAKERS = ["lib.zeros(1000, 1000)", "lib.arange(100000)", "lib.linspace(0, 1, 100000)", "lib.randn(100000)",
          "lib.randperm(10000)", "lib.eye(500)", "lib.cdist(lib.ones(500, 64), lib.ones(400, 64))"]


def unary() -> Iterator[Case]:
    for name, shape in itertools.product(UNARY, [(1000,), (256, 256), (2000, 2000)]):
        yield f"{name} {shape}", f"a = lib.rand(*{shape}) * 0.9 + 0.05", f"lib.{name}(a)"
    for name, shape in itertools.product(ACTIVATIONS, [(256, 256), (2000, 2000)]):
        yield f"{name} {shape}", f"a = lib.randn(*{shape})", f"F.{name}(a)"
        yield (f"{name} {shape}, forward and backward", f"a = lib.randn(*{shape}).requires_grad_()",
               f"a.grad = None; F.{name}(a).sum().backward()")


def binary() -> Iterator[Case]:
    for statement, (a, b) in itertools.product(BINARY, BROADCAST):
        yield f"{statement} {a} {b}", f"a, b = lib.randn(*{a}), lib.randn(*{b})", statement


def reductions() -> Iterator[Case]:
    for name, (shape, dim) in itertools.product(REDUCTIONS, REDUCED):
        yield f"{name} {shape} dim {dim}", f"a = lib.randn(*{shape})", f"lib.{name}(a, dim={dim})"
    for name, dtype, (shape, dim) in itertools.product(["sum", "amax", "argmax", "cumsum", "any"], ["int64", "uint8"],
                                                       REDUCED):
        yield (f"{name} {dtype} {shape} dim {dim}", f"a = lib.randint(0, 100, {shape}).to(lib.{dtype})",
               f"lib.{name}(a, dim={dim})")


def losses() -> Iterator[Case]:
    for (name, statement), shape in itertools.product(LOSSES.items(), ROWS):
        setup = f"x, y = lib.randn(*{shape}), lib.rand(*{shape}); classes = lib.randint(0, {shape[1]}, ({shape[0]},))"
        yield f"{name} {shape}", setup, statement
        yield (f"{name} {shape}, forward and backward", setup + "; x.requires_grad_()",
               f"x.grad = None; ({statement}).sum().backward()")


def moves() -> Iterator[Case]:
    for shape in MOVED:
        for statement, d in itertools.product(MOVES, range(len(shape))):
            yield (f"{statement.format(d=d)} {shape}", f"a = lib.randn(*{shape}); "
                   f"row = lib.randint(0, {shape[d]}, ({shape[d]},)); index = lib.randint(0, {shape[d]}, {shape})",
                   statement.format(d=d))
        for statement in COPIES:
            yield f"{statement} {shape}", f"a = lib.randn(*{shape})", statement
    for statement in MAKERS:
        yield statement, "", statement


GROUPS = {group.__name__: group for group in (unary, binary, reductions, losses, moves)}


def compiled(lib: Any, setup: str, statement: str) -> Callable[[], None]:
    names: dict[str, Any] = {"lib": lib, "F": lib.nn.functional}
    lib.manual_seed(0)
    exec(setup, names)
    exec(f"def run():\n    {statement}", names)
    return names["run"]


def ratio(setup: str, statement: str, rounds: int = 7, budget: float = 0.01) -> SimpleNamespace:
    """The medians of both, in turns."""
    functions = [compiled(lib, setup, statement) for lib in (pydl, torch)]
    counts: list[int] = []
    times: tuple[list[float], list[float]] = ([], [])
    for run in functions:
        run()
        began = time.perf_counter()
        run()
        counts.append(max(1, int(budget / max(time.perf_counter() - began, 1e-7))))
    for turn in range(rounds):
        for which in (0, 1) if turn % 2 else (1, 0):
            began = time.perf_counter()
            for _ in range(counts[which]):
                functions[which]()
            times[which].append((time.perf_counter() - began) / counts[which])
    ours, theirs = map(statistics.median, times)
    return SimpleNamespace(ratio=theirs / ours, seconds=ours)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; default: all")
    parser.add_argument("--worst", type=int, default=20, help="how many cases of each group to print")
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"expected groups among {', '.join(GROUPS)}, got {', '.join(sorted(unknown))}")
    for lib in (pydl, torch):
        lib.set_num_threads(1)
    for group in options.groups or GROUPS:
        found = sorted(((ratio(setup, statement), name) for name, setup, statement in GROUPS[group]()),
                       key=lambda case: case[0].ratio)
        print(f"{group}: {len(found)} cases, geometric mean {statistics.geometric_mean(m.ratio for m, _ in found):.2f}")
        for measured, name in found[: options.worst]:
            print(f"{measured.ratio:8.2f}  {measured.seconds * 1e6:10.1f} us  {name}")


if __name__ == "__main__":
    main()

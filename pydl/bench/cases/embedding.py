"""Embeddings: forward, backward and whole training steps with dense and with row-sparse gradients; CTC."""

from __future__ import annotations

from functools import partial
from itertools import cycle
from typing import Any

import numpy as np

from pydl.bench.case import Bar, Case, Group, Input, Statement, integers, normal
from pydl.bench.libraries import library

ROWS, WIDTH = 100_000, 128
BATCH, LENGTH = 64, 50
LOSS = "step()"  # the second, compared between the libraries: later, Adam moves rows that SparseAdam leaves alone


def training(name: str, optimizer: str, sparse: bool, **options: Any) -> Statement | None:
    """Steps on ever other words, but for the first two; the loss is the sum of squares of what was looked up."""
    lib = library(name)
    if lib is None:
        return None
    rng = np.random.default_rng(0)
    table = lib.from_numpy(rng.standard_normal((ROWS, WIDTH), dtype=np.float32))
    layer = lib.nn.Embedding(ROWS, WIDTH, sparse=sparse, _weight=table)
    update = getattr(lib.optim, optimizer)(layer.parameters(), lr=1e-3, **options)
    drawn = [lib.from_numpy(rng.integers(0, ROWS, (BATCH, LENGTH))) for _ in range(16)]
    batches = cycle([drawn[0], *drawn])

    def step():
        update.zero_grad()
        rows = layer(next(batches))
        loss = (rows * rows).sum()  # a mean's gradients are as small as eps, which the optimizers add in other places
        loss.backward()
        update.step()
        return loss

    return Statement("step()", {"step": step}, LOSS)


WORDS = BATCH * LENGTH
# Touched rows: read and written by the optimizer with both moments; before that the rows, their squares and gradients.
STEP_BYTES = 4 * WORDS * WIDTH


def look_up(name: str, code: str, reads: float, writes: float, rows: int = ROWS, **fields: Any) -> Case:
    inputs = {"x": integers(rows, BATCH, LENGTH), "w": normal(rows, WIDTH), "g": normal(BATCH, LENGTH, WIDTH)}
    return Case(name, code, inputs, reads=4 * reads, writes=4 * writes, **fields)


FEW = 10_000
TABLE = FEW * WIDTH

LOOK_UPS = [
    look_up("embedding forward", "F.embedding(x, w)", WORDS * WIDTH, WORDS * WIDTH, numpy="w[x]", jax="w[x]"),
    look_up("embedding_bag sum forward", "F.embedding_bag(x, w, mode='sum')", WORDS * WIDTH, BATCH * WIDTH,
            numpy="w[x].sum(1)", jax="w[x].sum(1)"),
    look_up("embedding forward and dense backward, 10,000 rows", "lib.autograd.grad(F.embedding(x, w), w, g)",
            2 * WORDS * WIDTH, TABLE + WORDS * WIDTH, rows=FEW, requires_grad=("w",)),
    look_up("embedding forward and sparse backward",
            "lib.autograd.grad(F.embedding(x, w, sparse=True), w, g)[0]._values()", WORDS * WIDTH, WORDS * WIDTH,
            requires_grad=("w",)),
    look_up("embedding_bag mean forward and dense backward, 10,000 rows",
            "lib.autograd.grad(F.embedding_bag(x, w), w, g[:, 0])", 2 * WORDS * WIDTH, TABLE, rows=FEW,
            requires_grad=("w",)),
]


def log_probabilities(*shape: int) -> Input:
    def draw(rng: np.random.Generator, dtype: str) -> np.ndarray:
        x = rng.standard_normal(shape)
        return (x - np.log(np.exp(x).sum(-1, keepdims=True))).astype(dtype)

    return draw


def alignment(frames: int, batch: int, classes: int, labels: int, backward: bool) -> Case:
    inputs = {
        "p": log_probabilities(frames, batch, classes),
        "t": lambda rng, dtype: rng.integers(1, classes, (batch, labels)),
        "n": lambda rng, dtype: np.full(batch, frames),
        "m": lambda rng, dtype: np.full(batch, labels),
    }
    loss = "F.ctc_loss(p, t, n, m)"
    states = frames * batch * (2 * labels + 1)
    return Case(
        f"ctc {frames} frames, {batch} x {labels} of {classes}{' forward and backward' if backward else ' forward'}",
        f"lib.autograd.grad({loss}, p)" if backward else loss,
        inputs,
        requires_grad=("p",) if backward else (),
        reads=4 * (states + frames * batch * classes if backward else frames * batch * classes),
        writes=4 * (frames * batch * classes if backward else states),
        tolerance=1e-3,
    )


GROUPS = [
    Group("embedding", "Rows of tables of 128 columns, 64 x 50 indices", LOOK_UPS, (Bar("each", 1.0),)),
    Group(
        "embedding training",
        "Training step, embedding of 100,000 x 128, 64 x 50 indices, sparse gradients",
        [
            Case(
                "embedding step",
                reads=STEP_BYTES * 8,
                writes=STEP_BYTES * 6,
                tolerance=1e-4,
                setups={
                    "pydl": partial(training, "pydl", "SparseAdam", True),
                    "torch SparseAdam": partial(training, "torch", "SparseAdam", True),
                    "torch Adam": partial(training, "torch", "Adam", False),
                    "torch Adam fused": partial(training, "torch", "Adam", False, fused=True),
                },
            )
        ],
        (
            Bar("each", 10.0, against=("torch Adam", "torch Adam fused")),
            Bar("each", 2.0, against=("torch SparseAdam",)),
        ),
    ),
    Group(
        "ctc",
        "CTC loss",
        [alignment(*sizes, backward) for sizes in ((150, 16, 80, 30), (50, 64, 28, 12)) for backward in (False, True)],
        (Bar("each", 1.0),),
    ),
]

"""Recurrent layers over whole sequences, and a training step of a two-layer LSTM."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pydl.bench.case import Bar, Case, Group, Statement
from pydl.bench.libraries import library
from pydl.bench.networks import jax_adam

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
SHAPES = (  # batch, steps, features, units
    (1, 28, 28, 28),
    (1, 100, 64, 64),
    (1, 50, 256, 512),
    (4, 200, 28, 128),
    (8, 50, 100, 64),
    (32, 28, 28, 128),
    (32, 50, 100, 64),
    (32, 100, 256, 256),
    (64, 28, 28, 64),
    (64, 50, 512, 512),
)


def sequence(name: str, kind: str, shape: tuple[int, ...], backward: bool) -> Statement | None:
    """The layer under one library: the output alone, or with the gradients of everything."""
    lib = library(name)
    if lib is None:
        return None
    batch, steps, features, units = shape
    rng = np.random.default_rng(0)
    layer = getattr(lib.nn, kind)(features, units)
    with lib.no_grad():
        for p in layer.parameters():
            p.copy_(lib.from_numpy(rng.uniform(-(units**-0.5), units**-0.5, tuple(p.shape)).astype(np.float32)))
    x = lib.from_numpy(rng.standard_normal((steps, batch, features)).astype(np.float32))
    if not backward:
        return Statement("layer(x)[0]", {"layer": layer, "x": x}, context=lib.no_grad)
    x.requires_grad_()
    leaves = [x, *layer.parameters()]
    weight = lib.from_numpy(rng.standard_normal((steps, batch, units)).astype(np.float32))
    names = {"layer": layer, "x": x, "weight": weight, "leaves": leaves, "grad": lib.autograd.grad}
    return Statement("grad(layer(x)[0], leaves, weight)", names)


def case(kind: str, shape: tuple[int, ...], backward: bool) -> Case:
    batch, steps, features, units = shape
    flops = 2 * batch * steps * GATES[kind] * units * (features + units) * (3 if backward else 1)
    name = f"{kind} {batch}x{steps} {features}->{units}"
    setups = {lib: partial(sequence, lib, kind, shape, backward) for lib in ("pydl", "torch")}
    return Case(name, flops=flops, setups=setups, tolerance=1e-3)


# ---- a training step ------------------------------------------------------------------------------------------------
BATCH, STEPS, FEATURES, UNITS, CLASSES, RATE = 32, 50, 100, 64, 10, 1e-3
LOSSES = "[step() for _ in range(5)]"


def initial() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Weights of both layers and the last one, inputs and labels: the same for every library."""
    rng = np.random.default_rng(0)
    bound, shapes = UNITS**-0.5, []
    for features in (FEATURES, UNITS):
        shapes += [(4 * UNITS, features), (4 * UNITS, UNITS), (4 * UNITS,), (4 * UNITS,)]
    shapes += [(CLASSES, UNITS), (CLASSES,)]
    weights = [rng.uniform(-bound, bound, shape).astype(np.float32) for shape in shapes]
    inputs = rng.standard_normal((BATCH, STEPS, FEATURES)).astype(np.float32)
    return weights, inputs, rng.integers(0, CLASSES, BATCH)


def shaped_like_torch(name: str, compiled: bool = False) -> Statement | None:
    lib: Any = library(name)
    if lib is None:
        return None
    weights, inputs, labels = initial()

    module: Any = lib.nn.Module

    class Classifier(module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = lib.nn.LSTM(FEATURES, UNITS, num_layers=2, batch_first=True)
            self.dense = lib.nn.Linear(UNITS, CLASSES)

        def forward(self, x: Any) -> Any:
            return self.dense(self.lstm(x)[0][:, -1])

    network = Classifier()
    with lib.no_grad():
        for p, weight in zip(network.parameters(), weights, strict=True):
            p.copy_(lib.from_numpy(weight))
    optimizer = lib.optim.Adam(network.parameters(), lr=RATE)
    x, t = lib.from_numpy(inputs), lib.from_numpy(labels)
    loss_of = lib.nn.CrossEntropyLoss()
    model: Callable[[Any], Any] = lib.compile(network) if compiled else network

    def step():
        optimizer.zero_grad()
        loss = loss_of(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    if compiled:
        try:
            step()
        except Exception:  # without a C++ compiler at hand it cannot take part
            return None
        return shaped_like_torch_restarted(network, optimizer, weights, step, lib)
    return Statement("step()", {"step": step}, LOSSES)


def shaped_like_torch_restarted(network: Any, optimizer: Any, weights: list, step: Callable, lib: Any) -> Statement:
    """The compiled step with weights and optimizer as they were before it was compiled."""
    with lib.no_grad():
        for p, weight in zip(network.parameters(), weights, strict=True):
            p.copy_(lib.from_numpy(weight))
    optimizer.state.clear()
    return Statement("step()", {"step": step}, LOSSES)


def jax_step() -> Statement | None:
    """Each layer a scan over the steps."""
    jax = library("jax")
    if jax is None:
        return None
    jnp = jax.numpy
    weights, inputs, labels = initial()

    def layer(xs, w_ih, w_hh, b_ih, b_hh):
        projected = xs @ w_ih.T + (b_ih + b_hh)

        def cell(state, p):
            h, c = state
            i, f, g, o = jnp.split(p + h @ w_hh.T, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zero = jnp.zeros((BATCH, UNITS), jnp.float32)
        return jax.lax.scan(cell, (zero, zero), projected)[1]

    def loss_of(p, x, t):
        hidden = layer(layer(x.swapaxes(0, 1), *p[:4]), *p[4:8])
        logits = hidden[-1] @ p[8].T + p[9]
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), t[:, None], 1).mean()

    return Statement("step()", {"step": jax_adam(loss_of, weights, inputs, labels, rate=RATE)}, LOSSES)


STEP_FLOPS = 2 * BATCH * STEPS * 4 * UNITS * (3 * (FEATURES + 3 * UNITS) - FEATURES)  # no gradient of the inputs
BARS = (Bar("mean", 2.5, against=("torch",)), Bar("each", 1.2, against=("torch",)))
KINDS = tuple(itertools.product(GATES, SHAPES))

GROUPS = [
    Group("recurrent", "Recurrent layers, forward (batch x steps, features -> units)",
          [case(kind, shape, False) for kind, shape in KINDS], BARS),
    Group("recurrent backward", "Recurrent layers, forward and backward",
          [case(kind, shape, True) for kind, shape in KINDS], BARS),
    Group(
        "recurrent training",
        "Training step, LSTM 100-64-64 over 50 steps, last step to Linear, batch 32, Adam",
        [
            Case(
                "lstm classifier",
                flops=STEP_FLOPS,
                setups={
                    "pydl": partial(shaped_like_torch, "pydl"),
                    "torch": partial(shaped_like_torch, "torch"),
                    "torch compiled": partial(shaped_like_torch, "torch", compiled=True),
                    "jax": jax_step,
                },
            )
        ],
        (Bar("each", 2.2),),
    ),
]  # fmt: skip

"""Whole training steps: a 784-128-10 perceptron, batch 32, Adam."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np

from pydl._numpy_network import Linear, NumpyNetwork, ReLU
from pydl.bench.case import Bar, Case, Group, Statement
from pydl.bench.libraries import library

SIZES = (784, 128, 10)
BATCH = 32
RATE = 1e-3
LOSSES = "[step() for _ in range(5)]"  # compared between the libraries: they see the updates of several steps


def initial() -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]:
    """Weights, biases, images and labels: the same for every library."""
    rng = np.random.default_rng(0)
    pairs = list(pairwise(SIZES))
    weights = [rng.uniform(-(n**-0.5), n**-0.5, (m, n)).astype(np.float32) for n, m in pairs]
    biases = [rng.uniform(-(n**-0.5), n**-0.5, m).astype(np.float32) for n, m in pairs]
    images = rng.uniform(0, 1, (BATCH, SIZES[0])).astype(np.float32)
    return weights, biases, images, rng.integers(0, SIZES[-1], BATCH)


def shaped_like_torch(name: str, **options: bool) -> Statement | None:
    lib = library(name)
    if lib is None:
        return None
    weights, biases, images, labels = initial()
    network = lib.nn.Sequential(lib.nn.Linear(784, 128), lib.nn.ReLU(), lib.nn.Linear(128, 10))
    with lib.no_grad():
        for layer, weight, bias in zip((network[0], network[2]), weights, biases, strict=True):
            layer.weight.copy_(lib.from_numpy(weight))
            layer.bias.copy_(lib.from_numpy(bias))
    optimizer = lib.optim.Adam(network.parameters(), lr=RATE, **options)
    x, t = lib.from_numpy(images), lib.from_numpy(labels)
    loss_of = lib.nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad()
        loss = loss_of(network(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return Statement("step()", {"step": step}, LOSSES)


def numpy_step() -> Statement:
    weights, biases, images, labels = initial()
    first, second = (Linear(weight, bias) for weight, bias in zip(weights, biases, strict=True))
    network = NumpyNetwork([first, ReLU(), second])
    return Statement("step()", {"step": partial(network.step, images, labels, RATE)}, LOSSES)


def jax_step() -> Statement | None:
    """One compiled function for forward, backward and update, the state donated."""
    jax = library("jax")
    if jax is None:
        return None
    jnp, tree_map = jax.numpy, jax.tree_util.tree_map
    weights, biases, images, labels = initial()

    def loss_of(parameters, x, t):
        (w1, b1), (w2, b2) = parameters
        logits = jax.nn.relu(x @ w1.T + b1) @ w2.T + b2
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), t[:, None], 1).mean()

    def update(state, x, t):
        parameters, means, squares, count = state
        loss, grads = jax.value_and_grad(loss_of)(parameters, x, t)
        count += 1
        means = tree_map(lambda m, g: 0.9 * m + 0.1 * g, means, grads)
        squares = tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, squares, grads)
        size, root = RATE / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
        parameters = tree_map(lambda p, m, v: p - size * m / (jnp.sqrt(v) / root + 1e-8), parameters, means, squares)
        return (parameters, means, squares, count), loss

    compiled = jax.jit(update, donate_argnums=0)
    parameters = [(jnp.asarray(w), jnp.asarray(b)) for w, b in zip(weights, biases, strict=True)]
    zeros = tree_map(jnp.zeros_like, parameters)
    state = (parameters, zeros, tree_map(jnp.copy, zeros), jnp.float32(0))
    x, t = jnp.asarray(images), jnp.asarray(labels)

    def step():
        nonlocal state
        state, loss = compiled(state, x, t)
        return loss.block_until_ready()

    return Statement("step()", {"step": step}, LOSSES)


# Forward and the weights' gradient of both layers, the first layer's input gradient excepted; Adam by its bytes.
PRODUCTS = 2 * BATCH * (2 * 784 * 128 + 3 * 128 * 10)
PARAMETERS = 784 * 128 + 128 + 128 * 10 + 10

GROUPS = [
    Group(
        "training",
        "Training step, 784-128-10, batch 32, Adam",
        [
            Case(
                "perceptron",
                flops=PRODUCTS,
                reads=4 * PARAMETERS * 6,
                writes=4 * PARAMETERS * 4,
                setups={
                    "pydl": partial(shaped_like_torch, "pydl"),
                    "numpy": numpy_step,
                    "torch": partial(shaped_like_torch, "torch"),
                    "torch fused": partial(shaped_like_torch, "torch", fused=True),
                    "jax": jax_step,
                },
            )
        ],
        (Bar("each", 4.0, against=("torch", "torch fused")), Bar("each", 1.8, against=("jax",))),
    ),
]

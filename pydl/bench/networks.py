"""The networks whose training steps and inference are timed: a list of layers, and what each library makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pydl import _numpy_network
from pydl.bench.case import Statement
from pydl.bench.libraries import library

RATE = 1e-3
LOSSES = "[step() for _ in range(5)]"  # compared between the libraries: they see the updates of several steps


@dataclass(frozen=True)
class Network:
    """`layers` are pairs of a name and its arguments:

    ("linear", inputs, outputs), ("conv", inputs, outputs, padding), ("norm", channels), ("relu",), ("pool",),
    ("flatten",)

    Convolutions are 3x3, pools take maxima of 2x2. `image` is (C, H, W), or (features,).
    """

    layers: tuple[tuple[Any, ...], ...]
    image: tuple[int, ...]
    batch: int
    classes: int = 10
    arrays: list[np.ndarray] = field(default_factory=list, compare=False)

    def initial(self) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """Weights and biases in PyTorch's shapes, images and labels: the same for every library."""
        rng = np.random.default_rng(0)
        parameters: list[np.ndarray] = []
        for kind, *sizes in self.layers:
            if kind in ("linear", "conv"):
                inputs, outputs = sizes[:2]
                shape = (outputs, inputs) if kind == "linear" else (outputs, inputs, 3, 3)
                bound = np.prod(shape[1:]) ** -0.5
                parameters += [rng.uniform(-bound, bound, s).astype(np.float32) for s in (shape, outputs)]
            elif kind == "norm":
                parameters += [np.ones(sizes[0], np.float32), np.zeros(sizes[0], np.float32)]
        images = rng.uniform(0, 1, (self.batch, *self.image)).astype(np.float32)
        return parameters, images, rng.integers(0, self.classes, self.batch)

    def work(self) -> tuple[float, int]:
        """(flops of a forward pass, number of parameters)."""
        flops, count, size = 0.0, 0, self.image[-1]
        for kind, *sizes in self.layers:
            if kind == "linear":
                flops += 2 * self.batch * sizes[0] * sizes[1]
                count += (sizes[0] + 1) * sizes[1]
            elif kind == "conv":
                size += 2 * sizes[2] - 2
                flops += 2 * self.batch * size**2 * 9 * sizes[0] * sizes[1]
                count += (9 * sizes[0] + 1) * sizes[1]
            elif kind == "norm":
                count += 2 * sizes[0]
            elif kind == "pool":
                size //= 2
        return flops, count


def sequential(lib: Any, network: Network) -> tuple[Any, Any, Any]:
    """The network in pydl or PyTorch, its images and labels."""
    nn = lib.nn
    make: dict[str, Callable[..., Any]] = {
        "linear": nn.Linear,
        "conv": lambda inputs, outputs, padding: nn.Conv2d(inputs, outputs, 3, padding=padding),
        "norm": nn.BatchNorm2d,
        "relu": nn.ReLU,
        "pool": lambda: nn.MaxPool2d(2),
        "flatten": nn.Flatten,
    }
    model = nn.Sequential(*(make[kind](*sizes) for kind, *sizes in network.layers))
    parameters, images, labels = network.initial()
    with lib.no_grad():
        for parameter, value in zip(model.parameters(), parameters, strict=True):
            parameter.copy_(lib.from_numpy(value))
    return model, lib.from_numpy(images), lib.from_numpy(labels)


def shaped_like_torch(
    name: str,
    network: Network,
    channels_last: bool = False,
    compiled: bool = False,
    double: bool = False,
    **options: bool,
) -> Statement | None:
    """A training step with Adam; `options` are the optimizer's."""
    lib = library(name)
    if lib is None:
        return None
    model, x, t = sequential(lib, network)
    if channels_last:
        x, model = x.to(memory_format=lib.channels_last), model.to(memory_format=lib.channels_last)
    if double:
        x, model = x.double(), model.double()
    optimizer = lib.optim.Adam(model.parameters(), lr=RATE, **options)
    forward = lib.compile(model) if compiled else model
    loss_of = lib.nn.CrossEntropyLoss()

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(forward(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return Statement("step()", {"step": step}, LOSSES)


def exact_losses(network: Network) -> Any:
    """The losses in float64: Adam's first updates turn roundings of gradients near zero into whole steps."""
    statement = shaped_like_torch("torch" if library("torch") else "pydl", network, double=True)
    assert statement is not None
    return statement.value()


def numpy_step(network: Network) -> Statement:
    make = {"linear": _numpy_network.Linear, "relu": _numpy_network.ReLU}
    parameters, images, labels = network.initial()
    remaining = iter(parameters)
    layers = [
        make[kind](*([next(remaining), next(remaining)] if kind == "linear" else [])) for kind, *_ in network.layers
    ]
    model = _numpy_network.NumpyNetwork(layers)
    return Statement("step()", {"step": lambda: model.step(images, labels, RATE)}, LOSSES)


def jax_forward(network: Network) -> Callable[[Any, Any], Any]:
    """logits(parameters, images) on images (N, H, W, C) and filters (3, 3, in, out), the layout that XLA wants."""
    jax = library("jax")
    assert jax is not None
    jnp, lax = jax.numpy, jax.lax

    def forward(parameters: list[Any], x: Any) -> Any:
        remaining = iter(parameters)
        for kind, *sizes in network.layers:
            if kind == "linear":
                x = x @ next(remaining).T + next(remaining)
            elif kind == "conv":
                padding = [(sizes[2], sizes[2])] * 2
                x = lax.conv_general_dilated(
                    x, next(remaining), (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
                )
                x = x + next(remaining)
            elif kind == "norm":
                mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
                x = (x - mean) * (next(remaining) * lax.rsqrt(var + 1e-5)) + next(remaining)
            elif kind == "relu":
                x = jax.nn.relu(x)
            elif kind == "pool":
                x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            else:
                x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
        return x

    return forward


def jax_adam(loss_of: Callable[..., Any], parameters: Any, *batch: np.ndarray, rate: float = RATE) -> Callable[[], Any]:
    """A training step in JAX: one compiled function for forward, backward and Adam's update, the state donated.
    `loss_of(parameters, *batch)` is the loss, `parameters` a tree of arrays."""
    import jax

    jnp, tree_map = jax.numpy, jax.tree_util.tree_map

    def update(state: Any, *batch: Any) -> Any:
        parameters, means, squares, count = state
        loss, grads = jax.value_and_grad(loss_of)(parameters, *batch)
        count += 1
        means = tree_map(lambda m, g: 0.9 * m + 0.1 * g, means, grads)
        squares = tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, squares, grads)
        size, root = rate / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
        parameters = tree_map(lambda p, m, v: p - size * m / (jnp.sqrt(v) / root + 1e-8), parameters, means, squares)
        return (parameters, means, squares, count), loss

    compiled = jax.jit(update, donate_argnums=0)
    parameters = tree_map(jnp.asarray, parameters)
    zeros = tree_map(jnp.zeros_like, parameters)
    state = (parameters, zeros, tree_map(jnp.copy, zeros), jnp.float32(0))
    arrays = [jnp.asarray(a) for a in batch]

    def step() -> Any:
        nonlocal state
        state, loss = compiled(state, *arrays)
        return loss.block_until_ready()

    return step


def jax_step(network: Network) -> Statement | None:
    jax = library("jax")
    if jax is None:
        return None
    jnp = jax.numpy
    forward = jax_forward(network)

    def loss_of(parameters: list[Any], x: Any, t: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(forward(parameters, x)), t[:, None], 1).mean()

    values, images, labels = network.initial()
    parameters = [p.transpose(2, 3, 1, 0) if p.ndim == 4 else p for p in values]
    return Statement("step()", {"step": jax_adam(loss_of, parameters, np.moveaxis(images, 1, -1), labels)}, LOSSES)

"""Steps of optimizers over many parameters, against PyTorch's default and its `fused=True`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from pydl.bench.case import Bar, Case, Group, Statement
from pydl.bench.libraries import library

# Name, its arguments, and the arrays of a parameter that a step reads and writes (parameter, gradient, states).
OPTIMIZERS: tuple[tuple[str, dict[str, float], int, int], ...] = (
    ("Adam", {"lr": 1e-3}, 4, 3),
    ("AdamW", {"lr": 1e-3, "weight_decay": 0.01}, 4, 3),
    ("SGD", {"lr": 1e-3, "momentum": 0.9}, 3, 2),
)


def setup(name: str, optimizer: str, options: dict[str, Any], tensors: int, size: int) -> Statement | None:
    lib = library(name)
    if lib is None:
        return None
    rng = np.random.default_rng(0)
    parameters = []
    for _ in range(tensors):
        parameter = lib.from_numpy(rng.standard_normal(size).astype(np.float32)).requires_grad_()
        parameter.grad = lib.from_numpy(rng.standard_normal(size).astype(np.float32))
        parameters.append(parameter)
    stepper = getattr(lib.optim, optimizer)(parameters, **options)
    return Statement("step()", {"step": stepper.step, "parameters": parameters}, result="parameters")


def case(optimizer: str, options: dict[str, float], reads: int, writes: int, tensors: int, size: int) -> Case:
    def make(lib: str, **more: bool) -> partial[Statement | None]:
        return partial(setup, lib, optimizer, {**options, **more}, tensors, size)

    count = 4 * tensors * size
    return Case(
        f"{optimizer}, {tensors} tensors of {size // 1024} Ki",
        reads=reads * count,
        writes=writes * count,
        setups={"pydl": make("pydl"), "torch": make("torch"), "torch fused": make("torch", fused=True)},
    )


GROUPS = [
    Group(
        "optimizers",
        "Optimizer steps, float32",
        [case(*row, *sizes) for sizes in ((32, 64 * 1024), (200, 1024)) for row in OPTIMIZERS],
        (
            Bar("each", 2.5, ("torch",), lambda case: case.name.startswith("Adam") and "of 64" in case.name, "64 Ki"),
            Bar("each", 1.0, ("torch fused",), lambda case: "of 64" in case.name, "64 Ki"),
            Bar("each", 1.0, ("torch",), lambda case: case.name.startswith("SGD") and "of 64" in case.name, "64 Ki"),
            Bar("each", 5.0, ("torch",), lambda case: "of 1 Ki" in case.name, "1 Ki"),
        ),
    ),
]

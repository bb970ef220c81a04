"""Whole training steps with Adam: a perceptron and convolutional networks, and the memory that these take."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pydl.bench.case import Bar, Case, Group, Statement
from pydl.bench.libraries import library
from pydl.bench.networks import Network, exact_losses, jax_step, numpy_step, shaped_like_torch

PERCEPTRON = Network((("linear", 784, 128), ("relu",), ("linear", 128, 10)), (784,), 32)
DIGITS = Network(
    (
        *(("conv", 1, 32, 0), ("relu",), ("pool",)),
        *(("conv", 32, 64, 0), ("relu",), ("pool",)),
        *(("conv", 64, 64, 0), ("relu",), ("flatten",)),
        *(("linear", 576, 64), ("relu",), ("linear", 64, 10)),
    ),
    (1, 28, 28),
    32,
)
PHOTOGRAPHS = Network(
    (
        *(("conv", 3, 32, 1), ("relu",), ("pool",)),
        *(("conv", 32, 64, 1), ("relu",), ("pool",), ("flatten",)),
        *(("linear", 4096, 128), ("relu",), ("linear", 128, 10)),
    ),
    (3, 32, 32),
    64,
)


def normalized(inputs: int, outputs: int) -> tuple[tuple[object, ...], ...]:
    return (("conv", inputs, outputs, 1), ("norm", outputs), ("relu",))


DEEP = Network(
    (
        *(*normalized(3, 32), *normalized(32, 32), ("pool",)),
        *(*normalized(32, 64), *normalized(64, 64), ("pool",)),
        *(*normalized(64, 128), *normalized(128, 128), ("pool",)),
        *(("flatten",), ("linear", 2048, 10)),
    ),
    (3, 32, 32),
    64,
)
IMAGE_NETWORKS = {
    "conv 32-64-64, dense 64-10, 28x28x1, batch 32": DIGITS,
    "conv 32-64, dense 128-10, 32x32x3, batch 64": PHOTOGRAPHS,
    "six conv with batch norm, 32x32x3, batch 64": DEEP,
}


def step_case(name: str, network: Network) -> Case:
    flops, parameters = network.work()
    setups: dict[str, Callable[[], Statement | None]] = {
        "pydl": partial(shaped_like_torch, "pydl", network),
        "torch": partial(shaped_like_torch, "torch", network),
        "torch fused": partial(shaped_like_torch, "torch", network, fused=True),
        "jax": partial(jax_step, network),
    }
    if len(network.image) == 1:
        setups["numpy"] = partial(numpy_step, network)
    else:
        last = {"channels_last": True, "fused": True}
        setups["torch channels-last"] = partial(shaped_like_torch, "torch", network, **last)
        setups["torch compiled"] = partial(shaped_like_torch, "torch", network, compiled=True, fused=True)
    # Three products a layer, the input gradient of the first excepted (left out here); Adam by its bytes.
    return Case(
        name,
        flops=3 * flops,
        reads=4 * parameters * 6,
        writes=4 * parameters * 4,
        tolerance=2e-3,  # of losses after several updates
        exact=partial(exact_losses, network),
        setups=setups,
    )


EAGER = ("torch", "torch fused", "torch channels-last")

GROWTH = """
import gc, sys
from pydl.bench.cases.training import IMAGE_NETWORKS, PERCEPTRON
from pydl.bench.networks import shaped_like_torch

def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096

def steps(network, count):
    step = shaped_like_torch(sys.argv[1], network).names["step"]
    for _ in range(count):
        step()

steps(PERCEPTRON, 20)
before = resident()
steps(list(IMAGE_NETWORKS.values())[int(sys.argv[2])], 50)
print(resident() - before)
"""


@dataclass
class Growth:
    """In the place of a timer: the resident bytes by which 50 steps of a network enlarge a fresh process that has
    trained another one. Measured once."""

    library: str
    network: int
    measured: float | None = None

    def timeit(self, number: int) -> float:
        if self.measured is None:
            command = [sys.executable, "-c", GROWTH, self.library, str(self.network)]
            self.measured = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return number * self.measured


class GrowthStatement(Statement):
    def timer(self):
        return Growth(self.names["library"], self.names["network"])

    def value(self):
        return 0


def growth(name: str, network: int) -> Statement | None:
    names = {"library": name, "network": network}
    return GrowthStatement("None", names) if library(name) is not None and sys.platform == "linux" else None


GROUPS = [
    Group(
        "training",
        "Training step, 784-128-10, batch 32, Adam",
        [step_case("perceptron", PERCEPTRON)],
        (Bar("each", 4.0, against=("torch", "torch fused")), Bar("each", 1.8, against=("jax",))),
    ),
    Group(
        "training-images",
        "Training step of convolutional networks, Adam",
        [step_case(name, network) for name, network in IMAGE_NETWORKS.items()],
        (
            Bar("each", 3.0, where=lambda case: "32-64-64" in case.name),
            Bar("each", 2.0, where=lambda case: "dense 128-10" in case.name),
            Bar("each", 1.5, EAGER, where=lambda case: "six conv" in case.name),
            Bar("each", 1.2, where=lambda case: "six conv" in case.name),
        ),
    ),
    Group(
        "training-memory",
        "Resident memory that 50 training steps add to a process that has trained before",
        [
            Case(name, unit="bytes", setups={lib: partial(growth, lib, i) for lib in ("pydl", "torch")})
            for i, name in enumerate(IMAGE_NETWORKS)
        ],
        (Bar("each", 1.0),),
    ),
]

"""What a benchmark is: a `Case` says the same computation for every library, a `Group` collects cases and their bars.

Statements are strings, timed by `timeit` without a function call around them, and read like the code a user writes.
The PyTorch-shaped one serves pydl and PyTorch: `lib` is the library, `F` its nn.functional. NumPy's sees `np`, JAX's
sees `jax`, `jnp` and `lax` and is compiled. All see the case's inputs by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from timeit import Timer
from typing import Any, Protocol

import numpy as np

Input = Callable[[np.random.Generator, str], np.ndarray]


def normal(*shape: int) -> Input:
    return lambda rng, dtype: rng.standard_normal(shape).astype(dtype)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Input:
    return lambda rng, dtype: rng.uniform(low, high, shape).astype(dtype)


def integers(high: int, *shape: int) -> Input:
    return lambda rng, dtype: rng.integers(0, high, shape)


def booleans(*shape: int) -> Input:
    return lambda rng, dtype: rng.integers(0, 2, shape).astype(bool)


class Timed(Protocol):
    """What is asked of a `timeit.Timer`."""

    def timeit(self, number: int) -> float: ...


@dataclass
class Statement:
    """What is timed, under one library. `result`, if given, is evaluated after `code` and stands for its value."""

    code: str
    names: dict[str, Any]
    result: str | None = None
    context: Callable[[], AbstractContextManager] = nullcontext

    def timer(self) -> Timed:
        return Timer(self.code, globals=self.names)

    def function(self) -> Callable[[], Any]:
        """The statement as a function, for harnesses that time calls."""
        names = dict(self.names)
        exec(f"def execute(): return {self.code}", names)
        return names["execute"]

    def value(self) -> Any:
        with self.context():
            value = eval(self.code, self.names)
            return eval(self.result, self.names) if self.result else value


@dataclass(frozen=True)
class Case:
    name: str
    code: str = ""
    inputs: dict[str, Input] = field(default_factory=dict)
    numpy: str | None = None
    jax: str | None = None
    dtype: str = "float32"
    requires_grad: tuple[str, ...] = ()  # inputs that record; without any, everything runs under no_grad
    flops: float = 0
    reads: float = 0  # bytes that must come from memory
    writes: float = 0
    unit: str = "s"  # or "bytes", where a statement's timer measures memory
    tolerance: float = 1e-4  # of the largest value: how far results may differ
    # The result in float64, which all are compared with where roundings grow; otherwise they are compared with pydl's.
    exact: Callable[[], Any] | None = None
    # Competitors beyond the statements above, by name; a factory returns None where the library cannot take part.
    setups: Mapping[str, Callable[[], Statement | None]] = field(default_factory=dict)

    @property
    def bytes(self) -> float:
        return self.reads + self.writes

    @property
    def competitors(self) -> list[str]:
        """The libraries that the case knows, installed or not."""
        written = {"pydl": self.code, "numpy": self.numpy, "torch": self.code, "jax": self.jax, **self.setups}
        return [name for name, how in written.items() if how]

    def arrays(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        return {name: make(rng, self.dtype) for name, make in self.inputs.items()}


@dataclass(frozen=True)
class Bar:
    """What a group must reach. `kind` is one of

    - "mean": the geometric mean of the cases' ratios (peer's time / pydl's) is at least `limit`
    - "each": every ratio is at least `limit`
    - "share": every case runs at `limit` of the machine's floor or faster
    - "seconds": every time is at most `limit`
    """

    kind: str
    limit: float
    against: tuple[str, ...] = ()  # peers counted; default: all, and the fastest of them decides
    where: Callable[[Case], bool] = lambda case: True
    note: str = ""


@dataclass(frozen=True)
class Group:
    name: str
    title: str
    cases: list[Case]
    bars: tuple[Bar, ...]

"""Matrix products: squares, skinny ones, transposed operands, batches; and how they scale with threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pydl
from pydl.bench.case import Bar, Case, Group, Statement, normal
from pydl.bench.libraries import shaped_like_torch

SQUARES = (32, 64, 128, 256, 512, 1024, 2048)
SKINNY = (  # m x n x k
    (1, 1024, 1024),
    (32, 1024, 1024),
    (32, 128, 784),
    (128, 10, 128),
    (4096, 64, 576),
    (10000, 100, 100),
    (100, 100, 10000),
)
TRANSPOSED = ((128, 128, 128), (512, 512, 512), (784, 128, 32), (1024, 1024, 1024))
BATCHED = ((256, 16, 16, 16), (64, 64, 64, 64), (32, 128, 128, 64))  # batch x m x n x k


def product(name: str, code: str, a: tuple[int, ...], b: tuple[int, ...], mnk: tuple[int, ...], dtype: str) -> Case:
    *batch, m, n, k = mnk
    count = batch[0] if batch else 1
    size = 4 if dtype == "float32" else 8
    return Case(
        name,
        code,
        {"a": normal(*a), "b": normal(*b)},
        numpy=code.replace("mT", "swapaxes(-1, -2)"),
        jax=code,
        dtype=dtype,
        flops=2 * count * m * n * k,
        reads=size * count * (m * k + k * n),
        writes=size * count * m * n,
        tolerance=1e-4 if dtype == "float32" else 1e-11,
    )


def products(dtype: str) -> list[Case]:
    def label(*sizes: int) -> str:
        return "x".join(map(str, sizes))

    cases = [product(str(n), "a @ b", (n, n), (n, n), (n, n, n), dtype) for n in SQUARES]
    cases += [product(label(m, n, k), "a @ b", (m, k), (k, n), (m, n, k), dtype) for m, n, k in SKINNY]
    for m, n, k in TRANSPOSED:
        cases.append(product(f"{label(m, n, k)} a.T", "a.T @ b", (k, m), (k, n), (m, n, k), dtype))
        cases.append(product(f"{label(m, n, k)} b.T", "a @ b.T", (m, k), (n, k), (m, n, k), dtype))
    for batch, m, n, k in BATCHED:
        name = f"{batch} of {label(m, n, k)}"
        cases.append(product(name, "a @ b", (batch, m, k), (batch, k, n), (batch, m, n, k), dtype))
    return cases


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = pydl.get_num_threads()
    pydl.set_num_threads(count)
    try:
        with pydl.no_grad():
            yield
    finally:
        pydl.set_num_threads(before)


def scaling(case: Case) -> Case:
    """The same product on two threads and on one."""

    def on(count: int) -> Statement | None:
        statement = shaped_like_torch("pydl", case)
        if statement is not None:
            statement.context = lambda: threads(count)
        return statement

    setups = {"pydl": lambda: on(2), "1 thread": lambda: on(1)}
    return Case(case.name, flops=case.flops, setups=setups, tolerance=0)


GROUPS = [
    Group(
        "matmul",
        "Matrix product, float32 (m x n x k)",
        products("float32"),
        (
            Bar("mean", 1.2),
            Bar("each", 0.95),
            Bar("share", 0.88, where=lambda case: case.name in ("1024", "2048"), note="1024 and 2048"),
        ),
    ),
    Group("matmul-float64", "Matrix product, float64 (m x n x k)", products("float64"), (Bar("mean", 1.1),)),
    Group(
        "scaling",
        "Matrix product, two threads beside one",
        [scaling(product(str(n), "a @ b", (n, n), (n, n), (n, n, n), "float32")) for n in (512, 1024, 2048)],
        (Bar("each", 1.85, against=("1 thread",)),),
    ),
]

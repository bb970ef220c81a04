"""Reductions over any axis."""

from __future__ import annotations

from pydl.bench.case import Bar, Case, Group, normal

LARGE = 8 * 1024 * 1024  # bytes from which memory decides and a tie is allowed to cost a little
OPERATORS = (  # name, PyTorch's spelling, NumPy's, JAX's
    ("sum", "x.sum({dim})", "x.sum({dim})", "x.sum({dim})"),
    ("mean", "x.mean({dim})", "x.mean({dim})", "x.mean({dim})"),
    ("max", "x.amax({dim})", "x.max({dim})", "x.max({dim})"),
    ("argmax", "x.argmax({dim})", "x.argmax({dim})", "x.argmax({dim})"),
    ("var", "x.var({dim})", "x.var({dim}ddof=1)", "x.var({dim}ddof=1)"),
)
SHAPES: tuple[tuple[tuple[int, ...], tuple[int | None, ...]], ...] = (  # shape, the axes reduced
    ((128, 64), (0, 1, None)),
    ((1000, 1000), (0, 1, None)),
    ((64, 128, 256), (0, 1, 2)),
    ((4096, 1024), (0, 1, None)),
)


def case(name: str, spellings: list[str], shape: tuple[int, ...], dim: int | None) -> Case:
    def spell(code: str) -> str:
        if "ddof" in code:
            return code.format(dim="" if dim is None else f"{dim}, ")
        return code.format(dim="" if dim is None else dim)

    count = 1
    for size in shape:
        count *= size
    torch, numpy, jax = map(spell, spellings)
    where = "everything" if dim is None else f"axis {dim}"
    title = f"{name} {'x'.join(map(str, shape))} over {where}"
    results = 1 if dim is None else count // shape[dim]
    # The results are counted as reads, too: next to the operand they are nothing, and the stream stays a read.
    return Case(title, torch, {"x": normal(*shape)}, numpy, jax, reads=4 * count + 4 * results)


CASES = [case(name, codes, shape, dim) for name, *codes in OPERATORS for shape, dims in SHAPES for dim in dims]

GROUPS = [
    Group(
        "reductions",
        "Reductions, float32",
        CASES,
        (
            Bar("mean", 1.5),
            Bar("each", 1.0, where=lambda case: case.bytes <= LARGE, note="up to 8 MiB"),
            Bar("each", 0.95, where=lambda case: case.bytes > LARGE, note="over 8 MiB"),
        ),
    ),
]

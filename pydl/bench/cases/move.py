"""Operators that only move elements: gather, scatter-add, transposed copy, cat."""

from __future__ import annotations

from pydl.bench.case import Bar, Case, Group, integers, normal


def gather(rows: int, cols: int, count: int) -> Case:
    return Case(
        f"gather {count} of {rows} rows of {cols}",
        "x[i]",
        {"x": normal(rows, cols), "i": integers(rows, count)},
        "x[i]",
        "x[i]",
        reads=4 * count * cols,
        writes=4 * count * cols,
    )


def scatter_add(rows: int, cols: int, count: int) -> Case:
    return Case(
        f"add {count} rows of {cols} to {rows}",
        "x.index_add(0, i, y)",
        {"x": normal(rows, cols), "i": integers(rows, count), "y": normal(count, cols)},
        jax="x.at[i].add(y)",
        reads=4 * cols * (rows + count),
        writes=4 * cols * rows,
    )


def transpose(*shape: int) -> Case:
    count = 1
    for size in shape:
        count *= size
    return Case(
        f"transposed copy {'x'.join(map(str, shape))}",
        "x.mT.contiguous()",
        {"x": normal(*shape)},
        "np.ascontiguousarray(x.swapaxes(-1, -2))",
        "x.mT",
        reads=4 * count,
        writes=4 * count,
    )


def cat(dim: int, *shape: int) -> Case:
    size = 4 * 4
    for extent in shape:
        size *= extent
    return Case(
        f"cat four {'x'.join(map(str, shape))} along axis {dim}",
        f"lib.cat((a, b, c, d), {dim})",
        {name: normal(*shape) for name in "abcd"},
        f"np.concatenate((a, b, c, d), {dim})",
        f"jnp.concatenate((a, b, c, d), {dim})",
        reads=size,
        writes=size,
    )


GROUPS = [
    Group(
        "move",
        "Gather, scatter-add, transposed copy, cat, float32",
        [
            gather(1000, 64, 256),
            gather(50000, 64, 8192),
            gather(50000, 256, 8192),
            scatter_add(1000, 64, 256),
            scatter_add(5000, 64, 8192),
            scatter_add(5000, 256, 8192),
            transpose(128, 128),
            transpose(1000, 784),
            transpose(2048, 2048),
            transpose(64, 128, 64),
            cat(0, 64, 64),
            cat(1, 64, 64),
            cat(0, 512, 512),
            cat(1, 512, 512),
            cat(1, 1024, 1024),
        ],
        (Bar("mean", 1.5), Bar("each", 1.0)),
    ),
]

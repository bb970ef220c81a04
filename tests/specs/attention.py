"""Scaled dot-product attention, from its definition: the whole matrix of scores, exponentials over their sum."""
from __future__ import annotations

from typing import Any

import numpy as np

from .spec import ANY_FLOAT, Call, In, call, mask, op, t


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, attn_mask: Any = None, dropout_p: float = 0.0,
        is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False) -> np.ndarray:
    if enable_gqa:
        k, v = (np.repeat(x, q.shape[-3] // x.shape[-3], axis=-3) for x in (k, v))
    scores = q @ np.swapaxes(k, -2, -1) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = np.tril(np.ones(scores.shape[-2:], bool))
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    top = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(top == -np.inf, 0, top))
    total = weights.sum(-1, keepdims=True)
    return weights / np.where(total == 0, 1, total) @ v  # a query that sees nothing gets zeros


def operands(length: int, keys: int, size: int, *lead: int, value_size: int = 0, kv: tuple | None = None,
        layout: str = "contiguous") -> tuple[In, In, In]:
    kv = lead if kv is None else kv
    return (t(*lead, length, size, layout=layout), t(*kv, keys, size, layout=layout),
        t(*kv, keys, value_size or size, layout=layout))


def blind(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A mask whose second row hides everything."""
    visible = rng.random(shape) < 0.6
    visible[..., 1, :] = False
    return visible


CALLS: list[Call] = [
    call(*operands(3, 4, 5)), call(*operands(3, 4, 5, 2)), call(*operands(3, 4, 5, 1, 2)),
    call(*operands(2, 3, 2, 2, 1, 2)), call(*operands(3, 3, 4, 1, 2), is_causal=True),
    call(*operands(4, 2, 3, 1, 2), is_causal=True), call(*operands(2, 4, 3, 2), is_causal=True, scale=0.7),
    call(*operands(3, 4, 5, 1, 2, value_size=3)), call(*operands(3, 4, 5, 2, 1, kv=(1, 1))),
    call(*operands(3, 4, 5, 1, 4, kv=(1, 2)), enable_gqa=True),
    call(*operands(3, 4, 5, 2, 2), mask(3, 4, make=blind)), call(*operands(3, 4, 5, 2, 2), mask(2, 1, 3, 4, make=blind)),
    call(*operands(3, 4, 5, 2, 2), mask(2, 1, 1, 4)), call(*operands(3, 4, 5, 1, 2), t(3, 4)),
    call(*operands(3, 4, 5, 2, 2), t(2, 1, 3, 4)), call(*operands(3, 4, 5, 2, 2), t(3, 1, grad=False)),
    call(*operands(3, 4, 5, 1, 2, layout="transposed")), call(*operands(3, 4, 5, 2, 2, layout="stepped"), is_causal=True),
    call(*operands(2, 0, 3, 1, 1)), call(*operands(0, 2, 3, 1, 1)),
    # Beyond a tile of queries, a tile of keys, and neither a multiple of a vector.
    call(*operands(1, 300, 64, 1, 2), grad=False), call(*operands(130, 70, 33, 1, 2), grad=False),
    call(*operands(70, 530, 17, 1, 1, value_size=40), is_causal=True),
    call(*operands(530, 70, 8, 1, 1), is_causal=True),
    call(*operands(270, 270, 65, 1, 1), t(270, 270, grad=False)), call(*operands(9, 600, 256, 1, 1)),
    call(*operands(65, 300, 24, 1, 2), mask(65, 300, make=blind)),
]

op("nn.functional.scaled_dot_product_attention", attention, CALLS, grad=True, forms="f", family="attention",
    dtypes=ANY_FLOAT, domain=(-1.5, 1.5), magnitude="max", eps=16, half_eps=8, grad_eps=300, grad_floor=1,
    large=call(*operands(200, 700, 40, 2, 3), is_causal=True), flops=lambda q, k, v: 2 * np.prod(q[:-1]) * k[-2] * (
    q[-1] + v[-1]))

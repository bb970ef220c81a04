"""Rows of a table by number, alone and in bags."""

from __future__ import annotations

from collections.abc import Callable

import pydl
from pydl import Tensor, _core
from pydl._core import nn as _nn

__all__ = ["embedding", "embedding_bag"]


def _row_number(op: str, padding_idx: int | None, rows: int) -> int:
    """`padding_idx` counted from the front; -1 without one."""
    if padding_idx is None:
        return -1
    if not -rows <= padding_idx < rows:
        raise ValueError(f"{op}: expected padding_idx in [{-rows}, {rows - 1}] for {rows} rows, got {padding_idx}")
    return padding_idx % rows


def _check_sparse(op: str, scale_grad_by_freq: bool, sparse: bool) -> None:
    if scale_grad_by_freq and sparse:
        raise RuntimeError(f"{op}: expected scale_grad_by_freq=False with sparse=True, got both")


def _renorm(
    weight: Tensor, input: Tensor, max_norm: float, norm_type: float, look_up: Callable[[Tensor], Tensor]
) -> None:
    """Scales down the rows at `input` whose norm is above `max_norm`, in place."""
    with pydl.no_grad():
        look_up(weight.detach().narrow(-1, 0, 0))  # no columns: raises what the real one would, before the first write
        rows, _, _ = _core._unique(input)
        values = weight[rows]
        norms = pydl.linalg.vector_norm(values, norm_type, dim=1, keepdim=True)
        factors = pydl.where(norms > max_norm, max_norm / (norms + 1e-7), 1.0)
        weight.detach().index_copy_(0, rows, values * factors)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` (num_embeddings, embedding_dim) at `input`, integers (*): (*, embedding_dim).

    Row `padding_idx` gets no gradient. Rows longer than `max_norm` are scaled down to it, in place, when they are
    looked up. `scale_grad_by_freq` divides a row's gradient by how often `input` names it. With `sparse` the gradient
    of `weight` is row-sparse, unless it is to be differentiated itself.

    >>> import pydl
    >>> weight = pydl.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> pydl.nn.functional.embedding(pydl.tensor([1, 0, 1]), weight)
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """
    padding = _row_number("embedding", padding_idx, weight.size(0))
    _check_sparse("embedding", scale_grad_by_freq, sparse)

    def look_up(table: Tensor) -> Tensor:
        return pydl.embedding(table, input, padding, scale_grad_by_freq, sparse)

    if max_norm is not None:
        _renorm(weight, input, max_norm, norm_type, look_up)
    return look_up(weight)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The "sum", "mean" or "max" of the rows of `weight` that each bag names: (bags, embedding_dim).

    `input` (bags, n) holds bags of n rows; `input` (n) holds bags that begin at `offsets` (bags), the first of which is
    0; with `include_last_offset` one offset more ends the last bag, and entries behind it are in none.
    `per_sample_weights`, shaped like `input`, multiply the rows of a sum. Entries that are `padding_idx` are left out;
    an empty bag is 0.

    >>> import pydl
    >>> weight = pydl.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> pydl.nn.functional.embedding_bag(pydl.tensor([0, 1, 1]), weight, pydl.tensor([0, 2]), mode="sum")
    tensor([[4., 6.],
            [3., 4.]])
    """
    op = "embedding_bag"
    if per_sample_weights is not None and per_sample_weights.shape != input.shape:
        raise pydl.ShapeError(
            f"{op}: expected per_sample_weights of shape {tuple(input.shape)}, got {tuple(per_sample_weights.shape)}")
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(f"{op}: expected no offsets for input (bags, n), which says them itself, got {offsets}")
        bags, n = input.shape
        offsets = pydl.arange(bags + include_last_offset) * n
        input = input.reshape(-1)
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)
    elif input.dim() != 1:
        raise pydl.ShapeError(f"{op}: expected input (n) or (bags, n), got {tuple(input.shape)}")
    elif not isinstance(offsets, Tensor):
        raise ValueError(f"{op}: expected a tensor of offsets for input (n), got {offsets}")
    elif include_last_offset and offsets.dim() == 1 and offsets.numel():
        end = int(offsets[-1])
        if 0 <= end < input.numel():
            input = input[:end]
            per_sample_weights = None if per_sample_weights is None else per_sample_weights[:end]
    padding = _row_number(op, padding_idx, weight.size(0))
    _check_sparse(op, scale_grad_by_freq, sparse)

    def look_up(table: Tensor) -> Tensor:
        return _nn.embedding_bag(
            table, input, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights, include_last_offset, padding)

    if max_norm is not None:
        _renorm(weight, input, max_norm, norm_type, look_up)
    return look_up(weight)

"""How a loss per element becomes the result: "none", "mean" or "sum"."""

from __future__ import annotations

import warnings

import pydl
from pydl import Tensor

__all__ = ["check_tensors", "reduce_loss", "reduce_weighted", "resolve", "warn_if_broadcast", "weighted"]


def check_tensors(op: str, *values: Tensor) -> None:
    for value in values:
        if not isinstance(value, Tensor):
            raise TypeError(f"{op}: expected a Tensor, got {type(value).__name__}")


def resolve(op: str | None, reduction: str, size_average: bool | None, reduce: bool | None) -> str:
    """The reduction that the two deprecated flags ask for, or `reduction` where they are not given. With `op`, the
    function that it is for, a reduction that does not exist raises."""
    if size_average is None and reduce is None:
        known = ("none", "mean", "sum", "batchmean") if op == "kl_div" else ("none", "mean", "sum")
        if op is not None and reduction not in known:
            raise ValueError(f"{op}: expected reduction {', '.join(map(repr, known))}, got {reduction!r}")
        return reduction
    if reduce is False:
        reduction = "none"
    else:
        reduction = "sum" if size_average is False else "mean"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.", stacklevel=3
    )
    return reduction


def reduce_loss(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"loss: expected reduction 'none', 'mean' or 'sum', got {reduction!r}")


def weighted(op: str, loss: Tensor, weight: Tensor | None) -> Tensor:
    """The loss times a weight per element."""
    if weight is None:
        return loss
    if weight.shape != loss.shape:
        raise ValueError(f"{op}: expected weight of shape {list(loss.shape)}, got {list(weight.shape)}")
    return loss * weight


def reduce_weighted(op: str, loss: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """`reduce_loss` of the weighted loss, whose mean is taken over the weights."""
    loss = weighted(op, loss, weight)
    return loss.sum() / weight.sum() if weight is not None and reduction == "mean" else reduce_loss(loss, reduction)


def warn_if_broadcast(op: str, input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        try:
            pydl.broadcast_shapes(input.shape, target.shape)
        except pydl.ShapeError:
            shapes = f"{list(input.shape)} and {list(target.shape)}"
            raise pydl.ShapeError(f"{op}: expected input and target of one shape, got {shapes}") from None
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). "
            "This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )

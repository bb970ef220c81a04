"""Losses between values: of regression, of distributions and of embeddings."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import pydl
from pydl import Tensor
from pydl._core import nn as _nn
from pydl.nn.functional._distance import pairwise_distance
from pydl.nn.functional._reduction import (
    check_tensors,
    reduce_loss,
    reduce_weighted,
    resolve,
    warn_if_broadcast,
    weighted,
)

__all__ = [
    "cosine_embedding_loss", "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss",
    "margin_ranking_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(x - t)^2, broadcast; times `weight`, whose sum then divides the mean.

    >>> import pydl
    >>> pydl.nn.functional.mse_loss(pydl.tensor([1.0, 4.0]), pydl.tensor([1.0, 2.0]))
    tensor(2.)
    """
    reduction = resolve("mse_loss", reduction, size_average, reduce)
    check_tensors("mse_loss", input, target)
    warn_if_broadcast("mse_loss", input, target)
    return reduce_weighted("mse_loss", _nn._squared_error(input, target), weight, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|x - t|, broadcast; times `weight`, whose sum then divides the mean.

    >>> import pydl
    >>> pydl.nn.functional.l1_loss(pydl.tensor([1.0, 4.0]), pydl.tensor([1.0, 2.0]))
    tensor(1.)
    """
    reduction = resolve("l1_loss", reduction, size_average, reduce)
    check_tensors("l1_loss", input, target)
    warn_if_broadcast("l1_loss", input, target)
    return reduce_weighted("l1_loss", (input - target).abs(), weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """0.5 d^2 / beta where d = |x - t| < beta, else d - 0.5 beta (Girshick 2015).

    >>> import pydl
    >>> pydl.nn.functional.smooth_l1_loss(pydl.tensor([0.5, 4.0]), pydl.tensor([0.0, 0.0]), reduction="none")
    tensor([0.1250, 3.5000])
    """
    reduction = resolve("smooth_l1_loss", reduction, size_average, reduce)
    check_tensors("smooth_l1_loss", input, target)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss: expected beta >= 0, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    warn_if_broadcast("smooth_l1_loss", input, target)
    return reduce_loss(_nn._huber(input, target, beta, 1 / beta), reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """0.5 d^2 where d = |x - t| < delta, else delta (d - 0.5 delta) (Huber 1964).

    >>> import pydl
    >>> pydl.nn.functional.huber_loss(pydl.tensor([0.5, 4.0]), pydl.tensor([0.0, 0.0]), reduction="none", delta=2.0)
    tensor([0.1250, 6.0000])
    """
    check_tensors("huber_loss", input, target)
    if delta <= 0:
        raise RuntimeError(f"huber_loss: expected delta > 0, got {delta}")
    warn_if_broadcast("huber_loss", input, target)
    return reduce_loss(weighted("huber_loss", _nn._huber(input, target, delta), weight), reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """t (log t - x) with `input` in log space, `target` too with `log_target`; "batchmean" is the definition's mean.

    >>> import pydl
    >>> pydl.nn.functional.kl_div(pydl.tensor([[0.5, 0.5]]).log(), pydl.tensor([[1.0, 0.0]]), reduction="batchmean")
    tensor(0.6931)
    """
    reduction = resolve("kl_div", reduction, size_average, reduce)
    check_tensors("kl_div", input, target)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    loss = target.exp() * (target - input) if log_target else pydl.xlogy(target, target) - target * input
    if reduction == "batchmean":
        return loss.sum() / input.size(0) if input.dim() else loss.sum()
    return reduce_loss(loss, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(x) - t x, or x - t log(x + eps) without `log_input`; `full` adds Stirling's formula where t > 1.

    >>> import pydl
    >>> pydl.nn.functional.poisson_nll_loss(pydl.tensor([0.0]), pydl.tensor([3.0]))
    tensor(1.)
    """
    reduction = resolve("poisson_nll_loss", reduction, size_average, reduce)
    check_tensors("poisson_nll_loss", input, target)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0.0)
    return reduce_loss(loss, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """0.5 (log v + (x - t)^2 / v), v = max(var, eps) (Nix and Weigend 1994); `full` adds 0.5 log(2 pi).

    `var` has the shape of `input`, or that shape with ones in it, or lacks its last dimension. The limit `eps` does not
    stop the gradient of `var`. Negative variances raise ValueError.

    >>> import pydl
    >>> pydl.nn.functional.gaussian_nll_loss(pydl.tensor([3.0]), pydl.tensor([1.0]), pydl.tensor([1.0]))
    tensor(2.)
    """
    check_tensors("gaussian_nll_loss", input, target)
    if not isinstance(var, Tensor):
        var = pydl.full_like(input, var)
    elif var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = var.unsqueeze(-1)
        elif var.dim() != input.dim() or any(v not in (1, n) for v, n in zip(var.shape, input.shape, strict=True)):
            raise ValueError(
                f"gaussian_nll_loss: expected var of shape {input.shape}, that shape with ones in it or "
                f"{input.shape[:-1]}, got {var.shape}"
            )
    if (var < 0).any():
        raise ValueError("gaussian_nll_loss: expected var >= 0, got negative entries")
    var = var.clone()
    with pydl.no_grad():
        var.clamp_(min=eps)
    difference = input - target
    loss = 0.5 * (var.log() + difference * difference / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduce_loss(loss, reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """x where t = 1, max(0, margin - x) where t = -1.

    >>> import pydl
    >>> pydl.nn.functional.hinge_embedding_loss(pydl.tensor([0.5, 0.25]), pydl.tensor([1, -1]), reduction="none")
    tensor([0.5000, 0.7500])
    """
    reduction = resolve("hinge_embedding_loss", reduction, size_average, reduce)
    check_tensors("hinge_embedding_loss", input, target)
    apart = (margin - input).clamp(min=0).masked_fill(target == 1, 0.0)
    return reduce_loss(apart + input.masked_fill(target == -1, 0.0), reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -t (x1 - x2) + margin), t = 1 or -1.

    >>> import pydl
    >>> x1, x2 = pydl.tensor([3.0, 1.0]), pydl.tensor([1.0, 2.0])
    >>> pydl.nn.functional.margin_ranking_loss(x1, x2, pydl.tensor([1, 1]), reduction="none")
    tensor([0., 1.])
    """
    reduction = resolve("margin_ranking_loss", reduction, size_average, reduce)
    check_tensors("margin_ranking_loss", input1, input2, target)
    if not input1.dim() == input2.dim() == target.dim():
        raise pydl.ShapeError(
            f"margin_ranking_loss: expected tensors of the same number of dimensions, got input1: {input1.shape}, "
            f"input2: {input2.shape}, target: {target.shape}"
        )
    return reduce_loss((margin - target * (input1 - input2)).clamp(min=0), reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1. Inputs (N, D) or (D).

    >>> import pydl
    >>> x1, x2 = pydl.tensor([[1.0, 0.0], [1.0, 0.0]]), pydl.tensor([[0.0, 2.0], [2.0, 0.0]])
    >>> pydl.nn.functional.cosine_embedding_loss(x1, x2, pydl.tensor([1, -1]), reduction="none")
    tensor([1., 1.])
    """
    reduction = resolve("cosine_embedding_loss", reduction, size_average, reduce)
    check_tensors("cosine_embedding_loss", input1, input2, target)
    if target.dim() not in (0, 1) or any(x.dim() != target.dim() + 1 for x in (input1, input2)):
        raise pydl.ShapeError(
            "cosine_embedding_loss: expected inputs (N, D) with target (N), or (D) with a scalar, got "
            f"{input1.shape}, {input2.shape} and {target.shape}"
        )
    tiny = 1e-12
    squares = ((input1 * input1).sum(-1) + tiny) * ((input2 * input2).sum(-1) + tiny)
    cosine = (input1 * input2).sum(-1) / squares.sqrt()
    together = (1 - cosine).masked_fill(target != 1, 0.0)
    apart = (cosine - margin).clamp(min=0).masked_fill(target != -1, 0.0)
    return reduce_loss(together + apart, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, |a - p|_p - |a - n|_p + margin); with `swap` the smaller of |a - n| and |p - n| (Balntas et al. 2016).

    >>> import pydl
    >>> anchor, near, far = pydl.tensor([[0.0, 0.0]]), pydl.tensor([[1.0, 0.0]]), pydl.tensor([[0.0, 1.5]])
    >>> round(pydl.nn.functional.triplet_margin_loss(anchor, near, far).item(), 4)
    0.5
    """
    reduction = resolve("triplet_margin_loss", reduction, size_average, reduce)
    check_tensors("triplet_margin_loss", anchor, positive, negative)
    if margin <= 0:
        raise ValueError(f"triplet_margin_loss: expected margin > 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise pydl.ShapeError(
            "triplet_margin_loss: expected anchor, positive and negative of the same number of dimensions, got "
            f"{anchor.dim()}D, {positive.dim()}D and {negative.dim()}D"
        )
    return _triplet(lambda a, b: pairwise_distance(a, b, p, eps), anchor, positive, negative, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with a distance of one's own; the Euclidean one by default."""
    check_tensors("triplet_margin_with_distance_loss", anchor, positive, negative)
    if margin <= 0:
        raise ValueError(f"triplet_margin_with_distance_loss: expected margin > 0, got {margin}")
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet(distance, anchor, positive, negative, margin, swap, reduction)


def _triplet(
    distance: Callable[[Tensor, Tensor], Tensor],
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = pydl.minimum(far, distance(positive, negative))
    return reduce_loss((near - far + margin).clamp(min=0), reduction)

"""Losses of classification: one class of many, independent labels, margins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pydl
from pydl import Tensor, autograd
from pydl._core import nn as _nn
from pydl.nn.functional._reduction import check_tensors, reduce_loss, resolve

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "ctc_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss", "soft_margin_loss",
]


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(x)[t] over the classes of logits (N, C, ...) or (C).

    `target` holds class indices (N, ...) or, in the shape and dtype of `input`, class probabilities. `weight` is one
    factor per class, by whose sum over the targets the mean divides; targets equal to `ignore_index` do not count.

    >>> import pydl
    >>> logits = pydl.tensor([[0.0, 0.0], [2.0, 2.0]], requires_grad=True)
    >>> pydl.nn.functional.cross_entropy(logits, pydl.tensor([1, 0]))
    tensor(0.6931, grad_fn=<CrossEntropyBackward0>)
    """
    if size_average is not None or reduce is not None:
        reduction = resolve("cross_entropy", reduction, size_average, reduce)
    return _nn.cross_entropy(input, target, weight, reduction, ignore_index, label_smoothing)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-x[t] over log-probabilities (N, C, ...) or (C) and class indices (N, ...) or ().

    `weight`, `ignore_index` and the mean are as in `cross_entropy`; a class outside of [0, C) raises IndexError.

    >>> import pydl
    >>> pydl.nn.functional.nll_loss(pydl.tensor([[-0.5, -1.0], [-3.0, -0.1]]), pydl.tensor([0, 1]), reduction="none")
    tensor([0.5000, 0.1000])
    """
    reduction = resolve("nll_loss", reduction, size_average, reduce)
    return _nn.nll_loss(input, target, weight, reduction, ignore_index)


def _lengths(lengths: Tensor | Sequence[int]) -> Tensor:
    if isinstance(lengths, Tensor):
        return lengths
    if not hasattr(lengths, "__iter__") or not all(hasattr(n, "__index__") for n in lengths):
        raise TypeError(f"ctc_loss: expected lengths as a tensor or a list of integers, got {lengths!r}")
    return pydl.tensor(lengths, dtype=pydl.int64)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log P(target | log_probs) over all alignments: connectionist temporal classification (Graves et al. 2006).

    `log_probs` (frames, batch, classes) or (frames, classes) come from `log_softmax`, and the gradient assumes so.
    `targets` are (batch, length), of which `target_lengths` count, or (sum of target_lengths). A target that no
    alignment of `input_lengths` frames fits has the loss inf and gradients NaN, both 0 with `zero_infinity`. "mean"
    divides each loss by its target's length first. The second derivative raises.

    >>> import pydl
    >>> log_probs = pydl.tensor([[0.4, 0.6], [0.4, 0.6]]).log()
    >>> loss = pydl.nn.functional.ctc_loss(log_probs, pydl.tensor([1]), [2], [1])
    >>> round(loss.exp().item() * 0.84, 4)
    1.0
    """
    lengths = _lengths(input_lengths), _lengths(target_lengths)
    if log_probs.dim() != 2:
        return _nn.ctc_loss(log_probs, targets, *lengths, blank, reduction, zero_infinity)
    loss = _nn.ctc_loss(log_probs.unsqueeze(1), targets, *lengths, blank, reduction, zero_infinity)
    return loss.reshape(())


class _BinaryCrossEntropy(autograd.Function):
    """Per element. The logarithms are limited to -100 but their derivatives are not, only kept finite at 0 and 1."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, target: Tensor) -> Tensor:
        ctx.save_for_backward(input, target)
        present = target * input.log().clamp(min=-100)
        return (target - 1) * (-input).log1p().clamp(min=-100) - present

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        input, target = ctx.saved_tensors
        grad_input = grad_target = None
        if ctx.needs_input_grad[0]:
            grad_input = gradient * (input - target) / ((1 - input) * input).clamp(min=1e-12)
        if ctx.needs_input_grad[1]:
            grad_target = gradient * ((-input).log1p().clamp(min=-100) - input.log().clamp(min=-100))
        return grad_input, grad_target


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(t log x + (1 - t) log(1 - x)) of probabilities x and targets t of one shape, logarithms limited to -100.

    `weight` broadcasts. Probabilities outside [0, 1] raise RuntimeError.

    >>> import pydl
    >>> pydl.nn.functional.binary_cross_entropy(pydl.tensor([0.5, 1.0]), pydl.tensor([1.0, 0.0]), reduction="none")
    tensor([  0.6931, 100.0000])
    """
    reduction = resolve("binary_cross_entropy", reduction, size_average, reduce)
    check_tensors("binary_cross_entropy", input, target)
    if input.shape != target.shape:
        raise pydl.ShapeError(f"binary_cross_entropy: expected target of shape {input.shape}, got {target.shape}")
    if input.numel():
        low, high = input.detach().aminmax()
        if not (low >= 0 and high <= 1):  # true for NaN, too
            raise RuntimeError(
                "binary_cross_entropy: expected all elements of input between 0 and 1, got "
                f"{low.item()} to {high.item()}"
            )
    loss = _BinaryCrossEntropy.apply(input, target)
    return reduce_loss(loss if weight is None else loss * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """(1 - t) x - (1 + (pos_weight - 1) t) log sigmoid(x), the stable form of `binary_cross_entropy` of sigmoid(x).

    `weight` and `pos_weight`, the factor of the positive targets, broadcast.

    >>> import pydl
    >>> logits, targets = pydl.tensor([0.0, 50.0]), pydl.tensor([1.0, 0.0])
    >>> pydl.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    tensor([ 0.6931, 50.0000])
    """
    reduction = resolve("binary_cross_entropy_with_logits", reduction, size_average, reduce)
    check_tensors("binary_cross_entropy_with_logits", input, target)
    if input.shape != target.shape:
        raise pydl.ShapeError(
            f"binary_cross_entropy_with_logits: expected target of shape {input.shape}, got {target.shape}"
        )
    log_present = _nn.logsigmoid(input)
    if pos_weight is not None:
        log_present = log_present * ((pos_weight - 1) * target + 1)
    loss = (1 - target) * input - log_present
    return reduce_loss(loss if weight is None else loss * weight, reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-t x)), t = 1 or -1; does not overflow.

    >>> import pydl
    >>> pydl.nn.functional.soft_margin_loss(pydl.tensor([0.0, 3.0]), pydl.tensor([1, -1]), reduction="none")
    tensor([0.6931, 3.0486])
    """
    reduction = resolve("soft_margin_loss", reduction, size_average, reduce)
    check_tensors("soft_margin_loss", input, target)
    return reduce_loss(-_nn.logsigmoid(target * input), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over the last dimension of `binary_cross_entropy_with_logits`; `weight` is one factor per class.

    >>> import pydl
    >>> pydl.nn.functional.multilabel_soft_margin_loss(pydl.tensor([[0.0, 5.0]]), pydl.tensor([[1.0, 1.0]]))
    tensor(0.3499)
    """
    reduction = resolve("multilabel_soft_margin_loss", reduction, size_average, reduce)
    check_tensors("multilabel_soft_margin_loss", input, target)
    loss = (1 - target) * input - _nn.logsigmoid(input)
    if weight is not None:
        loss = loss * weight
    return reduce_loss(loss.mean(-1), reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over i != t of weight[t] max(0, margin - x[t] + x[i])^p / C, for scores (N, C) or (C), p = 1 or 2.

    >>> import pydl
    >>> pydl.nn.functional.multi_margin_loss(pydl.tensor([[0.5, 1.0, 0.0]]), pydl.tensor([1]))
    tensor(0.1667)
    """
    reduction = resolve("multi_margin_loss", reduction, size_average, reduce)
    check_tensors("multi_margin_loss", input, target)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: expected p = 1 or 2, got {p}")
    if weight is not None and tuple(weight.shape) != tuple(input.shape[-1:]):
        raise ValueError(f"multi_margin_loss: expected weight of shape {input.shape[-1:]}, got {weight.shape}")
    if input.dim() not in (1, 2) or tuple(target.reshape(-1).shape) != (input.numel() // max(input.size(-1), 1),):
        raise pydl.ShapeError(
            f"multi_margin_loss: expected scores (N, C) with target (N), or (C) with a scalar, got {input.shape} and "
            f"{target.shape}"
        )
    index = target.reshape(-1, 1) if input.dim() == 2 else target.reshape(1)
    excess = (margin - input.gather(-1, index) + input).clamp(min=0)
    if p == 2:
        excess = excess * excess
    if weight is not None:
        excess = excess * weight[index]
    loss = excess.scatter(-1, index, 0.0).sum(-1) / input.size(-1)
    return reduce_loss(loss, reduction)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum of max(0, 1 - (x[j] - x[i])) / C over labels j and classes i that are no labels, for scores (N, C) or (C).

    `target` has the shape of `input`: the labels, then -1, after which nothing counts.

    >>> import pydl
    >>> pydl.nn.functional.multilabel_margin_loss(pydl.tensor([[0.5, 1.0, 0.0]]), pydl.tensor([[1, -1, 0]]))
    tensor(0.1667)
    """
    reduction = resolve("multilabel_margin_loss", reduction, size_average, reduce)
    check_tensors("multilabel_margin_loss", input, target)
    if input.dim() not in (1, 2) or input.shape != target.shape:
        raise pydl.ShapeError(
            f"multilabel_margin_loss: expected scores (N, C) or (C) and a target of that shape, got {input.shape} and "
            f"{target.shape}"
        )
    n_classes = input.size(-1)
    counts = (target >= 0).to(pydl.int64).cumprod(-1).to(pydl.bool)
    labels = target.masked_fill(~counts, n_classes)  # one more column takes what does not count
    shape = (*input.shape[:-1], n_classes + 1)
    is_label = pydl.zeros(shape, dtype=pydl.bool, device=input.device).scatter(-1, labels, True)[..., :n_classes]
    label_scores = input.gather(-1, target.masked_fill(~counts, 0))
    excess = (1 - label_scores.unsqueeze(-1) + input.unsqueeze(-2)).clamp(min=0)
    ignored = ~counts.unsqueeze(-1) | is_label.unsqueeze(-2)
    return reduce_loss(excess.masked_fill(ignored, 0.0).sum((-2, -1)) / n_classes, reduction)

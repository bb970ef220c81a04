"""Softmax over very many classes, of which few are frequent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pydl
from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn.modules.container import ModuleList, Sequential
from pydl.nn.modules.linear import Linear
from pydl.nn.modules.module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _Scored(NamedTuple):
    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """The adaptive softmax of Grave et al. (2017), for classes that are numbered from the most frequent on.

    `cutoffs` part the classes: those below the first are scored by `head`, which also scores each of the further
    clusters as a whole; cluster i scores its own classes from `in_features / div_value**(i + 1)` features, and only
    where a target falls into it. Input (N, in_features) and targets (N), or (in_features) and (), give a named tuple:
    `output`, the log-probabilities of the targets, and `loss`, minus their mean.

    >>> import pydl
    >>> from pydl import nn
    >>> layer = nn.AdaptiveLogSoftmaxWithLoss(16, 1000, cutoffs=[10, 100])
    >>> tuple(layer(pydl.zeros(3, 16), pydl.tensor([5, 50, 500])).output.shape)
    (3,)
    >>> tuple(layer.log_prob(pydl.zeros(3, 16)).shape)
    (3, 1000)
    """

    def __init__(
        self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0, head_bias: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__()
        cutoffs, how = list(cutoffs), {"device": device, "dtype": dtype}
        ascending = all(int(c) == c for c in cutoffs) and cutoffs == sorted(set(cutoffs))
        if not cutoffs or not ascending or cutoffs[0] <= 0 or cutoffs[-1] >= n_classes:
            raise ValueError(f"AdaptiveLogSoftmaxWithLoss: expected cutoffs that ascend from 1 to {n_classes - 1}, got "
                             f"{cutoffs}")
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = cutoffs[0]
        self.n_clusters = len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, **how)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(self._ranges()):
            features = int(in_features // div_value ** (i + 1))
            self.tail.append(Sequential(Linear(in_features, features, bias=False, **how),
                                        Linear(features, high - low, bias=False, **how)))

    def _ranges(self) -> list[tuple[int, int]]:
        """The classes of each cluster, from one to before another."""
        return list(zip(self.cutoffs, self.cutoffs[1:], strict=False))

    def reset_parameters(self) -> None:
        """Draws new initial values."""
        self.head.reset_parameters()
        for cluster in self.tail:
            for linear in cluster.children():
                linear.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _Scored:
        if target_.dim() > 1:
            raise RuntimeError("AdaptiveLogSoftmaxWithLoss: expected a target of 0 or 1 dimensions, got "
                               f"{list(target_.shape)}")
        if input_.dim() != target_.dim() + 1 or input_.shape[:-1] != target_.shape:
            raise RuntimeError("AdaptiveLogSoftmaxWithLoss: expected an input (N, in_features) for targets (N), or "
                               f"(in_features) for (), got {list(input_.shape)} and {list(target_.shape)}")
        input, target = input_.reshape(-1, input_.size(-1)), target_.reshape(-1)
        if target.numel() and not 0 <= int(target.min()) <= int(target.max()) < self.n_classes:
            raise RuntimeError(f"AdaptiveLogSoftmaxWithLoss: expected targets in [0, {self.n_classes - 1}], got "
                               f"{int(target.min())} to {int(target.max())}")
        in_head, within = target, input.new_zeros(target.size(0))
        for i, (low, high) in enumerate(self._ranges()):
            inside = (target >= low) & (target < high)
            rows = inside.nonzero().squeeze(1)
            if not rows.numel():
                continue
            in_head = in_head.masked_fill(inside, self.shortlist_size + i)
            scores = F.log_softmax(self.tail[i](input.index_select(0, rows)), dim=1)
            chosen = scores.gather(1, (target.index_select(0, rows) - low).unsqueeze(1)).squeeze(1)
            within = within.index_add(0, rows, chosen)
        output = within + F.log_softmax(self.head(input), dim=1).gather(1, in_head.unsqueeze(1)).squeeze(1)
        return _Scored(output.reshape(target_.shape), (-output).mean())

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities (N, n_classes) of all classes for input (N, in_features)."""
        head = F.log_softmax(self.head(input), dim=1)
        parts = [head[:, :self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            parts.append(F.log_softmax(cluster(input), dim=1) + head[:, self.shortlist_size + i, None])
        return pydl.cat(parts, dim=1)

    def predict(self, input: Tensor) -> Tensor:
        """The likeliest class (N) of each row of input (N, in_features)."""
        return self.log_prob(input).argmax(dim=1)

"""Tables whose rows stand for words and the like."""

from __future__ import annotations

from typing import Any, ClassVar

import pydl
from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn import init
from pydl.nn.modules.module import Module
from pydl.nn.parameter import Parameter

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """What both layers share: the table `weight` (num_embeddings, embedding_dim), which starts as N(0, 1), its padding
    row as zeros."""

    weight: Parameter
    padding_idx: int | None
    _shown: ClassVar[dict[str, Any]]  # the options in the order of repr(), with the values that it leaves out

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, weight: Tensor | None, freeze: bool,
        device: Any, dtype: Any,
    ) -> None:
        super().__init__()
        if padding_idx is not None:
            if not isinstance(padding_idx, int):
                raise TypeError(f"{type(self).__name__}: expected padding_idx to be an int, got "
                                f"{type(padding_idx).__name__}")
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"{type(self).__name__}: expected padding_idx within num_embeddings "
                                 f"({num_embeddings}), got {padding_idx}")
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        if weight is None:
            table = pydl.empty((num_embeddings, embedding_dim), device=device, dtype=dtype)
            self.weight = Parameter(table, requires_grad=not freeze)
            self.reset_parameters()
        else:
            if tuple(weight.shape) != (num_embeddings, embedding_dim):
                raise pydl.ShapeError(f"{type(self).__name__}: expected weight ({num_embeddings}, {embedding_dim}), "
                                      f"got {tuple(weight.shape)}")
            self.weight = Parameter(weight, requires_grad=not freeze)

    def reset_parameters(self) -> None:
        """Draws new initial values."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with pydl.no_grad():
                self.weight[self.padding_idx].fill_(0)

    def extra_repr(self) -> str:
        words = [str(self.num_embeddings), str(self.embedding_dim)]
        for name, default in self._shown.items():
            if (value := getattr(self, name)) != default:
                words.append(f"{name}={value!r}")
        return ", ".join(words)


def _sizes(embeddings: Tensor) -> tuple[int, int]:
    if embeddings.dim() != 2:
        raise pydl.ShapeError(f"from_pretrained: expected a table (num_embeddings, embedding_dim), got "
                              f"{tuple(embeddings.shape)}")
    return embeddings.size(0), embeddings.size(1)


class Embedding(_Table):
    """The rows of a table: input (*) of integers below `num_embeddings`, output (*, embedding_dim). The arguments are
    those of `functional.embedding`.

    With `sparse` the gradient of `weight` is row-sparse: `optim.SGD`, `Adagrad` and `SparseAdam` then touch the rows
    that were looked up, and no others.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.Embedding(10, 3)(pydl.tensor([[1, 2, 4], [4, 3, 9]])).shape)
    (2, 3, 3)
    """

    _shown: ClassVar = {
        "padding_idx": None, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False, "sparse": False}

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, _weight, _freeze, device, dtype)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """The layer over a table that exists (num_embeddings, embedding_dim)."""
        return cls(
            *_sizes(embeddings), padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse)


class EmbeddingBag(_Table):
    """Sums, means or maxima of rows of a table, a bag each, without the rows themselves: input (bags, n), or (n) with
    offsets (bags), output (bags, embedding_dim). The arguments are those of `functional.embedding_bag`.

    >>> import pydl
    >>> from pydl import nn
    >>> bag = nn.EmbeddingBag(10, 3, mode="sum")
    >>> tuple(bag(pydl.tensor([1, 2, 4, 5, 4, 3, 2, 9]), pydl.tensor([0, 4])).shape)
    (2, 3)
    """

    _shown: ClassVar = {
        "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False, "mode": None, "padding_idx": None}

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, _weight, False, device, dtype)
        if mode not in ("sum", "mean", "max"):
            raise ValueError(f"EmbeddingBag: expected mode 'sum', 'mean' or 'max', got {mode!r}")
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """The layer over a table that exists (num_embeddings, embedding_dim)."""
        layer = cls(*_sizes(embeddings), max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings,
                    include_last_offset, padding_idx)
        layer.weight.requires_grad = not freeze
        return layer

    def forward(
        self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None
    ) -> Tensor:
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, self.sparse,
            per_sample_weights, self.include_last_offset, self.padding_idx)

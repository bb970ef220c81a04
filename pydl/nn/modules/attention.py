"""Attention layers, and the memory of generated sequences."""

from __future__ import annotations

from typing import Any

import pydl
from pydl import Tensor
from pydl.nn import init
from pydl.nn.functional._attention import attend_by_heads, softmax_of_visible
from pydl.nn.modules.linear import Linear
from pydl.nn.modules.module import Module
from pydl.nn.parameter import Parameter

__all__ = ["Attention", "KeyValueCache", "MultiheadAttention"]


class KeyValueCache:
    """The keys and values of the tokens that a model has seen: what generation need not compute again.

    One cache serves one attention layer and one batch of sequences. Given as `cache` to a `MultiheadAttention` (or to
    `F.scaled_dot_product_attention` by hand, with what `append` returns), the tokens of each call follow those of the
    calls before. Memory is reserved `block` tokens at a time at first and doubles from there, so that a token costs no
    copy of the past; nothing is recorded for gradients.

    >>> import pydl
    >>> from pydl import nn
    >>> cache = nn.KeyValueCache()
    >>> for _ in range(3):
    ...     keys, values = cache.append(pydl.zeros(1, 8, 1, 64), pydl.zeros(1, 8, 1, 64))
    >>> tuple(keys.shape), len(cache)
    ((1, 8, 3, 64), 3)
    """

    def __init__(self, block: int = 256) -> None:
        if not isinstance(block, int):
            raise TypeError(f"KeyValueCache: expected block to be an int, got {type(block).__name__}")
        if block < 1:
            raise ValueError(f"KeyValueCache: expected a block of at least one token, got {block}")
        self.block = block
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._memory: list[Tensor] = []
        self._length = 0

    def __len__(self) -> int:
        """The number of tokens seen."""
        return self._length

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Adds keys and values (N, heads, new, size); returns those of all tokens, (N, heads, length, size)."""
        if keys.dim() != 4 or values.dim() != 4 or keys.shape[:3] != values.shape[:3]:
            raise pydl.ShapeError(f"KeyValueCache: expected keys and values (N, heads, new, size), got "
                                  f"{tuple(keys.shape)} and {tuple(values.shape)}")
        if pydl.is_grad_enabled() and (keys.requires_grad or values.requires_grad):
            raise RuntimeError("KeyValueCache: expected keys and values without history (use pydl.no_grad()), got "
                               "ones that require gradients")
        start, stop = self._length, self._length + keys.size(2)
        new = (keys, values)
        if not self._memory or stop > self._memory[0].size(2):
            self._grow(new, stop)
        for memory, x in zip(self._memory, new, strict=True):
            if memory.shape[:2] != x.shape[:2] or memory.size(3) != x.size(3) or memory.dtype != x.dtype:
                raise pydl.ShapeError(f"KeyValueCache: expected {memory.dtype} of shape {tuple(memory.shape[:2])} + "
                                      f"(new, {memory.size(3)}), got {x.dtype} {tuple(x.shape)}")
        for memory, x in zip(self._memory, new, strict=True):
            memory[:, :, start:stop] = x
        self._length = stop
        return self._memory[0][:, :, :stop], self._memory[1][:, :, :stop]

    def reorder(self, index: Tensor) -> None:
        """Makes sample i the one that was `index[i]`: for beam search. An empty cache stays empty."""
        self._memory = [memory.index_select(0, index) for memory in self._memory]

    def _grow(self, new: tuple[Tensor, Tensor], tokens: int) -> None:
        had = self._memory[0].size(2) if self._memory else 0
        room = max(2 * had, -(-tokens // self.block) * self.block)
        grown = [x.new_empty((x.size(0), x.size(1), room, x.size(3))) for x in self._memory or new]
        for wide, memory in zip(grown, self._memory):
            wide[:, :, :self._length] = memory[:, :, :self._length]
        self._memory = grown


class MultiheadAttention(Module):
    """Attention by `num_heads` heads of `embed_dim / num_heads` (Vaswani et al. 2017).

    Queries (L, N, embed_dim), keys (S, N, kdim) and values (S, N, vdim), with the batch first if `batch_first`, or
    without the batch; returns the output, shaped like the queries, and the weights (N, L, S) averaged over heads
    ((N, heads, L, S) unless `average_attn_weights`), or None unless `need_weights`: then the fused operator runs, which
    never stores them. Masks are bool (True: not seen) or floating (added to the scores): `key_padding_mask` (N, S),
    `attn_mask` (L, S) or (N * num_heads, L, S). `is_causal` promises that attn_mask is the causal one, or asks for it
    where none is given. A query that sees nothing gets zeros.

    `add_bias_kv` appends a learned key and value, `add_zero_attn` zeros. For generation, `cache` (a `KeyValueCache`, in
    evaluation only) keeps the projected keys and values: a call gives the new tokens alone, S counts all.

    >>> import pydl
    >>> from pydl import nn
    >>> x = pydl.zeros(2, 5, 16)
    >>> output, weights = nn.MultiheadAttention(16, 4, batch_first=True)(x, x, x)
    >>> tuple(output.shape), tuple(weights.shape)
    ((2, 5, 16), (2, 5, 5))
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(f"MultiheadAttention: expected positive embed_dim and num_heads, got {embed_dim} and "
                             f"{num_heads}")
        super().__init__()
        how = {"device": device, "dtype": dtype}
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(f"MultiheadAttention: expected embed_dim divisible by num_heads, got {embed_dim} and "
                                 f"{num_heads}")

        def weight(*shape: int) -> Parameter:
            return Parameter(pydl.empty(shape, **how))

        same = self._qkv_same_embed_dim
        self.register_parameter("q_proj_weight", None if same else weight(embed_dim, embed_dim))
        self.register_parameter("k_proj_weight", None if same else weight(embed_dim, self.kdim))
        self.register_parameter("v_proj_weight", None if same else weight(embed_dim, self.vdim))
        self.register_parameter("in_proj_weight", weight(3 * embed_dim, embed_dim) if same else None)
        self.register_parameter("in_proj_bias", weight(3 * embed_dim) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, **how)
        self.register_parameter("bias_k", weight(1, 1, embed_dim) if add_bias_kv else None)
        self.register_parameter("bias_v", weight(1, 1, embed_dim) if add_bias_kv else None)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False, *, cache: KeyValueCache | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        if cache is not None and self.training:
            raise RuntimeError("MultiheadAttention: expected a cache in evaluation only, got one in training")
        in_proj = self.in_proj_weight if self._qkv_same_embed_dim else (
            self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        return attend_by_heads(
            query, key, value, self.embed_dim, self.num_heads, in_proj, self.in_proj_bias, (self.bias_k, self.bias_v),
            self.add_zero_attn, self.dropout if self.training else 0.0, self.out_proj.weight, self.out_proj.bias,
            key_padding_mask, need_weights, attn_mask, (None, None), average_attn_weights, is_causal,
            self.batch_first, cache)


class Attention(Module):
    """What a query looks for among keys, by one of three scores: weights = softmax(score(q, k)), context = weights @ v.

    - "dot": q . k, where `query_dim` equals `key_dim` (Luong et al. 2015)
    - "general": q . W k (Luong et al. 2015)
    - "concat": v . tanh(W q + U k) with `hidden_dim` units (additive: Bahdanau et al. 2015)

    Queries (N, L, query_dim), or (N, query_dim) for one step of a decoder; keys (N, S, key_dim); values (N, S, any),
    the keys if none are given. `lengths` (N) or `key_padding_mask` (N, S, True: not seen) tell which keys count.
    Returns the context (N, L, any) and the weights (N, L, S), without L for one step; zeros where no key counts.

    >>> import pydl
    >>> from pydl import nn
    >>> attention = nn.Attention(16, 32, score="concat")
    >>> context, weights = attention(pydl.zeros(2, 16), pydl.zeros(2, 5, 32), lengths=pydl.tensor([5, 3]))
    >>> tuple(context.shape), weights[1].tolist()[3:]
    ((2, 32), [0.0, 0.0])
    """

    SCORES = ("dot", "general", "concat")

    def __init__(
        self, query_dim: int, key_dim: int | None = None, score: str = "dot", hidden_dim: int | None = None,
        device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__()
        how = {"device": device, "dtype": dtype}
        key_dim = query_dim if key_dim is None else key_dim
        if score not in self.SCORES:
            raise ValueError(f"Attention: expected a score of {', '.join(self.SCORES)}, got {score!r}")
        if score == "dot" and query_dim != key_dim:
            raise ValueError(f"Attention: expected query_dim equal to key_dim for the score dot, got {query_dim} and "
                             f"{key_dim}")
        self.query_dim, self.key_dim, self.score = query_dim, key_dim, score
        hidden_dim = query_dim if hidden_dim is None else hidden_dim
        self.hidden_dim = hidden_dim if score == "concat" else None
        if score == "general":
            self.proj = Linear(key_dim, query_dim, bias=False, **how)
        elif score == "concat":
            self.query_proj = Linear(query_dim, hidden_dim, bias=False, **how)
            self.key_proj = Linear(key_dim, hidden_dim, **how)
            self.score_proj = Linear(hidden_dim, 1, bias=False, **how)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor | None = None, *, lengths: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        value = key if value is None else value
        single = query.dim() == 2
        q = query[:, None] if single else query
        if q.dim() != 3 or key.dim() != 3 or q.size(0) != key.size(0) or q.size(2) != self.query_dim \
                or key.size(2) != self.key_dim:
            raise pydl.ShapeError(f"Attention: expected queries (N, L, {self.query_dim}) and keys "
                                  f"(N, S, {self.key_dim}), got {tuple(query.shape)} and {tuple(key.shape)}")
        if value.dim() != 3 or value.shape[:2] != key.shape[:2]:
            raise pydl.ShapeError(f"Attention: expected values ({key.size(0)}, {key.size(1)}, any), got "
                                  f"{tuple(value.shape)}")
        weights = softmax_of_visible(self._scores(q, key), self._visible(key, lengths, key_padding_mask))
        context = weights @ value
        return (context[:, 0], weights[:, 0]) if single else (context, weights)

    def _scores(self, q: Tensor, k: Tensor) -> Tensor:
        if self.score == "concat":
            return self.score_proj(pydl.tanh(self.query_proj(q)[:, :, None] + self.key_proj(k)[:, None])).squeeze(-1)
        return q @ (self.proj(k) if self.score == "general" else k).transpose(1, 2)

    @staticmethod
    def _visible(key: Tensor, lengths: Tensor | None, key_padding_mask: Tensor | None) -> Tensor | None:
        n, s = key.shape[:2]
        visible = None
        if lengths is not None:
            lengths = pydl.as_tensor(lengths)
            if tuple(lengths.shape) != (n,) or lengths.is_floating_point() or lengths.dtype == pydl.bool:
                raise pydl.ShapeError(f"Attention: expected {n} integer lengths, got {lengths.dtype} "
                                      f"{tuple(lengths.shape)}")
            if n and (int(lengths.min()) < 0 or int(lengths.max()) > s):
                raise ValueError(f"Attention: expected lengths from 0 to {s}, got {lengths.tolist()}")
            visible = pydl.arange(s) < lengths[:, None]
        if key_padding_mask is not None:
            if key_padding_mask.dtype != pydl.bool or tuple(key_padding_mask.shape) != (n, s):
                raise pydl.ShapeError(f"Attention: expected a bool key_padding_mask ({n}, {s}), got "
                                      f"{key_padding_mask.dtype} {tuple(key_padding_mask.shape)}")
            visible = ~key_padding_mask if visible is None else visible & ~key_padding_mask
        return None if visible is None else visible[:, None]

    def extra_repr(self) -> str:
        return f"query_dim={self.query_dim}, key_dim={self.key_dim}, score={self.score!r}"

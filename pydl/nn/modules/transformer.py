"""The Transformer of Vaswani et al. (2017), and its parts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pydl
from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn import init
from pydl.nn.modules._fusion import activated_linear
from pydl.nn.modules.attention import KeyValueCache, MultiheadAttention
from pydl.nn.modules.container import ModuleList
from pydl.nn.modules.dropout import Dropout
from pydl.nn.modules.linear import Linear
from pydl.nn.modules.module import Module
from pydl.nn.modules.normalization import LayerNorm

__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
]

Activation = str | Callable[[Tensor], Tensor]


def _cached(cache: KeyValueCache | None) -> dict[str, KeyValueCache]:
    """The keyword of a cache, where there is one: an attention of somebody's own need not know caches."""
    return {} if cache is None else {"cache": cache}


class _FeedForward(Module):
    """What the two kinds of layer share: two linear maps around an activation, and residual sums."""

    def _activation(self, activation: Activation) -> Callable[[Tensor], Tensor]:
        if not isinstance(activation, str):
            return activation
        if activation not in ("relu", "gelu"):
            raise RuntimeError(f"{type(self).__name__}: expected activation 'relu', 'gelu' or a function, got "
                               f"{activation!r}")
        return getattr(F, activation)

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(activated_linear(self.linear1, self.activation, x)))


class TransformerEncoderLayer(_FeedForward):
    """Self-attention, then a feed-forward network, each with dropout, a residual sum and layer normalization, which
    comes after the sum, or before the block if `norm_first`.

    Input (L, N, d_model), with the batch first if `batch_first`, or without the batch. Masks are those of
    `MultiheadAttention`; `cache` keeps the past of a generated sequence.

    >>> import pydl
    >>> from pydl import nn
    >>> layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    >>> tuple(layer(pydl.zeros(2, 5, 16)).shape)
    (2, 5, 16)
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Activation = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__()
        how = {"device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **how)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **how)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **how)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **how)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **how)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = self._activation(activation)

    def forward(
        self, src: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False, *, cache: KeyValueCache | None = None,
    ) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            return self.dropout1(self.self_attn(
                x, x, x, key_padding_mask=src_key_padding_mask, need_weights=False, attn_mask=src_mask,
                is_causal=is_causal, **_cached(cache))[0])

        if self.norm_first:
            x = src + attend(self.norm1(src))
            return x + self.dropout2(self._feed_forward(self.norm2(x)))
        x = self.norm1(src + attend(src))
        return self.norm2(x + self.dropout2(self._feed_forward(x)))


class TransformerDecoderLayer(_FeedForward):
    """An encoder layer that between its two blocks attends to `memory`, the output of an encoder.

    >>> import pydl
    >>> from pydl import nn
    >>> layer = nn.TransformerDecoderLayer(16, 4, 32, batch_first=True)
    >>> tuple(layer(pydl.zeros(2, 5, 16), pydl.zeros(2, 7, 16)).shape)
    (2, 5, 16)
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Activation = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__()
        how = {"device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **how)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **how)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **how)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **how)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **how)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **how)
        self.norm3 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **how)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = self._activation(activation)

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False, memory_is_causal: bool = False, *, cache: KeyValueCache | None = None,
    ) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            return self.dropout1(self.self_attn(
                x, x, x, key_padding_mask=tgt_key_padding_mask, need_weights=False, attn_mask=tgt_mask,
                is_causal=tgt_is_causal, **_cached(cache))[0])

        def look(x: Tensor) -> Tensor:
            return self.dropout2(self.multihead_attn(
                x, memory, memory, key_padding_mask=memory_key_padding_mask, need_weights=False, attn_mask=memory_mask,
                is_causal=memory_is_causal)[0])

        if self.norm_first:
            x = tgt + attend(self.norm1(tgt))
            x = x + look(self.norm2(x))
            return x + self.dropout3(self._feed_forward(self.norm3(x)))
        x = self.norm1(tgt + attend(tgt))
        x = self.norm2(x + look(x))
        return self.norm3(x + self.dropout3(self._feed_forward(x)))


class _Stack(Module):
    """Copies of a layer, one after the other, and a normalization at the end."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def _run(self, x: Tensor, caches: Sequence[KeyValueCache] | None, *args: Any, **kwargs: Any) -> Tensor:
        if caches is not None and len(caches) != len(self.layers):
            raise ValueError(f"{type(self).__name__}: expected a cache for each of {len(self.layers)} layers, got "
                             f"{len(caches)}")
        for i, layer in enumerate(self.layers):
            # A layer of somebody's own need not know caches.
            x = layer(x, *args, **kwargs) if caches is None else layer(x, *args, **kwargs, cache=caches[i])
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """`num_layers` copies of an encoder layer.

    `is_causal` None finds out whether `mask` is the causal one, which then runs without reading it. `caches`, one for
    each layer, keep the past of a generated sequence. `enable_nested_tensor` and `mask_check` tune PyTorch's nested
    tensors and change no result; here they do nothing.

    >>> import pydl
    >>> from pydl import nn
    >>> encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2)
    >>> tuple(encoder(pydl.zeros(2, 5, 16)).shape)
    (2, 5, 16)
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None, enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__(encoder_layer, num_layers, norm)
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check

    def forward(
        self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None, *, caches: Sequence[KeyValueCache] | None = None,
    ) -> Tensor:
        causal = _is_causal(mask) if is_causal is None else is_causal
        return self._run(src, caches, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=causal)


class TransformerDecoder(_Stack):
    """`num_layers` copies of a decoder layer; `tgt_is_causal` and `caches` as in `TransformerEncoder`.

    >>> import pydl
    >>> from pydl import nn
    >>> decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 4, 32, batch_first=True), 2)
    >>> tuple(decoder(pydl.zeros(2, 5, 16), pydl.zeros(2, 7, 16)).shape)
    (2, 5, 16)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None, memory_is_causal: bool = False, *,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Tensor:
        causal = _is_causal(tgt_mask) if tgt_is_causal is None else tgt_is_causal
        return self._run(
            tgt, caches, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=causal, memory_is_causal=memory_is_causal)


class Transformer(Module):
    """An encoder, and a decoder that attends to its output.

    Sources (S, N, d_model) and targets (T, N, d_model), with the batch first if `batch_first`, or without the batch;
    returns (T, N, d_model). All matrices start as Xavier's uniform.

    >>> import pydl
    >>> from pydl import nn
    >>> model = nn.Transformer(16, 4, 1, 1, 32, batch_first=True)
    >>> mask = model.generate_square_subsequent_mask(5)
    >>> tuple(model(pydl.zeros(2, 7, 16), pydl.zeros(2, 5, 16), tgt_mask=mask).shape)
    (2, 5, 16)
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
        dim_feedforward: int = 2048, dropout: float = 0.1, activation: Activation = F.relu,
        custom_encoder: Module | None = None, custom_decoder: Module | None = None, layer_norm_eps: float = 1e-5,
        batch_first: bool = False, norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__()
        how = {"device": device, "dtype": dtype}
        layer = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **how)

        self.encoder = custom_encoder if custom_encoder is not None else TransformerEncoder(
            TransformerEncoderLayer(*layer, **how), num_encoder_layers, norm())
        self.decoder = custom_decoder if custom_decoder is not None else TransformerDecoder(
            TransformerDecoderLayer(*layer, **how), num_decoder_layers, norm())
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for p in self.parameters():
            if p.dim() > 1:
                init.xavier_uniform_(p)

    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None, tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:
        batch = 0 if self.batch_first else 1
        if src.dim() == 3 and src.size(batch) != tgt.size(batch):
            raise RuntimeError(f"Transformer: expected src and tgt of one batch size, got {src.size(batch)} and "
                               f"{tgt.size(batch)}")
        if src.size(-1) != self.d_model or tgt.size(-1) != self.d_model:
            raise RuntimeError(f"Transformer: expected src and tgt of {self.d_model} features (d_model), got "
                               f"{src.size(-1)} and {tgt.size(-1)}")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """The causal mask (sz, sz): -inf above the diagonal, zeros elsewhere."""
        return pydl.full((sz, sz), float("-inf"), dtype=dtype or pydl.get_default_dtype(), device=device).triu(1)


def _is_causal(mask: Tensor | None) -> bool:
    """Whether a mask is that of `generate_square_subsequent_mask`."""
    if mask is None or mask.dim() != 2 or mask.size(0) != mask.size(1) or not mask.is_floating_point():
        return False
    return bool((mask == Transformer.generate_square_subsequent_mask(mask.size(0), dtype=mask.dtype)).all())

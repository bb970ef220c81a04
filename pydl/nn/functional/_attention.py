"""Attention: the fused operator, and the multi-head layer's function over it."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import pydl
from pydl import Tensor
from pydl._core import nn as _nn
from pydl.nn.functional._linear import linear
from pydl.nn.functional._padding import pad

if TYPE_CHECKING:
    from pydl.nn.modules.attention import KeyValueCache

__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]

scaled_dot_product_attention = _nn.scaled_dot_product_attention


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True,
    key_padding_mask: Tensor | None = None, need_weights: bool = True, attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None, static_k: Tensor | None = None, static_v: Tensor | None = None,
    average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """The function behind `nn.MultiheadAttention`, which tells the arguments: queries (L, N, E) or (L, E), keys and
    values (S, N, E) or (S, E). `static_k` and `static_v` (N * num_heads, S, E / num_heads) stand in for projected ones.
    """
    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else in_proj_weight
    return attend_by_heads(
        query, key, value, embed_dim_to_check, num_heads, weights, in_proj_bias, (bias_k, bias_v), add_zero_attn,
        dropout_p if training else 0.0, out_proj_weight, out_proj_bias, key_padding_mask, need_weights, attn_mask,
        (static_k, static_v), average_attn_weights, is_causal, batch_first=False)


def attend_by_heads(
    query: Tensor, key: Tensor, value: Tensor, embed_dim: int, num_heads: int, in_proj: Tensor | tuple | None,
    in_proj_bias: Tensor | None, bias_kv: tuple[Tensor | None, Tensor | None], add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, key_padding_mask: Tensor | None, need_weights: bool,
    attn_mask: Tensor | None, static_kv: tuple[Tensor | None, Tensor | None], average_attn_weights: bool,
    is_causal: bool, batch_first: bool, cache: KeyValueCache | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Multi-head attention of sequences in either layout; nothing is transposed in memory."""
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask)
    if not batched:
        batch_first = True
        query, key, value = (query[None], key[None], value[None]) if key is not query or value is not query \
            else (query[None],) * 3
        key_padding_mask = None if key_padding_mask is None else key_padding_mask[None]
    if query.size(-1) != embed_dim:
        raise AssertionError(
            f"multi_head_attention_forward: expected a query of embed_dim = {embed_dim} numbers, got {query.size(-1)}")
    if embed_dim % num_heads:
        raise AssertionError(
            f"multi_head_attention_forward: expected num_heads that divides embed_dim {embed_dim}, got {num_heads}")
    n, length = (query.size(0), query.size(1)) if batch_first else (query.size(1), query.size(0))
    if key is not query and key.size(0 if batch_first else 1) != n:
        raise pydl.ShapeError(f"multi_head_attention_forward: expected keys of the query's batch size {n}, got "
                              f"{list(key.shape)}")

    plain = cache is None and not need_weights and not add_zero_attn and all(
        x is None for x in (*bias_kv, *static_kv))
    if plain and query is key and key is value and isinstance(in_proj, Tensor):
        packed = linear(query, in_proj, in_proj_bias).unflatten(-1, (3, num_heads, -1))
        packed = packed.permute(2, 0, 3, 1, 4) if batch_first else packed.permute(2, 1, 3, 0, 4)
        attn_mask, key_padding_mask = _check_masks(attn_mask, key_padding_mask, n, num_heads, length, length)
        if is_causal and key_padding_mask is not None:
            is_causal, attn_mask = False, _hidden_by_order(length, length) if attn_mask is None else attn_mask
        mask = None if is_causal else _merge_masks(attn_mask, key_padding_mask, packed.dtype)
        out = _nn.packed_attention(packed, mask, dropout_p, is_causal)
        out = out.transpose(1, 2) if batch_first else out.permute(2, 0, 1, 3)
        out = linear(out.reshape(*query.shape[:2], embed_dim), out_proj_weight, out_proj_bias)
        return (out if batched else out[0]), None

    q, k, v = _project(query, key, value, num_heads, in_proj, in_proj_bias, batch_first)
    if static_kv[0] is not None:
        k = _static(static_kv[0], "static_k", n, num_heads, q.size(-1))
    if static_kv[1] is not None:
        v = _static(static_kv[1], "static_v", n, num_heads, q.size(-1))
    keys = k.size(2) + (len(cache) if cache is not None else 0)
    attn_mask, key_padding_mask = _check_masks(attn_mask, key_padding_mask, n, num_heads, length, keys)
    if cache is not None:
        k, v = cache.append(k, v)
    if is_causal and (key_padding_mask is not None or need_weights or (cache is not None and k.size(2) > length)):
        is_causal = False
        past = k.size(2) - length if cache is not None else 0
        if attn_mask is None and not (cache is not None and length == 1):  # the last token sees everything
            attn_mask = _hidden_by_order(length, k.size(2), past)

    extra = [_repeat_over_batch(b, n, num_heads) for b in bias_kv if b is not None]
    if len(extra) == 1:
        raise AssertionError("multi_head_attention_forward: expected bias_k and bias_v both or neither, got one")
    if extra:
        if any(x is not None for x in static_kv):
            raise AssertionError(
                "multi_head_attention_forward: expected bias_k and bias_v or static keys and values, got both")
        k, v = pydl.cat([k, extra[0]], 2), pydl.cat([v, extra[1]], 2)
    if add_zero_attn:
        k, v = pad(k, (0, 0, 0, 1)), pad(v, (0, 0, 0, 1))
    appended = bool(extra) + bool(add_zero_attn)
    if appended:  # everybody sees what was appended
        if is_causal:
            attn_mask, is_causal = _hidden_by_order(length, k.size(2) - appended), False
        attn_mask, key_padding_mask = (None if m is None else _open_columns(m, appended)
                                       for m in (attn_mask, key_padding_mask))
    mask = None if is_causal else _merge_masks(attn_mask, key_padding_mask, q.dtype)

    weights = None
    if need_weights:
        scores = (q * (1.0 / math.sqrt(q.size(-1)))) @ k.transpose(-2, -1)
        weights = softmax_of_visible(scores, mask)
        if dropout_p > 0.0:
            weights = pydl.dropout(weights, dropout_p, True)
        out = weights @ v
        weights = weights.mean(1) if average_attn_weights else weights
        weights = weights if batched else weights[0]
    else:
        out = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
    if batch_first:
        out = out.transpose(1, 2).reshape(n, length, embed_dim)
    else:
        out = out.permute(2, 0, 1, 3).reshape(length, n, embed_dim)
    out = linear(out, out_proj_weight, out_proj_bias)
    return (out if batched else out[0]), weights


def softmax_of_visible(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last dimension of masked scores (bool: True is visible; float: added). A row that sees nothing
    is all zeros."""
    if mask is None or scores.size(-1) == 0:
        return pydl.softmax(scores, -1)
    scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == pydl.bool else scores + mask
    blind = scores.detach().amax(-1, keepdim=True) == -math.inf
    return pydl.softmax(scores.masked_fill(blind, 0.0), -1).masked_fill(blind, 0.0)


def _project(
    query: Tensor, key: Tensor, value: Tensor, num_heads: int, weight: Tensor | tuple | None, bias: Tensor | None,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (N, heads, length, size), as views of as few products as there are different inputs."""
    def heads(x: Tensor) -> Tensor:  # (..., heads, size)
        return x.transpose(1, 2) if batch_first else x.permute(1, 2, 0, 3)

    def together(x: Tensor, weight: Tensor, bias: Tensor | None, count: int) -> tuple[Tensor, ...]:
        y = linear(x, weight, bias)
        return tuple(heads(part) for part in y.unflatten(-1, (count, num_heads, -1)).unbind(-3))

    if weight is None or (isinstance(weight, tuple) and None in weight):
        raise AssertionError("multi_head_attention_forward: expected the projection weights, got None")
    if isinstance(weight, tuple):
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                "multi_head_attention_forward: expected keys and values of one length and batch size, got "
                f"{list(key.shape)} and {list(value.shape)}")
        biases = (None,) * 3 if bias is None else bias.chunk(3)
        q, k, v = (heads(linear(x, w, b).unflatten(-1, (num_heads, -1)))
                   for x, w, b in zip((query, key, value), weight, biases, strict=True))
        return q, k, v
    if key.shape != value.shape:
        raise AssertionError(
            "multi_head_attention_forward: expected keys and values of one shape, got "
            f"{list(key.shape)} and {list(value.shape)}")
    if query is key and key is value:
        q, k, v = together(query, weight, bias, 3)
        return q, k, v
    embed_dim = query.size(-1)
    w_q, w_kv = weight.split([embed_dim, 2 * embed_dim])
    b_q, b_kv = (None, None) if bias is None else bias.split([embed_dim, 2 * embed_dim])
    if key is value:
        (q,), (k, v) = together(query, w_q, b_q, 1), together(key, w_kv, b_kv, 2)
        return q, k, v
    w_k, w_v = w_kv.chunk(2)
    b_k, b_v = (None, None) if b_kv is None else b_kv.chunk(2)
    (q,), (k,), (v,) = together(query, w_q, b_q, 1), together(key, w_k, b_k, 1), together(value, w_v, b_v, 1)
    return q, k, v


def _static(x: Tensor, name: str, n: int, num_heads: int, size: int) -> Tensor:
    if x.dim() != 3 or x.size(0) != n * num_heads or x.size(2) != size:
        raise AssertionError(f"multi_head_attention_forward: expected {name} of shape ({n * num_heads}, S, {size}), "
                             f"got {tuple(x.shape)}")
    return x.unflatten(0, (n, num_heads))


def _repeat_over_batch(bias: Tensor, n: int, num_heads: int) -> Tensor:
    """A (1, 1, E) row as one more key of each sample, (N, heads, 1, size)."""
    return bias.reshape(1, num_heads, 1, -1).expand(n, -1, -1, -1)


# ---- masks -----------------------------------------------------------------------------------------------------------
def _check_shapes(
    query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None, attn_mask: Tensor | None,
) -> bool:
    """True for batched input."""
    if query.dim() not in (2, 3):
        raise AssertionError(f"multi_head_attention_forward: expected a 2D or 3D query, got {query.dim()}D")
    what = f"with a {query.dim()}D query"
    if key.dim() != query.dim() or value.dim() != query.dim():
        raise AssertionError(
            f"multi_head_attention_forward: expected {query.dim()}D key and value {what}, got "
            f"{key.dim()}D and {value.dim()}D")
    if key_padding_mask is not None and key_padding_mask.dim() != query.dim() - 1:
        raise AssertionError(
            f"multi_head_attention_forward: expected a {query.dim() - 1}D key_padding_mask {what}, got "
            f"{key_padding_mask.dim()}D")
    if attn_mask is not None and attn_mask.dim() not in (2, 3):
        raise AssertionError(f"multi_head_attention_forward: expected a 2D or 3D attn_mask, got {attn_mask.dim()}D")
    return query.dim() == 3


def _check_masks(
    attn_mask: Tensor | None, key_padding_mask: Tensor | None, n: int, num_heads: int, length: int, keys: int,
) -> tuple[Tensor | None, Tensor | None]:
    """The masks, that of pairs as (L, S) or (N, heads, L, S); bool or floating, True and -inf for what is not seen."""
    for name, mask in (("attn_mask", attn_mask), ("key_padding_mask", key_padding_mask)):
        if mask is not None and mask.dtype != pydl.bool and not mask.is_floating_point():
            raise AssertionError(
                f"multi_head_attention_forward: expected {name} of bool or a floating point dtype, got {mask.dtype}")
    if attn_mask is not None and key_padding_mask is not None and attn_mask.dtype != key_padding_mask.dtype:
        warnings.warn("Support for mismatched key_padding_mask and attn_mask is deprecated. Use same type for both "
                      "instead.", stacklevel=4)
    if key_padding_mask is not None and key_padding_mask.shape != (n, keys):
        raise AssertionError(
            f"multi_head_attention_forward: expected key_padding_mask of shape ({n}, {keys}), got "
            f"{tuple(key_padding_mask.shape)}")
    if attn_mask is None:
        return None, key_padding_mask
    expected = (length, keys) if attn_mask.dim() == 2 else (n * num_heads, length, keys)
    if attn_mask.shape != expected:
        raise RuntimeError(
            f"multi_head_attention_forward: expected attn_mask of shape {expected}, got {tuple(attn_mask.shape)}")
    return (attn_mask if attn_mask.dim() == 2 else attn_mask.unflatten(0, (n, num_heads))), key_padding_mask


def _hidden_by_order(length: int, keys: int, past: int = 0) -> Tensor:
    return pydl.arange(keys) > pydl.arange(past, past + length)[:, None]


def _open_columns(mask: Tensor, count: int) -> Tensor:
    return pydl.cat([mask, pydl.zeros((*mask.shape[:-1], count), dtype=mask.dtype)], -1)


def _merge_masks(attn_mask: Tensor | None, key_padding_mask: Tensor | None, dtype: pydl.dtype) -> Tensor | None:
    """One mask for the operator: bool (True is visible) where both are bool, else what is added to the scores."""
    masks = [m for m in (attn_mask, None if key_padding_mask is None else key_padding_mask[:, None, None])
             if m is not None]
    if all(m.dtype == pydl.bool for m in masks):
        visible = [~m for m in masks]
        return visible[0] & visible[1] if len(visible) == 2 else visible[0] if visible else None
    added = [pydl.zeros(m.shape, dtype=dtype).masked_fill(m, -math.inf) if m.dtype == pydl.bool else m.to(dtype)
             for m in masks]
    return added[0] + added[1] if len(added) == 2 else added[0]

"""Attention: the operator's properties, and the layers against PyTorch's with its weights moved over."""
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import same_bits
from twins import assert_same, copy_weights, numpy, pair

import pydl
from pydl import nn
from pydl.nn.attention import SDPBackend, sdpa_kernel

F = nn.functional
sdpa = F.scaled_dot_product_attention


def draw(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tensors(*shapes, dtype=np.float32):
    return [pydl.from_numpy(draw(*s, seed=i, dtype=dtype)) for i, s in enumerate(shapes)]


# ---- the operator ----------------------------------------------------------------------------------------------------
def composite(q, k, v, mask=None, is_causal=False):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
    if is_causal:
        mask = pydl.ones(q.size(-2), k.size(-2), dtype=pydl.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == pydl.bool else scores + mask
    return pydl.softmax(scores, -1).nan_to_num(0.0) @ v


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 150), st.integers(1, 600), st.integers(1, 70),
    st.integers(1, 70), st.sampled_from(["none", "causal", "bool", "float"]), st.booleans())
def test_drawn_shapes(n, h, length, keys, size, value_size, kind, heads_inside):
    """Any shape and memory: (N, L, H, E) seen as (N, H, L, E) gives the same bits as contiguous memory."""
    def operand(rows, width, seed):
        x = pydl.from_numpy(draw(n, rows, h, width, seed=seed, dtype=np.float64)).transpose(1, 2)
        return (x if heads_inside else x.contiguous()).requires_grad_()

    q, k, v = operand(length, size, 1), operand(keys, size, 2), operand(keys, value_size, 3)
    mask = {"bool": pydl.from_numpy(draw(n, 1, length, keys, seed=4) > -1),
        "float": pydl.from_numpy(draw(length, keys, seed=4, dtype=np.float64))}.get(kind)
    got, want = sdpa(q, k, v, mask, is_causal=kind == "causal"), composite(q, k, v, mask, kind == "causal")
    np.testing.assert_allclose(numpy(got), numpy(want), rtol=1e-11, atol=1e-13)
    g = pydl.from_numpy(draw(n, h, length, value_size, seed=5, dtype=np.float64))
    for a, b in zip(pydl.autograd.grad(got, (q, k, v), g), pydl.autograd.grad(want, (q, k, v), g), strict=True):
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=1e-9, atol=1e-12)
    packed = [x.detach().contiguous() for x in (q, k, v)]
    assert same_bits(sdpa(*packed, mask, is_causal=kind == "causal"), got.detach())


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [(1, 2, 700, 64), (4, 6, 70, 24), (1, 1, 2100, 16)])
def test_threads(shape, causal, threads):
    results = []
    for n in (1, 2, 5):
        threads(n)
        pydl.manual_seed(3)
        q, k, v = (x.requires_grad_() for x in tensors(*[shape] * 3))
        out = sdpa(q, k, v, dropout_p=0.2, is_causal=causal)
        results.append([out, *pydl.autograd.grad(out.sum(), (q, k, v))])
    for other in results[1:]:
        assert all(same_bits(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("causal", [False, True])
def test_memory_grows_with_the_length(causal):
    """Forward and backward at 4096 tokens take a small part of what one matrix of scores would."""
    q, k, v = (x.requires_grad_() for x in tensors(*[(1, 2, 4096, 32)] * 3))
    scores = 2 * 4096 * 4096 * 4
    pydl._core.reset_peak_memory()
    before = pydl._core.memory_stats()["allocated"]
    sdpa(q, k, v, is_causal=causal).sum().backward()
    assert pydl._core.memory_stats()["peak"] - before < scores / 4


def test_large_scores_do_not_overflow():
    q, k, v = (100 * x for x in tensors(*[(1, 1, 40, 16)] * 3))
    assert np.isfinite(numpy(sdpa(q, k, v))).all()
    np.testing.assert_allclose(numpy(sdpa(q, k, v)), numpy(composite(*(x.double() for x in (q, k, v)))), rtol=1e-3,
        atol=2e-2)


def test_nan_stays_in_its_rows():
    q, k, v = tensors(*[(1, 1, 20, 8)] * 3)
    q[0, 0, 3] = math.nan
    out = numpy(sdpa(q, k, v))[0, 0]
    assert np.isnan(out[3]).all() and np.isfinite(np.delete(out, 3, 0)).all()


def test_a_query_that_sees_nothing_gets_zeros():
    mask = pydl.ones(5, 9, dtype=pydl.bool)
    mask[2] = False
    for m in (mask, pydl.zeros(5, 9).masked_fill(~mask, -math.inf)):
        q, k, v = (x.requires_grad_() for x in tensors((1, 2, 5, 8), (1, 2, 9, 8), (1, 2, 9, 8)))
        out = sdpa(q, k, v, m)
        grads = pydl.autograd.grad(out.sum(), (q, k, v))
        assert (out[:, :, 2] == 0).all() and (grads[0][:, :, 2] == 0).all()
        assert all(np.isfinite(numpy(x)).all() for x in (out, *grads))
    q, k, v = tensors((2, 3, 4, 8), (2, 3, 0, 8), (2, 3, 0, 5))
    assert tuple(sdpa(q, k, v).shape) == (2, 3, 4, 5) and (sdpa(q, k, v) == 0).all()


def test_dropout():
    """The kept weights are scaled, about p of them are dropped, and backward drops the same."""
    q, k = tensors((1, 2, 100, 8), (1, 2, 300, 8), dtype=np.float64)
    v = pydl.eye(300, dtype=pydl.float64).expand(1, 2, 300, 300)
    weights = sdpa(q, k, v)
    pydl.manual_seed(1)
    dropped = sdpa(q, k, v, dropout_p=0.3)
    kept = dropped != 0
    assert abs(kept.double().mean().item() - 0.7) < 0.02
    np.testing.assert_allclose(numpy(dropped), numpy(weights * kept) / 0.7, rtol=1e-12)
    small = [x[:, :, :6].clone().requires_grad_() for x in (q, k, k + 1)]

    def again(*x):
        pydl.manual_seed(2)
        return sdpa(*x, dropout_p=0.4)

    assert pydl.autograd.gradcheck(again, small) and pydl.autograd.gradgradcheck(again, small)
    assert (sdpa(q, k, v, dropout_p=1.0) == 0).all()


@pytest.mark.parametrize("shape", [(2, 3, 70, 20), (1, 1, 1100, 8), (2, 2, 5, 1), (2, 2, 0, 4)])
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"dropout_p": 0.3}])
def test_packed_operands_equal_separate_ones(shape, options):
    n, heads, length, size = shape
    y = pydl.from_numpy(draw(n, length, 3, heads, size)).requires_grad_()
    packed = y.permute(2, 0, 3, 1, 4)
    gradient, found = pydl.from_numpy(draw(n, heads, length, size, seed=1)), []
    for attend, operands in ((pydl._core.nn.packed_attention, [packed]), (sdpa, packed.unbind(0))):
        pydl.manual_seed(3)
        out = attend(*operands, **options)
        found.append((out, *pydl.autograd.grad(out, y, gradient, retain_graph=True)))
    assert all(same_bits(a.contiguous(), b.contiguous()) for a, b in zip(*found, strict=True))


def test_packed_second_derivatives():
    packed = pydl.from_numpy(draw(3, 1, 2, 4, 3, dtype=np.float64)).requires_grad_()
    mask = pydl.from_numpy(draw(4, 4, seed=1, dtype=np.float64)).requires_grad_()
    attend = pydl._core.nn.packed_attention
    assert pydl.autograd.gradcheck(attend, (packed, mask)) and pydl.autograd.gradgradcheck(attend, (packed, mask))
    with pytest.raises(pydl.ShapeError, match="expected queries, keys and values"):
        attend(packed[:2])


def test_gradient_of_the_mask():
    q, k, v = tensors((2, 2, 5, 8), (2, 2, 7, 8), (2, 2, 7, 8), dtype=np.float64)
    for shape in ((5, 7), (2, 1, 1, 7), (2, 2, 5, 7), (5, 1)):
        mask = pydl.from_numpy(draw(*shape, seed=9, dtype=np.float64)).requires_grad_()
        assert pydl.autograd.gradcheck(lambda m: sdpa(q, k, v, m), [mask])


def test_shared_heads_equal_repeated_ones():
    q, k, v = tensors((2, 6, 70, 16), (2, 2, 90, 16), (2, 2, 90, 16))
    repeated = [x.repeat_interleave(3, 1) for x in (k, v)]
    assert same_bits(sdpa(q, k, v, enable_gqa=True), sdpa(q, *repeated))


def test_one_query_is_the_last_of_many():
    """What generation computes token by token is what the whole sequence computes at once."""
    q, k, v = tensors(*[(1, 4, 300, 32)] * 3)
    whole = sdpa(q, k, v, is_causal=True)
    for t in (0, 7, 299):
        np.testing.assert_allclose(numpy(sdpa(q[:, :, t:t + 1], k[:, :, :t + 1], v[:, :, :t + 1])),
            numpy(whole[:, :, t:t + 1]), rtol=2e-5, atol=2e-6)


Q = (2, 2, 3, 8)
WRONG = [
    # (query, key, value, mask and its dtype, keywords, exception, words)
    ((8,), (8,), (8,), None, {}, pydl.ShapeError, "at least 2 dimensions"),
    (Q, (2, 2, 4, 7), (2, 2, 4, 8), None, {}, pydl.ShapeError, "as long as the queries"),
    (Q, (2, 2, 4, 8), (2, 2, 5, 8), None, {}, pydl.ShapeError, "a value for each of 4 keys"),
    (Q, (3, 2, 4, 8), (3, 2, 4, 8), None, {}, pydl.ShapeError, "broadcast"),
    (Q, (2, 3, 4, 8), (2, 3, 4, 8), None, {"enable_gqa": True}, pydl.ShapeError, "divides the query's 2"),
    (Q, Q, Q, ((3, 4), "bool"), {}, pydl.ShapeError, "attn_mask"),
    (Q, Q, Q, ((3, 1, 3, 3), "float32"), {}, pydl.ShapeError, "attn_mask"),
    (Q, Q, Q, ((3, 3), "int64"), {}, RuntimeError, "attn_mask of bool"),
    (Q, Q, Q, ((3, 3), "float64"), {}, RuntimeError, "attn_mask of bool"),
    (Q, Q, Q, ((3, 3), "float32"), {"is_causal": True}, RuntimeError, "attn_mask or is_causal, got both"),
    (Q, Q, Q, None, {"dropout_p": 1.5}, RuntimeError, "dropout_p between 0 and 1"),
]


@pytest.mark.parametrize(("q", "k", "v", "mask", "kwargs", "error", "words"), WRONG)
def test_wrong_calls(q, k, v, mask, kwargs, error, words):
    m = None if mask is None else pydl.ones(mask[0]).to(getattr(pydl, mask[1]))
    with pytest.raises(error, match="scaled_dot_product_attention: expected .*") as caught:
        sdpa(*tensors(q, k, v), m, **kwargs)
    assert words in str(caught.value)
    for other in ("long", "double"):
        with pytest.raises(RuntimeError, match="one floating point dtype"):
            x = pydl.zeros(2, 3)
            sdpa(getattr(x, other)(), x, x)


# ---- MultiheadAttention ----------------------------------------------------------------------------------------------
LAYERS = [{}, {"bias": False}, {"batch_first": True}, {"kdim": 6, "vdim": 10}, {"add_bias_kv": True},
    {"add_zero_attn": True}, {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True}]


def both(torch, *args, **kwargs):
    ours, theirs = nn.MultiheadAttention(*args, **kwargs), torch.nn.MultiheadAttention(*args, **kwargs)
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.randn(p.shape) * 0.3)
    copy_weights(ours, theirs)
    return ours, theirs


def outcomes(lib, layer, arrays, **kwargs):
    """Output, weights, gradients of everything."""
    leaves = {id(a): lib.from_numpy(a.copy()).requires_grad_() for a in arrays}
    x = [leaves[id(a)] for a in arrays]
    out, weights = layer(*x, **{k: lib.from_numpy(m.copy()) if isinstance(m, np.ndarray) else m
                               for k, m in kwargs.items()})
    loss = (out * out).sum() + (0 if weights is None else (weights * weights).sum())
    unique = list(leaves.values())
    grads = lib.autograd.grad(loss, [*unique, *layer.parameters()])
    return [out, *([] if weights is None else [weights]), *grads]


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(
    ("sources", "kwargs"),
    [
        (sources, kwargs)
        for sources in ("self", "memory", "three", "unbatched")
        for kwargs in LAYERS
        if sources in ("three", "unbatched") or "kdim" not in kwargs  # else keys and values differ in size
    ],
    ids=str,
)
def test_layer(sources, kwargs, need_weights, torch_or_fail):
    torch = torch_or_fail
    ours, theirs = both(torch, 8, 2, **kwargs)
    kdim, vdim = kwargs.get("kdim", 8), kwargs.get("vdim", 8)
    n, length, keys = 3, 5, 7

    def sequence(t, e, seed):
        if sources == "unbatched":
            return draw(t, e, seed=seed)
        return draw(*((n, t) if kwargs.get("batch_first") else (t, n)), e, seed=seed)

    if sources == "self":
        keys, arrays = length, [sequence(length, 8, 0)] * 3
    elif sources == "memory":
        memory = sequence(keys, 8, 1)
        arrays = [sequence(length, 8, 0), memory, memory]
    else:
        arrays = [sequence(length, 8, 0), sequence(keys, kdim, 1), sequence(keys, vdim, 2)]
    padding = np.zeros((n, keys), bool)
    padding[1, 3:] = True
    pairs = np.triu(np.ones((length, keys), bool), 2)
    heads = np.repeat(pairs[None], n * 2 if sources != "unbatched" else 2, 0)
    padding = padding if sources != "unbatched" else padding[1]
    floats = np.where(pairs, -np.inf, draw(length, keys, seed=3)).astype(np.float32)
    for masks in ({}, {"key_padding_mask": padding}, {"attn_mask": pairs}, {"attn_mask": heads},
            {"attn_mask": pairs, "key_padding_mask": padding}, {"attn_mask": floats},
            {"attn_mask": floats, "key_padding_mask": draw(*padding.shape, seed=6)}):
        for average in (True, False) if need_weights else (True,):
            how = {"need_weights": need_weights, "average_attn_weights": average, **masks}
            assert_same(outcomes(pydl, ours, arrays, **how), outcomes(torch, theirs, arrays, **how), 2e-4, 2e-5)


def test_functional_form(torch_or_fail):
    torch = torch_or_fail
    _, theirs = both(torch, 8, 2)
    arrays = [draw(5, 3, 8), draw(7, 3, 8, seed=1), draw(7, 3, 8, seed=2)]
    static = draw(6, 4, 4, seed=3)
    for extra in ({}, {"static_k": static, "static_v": static}):
        got, want = [], []
        for lib, seen in ((pydl, got), (torch, want)):
            w = {k: lib.from_numpy(numpy(v)) for k, v in theirs.state_dict().items()}
            seen += lib.nn.functional.multi_head_attention_forward(
                *(lib.from_numpy(a.copy()) for a in arrays), 8, 2, w["in_proj_weight"], w["in_proj_bias"], None, None,
                False, 0.0, w["out_proj.weight"], w["out_proj.bias"],
                **{k: lib.from_numpy(v.copy()) for k, v in extra.items()})
        assert_same(got, want, 1e-4, 1e-5)


def test_causal_hint(torch_or_fail):
    torch = torch_or_fail
    ours, theirs = both(torch, 8, 2, batch_first=True)
    x, y = pair(torch, draw(2, 6, 8))
    mask, other = (lib.nn.Transformer.generate_square_subsequent_mask(6) for lib in (pydl, torch))
    for need in (True, False):
        want = theirs(y, y, y, attn_mask=other, is_causal=True, need_weights=need)[0]
        assert_same(ours(x, x, x, attn_mask=mask, is_causal=True, need_weights=need)[0], want, 1e-4, 1e-5)
        assert_same(ours(x, x, x, is_causal=True, need_weights=need)[0], want, 1e-4, 1e-5)  # asked for, not promised


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("masks", [{}, {"attn_mask": (3, 0)}, {"key_padding_mask": (2, 0)},
    {"attn_mask": (4, 3, 0), "key_padding_mask": (2, 0)}], ids=str)
def test_no_keys(masks, need_weights):
    layer, memory = nn.MultiheadAttention(4, 2, batch_first=True), pydl.zeros(2, 0, 4)
    nn.init.constant_(layer.out_proj.bias, 0.5)
    for dtype in (pydl.bool, pydl.float32):
        hidden = {name: pydl.zeros(shape, dtype=dtype) for name, shape in masks.items()}
        output, weights = layer(pydl.ones(2, 3, 4), memory, memory, need_weights=need_weights, **hidden)
        output.sum().backward()
        assert output.shape == (2, 3, 4) and (output == 0.5).all()
        assert tuple(weights.shape) == (2, 3, 0) if need_weights else weights is None


def test_blind_queries_get_zeros_with_weights_too():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    x = pydl.from_numpy(draw(1, 3, 8))
    mask = pydl.zeros(3, 3, dtype=pydl.bool)
    mask[1] = True
    for need in (True, False):
        out, weights = layer(x, x, x, attn_mask=mask, need_weights=need)
        np.testing.assert_array_equal(numpy(out)[0, 1], numpy(layer.out_proj.bias))
        assert weights is None or (weights[0, 1] == 0).all()


def test_keys_of_another_batch_size():
    layer, one = nn.MultiheadAttention(4, 2), pydl.zeros(5, 1, 4)
    for need_weights in (True, False):
        with pytest.raises(RuntimeError, match="expected keys of the query's batch size 3, got"):
            layer(pydl.zeros(5, 3, 4), one, one, need_weights=need_weights)


def test_wrong_layers():
    with pytest.raises(AssertionError, match="expected embed_dim divisible by num_heads, got 10 and 3"):
        nn.MultiheadAttention(10, 3)
    with pytest.raises(ValueError, match="MultiheadAttention: expected positive embed_dim and num_heads, got 8 and 0"):
        nn.MultiheadAttention(8, 0)
    layer, x = nn.MultiheadAttention(8, 2), pydl.zeros(5, 3, 8)
    for mask, error in ((pydl.zeros(5, 4), RuntimeError), (pydl.zeros(3, 5, 5), RuntimeError),
            (pydl.zeros(5), AssertionError), (pydl.zeros(5, 5, dtype=pydl.int64), AssertionError)):
        with pytest.raises(error):
            layer(x, x, x, attn_mask=mask)
    with pytest.raises(AssertionError, match="key_padding_mask"):
        layer(x, x, x, key_padding_mask=pydl.zeros(3, 4, dtype=pydl.bool))
    with pytest.raises(AssertionError, match="embed_dim = 8 numbers, got 7"):
        layer(x[..., :7], x, x)


# ---- generation ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("batch_first", [True, False])
def test_cache_gives_what_the_whole_sequence_gives(batch_first):
    layer = nn.MultiheadAttention(16, 4, batch_first=batch_first).eval()
    x = pydl.from_numpy(draw(2, 40, 16))

    def run(x, **kwargs):
        x = x if batch_first else x.transpose(0, 1)
        y = layer(x, x, x, need_weights=False, is_causal=True, **kwargs)[0]
        return numpy(y if batch_first else y.transpose(0, 1))

    with pydl.no_grad():
        want = run(x)
        for steps in ((7, *[1] * 33), (1, 9, 30), (40,)):
            cache, at, seen = nn.KeyValueCache(block=5), 0, []
            for step in steps:
                seen.append(run(x[:, at:at + step], cache=cache))
                at += step
            assert len(cache) == 40
            np.testing.assert_allclose(np.concatenate(seen, 1), want, rtol=1e-4, atol=1e-5)


def test_cache_refuses_what_does_not_fit():
    cache = nn.KeyValueCache()
    k = pydl.ones(2, 4, 3, 8)
    cache.append(k, k)
    for wrong in (pydl.ones(1, 4, 1, 8), pydl.ones(2, 4, 1, 9), pydl.ones(2, 4, 1, 8, dtype=pydl.float64)):
        with pytest.raises(pydl.ShapeError, match="KeyValueCache: expected"):
            cache.append(wrong, wrong)
    with pytest.raises(RuntimeError, match="no_grad"):
        cache.append(k.clone().requires_grad_(), k)
    assert len(cache) == 3
    cache.append(2 * k, k)
    cache.reorder(pydl.tensor([1, 1]))
    assert cache.append(k, k)[0][0, 0, :, 0].tolist() == [1] * 3 + [2] * 3 + [1] * 3
    cache.clear()
    cache.reorder(pydl.tensor([0]))  # as a beam search does before its first step
    assert len(cache) == 0
    with pytest.raises(TypeError, match="expected block to be an int, got float"):
        nn.KeyValueCache(1.5)
    layer = nn.MultiheadAttention(8, 2)
    with pytest.raises(RuntimeError, match="evaluation"):
        layer(k[0], k[0], k[0], cache=cache)
    with pydl.no_grad(), pytest.raises(RuntimeError, match="expected attn_mask of shape"):
        layer.eval()(k[0], k[0], k[0], attn_mask=pydl.zeros(2, 2), cache=cache)
    assert len(cache) == 0


# ---- Attention, PositionalEncoding -----------------------------------------------------------------------------------
@pytest.mark.parametrize("score", ["dot", "general", "concat"])
def test_scores(score):
    layer = nn.Attention(6, 6 if score == "dot" else 4, score, *([5] if score == "concat" else []), dtype=pydl.float64)
    q, k = draw(3, 2, 6, dtype=np.float64), draw(3, 7, layer.key_dim, seed=1, dtype=np.float64)
    v = draw(3, 7, 9, seed=2, dtype=np.float64)
    w = {name: numpy(p) for name, p in layer.named_parameters()}
    if score == "concat":
        hidden = np.tanh((q @ w["query_proj.weight"].T)[:, :, None] + (k @ w["key_proj.weight"].T
            + w["key_proj.bias"])[:, None])
        scores = (hidden @ w["score_proj.weight"].T)[..., 0]
    else:
        scores = q @ np.swapaxes(k @ w["proj.weight"].T if score == "general" else k, 1, 2)
    lengths = [7, 4, 0]
    scores = np.where(np.arange(7) < np.array(lengths)[:, None, None], np.exp(scores), 0)
    want = scores / np.maximum(scores.sum(-1, keepdims=True), 1e-300)
    args = [pydl.from_numpy(x) for x in (q, k, v)]
    context, weights = layer(*args, lengths=pydl.tensor(lengths))
    np.testing.assert_allclose(numpy(weights), want, rtol=1e-12)
    np.testing.assert_allclose(numpy(context), want @ v, rtol=1e-10, atol=1e-14)
    padding = pydl.arange(7) >= pydl.tensor(lengths)[:, None]
    single = layer(args[0][:, 0], *args[1:], key_padding_mask=padding)
    np.testing.assert_allclose(numpy(single[0]), numpy(context[:, 0]), rtol=1e-12)
    assert tuple(single[1].shape) == (3, 7)
    args[0].requires_grad_()
    layer(*args, lengths=pydl.tensor(lengths))[0].sum().backward()
    assert all(np.isfinite(numpy(p.grad)).all() for p in (args[0], *layer.parameters()))


@pytest.mark.parametrize("score", nn.Attention.SCORES)
def test_scores_of_no_keys(score):
    layer, query, keys = nn.Attention(4, score=score), pydl.ones(2, 4), pydl.zeros(2, 0, 4)
    for hidden in ({}, {"lengths": [0, 0]}, {"key_padding_mask": pydl.zeros(2, 0, dtype=pydl.bool)}):
        context, weights = layer(query, keys, **hidden)
        assert context.tolist() == [[0] * 4] * 2 and tuple(weights.shape) == (2, 0)


def test_wrong_scores():
    with pytest.raises(ValueError, match="Attention: expected a score"):
        nn.Attention(4, score="cosine")
    with pytest.raises(ValueError, match="query_dim equal to key_dim"):
        nn.Attention(4, 5)
    layer, q, k = nn.Attention(4), pydl.zeros(2, 3, 4), pydl.zeros(2, 5, 4)
    for lengths, error in (([6, 1], ValueError), ([-1, 1], ValueError), ([1], pydl.ShapeError)):
        with pytest.raises(error, match="Attention: expected"):
            layer(q, k, lengths=pydl.tensor(lengths))
    with pytest.raises(pydl.ShapeError, match="key_padding_mask"):
        layer(q, k, key_padding_mask=pydl.zeros(2, 4, dtype=pydl.bool))
    with pytest.raises(pydl.ShapeError, match="queries"):
        layer(q[:1], k)


def test_positions():
    table = np.array([[f(t / 10000 ** (2 * (i // 2) / 6)) for i, f in enumerate([math.sin, math.cos] * 3)]
        for t in range(12)])
    x = draw(2, 9, 6)
    for batch_first in (True, False):
        layer = nn.PositionalEncoding(6, 12, batch_first=batch_first)
        y = pydl.from_numpy(x if batch_first else x.swapaxes(0, 1).copy())
        got = numpy(layer(y, offset=3))
        np.testing.assert_allclose(got if batch_first else got.swapaxes(0, 1), x + table[3:12], rtol=1e-5, atol=1e-6)
        assert not layer.state_dict()
    learned = nn.PositionalEncoding(6, 12, "learned")
    np.testing.assert_allclose(numpy(learned(pydl.from_numpy(x))), x + numpy(learned.weight)[:9], rtol=1e-6, atol=1e-7)
    assert nn.PositionalEncoding(5)(pydl.zeros(1, 3, 5)).shape == (1, 3, 5)
    for kind in ("sinusoidal", "rotary"):
        with pytest.raises(pydl.ShapeError, match="positions from 0 to 4"):
            nn.PositionalEncoding(6, 4, kind)(pydl.zeros(1, 3, 6), offset=2)
    with pytest.raises(ValueError, match="expected a kind"):
        nn.PositionalEncoding(6, kind="absolute")


@pytest.mark.parametrize(("options", "error"), [
    ({"d_model": 0}, ValueError), ({"d_model": "a"}, TypeError), ({"max_len": 0}, ValueError),
    ({"max_len": 2.5}, TypeError), ({"base": 0.0}, ValueError), ({"base": "a"}, ValueError),
    ({"dropout": 2.0}, ValueError), ({"dropout": "a"}, ValueError), ({"dtype": pydl.int64}, TypeError),
    ({"kind": "x"}, ValueError),
])  # fmt: skip
def test_wrong_positions(options, error):
    with pytest.raises(error, match=r"^PositionalEncoding: expected .*, got "):
        nn.PositionalEncoding(**{"d_model": 4} | options)
    layer = nn.PositionalEncoding(4)
    for call in (lambda: layer(pydl.zeros(1, 2, 4), 1.5), lambda: layer(pydl.zeros(1, 2, 4, dtype=pydl.int64))):
        with pytest.raises(TypeError, match=r"^PositionalEncoding: expected .*, got "):
            call()


def test_rotary_products_depend_on_distances():
    layer = nn.PositionalEncoding(8, 100, "rotary", dtype=pydl.float64)
    q, k = (pydl.from_numpy(draw(8, seed=s, dtype=np.float64)) for s in (1, 2))

    def product(i, j):
        return (layer(q[None], offset=i) * layer(k[None], offset=j)).sum().item()

    assert math.isclose(product(5, 2), product(60, 57)) and not math.isclose(product(5, 2), product(5, 3))
    assert math.isclose(product(9, 9), (q * k).sum().item())
    np.testing.assert_allclose(numpy(layer(q[None], offset=7)).reshape(4, 2)[1], [
        q[2].item() * math.cos(0.7) - q[3].item() * math.sin(0.7),
        q[2].item() * math.sin(0.7) + q[3].item() * math.cos(0.7)])


@pytest.mark.parametrize("dtype", [pydl.float32, pydl.float64], ids=str)
def test_a_row_masked_by_a_large_number_has_the_gradients_of_the_definition(dtype):
    q, k, v = (pydl.randn(1, 1, n, 4, dtype=dtype, requires_grad=True) for n in (2, 5, 5))
    mask = pydl.zeros(2, 5, dtype=dtype)
    mask[0] = -1e30
    got = pydl.autograd.grad(F.scaled_dot_product_attention(q, k, v, mask).sum(), (q, k, v))
    weights = (q @ k.mT / 2 + mask).softmax(-1)
    want = pydl.autograd.grad((weights @ v).sum(), (q, k, v))
    for one, two in zip(got, want):
        assert pydl.allclose(one, two, rtol=1e-4, atol=1e-6)


def test_masks_of_four_dimensions_for_queries_of_five():
    q = pydl.randn(3, 4, 2, 5, 8)
    mask = pydl.randn(4, 1, 5, 5) > 0
    mask[..., 0] = True
    got = F.scaled_dot_product_attention(q, q, q, mask)
    want = F.scaled_dot_product_attention(q, q, q, mask.expand(3, 4, 2, 5, 5))
    assert pydl.equal(got, want)


def test_there_is_one_implementation():
    q = pydl.randn(1, 2, 3, 4)
    want = F.scaled_dot_product_attention(q, q, q)
    for backends in (SDPBackend.MATH, [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]):
        with sdpa_kernel(backends):
            assert pydl.equal(F.scaled_dot_product_attention(q, q, q), want)
    for wrong in ("MATH", [5], None):
        with pytest.raises(AssertionError, match=r"^sdpa_kernel: expected .*, got "), sdpa_kernel(wrong):
            pass

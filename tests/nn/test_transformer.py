"""Transformers against PyTorch's, with its weights moved over: state, outputs, gradients, masks, generation."""
from __future__ import annotations

import numpy as np
import pytest
from twins import assert_same, copy_weights, numpy

import pydl
from pydl import nn

torch = pytest.importorskip("torch")

OPTIONS = [{}, {"norm_first": True}, {"batch_first": True, "activation": "gelu"}, {"bias": False},
    {"batch_first": True, "norm_first": True, "layer_norm_eps": 0.1}]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def twins(make):
    """The same module in both libraries, without dropout and with the same weights."""
    ours, theirs = make(pydl), make(torch)
    copy_weights(ours, theirs)
    return ours, theirs


def outcomes(lib, module, arrays, **kwargs):
    x = [lib.from_numpy(a.copy()).requires_grad_() for a in arrays]
    y = module(*x, **{k: lib.from_numpy(m.copy()) if isinstance(m, np.ndarray) else m for k, m in kwargs.items()})
    grads = lib.autograd.grad((y * y * y).sum(), [*x, *module.parameters()])
    return [y, *grads]


def compare(ours, theirs, arrays, **kwargs):
    got, want = outcomes(pydl, ours, arrays, **kwargs), outcomes(torch, theirs, arrays, **kwargs)
    for a, b in zip(got, want, strict=True):
        scale = max(1.0, float(abs(numpy(b)).max()))
        assert_same(a, b, 1e-4, 2e-5 * scale)


def causal(n):
    return np.triu(np.full((n, n), -np.inf, np.float32), 1)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_encoder(options, training):
    def make(lib):
        layer = lib.nn.TransformerEncoderLayer(16, 4, 32, 0.0, **options)
        kwargs = {"enable_nested_tensor": False} if lib is torch else {}
        return lib.nn.TransformerEncoder(layer, 2, lib.nn.LayerNorm(16), **kwargs).train(training)

    ours, theirs = twins(make)
    x = draw(*((3, 6) if options.get("batch_first") else (6, 3)), 16)
    padding = np.zeros((3, 6), bool)
    padding[2, 4:] = True
    for kwargs in ({}, {"mask": causal(6)}, {"mask": causal(6), "is_causal": True}, {"src_key_padding_mask": padding},
            {"mask": causal(6) < 0, "src_key_padding_mask": padding}):
        compare(ours, theirs, [x], **kwargs)
    compare(ours, theirs, [draw(6, 16)], mask=causal(6))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_decoder(options):
    def make(lib):
        return lib.nn.TransformerDecoder(lib.nn.TransformerDecoderLayer(16, 4, 32, 0.0, **options), 2)

    ours, theirs = twins(make)

    def sequence(n, seed):
        return draw(*((3, n) if options.get("batch_first") else (n, 3)), 16, seed=seed)

    padding = np.zeros((3, 7), bool)
    padding[1, 2:] = True
    for kwargs in ({}, {"tgt_mask": causal(5)}, {"tgt_mask": causal(5), "memory_key_padding_mask": padding},
            {"memory_mask": draw(5, 7)}, {"tgt_key_padding_mask": padding[:, :5]}):
        compare(ours, theirs, [sequence(5, 0), sequence(7, 1)], **kwargs)


@pytest.mark.parametrize("options", OPTIONS[:3], ids=str)
def test_transformer(options):
    ours, theirs = twins(lambda lib: lib.nn.Transformer(16, 4, 2, 2, 32, 0.0, **options))

    def sequence(n, seed):
        return draw(*((3, n) if options.get("batch_first") else (n, 3)), 16, seed=seed)

    padding = np.zeros((3, 7), bool)
    padding[1, 2:] = True
    compare(ours, theirs, [sequence(7, 0), sequence(5, 1)], tgt_mask=causal(5), src_key_padding_mask=padding,
        memory_key_padding_mask=padding)
    with pytest.raises(RuntimeError, match=r"Transformer: expected src and tgt of one batch size, got \d and \d"):
        ours(pydl.zeros(4, 3, 16), pydl.zeros(5, 2, 16) if not options.get("batch_first") else pydl.zeros(3, 2, 16))
    with pytest.raises(RuntimeError, match="Transformer: expected src and tgt of 16 features .* 15 and 16"):
        ours(pydl.zeros(4, 3, 15), pydl.zeros(4, 3, 16))


def test_attention_is_called_as_pytorch_calls_it():
    # Programs that show attention weights ask for them by keyword in a forward of their own, or in a hook.
    layers = nn.TransformerEncoderLayer(8, 2, 16), nn.TransformerDecoderLayer(8, 2, 16)
    for layer in layers:
        for attention in (m for m in layer.modules() if isinstance(m, nn.MultiheadAttention)):
            seen = []
            attention.register_forward_pre_hook(
                lambda module, args, kwargs: (args, kwargs | {"need_weights": True}), with_kwargs=True)
            attention.register_forward_hook(
                lambda module, args, output, seen=seen: seen.append((len(args), tuple(output[1].shape))))
            layer(*[pydl.zeros(3, 1, 8)] * (1 + (layer is layers[1])))
            assert seen == [(3, (1, 3, 3))]


def test_subsequent_mask():
    assert_same(*(lib.nn.Transformer.generate_square_subsequent_mask(4) for lib in (pydl, torch)))


def test_activation():
    def softened(x):
        return x.tanh()

    ours, theirs = twins(lambda lib: lib.nn.TransformerEncoderLayer(8, 2, 16, 0.0, softened))
    compare(ours, theirs, [draw(4, 2, 8)])
    with pytest.raises(RuntimeError, match="TransformerEncoderLayer: expected activation .* got 'tanh'"):
        nn.TransformerEncoderLayer(8, 2, 16, activation="tanh")


def test_dropout_in_training_only():
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.5)
    x = pydl.from_numpy(draw(4, 2, 8))
    assert not np.array_equal(numpy(layer(x)), numpy(layer(x)))
    layer.eval()
    assert np.array_equal(numpy(layer(x)), numpy(layer(x)))


def test_initial_values():
    """As PyTorch's: Xavier for the matrices of a Transformer, zeros for the projections' biases."""
    model = nn.Transformer(32, 4, 1, 1, 64)
    weight = model.encoder.layers[0].self_attn.in_proj_weight
    bound = (6 / (32 + 96)) ** 0.5
    assert 0.9 * bound < weight.abs().max().item() <= bound
    assert not model.encoder.layers[0].self_attn.in_proj_bias.any()
    assert [tuple(p.shape) for p in model.parameters()] == [
        tuple(p.shape) for p in torch.nn.Transformer(32, 4, 1, 1, 64).parameters()]


@pytest.mark.parametrize("norm_first", [True, False])
def test_generation(norm_first):
    """Token by token with caches equals the whole sequence at once, for an encoder and a decoder."""
    x, memory = (pydl.from_numpy(draw(2, 20, 16, seed=s)) for s in (0, 1))
    how = {"batch_first": True, "norm_first": norm_first}
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, **how), 2).eval()
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 4, 32, **how), 2).eval()

    def encode(x, **kwargs):
        return encoder(x, is_causal=True, **kwargs)

    def decode(x, **kwargs):
        return decoder(x, memory, tgt_is_causal=True, **kwargs)

    with pydl.no_grad():
        for run in (encode, decode):
            caches = [nn.KeyValueCache(4) for _ in range(2)]
            steps = [x[:, :5], *(x[:, t:t + 1] for t in range(5, 20))]
            got = np.concatenate([numpy(run(step, caches=caches)) for step in steps], 1)
            np.testing.assert_allclose(got, numpy(run(x)), rtol=1e-4, atol=1e-5)
        with pytest.raises(ValueError, match="a cache for each of 2 layers"):
            encode(x, caches=caches[:1])

"""Scaled dot-product attention, forward and backward, and what is built of it: a training step and generation."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from pydl.bench.case import Bar, Case, Group, Statement, normal
from pydl.bench.libraries import library
from pydl.bench.networks import jax_adam

# (tokens, heads, size of a head, batch)
SHAPES = (
    (128, 8, 64, 1), (128, 8, 64, 16), (128, 4, 32, 16), (512, 8, 64, 1), (512, 8, 64, 4), (512, 4, 32, 4),
    (2048, 8, 64, 1), (2048, 4, 32, 1),
)


def case(tokens: int, heads: int, size: int, batch: int, causal: bool, backward: bool) -> Case:
    x = normal(batch, heads, tokens, size)
    attention = f"F.scaled_dot_product_attention(q, k, v, is_causal={causal})"
    # JAX takes (batch, tokens, heads, size).
    jax = (f"jax.nn.dot_product_attention(*(x.swapaxes(1, 2) for x in (q, k, v)), is_causal={causal})"
           ".swapaxes(1, 2)")
    inputs, values = {"q": x, "k": x, "v": x}, batch * heads * tokens * size
    pairs = batch * heads * (tokens * (tokens + 1) // 2 if causal else tokens * tokens)
    passes = 7 if backward else 2  # products of a size and a pair: two forward, five backward
    return Case(
        f"{tokens} tokens, {heads} x {size}, batch {batch}{', and backward' if backward else ''}",
        f"lib.autograd.grad({attention}, (q, k, v), g)" if backward else attention,
        {**inputs, "g": x} if backward else inputs,
        jax=f"jax.vjp(lambda q, k, v: {jax}, q, k, v)[1](g)" if backward else jax,
        requires_grad=("q", "k", "v") if backward else (),
        flops=passes * 2 * pairs * size,
        reads=4 * values * (8 if backward else 3),
        writes=4 * values * (4 if backward else 1),
        tolerance=1e-3 if backward else 1e-4,
    )


def cases(causal: bool) -> list[Case]:
    return [case(*shape, causal, backward) for backward in (False, True) for shape in SHAPES]


# ---- a training step -------------------------------------------------------------------------------------------------
LAYERS, WIDTH, HEADS, HIDDEN, TOKENS, BATCH = 4, 256, 8, 1024, 128, 16
RATE = 1e-3


def weights() -> dict[str, np.ndarray]:
    """The parameters of the encoder, by PyTorch's names: the same for every library."""
    rng, found = np.random.default_rng(0), {}
    for i in range(LAYERS):
        for name, shape in (
            ("self_attn.in_proj_weight", (3 * WIDTH, WIDTH)), ("self_attn.in_proj_bias", (3 * WIDTH,)),
            ("self_attn.out_proj.weight", (WIDTH, WIDTH)), ("self_attn.out_proj.bias", (WIDTH,)),
            ("linear1.weight", (HIDDEN, WIDTH)), ("linear1.bias", (HIDDEN,)), ("linear2.weight", (WIDTH, HIDDEN)),
            ("linear2.bias", (WIDTH,)), ("norm1.weight", (WIDTH,)), ("norm1.bias", (WIDTH,)),
            ("norm2.weight", (WIDTH,)), ("norm2.bias", (WIDTH,)),
        ):
            values = rng.standard_normal(shape) * (shape[-1] ** -0.5 if len(shape) > 1 else 0.1)
            found[f"layers.{i}.{name}"] = (values + ("norm" in name and "weight" in name)).astype(np.float32)
    return found


def sequences() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal((BATCH, TOKENS, WIDTH)).astype(np.float32) for _ in range(2))
    return x, y


def encoder_step(name: str, compiled: bool = False) -> Statement | None:
    lib = library(name)
    if lib is None:
        return None
    layer = lib.nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, 0.0, batch_first=True)
    extra = {"enable_nested_tensor": False} if name == "torch" else {}
    model = lib.nn.TransformerEncoder(layer, LAYERS, **extra)
    model.load_state_dict({key: lib.from_numpy(value) for key, value in weights().items()})
    optimizer = lib.optim.Adam(model.parameters(), lr=RATE)
    x, y = (lib.from_numpy(a) for a in sequences())
    forward = lib.compile(model) if compiled else model

    def step() -> Any:
        optimizer.zero_grad()
        loss = lib.nn.functional.mse_loss(forward(x), y)
        loss.backward()
        optimizer.step()
        return loss

    if compiled:
        try:
            forward(x)
        except Exception:  # no compiler on this machine
            return None
    return Statement("step()", {"step": step}, "step()")


def jax_encoder_step() -> Statement | None:
    jax = library("jax")
    if jax is None:
        return None

    def norm(x: Any, p: dict, name: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        root = jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
        return centred * root * p[name + ".weight"] + p[name + ".bias"]

    def linear(x: Any, p: dict, name: str, joint: str = ".") -> Any:
        return x @ p[name + joint + "weight"].T + p[name + joint + "bias"]

    def loss_of(parameters: dict, x: Any, y: Any) -> Any:
        for i in range(LAYERS):
            start = f"layers.{i}."
            p = {key[len(start):]: value for key, value in parameters.items() if key.startswith(start)}
            qkv = linear(x, p, "self_attn.in_proj", "_").reshape(BATCH, TOKENS, 3, HEADS, -1)
            q, k, v = (qkv[:, :, i] for i in range(3))
            mixed = jax.nn.dot_product_attention(q, k, v).reshape(BATCH, TOKENS, WIDTH)
            x = norm(x + linear(mixed, p, "self_attn.out_proj"), p, "norm1")
            x = norm(x + linear(jax.nn.relu(linear(x, p, "linear1")), p, "linear2"), p, "norm2")
        return ((x - y) ** 2).mean()

    return Statement("step()", {"step": jax_adam(loss_of, weights(), *sequences(), rate=RATE)}, "step()")


ROWS, PARAMETERS = BATCH * TOKENS, LAYERS * (12 * WIDTH * WIDTH + 13 * WIDTH)
STEP_FLOPS = LAYERS * (3 * 2 * ROWS * 12 * WIDTH * WIDTH + 7 * 2 * ROWS * TOKENS * WIDTH) - 2 * ROWS * 3 * WIDTH * WIDTH


# ---- generation ------------------------------------------------------------------------------------------------------
GENERATED, VOCABULARY, DEPTH = 64, 256, 4


def generation(name: str) -> Statement | None:
    """Greedy generation of 64 tokens by a small GPT, batch 1: pydl's layers with caches; PyTorch's projections with
    keys and values in memory reserved beforehand, as its users write it."""
    lib = library(name)
    if lib is None:
        return None
    F = lib.nn.functional
    rng = np.random.default_rng(0)

    def tensor(*shape: int) -> Any:
        return lib.from_numpy((rng.standard_normal(shape) * 0.05).astype(np.float32))

    table, places, head = tensor(VOCABULARY, WIDTH), tensor(GENERATED, WIDTH), tensor(VOCABULARY, WIDTH)
    layers = [lib.nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, 0.0, batch_first=True, norm_first=True).eval()
              for _ in range(DEPTH)]
    for layer in layers:
        layer.load_state_dict({key: tensor(*value.shape) for key, value in layer.state_dict().items()})

    def with_caches() -> list[int]:
        caches, token, found = [lib.nn.KeyValueCache(GENERATED) for _ in layers], 0, []
        for t in range(GENERATED):
            x = (table[token] + places[t])[None, None]
            for layer, cache in zip(layers, caches, strict=True):
                x = layer(x, is_causal=True, cache=cache)
            token = int(F.linear(x[0, 0], head).argmax())
            found.append(token)
        return found

    def by_hand() -> list[int]:
        room, size = (1, HEADS, GENERATED, WIDTH // HEADS), WIDTH // HEADS
        memory, token, found = [(lib.empty(room), lib.empty(room)) for _ in layers], 0, []
        for t in range(GENERATED):
            x = (table[token] + places[t])[None, None]
            for layer, (keys, values) in zip(layers, memory, strict=True):
                a = layer.self_attn
                qkv = F.linear(layer.norm1(x), a.in_proj_weight, a.in_proj_bias).view(1, 1, 3, HEADS, size)
                q, keys[:, :, t], values[:, :, t] = qkv[:, :, 0].transpose(1, 2), qkv[:, 0, 1], qkv[:, 0, 2]
                mixed = F.scaled_dot_product_attention(q, keys[:, :, :t + 1], values[:, :, :t + 1])
                x = x + a.out_proj(mixed.transpose(1, 2).reshape(1, 1, WIDTH))
                x = x + layer.linear2(F.relu(layer.linear1(layer.norm2(x))))
            token = int(F.linear(x[0, 0], head).argmax())
            found.append(token)
        return found

    return Statement("run()", {"run": with_caches if name == "pydl" else by_hand}, context=lib.no_grad)


GROUPS = [
    Group("attention", "Scaled dot-product attention, float32, forward and then forward and backward", cases(False),
          (Bar("mean", 1.5), Bar("each", 1.1))),
    Group("attention-causal", "Causal attention, float32, forward and then forward and backward", cases(True),
          (Bar("mean", 2.2), Bar("each", 1.1))),
    Group(
        "encoder",
        "Training step of four encoder layers of 256 (8 heads, 1024 wide), 128 tokens, batch 16, Adam",
        [
            Case(
                "encoder step",
                flops=STEP_FLOPS,
                reads=4 * PARAMETERS * 6,
                writes=4 * PARAMETERS * 4,
                tolerance=1e-3,
                setups={
                    "pydl": partial(encoder_step, "pydl"),
                    "torch": partial(encoder_step, "torch"),
                    "torch compiled": partial(encoder_step, "torch", compiled=True),
                    "jax": jax_encoder_step,
                },
            )
        ],
        (Bar("each", 1.4),),
    ),
    Group(
        "generation",
        "64 tokens of a GPT of four layers of 256, batch 1, with a cache",
        [
            Case(
                "generation",
                flops=GENERATED * 2 * DEPTH * 12 * WIDTH * WIDTH,
                reads=GENERATED * 4 * DEPTH * 12 * WIDTH * WIDTH,
                setups={"pydl": partial(generation, "pydl"), "torch": partial(generation, "torch")},
            )
        ],
        (Bar("each", 2.0),),
    ),
]

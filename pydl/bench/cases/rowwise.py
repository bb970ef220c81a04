"""Softmax, log-softmax, layer norm and cross-entropy: forward, and the backward that autograd runs."""

from __future__ import annotations

from pydl.bench.case import Bar, Case, Group, integers, normal
from pydl.bench.cases.reductions import LARGE

SHAPES = ((128, 10), (32, 1000), (1024, 512), (4096, 1024))
NUMPY_SOFTMAX = "(e := np.exp(x - x.max(-1, keepdims=True))) / e.sum(-1, keepdims=True)"
NUMPY_LOG_SOFTMAX = "(z := x - x.max(-1, keepdims=True)) - np.log(np.exp(z).sum(-1, keepdims=True))"
JAX_LAYER_NORM = "((x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * w + b)"
JAX_CROSS_ENTROPY = "-jnp.take_along_axis(jax.nn.log_softmax(x), t[:, None], 1).mean()"


def cases(rows: int, cols: int) -> list[Case]:
    shape, size = f"{rows}x{cols}", 4 * rows * cols
    x, g, w, b, t = normal(rows, cols), normal(rows, cols), normal(cols), normal(cols), integers(cols, rows)
    grad = "lib.autograd.grad({0}, {1}, g)"
    vjp = "jax.vjp(lambda {1}: {0}, {1})[1](g)"
    norm = "F.layer_norm(x, x.shape[-1:], w, b)"
    affine = {"x": x, "w": w, "b": b}
    return [
        Case(
            f"softmax {shape}",
            "F.softmax(x, -1)",
            {"x": x},
            NUMPY_SOFTMAX,
            "jax.nn.softmax(x)",
            reads=size,
            writes=size,
        ),
        Case(
            f"softmax {shape}, forward and backward",
            grad.format("F.softmax(x, -1)", "(x,)"),
            {"x": x, "g": g},
            jax=vjp.format("jax.nn.softmax(x)", "x"),
            requires_grad=("x",),
            reads=3 * size,
            writes=2 * size,
        ),
        Case(
            f"log_softmax {shape}",
            "F.log_softmax(x, -1)",
            {"x": x},
            NUMPY_LOG_SOFTMAX,
            "jax.nn.log_softmax(x)",
            reads=size,
            writes=size,
        ),
        Case(
            f"log_softmax {shape}, forward and backward",
            grad.format("F.log_softmax(x, -1)", "(x,)"),
            {"x": x, "g": g},
            jax=vjp.format("jax.nn.log_softmax(x)", "x"),
            requires_grad=("x",),
            reads=3 * size,
            writes=2 * size,
        ),
        Case(
            f"layer_norm {shape}",
            norm,
            affine,
            "(x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + np.float32(1e-5)) * w + b",
            JAX_LAYER_NORM,
            reads=size,
            writes=size,
        ),
        Case(
            f"layer_norm {shape}, forward and backward",
            grad.format(norm, "(x, w, b)"),
            {**affine, "g": g},
            jax=vjp.format(JAX_LAYER_NORM, "x, w, b"),
            requires_grad=("x", "w", "b"),
            reads=3 * size,
            writes=2 * size,
            tolerance=1e-3,
        ),
        Case(
            f"cross_entropy {shape}",
            "F.cross_entropy(x, t)",
            {"x": x, "t": t},
            f"-np.take_along_axis({NUMPY_LOG_SOFTMAX}, t[:, None], 1).mean()",
            JAX_CROSS_ENTROPY,
            reads=size,
        ),
        Case(
            f"cross_entropy {shape}, forward and backward",
            "lib.autograd.grad(F.cross_entropy(x, t), (x,))",
            {"x": x, "t": t},
            jax=f"jax.grad(lambda x: {JAX_CROSS_ENTROPY})(x)",
            requires_grad=("x",),
            reads=2 * size,
            writes=size,
        ),
    ]


GROUPS = [
    Group(
        "rowwise",
        "Softmax, layer norm, cross-entropy, float32",
        [case for shape in SHAPES for case in cases(*shape)],
        (
            Bar("mean", 1.5),
            Bar("each", 1.0, where=lambda case: case.bytes <= LARGE, note="up to 8 MiB"),
            Bar("each", 0.95, where=lambda case: case.bytes > LARGE, note="over 8 MiB"),
        ),
    ),
]

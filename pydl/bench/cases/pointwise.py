"""Pointwise operators at three sizes: where calls, caches and memory decide."""

from __future__ import annotations

from pydl.bench.case import Bar, Case, Group, Input, booleans, normal, uniform

KI, MI = 1024, 1024 * 1024


def cases(n: int) -> list[Case]:
    def case(
        name: str, code: str, numpy: str | None, jax: str, reads: int = 4, writes: int = 4, **inputs: Input
    ) -> Case:
        """`reads` and `writes` are bytes per element."""
        return Case(name, code, inputs, numpy, jax, reads=reads * n, writes=writes * n)

    x, y, positive, condition = normal(n), normal(n), uniform(n, low=0.1, high=10.0), booleans(n)
    return [
        case("add", "x + y", "x + y", "x + y", 8, x=x, y=y),
        case("multiply", "x * y", "x * y", "x * y", 8, x=x, y=y),
        case("divide", "x / y", "x / y", "x / y", 8, x=x, y=positive),
        case("add a number", "x + 1.5", "x + np.float32(1.5)", "x + 1.5", x=x),
        case("maximum", "lib.maximum(x, y)", "np.maximum(x, y)", "jnp.maximum(x, y)", 8, x=x, y=y),
        case("exp", "lib.exp(x)", "np.exp(x)", "jnp.exp(x)", x=x),
        case("log", "lib.log(x)", "np.log(x)", "jnp.log(x)", x=positive),
        case("sqrt", "lib.sqrt(x)", "np.sqrt(x)", "jnp.sqrt(x)", x=positive),
        case("tanh", "lib.tanh(x)", "np.tanh(x)", "jnp.tanh(x)", x=x),
        case("sigmoid", "lib.sigmoid(x)", "1 / (1 + np.exp(-x))", "jax.nn.sigmoid(x)", x=x),
        case("relu", "lib.relu(x)", "np.maximum(x, 0)", "jax.nn.relu(x)", x=x),
        case("gelu", "F.gelu(x)", None, "jax.nn.gelu(x, approximate=False)", x=x),
        case(
            "where",
            "lib.where(c, x, y)",
            "np.where(c, x, y)",
            "jnp.where(c, x, y)",
            9,
            c=condition,
            x=x,
            y=y,
        ),
        case("less", "x < y", "x < y", "x < y", 8, 1, x=x, y=y),
        case("to float64", "x.to(lib.float64)", "x.astype(np.float64)", "x.astype(jnp.float64)", 4, 8, x=x),
        case("to bfloat16", "x.to(lib.bfloat16)", None, "x.astype(jnp.bfloat16)", 4, 2, x=x),
        case("to int32", "x.to(lib.int32)", "x.astype(np.int32)", "x.astype(jnp.int32)", 4, 4, x=x),
    ]


GROUPS = [
    Group("pointwise-1Ki", "Pointwise, 1 Ki elements", cases(KI), (Bar("mean", 3.0),)),
    Group("pointwise-64Ki", "Pointwise, 64 Ki elements", cases(64 * KI), (Bar("mean", 1.3),)),
    Group("pointwise-4Mi", "Pointwise, 4 Mi elements", cases(4 * MI), (Bar("each", 0.95), Bar("share", 0.9))),
]

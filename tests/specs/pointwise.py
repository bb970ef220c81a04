"""Pointwise operators of one tensor and its parameters: one line each."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .spec import ALL, ANY_FLOAT, FLOATS, INTS, NUMBERS, Call, call, literal, op, t

# Lengths around every vector width, and the shapes that loops forget.
LENGTHS = (0, 1, 15, 16, 17, 31, 33, 255, 256, 257)
SHAPES = ((), *((n,) for n in LENGTHS), (3, 5), (2, 0, 3), (1, 1, 7), (5, 1, 3), (8, 33))
LAYOUTS = (t(9, 17, layout="transposed"), t(5, 33, layout="stepped"), t(4, 17, layout="expanded"),
           t(33, layout="offset"), t(2, 3, 17, layout="transposed"), t(3, 4, layout="transposed"))
SPECIAL = literal([0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan, 1e-4, -1e-4, 60000.0,
    -60000.0, 20.0])

# Enough elements to cross every threading threshold, and not a multiple of any chunk.
LARGE = 200_003


def one_input(**kwargs: Any) -> list[Call]:
    return [call(t(*s), **kwargs) for s in SHAPES] + [call(x, **kwargs) for x in LAYOUTS]


def unary(name: str, ref: Callable, special: bool = True, **fields: Any) -> None:
    calls = one_input()
    if special:
        calls.append(call(SPECIAL, only=ANY_FLOAT, grad=False))
    if fields.get("result", "float") == "float":
        ref = in_float64(ref)
    op(name, ref, calls, **{"dtypes": ALL, "result": "float", "grad": True, "forms": "mfio", "pointwise": True,
                            "large": call(t(LARGE)), "family": "pointwise"} | fields)


def in_float64(ref: Callable) -> Callable:
    """Integers and booleans are inputs of a function over the reals."""
    return lambda x, *args, **kwargs: ref(np.asarray(x, float), *args, **kwargs)


def exact(name: str, ref: Callable, **fields: Any) -> None:
    """No rounding at all; integers stay integers."""
    unary(name, ref, **{"eps": 0, "half_eps": 0, "result": "same", "dtypes": NUMBERS} | fields)


def predicate(name: str, ref: Callable, **fields: Any) -> None:
    unary(name, ref, **{"eps": 0, "half_eps": 0, "result": "bool", "grad": False, "forms": "mf"} | fields)


def activation(name: str, ref: Callable, params: tuple[dict, ...] = ({},), **fields: Any) -> None:
    """nn.functional: floats only, called as a function."""
    calls = [c for p in params for c in one_input(**p)] + [call(SPECIAL, **p, grad=False) for p in params]
    op("nn.functional." + name, ref, calls, **{"dtypes": ANY_FLOAT, "grad": True, "forms": "f", "pointwise": True,
                                               "large": call(t(LARGE), **params[0]), "family": "pointwise"} | fields)


def each(f: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    """A function of one number from the standard library, applied to every element; NaN where it refuses."""
    def safe(x: float) -> float:
        try:
            return f(x)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf
    return lambda x: np.array([safe(float(v)) for v in np.ravel(x)], float).reshape(np.shape(x))


def lgamma(x: float) -> float:
    if x <= 0 and x == math.floor(x) or math.isinf(x):
        return math.inf
    return math.lgamma(x)


def digamma(x: float) -> float:
    """Reflection, recurrence up to 12, then the asymptotic series."""
    if x == 0:
        return math.copysign(math.inf, -x)
    if x < 0:
        if x == math.floor(x):
            return math.nan
        return digamma(1 - x) - math.pi / math.tan(math.pi * math.fmod(x, 1.0))
    shift = 0.0
    while x < 12:
        shift -= 1 / x
        x += 1
    r = 1 / (x * x) if math.isfinite(x) else 0.0
    series = r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r * (1 / 132 - r * 691 / 32760)))))
    return shift + math.log(x) - (0.5 / x if math.isfinite(x) else 0.0) - series


def erfinv(y: float) -> float:
    """Newton on erf, with erfc near one."""
    if abs(y) >= 1:
        return math.copysign(math.inf, y) if abs(y) == 1 else math.nan
    x = math.copysign(math.sqrt(max(0.0, -math.log1p(-y * y))), y) * 0.9
    for _ in range(60):
        error = math.erf(x) - y if abs(y) < 0.9 else math.copysign(1, y) * ((1 - abs(y)) - math.erfc(abs(x)))
        x -= error * math.sqrt(math.pi) / 2 * math.exp(x * x)
    return x


def sign(x: np.ndarray) -> np.ndarray:
    return np.asarray((x > 0) * 1 - (x < 0) * 1, float)  # zero for NaN, as PyTorch


def xlog(x: np.ndarray) -> np.ndarray:
    return np.where(x == 0, 0.0, x * np.log(np.where(x == 0, 1.0, x)))


def round_half_even(x: np.ndarray, decimals: int = 0) -> np.ndarray:
    return np.rint(x * 10.0**decimals) / 10.0**decimals


def logaddexp0(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def normal_cdf(x: np.ndarray) -> np.ndarray:
    return 0.5 * each(math.erfc)(-x / math.sqrt(2))


# ---- Exact -----------------------------------------------------------------------------------------------------------
exact("abs", np.abs, kinks=(0,), aliases=("absolute",))
exact("neg", np.negative, aliases=("negative",))
exact("positive", lambda x: x, forms="mf")
exact("sign", sign, kinks=(0,), dtypes=ALL)
exact("sgn", sign, kinks=(0,), dtypes=ALL)
exact("ceil", np.ceil, kinks=tuple(range(-5, 6)))
exact("floor", np.floor, kinks=tuple(range(-5, 6)))
exact("trunc", np.trunc, kinks=tuple(range(-5, 6)), aliases=("fix",))
exact("round", round_half_even, kinks=tuple(k + 0.5 for k in range(-5, 5)))
exact("square", lambda x: x * x, eps=1, half_eps=1, dtypes=ALL, result=lambda d, c: "int64" if d == "bool" else d)
exact("frac", lambda x: x - np.trunc(x), kinks=tuple(range(-5, 6)), dtypes=ANY_FLOAT)
exact("nan_to_num", lambda x: x, special=False, dtypes=ALL)
exact("bitwise_not", np.invert, dtypes=(*INTS, "bool"), grad=False)
exact("clone", lambda x: x, dtypes=ALL, forms="mf")
op("round", round_half_even, [call(t(17), decimals=2), call(t(3, 5), decimals=-1), call(t(5, 7, layout="transposed"),
    decimals=1)], variant="decimals", dtypes=FLOATS, domain=(-40, 40), eps=2, forms="mfio", pointwise=True,
    family="pointwise", magnitude="one")

# ---- Predicates ------------------------------------------------------------------------------------------------------
predicate("isfinite", np.isfinite)
predicate("isinf", np.isinf)
predicate("isnan", np.isnan)
predicate("isneginf", np.isneginf, forms="mfo")
predicate("isposinf", np.isposinf, forms="mfo")
predicate("isreal", lambda x: np.ones(np.shape(x), bool))
predicate("signbit", np.signbit, forms="mfo")
predicate("logical_not", lambda x: x == 0, forms="mfio")

# ---- Powers, exponentials, logarithms --------------------------------------------------------------------------------
unary("reciprocal", lambda x: 1 / x, eps=1, half_eps=1, kinks=(0,))
unary("sqrt", np.sqrt, domain=(0.01, 9), eps=1, half_eps=1)
unary("rsqrt", lambda x: 1 / np.sqrt(x), domain=(0.01, 9), eps=2)
unary("exp", np.exp, domain=(-9, 9))
unary("exp2", np.exp2, domain=(-9, 9))
unary("expm1", np.expm1)
unary("log", np.log, domain=(0.01, 99))
unary("log2", np.log2, domain=(0.01, 99))
unary("log10", np.log10, domain=(0.01, 99))
unary("log1p", np.log1p, domain=(-0.9, 9))
unary("logit", lambda x: np.log(x / (1 - x)), domain=(0.01, 0.99), dtypes=ANY_FLOAT, magnitude="one", special=False)
unary("sigmoid", sigmoid, aliases=("special.expit",))

# ---- Trigonometric and hyperbolic ------------------------------------------------------------------------------------
unary("sin", np.sin, magnitude="one")
unary("cos", np.cos, magnitude="one")
unary("tan", np.tan, domain=(-1.4, 1.4), magnitude="one")
unary("asin", np.arcsin, domain=(-0.95, 0.95), aliases=("arcsin",))
unary("acos", np.arccos, domain=(-0.95, 0.95), aliases=("arccos",))
unary("atan", np.arctan, aliases=("arctan",))
unary("sinh", np.sinh)
unary("cosh", np.cosh)
unary("tanh", np.tanh)
unary("asinh", np.arcsinh, aliases=("arcsinh",))
unary("acosh", np.arccosh, domain=(1.05, 9), aliases=("arccosh",))
unary("atanh", np.arctanh, domain=(-0.95, 0.95), aliases=("arctanh",))
unary("sinc", np.sinc, kinks=(0,), magnitude="one")
unary("deg2rad", lambda x: x * (math.pi / 180), eps=2)
unary("rad2deg", lambda x: x * (180 / math.pi), eps=2)
unary("angle", lambda x: np.where(np.isnan(x), np.nan, np.where(x < 0, math.pi, 0.0)), forms="mfo", kinks=(0,),
    special=False)

# ---- Special functions -----------------------------------------------------------------------------------------------
unary("erf", each(math.erf), aliases=("special.erf",))
unary("erfc", each(math.erfc), aliases=("special.erfc",), grad_eps=256)
unary("erfinv", each(erfinv), domain=(-0.999, 0.999))
op("erfinv", each(erfinv), [call(t(257)), call(t(33, low=-0.9999999, high=-0.9999))], variant="tails",
    domain=(0.99, 0.9999999), forms="mfio", pointwise=True, family="pointwise")
unary("lgamma", each(lgamma), domain=(0.1, 40), magnitude="one", eps=8)
unary("digamma", each(digamma), domain=(0.2, 9), magnitude="one", eps=16, special=False, torch_eps=2e6)
unary("i0", lambda x: np.i0(x), eps=16, special=False)
unary("special.entr", lambda x: np.where(x < 0, -np.inf, -xlog(np.maximum(x, 0))), domain=(0.05, 4), forms="fo",
    magnitude="one", special=False)
unary("special.ndtr", normal_cdf, forms="fo", eps=16, magnitude="one")


def bessel_i1(x: np.ndarray) -> np.ndarray:
    """The mean of exp(x cos t) cos t over half a period; the trapezoidal rule converges geometrically."""
    cosines = np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    return np.mean(np.exp(np.multiply.outer(x, cosines)) * cosines, axis=-1)


BESSEL = {"forms": "fo", "eps": 16, "magnitude": "one", "special": False, "dtypes": (*FLOATS, *INTS)}
unary("special.i1", bessel_i1, **BESSEL)
unary("special.i0e", lambda x: np.exp(-np.abs(x)) * np.i0(x), **BESSEL)
unary("special.i1e", lambda x: np.exp(-np.abs(x)) * bessel_i1(x), **BESSEL)

# ---- Activations -----------------------------------------------------------------------------------------------------
def softplus(x: np.ndarray, beta: float = 1, threshold: float = 20) -> np.ndarray:
    return np.where(x * beta > threshold, x, logaddexp0(x * beta) / beta)


def gelu(x: np.ndarray, approximate: str = "none") -> np.ndarray:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * normal_cdf(x)


def clip(x: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.where(x < low, low, np.where(x > high, high, x))


def elu(x: np.ndarray, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> np.ndarray:
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) * input_scale))


unary("relu", lambda x: np.where(x < 0, 0 * x, x) * 1, dtypes=NUMBERS, result="same", eps=0, half_eps=0, kinks=(0,),
    forms="mfi", special=False, aliases=("nn.functional.relu",))
unary("selu", lambda x: elu(x, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946), dtypes=ANY_FLOAT,
      forms="f", kinks=(0,), magnitude="one", aliases=("nn.functional.selu",))
activation("relu6", lambda x: clip(x, 0, 6), kinks=(0, 6), domain=(-3, 9), eps=0, half_eps=0)
activation("elu", elu, ({}, {"alpha": 0.5}), kinks=(0,))
activation("celu", lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)),
    ({}, {"alpha": 2.0}), kinks=(0,))
activation("leaky_relu", lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
    ({}, {"negative_slope": 0.2}), kinks=(0,))
activation("gelu", gelu, ({}, {"approximate": "tanh"}), eps=8, magnitude="one", grad_eps=256)
activation("silu", lambda x: x * sigmoid(x), eps=8, magnitude="one")
activation("mish", lambda x: x * np.tanh(logaddexp0(x)), eps=8, magnitude="one")
activation("softplus", softplus, ({}, {"beta": 2.0, "threshold": 5.0}), eps=8, magnitude="one", kinks=(2.5,))
activation("softsign", lambda x: x / (1 + np.abs(x)))
activation("tanhshrink", lambda x: x - np.tanh(x), magnitude="one")
activation("softshrink", lambda x, lambd=0.5: np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, 0 * x)),
           ({}, {"lambd": 1.0}), kinks=(-1, -0.5, 0.5, 1), magnitude="one")
activation("hardshrink", lambda x, lambd=0.5: np.where(np.abs(x) <= lambd, 0, x), ({}, {"lambd": 1.0}),
    kinks=(-1, -0.5, 0.5, 1))
activation("hardtanh", lambda x, min_val=-1.0, max_val=1.0: clip(x, min_val, max_val),
    ({}, {"min_val": -2.0, "max_val": 0.5}), kinks=(-2, -1, 0.5, 1))
activation("hardsigmoid", lambda x: clip(x + 3, 0, 6) / 6, kinks=(-3, 3), magnitude="one", torch_eps=2e8)
activation("hardswish", lambda x: x * clip(x + 3, 0, 6) / 6, kinks=(-3, 3), magnitude="one")
activation("logsigmoid", lambda x: -logaddexp0(-x), eps=8, magnitude="one")
activation("threshold", lambda x, threshold, value: np.where(x <= threshold, value, x),
    ({"threshold": 0.5, "value": -2.0},), kinks=(0.5,))

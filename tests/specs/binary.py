"""Pointwise operators of two or three tensors: broadcasting, scalars, comparison, logic, bits."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .pointwise import LARGE
from .spec import ALL, ANY_FLOAT, BOOL, FLOATS, INTS, NUMBERS, Call, call, literal, mask, op, t

# Broadcasting in every position, lengths around the vector width, empty and zero-dim operands, layouts that differ.
PAIRS = (((), ()), ((17,), (17,)), ((33,), ()), ((), (5, 3)), ((3, 1), (1, 5)), ((4, 3, 5), (3, 1)),
    ((2, 1, 4), (3, 1)), ((0, 3), (1, 3)), ((0,), (1,)), ((31,), (1,)), ((15,), (15,)), ((16,), (16,)),
    ((257,), (257,)), ((5, 33), (33,)), ((5, 33), (5, 1)), ((2, 3, 4, 5), (3, 1, 5)))
LAYOUT_PAIRS = (((9, 17), (9, 17), "transposed", "contiguous"), ((9, 17), (17,), "transposed", "stepped"),
                ((5, 33), (5, 33), "stepped", "transposed"), ((6, 17), (6, 17), "expanded", "contiguous"),
                ((33,), (33,), "offset", "stepped"), ((3, 4), (3, 4), "transposed", "transposed"))
INTEGRAL = (*INTS, *BOOL)
SIGNED = tuple(d for d in NUMBERS if d != "uint8")


def two_inputs(low: float | None = None, high: float | None = None, scalars: tuple = (2,), **kwargs: Any) -> list[Call]:
    """Pairs of tensors, the second drawn from [low, high]; then a tensor with each Python number."""
    calls = [call(t(*a), t(*b, low=low, high=high), **kwargs) for a, b in PAIRS]
    calls += [call(t(*a, layout=la), t(*b, low=low, high=high, layout=lb), **kwargs) for a, b, la, lb in LAYOUT_PAIRS]
    for s in scalars:
        only = ANY_FLOAT if isinstance(s, float) else NUMBERS
        calls += [call(t(17), s, only=only, **kwargs), call(t(3, 5, layout="transposed"), s, only=only, **kwargs)]
    return calls


def binary(name: str, ref: Callable, low: float | None = None, high: float | None = None, scalars: tuple = (2,),
           **fields: Any) -> None:
    op(name, ref, two_inputs(low, high, scalars), **{"dtypes": NUMBERS, "grad": True, "forms": "mfio",
        "pointwise": True, "family": "binary", "eps": 1, "half_eps": 1,
        "large": call(t(LARGE), t(LARGE, low=low, high=high))} | fields)


def comparison(name: str, ref: Callable, **fields: Any) -> None:
    binary(name, ref, scalars=(1, 0.5), dtypes=ALL, result="bool", grad=False, domain=(-2, 2), eps=0, half_eps=0,
        **fields)


def bitwise(name: str, ref: Callable, dtypes: tuple = INTEGRAL, **fields: Any) -> None:
    binary(name, ref, dtypes=dtypes, grad=False, domain=(-99, 99), **fields)


# ---- Arithmetic ------------------------------------------------------------------------------------------------------
def floor_mod(x: np.ndarray, y: Any) -> np.ndarray:
    return np.fmod(x, y) + np.where((np.fmod(x, y) != 0) & (np.sign(np.fmod(x, y)) != np.sign(y)), y, 0)


def divide(x: np.ndarray, y: Any, rounding_mode: str | None = None) -> np.ndarray:
    return {None: np.asarray, "floor": np.floor, "trunc": np.trunc}[rounding_mode](x / y)


binary("add", np.add, scalars=(2, 0.5), dtypes=ALL, magnitude="abs")
binary("sub", np.subtract, scalars=(2, 0.5), magnitude="one", aliases=("subtract",))
binary("mul", np.multiply, scalars=(2, 0.5), dtypes=ALL, aliases=("multiply",))
binary("div", divide, 0.5, 4, (2, 0.25), result="float", aliases=("divide", "true_divide"))
op("add", lambda x, y, alpha: x + alpha * y, two_inputs(alpha=3), variant="alpha", dtypes=NUMBERS, grad=True,
    forms="mfio", pointwise=True, family="binary", magnitude="one", eps=2)
op("sub", lambda x, y, alpha: x - alpha * y, two_inputs(alpha=2), variant="alpha", dtypes=NUMBERS, grad=True,
    forms="mfio", pointwise=True, family="binary", magnitude="one", eps=4)
op("rsub", lambda x, y, alpha=1: y - alpha * x, two_inputs(scalars=(2, 0.5)), dtypes=NUMBERS, grad=True, forms="f",
    pointwise=True, family="binary", magnitude="one", large=call(t(LARGE), t(LARGE)))
op("div", divide, two_inputs(0.6, 4, scalars=(2,), rounding_mode="floor"), variant="floor", dtypes=NUMBERS,
    forms="mfio", pointwise=True, family="binary")
op("div", divide, two_inputs(0.6, 4, scalars=(2,), rounding_mode="trunc"), variant="trunc",
   dtypes=NUMBERS, forms="mfio", pointwise=True, family="binary")
binary("floor_divide", np.floor_divide, 0.6, 4, grad=False)
binary("remainder", floor_mod, 0.6, 4, magnitude="one", eps=4, half_eps=2, grad=True, forms="mfio")
binary("fmod", np.fmod, 0.6, 4, magnitude="one", eps=4, half_eps=2)
binary("pow", np.power, 0, 3, (2, 3, 0.5), domain=(0.2, 4), eps=4, magnitude="one")
op("pow", lambda x, y: np.asarray(x, float) ** y, [call(x, t(17)) for x in (2, 0.5)]
    + [call(3.0, t(5, 33, layout="transposed"))], variant="scalar_base", dtypes=FLOATS, grad=True, forms="mfio",
    pointwise=True, family="binary")
binary("float_power", lambda x, y: np.power(np.asarray(x, float), y), -2, 3, (2, 0.5), domain=(0.2, 4), eps=4,
       result="float64", dtypes=(*FLOATS, *INTS))
binary("atan2", np.arctan2, scalars=(), magnitude="one", eps=4, half_eps=2, result="float", aliases=("arctan2",))
binary("hypot", np.hypot, dtypes=FLOATS, eps=2, scalars=())
binary("copysign", np.copysign, scalars=(-1.0,), result="float", kinks=(0,))
binary("ldexp", lambda x, y: x * 2.0**y, -3, 3, (), dtypes=FLOATS, forms="mfio")
binary("nextafter", np.nextafter, dtypes=("float64",), scalars=(), grad=False, eps=0)
binary("heaviside", np.heaviside, scalars=(), grad=False, dtypes=NUMBERS)
binary("xlogy", lambda x, y: np.where(x == 0, 0.0, x * np.log(y)), 0.1, 9, (2,), result="float", eps=4, magnitude="one",
       aliases=("special.xlogy",))
op("special.xlog1py", lambda x, y: np.where(x == 0, 0.0, x * np.log1p(y)), two_inputs(-0.5, 9, scalars=()),
    dtypes=FLOATS, grad=True, forms="fo", pointwise=True, family="binary", magnitude="one")
binary("logaddexp", np.logaddexp, dtypes=FLOATS, scalars=(), eps=4, magnitude="one", forms="mfo")
binary("logaddexp2", np.logaddexp2, dtypes=FLOATS, scalars=(), eps=8, magnitude="one", forms="mfo")
binary("gcd", np.gcd, dtypes=INTS, grad=False, domain=(-60, 60), scalars=())
binary("lcm", np.lcm, dtypes=("int32", "int64"), grad=False, domain=(-60, 60), scalars=())

# ---- Maxima and clamping ---------------------------------------------------------------------------------------------
binary("maximum", np.maximum, scalars=(), dtypes=ALL, forms="mfo")
binary("minimum", np.minimum, scalars=(), dtypes=ALL, forms="mfo")
binary("fmax", np.fmax, scalars=(), forms="mfo")
binary("fmin", np.fmin, scalars=(), forms="mfo")


def clamp(x: np.ndarray, min: Any = None, max: Any = None) -> np.ndarray:
    x = x if min is None else np.where(x < min, min, x)
    return x if max is None else np.where(x > max, max, x)


op("clamp", clamp, [call(t(*s), 1, 2) for s in ((), (0,), (17,), (257,), (3, 5))] + [call(t(33), min=-1, only=SIGNED),
    call(t(33), max=1)] + [call(t(5, 33, layout="transposed"), min=t(33, low=0, high=1), max=t(5, 1, low=1, high=3)),
    call(t(17), t(17, low=0, high=2))] + [call(t(17), -0.25, 0.75, only=FLOATS),
    call(literal([np.nan, 5.0, -5.0], grad=False), -1.0, 1.0, only=ANY_FLOAT, grad=False)], dtypes=NUMBERS,
    domain=(-4, 4), kinks=(-1, -0.25, 0.75, 1, 2), grad=True, forms="mfio", pointwise=True, eps=0, half_eps=0,
    family="binary", aliases=("clip",), large=call(t(LARGE), -1, 2))
op("clamp_min", clamp, [call(t(17), 1), call(t(3, 5), t(5))], dtypes=NUMBERS, kinks=(1,), grad=True,
   forms="mfio", pointwise=True, eps=0, half_eps=0, family="binary")
op("clamp_max", lambda x, max: clamp(x, None, max), [call(t(17), 1), call(t(3, 5), t(5))], dtypes=NUMBERS, kinks=(1,),
    grad=True, forms="mfio", pointwise=True, eps=0, half_eps=0, family="binary")

# ---- Comparison ------------------------------------------------------------------------------------------------------
comparison("eq", np.equal, forms="mfio")
comparison("ne", np.not_equal, aliases=("not_equal",))
comparison("lt", np.less, aliases=("less",))
comparison("le", np.less_equal, aliases=("less_equal",))
comparison("gt", np.greater, aliases=("greater",))
comparison("ge", np.greater_equal, aliases=("greater_equal",))


def isclose(x: np.ndarray, y: np.ndarray, rtol: float = 1e-5, atol: float = 1e-8,
        equal_nan: bool = False) -> np.ndarray:
    both_nan = np.isnan(x) & np.isnan(y) if equal_nan else False
    return (x == y) | ((np.abs(x - y) <= atol + rtol * np.abs(y)) & np.isfinite(y)) | both_nan


NEARLY = literal([1.0, 2.0, np.inf, -np.inf, np.nan, 0.0, 1e-9]), literal([1.000001, 2.1, np.inf, np.inf, np.nan, 1e-9,
    -1e-9])
op("isclose", isclose, [call(*NEARLY), call(*NEARLY, equal_nan=True), call(*NEARLY, rtol=0.1),
    call(t(17), t(17), atol=3.0)], dtypes=FLOATS, result="bool", pointwise=True, family="binary")
op("allclose", lambda *a, **k: np.all(isclose(*a, **k)), [call(t(3, 5), t(3, 5)), call(*NEARLY),
    call(t(3, 5), t(5), atol=99.0)], dtypes=FLOATS, result="bool", family="binary")
op("equal", np.array_equal, [call(t(17), t(17)), call(t(3), t(4)), call(literal([1, 2]), literal([1, 2])),
    call(t(0), t(0))], dtypes=ALL, result="bool", family="binary")
op("isin", np.isin, [call(t(17), t(5)), call(t(3, 5), t(0)), call(t(3, 5, layout="transposed"), t(2, 3)),
    call(t(9), 1, only=INTS)], dtypes=NUMBERS, domain=(-6, 6), result="bool", forms="fo", family="binary")

# ---- Logic and bits --------------------------------------------------------------------------------------------------
for _name, _ref in (("and", np.logical_and), ("or", np.logical_or), ("xor", np.logical_xor)):
    op("logical_" + _name, _ref, two_inputs(scalars=()), dtypes=ALL, domain=(-1, 1), result="bool", forms="mfio",
        pointwise=True, family="binary", large=call(t(LARGE), t(LARGE)))
bitwise("bitwise_and", np.bitwise_and)
bitwise("bitwise_or", np.bitwise_or)
bitwise("bitwise_xor", np.bitwise_xor)
bitwise("bitwise_left_shift", np.left_shift, INTS, low=0, high=6)
bitwise("bitwise_right_shift", np.right_shift, INTS, low=0, high=6)

# ---- Three tensors ---------------------------------------------------------------------------------------------------
TRIPLES = (((), (), ()), ((17,), (17,), (17,)), ((33,), (1,), (33,)), ((3, 1, 5), (4, 1), (5,)), ((0, 3), (3,), (1, 3)),
    ((257,), (257,), (257,)))


def ternary(name: str, ref: Callable, low: float | None = None, high: float | None = None, **fields: Any) -> None:
    calls = [call(t(*a), t(*b), t(*c, low=low, high=high)) for a, b, c in TRIPLES]
    calls += [call(t(5, 33, layout="transposed"), t(5, 33, layout="stepped"), t(33, low=low, high=high))]
    op(name, ref, calls + fields.pop("more", []), **{"grad": True, "forms": "mfio", "pointwise": True,
        "family": "binary", "magnitude": "one", "eps": 4, "dtypes": ANY_FLOAT, "large": call(t(LARGE), t(LARGE),
        t(LARGE, low=low, high=high))} | fields)


def lerp(a: np.ndarray, b: np.ndarray, w: Any) -> np.ndarray:
    return a + w * (b - a)


ternary("lerp", lerp, 0, 1, half_eps=8, more=[call(t(17), t(17), 0.25), call(t(3, 1), t(5), 0.75),
    call(t(3, 1), t(5), 1.5)], magnitude="max", eps=8)
ternary("addcmul", lambda x, a, b, value=1: x + value * a * b, half_eps=8, magnitude="max", eps=8,
        more=[call(t(17), t(17), t(17), value=0.5), call(t(3, 5), t(5), t(3, 1), value=-2)])
ternary("addcdiv", lambda x, a, b, value=1: x + value * a / b, 0.5, 4, half_eps=8, magnitude="max", eps=8,
    more=[call(t(17), t(17), t(17, low=0.5, high=4), value=0.5), call(t(3, 5), t(5), t(3, 1, low=0.5, high=4),
    value=-2)])
op("where", np.where, [call(mask(*a), t(*b), t(*c)) for a, b, c in TRIPLES] + [call(mask(5, 33, layout="transposed"),
    t(5, 33, layout="stepped"), t(33))], dtypes=ALL, grad=True, forms="fo", pointwise=True, eps=0, half_eps=0,
    family="binary", large=call(mask(LARGE), t(LARGE), t(LARGE)))
op("where", np.where, [call(mask(17), t(17), 2), call(mask(3, 5), 1, t(5))], variant="numbers", dtypes=NUMBERS,
    grad=True, forms="f", eps=0, half_eps=0, family="binary")

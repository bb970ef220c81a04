"""Creation: from numbers, from other tensors' shapes, and at random (where only shape, dtype and domain are fixed)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .spec import ALL, ANY_FLOAT, FLOATS, INTS, NUMBERS, DType, call, op, t

EXACT = {"eps": 0, "half_eps": 0, "family": "creation"}
F64, I32, F32 = DType("float64"), DType("int32"), DType("float32")
NEW = {"dtypes": ("float32",), "forms": "fo"} | EXACT


def dims(size: tuple) -> tuple:
    return tuple(size[0]) if len(size) == 1 and isinstance(size[0], tuple) else size


def filled(value: float) -> Callable:
    return lambda *size, dtype=None: np.full(dims(size), value, dtype)


def like(value: float) -> Callable:
    return lambda x, dtype=None: np.full(x.shape, value, dtype)


SIZES = [call(3, 4), call((2, 0, 3)), call(()), call(17, dtype=F64), call((2, 3), dtype=I32),
    call(5, dtype=DType("bool"))]
op("zeros", filled(0), SIZES, **NEW)
op("ones", filled(1), SIZES, **NEW)
op("empty", filled(0), SIZES, **NEW, random=True)
op("full", lambda size, value, dtype=None: np.full(size, value, dtype), [call((3, 4), 2.5), call((), 1.0),
    call((0, 2), 2.0), call((3,), 7, dtype=F64)], **NEW)
op("full", lambda size, value: np.full(size, value), [call((3,), 7)], **NEW | {"result": "int64"}, variant="int")
op("full", lambda size, value: np.full(size, value), [call((3,), True)], **NEW | {"result": "bool"}, variant="bool")
op("empty_strided", lambda size, stride: np.zeros(size), [call((3, 4), (1, 3)), call((2, 3), (3, 1))],
    **NEW | {"forms": "f"}, random=True)
LIKES = [call(t(3, 4)), call(t(0, 2)), call(t()), call(t(4, 5, layout="transposed")), call(t(3), dtype=F64),
    call(t(3), dtype=I32)]
op("zeros_like", like(0), LIKES, **EXACT, dtypes=ALL, forms="f")
op("ones_like", like(1), LIKES, **EXACT, dtypes=ALL, forms="f")
op("empty_like", like(0), LIKES, **EXACT, dtypes=ALL, forms="f", random=True)
op("full_like", lambda x, value, dtype=None: np.full(x.shape, value, dtype),
    [call(t(3, 4), 2), call(t(3), 1, dtype=F64)], **EXACT, dtypes=NUMBERS, forms="f")
op("new_zeros", lambda x, *s, dtype=None: np.zeros(dims(s)), [call(t(2), 3, 4), call(t(2), (2, 3)),
    call(t(2), (2,), dtype=F64)], **EXACT, dtypes=ALL, forms="m")
op("new_ones", lambda x, *s, dtype=None: np.ones(dims(s)), [call(t(2), (2, 3)), call(t(2), (2,), dtype=F64)], **EXACT,
    dtypes=ALL, forms="m")
op("new_empty", lambda x, *s, dtype=None: np.ones(dims(s)), [call(t(2), (2, 3)), call(t(2), 3, 4)], **EXACT, dtypes=ALL,
    forms="m", random=True)
op("new_full", lambda x, s, v, dtype=None: np.full(s, v), [call(t(2), (2, 3), 1), call(t(2), (2,), 2, dtype=F64)],
    **EXACT, dtypes=ALL, forms="m")
op("new_tensor", lambda x, v: np.array(v), [call(t(2), [1, 2, 3]), call(t(2), [[1, 2], [3, 4]])], **EXACT,
    dtypes=NUMBERS, forms="m")
op("tensor", lambda v, dtype=None: np.array(v, float), [call([[1.0, 2.0], [3.0, 4.0]]), call(2.5), call([]),
    call([1, 2], dtype=F32), call([True, False], dtype=F64)], **NEW | {"forms": "f"})
op("tensor", lambda v: np.array(v), [call([[1, 2], [3, 4]]), call(7)], **NEW | {"forms": "f", "result": "int64"},
    variant="int")
op("tensor", lambda v: np.array(v), [call([True, False]), call(True)], **NEW | {"forms": "f", "result": "bool"},
    variant="bool")
op("scalar_tensor", lambda v, dtype=None: np.array(v, float), [call(2.5), call(3), call(True), call(3, dtype=F64),
    call(3, dtype=I32)], **NEW | {"forms": "f"})
op("as_tensor", lambda v, dtype=None: np.array(v, float), [call([1.0, 2.0]), call(2.5, dtype=F64)],
    **NEW | {"forms": "f"})

RANGE = {"dtypes": ("float32",), "forms": "fo", "family": "creation", "magnitude": "max", "eps": 2}
op("arange", lambda *a, dtype=None: np.arange(*a), [call(0.0, 5.0), call(0.0, 1.0, 0.1), call(2.0, -3.0, -0.5),
    call(5.0), call(0, 9, 2, dtype=F64), call(3.0, 3.0)], **RANGE)
op("arange", lambda *a: np.arange(*a), [call(5), call(2, 9), call(9, 0, -2), call(3, 3)], **RANGE | {"result": "int64"},
    variant="int")
op("linspace", lambda a, b, n, dtype=None: np.linspace(a, b, n), [call(0, 1, 11), call(-3, 7, 100), call(2, 2, 1),
    call(0, 1, 0), call(0, 5, 33, dtype=F64)], **RANGE)
op("logspace", lambda a, b, n, base=10.0, dtype=None: np.logspace(a, b, n, base=base),
    [call(0, 2, 5), call(-1, 1, 17, base=2.0), call(0, 1, 9, dtype=F64)], **RANGE | {"magnitude": "value", "eps": 16})
op("eye", lambda n, m=None, dtype=None: np.eye(n, m), [call(4), call(3, 5), call(5, 3), call(0),
    call(3, dtype=DType("int64"))], **NEW)
op("tril_indices", lambda r, c, offset=0: np.array(np.tril_indices(r, offset, c)),
    [call(3, 4), call(4, 3, 1), call(4, 4, -1)], **NEW | {"result": "int64", "forms": "f"})
op("triu_indices", lambda r, c, offset=0: np.array(np.triu_indices(r, offset, c)),
    [call(3, 4), call(4, 3, 1), call(4, 4, -1)], **NEW | {"result": "int64", "forms": "f"})

# ---- Conversions -----------------------------------------------------------------------------------------------------
for _dtype in ALL:
    _method = {"float32": "float", "float64": "double", "float16": "half", "int8": "char", "uint8": "byte",
        "int16": "short", "int32": "int", "int64": "long"}.get(_dtype, _dtype)
    _to = (lambda d: lambda x: x != 0 if d == "bool" else np.trunc(x) if d in INTS else x * 1.0)(_dtype)
    # Negative floats to uint8 are undefined in C; PyTorch leaves them to the machine.
    op(_method, _to, [call(t(*s)) for s in ((), (17,), (0, 3), (257,))] + [call(t(5, 33, layout="transposed")),
        call(t(5, 33, layout="stepped")), call(t(4, 17, layout="expanded"))], **EXACT, dtypes=ALL, forms="m",
        result=_dtype, domain=(0, 99), grad=_dtype in FLOATS, order=2 if _dtype == "float64" else 0, variant="cast")
op("to", lambda x, dtype: x * 1.0, [call(t(17), F64), call(t(3, 5, layout="transposed"), F64)], **EXACT, dtypes=ALL,
    forms="m", result="float64", grad=True)
op("type_as", lambda x, y: x * 1.0, [call(t(17), t(1, dtype="float64"))], **EXACT, dtypes=ALL, forms="m",
    result="float64")


# ---- Random ----------------------------------------------------------------------------------------------------------
def shaped(*size: Any, dtype: Any = None) -> np.ndarray:
    return np.zeros(dims(size))


RANDOM = {"random": True, "family": "creation", "forms": "f"}
for _name in ("rand", "randn"):
    op(_name, shaped, [call(3, 4), call((2, 0)), call(()), call(257, dtype=F64)], dtypes=("float32",), **RANDOM)
    op(_name + "_like", lambda x, dtype=None: x, [call(t(3, 4)), call(t(3), dtype=F64)], dtypes=ANY_FLOAT, **RANDOM)
op("randint", lambda low, high, size, dtype=None: np.zeros(size), [call(0, 5, (3, 4)), call(-3, 3, (257,)),
    call(0, 2, (4,), dtype=F32)], dtypes=("float32",), result="int64", **RANDOM)
op("randint_like", lambda x, low, high: x, [call(t(3, 4), 0, 5)], dtypes=NUMBERS, **RANDOM)
op("randperm", lambda n: np.zeros(n), [call(0), call(7), call(257)], dtypes=("float32",), result="int64", **RANDOM)
op("bernoulli", lambda p: p, [call(t(3, 4)), call(t(257))], dtypes=FLOATS, domain=(0, 1), **RANDOM | {"forms": "mf"})
op("multinomial", lambda p, n, replacement=False: np.zeros(p.shape[:-1] + (n,)),
    [call(t(9), 4), call(t(3, 5), 7, replacement=True)], dtypes=FLOATS, domain=(0.1, 1), result="int64",
    **RANDOM | {"forms": "mf"})
op("normal", lambda mean, std, size=None: np.zeros(size or np.broadcast_shapes(np.shape(mean), np.shape(std))),
    [call(t(3, 4), t(3, 4, low=0.1, high=2)), call(t(5), 2.0), call(0.0, t(4, low=0.1, high=2))], dtypes=FLOATS,
    **RANDOM)
op("normal", lambda mean, std, size: np.zeros(size), [call(0.0, 1.0, (3, 4))], dtypes=("float32",), variant="numbers",
    **RANDOM)
op("poisson", lambda rate: rate, [call(t(3, 4))], dtypes=FLOATS, domain=(0.5, 9), **RANDOM)
for _name, _params in (("uniform_", (-1.0, 2.0)), ("normal_", (1.0, 2.0)), ("exponential_", (2.0,)),
        ("log_normal_", (0.0, 0.5)), ("cauchy_", (0.0, 1.0)), ("geometric_", (0.3,)), ("bernoulli_", (0.4,)),
        ("random_", (0, 9))):
    op(_name, lambda x, *p: x, [call(t(3, 4), *_params), call(t(5, 33, layout="transposed"), *_params)], dtypes=FLOATS,
        **RANDOM | {"forms": "m"})

"""The operator table: what one row says, and how sample inputs are drawn from it.

A `Spec` is one operator. Its `calls` describe sample inputs without values: `t(3, 4)` stands for a tensor of that shape
in the dtype under test. A `Case` is a spec, a call and a dtype; `case.draw()` gives the same values every time, and
`tensors(lib, ...)` / `arrays(...)` turn them into tensors of pydl or PyTorch and into the NumPy arrays of the reference.
"""
from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

FLOATS = ("float32", "float64")
HALVES = ("bfloat16", "float16")
INTS = ("uint8", "int8", "int16", "int32", "int64")
BOOL = ("bool",)
ANY_FLOAT = FLOATS + HALVES
NUMBERS = ANY_FLOAT + INTS
ALL = NUMBERS + BOOL

EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
NUMPY_DTYPE = {d: d for d in ALL} | {"bfloat16": "float32"}  # NumPy has no bfloat16: its values travel as float32
ITEM_SIZE = {d: 2 if d == "bfloat16" else np.dtype(d).itemsize for d in ALL}


def is_float(dtype: str) -> bool:
    return dtype in EPS


# ---- Sample inputs ----------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class In:
    """A tensor argument: its shape, its values' domain (default: the spec's) and how it lies in memory."""

    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    dtype: str | None = None        # default: the dtype under test
    layout: str = "contiguous"      # contiguous, transposed, stepped, expanded, offset
    distinct: bool = False          # all values different and well apart: sorting and maxima have one answer
    grad: bool = True
    make: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] | None = None


@dataclass(frozen=True)
class DType:
    """A dtype argument, resolved to `lib.float64` and the like."""

    name: str


def t(*shape: int, low: float | None = None, high: float | None = None, **how: Any) -> In:
    return In(shape, low, high, **how)


def index(*shape: int, n: int, low: int = 0, **how: Any) -> In:
    """int64 indices in [low, n)."""
    return In(shape, low, n - 1, dtype="int64", grad=False, **how)


def mask(*shape: int, **how: Any) -> In:
    return In(shape, dtype="bool", grad=False, **how)


def literal(values: Any, dtype: str | None = None, grad: bool = False) -> In:
    """A tensor with these very values."""
    array = np.asarray(values)
    return In(array.shape, dtype=dtype, grad=grad, make=lambda rng, shape: array)


@dataclass(frozen=True)
class Call:
    args: tuple
    kwargs: dict[str, Any]
    only: tuple[str, ...] | None = None  # dtypes this call is for; default: all of the spec's
    grad: bool = True                    # differentiate this call too

    @property
    def label(self) -> str:
        words = [_label(a) for a in self.args] + [f"{k}={_label(v)}" for k, v in self.kwargs.items()]
        return ",".join(words) or "none"

    def inputs(self) -> list[In]:
        found: list[In] = []
        tree_map(found.append, In, (self.args, self.kwargs))
        return found


def call(*args: Any, only: tuple[str, ...] | None = None, grad: bool = True, **kwargs: Any) -> Call:
    return Call(args, kwargs, only, grad)


def _label(value: Any) -> str:
    if isinstance(value, In):
        shape = "x".join(map(str, value.shape)) or "scalar"
        extra = f".{value.dtype}" if value.dtype else ""
        return shape + extra + ("" if value.layout == "contiguous" else f".{value.layout}")
    if isinstance(value, (tuple, list)):
        return "(" + " ".join(map(_label, value)) + ")"
    if isinstance(value, DType):
        return value.name
    return str(value)


def tree_map(f: Callable[[Any], Any], kind: type | tuple[type, ...], tree: Any) -> Any:
    """`tree` with f applied to every instance of `kind` inside its tuples, lists and dicts."""
    if isinstance(tree, kind):
        return f(tree)
    if isinstance(tree, (tuple, list)):
        return type(tree)(tree_map(f, kind, x) for x in tree)
    if isinstance(tree, dict):
        return {k: tree_map(f, kind, v) for k, v in tree.items()}
    return tree


# ---- Rows -------------------------------------------------------------------------------------------------------------

@dataclass
class Spec:
    name: str                                   # dotted below the package: "add", "linalg.inv", "nn.functional.gelu"
    ref: Callable[..., Any]                     # NumPy, from the definition; the arguments of the operator, as arrays
    calls: list[Call]
    dtypes: tuple[str, ...] = FLOATS
    family: str = ""
    variant: str = ""                           # tells two rows of one operator apart
    domain: tuple[float, float] = (-4.0, 4.0)
    kinks: tuple[float, ...] = ()               # points without a derivative; gradients are tested away from them
    result: str | tuple[str, ...] | Callable[[str, Call], str] = "same"  # dtype of each result: see result_dtype
    eps: float = 4.0                            # |error| <= eps * machine epsilon * magnitude
    half_eps: float = 4.0                       # the same for bfloat16 and float16
    magnitude: str = "value"                    # value: |result|; one: at least 1; max: the largest; abs: of |inputs|
    grad: bool = False
    order: int = 2                              # how often it can be differentiated
    grad_eps: float = 64.0
    grad_floor: float = 1e-3                    # size of the terms that a gradient adds up, which may cancel
    torch_eps: float = 0.0                      # how far PyTorch's own float64 gradient is off, where that is more
    forms: str = "mf"                           # m method, f function, i in-place, o out=
    pointwise: bool = False
    compare: tuple[int, ...] | None = None      # results that are determined (the indices of ties are not); default: all
    canonical: Callable[[Any], Any] | None = None  # maps results that are unique up to a sign or order to one of them
    chart: Callable[[Any], Any] | None = None   # maps any input onto the operator's domain (symmetric matrices, say)
    large: Call | None = None                   # a call above every threading threshold
    flops: Callable[..., float] | None = None   # of a call's shapes; default: one per result element
    aliases: tuple[str, ...] = ()
    random: bool = False                        # values are drawn: only shape and dtype are determined
    engine_names: tuple[str, ...] = field(default=())   # registered under these names; default: the last word of `name`

    @property
    def id(self) -> str:
        return f"{self.name}.{self.variant}" if self.variant else self.name

    @property
    def base(self) -> str:
        return self.name.rpartition(".")[2]

    def function(self, lib: Any, name: str | None = None) -> Callable[..., Any]:
        """The operator as a function of `lib`; a row with only a method gives that method, unbound."""
        path = name or self.name
        root = lib if "f" in self.forms else lib.Tensor
        for word in path.split("."):
            root = getattr(root, word)
        return root

    def result_dtype(self, dtype: str, c: Call, i: int = 0) -> str:
        """dtype of the i-th result: "same" as the input, "float" (integers give float32), "sum" (integers give int64), or
        a dtype's name."""
        rule = self.result(dtype, c) if callable(self.result) else self.result
        rule = rule[i] if isinstance(rule, tuple) else rule
        given = c.kwargs.get("dtype")
        if isinstance(given, DType):
            return given.name
        if rule == "float":
            return dtype if is_float(dtype) else "float32"
        if rule == "sum":
            return dtype if is_float(dtype) else "int64"
        return dtype if rule == "same" else rule

    def cost(self, c: Call, dtype: str, results: Iterable[tuple[int, ...]]) -> tuple[float, int]:
        """(floating-point operations, bytes that must cross the memory bus) of one call."""
        shapes = [i.shape for i in c.inputs()]
        out = sum(int(np.prod(s)) for s in results)
        flops = self.flops(*shapes) if self.flops else out
        read = sum(int(np.prod(i.shape)) * ITEM_SIZE[i.dtype or dtype] for i in c.inputs())
        return float(flops), read + out * ITEM_SIZE[self.result_dtype(dtype, c)]


TABLE: dict[str, Spec] = {}


def op(name: str, ref: Callable[..., Any], calls: Iterable[Call], **fields: Any) -> Spec:
    """Adds a row."""
    spec = Spec(name, ref, list(calls), **fields)
    assert spec.id not in TABLE, spec.id
    TABLE[spec.id] = spec
    return spec


# ---- Drawing ----------------------------------------------------------------------------------------------------------

@dataclass
class Array:
    """A drawn tensor argument."""

    value: np.ndarray
    dtype: str
    layout: str
    grad: bool


@dataclass(frozen=True)
class Case:
    spec: Spec
    call: Call
    dtype: str
    smooth: bool = False  # keep away from the spec's kinks

    @property
    def id(self) -> str:
        return f"{self.spec.id}-{self.dtype}-{self.call.label}"

    def draw(self, salt: int = 0) -> tuple[tuple, dict]:
        rng = np.random.default_rng(zlib.crc32(self.id.encode()) + salt)
        return tree_map(lambda i: self._array(i, rng), In, (self.call.args, self.call.kwargs))

    def _array(self, i: In, rng: np.random.Generator) -> Array:
        dtype = i.dtype or self.dtype
        shape = (1,) + i.shape[1:] if i.layout == "expanded" else i.shape
        low = self.spec.domain[0] if i.low is None else i.low
        high = self.spec.domain[1] if i.high is None else i.high
        if i.make:
            value = i.make(rng, shape)
        elif dtype == "bool":
            value = rng.random(shape) < 0.6
        elif i.distinct:
            value = _distinct(rng, shape, low, high, dtype)
        elif is_float(dtype):
            value = rng.uniform(low, high, shape)
            if self.smooth:
                value = _away_from(value, self.spec.kinks, min(0.05, (high - low) / 50))
        else:
            value = rng.integers(*_int_range(low, high, dtype), shape, endpoint=True)
        value = round_to(np.asarray(value), dtype)
        if i.layout == "expanded":
            value = np.broadcast_to(value, i.shape)
        return Array(value, dtype, i.layout, i.grad and is_float(dtype))


def _int_range(low: float, high: float, dtype: str) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return max(int(np.ceil(low)), info.min), min(int(np.floor(high)), info.max)


def _distinct(rng: np.random.Generator, shape: tuple[int, ...], low: float, high: float, dtype: str) -> np.ndarray:
    n = int(np.prod(shape))
    if is_float(dtype):
        values = low + (high - low) * (np.arange(n) + 0.37) / max(n, 1)
    else:
        start = max(np.iinfo(dtype).min, -n // 2)
        values = start + np.arange(n)
    return rng.permutation(values).reshape(shape)


def _away_from(value: np.ndarray, kinks: Iterable[float], gap: float) -> np.ndarray:
    for k in kinks:
        near = np.abs(value - k) < gap
        value = np.where(near, k + np.where(value < k, -gap, gap), value)
    return value


def round_to(value: np.ndarray, dtype: str) -> np.ndarray:
    """`value` rounded to what `dtype` can hold; bfloat16 comes back as float32."""
    if dtype != "bfloat16":
        return value.astype(dtype)
    bits = value.astype(np.float32).view(np.uint32)
    keep = np.isnan(value) | np.isinf(value)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) & 0xFFFF0000
    return np.where(keep, bits & 0xFFFF0000, rounded).astype(np.uint32).view(np.float32)


# ---- Towards the libraries --------------------------------------------------------------------------------------------

def tensor(lib: Any, array: Array, requires_grad: bool = False) -> Any:
    """`array` as a tensor of `lib`, lying in memory as its layout says; gaps are filled with NaN or ones."""
    v = np.ascontiguousarray(array.value) if array.value.ndim else array.value
    target = getattr(lib, array.dtype)
    filler = np.nan if v.dtype.kind == "f" else 1

    def owned(a: np.ndarray) -> Any:  # memory of the library's own
        return lib.from_numpy(np.array(a)).to(target).clone()

    if array.layout == "transposed" and v.ndim > 1:
        x = owned(np.ascontiguousarray(v.T)).permute(*reversed(range(v.ndim)))
    elif array.layout == "stepped" and v.ndim:
        wide = np.full(v.shape[:-1] + (2 * v.shape[-1],), filler, v.dtype)
        wide[..., ::2] = v
        x = owned(wide)[..., ::2]
    elif array.layout == "offset":
        flat = np.concatenate([np.full(1, filler, v.dtype), v.ravel()])
        x = owned(flat)[1:].view(v.shape)
    elif array.layout == "expanded" and v.ndim:
        x = owned(v[:1]).expand(v.shape)
    else:
        x = owned(v)
    return x.detach().requires_grad_() if requires_grad and array.grad else x


def tensors(lib: Any, tree: Any, requires_grad: bool = False) -> Any:
    def convert(x: Any) -> Any:
        if isinstance(x, Array):
            return tensor(lib, x, requires_grad)
        return getattr(lib, x.name)
    return tree_map(convert, (Array, DType), tree)


def arrays(tree: Any) -> Any:
    """The reference's arguments: floats widen to float64 and integers to int64, so that it can forget about rounding."""
    def convert(x: Any) -> Any:
        if isinstance(x, DType):
            return np.dtype(NUMPY_DTYPE[x.name])
        return x.value.astype({"f": "float64", "b": "bool"}.get(x.value.dtype.kind, "int64"))
    return tree_map(convert, (Array, DType), tree)


def flat_tensors(tree: Any, lib: Any) -> list[Any]:
    """The tensors of a tree of arguments or results, in order."""
    if isinstance(tree, lib.Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (tuple, list)):
        return [x for item in tree for x in flat_tensors(item, lib)]
    return []


def results(tree: Any, lib: Any) -> list[Any]:
    """The results of an operator as tensors, Python numbers included."""
    return flat_tensors(tree_map(lib.tensor, (bool, int, float), tree), lib)


def to_numpy(x: Any) -> np.ndarray:
    """A tensor's values; 16-bit floats come back as float32."""
    x = x.detach()
    if dtype_name(x) in HALVES:
        x = x.float()
    return np.array(x.numpy(force=True))


def dtype_name(x: Any) -> str:
    return str(x.dtype).rpartition(".")[2]


# ---- Choosing cases ---------------------------------------------------------------------------------------------------

def sample(items: list, count: int | None, seed: str) -> list:
    """`count` of the items (all if None), the same ones every time, in their order."""
    if count is None or len(items) <= count:
        return items
    chosen = random.Random(zlib.crc32(seed.encode())).sample(range(len(items)), count)
    return [items[i] for i in sorted(chosen)]


def cases(per_op: int | None, specs: Iterable[Spec] | None = None, dtypes: Iterable[str] | None = None) -> list[Case]:
    """Value cases: `per_op` calls of every spec in float32, half as many (at least one) in each other dtype."""
    out = []
    for spec in TABLE.values() if specs is None else specs:
        for dtype in spec.dtypes:
            if dtypes is not None and dtype not in dtypes:
                continue
            count = per_op if dtype == "float32" or per_op is None else max(1, per_op // 3)
            calls = [c for c in spec.calls if (c.only is None or dtype in c.only) and distinct_values_fit(c, dtype)]
            out += [Case(spec, c, dtype) for c in sample(calls, count, spec.id + dtype)]
    return out


def distinct_values_fit(c: Call, dtype: str) -> bool:
    return ITEM_SIZE[dtype] > 1 or all(np.prod(i.shape) <= 128 for i in c.inputs() if i.distinct)


def gradient_cases(per_op: int | None, dtype: str, largest: int = 120, order: int = 1) -> list[Case]:
    """Cases with differentiable inputs, not empty and small enough for finite differences."""
    out = []
    for spec in TABLE.values():
        if not spec.grad or spec.order < order:
            continue
        calls = [c for c in spec.calls if c.grad and (c.only is None or dtype in c.only) and differentiable(c, largest)]
        out += [Case(spec, c, dtype, smooth=True) for c in sample(calls, per_op, spec.id + dtype)]
    return out


def differentiable(c: Call, largest: int) -> bool:
    sizes = [int(np.prod(i.shape)) for i in c.inputs() if i.grad and (i.dtype is None or is_float(i.dtype))]
    return bool(sizes) and min(sizes) > 0 and max(sizes) <= largest


def with_layout(c: Call, layout: str) -> Call:
    return replace(c, args=tree_map(lambda i: replace(i, layout=layout), In, c.args))

"""Pooling: every window by itself, cut out of the padded input."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import numpy as np

from .spec import FLOATS, Call, In, call, op, t


def pooling(name: str, ref: Callable, calls: list[Call], **fields: Any) -> None:
    op("nn.functional." + name, ref, calls, **{"grad": True, "forms": "f", "family": "pool", "dtypes": FLOATS,
        "magnitude": "max", "eps": 4, "grad_eps": 16} | fields)


def tuples(n: int, *values: Any) -> list[tuple]:
    return [v if isinstance(v, tuple) else tuple(v) if isinstance(v, list) else (v,) * n for v in values]


def slide(size: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> list[range]:
    """The taps of every window along one dimension; those in the padding are negative or beyond `size`."""
    room = size + 2 * p - d * (k - 1) - 1
    count = (-(-room // s) if ceil_mode else room // s) + 1
    starts = [i * s - p for i in range(count)]
    if ceil_mode and starts[-1] >= size:
        starts.pop()
    return [range(start, start + d * (k - 1) + 1, d) for start in starts]


def spread(size: int, count: int) -> list[range]:
    return [range(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def over_windows(x: np.ndarray, axes: Iterable[list[range]], f: Callable) -> list[np.ndarray]:
    """f(values with the window's taps last, positions, taps as given) for all windows, as arrays [..., outputs]."""
    axes = list(axes)
    n, spatial = len(axes), x.shape[x.ndim - len(axes):]
    flat = x.reshape(*x.shape[:x.ndim - n], -1)
    results = []
    for windows in product(*axes):
        inside = [[i for i in w if 0 <= i < size] for w, size in zip(windows, spatial)]
        where = np.array([np.ravel_multi_index(i, spatial) for i in product(*inside)], int)
        results.append(f(flat[..., where], where, windows))
    shape = [len(a) for a in axes]
    def joined(parts: list) -> np.ndarray:
        return np.stack(parts, -1).reshape(*x.shape[:x.ndim - n], *shape)
    return [joined(list(parts)) for parts in zip(*results)]


def largest(values: np.ndarray, where: np.ndarray, windows: tuple) -> tuple[np.ndarray, np.ndarray]:
    return values.max(-1), where[values.argmax(-1)]


def max_pool(n: int) -> Callable:
    def ref(x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
            ceil_mode: bool = False, return_indices: bool = False) -> Any:
        k, s, p, d = tuples(n, kernel_size, kernel_size if stride is None else stride, padding, dilation)
        axes = [slide(*a, ceil_mode) for a in zip(x.shape[-n:], k, s, p, d)]
        values, where = over_windows(x, axes, largest)
        return (values, where) if return_indices else values
    return ref


def avg_pool(n: int) -> Callable:
    def ref(x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
            count_include_pad: bool = True, divisor_override: int | None = None) -> np.ndarray:
        k, s, p = tuples(n, kernel_size, kernel_size if stride is None else stride, padding)
        sizes = x.shape[-n:]

        def mean(values: np.ndarray, where: np.ndarray, windows: tuple) -> tuple:
            padded = [min(w.stop, size + pad) - w.start for w, size, pad in zip(windows, sizes, p)]
            return (values.sum(-1) / (divisor_override or (np.prod(padded) if count_include_pad else len(where))),)
        return over_windows(x, [slide(*a, 1, ceil_mode) for a in zip(sizes, k, s, p)], mean)[0]
    return ref


def adaptive(n: int, f: Callable, indices: bool = False) -> Callable:
    def ref(x: np.ndarray, output_size: Any, return_indices: bool = False) -> Any:
        sizes = x.shape[-n:]
        out = [size if o is None else o for o, size in zip(tuples(n, output_size)[0], sizes)]
        found = over_windows(x, [spread(*a) for a in zip(sizes, out)], f)
        return tuple(found) if return_indices else found[0]
    return ref


def mean_of(values: np.ndarray, where: np.ndarray, windows: tuple) -> tuple[np.ndarray]:
    return (values.mean(-1),)


def d(*shape: int, **how: Any) -> In:
    return t(*shape, distinct=True, **how)


# Shapes with few and with many channels, batched and not, odd sizes, and memory in another order.
MAX = {
    1: [call(d(2, 3, 9), 2), call(d(3, 8), 3, stride=2), call(d(2, 17, 5), 3, stride=1, padding=1),
        call(d(1, 2, 11), 3, stride=2, padding=1, dilation=2), call(d(2, 3, 8), (3,), (3,), ceil_mode=True),
        call(d(2, 3, 7, layout="transposed"), 2), call(d(2, 1, 6), 6)],
    2: [call(d(2, 3, 6, 5), 2), call(d(3, 5, 7), 3, stride=2, padding=1), call(d(1, 18, 4, 3), (2, 3), (1, 2)),
        call(d(1, 2, 7, 7), 3, stride=2, dilation=2, padding=1), call(d(1, 2, 5, 8), 3, stride=2, ceil_mode=True),
        call(d(2, 3, 4, 5, layout="transposed"), (2, 1)), call(d(1, 2, 4, 4), 4), call(d(2, 2, 17, 17), 17)],
    3: [call(d(1, 2, 4, 4, 3), 2), call(d(2, 3, 3, 4), (1, 2, 3), stride=1), call(d(1, 2, 5, 3, 5), 3, stride=2, padding=1),
        call(d(1, 3, 5, 5, 4), 2, dilation=(2, 1, 1), ceil_mode=True)],
}
LARGE = {1: (33, 40, 300), 2: (8, 24, 33, 35), 3: (3, 20, 11, 13, 12)}
for _n, _calls in MAX.items():
    _large = call(d(*LARGE[_n]), 3, 2, 1)
    pooling(f"max_pool{_n}d", max_pool(_n), _calls, eps=0, large=_large)
    pooling(f"max_pool{_n}d", max_pool(_n), [call(*c.args, **c.kwargs, return_indices=True) for c in _calls],
        variant="indices", eps=0, result=("same", "int64"), large=call(*_large.args, return_indices=True),
        engine_names=(f"max_pool{_n}d_with_indices",))

AVG = {
    1: [call(t(2, 3, 9), 2), call(t(3, 8), 3, 2), call(t(2, 17, 5), 3, 1, 1), call(t(2, 3, 8), 3, 2, 1, True),
        call(t(2, 3, 8), 3, 2, 1, True, False), call(t(2, 3, 7, layout="transposed"), 2), call(t(1, 2, 50), 50)],
    2: [call(t(2, 3, 6, 5), 2), call(t(3, 5, 7), 3, 2, 1), call(t(1, 18, 4, 3), (2, 3), (1, 2)),
        call(t(1, 2, 5, 8), 3, 2, 1, ceil_mode=True), call(t(1, 2, 5, 8), 3, 2, 1, True, False),
        call(t(1, 2, 5, 4), 2, 1, divisor_override=3), call(t(2, 3, 4, 5, layout="transposed"), (2, 1))],
    3: [call(t(1, 2, 4, 4, 3), 2), call(t(2, 3, 3, 4), (1, 2, 3), 1), call(t(1, 2, 5, 3, 5), 3, 2, 1),
        call(t(1, 2, 5, 3, 5), 3, 2, 1, True, False), call(t(1, 2, 3, 3, 4), 2, 1, divisor_override=5)],
}
for _n, _calls in AVG.items():
    pooling(f"avg_pool{_n}d", avg_pool(_n), _calls, large=call(t(*LARGE[_n]), 3, 2, 1))

ADAPTIVE = {1: [((2, 3, 9), 4), ((3, 8), 8), ((2, 17, 5), 1), ((2, 3, 4), 7)],
    2: [((2, 3, 6, 5), 2), ((3, 5, 7), (3, 4)), ((1, 18, 4, 3), 1), ((1, 2, 4, 5), (None, 3)), ((1, 2, 3, 3), 5)],
    3: [((1, 2, 4, 4, 3), 2), ((2, 3, 3, 4), (1, 2, 3)), ((1, 2, 3, 2, 5), (None, 1, 2))]}
for _n, _cases in ADAPTIVE.items():
    pooling(f"adaptive_avg_pool{_n}d", adaptive(_n, mean_of), [call(t(*s), o) for s, o in _cases],
        large=call(t(*LARGE[_n]), 5))
    _calls = [call(d(*s), o) for s, o in _cases]
    pooling(f"adaptive_max_pool{_n}d", adaptive(_n, largest), _calls, eps=0, large=call(d(*LARGE[_n]), 5))
    pooling(f"adaptive_max_pool{_n}d", adaptive(_n, largest), [call(*c.args, return_indices=True) for c in _calls],
        variant="indices", eps=0, result=("same", "int64"))


def lp_pool(n: int) -> Callable:
    def ref(x: np.ndarray, p: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> np.ndarray:
        k, s = tuples(n, kernel_size, kernel_size if stride is None else stride)
        windows = [slide(*a, 0, 1, ceil_mode) for a in zip(x.shape[-n:], k, s)]
        if abs(p) == np.inf:
            return over_windows(np.sign(p) * abs(x), windows, largest)[0] * np.sign(p)
        # The sum counts a window cut short by ceil_mode as if it were whole: the mean times the kernel's size.
        return over_windows(x**p, windows, lambda v, *_: ((v.mean(-1) * np.prod(k)) ** (1 / p),))[0]
    return ref


for _n, _shape in ((1, (2, 3, 9)), (2, (1, 2, 5, 6)), (3, (1, 2, 4, 3, 4))):
    pooling(f"lp_pool{_n}d", lp_pool(_n), [call(t(*_shape), 2, 2), call(t(*_shape), 3.0, 3, 1), call(d(*_shape),
        float("inf"), 2), call(d(*_shape), -float("inf"), 2), call(t(*_shape), 2, 2, 2, True)], domain=(0.2, 3),
        eps=16, grad_eps=64)


def max_unpool(n: int) -> Callable:
    def ref(x: np.ndarray, indices: np.ndarray, kernel_size: int, stride: int | None = None, padding: int = 0,
            output_size: Any = None) -> np.ndarray:
        s = kernel_size if stride is None else stride
        size = output_size or [(i - 1) * s + kernel_size - 2 * padding for i in x.shape[-n:]]
        lead = x.shape[:x.ndim - n]
        y = np.zeros((*lead, int(np.prod(size))))
        np.put_along_axis(y, indices.reshape(*lead, -1), x.reshape(*lead, -1), -1)
        return y.reshape(*lead, *size)
    return ref


def places(*shape: int, n: int) -> In:
    """Different positions below n for every channel."""
    def make(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.stack([rng.permutation(n)[:int(np.prod(shape[2:]))] for _ in range(shape[0] * shape[1])]).reshape(shape)
    return In(shape, dtype="int64", grad=False, make=make)


pooling("max_unpool1d", max_unpool(1), [call(t(2, 3, 4), places(2, 3, 4, n=8), 2),
    call(t(1, 70, 3), places(1, 70, 3, n=7), 3, 2), call(t(2, 3, 4), places(2, 3, 4, n=9), 2, output_size=(9,))], eps=0)
pooling("max_unpool2d", max_unpool(2), [call(t(2, 3, 2, 3), places(2, 3, 2, 3, n=24), 2),
    call(t(1, 70, 2, 2), places(1, 70, 2, 2, n=25), 3, 2), call(t(1, 2, 2, 3), places(1, 2, 2, 3, n=35), 2,
    output_size=(5, 7))], eps=0, large=call(t(8, 24, 16, 17), places(8, 24, 16, 17, n=1088), 2))
pooling("max_unpool3d", max_unpool(3), [call(t(1, 2, 2, 3, 2), places(1, 2, 2, 3, 2, n=96), 2)], eps=0)

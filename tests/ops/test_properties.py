"""Property tests: shapes, strides, dtypes and broadcasting drawn by hypothesis, against NumPy."""
from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pydl

settings.register_profile("pydl", deadline=None, max_examples=60, derandomize=True,
    suppress_health_check=list(HealthCheck))
settings.load_profile("pydl")

DTYPES = st.sampled_from(["float32", "float64", "int64", "int32", "uint8", "bool"])
SIDES = st.integers(0, 5)


@st.composite
def views(draw, shape=None, dtype=None) -> np.ndarray:
    """An array under random strides: transposed, stepped, offset, broadcast."""
    dtype = draw(DTYPES) if dtype is None else dtype
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)) if shape is None else shape
    axes = draw(st.permutations(range(len(shape))))
    steps = [draw(st.integers(1, 3)) for _ in shape]
    starts = [draw(st.integers(0, 2)) for _ in shape]
    storage = np.zeros([shape[a] * steps[a] + starts[a] for a in axes], dtype)
    seed = draw(st.integers(0, 2**16))
    storage[...] = np.random.default_rng(seed).integers(0 if dtype in ("uint8", "bool") else -9,
        2 if dtype == "bool" else 9, storage.shape)
    view = storage.transpose(np.argsort(axes))
    view = view[tuple(slice(s, s + n * k, k) for s, n, k in zip(starts, shape, steps))]
    for axis, n in enumerate(shape):
        if n and draw(st.integers(0, 5)) == 0:
            view = np.broadcast_to(np.take(view, [0], axis), shape)
    assert view.shape == tuple(shape)
    return view


def tensor(a: np.ndarray):
    """A tensor with the array's strides, in memory of pydl's own."""
    flat = a
    while flat.base is not None and isinstance(flat.base, np.ndarray):
        flat = flat.base
    storage = pydl.from_numpy(np.array(flat).reshape(-1)).clone()
    offset = (a.__array_interface__["data"][0] - flat.__array_interface__["data"][0]) // a.itemsize
    return storage.as_strided(a.shape, [s // a.itemsize for s in a.strides], offset)


def check(got, want: np.ndarray) -> None:
    got = got.numpy()
    assert got.shape == want.shape
    np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=1e-5, atol=1e-5)


@given(views())
def test_layout_round_trip(a):
    x = tensor(a)
    check(x, a)
    check(x.contiguous(), a)
    check(x.clone(), a)
    check(x.double(), a)
    assert x.contiguous().is_contiguous()


@st.composite
def broadcast_pair(draw):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=0))
    dtype = draw(st.sampled_from(["float32", "float64", "int64", "int32"]))
    return tuple(draw(views(shape=s, dtype=dtype)) for s in shapes.input_shapes)


@given(broadcast_pair(), st.sampled_from(["add", "sub", "mul", "maximum", "lt", "eq"]))
def test_broadcasting(pair, name):
    a, b = pair
    reference = {"sub": np.subtract, "mul": np.multiply, "lt": np.less, "eq": np.equal}.get(name) or getattr(np, name)
    check(getattr(pydl, name)(tensor(a), tensor(b)), reference(a, b))


@given(broadcast_pair())
def test_gradient_of_broadcasting_sums(pair):
    a, b = (np.array(p, "float64") for p in pair)
    x, y = (pydl.from_numpy(p.copy()).requires_grad_() for p in (a, b))
    (x * y).sum().backward()
    whole = np.broadcast_shapes(a.shape, b.shape)

    def summed(g: np.ndarray, shape: tuple) -> np.ndarray:
        g = g.sum(tuple(range(len(whole) - len(shape))))
        return g.sum(tuple(d for d, n in enumerate(shape) if n == 1 and g.shape[d] != 1), keepdims=True)
    check(x.grad, summed(np.broadcast_to(b, whole), a.shape))
    check(y.grad, summed(np.broadcast_to(a, whole), b.shape))


@given(views(), st.data())
def test_reductions(a, data):
    dims = data.draw(st.lists(st.integers(0, max(a.ndim - 1, 0)), unique=True, max_size=a.ndim)) if a.ndim else []
    keep = data.draw(st.booleans())
    axes = tuple(dims) if dims else None
    check(tensor(a).sum(dims or None, keepdim=keep), a.astype(float if a.dtype.kind == "f" else "int64").sum(axis=axes,
        keepdims=keep))
    if a.size:
        check(tensor(a).amax(dims, keepdim=keep) if a.ndim else tensor(a).amax(), a.max(axis=axes, keepdims=keep))


@given(views(), st.data())
def test_reshape(a, data):
    n = a.size
    first = data.draw(st.sampled_from([k for k in range(1, n + 1) if n % k == 0] or [1]))
    shape = (first, n // first) if n else (0, 3)
    check(tensor(a).reshape(shape), a.reshape(shape))


@given(views(), st.data())
def test_cat_and_split(a, data):
    if not a.ndim:
        return
    dim = data.draw(st.integers(0, a.ndim - 1))
    check(pydl.cat([tensor(a), tensor(a)], dim), np.concatenate([a, a], dim))
    size = data.draw(st.integers(1, 4))
    if a.shape[dim]:
        parts = tensor(a).split(size, dim)
        check(pydl.cat(parts, dim), a)


@given(views(), st.data())
def test_indexing(a, data):
    index = data.draw(hnp.basic_indices(a.shape, allow_newaxis=True, allow_ellipsis=True).filter(
        lambda i: not any(isinstance(s, slice) and (s.step or 1) < 0 for s in (i if isinstance(i, tuple) else (i,)))))
    check(tensor(a)[index], np.asarray(a[index]))


@given(views(), st.data())
def test_write_through_view(a, data):
    if not a.ndim or not a.size or 0 in a.strides:
        return
    dim = data.draw(st.integers(0, a.ndim - 1))
    at = data.draw(st.integers(0, a.shape[dim] - 1))
    x, want = tensor(a), a.copy()
    x.select(dim, at).fill_(1)
    want[(slice(None),) * dim + (at,)] = 1
    check(x, want)


@given(st.integers(0, 9), st.integers(0, 40), st.integers(0, 40), st.booleans(), st.booleans(),
    st.sampled_from(["float32", "float64"]))
def test_matrix_products(m, k, n, turn_a, turn_b, dtype):
    rng = np.random.default_rng(m * 1000 + k * 50 + n)
    a, b = rng.integers(-4, 5, (m, k)).astype(dtype), rng.integers(-4, 5, (k, n)).astype(dtype)
    x = tensor(np.ascontiguousarray(a.T)).t() if turn_a else tensor(a)
    y = tensor(np.ascontiguousarray(b.T)).t() if turn_b else tensor(b)
    assert np.array_equal((x @ y).numpy(), a @ b)


@given(views(dtype="float64"))
def test_softmax_sums_to_one(a):
    if a.ndim and a.shape[-1]:
        check(tensor(a).softmax(-1).sum(-1), np.ones(a.shape[:-1]))


@given(views(), st.data())
def test_sorting(a, data):
    if not a.ndim:
        return
    dim = data.draw(st.integers(0, a.ndim - 1))
    values, places = tensor(a).sort(stable=True, dim=dim)
    check(values, np.sort(a, axis=dim, kind="stable"))
    check(places, np.argsort(a, axis=dim, kind="stable"))

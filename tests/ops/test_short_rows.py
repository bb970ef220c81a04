"""Broadcasting over short rows, which are joined in chunks, and copies of pieces that lie apart in memory."""

import numpy as np
import pytest

import pydl

RNG = np.random.default_rng(0)
SHAPES = [
    ((1000, 7), (7,)),
    ((1000, 7), (1000, 1)),
    ((1000, 1), (7,)),
    ((3, 500, 5), (3, 1, 5)),
    ((3, 500, 5), (3, 500, 1)),
    ((2, 3, 400, 63), (1, 3, 1, 63)),
    ((2, 1, 400, 2), (2, 5, 1, 2)),
    ((300, 64), (64,)),
    ((4, 1000), (4, 1)),
]


def array(shape, dtype):
    return RNG.integers(-50, 50, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int64", "bool"])
@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_rows_that_repeat(a, b, dtype):
    x, y = array(a, dtype), array(b, dtype)
    before = pydl.get_num_threads()
    try:
        for threads in (1, 3):
            pydl.set_num_threads(threads)
            p, q = pydl.from_numpy(x), pydl.from_numpy(y)
            assert np.array_equal(pydl.maximum(p, q).numpy(), np.maximum(x, y))
            assert np.array_equal(pydl.maximum(q, p).numpy(), np.maximum(y, x))
            assert np.array_equal(pydl.where(p > 0, q, p).numpy(), np.where(x > 0, y, x))
            if a == np.broadcast_shapes(a, b):
                p.clone().copy_(q)
                assert np.array_equal(p.clone().copy_(q).numpy(), np.broadcast_to(y, a))
    finally:
        pydl.set_num_threads(before)


@pytest.mark.parametrize("columns", [1, 3, 4, 5, 70])
def test_few_columns_of_a_wide_array(columns):
    x = RNG.standard_normal((600, 97)).astype("float32")
    part = pydl.from_numpy(x)[:, 5 : 5 + columns]
    assert np.array_equal(part.contiguous().numpy(), x[:, 5 : 5 + columns])
    assert np.array_equal((part * part).numpy(), x[:, 5 : 5 + columns] ** 2)
    assert np.array_equal(part.double().numpy(), x[:, 5 : 5 + columns].astype("float64"))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_joining_slices(dtype, dim):
    x = array((6, 70, 50), dtype)
    t = pydl.from_numpy(x)
    slices = [np.s_[1:4, 3:20, :], np.s_[1:4, 3:20, 2:40], np.s_[:3, 40:57, 5:43], np.s_[2:5, :17, :]]
    for first in slices:
        for second in slices:
            p, q = x[first], x[second]
            if all(m == n for d, (m, n) in enumerate(zip(p.shape, q.shape)) if d != dim):
                assert np.array_equal(pydl.cat([t[first], t[second]], dim).numpy(), np.concatenate([p, q], dim))
    assert np.array_equal(pydl.cat([t[0], t[1].T.contiguous().T], 0).numpy(), np.concatenate([x[0], x[1]], 0))


@pytest.mark.parametrize("length", [0, 1, 15, 63, 64, 65, 1023, 1024, 1025, 5000])
def test_copies_at_any_address(length):
    x = RNG.integers(0, 255, 6000).astype("uint8")
    t = pydl.from_numpy(x)
    for start in (0, 1, 4, 31, 63, 64, 100):
        for end in (0, 3, 64, 77):
            to = pydl.full((6000,), 7, dtype=pydl.uint8)
            to[end : end + length] = t[start : start + length]
            expected = np.full(6000, 7, "uint8")
            expected[end : end + length] = x[start : start + length]
            assert np.array_equal(to.numpy(), expected)


def test_more_repeats_than_an_index_can_count():
    with pytest.raises(pydl.ShapeError, match="repeat_interleave: expected a dimension of fewer than"):
        pydl.repeat_interleave(pydl.zeros(4), 2**62)
    with pytest.raises(pydl.OutOfMemoryError):
        pydl.repeat_interleave(pydl.zeros(4), 2**50)


@pytest.mark.parametrize("diagonal", [-2000, -31, -1, 0, 1, 40, 2000])
def test_triangles(diagonal):
    x = RNG.standard_normal((3, 30, 50)).astype("float32")
    for a in (x, x.transpose(0, 2, 1), x[:, :0], x[:, :, :0]):
        t = pydl.from_numpy(a)
        assert np.array_equal(pydl.tril(t, diagonal).numpy(), np.tril(a, diagonal))
        assert np.array_equal(pydl.triu(t, diagonal).numpy(), np.triu(a, diagonal))

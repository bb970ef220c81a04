"""Results larger than the caches are written around them: the same bits as a piece at a time."""

import numpy as np
import pytest

import pydl

ROW, PIECE = 4096, 4096 * 64

OPERATIONS = {
    "add": lambda x, y: x + y,
    "row": lambda x, y: (x[: len(x) // ROW * ROW].reshape(-1, ROW) + y[:ROW]).flatten(),
    "number": lambda x, y: x * 2.5,
    "where": lambda x, y: pydl.where(x > 0, x, y),
    "where a number": lambda x, y: pydl.where(x > 0, x, 1.0),
    "addcmul": lambda x, y: pydl.addcmul(x, x, y),
    "relu": lambda x, y: x.relu(),
    "exp": lambda x, y: x.exp(),
    "less": lambda x, y: x < y,
}


def length(dtype):
    """Elements of which two operands are larger than the caches, and no whole number of vectors."""
    item = pydl.empty(0, dtype=dtype).element_size()
    limit = pydl.build_info()["caches"][2] // 4 * 5
    return limit // (2 * item) + ROW + 3


@pytest.fixture(scope="module", params=[pydl.float32, pydl.float64], ids=["float32", "float64"])
def operands(request):
    generator = pydl.Generator().manual_seed(1)
    n = length(request.param)
    return [pydl.randn(PIECE, dtype=request.param, generator=generator).repeat(n // PIECE + 1)[:n] for _ in "xy"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_same_bits_as_a_piece_at_a_time(operands, name):
    x, y = operands
    expected = OPERATIONS[name](x[:PIECE], y[:PIECE]).numpy()
    result = OPERATIONS[name](x, y).numpy()
    for start in range(0, len(result), PIECE):
        part = result[start : start + PIECE]
        assert np.array_equal(part, expected[: len(part)])


@pytest.mark.parametrize("shift", [0, 1])
def test_out_at_any_address(operands, shift):
    x, y = operands
    out = pydl.full((len(x) + 1,), -7.0, dtype=x.dtype)
    pydl.add(x, y, out=out[shift : shift + len(x)])
    assert out[0 if shift else -1].item() == -7.0
    assert pydl.equal(out[shift : shift + 1000], x[:1000] + y[:1000])
    assert pydl.equal(out[shift + len(x) - 1000 : shift + len(x)], x[-1000:] + y[-1000:])


def test_in_place(operands):
    x, y = operands
    result = x.clone()
    result += y
    assert pydl.equal(result[-5000:], x[-5000:] + y[-5000:])
    assert pydl.equal(result[:5000], x[:5000] + y[:5000])

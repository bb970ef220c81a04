"""Attributes, creation, Python's protocols."""
from __future__ import annotations

import math

import numpy as np
import pytest
from specs.spec import ALL

import pydl


def test_attributes():
    x = pydl.zeros(2, 3, 4)
    assert x.shape == (2, 3, 4) and tuple(x.size()) == (2, 3, 4) and x.size(1) == 3 and x.size(-1) == 4
    assert x.ndim == x.dim() == 3 and x.numel() == x.nelement() == 24 and len(x) == 2
    assert x.stride() == (12, 4, 1) and x.stride(0) == 12 and x.storage_offset() == 0
    assert x.dtype == pydl.float32 and x.element_size() == 4 and x.nbytes == 96 and x.itemsize == 4
    assert x.device.type == "cpu" and str(x.device) == "cpu" and not x.is_cuda
    assert x.is_contiguous() and not x.mT.is_contiguous() and x.is_floating_point() and not x.is_complex()
    assert x.is_leaf and not x.requires_grad and x.grad is None and x.grad_fn is None
    assert isinstance(x.shape, tuple) and x.shape.numel() == 24
    assert isinstance(x, pydl.Tensor) and pydl.is_tensor(x) and not pydl.is_tensor(1)


@pytest.mark.parametrize("dtype", ALL)
def test_dtype_properties(dtype: str):
    d = getattr(pydl, dtype)
    assert str(d) == f"pydl.{dtype}" or str(d).endswith("." + dtype)
    assert d.is_floating_point == ("float" in dtype)
    assert d.itemsize == pydl.zeros(1, dtype=d).element_size()
    if "int" in dtype:
        assert pydl.iinfo(d).max == np.iinfo(dtype).max and pydl.iinfo(d).min == np.iinfo(dtype).min
    elif dtype == "float32":
        info = pydl.finfo(d)
        assert (info.eps, info.max, info.tiny, info.bits) == (2.0**-23, float(np.finfo("f4").max), 2.0**-126, 32)


def test_dtype_names():
    assert pydl.float is pydl.float32 and pydl.double is pydl.float64 and pydl.half is pydl.float16
    assert pydl.long is pydl.int64 and pydl.int is pydl.int32 and pydl.short is pydl.int16


def test_default_dtype():
    assert pydl.get_default_dtype() == pydl.float32
    pydl.set_default_dtype(pydl.float64)
    try:
        assert pydl.tensor(1.0).dtype == pydl.zeros(1).dtype == (pydl.ones(1,
            dtype=pydl.int64) / 2).dtype == pydl.float64
    finally:
        pydl.set_default_dtype(pydl.float32)
    assert pydl.tensor(1.0).dtype == pydl.float32


def test_tensor_infers_dtype_and_shape():
    assert pydl.tensor([1, 2]).dtype == pydl.int64 and pydl.tensor([1, 2.5]).dtype == pydl.float32
    assert pydl.tensor([True]).dtype == pydl.bool and pydl.tensor([]).dtype == pydl.float32
    assert pydl.tensor([[1, 2], [3, 4], [5, 6]]).shape == (3, 2)
    assert pydl.tensor([np.float64(1), np.float64(2)]).dtype == pydl.float64
    assert pydl.tensor(np.arange(3, dtype=np.int16)).dtype == pydl.int16
    assert pydl.tensor([pydl.tensor(1.0), 2.0]).tolist() == [1.0, 2.0]
    assert pydl.tensor([[], []]).shape == (2, 0)
    assert pydl.tensor(2.5, requires_grad=True).requires_grad


def test_tensor_copies():
    a = np.zeros(3, np.float32)
    x = pydl.tensor(a)
    a[0] = 1
    assert x[0] == 0
    assert pydl.as_tensor(a).data_ptr() == pydl.as_tensor(a).data_ptr() == a.ctypes.data
    assert pydl.as_tensor(x) is x


def test_item_and_conversions():
    assert pydl.tensor(2.5).item() == 2.5 and isinstance(pydl.tensor(2).item(),
        int) and pydl.tensor(True).item() is True
    assert float(pydl.tensor([2.5])) == 2.5 and int(pydl.tensor(2.7)) == 2 and bool(pydl.tensor([0.0])) is False
    assert [10, 20, 30][pydl.tensor(1)] == 20
    assert pydl.arange(6).reshape(2, 3).tolist() == [[0, 1, 2], [3, 4, 5]] and pydl.tensor(3).tolist() == 3
    assert pydl.tensor(2**62 + 1).item() == 2**62 + 1
    assert math.sqrt(pydl.tensor(4.0)) == 2.0
    assert f"{pydl.tensor(1.25):.1f}" == "1.2"
    assert pydl.is_nonzero(pydl.tensor([1])) and not pydl.is_nonzero(pydl.tensor(0.0))


def test_iteration_and_containment():
    rows = list(pydl.arange(6).reshape(2, 3))
    assert [r.tolist() for r in rows] == [[0, 1, 2], [3, 4, 5]]
    a, b = pydl.tensor([1, 2])
    assert (a.item(), b.item()) == (1, 2)
    assert 2 in pydl.arange(3) and 7 not in pydl.arange(3)
    assert [x.item() for x in reversed(pydl.arange(3))] == [2, 1, 0]
    assert hash(a) != hash(b) and len({a, b, a}) == 2


def test_operators_of_python():
    x, y = pydl.tensor([1.0, -2.0, 3.5]), pydl.tensor([2.0, 2.0, 2.0])
    a, b = x.numpy(), y.numpy()
    for got, want in [(x + y, a + b), (x - y, a - b), (x * y, a * b), (x / y, a / b), (x // y, a // b), (x % y, a % b),
            (x**y, a**b), (-x, -a), (+x, a), (abs(x), abs(a)), (1 + x, 1 + a), (1 - x, 1 - a), (2 * x, 2 * a),
            (1 / x, 1 / a), (2**y, 2**b), (7 // y, 7 // b), (7 % y, 7 % b), (x < y, a < b), (x <= y, a <= b),
            (x > 1, a > 1), (x >= 1, a >= 1), (x == y, a == b), (x != y, a != b)]:
        assert np.array_equal(got.numpy(), want)
    p, q = pydl.tensor([6, 3]), pydl.tensor([3, 5])
    for got, want in [(p & q, [2, 1]), (p | q, [7, 7]), (p ^ q, [5, 6]), (~p, [-7, -4]), (p << 1, [12, 6]),
            (p >> 1, [3, 1]), (1 & p, [0, 1]), (1 << q, [8, 32])]:
        assert got.tolist() == want
    assert divmod(7, 2) == (7 // 2, 1) and (x == None) is False  # noqa: E711


def test_inplace_operators_of_python():
    x = pydl.tensor([6.0, 3.0])
    same = x
    x += 1
    x -= pydl.ones(2)
    x *= 2
    x /= 4
    x **= 2
    assert x is same and x.tolist() == [9.0, 2.25]
    n = pydl.tensor([6, 3])
    same = n
    n &= 7
    n |= 8
    n ^= 1
    n <<= 1
    n >>= 1
    n //= 2
    n %= 5
    assert n is same and n.tolist() == [(15 // 2) % 5, (10 // 2) % 5]


def test_one_object_per_tensor():
    x = pydl.ones(3, requires_grad=True)
    (x * 2).sum().backward()
    assert x.grad is x.grad
    x.note = "kept"
    assert x.note == "kept"


def test_to():
    x = pydl.ones(2)
    assert x.to(pydl.float32) is x and x.to("cpu") is x and x.cpu() is x
    assert x.to(pydl.float64).dtype == pydl.float64 and x.to(pydl.int32).dtype == pydl.int32
    assert x.to(pydl.ones(1, dtype=pydl.int8)).dtype == pydl.int8
    assert x.to(pydl.float32, copy=True) is not x
    assert x.type(pydl.float64).dtype == pydl.float64
    assert pydl.tensor([-1.7, 1.7]).int().tolist() == [-1, 1]


def test_apply_to_shapes():
    assert pydl.broadcast_shapes((3, 1), (1, 4), (2, 1, 1)) == (2, 3, 4)
    assert pydl.numel(pydl.zeros(2, 3)) == 6
    assert pydl.zeros(2, 3).T.shape == (3, 2) and pydl.zeros(2, 3, 4).mT.shape == (2, 4, 3) and pydl.zeros(2,
        3).H.shape == (3, 2)
    assert pydl.result_type(pydl.ones(1, dtype=pydl.int32), 1.0) == pydl.float32
    assert pydl.promote_types(pydl.int32, pydl.uint8) == pydl.int32
    assert pydl.can_cast(pydl.int32, pydl.float32) and not pydl.can_cast(pydl.float32, pydl.int32)


def test_subclass_of_parameter():
    p = pydl.nn.Parameter(pydl.ones(2))
    assert isinstance(p, pydl.Tensor) and p.requires_grad and p.is_leaf
    assert "Parameter" in repr(p)


def test_missing_names_say_so():
    with pytest.raises(AttributeError):
        pydl.no_such_operator  # noqa: B018
    with pytest.raises(AttributeError):
        pydl.ones(1).no_such_method  # noqa: B018


def test_tensors_among_numbers(torch_or_fail):
    """Each is one number, whatever its shape."""
    found = []
    for lib in (pydl, torch_or_fail):
        x = lib.tensor([[lib.ones(1), 2], [lib.ones(1, 1) * 3, lib.tensor(4)]])
        found.append((x.tolist(), str(x.dtype).rpartition(".")[2]))
        with pytest.raises(ValueError):
            lib.tensor([lib.ones(2), lib.ones(2)])
    assert found[0] == found[1]


def test_negative_numbers_go_around_in_bytes(torch_or_fail):
    for lib in (pydl, torch_or_fail):
        assert lib.tensor([-1, -255], dtype=lib.uint8).tolist() == [255, 1]


@pytest.mark.parametrize("name", ["BoolTensor", "ByteTensor", "CharTensor", "ShortTensor", "IntTensor", "LongTensor",
    "HalfTensor", "BFloat16Tensor", "FloatTensor", "DoubleTensor"])
def test_older_names_of_dtypes(name: str, torch_or_fail):
    found = []
    for lib in (pydl, torch_or_fail):
        kind = getattr(lib, name)
        x = kind([[1, 0], [1, 1]])
        assert isinstance(x, kind) and not isinstance(x, lib.IntTensor if name != "IntTensor" else lib.FloatTensor)
        assert x.type() == f"{lib.__name__}.{name}" and kind.dtype == x.dtype
        ones = lib.ones(2, dtype=lib.int32)
        by_name = ones.type(x.type()), ones.type(kind), ones.type(dtype=x.dtype)
        assert [y.dtype for y in by_name] == [x.dtype] * 3
        found.append((x.tolist(), tuple(kind(2, 3).shape), tuple(kind().shape), kind(x).tolist(),
            tuple(kind(lib.Size([2])).shape), kind(np.ones(2, dtype=by_name[0].float().numpy().dtype)).tolist()))
        with pytest.raises(TypeError):
            kind(ones if name != "IntTensor" else lib.ones(1))
        with pytest.raises(ValueError):
            ones.type("NoTensor")
    assert found[0] == found[1]


def test_set_default_tensor_type():
    try:
        pydl.set_default_tensor_type("pydl.DoubleTensor")
        assert pydl.ones(1).dtype == pydl.float64
        pydl.set_default_tensor_type(pydl.FloatTensor)
        assert pydl.ones(1).dtype == pydl.float32
        with pytest.raises(TypeError):
            pydl.set_default_tensor_type("pydl.NoTensor")
        with pytest.raises(TypeError):
            pydl.set_default_tensor_type(pydl.LongTensor)
    finally:
        pydl.set_default_dtype(pydl.float32)

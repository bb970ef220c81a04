"""Constructors with a dtype in their name, as older programs use them: shapes, sharing, instances, errors."""

import numpy as np
import pytest

import pydl

NAMES = {
    "BFloat16Tensor": pydl.bfloat16, "BoolTensor": pydl.bool, "ByteTensor": pydl.uint8, "CharTensor": pydl.int8,
    "DoubleTensor": pydl.float64, "FloatTensor": pydl.float32, "HalfTensor": pydl.float16, "IntTensor": pydl.int32,
    "LongTensor": pydl.int64, "ShortTensor": pydl.int16,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_name_says_the_dtype(name):
    kind = getattr(pydl, name)
    assert kind(2, 3).dtype == NAMES[name] and kind(2, 3).shape == (2, 3)
    assert kind([[1, 0]]).tolist() == [[1, 0]] and kind().shape == (0,)
    x = pydl.ones(2).type(kind)
    assert isinstance(x, kind) and x.type() == f"pydl.{name}"
    assert [other for other in NAMES if isinstance(x, getattr(pydl, other))] == [name]
    assert pydl.ones(2).type(f"pydl.{name}").dtype == pydl.ones(2).type(dtype=kind).dtype == NAMES[name]


def test_sizes_and_data():
    assert pydl.LongTensor(pydl.Size([2, 3])).shape == pydl.LongTensor(np.int64(2), 3).shape == (2, 3)
    assert pydl.LongTensor([1.5, -1.5]).tolist() == [1, -1]
    assert pydl.LongTensor(np.array([3], np.int32)).tolist() == [3]
    array, x = np.zeros(2, np.float32), pydl.ones(2, requires_grad=True)
    pydl.FloatTensor(array).fill_(3)
    assert array.tolist() == [3, 3]
    assert pydl.FloatTensor(x).data_ptr() == x.data_ptr() and pydl.FloatTensor(x).requires_grad


def test_new_takes_the_dtype_of_its_tensor():
    x = pydl.zeros(3, dtype=pydl.int64)
    assert x.new(2, 3).shape == (2, 3) and x.new([1.5]).tolist() == [1] and x.new().numel() == 0
    assert x.new(2).dtype == x.new([1.5]).dtype == pydl.int64


def test_the_default_type():
    try:
        pydl.set_default_tensor_type("pydl.DoubleTensor")
        assert pydl.Tensor([1]).dtype == pydl.Tensor(2).dtype == pydl.float64
        pydl.set_default_tensor_type(pydl.FloatTensor)
        assert pydl.Tensor([1]).dtype == pydl.float32
    finally:
        pydl.set_default_dtype(pydl.float32)


@pytest.mark.parametrize(("call", "error"), [
    (lambda: pydl.LongTensor(2.5), TypeError),
    (lambda: pydl.LongTensor("ab"), TypeError),
    (lambda: pydl.LongTensor(pydl.ones(2)), TypeError),
    (lambda: pydl.LongTensor(x for x in [1]), TypeError),
    (lambda: pydl.LongTensor(-1), RuntimeError),
    (lambda: pydl.Tensor(2.5), TypeError),
    (lambda: pydl.ones(2).type("pydl.Tensor"), ValueError),
    (lambda: pydl.ones(2).type(5), TypeError),
    (lambda: pydl.set_default_tensor_type("Double"), TypeError),
])
def test_wrong_calls_say_what_was_expected(call, error):
    with pytest.raises(error, match=r"^\w+: expected .*, got "):
        call()

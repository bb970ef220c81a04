"""copy, deepcopy, pickle, multiprocessing."""
from __future__ import annotations

import copy
import io
import multiprocessing
import operator
import pickle

import pytest
from specs.spec import ALL

import pydl


@pytest.mark.parametrize("dtype", ALL)
def test_pickle(dtype: str):
    x = pydl.arange(6).reshape(2, 3).to(getattr(pydl, dtype))
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        y = pickle.loads(pickle.dumps(x, protocol))
        assert y.dtype == x.dtype and y.tolist() == x.tolist()


def test_pickle_keeps_layout_and_flags():
    x = pydl.arange(6.0).reshape(2, 3).t()
    assert pickle.loads(pickle.dumps(x)).stride() == (1, 3)
    assert pickle.loads(pickle.dumps(pydl.ones(2, requires_grad=True))).requires_grad
    assert isinstance(pickle.loads(pickle.dumps(pydl.nn.Parameter(pydl.ones(2)))), pydl.nn.Parameter)
    assert pickle.loads(pickle.dumps(pydl.zeros(0, 3))).shape == (0, 3)
    assert pickle.loads(pickle.dumps(pydl.float32)) is pydl.float32
    assert pickle.loads(pickle.dumps(pydl.device("cpu"))) == pydl.device("cpu")
    assert pickle.loads(pickle.dumps(pydl.zeros(2, 3).shape)) == (2, 3)


def test_deepcopy():
    x = pydl.ones(3, requires_grad=True)
    (x * 2).sum().backward()
    y = copy.deepcopy(x)
    assert y is not x and y.requires_grad and y.grad.tolist() == [2, 2, 2] and y.data_ptr() != x.data_ptr()
    shared = [x, x]
    a, b = copy.deepcopy(shared)
    assert a is b
    with pytest.raises(RuntimeError):
        copy.deepcopy(x * 2)


def test_copy_shares_memory():
    x = pydl.ones(3)
    y = copy.copy(x)
    y[0] = 5
    assert x[0] == 5


def test_stream():
    buffer = io.BytesIO()
    pickle.dump({"w": pydl.ones(2), "n": 3}, buffer)
    buffer.seek(0)
    loaded = pickle.load(buffer)
    assert loaded["w"].tolist() == [1, 1] and loaded["n"] == 3


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_multiprocessing(method: str):
    big = pydl.ones(300, 300)
    assert (big @ big).sum() > 0  # the parent's threads exist before the fork
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply_async(operator.matmul, (big, big)).get(timeout=60).sum() == 300**3

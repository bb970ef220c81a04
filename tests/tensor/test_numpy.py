"""The border with NumPy: zero-copy both ways, the buffer protocol, __array__, DLPack, mixed arithmetic."""
from __future__ import annotations

import gc

import numpy as np
import pytest

import pydl

SHARED = ("float32", "float64", "float16", "uint8", "int8", "int16", "int32", "int64", "bool")


def address(a: np.ndarray) -> int:
    return a.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", SHARED)
def test_from_numpy_and_back_share_memory(dtype: str):
    a = np.ones((3, 4), dtype)
    x = pydl.from_numpy(a)
    assert x.dtype == getattr(pydl, dtype) and x.data_ptr() == address(a) == address(x.numpy())
    a[1, 2] = 0
    assert x[1, 2] == 0
    x[0, 0] = 0
    assert a[0, 0] == 0
    assert x.numpy().dtype == a.dtype


@pytest.mark.parametrize("make", [lambda a: a.T, lambda a: a[::2], lambda a: a[:, 1:3], lambda a: a[1],
    lambda a: a[:, ::3]])
def test_strides_survive(make):
    a = make(np.arange(24.0).reshape(4, 6))
    x = pydl.from_numpy(a)
    assert [s * 8 for s in x.stride()] == list(a.strides)
    assert x.tolist() == a.tolist()
    assert make(pydl.arange(24.0, dtype=pydl.float64).reshape(4, 6)).numpy().strides == a.strides


def test_memory_outlives_its_owner():
    a = pydl.from_numpy(np.arange(5.0)) * 1
    view = a.numpy()
    del a
    gc.collect()
    junk = [pydl.zeros(5, dtype=pydl.float64) for _ in range(99)]
    assert view.tolist() == [0, 1, 2, 3, 4] and junk
    b = np.arange(5.0)
    x = pydl.from_numpy(b)
    del b
    gc.collect()
    assert x.tolist() == [0, 1, 2, 3, 4]


def test_refused_arrays():
    with pytest.raises(ValueError):
        pydl.from_numpy(np.arange(5)[::-1])
    for bad in (np.array(["a"]), np.array([object()])):
        with pytest.raises(TypeError):
            pydl.from_numpy(bad)
    with pytest.raises(TypeError):
        pydl.from_numpy([1, 2])


def test_numpy_of_a_tensor_with_gradient():
    x = pydl.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError):
        x.numpy()
    assert x.detach().numpy().tolist() == x.numpy(force=True).tolist() == [1, 1]
    with pytest.raises((RuntimeError, TypeError)):
        np.asarray(x)


def test_bfloat16_has_no_numpy_form():
    with pytest.raises(TypeError):
        pydl.ones(2, dtype=pydl.bfloat16).numpy()


def test_array_protocol():
    x = pydl.arange(4.0)
    assert address(np.asarray(x)) == x.data_ptr()
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    copied = np.array(x)
    copied[0] = 9
    assert x[0] == 0
    assert np.array(x, copy=True).tolist() == [0, 1, 2, 3]
    assert x.__array__().dtype == np.float32 and x.__array__(np.int32).dtype == np.int32


def test_array_protocol_refuses_impossible_views():
    x = pydl.arange(4.0)
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        with pytest.raises(ValueError):
            np.asarray(x, dtype=np.float64, copy=False)
        assert address(np.asarray(x, copy=False)) == x.data_ptr()


def test_buffer_protocol():
    x = pydl.arange(6.0).reshape(2, 3)
    m = memoryview(x)
    assert m.shape == (2, 3) and m.format == "f" and m.itemsize == 4 and m.strides == (12,
        4) and m.tolist() == [[0, 1, 2], [3, 4, 5]]
    m[0, 0] = 9.0
    assert x[0, 0] == 9
    assert memoryview(x.t()).strides == (4, 12)
    assert bytes(memoryview(pydl.arange(3, dtype=pydl.uint8))) == b"\0\1\2"
    assert pydl.frombuffer(bytearray(b"\1\2\3"), dtype=pydl.uint8).tolist() == [1, 2, 3]


def test_read_only_arrays_are_not_written():
    a = np.arange(3.0)
    a.flags.writeable = False
    with pytest.warns(UserWarning, match="writ"):
        x = pydl.from_numpy(a)
    assert x.tolist() == [0, 1, 2]
    assert pydl.as_tensor(np.broadcast_to(np.float32(2), (3,)).copy()).tolist() == [2, 2, 2]


# ---- Arithmetic of both ----------------------------------------------------------------------------------------------

def test_array_with_tensor_is_a_tensor():
    a, x = np.arange(3, dtype=np.float32), pydl.ones(3)
    for got, want in ((a + x, [1, 2, 3]), (x + a, [1, 2, 3]), (a - x, [-1, 0, 1]), (a * x, [0, 1, 2]),
            (x / (a + 1), [1.0, 0.5, 1 / 3]), (a @ x, 3), (x @ a, 3)):
        assert isinstance(got, pydl.Tensor)
        assert np.allclose(got.tolist(), want)
    assert isinstance(a < x, pydl.Tensor) and (a < x).tolist() == [True, False, False]
    assert (np.float64(2) * x).dtype == pydl.float32 and isinstance(np.float64(2) * x, pydl.Tensor)
    assert isinstance(np.float32(2) - x, pydl.Tensor) and isinstance(np.int64(2) ** x, pydl.Tensor)


def test_array_operand_with_gradient():
    x = pydl.ones(3, requires_grad=True)
    (np.arange(3, dtype=np.float32) * x).sum().backward()
    assert x.grad.tolist() == [0, 1, 2]


def test_numpy_numbers_are_numbers():
    x = pydl.ones(2)
    assert (x + np.float64(1)).dtype == pydl.float32 and (x * np.int8(2)).tolist() == [2, 2]
    assert pydl.zeros(np.int64(2), np.int32(3)).shape == (2, 3)
    assert x.sum(dim=np.int64(0)).item() == 2
    assert pydl.full((2,), np.float32(1.5)).tolist() == [1.5, 1.5]


# ---- DLPack ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", SHARED)
def test_dlpack_to_numpy(dtype: str):
    x = pydl.ones(3, 4).to(getattr(pydl, dtype))
    if dtype == "bool" and np.lib.NumpyVersion(np.__version__) < "2.0.0":
        return
    a = np.from_dlpack(x)
    assert a.dtype == dtype and address(a) == x.data_ptr() and a.shape == (3, 4)
    assert np.from_dlpack(x.t()).strides == x.numpy().T.strides


@pytest.mark.parametrize("dtype", SHARED)
def test_dlpack_from_numpy(dtype: str):
    a = np.ones((3, 4), dtype)
    if dtype == "bool" and np.lib.NumpyVersion(np.__version__) < "2.0.0":
        return
    x = pydl.from_dlpack(a)
    assert x.data_ptr() == address(a) and x.dtype == getattr(pydl, dtype) and x.shape == (3, 4)
    assert pydl.from_dlpack(a.T).stride() == (1, 4)


def test_dlpack_device_and_versions():
    x = pydl.ones(3)
    assert x.__dlpack_device__() == (1, 0)
    assert "dltensor_versioned" in repr(x.__dlpack__(max_version=(1, 0)))
    assert "dltensor_versioned" not in repr(x.__dlpack__())
    with pytest.raises((BufferError, RuntimeError)):
        pydl.ones(2, requires_grad=True).__dlpack__()


def test_dlpack_capsule_is_used_once():
    capsule = pydl.ones(3).__dlpack__()
    assert pydl.from_dlpack(capsule).tolist() == [1, 1, 1]
    with pytest.raises((RuntimeError, ValueError, BufferError)):
        pydl.from_dlpack(capsule)


def test_dlpack_memory_outlives_its_owner():
    a = np.from_dlpack(pydl.arange(4.0) + 0)
    gc.collect()
    junk = [pydl.zeros(4) for _ in range(99)]
    assert a.tolist() == [0, 1, 2, 3] and junk
    unused = pydl.ones(3).__dlpack__()
    del unused
    gc.collect()


def test_dlpack_read_only_is_honoured():
    a = np.arange(3.0)
    a.flags.writeable = False
    try:
        x = pydl.from_dlpack(a)
    except (BufferError, RuntimeError):
        return
    with pytest.raises(RuntimeError):
        x.add_(1)
    assert a.tolist() == [0, 1, 2]


def test_dlpack_copy():
    x = pydl.ones(3)
    a = np.from_dlpack(x, copy=True) if np.lib.NumpyVersion(np.__version__) >= "2.1.0" else np.array(x)
    assert address(a) != x.data_ptr()
    assert pydl.from_dlpack(np.ones(3), copy=True).tolist() == [1, 1, 1]


def test_dlpack_with_torch(torch_or_fail):
    torch = torch_or_fail
    x, y = pydl.arange(6.0).reshape(2, 3), torch.arange(6.0).reshape(2, 3)
    assert torch.from_dlpack(x).data_ptr() == x.data_ptr() and pydl.from_dlpack(y).data_ptr() == y.data_ptr()
    assert torch.from_dlpack(x.t()).stride() == (1, 3) and pydl.from_dlpack(y.t()).stride() == (1, 3)
    half = torch.ones(2, dtype=torch.bfloat16)
    assert pydl.from_dlpack(half).dtype == pydl.bfloat16
    assert pydl.utils.dlpack.from_dlpack(pydl.utils.dlpack.to_dlpack(x)).tolist() == x.tolist()


# ---- NumPy's functions -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("function", [np.sin, np.isfinite, np.modf, lambda x: np.add(x, 1), lambda x: np.add(1.0, x),
    lambda x: np.multiply(np.ones(3), x), lambda x: np.matmul(x, x), np.add.reduce, np.cumsum], ids=range(9))
def test_functions_of_tensors_are_tensors(function):
    for a in (np.array([0.5, -1.0, 4.0], np.float32), np.arange(3)):
        ours, theirs = function(pydl.from_numpy(a)), function(a)
        for x, want in zip(*((r if isinstance(r, tuple) else (r,)) for r in (ours, theirs)), strict=True):
            assert isinstance(x, pydl.Tensor) and x.numpy().dtype == want.dtype
            assert x.shape == want.shape and x.tolist() == want.tolist()


def test_functions_of_scalars_are_tensors_without_dimensions():
    x = np.sqrt(pydl.tensor(4.0))
    assert isinstance(x, pydl.Tensor) and x.shape == () and x.dtype == pydl.float32 and x.item() == 2
    assert np.isnan(x).dtype == pydl.bool and not np.isnan(x)


def test_functions_that_have_no_tensor_to_return():
    x = pydl.ones(2)
    assert isinstance(np.multiply(x, 1j), np.ndarray)  # no operators on complex numbers
    out = np.zeros(2, np.float32)
    assert np.add(x, 1, out=out) is out and out.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="requires grad"):
        np.sin(x.requires_grad_())

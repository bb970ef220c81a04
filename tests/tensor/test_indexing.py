"""Basic, integer and boolean indexing, read and written, against NumPy; gradients against PyTorch."""
from __future__ import annotations

import numpy as np
import pytest

import pydl

S = slice
BASIC = [0, -1, S(None), S(1, 3), S(None, None, 2), S(5, 2), S(-2, None), None, ..., (0, 1), (S(None), 1), (..., 0),
    (None, 0, None), (S(1), None, ..., S(None, None, 3)), (0, S(None), -1), (S(0, 0),), (..., None), (1, ..., 2),
    (0, 1, 2), ()]
ADVANCED = [[0, 2], [-1, 0, 0], np.array([[0, 1], [2, 0]]), ([0, 1], [1, 2]), (S(None), [0, 2]),
    (S(None), [0, 2], S(None, None, 2)), ([0, 2], S(None), [1, 3]), (..., [3, 0]), (0, [1, 2]), ([1, 2], 0),
    (None, [0, 1]), ([[0], [2]], [1, 2]), (S(1, 3), [0, 1], 2), ([0, 1], None, [1, 2]), (np.array([], int),),
    (S(None), np.array([[1]]), [0, 1])]
MASKS = ["all", "first", "row", "none_true", "second", "with_slice", "with_int"]
SHAPE = (3, 4, 5)


def mask_index(name: str) -> object:
    rng = np.random.default_rng(3)
    return {"all": rng.random(SHAPE) < 0.5, "first": np.array([True, False, True]), "row": rng.random(SHAPE[:2]) < 0.5,
        "none_true": np.zeros(SHAPE, bool), "second": (S(None), np.array([True, False, True, True])),
        "with_slice": (np.array([True, False, True]), S(1, 3)), "with_int": (np.array([True, True, False]), 1)}[name]


INDICES = [(str(i), i) for i in BASIC] + [(f"advanced{k}", i) for k, i in enumerate(ADVANCED)] + [(f"mask-{n}",
    mask_index(n)) for n in MASKS]
IDS = [name.replace(" ", "") for name, _ in INDICES]
indices = pytest.mark.parametrize("index", [i for _, i in INDICES], ids=IDS)


def to(lib, index):
    """The index with NumPy arrays as tensors."""
    if isinstance(index, tuple):
        return tuple(to(lib, i) for i in index)
    return lib.from_numpy(index.copy()) if isinstance(index, np.ndarray) else index


def data(layout: str = "contiguous") -> np.ndarray:
    a = np.arange(60, dtype=np.float32).reshape(SHAPE)
    return a if layout == "contiguous" else np.ascontiguousarray(a.transpose(2, 0, 1)).transpose(1, 2, 0)


@indices
@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
def test_read(index, layout):
    a = data(layout)
    got, want = pydl.from_numpy(a)[to(pydl, index)], a[index]
    assert tuple(got.shape) == want.shape
    assert np.array_equal(got.numpy(), want)


@indices
@pytest.mark.parametrize("value", ["number", "tensor", "broadcast"])
def test_write(index, value):
    a = data().copy()
    x = pydl.tensor(a)
    part = a[index]
    new = {"number": np.float32(-7.0), "tensor": -np.arange(1, part.size + 1, dtype=np.float32).reshape(part.shape),
        "broadcast": np.float32([-3.0])}[value]
    if _repeats(index) or not part.ndim:
        new = np.float32(-7.0)
    a[index] = new
    x[to(pydl, index)] = float(new) if new.ndim == 0 else pydl.tensor(new)
    assert np.array_equal(x.numpy(), a)


def _repeats(index) -> bool:
    """Names an element twice, so that which value stays is open."""
    return isinstance(index, list) and len(set(index)) < len(index) or isinstance(index,
        np.ndarray) and index.dtype != bool


@indices
def test_gradient(index, torch_or_fail):
    grads = []
    for lib in (pydl, torch_or_fail):
        x = lib.tensor(data()).requires_grad_()
        y = x[to(lib, index)]
        (y * lib.arange(1.0, y.numel() + 1).reshape(y.shape)).sum().backward()
        grads.append(np.array(x.grad.numpy()))
    assert np.array_equal(*grads)


@indices
def test_gradient_of_write(index, torch_or_fail):
    """Both the written tensor and the values get their gradient."""
    if _repeats(index):
        return
    grads = []
    for lib in (pydl, torch_or_fail):
        x = lib.tensor(data()).requires_grad_()
        v = lib.ones(1, requires_grad=True)
        y = x * 2
        y[to(lib, index)] = v.sum().expand(y[to(lib, index)].shape)
        (y * y).sum().backward()
        grads.append((np.array(x.grad.numpy()), np.array(v.grad.numpy())))
    assert np.array_equal(grads[0][0], grads[1][0]) and np.array_equal(grads[0][1], grads[1][1])


def test_basic_index_is_a_view():
    x = pydl.zeros(3, 4)
    x[1][2] = 5
    x[:, 0][1:] = 7
    assert x.tolist() == [[0, 0, 0, 0], [7, 0, 5, 0], [7, 0, 0, 0]]


def test_tensor_scalar_index():
    x = pydl.arange(12).reshape(3, 4)
    assert x[pydl.tensor(1)].tolist() == [4, 5, 6, 7]
    assert x[pydl.tensor(1), pydl.tensor([0, 2])].tolist() == [4, 6]
    assert x[np.int64(2)].tolist() == [8, 9, 10, 11]
    assert x[True].shape == (1, 3, 4) and x[False].shape == (0, 3, 4)
    assert x[pydl.tensor(True)].shape == (1, 3, 4)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integer_dtypes(dtype: str):
    assert pydl.arange(3)[pydl.tensor([2, 1], dtype=getattr(pydl, dtype))].tolist() == [2, 1]


def test_write_casts_to_the_target():
    x = pydl.zeros(3, dtype=pydl.int32)
    x[1] = 2.9
    x[2] = pydl.tensor(3.5)
    assert x.tolist() == [0, 2, 3]


def test_write_accumulates_not():
    x = pydl.zeros(3)
    x[pydl.tensor([0, 0, 1])] += 1
    assert x.tolist() == [1, 1, 0]


@pytest.mark.parametrize(("index", "exception"), [(3, IndexError), (-4, IndexError), ((0, 4), IndexError),
    ((0, 0, 0, 0), IndexError), ("x", IndexError), (1.5, IndexError)])
def test_wrong_index(index, exception):
    with pytest.raises((exception, TypeError) if index in ("x", 1.5) else exception):
        pydl.zeros(SHAPE)[index]


def test_negative_step_is_refused():
    with pytest.raises(ValueError):
        pydl.arange(5)[::-1]


def test_wrong_write_changes_nothing():
    x = pydl.zeros(3, 4)
    for index, value in (((S(None), [0, 9]), 1.0), (S(0, 2), pydl.ones(3, 4)), ([0, 1], pydl.ones(3, 4))):
        with pytest.raises((IndexError, RuntimeError)):
            x[index] = value
    assert x.sum() == 0


def test_bytes_are_masks():
    x = pydl.arange(4)
    assert x[pydl.tensor([0, 1, 2, 0], dtype=pydl.uint8)].tolist() == [1, 2]
    x[pydl.tensor([1, 0, 0, 1], dtype=pydl.uint8)] = 7
    assert x.tolist() == [7, 1, 2, 7]


@pytest.mark.parametrize("make", [
    lambda lib: [[0, 1], [1, 2]], lambda lib: [[0, 1]], lambda lib: [slice(0, 1), 1], lambda lib: [..., 1],
    lambda lib: [None, 1], lambda lib: [lib.tensor([0]), lib.tensor([1])], lambda lib: [lib.tensor(1), lib.tensor(0)],
    lambda lib: [(0, 1), 2], lambda lib: [[True, False], [False, True, True]]])
def test_a_list_of_indices_is_a_tuple(make, torch_or_fail):
    """As in PyTorch 2.13, which warns, too."""
    shown = []
    for lib in (pydl, torch_or_fail):
        x = lib.arange(6.0).reshape(2, 3)
        with pytest.warns(UserWarning, match="tuple"):
            read = x[make(lib)].tolist()
        with pytest.warns(UserWarning, match="tuple"):
            x[make(lib)] = 7.0
        shown.append((read, x.tolist()))
    assert shown[0] == shown[1]


@pytest.mark.parametrize("make", [lambda lib: [1, 0], lambda lib: [True, False], lambda lib: [], lambda lib: ([0, 1],),
    lambda lib: [np.int64(1), 0], lambda lib: [[i] for i in [0, 1] * 16]])
@pytest.mark.filterwarnings("error")
def test_a_list_of_numbers_is_one_index(make, torch_or_fail):
    found = [lib.arange(6.0).reshape(2, 3)[make(lib)].tolist() for lib in (pydl, torch_or_fail)]
    assert found[0] == found[1]


def test_a_value_of_another_dtype(torch_or_fail):
    """A mask takes one number of any dtype, other indices tensors of their own."""
    found = []
    for lib in (pydl, torch_or_fail):
        x = lib.zeros(2, 3)
        x[lib.tensor([[True, False, True], [False, True, False]])] = lib.tensor([4])
        x[:, lib.tensor([True, False, False])] = lib.tensor([7], dtype=lib.float64)
        found.append(x.tolist())
        with pytest.raises(RuntimeError, match="dtype"):
            x[lib.tensor([0])] = lib.tensor([4])
        with pytest.raises(RuntimeError, match="dtype"):
            x[lib.tensor([True, False])] = lib.tensor([1, 2, 3])
    assert found[0] == found[1]

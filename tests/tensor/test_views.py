"""Views share memory and version; strides, contiguity and aliasing are PyTorch's."""
from __future__ import annotations

import gc

import pytest

import pydl

VIEWS = {"slice": lambda x: x[1:3], "step": lambda x: x[:, ::2], "row": lambda x: x[1], "none": lambda x: x[None],
    "ellipsis": lambda x: x[..., 1], "t": lambda x: x.t(), "T": lambda x: x.T, "transpose": lambda x: x.transpose(0, 1),
    "permute": lambda x: x.permute(1, 0), "view": lambda x: x.view(6, 4), "reshape": lambda x: x.reshape(-1),
    "flatten": lambda x: x.flatten(), "unflatten": lambda x: x.unflatten(1, (2, 3)), "squeeze": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(0), "expand": lambda x: x.expand(2, 4, 6), "narrow": lambda x: x.narrow(1, 1, 3),
    "select": lambda x: x.select(1, 2), "diagonal": lambda x: x.diagonal(), "unfold": lambda x: x.unfold(1, 2, 1),
    "as_strided": lambda x: x.as_strided((2, 2), (6, 2), 1), "split": lambda x: x.split(2)[1],
    "chunk": lambda x: x.chunk(2, 1)[1], "unbind": lambda x: x.unbind(1)[0], "movedim": lambda x: x.movedim(0, 1),
    "detach": lambda x: x.detach(), "view_as": lambda x: x.view_as(pydl.zeros(3, 8)),
    "broadcast_to": lambda x: x.broadcast_to((2, 4, 6)), "swapaxes": lambda x: x.swapaxes(0, 1),
    "contiguous": lambda x: x.contiguous(), "ravel": lambda x: x.ravel(), "hsplit": lambda x: x.hsplit(2)[1],
    "tensor_split": lambda x: x.tensor_split(2)[1], "data": lambda x: x.data,
    "atleast_3d": lambda x: pydl.atleast_3d(x), "real": lambda x: x.real,}
COPIES = {"clone": lambda x: x.clone(), "advanced": lambda x: x[[0, 1]], "mask": lambda x: x[x > 3],
    "reshape": lambda x: x.t().reshape(-1), "contiguous": lambda x: x.t().contiguous(), "repeat": lambda x: x.repeat(1,
    1), "roll": lambda x: x.roll(0), "flip": lambda x: x.flip(0), "cat": lambda x: pydl.cat([x]),
    "take": lambda x: x.take(pydl.tensor([0])), "index_select": lambda x: x.index_select(0, pydl.tensor([0]))}


def base():
    return pydl.arange(24.0).reshape(4, 6)


@pytest.mark.parametrize("name", VIEWS)
def test_view_writes_through(name: str):
    x = base()
    v = VIEWS[name](x)
    v.fill_(-1.0)
    assert (x == -1).any() and int((x == -1).sum()) == len(set(_places(v)))


def _places(v) -> list[int]:
    """Offsets of a view's elements in its storage."""
    at = [v.storage_offset()]
    for n, s in zip(v.shape, v.stride()):
        at = [a + i * s for a in at for i in range(n)]
    return at


@pytest.mark.parametrize("name", VIEWS)
def test_view_matches_pytorch(name: str, torch_or_fail):
    x, y = base(), torch_or_fail.arange(24.0).reshape(4, 6)
    ours, theirs = VIEWS[name](x), None
    namespace = {"pydl": torch_or_fail}
    function = VIEWS[name]
    theirs = type(function)(function.__code__, {**function.__globals__, **namespace})(y)
    assert ours.tolist() == theirs.tolist()
    if name not in ("expand", "broadcast_to"):
        assert ours.stride() == theirs.stride()
    assert ours.storage_offset() == theirs.storage_offset()
    assert ours.is_contiguous() == theirs.is_contiguous()


@pytest.mark.parametrize("name", COPIES)
def test_copy_does_not(name: str):
    x = base()
    COPIES[name](x).fill_(-1.0)
    assert not (x == -1).any()


def test_version_is_shared():
    x = base()
    v, before = x[1:], x._version
    v.add_(1)
    assert x._version == v._version == before + 1
    x.mul_(2)
    assert v._version == before + 2
    assert x.detach()._version == x._version


def test_base_of_a_view():
    x = pydl.ones(3, requires_grad=True) * 1
    v = x[1:]
    assert v._is_view() and v._base is x and v[0]._base is x
    assert not x._is_view() and x._base is None


def test_view_needs_viewable_strides():
    with pytest.raises(RuntimeError):
        base().t().view(24)
    assert base().t().view(3, 2, 4).shape == (3, 2, 4)
    assert base()[:, ::2].view(4, 3, 1).shape == (4, 3, 1)


def test_inplace_views():
    x = base()
    assert x.t_() is x and x.shape == (6, 4) and x.stride() == (1, 6)
    assert x.unsqueeze_(0).shape == (1, 6, 4) and x.squeeze_(0).shape == (6, 4) and x.transpose_(0, 1).shape == (4, 6)


def test_memory_formats():
    x = pydl.zeros(2, 3, 4, 5)
    y = x.to(memory_format=pydl.channels_last)
    assert y.stride() == (60, 1, 15, 3) and y.is_contiguous(memory_format=pydl.channels_last) and not y.is_contiguous()
    assert (y + 1).stride() == y.stride() and y.contiguous().stride() == (60, 20, 5, 1)
    assert pydl.empty_like(y).stride() == y.stride() and y.clone().stride() == y.stride()


def channels_last_image():
    return pydl.arange(120.0).reshape(2, 3, 4, 5).to(memory_format=pydl.channels_last)


def test_view_of_channels_last_is_a_copy():
    x = channels_last_image().requires_grad_()
    y = x.view(2, -1)
    assert y.is_contiguous() and y.data_ptr() != x.data_ptr() and y.tolist() == x.reshape(2, -1).tolist()
    (y * pydl.arange(60.0)).sum().backward()
    assert x.grad.flatten().tolist() == 2 * list(range(60))
    assert y.clone().add_(1).shape == x.reshape(2, -1).detach().add_(1).shape == (2, 60)


@pytest.mark.parametrize("write", [
    lambda y: y.add_(1), lambda y: y.zero_(), lambda y: y[0].mul_(2), lambda y: y.detach().copy_(y + 1),
    lambda y: y.__setitem__(0, 1.0), lambda y: y.__setitem__(y > 3, 1.0), lambda y: pydl.add(y, 1, out=y),
    lambda y: pydl.cumsum(y, 0, out=y), lambda y: y.uniform_(), lambda y: y.index_add_(0, pydl.tensor([0]), y[:1]),
    lambda y: pydl.optim.SGD([pydl.nn.Parameter(y)], lr=1).param_groups[0]["params"][0].data.sub_(1),
])  # fmt: skip
def test_copy_that_view_made_is_not_written(write):
    x = channels_last_image()
    y = x.view(2, -1)
    before = y.tolist()
    with pytest.raises(RuntimeError, match=r"expected .* view .*reshape.*clone"):
        write(y)
    assert y.tolist() == before
    with pytest.raises(ValueError, match="read-only"):
        y.numpy()[0] = 1


def test_gradient_that_view_copied_accumulates():
    class Flatten(pydl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.reshape(2, 3, 4, 5).to(memory_format=pydl.channels_last)

        @staticmethod
        def backward(ctx, grad):
            return grad.to(memory_format=pydl.channels_last).view(120)

    x = pydl.ones(120, requires_grad=True)
    for _ in range(2):
        (Flatten.apply(x) * channels_last_image()).sum().backward()
    assert x.grad.tolist() == [2.0 * i for i in range(120)]


@pytest.mark.parametrize("make", [lambda x: x.t(), lambda x: x.permute(1, 0), lambda x: x[:, ::2],
    lambda x: x.t()[::2]])
def test_pointwise_keeps_dense_strides(make, torch_or_fail):
    ours, theirs = make(base()).exp(), make(torch_or_fail.arange(24.0).reshape(4, 6)).exp()
    assert ours.stride() == theirs.stride()


def test_overlapping_target_is_refused():
    x = pydl.zeros(1).expand(4)
    for write in (lambda: x.add_(1), lambda: x.copy_(pydl.ones(4)), lambda: x.exp_()):
        with pytest.raises(RuntimeError):
            write()
    assert x.tolist() == [0, 0, 0, 0]


def test_copy_between_overlapping_views():
    x = pydl.arange(6.0)
    x[1:] = x[:-1].clone()
    assert x.tolist() == [0, 0, 1, 2, 3, 4]


def test_set_data():
    x = pydl.zeros(2, requires_grad=True)
    x.data = pydl.ones(3)
    assert x.tolist() == [1, 1, 1] and x.requires_grad
    x.data.add_(1)
    assert x.tolist() == [2, 2, 2]


BITS = {"smaller": ("float32", "int16"), "larger": ("int16", "float64"), "same": ("float32", "int32"),
    "itself": ("int64", "int64"), "halves": ("bfloat16", "float16"), "bytes": ("float64", "uint8")}


@pytest.mark.parametrize("name", BITS)
@pytest.mark.parametrize("layout", [lambda x: x, lambda x: x[:, 4:], lambda x: x[::2, 8:16], lambda x: x[1:]])
def test_view_as_another_dtype(name: str, layout, torch_or_fail):
    shown = []
    for lib in (pydl, torch_or_fail):
        before, after = (getattr(lib, d) for d in BITS[name])
        x = layout(lib.arange(96).reshape(4, 24).to(before))
        v = x.view(after)
        assert v.dtype == after and v.data_ptr() == x.data_ptr()
        shown.append((v.view(lib.uint8).tolist(), tuple(v.shape), v.stride(), v.storage_offset()))
        v.zero_()
        assert not x.any()
    assert shown[0] == shown[1]


@pytest.mark.parametrize("make", [
    lambda lib: lib.ones(3).view(lib.float64), lambda lib: lib.ones(()).view(lib.int8),
    lambda lib: lib.ones(4, 4).t().view(lib.float64), lambda lib: lib.ones(4, 4)[:, 1:3].view(lib.float64),
    lambda lib: lib.ones(4, 3).view(lib.float64), lambda lib: lib.ones(4, 3)[:, :2].view(lib.float64)])
def test_view_as_a_dtype_that_does_not_fit(make, torch_or_fail):
    with pytest.raises(RuntimeError):
        make(torch_or_fail)
    with pytest.raises(RuntimeError, match="^view: expected "):
        make(pydl)


def test_bits_stand_outside_the_graph():
    x = pydl.ones(2, requires_grad=True)
    assert not x.view(pydl.int32).requires_grad and x.view(pydl.float32).requires_grad
    y = x.exp()
    y.view(pydl.int32).zero_()
    with pytest.raises(RuntimeError, match="in-place"):
        y.sum().backward()


@pytest.mark.parametrize("elements", [0, 1, 4095, 4096, 4097, 100_000])
def test_growth_keeps_contents_and_gives_back_all_memory(elements):
    """Of small tensors, whose contents stand in their storage's block, and of others."""
    gc.collect()
    allocated = pydl.memory_stats()["allocated"]
    x = pydl.arange(elements)
    view = x[1:3]
    for size in (elements + 1, elements + 5000, elements + 200_000):
        x.resize_(size)
        assert x[:elements].tolist() == list(range(elements)) and view.tolist() == list(range(elements))[1:3]
    del x, view
    assert pydl.memory_stats()["allocated"] == allocated


def test_resize_and_set(torch_or_fail):
    for lib in (pydl, torch_or_fail):
        x = lib.arange(6.0)
        row = x[2:4]
        assert x.resize_(2, 2) is x and x.tolist() == [[0, 1], [2, 3]]
        x.resize_(4, 5)
        assert x.shape == (4, 5) and x[0].tolist() == [0, 1, 2, 3, 4] and row.tolist() == [2, 3]
        row.fill_(9)
        assert x[0].tolist() == [0, 1, 9, 9, 4]  # both look at the memory that grew
        x.resize_as_(lib.ones(3))
        assert x.tolist() == [0, 1, 9] and x.resize_((0,)).tolist() == []
        y = lib.ones(4)[1:3]
        assert x.set_(y) is x and x.is_set_to(y) and x.tolist() == [1, 1]
        y.zero_()
        assert x.tolist() == [0, 0] and x.set_().shape == (0,)
        with pytest.raises(RuntimeError):
            lib.ones(2, requires_grad=True).resize_(3)
        with pytest.raises(RuntimeError):
            lib.ones(2).set_(lib.ones(2, dtype=lib.int32))
        shared = lib.ones(2)
        view = shared.numpy()
        with pytest.raises(RuntimeError):
            lib.from_numpy(view).resize_(100)

"""Wrong calls raise what PyTorch raises, say "op: expected ..., got ...", and leave their operands as they were."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from specs.spec import to_numpy
from support import assert_starts_with

import pydl

F = {"float": pydl.arange(12.0).reshape(3, 4), "int": pydl.arange(12).reshape(3, 4),
    "bool": pydl.ones(3, 4, dtype=pydl.bool)}


def f(*shape: int) -> Any:
    return pydl.zeros(shape) + 0.5


def i(*values: int) -> Any:
    return pydl.tensor(values, dtype=pydl.int64)


SHAPE, INDEX, TYPE, VALUE = (RuntimeError, ValueError), IndexError, TypeError, ValueError

# (operator named in the message, the call, the exception)
WRONG: list[tuple[str, Callable[[], Any], Any]] = [
    # Shapes that do not broadcast or do not multiply.
    ("add", lambda: f(3) + f(4), SHAPE),
    ("mul", lambda: pydl.mul(f(2, 3), f(2, 4)), SHAPE),
    ("pow", lambda: f(2, 3) ** f(4), SHAPE),
    ("lt", lambda: f(3) < f(4), SHAPE),
    ("where", lambda: pydl.where(pydl.ones(3, dtype=pydl.bool), f(4), f(1)), SHAPE),
    ("add_", lambda: f(3).add_(f(2, 3)), SHAPE),
    ("matmul", lambda: f(2, 3) @ f(2, 3), SHAPE),
    ("matmul", lambda: pydl.matmul(f(2, 3), f(4)), SHAPE),
    ("matmul", lambda: pydl.matmul(f(), f(3)), SHAPE),
    ("mm", lambda: pydl.mm(f(2, 3), f(2, 3)), SHAPE),
    ("mm", lambda: pydl.mm(f(3), f(3, 2)), SHAPE),
    ("bmm", lambda: pydl.bmm(f(2, 3, 4), f(3, 4, 5)), SHAPE),
    ("mv", lambda: pydl.mv(f(2, 3), f(2)), SHAPE),
    ("dot", lambda: pydl.dot(f(3), f(4)), SHAPE),
    ("dot", lambda: pydl.dot(f(3, 3), f(3)), SHAPE),
    ("addmm", lambda: pydl.addmm(f(3, 3), f(2, 3), f(3, 2)), SHAPE),
    ("linear", lambda: pydl.nn.functional.linear(f(2, 3), f(5, 4)), SHAPE),
    ("cat", lambda: pydl.cat([f(2, 3), f(2, 4)]), SHAPE),
    ("stack", lambda: pydl.stack([f(2), f(3)]), SHAPE),
    ("reshape", lambda: f(3, 4).reshape(5, 2), SHAPE),
    ("reshape", lambda: f(3, 4).reshape(-1, -1), SHAPE),
    ("reshape", lambda: f(0, 3).reshape(-1, 0), SHAPE),
    ("view", lambda: f(3, 4).t().view(12), SHAPE),
    ("expand", lambda: f(3, 4).expand(3, 5), SHAPE),
    ("expand", lambda: f(3, 4).expand(4), SHAPE),
    ("layer_norm", lambda: pydl.nn.functional.layer_norm(f(3, 4), (5,)), SHAPE),
    ("split", lambda: f(7).split([3, 3]), SHAPE),
    ("permute", lambda: f(2, 3).permute(0, 0), SHAPE),
    ("permute", lambda: f(2, 3).permute(0), SHAPE),
    ("einsum", lambda: pydl.einsum("ij,jk->ik", f(2, 3), f(2, 3)), SHAPE),
    ("mse_loss", lambda: pydl.nn.functional.mse_loss(f(3), f(4)), SHAPE),
    ("cross_entropy", lambda: pydl.nn.functional.cross_entropy(f(3, 4), i(0, 1)), SHAPE),
    ("masked_fill", lambda: f(3, 4).masked_fill(pydl.ones(5, dtype=pydl.bool), 0.0), SHAPE),
    ("as_strided", lambda: f(4).as_strided((3, 3), (2, 1)), RuntimeError),
    ("unflatten", lambda: f(12).unflatten(0, (5, 2)), RuntimeError),
    ("linalg.inv", lambda: pydl.linalg.inv(f(2, 3)), RuntimeError),
    # Dimensions and indices out of range.
    ("sum", lambda: f(3, 4).sum(2), INDEX),
    ("sum", lambda: f(3, 4).sum(-3), INDEX),
    ("sum", lambda: f(3, 4).sum((0, 0)), RuntimeError),
    ("softmax", lambda: pydl.softmax(f(3, 4), 5), INDEX),
    ("transpose", lambda: f(3, 4).transpose(0, 2), INDEX),
    ("squeeze", lambda: f(3, 4).squeeze(4), INDEX),
    ("unsqueeze", lambda: f(3, 4).unsqueeze(4), INDEX),
    ("select", lambda: f(3, 4).select(0, 3), INDEX),
    ("cat", lambda: pydl.cat([f(3), f(3)], 1), INDEX),
    ("index_select", lambda: f(3, 4).index_select(0, i(3)), (IndexError, RuntimeError)),
    ("index_select", lambda: f(3, 4).index_select(0, i(-1)), (IndexError, RuntimeError)),
    ("gather", lambda: f(3, 4).gather(1, i(4)[None]), (IndexError, RuntimeError)),
    ("take", lambda: f(3, 4).take(i(12)), INDEX),
    ("scatter", lambda: f(3).scatter(0, i(3), f(1)), (IndexError, RuntimeError)),
    ("scatter_add", lambda: f(3).scatter_add(0, i(5), f(1)), (IndexError, RuntimeError)),
    ("index_add", lambda: f(3).index_add(0, i(5), f(1)), (IndexError, RuntimeError)),
    ("cross_entropy", lambda: pydl.nn.functional.cross_entropy(f(1, 4), i(4)), (IndexError, RuntimeError)),
    ("one_hot", lambda: pydl.nn.functional.one_hot(i(4), 3), RuntimeError),
    ("index", lambda: f(3)[5], INDEX),
    ("index", lambda: f(3, 4)[0, 0, 0], INDEX),
    ("index", lambda: f(3)[i(4)], INDEX),
    ("index", lambda: f(3)[pydl.ones(4, dtype=pydl.bool)], INDEX),
    ("narrow", lambda: f(5).narrow(0, 3, 4), RuntimeError),
    ("topk", lambda: f(5).topk(6), RuntimeError),
    ("kthvalue", lambda: f(5).kthvalue(6), (IndexError, RuntimeError)),
    # Nothing to reduce.
    ("max", lambda: f(0).max(), RuntimeError),
    ("argmax", lambda: f(0).argmax(), INDEX),
    ("argmax", lambda: f(0, 3).argmax(0), INDEX),
    ("median", lambda: f(0, 3).median(0), INDEX),
    ("cat", lambda: pydl.cat([]), (RuntimeError, ValueError)),
    ("stack", lambda: pydl.stack([]), RuntimeError),
    # Dtypes.
    ("mm", lambda: pydl.mm(f(2, 3), pydl.ones(3, 2, dtype=pydl.float64)), RuntimeError),
    ("dot", lambda: pydl.dot(f(3), i(1, 2, 3)), RuntimeError),
    ("mean", lambda: i(1, 2).mean(), RuntimeError),
    ("bitwise_and", lambda: f(3) & f(3), RuntimeError),
    ("bitwise_not", lambda: ~f(3), (RuntimeError, TypeError)),
    ("add_", lambda: i(1).add_(0.5), RuntimeError),
    ("div_", lambda: i(1).div_(2), RuntimeError),
    ("exp_", lambda: i(1).exp_(), RuntimeError),
    ("sub", lambda: F["bool"] - F["bool"], RuntimeError),
    ("gather", lambda: f(3).gather(0, f(1)), RuntimeError),
    ("index_select", lambda: f(3).index_select(0, f(1)), RuntimeError),
    ("masked_fill", lambda: f(3).masked_fill(i(0, 1, 0), 1.0), RuntimeError),
    ("masked_select", lambda: f(3).masked_select(i(0, 1, 0)), RuntimeError),
    ("scatter", lambda: f(3).scatter(0, i(0), pydl.ones(1, dtype=pydl.float64)), RuntimeError),
    ("index", lambda: f(3)[f(1)], INDEX),
    ("logical_and", lambda: pydl.zeros(2).logical_and(f(3)), SHAPE),
    # Values of arguments.
    ("arange", lambda: pydl.arange(0, 5, 0), RuntimeError),
    ("arange", lambda: pydl.arange(5, 0), RuntimeError),
    ("linspace", lambda: pydl.linspace(0, 1, -1), RuntimeError),
    ("zeros", lambda: pydl.zeros(-1), RuntimeError),
    ("full", lambda: pydl.full((2, -3), 1.0), RuntimeError),
    ("dropout", lambda: pydl.nn.functional.dropout(f(3), 1.5), VALUE),
    ("clamp", lambda: f(3).clamp(), (RuntimeError, ValueError)),
    ("chunk", lambda: f(3).chunk(0), RuntimeError),
    ("split", lambda: f(3).split(-1), RuntimeError),
    ("unfold", lambda: f(3).unfold(0, 4, 1), RuntimeError),
    ("unfold", lambda: f(3).unfold(0, 2, 0), RuntimeError),
    ("repeat", lambda: f(3, 4).repeat(2), RuntimeError),
    ("roll", lambda: f(3).roll((1, 2), (0,)), RuntimeError),
    ("flip", lambda: f(3, 4).flip(0, 0), RuntimeError),
    ("quantile", lambda: f(3).quantile(1.5), RuntimeError),
    ("bincount", lambda: pydl.bincount(i(-1)), RuntimeError),
    ("mse_loss", lambda: pydl.nn.functional.mse_loss(f(3), f(3), reduction="average"), VALUE),
    ("div", lambda: pydl.div(f(3), 2, rounding_mode="up"), RuntimeError),
    ("linalg.cholesky", lambda: pydl.linalg.cholesky(-pydl.eye(3)), RuntimeError),
    ("linalg.inv", lambda: pydl.linalg.inv(pydl.zeros(3, 3)), RuntimeError),
    ("multinomial", lambda: pydl.multinomial(f(3), 4), RuntimeError),
    ("bernoulli", lambda: pydl.bernoulli(f(3) + 1), RuntimeError),
    ("floor_divide", lambda: i(1) // 0, (RuntimeError, ZeroDivisionError)),
    # Numbers whose products or sums overflow.
    ("view", lambda: f(0).view(2**32, 2**32), SHAPE),
    ("reshape", lambda: f(4).reshape(2**62 + 1, 4), SHAPE),
    ("expand", lambda: f(1).expand(2**31, 2**33), SHAPE),
    ("as_strided", lambda: f(3).as_strided((2,), (2**62 - 2**40,)), RuntimeError),
    ("as_strided", lambda: f(3).as_strided((3,), (2**61,)), RuntimeError),
    ("as_strided", lambda: f(3).as_strided((2,), (1,), 2**62), RuntimeError),
    ("narrow", lambda: f(3).narrow(0, 1, 2**63 - 1), RuntimeError),
    ("pad", lambda: pydl.nn.functional.pad(f(3), (2**63 - 1, 2**63 - 1)), RuntimeError),
    ("pixel_shuffle", lambda: pydl.nn.functional.pixel_shuffle(f(1, 4, 2, 2), 2**32), RuntimeError),
    ("fold", lambda: pydl.nn.functional.fold(f(1, 1, 1), 1, 2**32, padding=2**31, stride=2**32), RuntimeError),
    ("interpolate", lambda: pydl.nn.functional.interpolate(f(1, 1, 3), 2**45, mode="linear"), RuntimeError),
    ("conv1d", lambda: pydl.nn.functional.conv1d(f(1, 1, 5), f(1, 1, 3), dilation=2**62), RuntimeError),
    ("conv_transpose1d", lambda: pydl.conv_transpose1d(f(1, 1, 5), f(1, 1, 3), stride=2**62), RuntimeError),
    ("triu_indices", lambda: pydl.triu_indices(2**40, 1), RuntimeError),
    ("full", lambda: pydl.full((2,), 1e10, dtype=pydl.int32), RuntimeError),
    ("full", lambda: pydl.full((2,), float("inf"), dtype=pydl.int64), RuntimeError),
    ("fill_", lambda: i(1, 2).fill_(float("nan")), RuntimeError),
    # What a tensor of few dimensions does not have.
    ("unflatten", lambda: f().unflatten(0, (2, -1)), IndexError),
    ("unflatten", lambda: f(4).unflatten(0, ()), RuntimeError),
    ("hsplit", lambda: f(3, 4).hsplit(3), RuntimeError),
    ("vsplit", lambda: f(4).vsplit(2), RuntimeError),
    ("index", lambda: f(1)[(None,) * 70], RuntimeError),
    ("pad", lambda: pydl.nn.functional.pad(f(1), (1, -2)), RuntimeError),
    ("repeat_interleave", lambda: i(1, 2).repeat_interleave(2, output_size=5), RuntimeError),
    # Python arguments.
    ("add", lambda: pydl.add(f(3), "1"), TYPE),
    ("add", lambda: pydl.add(f(3)), TYPE),
    ("add", lambda: pydl.add(f(3), 1, beta=2), TYPE),
    ("sum", lambda: f(3).sum(dim="x"), TYPE),
    ("exp", lambda: pydl.exp([1.0]), TYPE),
    ("softmax", lambda: pydl.softmax(f(3)), TYPE),
    ("reshape", lambda: f(3).reshape(1.5), TYPE),
    ("cat", lambda: pydl.cat(f(3)), TYPE),
    ("item", lambda: f(3).item(), RuntimeError),
    ("bool", lambda: bool(f(3)), RuntimeError),
    ("len", lambda: len(f()), TYPE),
    ("iter", lambda: list(f()), TYPE),
    ("tensor", lambda: pydl.tensor([[1.0], [1.0, 2.0]]), VALUE),
    ("tensor", lambda: pydl.tensor("abc"), (TypeError, ValueError)),
    ("zeros", lambda: pydl.zeros(3, device="cuda"), (RuntimeError, AssertionError)),
]


@pytest.mark.parametrize(("name", "wrong", "exception"), WRONG, ids=[f"{n}-{k}" for k, (n, *_) in enumerate(WRONG)])
def test_wrong_call(name: str, wrong: Callable[[], Any], exception: Any):
    if exception is SHAPE:
        exception = pydl.ShapeError
    with pytest.raises(exception) as caught:
        wrong()
    assert_starts_with(caught.value, name)


def test_shape_error_is_both():
    assert issubclass(pydl.ShapeError, RuntimeError) and issubclass(pydl.ShapeError, ValueError)


# ---- No partial write ------------------------------------------------------------------------------------------------

PARTIAL = {
    "scatter_": lambda x: x.scatter_(0, i(0, 1, 99), f(3)),
    "scatter_add_": lambda x: x.scatter_add_(0, i(0, 1, 99), f(3)),
    "index_add_": lambda x: x.index_add_(0, i(0, 99), f(2)),
    "index_copy_": lambda x: x.index_copy_(0, i(0, 99), f(2)),
    "index_fill_": lambda x: x.index_fill_(0, i(0, 99), 9.0),
    "index_put_": lambda x: x.index_put_((i(0, 99),), f(2)),
    "__setitem__": lambda x: x.__setitem__(i(0, 99), 9.0),
    "take out": lambda x: pydl.take(f(4), i(0, 99), out=x),
    "add_": lambda x: x.add_(f(3)),
    "copy_": lambda x: x.copy_(f(3)),
    "masked_scatter_": lambda x: x.masked_scatter_(pydl.ones(5, dtype=pydl.bool), f(2)),
}


@pytest.mark.parametrize("name", PARTIAL)
def test_failed_write_changes_nothing(name: str):
    x = pydl.arange(5.0)
    version = x._version
    with pytest.raises((RuntimeError, IndexError)):
        PARTIAL[name](x)
    assert x.tolist() == [0, 1, 2, 3, 4]
    assert x._version == version


def test_failed_reads_change_nothing():
    operands = {k: v.clone() for k, v in F.items()}
    for wrong in (lambda: operands["float"] @ operands["float"],
            lambda: pydl.cat([operands["float"], operands["int"][:, :2]]), lambda: operands["float"].gather(0,
            operands["int"] + 99)):
        with pytest.raises((RuntimeError, IndexError)):
            wrong()
    for name, x in operands.items():
        assert (to_numpy(x) == to_numpy(F[name])).all()


@pytest.mark.parametrize("split", [lambda x: x.tensor_split(10**12), lambda x: x.expand(10**12).unbind(),
    lambda x: x.expand(10**12).split(1), lambda x: x[:0].chunk(10**12)])
def test_more_parts_than_memory_holds(split):
    with pytest.raises(MemoryError, match="expected a number of parts that fits memory, got 1000000000000"):
        split(pydl.ones(1))

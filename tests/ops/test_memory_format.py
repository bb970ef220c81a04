"""Operators keep the memory format of their first image operand: channels-last in, channels-last out, same values."""
from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from specs import TABLE
from specs.spec import Call, Case, In, flat_tensors, results, tensors, tree_map

import pydl

RANKS = (3, 4, 5)

# Rows whose first operand is no image (matrices and their batches, rows of features, flat memory) or whose result has a
# format of its own.
OTHER_OPERANDS = {"as_strided", "contiguous", "layer_norm", "rms_norm", "take"}


def knows_batch(spec, x) -> bool:
    """False where x is a single image to an operator of fixed rank: its dimensions are then channels and space."""
    named = re.search(r"([123])d", spec.base)
    rank = int(named[1]) + 2 if named else 4 if spec.base.startswith("pixel_") else None
    return rank in (None, x.dim())


def about_images(spec) -> bool:
    matrices = spec.family in ("attention", "matrix", "recurrent") and spec.base != "cross"
    return not matrices and spec.base not in OTHER_OPERANDS


def lifted(c: Call, rank: int) -> Call | None:
    """The call with its tensors of the highest rank extended to `rank` dimensions."""
    deepest = max((len(i.shape) for i in c.inputs()), default=0)
    if not 0 < deepest <= rank:
        return None
    tail = (3, 2, 4, 2)[: rank - deepest]

    def lift(i: In) -> In:
        if len(i.shape) < deepest:
            return i
        lone = i.shape + (1,) * len(tail)
        make = i.make and (lambda rng, shape: np.broadcast_to(i.make(rng, i.shape).reshape(lone), shape))
        return replace(i, shape=i.shape + tail, layout="contiguous", make=make)

    args, kwargs = tree_map(lift, In, (c.args, c.kwargs))
    return replace(c, args=args, kwargs=kwargs)


def channels_last(x):
    return x.to(memory_format=pydl.channels_last) if x.dim() in RANKS else x


def is_channels_last_alone(x) -> bool:
    return x.is_contiguous(memory_format=pydl.channels_last) and not x.is_contiguous()


@pytest.mark.parametrize("spec", [s for s in TABLE.values() if about_images(s)], ids=lambda s: s.id)
def test_channels_last_stays(spec):
    dtype = "float32" if "float32" in spec.dtypes else spec.dtypes[0]
    calls = [lifted(c, rank) for c in spec.calls if c.only is None or dtype in c.only for rank in RANKS]
    for case in (Case(spec, c, dtype) for c in calls if c):
        call, given = spec.function(pydl), tensors(pydl, case.draw())
        args, kwargs = tree_map(channels_last, pydl.Tensor, given)
        image = next(x for x in flat_tensors((args, kwargs), pydl) if x.dim() == len(case.call.inputs()[0].shape))
        try:
            want = results(call(*given[0], **given[1]), pydl)
        except (RuntimeError, IndexError, ValueError):
            continue  # a call that makes no sense in more dimensions
        for got, plain in zip(results(call(*args, **kwargs), pydl), want):
            # Sums may run in another order; an element out of place differs more.
            same = pydl.allclose(got.double(), plain.double(), rtol=1e-3, atol=1e-4, equal_nan=True)
            assert same or spec.random or spec.canonical, case.id
            fresh = got._base is None and got.numel() > 0
            if fresh and knows_batch(spec, image) and is_channels_last_alone(image) and got.dim() == image.dim():
                assert got.is_contiguous(memory_format=pydl.channels_last), f"{case.id}: strides {got.stride()}"


OPEN = {  # operators whose results are wider than the shape that left their operand's format open
    "cat": lambda x: pydl.cat([x, x, x], 1),
    "repeat": lambda x: x.repeat(1, 3, *(1,) * (x.dim() - 2)),
    "pad channels": lambda x: pydl.nn.functional.pad(x, (0, 0) * (x.dim() - 2) + (1, 2)),
    "pad space": lambda x: pydl.nn.functional.pad(x, (1, 2) * (x.dim() - 2)),
    "pad circular": lambda x: pydl.nn.functional.pad(x, (1, 1) * (x.dim() - 2), mode="circular"),
    "interpolate": lambda x: pydl.nn.functional.interpolate(x, scale_factor=3),
}


OPEN_SHAPES = [(2, 1, 5), (2, 3, 1), (2, 1, 4, 5), (2, 3, 1, 1), (2, 1, 3, 4, 5), (2, 3, 1, 1, 1)]


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("shape", OPEN_SHAPES, ids=str)
def test_open_formats_give_contiguous_results(name, shape):
    """(batch, 1, features) is a sequence of one step as well as an image: what grows from it is contiguous memory,
    as in PyTorch, however its dimensions of one element are strided."""
    for x in (pydl.randn(*shape), channels_last(pydl.randn(*shape))):
        y = OPEN[name](x)
        assert y.numel() > x.numel() and y.is_contiguous(), y.stride()

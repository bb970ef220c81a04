"""Pooling and normalization of images. PyTorch runs in channels-last and in contiguous memory; the faster counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from pydl.bench.case import Bar, Case, Group, Input, Statement, normal
from pydl.bench.libraries import library


def channels_last(*shape: int) -> Input:
    """(N, C, spatial...) with the channels of a pixel together in memory."""

    def make(rng: np.random.Generator, dtype: str) -> np.ndarray:
        n, c, *spatial = shape
        return np.moveaxis(rng.standard_normal((n, *spatial, c)).astype(dtype), -1, 1)

    return make


def torch_contiguous(code: str, inputs: dict[str, Input], requires_grad: tuple[str, ...]) -> Statement | None:
    """The same statement in PyTorch on contiguous memory."""
    torch = library("torch")
    if torch is None:
        return None
    rng = np.random.default_rng(0)
    names = {"lib": torch, "F": torch.nn.functional}
    for key, make in inputs.items():
        names[key] = torch.from_numpy(np.ascontiguousarray(make(rng, "float32")))
        if key in requires_grad:
            names[key].requires_grad_()
    return Statement(code, names, context=nullcontext if requires_grad else torch.no_grad)


def case(name: str, code: str, inputs: dict[str, Input], requires_grad: tuple[str, ...], **fields: Any) -> Case:
    other: dict[str, Callable[[], Statement | None]] = {
        "torch contiguous": partial(torch_contiguous, code, inputs, requires_grad)
    }
    return Case(name, code, inputs, requires_grad=requires_grad, setups=other, **fields)


# (what, function of x, shape, spatial shape of the output)
POOLS = [
    ("max 2x2", "F.max_pool2d(x, 2)", (32, 32, 28, 28), (14, 14)),
    ("max 2x2", "F.max_pool2d(x, 2)", (16, 64, 56, 56), (28, 28)),
    ("max 3x3 stride 2", "F.max_pool2d(x, 3, 2, 1)", (8, 64, 112, 112), (56, 56)),
    ("max 3x3 stride 1", "F.max_pool2d(x, 3, 1, 1)", (8, 128, 28, 28), (28, 28)),
    ("max 2 of 1-d", "F.max_pool1d(x, 2)", (32, 64, 256), (128,)),
    ("max 2x2x2", "F.max_pool3d(x, 2)", (4, 32, 16, 28, 28), (8, 14, 14)),
    ("average 2x2", "F.avg_pool2d(x, 2)", (16, 64, 56, 56), (28, 28)),
    ("average 3x3 stride 2", "F.avg_pool2d(x, 3, 2, 1)", (8, 96, 56, 56), (28, 28)),
    ("average 3x3 stride 1", "F.avg_pool2d(x, 3, 1, 1)", (8, 128, 28, 28), (28, 28)),
    ("average 4 of 1-d", "F.avg_pool1d(x, 4)", (32, 16, 1024), (256,)),
    ("global average", "F.adaptive_avg_pool2d(x, 1)", (32, 512, 7, 7), (1, 1)),
    ("adaptive average 7", "F.adaptive_avg_pool2d(x, 7)", (8, 256, 14, 14), (7, 7)),
    ("adaptive max 5", "F.adaptive_max_pool2d(x, 5)", (8, 128, 28, 28), (5, 5)),
]
NORMS = [(64, 32, 32, 32), (64, 64, 16, 16), (32, 128, 28, 28), (16, 64, 56, 56), (8, 512, 7, 7), (128, 256)]


def pool_cases() -> list[Case]:
    found = []
    for name, code, shape, out in POOLS:
        result = (*shape[:2], *out)
        size, result_size = 4 * math.prod(shape), 4 * math.prod(result)
        title, x = f"{name}, {'x'.join(map(str, shape))}", channels_last(*shape)
        found.append(case(title, code, {"x": x}, (), reads=size, writes=result_size))
        found.append(
            case(
                f"{title}, forward and backward",
                f"lib.autograd.grad({code}, (x,), g)",
                {"x": x, "g": channels_last(*result)},
                ("x",),
                reads=size + result_size,
                writes=size + result_size,
            )
        )
    return found


def norm_cases() -> list[Case]:
    found = []
    for shape in NORMS:
        image = channels_last if len(shape) > 2 else normal
        size = 4 * math.prod(shape)
        inputs = {"x": image(*shape), "w": normal(shape[1]), "b": normal(shape[1]), "g": image(*shape)}
        norm = "F.batch_norm(x, None, None, w, b, True)"
        for name, code in (("batch norm", norm), ("batch norm and relu", f"F.relu({norm})")):
            found.append(
                case(
                    f"{name} {'x'.join(map(str, shape))}, forward and backward",
                    f"lib.autograd.grad({code}, (x, w, b), g)",
                    inputs,
                    ("x", "w", "b"),
                    reads=5 * size,
                    writes=2 * size,
                    tolerance=1e-3,
                )
            )
    return found


GROUPS = [
    Group("pool", "Pooling, float32", pool_cases(), (Bar("mean", 2.0), Bar("each", 1.1))),
    Group("batch_norm", "Batch norm, float32", norm_cases(), (Bar("mean", 1.5),)),
]

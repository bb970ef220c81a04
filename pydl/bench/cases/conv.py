"""Convolutions of well-known networks: forward, and forward with backward; images of both memory formats."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import NamedTuple

import numpy as np

from pydl.bench.case import Bar, Case, Group, Statement
from pydl.bench.libraries import library


class Layer(NamedTuple):
    name: str
    channels: int
    size: int
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    batches: tuple[int, ...] = (1, 16)


LAYERS = (
    Layer("LeNet 1", 1, 28, 6, 5, padding=2, batches=(1, 64)),
    Layer("LeNet 2", 6, 14, 16, 5, batches=(1, 64)),
    Layer("VGG 1", 3, 224, 64, 3, padding=1, batches=(1, 8)),
    Layer("VGG 2", 64, 224, 64, 3, padding=1, batches=(1,)),
    Layer("VGG 4", 128, 112, 128, 3, padding=1, batches=(1,)),
    Layer("ResNet stem", 3, 224, 64, 7, 2, 3, batches=(1, 8)),
    Layer("ResNet 3x3 at 56", 64, 56, 64, 3, padding=1, batches=(1, 8)),
    Layer("ResNet 3x3 at 28", 128, 28, 128, 3, padding=1),
    Layer("ResNet 3x3 at 14", 256, 14, 256, 3, padding=1),
    Layer("ResNet 3x3 at 7", 512, 7, 512, 3, padding=1),
    Layer("ResNet 3x3 to 28", 64, 56, 128, 3, 2, 1, batches=(1, 8)),
    Layer("ResNet 3x3 to 14", 128, 28, 256, 3, 2, 1),
    Layer("ResNet 1x1 at 56", 64, 56, 256, 1, batches=(1, 8)),
    Layer("ResNet 1x1 at 14", 256, 14, 1024, 1),
    Layer("ResNet 1x1 at 7", 1024, 7, 256, 1),
    Layer("ResNet 1x1 to 14", 128, 28, 256, 1, 2),
    Layer("MobileNet depthwise at 112", 32, 112, 32, 3, padding=1, groups=32, batches=(1, 8)),
    Layer("MobileNet depthwise to 28", 128, 56, 128, 3, 2, 1, 128, (1, 8)),
    Layer("MobileNet depthwise at 14", 512, 14, 512, 3, padding=1, groups=512),
    Layer("MobileNet 1x1 at 14", 512, 14, 512, 1),
)


def statement(name: str, layer: Layer, batch: int, last: bool, backward: bool) -> Statement | None:
    """The layer on parameters of the library's own, its image in channels-last memory or not. Networks do not ask for
    the gradient of their images, so the first layers do not compute it."""
    lib = library(name)
    if lib is None:
        return None
    rng = np.random.default_rng(0)
    image = rng.standard_normal((batch, layer.channels, layer.size, layer.size)).astype(np.float32)
    shape = (layer.filters, layer.channels // layer.groups, layer.kernel, layer.kernel)
    weight = (rng.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5).astype(np.float32)
    x, w = lib.from_numpy(image).clone(), lib.from_numpy(weight).clone()
    b = lib.from_numpy(rng.standard_normal(layer.filters).astype(np.float32)).clone()
    if last:
        x = x.contiguous(memory_format=lib.channels_last)
        if name == "torch":
            w = w.contiguous(memory_format=lib.channels_last)
    names = {"F": lib.nn.functional, "lib": lib, "x": x, "w": w, "b": b, "stride": layer.stride,
             "padding": layer.padding, "groups": layer.groups}
    code = "F.conv2d(x, w, b, stride, padding, 1, groups)"
    if not backward:
        return Statement(code, names, context=lib.no_grad)
    wanted = [t.requires_grad_() for t in ((x, w, b) if layer.channels > 3 else (w, b))]
    names["g"] = lib.ones_like(eval(code, names).detach())
    return Statement(f"lib.autograd.grad({code}, wanted, g)", {**names, "wanted": wanted}, context=nullcontext)


def case(layer: Layer, batch: int, backward: bool, last: bool = True) -> Case:
    out = (layer.size + 2 * layer.padding - layer.kernel) // layer.stride + 1
    pixels, filters = batch * out * out, layer.filters
    passes = (3 if layer.channels > 3 else 2) if backward else 1
    values = batch * layer.size**2 * layer.channels + filters * layer.channels // layer.groups * layer.kernel**2
    setups = {"pydl": partial(statement, "pydl", layer, batch, last, backward)}
    if last:
        setups["torch channels-last"] = partial(statement, "torch", layer, batch, True, backward)
    setups["torch"] = partial(statement, "torch", layer, batch, False, backward)
    return Case(
        f"{layer.name}, batch {batch}",
        flops=passes * 2 * pixels * filters * layer.channels // layer.groups * layer.kernel**2,
        reads=4 * passes * values,
        writes=4 * passes * pixels * filters,
        tolerance=1e-3 if backward else 1e-4,
        setups=setups,
    )


def cases(backward: bool, last: bool = True) -> list[Case]:
    return [case(layer, batch, backward, last) for layer in LAYERS for batch in layer.batches]


GROUPS = [
    Group("conv", "Convolution, float32, forward", cases(False), (Bar("mean", 1.3), Bar("each", 0.95))),
    Group("conv-backward", "Convolution, float32, forward and backward", cases(True),
          (Bar("mean", 1.5), Bar("each", 0.95))),
    Group("conv-contiguous", "Convolution of contiguous images, float32, forward", cases(False, last=False),
          (Bar("mean", 1.3), Bar("each", 0.95))),
]

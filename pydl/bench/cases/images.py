"""Padding, interpolation, sampling and rearranging of images, in both memory formats."""

from __future__ import annotations

import math
from collections.abc import Callable

from pydl.bench.case import Bar, Case, Group, Input, normal, uniform

SHAPE = (8, 64, 56, 56)


def channels_last(*shape: int) -> Input:
    """Values whose memory is that of a channels-last image."""
    n, c, h, w = shape
    return lambda rng, dtype: rng.standard_normal((n, h, w, c)).astype(dtype).transpose(0, 3, 1, 2)


def case(name: str, code: str, result: tuple[int, ...], image: Callable[..., Input], **inputs: Input) -> list[Case]:
    """An operator on an image of SHAPE, forward, and forward and backward."""
    gradient = image(*result) if len(result) == 4 else normal(*result)
    read, write = 4 * math.prod(SHAPE), 4 * math.prod(result)
    return [
        Case(name, code, {"x": image(*SHAPE), **inputs}, reads=read, writes=write),
        Case(
            f"{name}, forward and backward",
            f"lib.autograd.grad({code}, (x,), g)",
            {"x": image(*SHAPE), "g": gradient, **inputs},
            requires_grad=("x",),
            reads=read + write,
            writes=read + write,
        ),
    ]


def in_format(image: Callable[..., Input], suffix: str) -> list[Case]:
    def f(name: str, code: str, *result: int, **inputs: Input) -> list[Case]:
        return case(name + suffix, code, (*SHAPE[:1], *result), image, **inputs)

    return [
        *f("pad constant", "F.pad(x, (1, 1, 1, 1))", 64, 58, 58),
        *f("pad reflect", "F.pad(x, (1, 1, 1, 1), 'reflect')", 64, 58, 58),
        *f("nearest 56 to 112", "F.interpolate(x, scale_factor=2, mode='nearest')", 64, 112, 112),
        *f("bilinear 56 to 112", "F.interpolate(x, scale_factor=2, mode='bilinear')", 64, 112, 112),
        *f("bicubic 56 to 112", "F.interpolate(x, scale_factor=2, mode='bicubic')", 64, 112, 112),
        *f("bilinear 56 to 31", "F.interpolate(x, size=(31, 31), mode='bilinear')", 64, 31, 31),
        *f("grid sample", "F.grid_sample(x, p, align_corners=False)", 64, 56, 56, p=uniform(8, 56, 56, 2, low=-1.0)),
        *f("pixel shuffle", "F.pixel_shuffle(x, 2)", 16, 112, 112),
        *f("channel shuffle", "F.channel_shuffle(x, 4)", 64, 56, 56),
        *f("unfold 3x3", "F.unfold(x, 3, padding=1)", 576, 3136),
    ]


GROUPS = [
    Group(
        "image",
        "Padding, interpolation, sampling of 8x64x56x56, float32",
        [*in_format(normal, ""), *in_format(channels_last, ", channels last")],
        (Bar("mean", 1.0), Bar("each", 0.8)),
    ),
]

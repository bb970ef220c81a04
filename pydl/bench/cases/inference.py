"""Inference with a whole network: ResNet-18 (He et al. 2015) on 224 px images, in evaluation and without gradients."""

from __future__ import annotations

import io
import warnings
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from pydl.bench.case import Bar, Case, Group, Statement
from pydl.bench.libraries import library

SIZE, CLASSES = 224, 1000
MULTIPLY_ADDS = 1_814_073_344  # for one image
PARAMETERS = 11_689_512


def resnet18(lib: ModuleType) -> Any:
    """The network as one writes it for pydl and PyTorch, with values that are the same for every library."""
    nn = lib.nn

    def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[Any]:
        layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        return [layer, nn.BatchNorm2d(outputs)]

    module: Any = nn.Module

    class Block(module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(*conv(inputs, outputs, 3, stride), nn.ReLU(), *conv(outputs, outputs, 3))
            self.shortcut = nn.Sequential(*(conv(inputs, outputs, 1, stride) if stride > 1 else ()))

        def forward(self, x):
            return (self.body(x) + self.shortcut(x)).relu_()

    stages = [
        nn.Sequential(Block(inputs, outputs, 1 if outputs == 64 else 2), Block(outputs, outputs, 1))
        for inputs, outputs in ((64, 64), (64, 128), (128, 256), (256, 512))
    ]
    network = nn.Sequential(
        *conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), *stages,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, CLASSES),
    )
    rng = np.random.default_rng(0)
    with lib.no_grad():
        for name, values in network.state_dict().items():
            if values.dim() > 1:
                drawn = rng.standard_normal(values.shape) * (1 / np.prod(values.shape[1:])) ** 0.5
            elif values.dim() == 1:  # scales and variances are positive
                drawn = rng.uniform(0.5, 1.5, values.shape) if "bias" not in name else rng.uniform(-1, 1, values.shape)
            else:
                continue
            values.copy_(lib.from_numpy(drawn.astype(np.float32)))
    return network.eval()


def images(batch: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((batch, 3, SIZE, SIZE)).astype(np.float32)


def shaped_like_torch(name: str, batch: int, compiled: bool = False) -> Statement | None:
    lib = library(name)
    if lib is None:
        return None
    network, x = resnet18(lib), lib.from_numpy(images(batch)).clone().contiguous(memory_format=lib.channels_last)
    if name == "torch":
        network = network.to(memory_format=lib.channels_last)
    if compiled:
        network = lib.compile(network)
    return Statement("network(x)", {"network": network, "x": x}, context=lib.no_grad)


def onnx_statement(batch: int) -> Statement | None:
    """The PyTorch network, exported and run by ONNX Runtime on as many threads as pydl."""
    runtime, torch = library("onnxruntime"), library("torch")
    if runtime is None or torch is None or library("onnx") is None:
        return None
    x, file = images(batch), io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(resnet18(torch), (torch.from_numpy(x),), file, input_names=["x"], dynamo=False)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    return Statement('session.run(None, {"x": x})[0]', {"session": session, "x": x})


def case(batch: int) -> Case:
    return Case(
        f"ResNet-18, batch {batch}",
        flops=2 * batch * MULTIPLY_ADDS,
        reads=4 * (PARAMETERS + batch * 3 * SIZE**2),
        writes=4 * batch * CLASSES,
        tolerance=1e-3,
        setups={
            "pydl": partial(shaped_like_torch, "pydl", batch),
            "torch": partial(shaped_like_torch, "torch", batch),
            "torch compiled": partial(shaped_like_torch, "torch", batch, True),
            "onnxruntime": partial(onnx_statement, batch),
        },
    )


GROUPS = [
    Group(
        "inference",
        "Inference, ResNet-18 at 224 px, float32",
        [case(1), case(16)],
        (Bar("each", 1.2, against=("torch",)), Bar("each", 1.1, against=("onnxruntime",))),
    ),
]

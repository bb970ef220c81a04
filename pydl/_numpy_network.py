"""The yardstick of the demo and of the training benchmark: networks in plain vectorised float32 NumPy.

Images are (N, H, W, C), so that every product runs over contiguous channels.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Layer:
    """`backward` takes the gradient of what `forward` last returned, leaves those of `parameters` in `grads` and
    returns that of the input; the first layer of a network is not asked for that one."""

    parameters: list[np.ndarray] = []
    grads: list[np.ndarray] = []

    def forward(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def backward(self, grad: np.ndarray, first: bool) -> np.ndarray | None:
        raise NotImplementedError


class Linear(Layer):
    """Weight (out, in) and bias (out,), as in pydl."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray) -> None:
        self.parameters = [weight, bias]

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        y = x @ self.parameters[0].T
        y += self.parameters[1]
        return y

    def backward(self, grad: np.ndarray, first: bool) -> np.ndarray | None:
        self.grads = [grad.T @ self.x, grad.sum(axis=0)]
        return None if first else grad @ self.parameters[0]


class Conv2d(Layer):
    """Weight (out, in, k, k) and bias (out,), stride 1, padding that keeps the size: one product with all patches."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray) -> None:
        self.parameters = [weight, bias]
        self.kernel = weight.shape[-1]

    def forward(self, x: np.ndarray) -> np.ndarray:
        pad = self.kernel // 2
        padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        windows = sliding_window_view(padded, (self.kernel, self.kernel), axis=(1, 2))  # (N, H, W, C, k, k)
        self.patches = windows.reshape(-1, windows[0, 0, 0].size)
        weight, bias = self.parameters
        y = self.patches @ weight.reshape(len(weight), -1).T
        y += bias
        self.shape = x.shape
        return y.reshape(*x.shape[:-1], len(weight))

    def backward(self, grad: np.ndarray, first: bool) -> np.ndarray | None:
        weight = self.parameters[0]
        flat = grad.reshape(-1, len(weight))
        self.grads = [(flat.T @ self.patches).reshape(weight.shape), flat.sum(axis=0)]
        if first:
            return None
        (n, h, w, c), k = self.shape, self.kernel
        patches = (flat @ weight.reshape(len(weight), -1)).reshape(n, h, w, c, k, k)
        padded = np.zeros((n, h + k - 1, w + k - 1, c), grad.dtype)
        for i in range(k):
            for j in range(k):
                padded[:, i : i + h, j : j + w] += patches[..., i, j]
        return padded[:, k // 2 : k // 2 + h, k // 2 : k // 2 + w]


class ReLU(Layer):
    def forward(self, x: np.ndarray) -> np.ndarray:
        self.y = np.maximum(x, 0)
        return self.y

    def backward(self, grad: np.ndarray, first: bool) -> np.ndarray:
        return grad * (self.y > 0)


class MaxPool2d(Layer):
    """Over 2x2 pixels of images with even sides. Of equal maxima the first one gets the gradient, as in pydl."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        n, h, w, c = x.shape
        tiles = x.reshape(n, h // 2, 2, w // 2, 2, c).swapaxes(2, 3).reshape(n, h // 2, w // 2, 4, c)
        self.index = tiles.argmax(axis=3, keepdims=True)
        return np.take_along_axis(tiles, self.index, axis=3)[:, :, :, 0]

    def backward(self, grad: np.ndarray, first: bool) -> np.ndarray:
        n, h, w, c = grad.shape
        tiles = np.zeros((n, h, w, 4, c), grad.dtype)
        np.put_along_axis(tiles, self.index, grad[:, :, :, None], axis=3)
        return tiles.reshape(n, h, w, 2, 2, c).swapaxes(2, 3).reshape(n, 2 * h, 2 * w, c)


class Flatten(Layer):
    """To (N, C * H * W), the order of pydl's features."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.shape = x.shape
        return x.transpose(0, 3, 1, 2).reshape(len(x), -1)

    def backward(self, grad: np.ndarray, first: bool) -> np.ndarray:
        n, h, w, c = self.shape
        return grad.reshape(n, c, h, w).transpose(0, 2, 3, 1)


class NumpyNetwork:
    """Layers in a row, softmax cross-entropy and Adam (Kingma & Ba 2015)."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers
        self.parameters = [p for layer in layers for p in layer.parameters]
        self.means = [np.zeros_like(p) for p in self.parameters]
        self.squares = [np.zeros_like(p) for p in self.parameters]
        self.steps = 0

    def forward(self, images: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            images = layer.forward(images)
        return images

    def step(self, images: np.ndarray, labels: np.ndarray, learning_rate: float) -> float:
        logits = self.forward(images)
        rows = np.arange(len(labels))
        logits -= logits.max(axis=1, keepdims=True)
        grad = np.exp(logits)
        total = grad.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - logits[rows, labels])

        grad /= total  # d loss / d logits = (softmax - one hot) / n
        grad[rows, labels] -= 1
        grad /= len(labels)
        for layer in reversed(self.layers):
            grad = layer.backward(grad, first=layer is self.layers[0])
        self.adam([g for layer in self.layers for g in layer.grads], learning_rate)
        return float(loss)

    def adam(self, grads: list[np.ndarray], learning_rate: float, beta1: float = 0.9, beta2: float = 0.999) -> None:
        self.steps += 1
        step_size = learning_rate / (1 - beta1**self.steps)
        root = (1 - beta2**self.steps) ** 0.5
        for parameter, grad, mean, square in zip(self.parameters, grads, self.means, self.squares, strict=True):
            mean *= beta1
            mean += (1 - beta1) * grad
            np.multiply(grad, grad, out=grad)
            square *= beta2
            square += (1 - beta2) * grad
            denominator = np.sqrt(square)
            denominator /= root
            denominator += 1e-8
            parameter -= step_size * mean / denominator

"""The yardstick of the demo and of the training benchmark: a perceptron in plain NumPy."""

from __future__ import annotations

import numpy as np


class NumpyNetwork:
    """Fully connected layers with ReLU between them, softmax cross-entropy and Adam, in vectorised float32 NumPy."""

    def __init__(self, weights: list[np.ndarray], biases: list[np.ndarray]) -> None:
        self.weights, self.biases = weights, biases
        self.parameters = [*weights, *biases]
        self.means = [np.zeros_like(p) for p in self.parameters]
        self.squares = [np.zeros_like(p) for p in self.parameters]
        self.steps = 0

    def forward(self, images: np.ndarray) -> list[np.ndarray]:
        """The input of every layer, and the logits."""
        values = [images]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            if len(values) > 1:
                np.maximum(values[-1], 0, out=values[-1])
            values.append(values[-1] @ weight.T)
            values[-1] += bias
        return values

    def step(self, images: np.ndarray, labels: np.ndarray, learning_rate: float) -> float:
        *inputs, logits = self.forward(images)
        rows = np.arange(len(labels))
        logits -= logits.max(axis=1, keepdims=True)
        grad = np.exp(logits)
        total = grad.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - logits[rows, labels])

        grad /= total  # d loss / d logits = (softmax - one hot) / n
        grad[rows, labels] -= 1
        grad /= len(labels)
        weight_grads: list[np.ndarray] = []
        bias_grads: list[np.ndarray] = []
        for layer in reversed(range(len(self.weights))):
            weight_grads.insert(0, grad.T @ inputs[layer])
            bias_grads.insert(0, grad.sum(axis=0))
            if layer > 0:
                grad = grad @ self.weights[layer]
                grad *= inputs[layer] > 0
        self.adam([*weight_grads, *bias_grads], learning_rate)
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

"""Recurrent layers and cells, from their equations: Elman 1990; Hochreiter and Schmidhuber 1997 with the forget gate of
Gers et al. 2000; Cho et al. 2014, its reset gate applied after the product."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .pointwise import sigmoid
from .spec import FLOATS, Call, call, op, t

ACTIVATIONS: dict[str, Callable] = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "sigmoid": sigmoid,
    "linear": lambda x: x}


def simple_step(x: np.ndarray, state: tuple, w: list, f: Callable) -> tuple:
    return (f(w[0] @ x + w[2] + w[1] @ state[0] + w[3]),)


def lstm_step(x: np.ndarray, state: tuple, w: list, f: Callable) -> tuple:
    h, c = state
    i, forget, g, o = np.split(w[0] @ x + w[2] + w[1] @ h + w[3], 4)
    c = sigmoid(forget) * c + sigmoid(i) * f(g)
    h = sigmoid(o) * f(c)
    return (w[4] @ h if len(w) > 4 else h), c


def gru_step(x: np.ndarray, state: tuple, w: list, f: Callable) -> tuple:
    (h,) = state
    (xr, xz, xn), (hr, hz, hn) = np.split(w[0] @ x + w[2], 3), np.split(w[1] @ h + w[3], 3)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    return ((1 - z) * f(xn + r * hn) + z * h,)


def layers(step: Callable, x: np.ndarray, states: tuple, params: list, biases: bool, count: int, both: bool,
        lengths: list[int], f: Callable) -> tuple:
    """x [batch, steps, features]; sequence after sequence, step after step."""
    directions = 2 if both else 1
    each, last = len(params) // (count * directions), [np.zeros_like(s) for s in states]
    for layer in range(count):
        out = []
        for d in range(directions):
            cell = layer * directions + d
            w = list(params[cell * each:(cell + 1) * each])
            if not biases:
                w[2:2] = [np.zeros(len(w[0]))] * 2
            y = np.zeros((*x.shape[:2], states[0].shape[2]))
            for b, length in enumerate(lengths):
                state = tuple(s[cell, b] for s in states)
                for i in range(length):
                    now = length - 1 - i if d else i
                    state = step(x[b, now], state, w, f)
                    y[b, now] = state[0]
                for final, s in zip(last, state, strict=True):
                    final[cell, b] = s
            out.append(y)
        x = np.concatenate(out, 2)
    return (x, *last)


def padded(step: Callable, f: str = "tanh") -> Callable:
    def run(x: np.ndarray, hx: Any, params: list, has_biases: bool, num_layers: int, dropout: float, train: bool,
            bidirectional: bool, batch_first: bool, lengths: Any = None, activation: str = f) -> tuple:
        x = x if batch_first else x.swapaxes(0, 1)
        lengths = [x.shape[1]] * x.shape[0] if lengths is None else list(lengths)
        states = tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
        y, *last = layers(step, x, states, params, has_biases, num_layers, bidirectional, lengths,
            ACTIVATIONS[activation])
        return (y if batch_first else y.swapaxes(0, 1), *last)
    return run


def one(step: Callable, f: str = "tanh") -> Callable:
    def run(x: np.ndarray, hx: Any, w_ih: np.ndarray, w_hh: np.ndarray, b_ih: Any = None, b_hh: Any = None) -> Any:
        states = tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
        w = [w_ih, w_hh, *((b_ih, b_hh) if b_ih is not None else (np.zeros(len(w_ih)),) * 2)]
        rows = [step(x[i], tuple(s[i] for s in states), w, ACTIVATIONS[f]) for i in range(len(x))]
        results = tuple(np.stack([r[k] for r in rows]) for k in range(len(states)))
        return results if len(results) > 1 else results[0]
    return run


def arguments(gates: int, x: tuple, units: int, states: int, *, biases: bool = True, count: int = 1, both: bool = False,
        first: bool = False, proj: int = 0, **kwargs: Any) -> Call:
    """A call for an input of shape x."""
    outputs, directions = proj or units, 2 if both else 1
    batch, params = x[0 if first else 1], []
    for layer in range(count):
        features = x[2] if layer == 0 else outputs * directions
        for _ in range(directions):
            params += [t(gates * units, features), t(gates * units, outputs)]
            params += [t(gates * units), t(gates * units)] if biases else []
            params += [t(proj, units)] if proj else []
    h = t(count * directions, batch, outputs)
    hx = (h, t(count * directions, batch, units)) if states == 2 else h
    return call(t(*x), hx, tuple(params), biases, count, 0.0, False, both, first)


def calls(gates: int, states: int) -> list[Call]:
    def args(x: tuple, units: int, **how: Any) -> Call:
        return arguments(gates, x, units, states, **how)
    return [args((3, 2, 4), 3), args((2, 3, 3), 4, first=True, biases=False), args((2, 1, 2), 3, both=True, count=2),
        args((5, 9, 17), 33), args((1, 5, 3), 19)]


ROW = {"forms": "f", "family": "recurrent", "dtypes": FLOATS, "domain": (-1.0, 1.0), "magnitude": "max", "eps": 64,
    "grad": True, "grad_eps": 512, "grad_floor": 1}
for _name, _step, _gates, _states in (("rnn_tanh", simple_step, 1, 1), ("rnn_relu", simple_step, 1, 1), ("lstm", lstm_step,
        4, 2), ("gru", gru_step, 3, 1)):
    _f = "relu" if _name == "rnn_relu" else "tanh"
    _row = ROW | {"result": ("same",) * (1 + _states)}
    _calls = calls(_gates, _states)
    if _name == "lstm":
        _calls.append(arguments(4, (3, 2, 4), 5, 2, proj=2))
    op(_name, padded(_step, _f), _calls, large=arguments(_gates, (20, 16, 64), 64, _states), **_row)
    _hx = (t(3, 5), t(3, 5)) if _states == 2 else t(3, 5)
    _w = (t(5 * _gates, 4), t(5 * _gates, 5))
    op(_name + "_cell", one(_step, _f), [call(t(3, 4), _hx, *_w, t(5 * _gates), t(5 * _gates)), call(t(3, 4), _hx, *_w)],
        **ROW | {"result": ("same",) * _states if _states > 1 else "same"})

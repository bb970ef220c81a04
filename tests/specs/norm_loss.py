"""Normalizations, gated activations and losses of nn.functional."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .pointwise import logaddexp0, sigmoid
from .reduce import log_softmax, softmax
from .spec import ANY_FLOAT, FLOATS, Call, call, index, literal, op, t

MAX = {"magnitude": "max", "eps": 16, "half_eps": 8, "grad_eps": 200}


def functional(name: str, ref: Callable, calls: list[Call], **fields: Any) -> None:
    op("nn.functional." + name, ref, calls, **{"grad": True, "forms": "f", "family": "norm_loss", "dtypes": FLOATS}
        | MAX | fields)


# ---- Normalization ---------------------------------------------------------------------------------------------------
def layer_norm(x: np.ndarray, shape: tuple, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> np.ndarray:
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    centred = x - x.mean(axes, keepdims=True)
    y = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + eps)
    return y * (1 if weight is None else weight) + (0 if bias is None else bias)


def rms_norm(x: np.ndarray, shape: tuple, weight: Any = None, eps: float | None = None) -> np.ndarray:
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    y = x / np.sqrt((x**2).mean(axes, keepdims=True) + (0 if eps is None else eps))
    return y if weight is None else y * weight


functional("layer_norm", layer_norm, [call(t(*lead, n), (n,), t(n), t(n)) for lead,
    n in (((3,), 5), ((7,), 17), ((2, 3), 33), ((5,), 16), ((4,), 257), ((0,), 5))] + [call(t(3, 5), (5,)),
    call(t(2, 3, 5), (3, 5), t(3, 5), t(3, 5)), call(t(3, 5), (5,), t(5)), call(t(3, 5), (5,), t(5), t(5), eps=0.1),
    call(t(6, 9, layout="transposed"), (9,), t(9), t(9, layout="stepped"))], dtypes=ANY_FLOAT, grad_floor=1,
    large=call(t(500, 1023), (1023,), t(1023), t(1023)))
functional("rms_norm", rms_norm, [call(t(3, 5), (5,), t(5), 1e-5), call(t(7, 33), (33,), t(33)),
    call(t(2, 3, 17), (17,)), call(t(2, 3, 5), (3, 5), t(3, 5), 1e-6), call(t(6, 9, layout="transposed"), (9,), t(9),
    1e-5)], large=call(t(500, 1023), (1023,), t(1023)))
functional("normalize", lambda x, p=2.0, dim=1, eps=1e-12: x / np.maximum((np.abs(x) ** p).sum(dim,
    keepdims=True) ** (1 / p), eps), [call(t(3, 5)), call(t(3, 5), dim=0), call(t(2, 3, 5), p=1.0, dim=-1),
    call(t(33, 17))], kinks=(0,))


def cosine_similarity(a: np.ndarray, b: np.ndarray, dim: int = 1, eps: float = 1e-8) -> np.ndarray:
    def length(x: np.ndarray) -> np.ndarray:
        return np.maximum(np.sqrt((x * x).sum(dim, keepdims=True)), eps)
    return (a / length(a) * (b / length(b))).sum(dim)


functional("cosine_similarity", cosine_similarity, [call(t(3, 5), t(3, 5)), call(t(3, 5), t(1, 5)),
    call(t(17), t(17), dim=0), call(t(2, 3, 5), t(2, 3, 5), dim=-1)], aliases=("cosine_similarity",))
functional("pairwise_distance", lambda a, b, p=2.0, eps=1e-6, keepdim=False: (np.abs(a - b + eps) ** p).sum(-1,
    keepdims=keepdim) ** (1 / p), [call(t(3, 5), t(3, 5)), call(t(3, 5), t(3, 5), p=1.0), call(t(17), t(17)),
    call(t(3, 5), t(3, 5), p=3.0, keepdim=True)], aliases=("pairwise_distance",))

# ---- Activations with more than one input ----------------------------------------------------------------------------
functional("prelu", lambda x, w: np.where(x > 0, x, x * w.reshape([1, -1] + [1] * (x.ndim - 2) if w.size > 1
    else [1] * x.ndim)), [call(t(3, 4), t(4)), call(t(17), t(1)), call(t(2, 3, 5), t(3)), call(t(2, 3, 5), t(1))],
    kinks=(0,))
functional("glu", lambda x, dim=-1: np.split(x, 2, dim)[0] * sigmoid(np.split(x, 2, dim)[1]),
    [call(t(3, 8)), call(t(4, 5), dim=0), call(t(34))])
for _name in ("dropout", "alpha_dropout"):
    functional(_name, lambda x, p=0.5, training=True: x, [call(t(3, 5)), call(t(3, 5), 0.3)], grad=False, random=True)
functional("dropout", lambda x, p=0.5, training=True: x, [call(t(3, 5), training=False), call(t(17), 0.0)],
    variant="off")
functional("dropout", lambda x, p: 0 * x, [call(t(3, 5), 1.0)], variant="all")
functional("gumbel_softmax", lambda x, tau=1, hard=False: x, [call(t(3, 5)), call(t(3, 5), tau=0.5, hard=True)],
    grad=False, random=True)
functional("rrelu", lambda x, lower=0.125, upper=1 / 3, training=False: np.where(x >= 0, x, x * (lower + upper) / 2),
    [call(t(17)), call(t(3, 5), lower=0.2, upper=0.4)], kinks=(0,))


# ---- Losses ----------------------------------------------------------------------------------------------------------
def reduced(f: Callable) -> Callable:
    """Adds `reduction` to a loss of single elements."""
    def loss(*args: Any, reduction: str = "mean", **kwargs: Any) -> np.ndarray:
        value = f(*args, **kwargs)
        return {"none": np.asarray, "mean": np.mean, "sum": np.sum}[reduction](value)
    return loss


REDUCTIONS = ("mean", "sum", "none")


def loss(name: str, ref: Callable, inputs: list[tuple], params: tuple[dict, ...] = ({},), **fields: Any) -> None:
    """Every reduction of the first inputs and the first parameters, then the rest with the mean."""
    calls = [call(*inputs[0], reduction=r, **params[0]) for r in REDUCTIONS]
    calls += [call(*i, **params[0]) for i in inputs[1:]] + [call(*inputs[0], **p) for p in params[1:]]
    functional(name, reduced(ref), calls, **fields)


PAIRS = [(t(3, 5), t(3, 5)), (t(17), t(17)), (t(2, 3, 33), t(2, 3, 33)), (t(6, 9, layout="transposed"), t(6, 9))]


def smooth_l1(a: np.ndarray, b: np.ndarray, beta: float = 1.0) -> np.ndarray:
    e = np.abs(a - b)
    return np.where(e < beta, 0.5 * e * e / beta, e - 0.5 * beta) if beta else e


def huber(a: np.ndarray, b: np.ndarray, delta: float = 1.0) -> np.ndarray:
    e = np.abs(a - b)
    return np.where(e <= delta, 0.5 * e * e, delta * (e - 0.5 * delta))


loss("mse_loss", lambda a, b: (a - b) ** 2, PAIRS, large=call(t(200_003), t(200_003)))
loss("l1_loss", lambda a, b: np.abs(a - b), PAIRS)
loss("smooth_l1_loss", smooth_l1, PAIRS, ({}, {"beta": 0.5}, {"beta": 2.0}))
loss("huber_loss", huber, PAIRS, ({}, {"delta": 0.5}))


def class_values(x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """x[n, target[n, ...], ...]: the value at each target's class."""
    if x.ndim == 1:
        return x[np.maximum(target, 0)]
    return np.take_along_axis(x, np.expand_dims(np.maximum(target, 0), 1), 1).squeeze(1)


def nll_loss(x: np.ndarray, target: np.ndarray, weight: Any = None, ignore_index: int = -100, reduction: str = "mean",
        label_smoothing: float = 0.0) -> np.ndarray:
    axis = 0 if x.ndim == 1 else 1
    weight = np.ones(x.shape[axis]) if weight is None else weight
    used = target != ignore_index
    w = weight[np.where(used, target, 0)] * used
    value = -class_values(x, np.where(used, target, 0)) * w
    if label_smoothing:
        spread = weight.reshape([-1 if d == axis else 1 for d in range(x.ndim)])
        smooth = -(x * spread).sum(axis) * used / x.shape[axis]
        value = (1 - label_smoothing) * value + label_smoothing * smooth
    return {"none": lambda: value, "sum": value.sum, "mean": lambda: value.sum() / w.sum()}[reduction]()


def cross_entropy(x: np.ndarray, target: np.ndarray, weight: Any = None, label_smoothing: float = 0.0,
        reduction: str = "mean", **kw: Any) -> np.ndarray:
    axis = 0 if x.ndim == 1 else 1
    logp = log_softmax(x, axis)
    if target.dtype.kind == "i":
        return nll_loss(logp, target, weight, reduction=reduction, label_smoothing=label_smoothing, **kw)
    classes = x.shape[axis]
    target = target * (1 - label_smoothing) + label_smoothing / classes
    w = 1 if weight is None else weight.reshape([-1 if d == axis else 1 for d in range(x.ndim)])
    value = -(logp * target * w).sum(axis)
    return {"none": lambda: value, "sum": value.sum, "mean": lambda: value.sum() / max(value.size, 1)}[reduction]()


_w = t(5, low=0.2, high=2, grad=False)
_ignored = literal([0, -100, 3, 4], "int64")
_classes = [call(t(4, 5), index(4, n=5), reduction=r) for r in REDUCTIONS] + [call(t(4, 5), index(4, n=5), weight=_w,
    reduction=r) for r in REDUCTIONS] + [call(t(4, 5), _ignored), call(t(4, 5), _ignored, weight=_w),
    call(t(4, 5), literal([0, 2, 2, 1], "int64"), ignore_index=2), call(t(5), literal(3, "int64")),
    call(t(2, 5, 3), index(2, 3, n=5)), call(t(2, 5, 3, 2), index(2, 3, 2, n=5), weight=_w),
    call(t(33, 17), index(33, n=17)), call(t(9, 5, layout="transposed"), index(9, n=5))]
functional("nll_loss", nll_loss, _classes, order=2)
_simplex = t(4, 5, make=lambda rng, s: softmax(rng.standard_normal(s), -1))
functional("cross_entropy", cross_entropy, [*_classes, *[call(t(4, 5), index(4, n=5), label_smoothing=0.1,
    reduction=r) for r in REDUCTIONS], call(t(4, 5), index(4, n=5), weight=_w, label_smoothing=0.2),
    call(t(4, 5), _ignored, label_smoothing=0.1), *[call(t(4, 5), _simplex, reduction=r) for r in REDUCTIONS],
    call(t(4, 5), _simplex, weight=_w, label_smoothing=0.1)], large=call(t(3000, 300), index(3000, n=300)))

_prob, _label = t(3, 5, low=0.05, high=0.95), t(3, 5, low=0, high=1, grad=False)
_pw = t(5, low=0.2, high=2, grad=False)
loss("binary_cross_entropy", lambda p, y, weight=1.0: -weight * (y * np.log(p) + (1 - y) * np.log(1 - p)),
    [(_prob, _label)], ({}, {"weight": _pw}))
loss("binary_cross_entropy_with_logits", lambda x, y, weight=1.0,
    pos_weight=1.0: weight * (pos_weight * y * logaddexp0(-x) + (1 - y) * logaddexp0(x)),
    [(t(3, 5), _label), (t(17, low=-30, high=30), t(17, low=0, high=1, grad=False))],
    ({}, {"weight": _pw}, {"pos_weight": _pw}))


def kl_div(x: np.ndarray, target: np.ndarray, log_target: bool = False, reduction: str = "mean") -> np.ndarray:
    value = np.exp(target) * (target - x) if log_target else target * (np.log(target) - x)
    return {"none": lambda: value, "sum": value.sum, "mean": value.mean,
        "batchmean": lambda: value.sum() / len(x)}[reduction]()


functional("kl_div", kl_div, [call(t(3, 5), t(3, 5, low=0.1, high=1), reduction=r) for r in ("batchmean", "sum",
    "none")] + [call(t(3, 5), t(3, 5), log_target=True, reduction="batchmean")], magnitude="one")
_sign = literal([1, -1, 1, -1])
loss("cosine_embedding_loss", lambda a, b, y, margin=0.0: np.where(y > 0, 1 - cosine_similarity(a, b),
    np.maximum(0, cosine_similarity(a, b) - margin)), [(t(4, 5), t(4, 5), _sign)], ({}, {"margin": -0.9}), eps=200,
    grad_eps=2000)
loss("hinge_embedding_loss", lambda x, y, margin=1.0: np.where(y > 0, x, np.maximum(0, margin - x)),
    [(t(4, low=-2, high=0.9), _sign)], ({}, {"margin": 2.0}))
loss("margin_ranking_loss", lambda a, b, y, margin=0.0: np.maximum(0, -y * (a - b) + margin), [(t(4), t(4), _sign)],
    ({}, {"margin": 0.5}))


def triplet(a: np.ndarray, p: np.ndarray, n: np.ndarray, margin: float = 1.0, p_norm: float = 2.0,
        swap: bool = False) -> np.ndarray:
    def far(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (np.abs(x - y + 1e-6) ** p_norm).sum(-1) ** (1 / p_norm)
    negative = np.minimum(far(a, n), far(p, n)) if swap else far(a, n)
    return np.maximum(0, far(a, p) - negative + margin)


loss("triplet_margin_loss", triplet, [(t(4, 5), t(4, 5), t(4, 5))], ({"margin": 2.0}, {"swap": True}))


def multi_margin(x: np.ndarray, y: np.ndarray, p: int = 1, margin: float = 1.0, weight: Any = None) -> np.ndarray:
    own = class_values(x, y)[:, None]
    value = np.maximum(0, margin - own + x) ** p * (1 if weight is None else weight[y][:, None])
    return np.where(np.arange(x.shape[1]) == y[:, None], 0, value).sum(1) / x.shape[1]


loss("multi_margin_loss", multi_margin, [(t(4, 5), index(4, n=5))], ({}, {"p": 2}, {"margin": 0.5, "weight": _w}),
    order=1)
loss("multilabel_soft_margin_loss", lambda x, y, weight=1.0: (weight * (y * logaddexp0(-x)
    + (1 - y) * logaddexp0(x))).mean(-1), [(t(4, 5), t(4, 5, low=0, high=1, grad=False))], ({}, {"weight": _w}))
loss("soft_margin_loss", lambda x, y: logaddexp0(-y * x), [(t(4, 5), t(4, 5, low=-1, high=1, grad=False))])
loss("gaussian_nll_loss", lambda x, y, var, full=False,
    eps=1e-6: 0.5 * (np.log(np.maximum(var, eps)) + (x - y) ** 2 / np.maximum(var, eps))
    + (0.5 * np.log(2 * np.pi) if full else 0), [(t(3, 5), t(3, 5), t(3, 5, low=0.2, high=2))], ({}, {"full": True}))


def poisson_nll(x: np.ndarray, y: np.ndarray, log_input: bool = True, full: bool = False,
        eps: float = 1e-8) -> np.ndarray:
    value = np.exp(x) - y * x if log_input else x - y * np.log(x + eps)
    stirling = np.where(y > 1, y * np.log(np.maximum(y, 1)) - y + 0.5 * np.log(2 * np.pi * np.maximum(y, 1)), 0)
    return value + stirling if full else value


loss("poisson_nll_loss", poisson_nll, [(t(3, 5, low=0.1, high=3), t(3, 5, low=0, high=4, grad=False))],
    ({}, {"log_input": False}, {"full": True}))

"""Matrix products and linear algebra."""
from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from .reduce import vector_norm
from .spec import ANY_FLOAT, FLOATS, INTS, Call, In, call, op, t

# m, k, n around the register blocks: one off each way, vectors, nothing, and long thin sums.
SIZES = ((1, 1, 1), (2, 3, 4), (5, 7, 1), (1, 17, 33), (16, 16, 16), (15, 17, 31), (33, 5, 65), (6, 257, 16), (0, 3, 4),
    (3, 0, 4), (3, 4, 0), (64, 64, 64), (13, 100, 49))


def product_flops(a: tuple[int, ...], b: tuple[int, ...], *rest: tuple[int, ...]) -> float:
    return 2.0 * float(np.prod(a)) * (b[-1] if len(b) > 1 else 1)


def product(name: str, ref: Callable, calls: list[Call], **fields: Any) -> None:
    op(name, ref, calls, **{"grad": True, "forms": "mfo", "family": "matrix", "dtypes": (*ANY_FLOAT, *INTS),
        "magnitude": "abs", "eps": 8, "flops": product_flops} | fields)


def operands(m: int, k: int, n: int) -> tuple[In, In]:
    return t(m, k), t(k, n)


# ---- Products --------------------------------------------------------------------------------------------------------
product("mm", np.matmul, [call(*operands(*s)) for s in SIZES] + [call(t(9, 17, layout=a), t(17, 12, layout=b)) for a,
    b in (("transposed", "contiguous"), ("contiguous", "transposed"), ("transposed", "transposed"),
    ("stepped", "contiguous"), ("expanded", "stepped"), ("offset", "offset"))], large=call(t(301, 257), t(257, 203)))
product("matmul", np.matmul, [call(t(17), t(17)), call(t(5, 17), t(17)), call(t(17), t(17, 5)),
    call(t(2, 5, 7), t(7, 3)), call(t(5, 7), t(2, 7, 3)), call(t(2, 1, 5, 7), t(3, 7, 4)), call(t(2, 5, 7), t(2, 7, 3)),
    call(t(2, 5, 7), t(7)), call(t(7), t(2, 7, 3)), call(t(0, 5, 7), t(7, 3)), call(t(2, 5, 0), t(0, 3)),
    call(t(4, 5, 7, layout="transposed"), t(4, 7, 3, layout="transposed")), call(t(3, 4, 5, layout="expanded"),
    t(5, 2)), call(t(33, 65), t(65, 17))], aliases=("__matmul__",), large=call(t(7, 65, 129), t(129, 200)))
product("bmm", np.matmul, [call(t(3, 4, 5), t(3, 5, 6)), call(t(1, 17, 9), t(1, 9, 2)), call(t(0, 4, 5), t(0, 5, 6)),
    call(t(2, 4, 0), t(2, 0, 6)), call(t(5, 16, 8, layout="transposed"), t(5, 8, 4)),
    call(t(5, 3, 8, layout="expanded"), t(5, 8, 4, layout="stepped"))], large=call(t(40, 33, 65), t(40, 65, 31)))
product("mv", np.matmul, [call(t(5, 17), t(17)), call(t(1, 1), t(1)), call(t(3, 0), t(0)), call(t(257, 33), t(33)),
    call(t(9, 17, layout="transposed"), t(17, layout="stepped"))], large=call(t(1500, 700), t(700)))
product("dot", np.dot, [call(t(n), t(n)) for n in (0, 1, 15, 17, 257)] + [call(t(33, layout="stepped"), t(33))],
    large=call(t(100_001), t(100_001)))
product("vdot", np.dot, [call(t(17), t(17)), call(t(0), t(0))])
product("inner", np.inner, [call(t(17), t(17)), call(t(3, 5), t(5)), call(t(2, 3, 5), t(4, 5)), call(t(), t(3)),
    call(t(2, 0), t(3, 0))])
product("outer", np.outer, [call(t(5), t(17)), call(t(1), t(0)), call(t(33, layout="stepped"), t(4))], aliases=("ger",),
    eps=1)
product("linalg.multi_dot", lambda xs: reduce(np.matmul, xs), [call([t(3, 17), t(17, 5), t(5, 9)]),
    call([t(17), t(17, 5), t(5)]), call([t(2, 3), t(3, 4)])], forms="fo", dtypes=FLOATS)
product("chain_matmul", lambda *xs: reduce(np.matmul, xs), [call(t(3, 17), t(17, 5), t(5, 9))], forms="fo",
    dtypes=FLOATS)


def plus(f: Callable) -> Callable:
    return lambda x, *args, beta=1, alpha=1: beta * x + alpha * f(*args)


def accumulated(*shapes: tuple[int, ...], broadcast: tuple[int, ...]) -> list[Call]:
    rest = [t(*s) for s in shapes[1:]]
    return [call(t(*shapes[0]), *rest), call(t(*broadcast), *rest), call(t(*shapes[0]), *rest, beta=2, alpha=3),
        call(t(*shapes[0], layout="transposed"), *rest, beta=0.5, alpha=-1.5, only=FLOATS),
        call(t(*shapes[0]), *rest, beta=0)]


ACCUMULATED = {"forms": "mfio", "flops": lambda c, a, b: product_flops(a, b), "dtypes": (*FLOATS, *INTS)}
product("addmm", plus(np.matmul), accumulated((5, 9), (5, 17), (17, 9), broadcast=(9,)) + accumulated((33, 16), (33, 4),
    (4, 16), broadcast=(33, 1)), **ACCUMULATED, large=call(t(203), t(301, 257), t(257, 203)))
product("addmv", plus(np.matmul), accumulated((5,), (5, 17), (17,), broadcast=(1,)), **ACCUMULATED)
product("addr", plus(np.outer), accumulated((5, 17), (5,), (17,), broadcast=(17,)), **ACCUMULATED)
product("baddbmm", plus(np.matmul), accumulated((3, 4, 6), (3, 4, 5), (3, 5, 6), broadcast=(6,)), **ACCUMULATED)
product("addbmm", plus(lambda a, b: np.sum(np.matmul(a, b), axis=0)), accumulated((4, 6), (3, 4, 5), (3, 5, 6),
    broadcast=(6,)), **ACCUMULATED)


def einsum(equation: str, *operands: np.ndarray) -> np.ndarray:
    return np.einsum(equation, *operands)


product("einsum", einsum, [call("ij,jk->ik", t(3, 17), t(17, 5)), call("bij,bjk->bik", t(2, 3, 5), t(2, 5, 4)),
    call("ii", t(5, 5)), call("ii->i", t(5, 5)), call("ij->ji", t(3, 5)), call("i,j->ij", t(3), t(5)),
    call("ij,ij->", t(3, 5), t(3, 5)), call("bhqd,bhkd->bhqk", t(2, 2, 3, 4), t(2, 2, 5, 4)),
    call("...ij,jk->...ik", t(2, 3, 4, 5), t(5, 2)), call("ij,jk,kl->il", t(3, 4), t(4, 5), t(5, 2)),
    call("ij", t(3, 5)), call("ij->i", t(3, 5)), call("i,i->", t(0), t(0))], forms="f", dtypes=(*FLOATS, *INTS))
product("tensordot", lambda a, b, dims=2: np.tensordot(a, b, dims),
    [call(t(3, 4, 5), t(4, 5, 2)), call(t(3, 4), t(4, 2), dims=1), call(t(3, 4, 5), t(5, 3, 2), dims=([0, 2], [1, 0])),
    call(t(2), t(3), dims=0)], forms="fo", dtypes=(*FLOATS, *INTS))
product("kron", np.kron, [call(t(2, 3), t(4, 5)), call(t(3), t(5)), call(t(2, 3), t(4))], forms="mfo",
    dtypes=(*FLOATS, *INTS), eps=1)
product("linalg.cross", lambda a, b, dim=-1: np.cross(a, b, axis=dim), [call(t(3), t(3)), call(t(5, 3), t(5, 3)),
    call(t(3, 5), t(3, 5), dim=0), call(t(5, 3), t(1, 3))], forms="fo", dtypes=(*FLOATS, "int64"), magnitude="max")
product("cross", lambda a, b, dim: np.cross(a, b, axis=dim), [call(t(5, 3), t(5, 3), dim=1),
    call(t(3, 4), t(3, 4), dim=0)], dtypes=FLOATS, magnitude="max")
product("matrix_power", np.linalg.matrix_power, [call(t(5, 5), n) for n in (0, 1, 2, 3, 5)] + [call(t(2, 3, 3), 2)],
    dtypes=FLOATS, magnitude="max", eps=100, aliases=("linalg.matrix_power",))
product("trace", np.trace, [call(t(5, 5)), call(t(3, 7)), call(t(7, 3, layout="transposed"))], forms="mf",
    dtypes=FLOATS, grad=True)
product("nn.functional.linear", lambda x, w, b=None: x @ w.T + (0 if b is None else b), [call(t(5, 17), t(9, 17), t(9)),
    call(t(17), t(9, 17)), call(t(2, 3, 17), t(9, 17), t(9)), call(t(0, 17), t(9, 17), t(9)),
    call(t(33, 16), t(16, 16)), call(t(4, 6, layout="transposed"), t(3, 6, layout="transposed"),
    t(3, layout="stepped")), call(t(4, 0), t(3, 0), t(3))], forms="f", dtypes=ANY_FLOAT, flops=lambda x, w,
    *b: 2.0 * np.prod(x) * w[0], large=call(t(128, 784), t(130, 784), t(130)))
product("nn.functional.bilinear", lambda a, b, w, bias=None: np.einsum("...i,kij,...j->...k", a, w,
    b) + (0 if bias is None else bias), [call(t(5, 3), t(5, 4), t(6, 3, 4), t(6)), call(t(3), t(4), t(6, 3, 4)),
    call(t(2, 5, 3), t(2, 5, 4), t(6, 3, 4))], forms="f", dtypes=FLOATS, flops=lambda a, b, w,
    *bias: 2.0 * np.prod(w) * np.prod(a[:-1]))


def cdist(a: np.ndarray, b: np.ndarray, p: float = 2.0) -> np.ndarray:
    return vector_norm(a[..., :, None, :] - b[..., None, :, :], p, dim=-1)


product("cdist", cdist, [call(t(5, 3), t(7, 3)), call(t(2, 5, 3), t(2, 4, 3)), call(t(5, 3), t(4, 3), p=1.0),
    call(t(5, 3), t(4, 3), p=3.0), call(t(33, 17), t(40, 17))], forms="f", dtypes=FLOATS, magnitude="max", eps=64,
    order=1, flops=None, grad_eps=2000)

# ---- Factorizations --------------------------------------------------------------------------------------------------
def regular(*shape: int) -> In:
    """Square matrices far from singular."""
    return t(*shape, make=lambda rng, s: rng.uniform(-1, 1, s) + 3 * np.eye(s[-1]))


def positive(*shape: int) -> In:
    """Symmetric positive definite matrices with well separated eigenvalues."""
    def make(rng: np.random.Generator, s: tuple[int, ...]) -> np.ndarray:
        q = np.linalg.qr(rng.standard_normal(s))[0]
        return (q * (1.0 + np.arange(s[-1]))) @ np.swapaxes(q, -1, -2)
    return t(*shape, make=make)


def factorization(name: str, ref: Callable, calls: list[Call], **fields: Any) -> None:
    op(name, ref, calls, **{"grad": True, "forms": "fo", "family": "matrix", "magnitude": "max", "eps": 2000,
        "grad_eps": 20000} | fields)


def norm(x: np.ndarray, ord: Any = None, dim: Any = None, keepdim: bool = False) -> np.ndarray:
    if ord is None or not isinstance(ord, str) and x.ndim == 1 or isinstance(dim, int):
        return vector_norm(x, 2 if ord is None else ord, dim, keepdim)
    return np.linalg.norm(x, ord, axis=dim or (-2, -1), keepdims=keepdim)


SQUARES = (regular(4, 4), regular(2, 3, 3), regular(1, 1), regular(5, 5))
factorization("linalg.norm", norm, [call(t(17)), call(t(3, 5)), call(t(3, 5), "fro"), call(t(3, 5), 1),
    call(t(3, 5), np.inf), call(t(3, 5), 2), call(t(3, 5), "nuc"), call(t(2, 3, 5), dim=1),
    call(t(2, 3, 5), "fro", dim=(1, 2), keepdim=True), call(t(17), 3)])
factorization("linalg.matrix_norm", lambda x, ord="fro", dim=(-2, -1), keepdim=False: np.linalg.norm(x, ord, axis=dim,
    keepdims=keepdim), [call(t(3, 5)), call(t(2, 3, 5), 1), call(t(2, 3, 5), "nuc"), call(t(2, 3, 5), 2, dim=(0, 1)),
    call(t(3, 5), -np.inf)])
factorization("linalg.inv", np.linalg.inv, [call(x) for x in SQUARES] + [call(t(0, 0))], aliases=("inverse",))
factorization("linalg.det", np.linalg.det, [call(x) for x in SQUARES], aliases=("det",))
factorization("linalg.slogdet", lambda x: tuple(np.linalg.slogdet(x)), [call(x) for x in SQUARES], aliases=("slogdet",))
factorization("logdet", lambda x: np.linalg.slogdet(x)[1], [call(positive(4, 4)), call(positive(2, 3, 3))], forms="mf")
factorization("linalg.solve", lambda a, b: np.linalg.solve(a, b[..., None])[..., 0] if b.ndim == a.ndim - 1
    else np.linalg.solve(a, b), [call(regular(4, 4), t(4, 3)), call(regular(4, 4), t(4)),
    call(regular(2, 3, 3), t(2, 3, 5))])
factorization("linalg.solve_triangular", lambda a, b, upper: np.linalg.solve((np.triu if upper else np.tril)(a), b),
              [call(regular(4, 4), t(4, 3), upper=True), call(regular(2, 3, 3), t(2, 3, 2), upper=False)])
def symmetric(x: Any) -> Any:
    return (x + x.mT) / 2


factorization("linalg.cholesky", lambda x, upper=False: np.linalg.cholesky(x).swapaxes(-1,
    -2) if upper else np.linalg.cholesky(x), [call(positive(4, 4)), call(positive(2, 3, 3)),
    call(positive(3, 3), upper=True)], aliases=("cholesky",), chart=symmetric)


def columns(signs_of: int, *moved: int) -> Callable:
    """Fixes the signs that a factorization leaves open: the first row of result `signs_of` becomes positive."""
    def canonical(found: list[np.ndarray]) -> list[np.ndarray]:
        flip = np.where(found[signs_of][..., :1, :] < 0, -1.0, 1.0)
        out = list(found)
        out[signs_of] = found[signs_of] * flip
        for m in moved:
            out[m] = found[m] * flip[..., : found[m].shape[-2]].swapaxes(-1, -2)
        return out
    return canonical


factorization("linalg.qr", lambda x, mode="reduced": tuple(np.linalg.qr(x, mode)), [call(regular(4, 4)), call(t(5, 3)),
    call(t(2, 5, 3))], canonical=columns(0, 1), aliases=("qr",))
factorization("linalg.eigh", lambda x: tuple(np.linalg.eigh(x)), [call(positive(4, 4)), call(positive(2, 3, 3))],
    canonical=columns(1), grad=False)
factorization("linalg.eigvalsh", np.linalg.eigvalsh, [call(positive(4, 4)), call(positive(2, 3, 3))], chart=symmetric)
factorization("linalg.svd", lambda x, full_matrices=True: tuple(np.linalg.svd(x, full_matrices)),
    [call(positive(4, 4), full_matrices=False), call(t(5, 3), full_matrices=False),
    call(t(2, 3, 4), full_matrices=False)], canonical=columns(0, 2), grad=False)
factorization("linalg.svdvals", lambda x: np.linalg.svd(x, compute_uv=False), [call(t(5, 3)), call(t(2, 3, 4)),
    call(positive(4, 4))])
factorization("linalg.pinv", np.linalg.pinv, [call(t(5, 3)), call(t(2, 3, 4)), call(regular(4, 4))],
    aliases=("pinverse",))
factorization("linalg.matrix_rank", np.linalg.matrix_rank, [call(t(5, 3)), call(positive(4, 4))], result="int64",
    grad=False)
factorization("linalg.lstsq", lambda a, b: (np.linalg.lstsq(a, b, rcond=None)[0], np.zeros(0), np.linalg.matrix_rank(a),
    np.zeros(0)), [call(t(6, 3), t(6, 2))], grad=False, result=("same", "same", "int64", "same"))
factorization("cholesky_solve", lambda b, factor, upper=False: np.linalg.solve(factor @ factor.swapaxes(-1, -2), b),
              [call(t(3, 2), t(3, 3, make=lambda rng, s: np.linalg.cholesky(np.eye(3) + 0.3)))], forms="mfo",
              chart=lambda x: x.tril() if x.shape[-1] == x.shape[-2] else x)
factorization("cholesky_inverse", lambda factor, upper=False: np.linalg.inv(factor @ factor.swapaxes(-1, -2)),
              [call(t(3, 3, make=lambda rng, s: np.linalg.cholesky(np.eye(3) + 0.3)))], forms="mfo",
              chart=lambda x: x.tril())


def plu(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gaussian elimination with partial pivoting, one matrix at a time."""
    if x.ndim > 2:
        return tuple(np.stack(parts) for parts in zip(*map(plu, x)))
    m, n = x.shape
    u, order = x.copy(), np.arange(m)
    lower = np.eye(m)
    for k in range(min(m, n)):
        p = k + int(np.argmax(np.abs(u[k:, k])))
        u[[k, p]], order[[k, p]] = u[[p, k]], order[[p, k]]
        lower[[k, p], :k] = lower[[p, k], :k]
        lower[k + 1 :, k] = u[k + 1 :, k] / u[k, k]
        u[k + 1 :] -= np.outer(lower[k + 1 :, k], u[k])
    return np.eye(m)[:, order], lower[:, : min(m, n)], np.triu(u)[: min(m, n)]


def lu_factor(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """plu packed, with the row swaps that lead to the permutation."""
    p, lower, u = plu(x)
    packed, n = np.tril(lower, -1) + u, x.shape[-1]
    pivots, order = np.zeros(n, int), list(range(n))
    for k, row in enumerate(np.argmax(p, axis=0)):
        pivots[k] = order.index(row)
        order[k], order[pivots[k]] = order[pivots[k]], order[k]
    return packed, pivots + 1


def reflected(x: np.ndarray, tau: np.ndarray) -> np.ndarray:
    q = np.eye(x.shape[-2])
    for k in range(tau.shape[-1]):
        v = np.concatenate([np.zeros(k), [1.0], x[k + 1 :, k]])
        q = q @ (np.eye(len(v)) - tau[k] * np.outer(v, v))
    return q[:, : x.shape[-1]]


def exponential(x: np.ndarray) -> np.ndarray:
    """The Taylor series of x / 2^8, squared eight times."""
    total = term = np.broadcast_to(np.eye(x.shape[-1]), x.shape)
    for k in range(1, 20):
        term = term @ x / (256 * k)
        total = total + term
    for _ in range(8):
        total = total @ total
    return total


def invertible(*shape: int, split: int) -> In:
    """A tensor that is a matrix far from singular, its first `split` dimensions being rows."""
    n = int(np.prod(shape[:split]))
    return t(*shape, make=lambda rng, s: (rng.uniform(-1, 1, (n, n)) + 6 * np.eye(n)).reshape(s))


factorization("linalg.lu", plu, [call(regular(4, 4)), call(t(5, 3)), call(t(2, 3, 5))])
factorization("linalg.lu_factor", lu_factor, [call(regular(4, 4)), call(t(4, 4))], result=("same", "int32"))
factorization("linalg.householder_product", reflected, [call(t(5, 3), t(3)), call(t(4, 4), t(2))])
factorization("linalg.matrix_exp", exponential, [call(t(4, 4)), call(t(2, 3, 3, low=-0.5, high=0.5)), call(t(1, 1))],
    forms="f", aliases=("matrix_exp",))
# PyTorch's gradient of the inverse fails in the norms that need it.
factorization("linalg.cond", np.linalg.cond, [call(regular(4, 4)), call(regular(2, 3, 3), -2), call(t(5, 3))]
    + [call(regular(4, 4), p, grad=False) for p in ("fro", "nuc", 1, -1, np.inf)])
factorization("linalg.tensorinv", np.linalg.tensorinv, [call(invertible(2, 3, 6, split=2)),
    call(invertible(4, 2, 2, split=1), ind=1)])
factorization("linalg.tensorsolve", lambda a, b: np.linalg.tensorsolve(a, b), [call(invertible(2, 3, 6, split=2), t(2, 3)),
    call(invertible(4, 2, 2, split=1), t(4))])
factorization("linalg.vecdot", lambda x, y, dim=-1: np.sum(x * y, axis=dim), [call(t(3, 5), t(3, 5)), call(t(3, 5), t(5)),
    call(t(3, 5), t(3, 5), dim=0)])
factorization("linalg.vander", lambda x, N=None: x[..., None] ** np.arange(N or x.shape[-1]), [call(t(4)),
    call(t(2, 3), N=5)], forms="f", domain=(0.5, 2))
factorization("linalg.diagonal", lambda x, offset=0: np.diagonal(x, offset, -2, -1), [call(t(2, 3, 4)),
    call(t(4, 3), offset=-1)], forms="f")

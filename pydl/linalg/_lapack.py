"""The bridge to LAPACK, by way of NumPy: batches of matrices in, tensors out, errors in pydl's words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydl import _core
from pydl._core import ShapeError, Tensor

EPS = {_core.float32: 2.0**-23, _core.float64: 2.0**-52}


class LinAlgError(RuntimeError):
    """A matrix that a factorization cannot treat: singular, not positive definite, or not finite."""


def run(routine: str, *matrices: Tensor, **options: Any) -> Any:
    """numpy.linalg's routine on tensors; raises NumPy's LinAlgError."""
    import numpy

    found = getattr(numpy.linalg, routine)(*(m.detach().numpy() for m in matrices), **options)
    if isinstance(found, tuple):
        return tuple(_core.from_numpy(numpy.asarray(f)) for f in found)
    return _core.from_numpy(numpy.asarray(found))


def run_or_raise(op: str, routine: str, A: Tensor, **options: Any) -> Any:
    """The same for iterative routines, which fail on NaN and infinity alone."""
    from numpy.linalg import LinAlgError as Failure

    try:
        return run(routine, A, **options)
    except Failure as error:
        raise LinAlgError(f"{op}: expected finite matrices, got one that the algorithm does not converge on") from error


def run_each(routine: str, *matrices: Tensor) -> tuple[Tensor, list[int]]:
    """The routine's results, NaN for the matrices that it refused, and the positions of those in the flat batch."""
    from numpy.linalg import LinAlgError as Failure

    try:
        return run(routine, *matrices), []
    except Failure:
        pass
    last = matrices[-1]
    results, refused = [], []
    for i, one in enumerate(zip(*map(flat_batch, matrices), strict=True)):
        try:
            results.append(run(routine, *one))
        except Failure:
            results.append(_core.full_like(one[-1], float("nan")))
            refused.append(i)
    return _core.stack(results).reshape(last.shape), refused


def flat_batch(A: Tensor) -> Tensor:
    """One batch dimension for all."""
    return A.reshape(math.prod(A.shape[:-2]), *A.shape[-2:])


def check_matrices(op: str, A: Tensor) -> None:
    if not isinstance(A, Tensor):
        raise TypeError(f"{op}: expected a Tensor, got {type(A).__name__}")
    if A.dim() < 2:
        raise ShapeError(f"{op}: expected matrices (..., m, n), got shape {list(A.shape)}")
    if A.dtype not in EPS:
        raise RuntimeError(f"{op}: expected float32 or float64, got {A.dtype}")


def check_square(op: str, A: Tensor) -> None:
    check_matrices(op, A)
    if A.size(-1) != A.size(-2):
        raise ShapeError(f"{op}: expected square matrices (..., n, n), got shape {list(A.shape)}")


def check_same_dtype(op: str, A: Tensor, B: Tensor) -> None:
    if A.dtype is not B.dtype:
        raise RuntimeError(f"{op}: expected tensors of one dtype, got {A.dtype} and {B.dtype}")


def check_info(op: str, info: Tensor, wanted: str, found: str) -> None:
    """Raises for the first matrix whose `info`, LAPACK's 1-based index of the culprit, is not 0."""
    if not info.any():
        return
    flat = info.reshape(-1).tolist()
    first = next(i for i, k in enumerate(flat) if k)
    raise LinAlgError(f"{op}: expected {wanted}, got {found.format(k=flat[first])}{place(first, info.shape)}")


def place(i: int, batch: Sequence[int]) -> str:
    """Where the i-th matrix of a batch is, for an error message."""
    index: list[int] = []
    for n in reversed(batch):
        i, here = divmod(i, n)
        index.insert(0, here)
    return f" at batch index {index}" if batch else ""

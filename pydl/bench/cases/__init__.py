"""All benchmark cases, by group. A new operator's case is one row in the module of its family."""

from pydl.bench.cases import (
    calls,
    conv,
    images,
    inference,
    matmul,
    move,
    optimizers,
    pointwise,
    pool,
    reductions,
    rowwise,
    training,
)

GROUPS = [
    *calls.GROUPS,
    *matmul.GROUPS,
    *pointwise.GROUPS,
    *reductions.GROUPS,
    *rowwise.GROUPS,
    *move.GROUPS,
    *conv.GROUPS,
    *images.GROUPS,
    *pool.GROUPS,
    *optimizers.GROUPS,
    *training.GROUPS,
    *inference.GROUPS,
]

"""All benchmark cases, by group. A new operator's case is one row in the module of its family."""

from pydl.bench.cases import (
    attention,
    calls,
    conv,
    embedding,
    images,
    inference,
    matmul,
    move,
    optimizers,
    pointwise,
    pool,
    recurrent,
    reductions,
    rowwise,
    text,
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
    *embedding.GROUPS,
    *recurrent.GROUPS,
    *attention.GROUPS,
    *optimizers.GROUPS,
    *text.GROUPS,
    *training.GROUPS,
    *inference.GROUPS,
]

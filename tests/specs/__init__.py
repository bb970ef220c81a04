"""The operator table, one module per family. Adding an operator is one row in its family's module."""

from . import (
    attention,
    batch_norm,
    binary,
    conv,
    creation,
    ctc,
    embedding,
    image,
    index,
    matrix,
    norm_loss,
    pointwise,
    pool,
    recurrent,
    reduce,
    shape,
    sort,
)
from .spec import TABLE

FAMILIES = (
    pointwise,
    binary,
    reduce,
    matrix,
    shape,
    index,
    sort,
    creation,
    norm_loss,
    conv,
    batch_norm,
    pool,
    image,
    attention,
    recurrent,
    embedding,
    ctc,
)

__all__ = ["FAMILIES", "TABLE"]

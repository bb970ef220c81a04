"""The operator table, one module per family. Adding an operator is one row in its family's module."""

from . import binary, conv, creation, index, matrix, norm_loss, pointwise, reduce, shape, sort
from .spec import TABLE

FAMILIES = (pointwise, binary, reduce, matrix, shape, index, sort, creation, norm_loss, conv)

__all__ = ["FAMILIES", "TABLE"]

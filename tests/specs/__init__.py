"""The operator table, one module per family. Adding an operator is one row in its family's module."""
from . import binary, creation, index, matrix, norm_loss, pointwise, reduce, shape, sort  # noqa: F401  (importing fills the table)
from .spec import TABLE  # noqa: F401

"""Linear algebra with PyTorch's names: batches of float32 and float64 matrices, differentiable to any order.

The factorizations are LAPACK's, by way of NumPy; everything around them, gradients included, is pydl's own operators.
Where a gradient cites Giles 2008 it means M. Giles, "Collected matrix derivative results for forward and reverse mode
algorithmic differentiation".
"""

from pydl.linalg import _lu, _products, _solve, _spectral
from pydl.linalg._lapack import LinAlgError
from pydl.linalg._lu import *
from pydl.linalg._products import *
from pydl.linalg._solve import *
from pydl.linalg._spectral import *

__all__ = ["LinAlgError", *_lu.__all__, *_products.__all__, *_solve.__all__, *_spectral.__all__]

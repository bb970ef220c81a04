"""Special functions, with PyTorch's names in torch.special."""

from __future__ import annotations

import math
from typing import Any

from pydl import _core
from pydl._core import Tensor, digamma, erf, erfc, erfinv, exp2, expit, expm1, i0, log1p, logit, round, sinc, xlogy
from pydl._core import special as _special
from pydl._numeric import mvlgamma, polygamma
from pydl._results import takes_out

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0", "i0e", "i1", "i1e",
    "log1p", "log_softmax", "logit", "logsumexp", "modified_bessel_i0", "modified_bessel_i1", "multigammaln", "ndtr",
    "polygamma", "psi", "round", "sinc", "softmax", "spherical_bessel_j0", "xlog1py", "xlogy",
]  # fmt: skip

i0e, i1, i1e, ndtr, xlog1py = _special.i0e, _special.i1, _special.i1e, _special.ndtr, _special.xlog1py
gammaln = _core.lgamma
psi = _core.digamma
logsumexp = _core.logsumexp
modified_bessel_i0 = i0
modified_bessel_i1 = i1
multigammaln = mvlgamma


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(input), scaled to sum to 1 along dim."""
    return _core.softmax(input, dim, dtype=dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of softmax."""
    return _core.log_softmax(input, dim, dtype=dtype)


@takes_out
def entr(input: Tensor) -> Tensor:
    """-x log(x), 0 at 0 and -inf below."""
    return _core.where(input < 0, -math.inf, -xlogy(input, input))


@takes_out
def spherical_bessel_j0(input: Tensor) -> Tensor:
    """sin(x) / x, 1 at 0."""
    return sinc(input / math.pi)

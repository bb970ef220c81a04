"""Which implementation of attention runs, as programs written for PyTorch ask: here it is always the tiled one."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(enum.Enum):
    """PyTorch's implementations of scaled dot-product attention, by name."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(backends: Sequence[SDPBackend] | SDPBackend, set_priority: bool = False) -> Iterator[None]:
    """Chooses among PyTorch's implementations in a `with` block. pydl has one, which gives the same results and, like
    the fused ones, never stores the scores: there is nothing to choose.

    >>> import pydl
    >>> from pydl.nn.attention import SDPBackend, sdpa_kernel
    >>> q = pydl.zeros(1, 2, 3, 4)
    >>> with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
    ...     out = pydl.nn.functional.scaled_dot_product_attention(q, q, q)
    >>> tuple(out.shape)
    (1, 2, 3, 4)
    """
    named = [backends] if isinstance(backends, SDPBackend) else backends
    if not isinstance(named, (list, tuple)) or not all(isinstance(backend, SDPBackend) for backend in named):
        raise AssertionError(f"sdpa_kernel: expected an SDPBackend or a list of them, got {backends!r}")
    yield

"""The flags of cuDNN, for programs that set them on any machine.

There is no cuDNN here. The flags hold what they are set to and change nothing: pydl's kernels are deterministic and
need no search for the fastest, whatever `deterministic` and `benchmark` say.

>>> import pydl
>>> pydl.backends.cudnn.deterministic = True
>>> pydl.backends.cudnn.is_available()
False
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

enabled = True
deterministic = False
benchmark = False
benchmark_limit = 10
allow_tf32 = True


def is_available() -> bool:
    """Whether there is cuDNN."""
    return False


def version() -> None:
    """The version of cuDNN: none."""


@contextmanager
def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
) -> Iterator[None]:
    """Sets the flags for a while."""
    before = {name: globals()[name] for name in _FLAGS}
    globals().update(zip(_FLAGS, (enabled, benchmark, benchmark_limit, deterministic, allow_tf32), strict=True))
    try:
        yield
    finally:
        globals().update(before)


_FLAGS = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")

"""The flags of CUDA, for programs that set them on any machine.

There is no CUDA here. `matmul.allow_tf32` holds what it is set to and changes nothing: products of float32 are computed
in float32.
"""

from __future__ import annotations

from types import SimpleNamespace

matmul = SimpleNamespace(allow_tf32=False)


def is_built() -> bool:
    """Whether pydl was built with CUDA."""
    return False

"""What programs ask before they choose a device. This build has the CPU only."""

from __future__ import annotations


def is_available() -> bool:
    """Whether tensors can live on a CUDA device."""
    return False


def device_count() -> int:
    """The number of CUDA devices that tensors can live on."""
    return 0

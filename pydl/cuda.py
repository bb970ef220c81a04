"""What programs ask before they choose a device, and what they do on any machine. This build has the CPU only."""

from __future__ import annotations


def is_available() -> bool:
    """Whether tensors can live on a CUDA device."""
    return False


def device_count() -> int:
    """The number of CUDA devices that tensors can live on."""
    return 0


def manual_seed(seed: int) -> None:
    """Seeds the generator of the current CUDA device: nothing to do without one. `pydl.manual_seed` seeds the CPU's."""
    int(seed)


def manual_seed_all(seed: int) -> None:
    """Seeds the generators of all CUDA devices: nothing to do without one."""
    int(seed)


def empty_cache() -> None:
    """Returns unused memory of CUDA devices: nothing to do without one."""

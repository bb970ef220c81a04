"""The generator that draws of the whole program come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydl._core import get_rng_state, initial_seed, manual_seed, seed, set_rng_state

__all__ = ["fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


@contextmanager
def fork_rng(
    devices: Sequence[object] | None = None, enabled: bool = True, device_type: str | None = None
) -> Iterator[None]:
    """Draws inside leave no trace: the generator continues afterwards as if there had been none.

    There are no devices beside the CPU, so `devices` has to be empty, whatever their type.

    >>> import pydl
    >>> before = pydl.get_rng_state()
    >>> with pydl.random.fork_rng():
    ...     _ = pydl.manual_seed(0).seed(), pydl.rand(3)
    >>> pydl.get_rng_state().equal(before)
    True
    """
    if devices:
        raise RuntimeError(f"fork_rng: expected no devices beside the CPU, got {list(devices)}")
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)

"""Anomaly detection: an error in a backward pass names the line of the forward pass that recorded the operation."""

from __future__ import annotations

from typing import Any

from pydl import _core

__all__ = ["detect_anomaly", "set_detect_anomaly"]


class set_detect_anomaly:
    """Switches anomaly detection on or off: at once, and for a block until its end.

    With `check_nan`, a NaN among the gradients is an error too.

    >>> import pydl
    >>> with pydl.autograd.set_detect_anomaly(True):
    ...     print(pydl.is_anomaly_enabled())
    True
    >>> pydl.is_anomaly_enabled()
    False
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = _core._set_anomaly(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: Any) -> None:
        _core._set_anomaly(*self._before)


class detect_anomaly:
    """A block whose operations are recorded with their source lines, and whose backward passes refuse NaN.

    >>> import pydl
    >>> x = pydl.tensor(-1.0, requires_grad=True)
    >>> with pydl.autograd.detect_anomaly():
    ...     try:
    ...         x.sqrt().backward()
    ...     except RuntimeError as error:
    ...         print(str(error).splitlines()[0])
    SqrtBackward0: expected finite gradients, got nan in output 0 of its backward
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan

    def __enter__(self) -> None:
        self._before = _core._set_anomaly(True, self._check_nan)

    def __exit__(self, *error: Any) -> None:
        _core._set_anomaly(*self._before)

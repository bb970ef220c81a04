"""Functions whose arguments or results are complex numbers, which pydl reserves: calling one says so."""

from __future__ import annotations

from typing import Any, NoReturn


def reserved(name: str) -> Any:
    """A function of that name that raises NotImplementedError."""

    def function(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            f"{name}: expected a function of real numbers, got one of complex ones: complex dtypes are reserved"
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Complex dtypes are reserved: raises NotImplementedError."
    return function


complex = reserved("complex")
istft = reserved("istft")
polar = reserved("polar")
stft = reserved("stft")
view_as_complex = reserved("view_as_complex")
view_as_real = reserved("view_as_real")

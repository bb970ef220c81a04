"""What tells a Transformer where a token stands."""

from __future__ import annotations

import math
import operator
from typing import Any

import pydl
from pydl import Tensor
from pydl.nn import functional as F
from pydl.nn import init
from pydl.nn.modules.module import Module
from pydl.nn.parameter import Parameter

__all__ = ["PositionalEncoding"]


class PositionalEncoding(Module):
    """Adds or turns in the positions of a sequence.

    - "sinusoidal" adds sin(t w_i) and cos(t w_i), w_i = base^(-2i / d_model), side by side (Vaswani et al. 2017)
    - "learned" adds a row of `weight` (max_len, d_model), which starts as N(0, 0.02^2)
    - "rotary" turns each pair of neighbouring elements by the angle t w_i (Su et al. 2021): for queries and keys of
      heads, (..., L, d_model), whose products then depend on distances alone

    Input (N, L, d_model), or (L, N, d_model) without `batch_first`, or (L, d_model); `dropout` follows the sum.
    `offset` is the position of the first token, as in generation. Positions up to `max_len`; more raise ShapeError.

    >>> import pydl
    >>> from pydl import nn
    >>> nn.PositionalEncoding(4)(pydl.zeros(1, 2, 4))[0, 0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """

    KINDS = ("sinusoidal", "learned", "rotary")

    def __init__(
        self, d_model: int, max_len: int = 5000, kind: str = "sinusoidal", dropout: float = 0.0,
        batch_first: bool = True, base: float = 10000.0, device: Any = None, dtype: Any = None,
    ) -> None:
        super().__init__()
        for name, size in (("d_model", d_model), ("max_len", max_len)):
            if not isinstance(size, int):
                raise TypeError(f"PositionalEncoding: expected {name} to be an int, got {type(size).__name__}")
            if size < 1:
                raise ValueError(f"PositionalEncoding: expected {name} of at least 1, got {size}")
        if isinstance(base, str) or not base > 0:
            raise ValueError(f"PositionalEncoding: expected a positive base, got {base!r}")
        if isinstance(dropout, str) or not 0 <= dropout <= 1:
            raise ValueError(f"PositionalEncoding: expected dropout to be a number from 0 to 1, got {dropout!r}")
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"PositionalEncoding: expected a floating point dtype, got {dtype}")
        if kind not in self.KINDS:
            raise ValueError(f"PositionalEncoding: expected a kind of {', '.join(self.KINDS)}, got {kind!r}")
        if kind == "rotary" and (d_model % 2 or dropout):
            raise ValueError(f"PositionalEncoding: expected an even d_model and no dropout for rotary, got {d_model} "
                             f"and {dropout}")
        self.d_model, self.max_len, self.kind = d_model, max_len, kind
        self.dropout, self.batch_first, self.base = dropout, batch_first, base
        if kind == "learned":
            self.weight = Parameter(pydl.empty((max_len, d_model), device=device, dtype=dtype))
            init.normal_(self.weight, std=0.02)
            return
        pairs = -(-d_model // 2)
        rate = pydl.exp(pydl.arange(pairs, dtype=pydl.float64) * (-2 * math.log(base) / d_model))
        angle = pydl.arange(max_len, dtype=pydl.float64)[:, None] * rate
        table = pydl.stack([angle.sin(), angle.cos()], -1).flatten(1)[:, :2 * pairs]
        table = table.to(pydl.get_default_dtype() if dtype is None else dtype)
        self.register_buffer("table", table if kind == "rotary" else table[:, :d_model].clone(), persistent=False)

    def forward(self, input: Tensor, offset: int = 0) -> Tensor:
        time = -2 if self.batch_first or self.kind == "rotary" or input.dim() == 2 else 0
        if input.dim() < 2 or input.size(-1) != self.d_model:
            raise pydl.ShapeError(f"PositionalEncoding: expected input (..., L, {self.d_model}), got "
                                  f"{tuple(input.shape)}")
        if not input.is_floating_point():
            raise TypeError(f"PositionalEncoding: expected floating point input, got {input.dtype}")
        if not hasattr(offset, "__index__"):
            raise TypeError(f"PositionalEncoding: expected offset to be an int, got {type(offset).__name__}")
        offset = operator.index(offset)
        stop = offset + input.size(time)
        if offset < 0 or stop > self.max_len:
            raise pydl.ShapeError(f"PositionalEncoding: expected positions from 0 to {self.max_len}, got {offset} to "
                                  f"{stop}")
        rows = (self.weight if self.kind == "learned" else self.table)[offset:stop].to(input.dtype)
        if self.kind == "rotary":
            return self._turn(input, rows)
        output = input + (rows[:, None] if time == 0 else rows)
        return F.dropout(output, self.dropout, self.training) if self.dropout else output

    @staticmethod
    def _turn(x: Tensor, rows: Tensor) -> Tensor:
        sin, cos = rows.unflatten(-1, (-1, 2)).unbind(-1)
        even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
        return pydl.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)

    def extra_repr(self) -> str:
        return f"{self.d_model}, max_len={self.max_len}, kind={self.kind!r}, dropout={self.dropout}"

"""Recurrent layers and their cells."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pydl
from pydl import Tensor
from pydl.nn import init
from pydl.nn.modules.module import Module
from pydl.nn.parameter import Parameter
from pydl.nn.utils.rnn import PackedSequence

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
States = Tensor | tuple[Tensor, Tensor]


def _check_no_projection(name: str, proj_size: int | None) -> None:
    if proj_size is not None:
        raise ValueError(f"{name}: expected no proj_size, which LSTM alone takes, got {proj_size}")


class RNNBase(Module):
    """What `RNN`, `LSTM` and `GRU` share: parameters by PyTorch's names, states, packed and unbatched inputs."""

    mode: str
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if mode not in _GATES:
            raise ValueError(f"{type(self).__name__}: expected a mode of {', '.join(_GATES)}, got {mode!r}")
        if isinstance(dropout, bool) or not isinstance(dropout, numbers.Real) or not 0 <= dropout <= 1:
            raise ValueError(f"{type(self).__name__}: expected dropout to be a number from 0 to 1, got {dropout!r}")
        if dropout > 0 and num_layers == 1:
            warnings.warn("dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                          f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                          stacklevel=3)
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if not isinstance(size, int):
                raise TypeError(f"{type(self).__name__}: expected {name} to be an int, got {type(size).__name__}")
        if input_size <= 0:
            raise ValueError(f"{type(self).__name__}: expected a positive input_size, got {input_size}")
        if hidden_size <= 0:
            raise ValueError(f"{type(self).__name__}: expected a positive hidden_size, got {hidden_size}")
        if num_layers <= 0:
            raise ValueError(f"{type(self).__name__}: expected a positive num_layers, got {num_layers}")
        if proj_size < 0:
            raise ValueError(f"{type(self).__name__}: expected a proj_size of at least 0 (no projection), got "
                             f"{proj_size}")
        if proj_size >= hidden_size:
            raise ValueError(f"{type(self).__name__}: expected proj_size below hidden_size, got {proj_size} and "
                             f"{hidden_size}")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size

        rows, outputs = _GATES[mode] * hidden_size, proj_size or hidden_size
        directions = 2 if bidirectional else 1
        self._flat_names: list[str] = []
        for layer in range(num_layers):
            features = input_size if layer == 0 else outputs * directions
            shapes = {"weight_ih": (rows, features), "weight_hh": (rows, outputs)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in ("", "_reverse")[:directions]:
                for name, shape in shapes.items():
                    full_name = f"{name}_l{layer}{suffix}"
                    setattr(self, full_name, Parameter(pydl.empty(shape, device=device, dtype=dtype)))
                    self._flat_names.append(full_name)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new initial values: U(-k, k) with k = 1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing: kernels take weights that the engine packs, so one block of memory would gain nothing."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters, a list for each layer and direction."""
        flat = [getattr(self, name) for name in self._flat_names]
        each = len(flat) // (self.num_layers * (2 if self.bidirectional else 1))
        return [flat[i : i + each] for i in range(0, len(flat), each)]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            text += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            text += f", bidirectional={self.bidirectional}"
        return text

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raises for an input of another dtype, number of dimensions or size than the layer's."""
        if input.dtype != self.weight_ih_l0.dtype:
            raise ValueError(f"{type(self).__name__}: expected input of the weights' dtype {self.weight_ih_l0.dtype}, "
                             f"got {input.dtype}")
        expected = 2 if batch_sizes is not None else 3
        if input.dim() != expected:
            raise RuntimeError(f"{type(self).__name__}: expected an input of {expected} dimensions, got "
                               f"{list(input.shape)}")
        if self.input_size != input.size(-1):
            raise RuntimeError(f"{type(self).__name__}: expected an input of {self.input_size} features (input_size), "
                               f"got {input.size(-1)}")

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple[int, ...], msg: str = "expected a state of shape {}, got {}"
    ) -> None:
        """Raises for a state of another shape."""
        if tuple(hx.shape) != expected_hidden_size:
            raise RuntimeError(f"{type(self).__name__}: " + msg.format(list(expected_hidden_size), list(hx.shape)))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """States with their sequences in another order."""
        if permutation is None:
            return hx
        if isinstance(hx, tuple):
            return tuple(h.index_select(1, permutation) for h in hx)
        return hx.index_select(1, permutation)

    def _state_sizes(self) -> tuple[int, ...]:
        """The last size of each state: of h, and of an LSTM's c."""
        h = self.proj_size or self.hidden_size
        return (h, self.hidden_size) if self.mode == "LSTM" else (h,)

    def _states(self, hx: Any, batch: int, batched: bool, like: Tensor) -> tuple[Tensor, ...]:
        """The initial states, checked, [layers * directions, batch, size] each."""
        cells, sizes = self.num_layers * (2 if self.bidirectional else 1), self._state_sizes()
        if hx is None:
            return tuple(pydl.zeros(cells, batch, size, dtype=like.dtype) for size in sizes)
        if len(sizes) == 2 and not (isinstance(hx, tuple | list) and len(hx) == 2):
            raise ValueError(f"LSTM: expected hx as a tuple (h_0, c_0), got {type(hx).__name__}")
        states = tuple(hx) if len(sizes) == 2 else (hx,)
        wanted = 3 if batched else 2
        for state in states:
            if state.dim() != wanted:
                kind, names = "a batched" if batched else "an unbatched", "h_0 and c_0" if len(sizes) == 2 else "h_0"
                dims = " and ".join(f"{s.dim()}D" for s in states)
                raise RuntimeError(
                    f"{type(self).__name__}: expected {wanted}D {names} for {kind} input, got {dims}")
        if not batched:
            states = tuple(state.unsqueeze(1) for state in states)
        for name, state, size in zip(("h_0", "c_0")[:len(sizes)], states, sizes, strict=True):
            self.check_hidden_size(state, (cells, batch, size), f"expected {name} of shape {{}}, got {{}}")
        return states

    def _call(self, *args: Any, **options: Any) -> tuple[Tensor, ...]:
        operator: Callable[..., tuple[Tensor, ...]] = getattr(pydl, self.mode.lower())
        *inputs, states = args
        weights = [getattr(self, name) for name in self._flat_names]
        hx = list(states) if self.mode == "LSTM" else states[0]
        return operator(*inputs, hx, weights, self.bias, self.num_layers, self.dropout, self.training,
                        self.bidirectional, **options)

    def forward(
        self, input: Tensor | PackedSequence, hx: Any = None, *, lengths: Tensor | Sequence[int] | None = None
    ) -> Any:
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, lengths)
        if input.dim() not in (2, 3):
            raise ValueError(f"{type(self).__name__}: expected a 2D or 3D input, got {list(input.shape)}")
        batched = input.dim() == 3
        batch_dim = 0 if self.batch_first else 1
        if not batched:
            input = input.unsqueeze(batch_dim)
        self.check_input(input, None)
        states = self._states(hx, input.size(batch_dim), batched, input)
        lengths = None if lengths is None else pydl.as_tensor(lengths)
        output, *last = self._call(input, states, batch_first=self.batch_first, lengths=lengths)
        if not batched:
            output, last = output.squeeze(batch_dim), [state.squeeze(1) for state in last]
        return output, tuple(last) if len(last) == 2 else last[0]

    def _forward_packed(self, packed: PackedSequence, hx: Any, lengths: Any) -> Any:
        if lengths is not None:
            raise ValueError(f"{type(self).__name__}: expected lengths with a padded input only, got a PackedSequence")
        data, batch_sizes, sorted_indices, unsorted_indices = packed
        self.check_input(data, batch_sizes)
        states = self._states(hx, int(batch_sizes[0]), True, data)
        if hx is not None:
            states = self.permute_hidden(states, sorted_indices)
        output, *last = self._call(data, batch_sizes, states)
        last = self.permute_hidden(tuple(last) if len(last) == 2 else last[0], unsorted_indices)
        return PackedSequence(output, batch_sizes, sorted_indices, unsorted_indices), last


class RNN(RNNBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu, over sequences (Elman 1990). Returns output and h_n.

    Input (T, B, input_size), with `batch_first` (B, T, input_size), unbatched (T, input_size), or a PackedSequence.
    `lengths`, B integers, ends each sequence of a padded batch early: the output beyond is zero, the last states are
    those at its end, and a reverse direction begins there. Several layers follow each other, with `dropout` between
    them in training; `bidirectional` layers read both ways and join their outputs.

    >>> import pydl
    >>> from pydl import nn
    >>> output, h_n = nn.RNN(10, 20, num_layers=2)(pydl.zeros(5, 3, 10))
    >>> tuple(output.shape), tuple(h_n.shape)
    ((5, 3, 20), (2, 3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: None = None,
    ) -> None:
        _check_no_projection("RNN", proj_size)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: expected nonlinearity 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, 0, device, dtype)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory with a forget gate (Hochreiter and Schmidhuber 1997, Gers et al. 2000).

    Gates are in the order input, forget, cell, output. `proj_size` projects h (Sak et al. 2014). Returns output and
    (h_n, c_n); `hx` is (h_0, c_0).

    Input (T, B, input_size), with `batch_first` (B, T, input_size), unbatched (T, input_size), or a PackedSequence.
    `lengths`, B integers, ends each sequence of a padded batch early: the output beyond is zero, the last states are
    those at its end, and a reverse direction begins there. Several layers follow each other, with `dropout` between
    them in training; `bidirectional` layers read both ways and join their outputs.

    >>> import pydl
    >>> from pydl import nn
    >>> output, (h_n, c_n) = nn.LSTM(10, 20, bidirectional=True, batch_first=True)(pydl.zeros(3, 5, 10))
    >>> tuple(output.shape), tuple(h_n.shape), tuple(c_n.shape)
    ((3, 5, 40), (2, 3, 20), (2, 3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         proj_size, device, dtype)


class GRU(RNNBase):
    """Gated recurrent units (Cho et al. 2014), gates in the order reset, update, new. Returns output and h_n.

    Input (T, B, input_size), with `batch_first` (B, T, input_size), unbatched (T, input_size), or a PackedSequence.
    `lengths`, B integers, ends each sequence of a padded batch early: the output beyond is zero, the last states are
    those at its end, and a reverse direction begins there. Several layers follow each other, with `dropout` between
    them in training; `bidirectional` layers read both ways and join their outputs.

    >>> import pydl
    >>> from pydl import nn
    >>> output, h_n = nn.GRU(10, 20)(pydl.zeros(5, 3, 10), lengths=pydl.tensor([5, 2, 3]))
    >>> tuple(output.shape), tuple(h_n.shape)
    ((5, 3, 20), (1, 3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: None = None,
    ) -> None:
        _check_no_projection("GRU", proj_size)
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0,
                         device, dtype)


class RNNCellBase(Module):
    """What the cells share: weights, one step of a batch (B, input_size) or of one vector (input_size)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(pydl.empty((rows, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(pydl.empty((rows, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(pydl.empty(rows, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new initial values: U(-k, k) with k = 1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def _step(self, operator: Callable[..., Any], input: Tensor, states: tuple[Tensor | None, ...]) -> Any:
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: expected a 1D or 2D input, got {list(input.shape)}")
        if input.size(-1) != self.input_size:
            raise pydl.ShapeError(f"{name}: expected an input of {self.input_size} features, got {list(input.shape)}")
        batched = input.dim() == 2
        x = input if batched else input.unsqueeze(0)
        given = []
        for state in states:
            if state is None:
                state = pydl.zeros(x.size(0), self.hidden_size, dtype=x.dtype)
            elif state.dim() != input.dim():
                raise pydl.ShapeError(
                    f"{name}: expected a state of {input.dim()} dimensions, as the input has, got {list(state.shape)}")
            elif not batched:
                state = state.unsqueeze(0)
            if tuple(state.shape) != (x.size(0), self.hidden_size):
                raise pydl.ShapeError(f"{name}: expected a state of shape {[x.size(0), self.hidden_size]}, got "
                                      f"{list(state.shape)}")
            given.append(state)
        result = operator(x, given if len(given) == 2 else given[0], self.weight_ih, self.weight_hh, self.bias_ih,
                          self.bias_hh)
        if batched:
            return result
        return tuple(r.squeeze(0) for r in result) if len(given) == 2 else result.squeeze(0)


class RNNCell(RNNCellBase):
    """One step of `RNN`: the next h from an input (B, input_size) or (input_size) and h.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.RNNCell(10, 20)(pydl.zeros(3, 10)).shape)
    (3, 20)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"RNNCell: expected nonlinearity 'tanh' or 'relu', got {self.nonlinearity!r}")
        return self._step(getattr(pydl, f"rnn_{self.nonlinearity}_cell"), input, (hx,))


class LSTMCell(RNNCellBase):
    """One step of `LSTM`: the next (h, c) from an input (B, input_size) or (input_size) and (h, c).

    >>> import pydl
    >>> from pydl import nn
    >>> h, c = nn.LSTMCell(10, 20)(pydl.zeros(3, 10))
    >>> tuple(h.shape), tuple(c.shape)
    ((3, 20), (3, 20))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        h, c = (None, None) if hx is None else hx
        return self._step(pydl.lstm_cell, input, (h, c))


class GRUCell(RNNCellBase):
    """One step of `GRU`: the next h from an input (B, input_size) or (input_size) and h.

    >>> import pydl
    >>> from pydl import nn
    >>> tuple(nn.GRUCell(10, 20)(pydl.zeros(10)).shape)
    (20,)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(pydl.gru_cell, input, (hx,))

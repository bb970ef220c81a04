"""Sequences of different lengths: padded into one tensor, or packed without padding for recurrent layers.

A packed batch holds the first elements of all sequences, then the second ones of those that have one, and so on,
longest sequence first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pydl
from pydl import Tensor

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence", "unpack_sequence", "unpad_sequence",
]


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """A packed batch: `data` (elements, ...), in `batch_sizes` how many sequences have each step, and the permutations
    that sorted the sequences by length and undo that (None where they came sorted). Made by `pack_padded_sequence`
    and `pack_sequence`.

    >>> import pydl
    >>> from pydl.nn.utils.rnn import pack_sequence
    >>> packed = pack_sequence([pydl.tensor([1, 2, 3]), pydl.tensor([4, 5])])
    >>> packed.data.tolist(), packed.batch_sizes.tolist()
    ([1, 4, 2, 5, 3], [2, 2, 1])
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:  # PyTorch's older form: (data, batch_sizes) as one argument
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with the data in another dtype."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else self._replace(data=data)

    def double(self) -> PackedSequence:
        """The same with the data as float64."""
        return self.to(pydl.float64)

    def float(self) -> PackedSequence:
        """The same with the data as float32."""
        return self.to(pydl.float32)

    def half(self) -> PackedSequence:
        """The same with the data as float16."""
        return self.to(pydl.float16)

    def long(self) -> PackedSequence:
        """The same with the data as int64."""
        return self.to(pydl.int64)

    def int(self) -> PackedSequence:
        """The same with the data as int32."""
        return self.to(pydl.int32)

    def short(self) -> PackedSequence:
        """The same with the data as int16."""
        return self.to(pydl.int16)

    def char(self) -> PackedSequence:
        """The same with the data as int8."""
        return self.to(pydl.int8)

    def byte(self) -> PackedSequence:
        """The same with the data as uint8."""
        return self.to(pydl.uint8)

    def cpu(self) -> PackedSequence:
        """The sequence itself: it is in this memory."""
        return self

    @property
    def is_cuda(self) -> bool:
        """False: the data is in the processor's memory."""
        return False

    def is_pinned(self) -> bool:
        """False, as of every tensor."""
        return False


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes this one.

    >>> import pydl
    >>> from pydl.nn.utils.rnn import invert_permutation
    >>> invert_permutation(pydl.tensor([2, 0, 1])).tolist()
    [1, 2, 0]
    """
    if permutation is None:
        return None
    output = pydl.empty_like(permutation)
    output[permutation] = pydl.arange(permutation.numel())
    return output


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Packs a padded batch (T, B, ...), with `batch_first` (B, T, ...), of sequences with the given lengths.

    With `enforce_sorted` they must be in descending order; without, they are sorted here and put back in their order
    by what takes the result. Raises RuntimeError for a length that is not in 1 to T.

    >>> import pydl
    >>> from pydl.nn.utils.rnn import pack_padded_sequence
    >>> padded = pydl.tensor([[1, 2, 0], [3, 4, 5]])
    >>> pack_padded_sequence(padded, [2, 3], batch_first=True, enforce_sorted=False).data.tolist()
    [3, 1, 4, 2, 5]
    """
    if input.dim() < 2:
        raise pydl.ShapeError(f"pack_padded_sequence: expected an input of at least 2 dimensions, got {input.dim()}")
    if isinstance(lengths, Tensor):
        lengths = lengths.long()  # sums of a mask of floats are taken
    lengths = _integers("pack_padded_sequence", lengths)
    batch, steps = (input.size(0), input.size(1)) if batch_first else (input.size(1), input.size(0))
    if len(lengths) != batch:
        raise pydl.ShapeError(
            f"pack_padded_sequence: expected a length for each of {batch} sequences, got {len(lengths)}")
    if not lengths:
        raise RuntimeError("pack_padded_sequence: expected at least one sequence, got none")
    for length in lengths:
        if not 1 <= length <= steps:
            raise RuntimeError(f"pack_padded_sequence: expected lengths from 1 to {steps}, got {length}")
    descending = pydl.tensor(lengths)
    order = None
    if not enforce_sorted:
        descending, order = descending.sort(descending=True, stable=True)
    elif any(a < b for a, b in zip(lengths, lengths[1:], strict=False)):
        raise RuntimeError(
            f"pack_padded_sequence: expected lengths in descending order (or enforce_sorted=False), got {lengths}")
    alive = pydl.arange(max(lengths)).unsqueeze(1) < descending
    # Rows of the padded batch as one long matrix, picked in packed order.
    step, sequence = alive.nonzero().unbind(1)
    if order is not None:
        sequence = order[sequence]
    rows = sequence * steps + step if batch_first else step * batch + sequence
    return PackedSequence(input.flatten(0, 1).index_select(0, rows), alive.sum(1), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The padded batch (T, B, ...), with `batch_first` (B, T, ...), and the lengths of a packed one, in its own order.

    T is the longest length, or `total_length`, which must not be less.

    >>> import pydl
    >>> from pydl.nn.utils.rnn import pack_sequence, pad_packed_sequence
    >>> padded, lengths = pad_packed_sequence(pack_sequence([pydl.tensor([1, 2, 3]), pydl.tensor([4])]), True, -1)
    >>> padded.tolist(), lengths.tolist()
    ([[1, 2, 3], [4, -1, -1]], [3, 1])
    """
    sizes, data = sequence.batch_sizes, sequence.data
    counts = _integers("pad_packed_sequence", sizes)
    if not counts or counts[-1] < 1 or any(a < b for a, b in zip(counts, counts[1:], strict=False)) \
            or sum(counts) != data.size(0):
        raise pydl.ShapeError("pad_packed_sequence: expected batch_sizes that are positive, never grow and add up to "
                              f"{data.size(0)} elements, got {counts}")
    steps, order = len(counts), sequence.unsorted_indices
    if total_length is not None and total_length < steps:
        raise ValueError(
            f"pad_packed_sequence: expected total_length not below the longest length {steps}, got {total_length}")
    if order is None:
        order = pydl.arange(counts[0])
    elif tuple(order.shape) != (counts[0],):
        raise pydl.ShapeError(f"pad_packed_sequence: expected a place for each of {counts[0]} sequences, got "
                              f"{list(order.shape)}")
    # Every place takes its row of the data, or the padding behind the last one.
    alive = order < sizes.unsqueeze(1)
    rows = pydl.where(alive, (sizes.cumsum(0) - sizes).unsqueeze(1) + order, data.size(0))
    if total_length is not None and total_length > steps:
        rows = pydl.cat([rows, pydl.full((total_length - steps, order.numel()), data.size(0))])
    if batch_first:
        rows = rows.t()
    padding = pydl.full((1, *data.shape[1:]), padding_value, dtype=data.dtype)
    padded = pydl.cat([data, padding]).index_select(0, rows.flatten()).unflatten(0, tuple(rows.shape))
    return padded, alive.sum(0)


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (L, ...) of different lengths as one tensor (T, B, ...), with `batch_first` (B, T, ...), T the longest,
    in the dtype of the first.

    >>> import pydl
    >>> from pydl.nn.utils.rnn import pad_sequence
    >>> pad_sequence([pydl.tensor([1, 2]), pydl.tensor([3])], batch_first=True).tolist()
    [[1, 2], [3, 0]]
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: expected an iterable of tensors, got {type(sequences).__name__}")
    sequences = list(sequences.unbind(0) if isinstance(sequences, Tensor) else sequences)
    if not sequences:
        raise RuntimeError("pad_sequence: expected at least one sequence, got none")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"pad_sequence: expected 'left' or 'right' as padding_side, got {padding_side!r}")
    first = sequences[0]
    for s in sequences:
        if s.dim() == 0 or s.shape[1:] != first.shape[1:]:
            raise pydl.ShapeError("pad_sequence: expected sequences that differ in their first size only, got "
                                  f"{list(first.shape)} and {list(s.shape)}")
    steps = max(s.size(0) for s in sequences)
    padded = []
    for s in sequences:
        s = s.to(first.dtype)
        if s.size(0) < steps:
            padding = pydl.full((steps - s.size(0), *s.shape[1:]), padding_value, dtype=s.dtype)
            s = pydl.cat([s, padding] if padding_side == "right" else [padding, s])
        padded.append(s)
    return pydl.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a batch that was padded on the right; those of a length below 0 are empty, as in PyTorch.

    >>> import pydl
    >>> from pydl.nn.utils.rnn import unpad_sequence
    >>> [s.tolist() for s in unpad_sequence(pydl.tensor([[1, 2], [3, 0]]), pydl.tensor([2, 1]), batch_first=True)]
    [[1, 2], [3]]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    counts = _integers("unpad_sequence", lengths)
    if len(counts) != padded_sequences.size(0):
        raise pydl.ShapeError(
            f"unpad_sequence: expected a length for each of {padded_sequences.size(0)} sequences, got {len(counts)}")
    return [s[:max(n, 0)] for s, n in zip(padded_sequences.unbind(0), counts, strict=True)]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs a list of sequences (L, ...), with `enforce_sorted` in descending order of length.

    >>> import pydl
    >>> from pydl.nn.utils.rnn import pack_sequence
    >>> pack_sequence([pydl.tensor([1]), pydl.tensor([2, 3])], enforce_sorted=False).data.tolist()
    [2, 1, 3]
    """
    lengths = [s.size(0) for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch, in their original order.

    >>> import pydl
    >>> from pydl.nn.utils.rnn import pack_sequence, unpack_sequence
    >>> [s.tolist() for s in unpack_sequence(pack_sequence([pydl.tensor([1, 2]), pydl.tensor([3])]))]
    [[1, 2], [3]]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def _integers(op: str, lengths: Tensor | Sequence[int]) -> list[int]:
    if isinstance(lengths, Tensor):
        if lengths.dim() != 1 or lengths.is_floating_point():
            raise RuntimeError(f"{op}: expected lengths as a vector of integers, got {lengths.dtype} "
                               f"{list(lengths.shape)}")
        return lengths.tolist()
    return [int(length) for length in lengths]

"""Vocabularies: tokens and their indices."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import pydl
from pydl import Tensor
from pydl.text import _ids
from pydl.text.checks import counted, indices_of, items_of
from pydl.text.files import read_json, write_json

__all__ = ["Vocab"]


def _listed(tokens: Iterable[str]) -> list[str]:
    if isinstance(tokens, (str, bytes)):
        raise TypeError(f"Vocab: expected lists of tokens, got {tokens!r}; a tokenizer makes them from text")
    return tokens if isinstance(tokens, list) else list(items_of("Vocab", "lists of tokens", tokens))


def _check_strings(tokens: Iterable[Any]) -> None:
    wrong = next((token for token in tokens if not isinstance(token, str)), "")
    if wrong != "":
        raise TypeError(f"Vocab: expected tokens of type str, got {wrong!r}")


class Vocab:
    """Tokens by index and indices by token: `specials` first, then by falling frequency, equals in the order of text.

    `iterator` gives lists of tokens; tokens seen less than `min_freq` times are left out, and with `max_size` all but
    the most frequent, the special tokens counted. `default` is the special token that stands for those outside the
    vocabulary; without one, looking up such a token raises KeyError that names it.

    >>> from pydl.text import Vocab
    >>> vocab = Vocab([["to", "be"], ["or", "not", "to", "be"]], specials=["<pad>", "<unk>"], default="<unk>")
    >>> vocab.tokens
    ['<pad>', '<unk>', 'be', 'to', 'not', 'or']
    >>> vocab(["to", "err"]), vocab["be"], "err" in vocab
    ([3, 1], 2, False)
    """

    def __init__(
        self,
        iterator: Iterable[Iterable[str]] = (),
        *,
        min_freq: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (),
        default: str | None = None,
    ) -> None:
        counts: Counter[str] = Counter()
        for tokens in items_of("Vocab", "lists of tokens", iterator):
            tokens = _listed(tokens)
            try:
                counts.update(tokens)
            except TypeError:  # one that cannot be a key
                _check_strings(tokens)
                raise
        self._choose(counts, min_freq, max_size, specials, default)

    def _choose(
        self,
        counts: Counter[str],
        min_freq: int,
        max_size: int | None,
        specials: Sequence[str] = (),
        default: str | None = None,
    ) -> None:
        min_freq = counted("Vocab", "min_freq", min_freq, 1)
        specials = list(items_of("Vocab", "a list of special tokens", specials))
        if max_size is not None and counted("Vocab", "max_size", max_size) < len(specials):
            raise ValueError(f"Vocab: expected max_size to hold {len(specials)} special tokens, got {max_size}")
        _check_strings(specials)
        _check_strings(counts)
        special = set(specials)
        words = [token for token, count in counts.items() if count >= min_freq and token not in special]
        words.sort(key=lambda token: (-counts[token], token))
        words = words[: None if max_size is None else max_size - len(specials)]
        self._set(list(specials) + words, default)
        self.counts: dict[str, int] = {token: counts[token] for token in self.tokens}

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], *, min_freq: int = 1, max_size: int | None = None) -> Vocab:
        """The vocabulary of tokens that were counted already."""
        if not isinstance(counts, Mapping):
            raise TypeError(f"Vocab.from_counts: expected a dictionary of tokens and counts, got {counts!r}")
        counts = {token: counted("Vocab.from_counts", "a count", count) for token, count in counts.items()}
        vocab = cls.__new__(cls)
        vocab._choose(Counter(counts), min_freq, max_size)
        return vocab

    @classmethod
    def from_tokens(cls, tokens: Iterable[str], default: str | None = None) -> Vocab:
        """The vocabulary of exactly these tokens, in this order; ValueError if one stands there twice."""
        vocab = cls()
        vocab._set(list(tokens if isinstance(tokens, str) else items_of("Vocab", "a list of tokens", tokens)), default)
        vocab.counts = dict.fromkeys(vocab.tokens, 0)
        return vocab

    def _set(self, tokens: list[str], default: str | None) -> None:
        _check_strings(tokens)
        table = {token: index for index, token in enumerate(tokens)}
        if len(table) < len(tokens):
            twice = next(token for index, token in enumerate(tokens) if table[token] != index)
            raise ValueError(f"Vocab: expected different tokens, got {twice!r} twice")
        if default is not None and not (isinstance(default, str) and default in table):
            raise ValueError(f"Vocab: expected default to be one of the tokens, got {default!r}")
        self._table, self.tokens, self.default = table, tokens, default
        self._default_index = -1 if default is None else table[default]

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    def __contains__(self, token: object) -> bool:
        return isinstance(token, str) and token in self._table

    def __getitem__(self, token: str) -> int:
        """The index of one token."""
        return self([token])[0]

    def __call__(self, tokens: Iterable[str]) -> list[int]:
        """The indices of tokens."""
        try:
            return _ids.lookup_list(self._table, _listed(tokens), self._default_index)
        except _ids.Unknown as error:
            raise self._unknown(error.args[0]) from None

    def lookup(self, tokens: Iterable[str], out: Tensor | None = None) -> Tensor:
        """The indices of tokens as an int64 Tensor [n], or in `out`, contiguous and of that size."""
        tokens = _listed(tokens)
        if out is None:
            out = pydl.empty(len(tokens), dtype=pydl.int64)
        elif not isinstance(out, Tensor):
            raise TypeError(f"Vocab.lookup: expected out to be a Tensor, got {type(out).__name__}")
        elif out.dtype != pydl.int64 or tuple(out.shape) != (len(tokens),) or not out.is_contiguous():
            raise pydl.ShapeError(
                f"Vocab.lookup: expected out to be contiguous int64 [{len(tokens)}], got {out.dtype} {list(out.shape)}"
            )
        else:
            self(tokens)  # raises before the first write
        try:
            _ids.lookup(self._table, tokens, self._default_index, out.numpy())
        except _ids.Unknown as error:
            raise self._unknown(error.args[0]) from None
        return out

    def lookup_tokens(self, indices: Iterable[int] | Tensor | np.ndarray) -> list[str]:
        """The tokens at these indices; IndexError for one outside the vocabulary."""
        found = indices_of("Vocab.lookup_tokens", indices)
        for index in found:
            if not 0 <= index < len(self.tokens):
                raise IndexError(f"Vocab.lookup_tokens: expected indices in [0, {len(self.tokens)}), got {index}")
        return [self.tokens[index] for index in found]

    def _unknown(self, token: Any) -> Exception:
        if not isinstance(token, str):
            return TypeError(f"Vocab: expected a list of tokens of type str, got {token!r} in it")
        return KeyError(f"Vocab: expected a token of the vocabulary, got {token!r}; `default` maps such tokens")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` reads them."""
        return {"tokens": self.tokens, "counts": [self.counts[t] for t in self.tokens], "default": self.default}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Vocab:
        tokens, counts = values["tokens"], values["counts"]
        if not isinstance(tokens, list) or not isinstance(counts, list) or len(counts) != len(tokens):
            raise ValueError(f"Vocab: expected lists of tokens and of as many counts, got {tokens!r} and {counts!r}")
        vocab = cls.from_tokens(tokens, values["default"])
        counts = [counted("Vocab", "a count", count) for count in counts]
        vocab.counts = dict(zip(vocab.tokens, counts, strict=True))
        return vocab

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a JSON file."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocab:
        """Reads what `save` wrote; ValueError for any other file."""
        try:
            return cls.from_dict(read_json(path))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"Vocab.load: expected a file that Vocab.save wrote, got {path} ({error})") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocab) and self.tokens == other.tokens and self.default == other.default

    def __repr__(self) -> str:
        return f"Vocab({len(self)} tokens, default={self.default!r})"

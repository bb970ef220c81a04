"""Byte-pair encoding on bytes: any text, and nothing but text, has an encoding, and decodes to itself."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pydl import Tensor
from pydl.text import _bpe
from pydl.text.checks import counted, error_handler, indices_of, items_of, pattern_of
from pydl.text.files import decoded, read_json, write_json
from pydl.text.tokenizers import Tokenizer
from pydl.text.vocab import Vocab

__all__ = ["BPETokenizer"]

FORMAT = "pydl byte-level BPE"

# Words, numbers and other signs with the space before them, English contractions, runs of white space; every character
# falls into one of them. GPT-2's pattern in the terms of `re`: a letter is a word character that is no digit.
WORDS = r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+"


def _byte_characters() -> list[str]:
    """GPT-2's visible character for each byte: itself where Latin-1 prints one, else one from 256 on."""
    printed = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printed else next(others)) for byte in range(256)]


BYTE_CHARACTERS = _byte_characters()


class BPETokenizer(Tokenizer):
    """Byte-pair encoding (Sennrich, Haddow and Birch 2016) on bytes as in GPT-2.

    A text is cut into words by `pattern`, and the UTF-8 bytes of a word are joined pair by pair in the order in which
    `train` learned the pairs. Nothing is ever outside the vocabulary, and `decode(encode(text)) == text`. Tokens are
    written in GPT-2's visible characters: "Ġ" is a space, "Ċ" a line's end. `special_tokens` have the first indices;
    `encode` gives them only with `allow_special`, else their text is text like any other.

    >>> from pydl.text import BPETokenizer
    >>> tokenizer = BPETokenizer(special_tokens=["<pad>"])
    >>> tokenizer.train(["low lower lowest, new newer newest"], vocab_size=266)
    >>> tokenizer("lowest newest")
    ['lo', 'west', 'Ġne', 'west']
    >>> tokenizer.decode(tokenizer.encode("a lower naïveté"))
    'a lower naïveté'
    """

    def __init__(
        self,
        *,
        special_tokens: Sequence[str] = (),
        pattern: str | re.Pattern[str] = WORDS,
        errors: str = "strict",
    ) -> None:
        super().__init__(errors=errors)
        self.special_tokens = list(items_of("BPETokenizer", "a list of special tokens", special_tokens))
        self.pattern = pattern_of("BPETokenizer", pattern)
        if self.pattern.groups:
            raise ValueError(f"BPETokenizer: expected a pattern without groups, got {self.pattern.groups}")
        for token in self.special_tokens:
            if not isinstance(token, str) or not token or token in BYTE_CHARACTERS:
                raise ValueError(f"BPETokenizer: expected special tokens of two or more characters, got {token!r}")
        longest_first = sorted(self.special_tokens, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._set([])

    def _set(self, merges: Sequence[tuple[int, int]]) -> None:
        pieces = [bytes([byte]) for byte in range(256)]
        for left, right in merges:
            pieces.append(pieces[left] + pieces[right])
        visible = ["".join([BYTE_CHARACTERS[byte] for byte in piece]) for piece in pieces]
        for token in set(visible).intersection(self.special_tokens):
            raise ValueError(f"BPETokenizer: expected special tokens spelled unlike the tokens learned, got {token!r}, "
                             f"as which {pieces[visible.index(token)]!r} is written")
        self.vocab: Vocab = Vocab.from_tokens([*self.special_tokens, *visible])
        self._merges = list(merges)
        self._pieces = [token.encode() for token in self.special_tokens] + pieces
        first = len(self.special_tokens)
        self._encoder = _bpe.Encoder(self._merges, list(range(first, first + len(pieces))))

    @property
    def merges(self) -> list[tuple[str, str]]:
        """The pairs in the order in which they were learned."""
        tokens = self.vocab.tokens[len(self.special_tokens) :]
        return [(tokens[left], tokens[right]) for left, right in self._merges]

    def train(self, corpus: str | bytes | Iterable[str | bytes], vocab_size: int, *, min_freq: int = 2) -> None:
        """Learns merges from texts until the vocabulary has `vocab_size` tokens or no pair occurs `min_freq` times.

        The size counts the special tokens and the 256 bytes. What was learned before is replaced. Special tokens in
        the corpus teach nothing.
        """
        name, smallest = "BPETokenizer.train", len(self.special_tokens) + 256
        vocab_size, min_freq = counted(name, "vocab_size", vocab_size, smallest), counted(name, "min_freq", min_freq, 1)
        counts: Counter[str] = Counter()
        for text in (corpus,) if isinstance(corpus, (str, bytes)) else items_of(name, "texts", corpus):
            for part, _ in self._parts(decoded(name, text, self.errors)):
                counts.update(self._words(part))
        if not counts:
            raise ValueError(f"{name}: expected a corpus with at least one character, got none")
        words = {word.encode(): count for word, count in counts.items()}
        self._set(_bpe.learn(words, vocab_size - smallest, min_freq))

    def encode(self, text: str | bytes, *, allow_special: bool = False) -> list[int]:
        """The indices of a text. With `allow_special`, special tokens in it become their own indices."""
        text = decoded("BPETokenizer.encode", text, self.errors)
        if not allow_special:
            return self._encoder.encode(self._words(text))
        indices: list[int] = []
        for part, special in self._parts(text):
            indices += self._encoder.encode(self._words(part))
            if special:
                indices.append(self.vocab[special])
        return indices

    def encode_batch(self, texts: Iterable[str | bytes], *, allow_special: bool = False) -> list[list[int]]:
        """`encode` of each text; `pydl.text.pad_sequences` makes one tensor of them."""
        texts = items_of("BPETokenizer.encode_batch", "a list of texts", texts)
        return [self.encode(text, allow_special=allow_special) for text in texts]

    def split(self, text: str) -> list[str]:
        return self.vocab.lookup_tokens(self.encode(text))

    def decode(
        self, indices: Iterable[int] | Tensor, *, skip_special: bool = False, errors: str = "replace"
    ) -> str:
        """The text of these indices, without special tokens if so asked.

        A cut sequence may end, or begin, within a character: its bytes become U+FFFD, or with `errors="strict"` raise
        UnicodeDecodeError.
        """
        found = indices_of("BPETokenizer.decode", indices)
        if found and not 0 <= min(found) <= max(found) < len(self._pieces):
            self.vocab.lookup_tokens(found)  # says which
        if skip_special:
            found = [index for index in found if index >= len(self.special_tokens)]
        error_handler("BPETokenizer.decode", errors)
        return b"".join([self._pieces[index] for index in found]).decode("utf-8", errors)

    def _words(self, text: str) -> list[str]:
        words = self.pattern.findall(text)
        if self.pattern.pattern != WORDS and sum(map(len, words)) != len(text):
            raise ValueError(f"BPETokenizer: expected a pattern that finds every character of {text[:40]!r}")
        return words

    def _parts(self, text: str) -> Iterable[tuple[str, str]]:
        """(text, the special token that ends it, or "") in order."""
        start = 0
        for match in self._special.finditer(text) if self._special else ():
            yield text[start : match.start()], match.group()
            start = match.end()
        yield text[start:], ""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes pattern, special tokens and merges to a JSON file."""
        values: dict[str, Any] = {
            "format": FORMAT,
            "version": 1,
            "pattern": self.pattern.pattern,
            "flags": self.pattern.flags,
            "special_tokens": self.special_tokens,
            "merges": self._merges,
        }
        write_json(path, values)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, errors: str = "strict") -> BPETokenizer:
        """Reads what `save` wrote; ValueError for any other file."""
        try:
            values = read_json(path)
            if values["format"] != FORMAT or values["version"] != 1:
                raise KeyError(values["format"])
            pattern = re.compile(values["pattern"], values["flags"])
            tokenizer = cls(special_tokens=values["special_tokens"], pattern=pattern, errors=errors)
            merges = [(left, right) for left, right in values["merges"]]
            for number, merge in enumerate(merges):
                if not all(isinstance(symbol, int) and 0 <= symbol < 256 + number for symbol in merge):
                    raise ValueError(f"expected merge {number} to join earlier symbols, got {merge}")
            tokenizer._set(merges)
        except (KeyError, TypeError, ValueError, re.error) as error:
            raise ValueError(f"BPETokenizer.load: expected a file of format {FORMAT!r}, got {path} ({error})") from None
        return tokenizer

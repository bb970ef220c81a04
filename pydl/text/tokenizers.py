"""Tokenizers that need no training: by white space, by a regular expression, by character."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydl import Tensor
from pydl.text.checks import error_handler, items_of, pattern_of
from pydl.text.files import decoded
from pydl.text.vocab import Vocab

__all__ = ["CharTokenizer", "RegexTokenizer", "Tokenizer", "WhitespaceTokenizer"]


class Tokenizer:
    """Text to tokens; with a vocabulary, to indices and back.

    `tokenizer(text)` gives a list of str, `encode` and `encode_batch` give indices, `decode` gives text again. A
    subclass defines `split` and, where tokens are not joined by a space, `joined`. Text may be str or UTF-8 bytes;
    malformed bytes raise a UnicodeDecodeError that names the place unless `errors` is "replace" or "ignore".

    >>> import pydl
    >>> class Fields(pydl.text.Tokenizer):
    ...     def split(self, text):
    ...         return text.split(";")
    >>> Fields()("to be;or not")
    ['to be', 'or not']
    """

    def __init__(self, vocab: Vocab | None = None, *, errors: str = "strict") -> None:
        if vocab is not None and not isinstance(vocab, Vocab):
            raise TypeError(f"{type(self).__name__}: expected vocab to be a Vocab, got {type(vocab).__name__}")
        self.vocab = vocab
        self.errors = error_handler(type(self).__name__, errors)

    def split(self, text: str) -> list[str]:
        raise NotImplementedError

    def joined(self, tokens: list[str]) -> str:
        return " ".join(tokens)

    def __call__(self, text: str | bytes) -> list[str]:
        """The tokens of a text."""
        return self.split(decoded(type(self).__name__, text, self.errors))

    def build_vocab(self, texts: Iterable[str | bytes], **options: Any) -> Vocab:
        """Makes the vocabulary of these texts this tokenizer's own and returns it. `options` are those of `Vocab`."""
        name = f"{type(self).__name__}.build_vocab"
        texts = (texts,) if isinstance(texts, (str, bytes)) else items_of(name, "texts", texts)
        vocab = Vocab(map(self, texts), **options)
        if not vocab.counts or not any(vocab.counts.values()):
            least = options.get("min_freq", 1)
            seen = f" seen min_freq={least} times" if least > 1 else ""
            raise ValueError(f"{name}: expected texts with at least one token{seen}, got none")
        self.vocab = vocab
        return vocab

    def encode(self, text: str | bytes) -> list[int]:
        """The indices of the tokens of a text; KeyError for one outside a vocabulary without a default."""
        return self._known()(self(text))

    def encode_batch(self, texts: Iterable[str | bytes]) -> list[list[int]]:
        """`encode` of each text; `pydl.text.pad_sequences` makes one tensor of them."""
        return [self.encode(text) for text in items_of(f"{type(self).__name__}.encode_batch", "a list of texts", texts)]

    def decode(self, indices: Iterable[int] | Tensor) -> str:
        """The text of these indices."""
        return self.joined(self._known().lookup_tokens(indices))

    def _known(self) -> Vocab:
        if self.vocab is None:
            raise ValueError(f"{type(self).__name__}: expected a vocabulary, got none; build_vocab(texts) makes one")
        return self.vocab


class WhitespaceTokenizer(Tokenizer):
    """Words between white space; `lowercase` folds their case. `decode` joins by one space.

    >>> from pydl.text import WhitespaceTokenizer
    >>> tokenizer = WhitespaceTokenizer(lowercase=True)
    >>> tokenizer("To be,  or not to be")
    ['to', 'be,', 'or', 'not', 'to', 'be']
    >>> _ = tokenizer.build_vocab(["To be, or not to be"])
    >>> tokenizer.encode("not to be"), tokenizer.decode([2, 0])
    ([3, 0, 1], 'be, to')
    """

    def __init__(self, vocab: Vocab | None = None, *, lowercase: bool = False, errors: str = "strict") -> None:
        super().__init__(vocab, errors=errors)
        self.lowercase = lowercase

    def split(self, text: str) -> list[str]:
        return (text.lower() if self.lowercase else text).split()


class RegexTokenizer(Tokenizer):
    r"""What a regular expression finds, by default words and single other characters that are no white space.

    The pattern has at most one group, and then the group is the token. `decode` joins by one space.

    >>> from pydl.text import RegexTokenizer
    >>> RegexTokenizer()("To be, or not?")
    ['To', 'be', ',', 'or', 'not', '?']
    >>> RegexTokenizer(r"[a-z]+", lowercase=True)("To be, or not?")
    ['to', 'be', 'or', 'not']
    """

    def __init__(
        self,
        pattern: str | re.Pattern[str] = r"\w+|[^\w\s]",
        vocab: Vocab | None = None,
        *,
        lowercase: bool = False,
        errors: str = "strict",
    ) -> None:
        super().__init__(vocab, errors=errors)
        self.pattern = pattern_of("RegexTokenizer", pattern)
        if self.pattern.groups > 1:
            raise ValueError(f"RegexTokenizer: expected a pattern with at most one group, got {self.pattern.groups}")
        self.lowercase = lowercase

    def split(self, text: str) -> list[str]:
        return self.pattern.findall(text.lower() if self.lowercase else text)


class CharTokenizer(Tokenizer):
    """Every character is a token, and `decode` gives exactly the text that was encoded.

    >>> from pydl.text import CharTokenizer
    >>> tokenizer = CharTokenizer()
    >>> _ = tokenizer.build_vocab(["to be"])
    >>> tokenizer.decode(tokenizer.encode("be to"))
    'be to'
    """

    def split(self, text: str) -> list[str]:
        return list(text)

    def joined(self, tokens: list[str]) -> str:
        return "".join(tokens)

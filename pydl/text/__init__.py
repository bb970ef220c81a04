"""Text: tokenizers, vocabularies, padding, bag of words and TF-IDF, word vectors.

Names are imported when first used, and so is the compiled code behind them.
"""

from __future__ import annotations

import importlib as _importlib
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from pydl.text.batches import BucketSampler
    from pydl.text.bpe import BPETokenizer
    from pydl.text.counts import CountVectorizer, TfidfVectorizer
    from pydl.text.files import read_lines
    from pydl.text.padding import pad_sequences
    from pydl.text.tokenizers import CharTokenizer, RegexTokenizer, Tokenizer, WhitespaceTokenizer
    from pydl.text.vocab import Vocab
    from pydl.text.word2vec import Word2Vec

_HOMES = {
    "BPETokenizer": "bpe",
    "BucketSampler": "batches",
    "CharTokenizer": "tokenizers",
    "CountVectorizer": "counts",
    "RegexTokenizer": "tokenizers",
    "TfidfVectorizer": "counts",
    "Tokenizer": "tokenizers",
    "Vocab": "vocab",
    "WhitespaceTokenizer": "tokenizers",
    "Word2Vec": "word2vec",
    "pad_sequences": "padding",
    "read_lines": "files",
}
_SUBMODULES = frozenset({*_HOMES.values(), "decoding"})

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> _Any:
    if name in _HOMES:
        value = getattr(_importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if name in _SUBMODULES:
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'pydl.text' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_SUBMODULES})

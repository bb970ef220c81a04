"""Bag of words and TF-IDF, with scikit-learn's parameters and numbers."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, cast

import numpy as np

import pydl
from pydl import Tensor
from pydl.text import _counts
from pydl.text.checks import counted, error_handler, items_of, numbered, pattern_of
from pydl.text.files import decoded
from pydl.text.vocab import Vocab

if TYPE_CHECKING:
    import re

__all__ = ["CountVectorizer", "TfidfVectorizer"]

OUTPUTS = ("tensor", "numpy", "csr")


@dataclass
class _Rows:
    """A matrix in compressed sparse rows."""

    offsets: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.offsets) - 1, self.width

    def frequency(self) -> np.ndarray:
        """In how many rows each column stands."""
        return np.bincount(self.columns, minlength=self.width)

    def chosen(self, renamed: np.ndarray, width: int) -> _Rows:
        """The matrix with column c in place renamed[c], or gone where that is negative.

        Within a row the old columns ascend: the order in which scikit-learn adds, and so its last bits.
        """
        frequency = np.where(renamed >= 0, self.frequency(), 0)
        total = int(frequency.sum())
        result = _Rows(np.empty_like(self.offsets), np.empty(total, np.int32), np.empty(total, np.int64), width)
        _counts.choose(
            self.offsets, self.columns, self.values, renamed, frequency, result.offsets, result.columns, result.values
        )
        return result

    def dense(self) -> np.ndarray:
        result = np.zeros(self.shape, self.values.dtype)
        result[np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets)), self.columns] = self.values
        return result


def _in_order(name: str, vocabulary: Mapping[str, int] | Iterable[str]) -> Iterable[str]:
    """The terms of a given vocabulary by column; those of a set, which has no order, sorted."""
    if isinstance(vocabulary, Mapping):
        without = {*range(len(vocabulary))} - {*vocabulary.values()}
        if without:
            raise ValueError(f"{name}: expected a vocabulary with a term for each of {len(vocabulary)} columns, got "
                             f"none for column {min(without)}")
        return sorted(vocabulary, key=vocabulary.__getitem__)
    vocabulary = items_of(name, "a vocabulary", vocabulary)
    return sorted(vocabulary) if isinstance(vocabulary, (set, frozenset)) else vocabulary


def _checked_words(name: str, words: Any) -> list[str]:
    """What a tokenizer of somebody's own returned, as a list."""
    words = list(items_of(name, "a list of words from tokenizer", words))
    if not {str}.issuperset(map(type, words)):  # a pass in C, as this runs for every text
        wrong = next((word for word in words if not isinstance(word, str)), "")
        if wrong != "":
            raise TypeError(f"{name}: expected words of type str from tokenizer, got {wrong!r}")
    return words


class CountVectorizer:
    r"""Texts to counts of their terms: words that `token_pattern` or `tokenizer` finds, and runs of them.

    A term is a run of `ngram_range[0]` to `ngram_range[1]` words, joined by a space; `stop_words` are left out first.
    Terms in less than `min_df` or more than `max_df` texts are dropped (a float is a share of the texts), and with
    `max_features` all but the most frequent; or `vocabulary` lists the terms, or gives each its column. The rest is
    sorted. `binary` counts every term of a text once. `transform` returns [texts, terms] as `output` says: "tensor" a
    dense Tensor, "numpy" a dense array, "csr" a sparse matrix of SciPy. Parameters and numbers are scikit-learn's.

    >>> from pydl.text import CountVectorizer
    >>> vectorizer = CountVectorizer(ngram_range=(1, 2), min_df=2)
    >>> vectorizer.fit_transform(["to be or", "not to be", "err"]).tolist()
    [[1, 1, 1], [1, 1, 1], [0, 0, 0]]
    >>> vectorizer.get_feature_names_out().tolist()
    ['be', 'to', 'to be']
    """

    def __init__(
        self,
        *,
        lowercase: bool = True,
        tokenizer: Callable[[str], list[str]] | None = None,
        stop_words: Iterable[str] | None = None,
        token_pattern: str | None = r"(?u)\b\w\w+\b",
        ngram_range: tuple[int, int] = (1, 1),
        max_df: float | int = 1.0,
        min_df: float | int = 1,
        max_features: int | None = None,
        vocabulary: Vocab | Mapping[str, int] | Iterable[str] | None = None,
        binary: bool = False,
        dtype: pydl.dtype = pydl.int64,
        output: str = "tensor",
        errors: str = "strict",
    ) -> None:
        name = type(self).__name__
        if isinstance(stop_words, str):
            raise ValueError(f"{name}: expected stop_words to be a list of words, got {stop_words!r}")
        if not (isinstance(ngram_range, (tuple, list)) and len(ngram_range) == 2):
            raise ValueError(f"{name}: expected ngram_range (a, b) with 1 <= a <= b, got {ngram_range!r}")
        low, high = (counted(name, "ngram_range", n) for n in ngram_range)
        if not 1 <= low <= high:
            raise ValueError(f"{name}: expected ngram_range (a, b) with 1 <= a <= b, got {ngram_range}")
        for option, limit in (("max_df", max_df), ("min_df", min_df)):
            if numbered(name, option, limit) < 0 or limit > 1 and not isinstance(limit, Integral):
                raise ValueError(f"{name}: expected {option} to be a share in [0, 1] or a count, got {limit}")
        if max_features is not None:
            counted(name, "max_features", max_features, 1)
        if output not in OUTPUTS:
            raise ValueError(f"{name}: expected output to be one of {', '.join(OUTPUTS)}, got {output!r}")
        self.lowercase, self.tokenizer, self.ngram_range = lowercase, tokenizer, (low, high)
        self.stop_words = None if stop_words is None else frozenset(items_of(name, "a list of stop_words", stop_words))
        if token_pattern is None and tokenizer is None:
            raise TypeError(f"{name}: expected a token_pattern or a tokenizer, got neither")
        if tokenizer is not None and not callable(tokenizer):
            raise TypeError(f"{name}: expected tokenizer to be a function, got {tokenizer!r}")
        self.token_pattern = None if token_pattern is None else pattern_of(name, token_pattern)
        if self.token_pattern is not None and self.token_pattern.groups > 1:
            raise ValueError(f"{name}: expected token_pattern with at most one group, got {self.token_pattern.groups}")
        self.max_df, self.min_df, self.max_features = max_df, min_df, max_features
        if not isinstance(dtype, pydl.dtype):
            raise TypeError(f"{name}: expected dtype to be a pydl.dtype, got {dtype!r}")
        self.binary, self.dtype, self.output, self.errors = binary, dtype, output, error_handler(name, errors)
        self._fixed = vocabulary is not None
        if not isinstance(vocabulary, Vocab) and vocabulary is not None:
            vocabulary = Vocab.from_tokens(_in_order(name, vocabulary))
        self._vocab = vocabulary
        if vocabulary is not None and len(vocabulary) == 0:
            raise ValueError(f"{name}: expected a vocabulary with at least one term, got none")

    @property
    def vocab(self) -> Vocab:
        """The terms: column j counts term j."""
        if self._vocab is None:
            raise ValueError(f"{type(self).__name__}: expected a fitted vectorizer, got one before fit(texts)")
        return self._vocab

    def get_feature_names_out(self) -> np.ndarray:
        """The terms of the columns, an array of str objects."""
        return np.array(self.vocab.tokens, dtype=object)

    def fit(self, texts: Iterable[str | bytes]) -> Any:
        """Learns the terms; returns itself."""
        self._fit(texts)
        return self

    def fit_transform(self, texts: Iterable[str | bytes]) -> Any:
        """`fit`, and `transform` of the same texts, which are read once."""
        return self._returned(self._fit(texts))

    def transform(self, texts: Iterable[str | bytes]) -> Any:
        """The matrix of these texts; terms that were not learned are not counted."""
        return self._returned(self._known(texts))

    def _returned(self, rows: _Rows) -> Any:
        rows.values = self._weighted(rows, pydl.empty(0, dtype=self.dtype).numpy().dtype)
        if self.output == "csr":
            try:
                sparse = importlib.import_module("scipy.sparse")
            except ImportError:
                raise ImportError(f"{type(self).__name__}: expected SciPy for output='csr', got none") from None
            return sparse.csr_matrix((rows.values, rows.columns, rows.offsets), shape=rows.shape)
        return pydl.from_numpy(rows.dense()) if self.output == "tensor" else rows.dense()

    def _weighted(self, rows: _Rows, dtype: np.dtype) -> np.ndarray:
        return rows.values.astype(dtype)

    def _terms(self, texts: Iterable[str | bytes]) -> Iterator[list[str]]:
        name = type(self).__name__
        # Without a tokenizer there is a pattern.
        split = cast("re.Pattern[str]", self.token_pattern).findall if self.tokenizer is None else self.tokenizer
        low, high = self.ngram_range
        for number, text in enumerate(items_of(name, "a list of texts", texts)):
            text = decoded(name, text, self.errors, place=f"text {number}, ")
            words = split(text.lower() if self.lowercase else text)
            if self.tokenizer is not None:
                words = _checked_words(name, words)
            if self.stop_words is not None:
                words = [word for word in words if word not in self.stop_words]
            yield words if high == 1 else _counts.ngrams(words, low, high)

    def _counted(self, texts: Iterable[str | bytes], table: dict[str, int], grow: bool) -> _Rows:
        offsets, columns, values = map(np.array, _counts.count(self._terms(texts), table, grow))
        rows = _Rows(offsets, columns, values, len(table))
        if self.binary:
            rows.values[:] = 1
        return rows

    def _known(self, texts: Iterable[str | bytes]) -> _Rows:
        table = {term: column for column, term in enumerate(self.vocab)}
        rows = self._counted(texts, table, False)
        return rows.chosen(np.arange(len(table), dtype=np.int32), len(table))

    def _fit(self, texts: Iterable[str | bytes]) -> _Rows:
        if self._fixed:
            return self._known(texts)
        name = type(self).__name__
        table: dict[str, int] = {}
        rows = self._counted(texts, table, True)
        if not table:
            raise ValueError(f"{name}: expected texts with at least one term, got none; are there only stop words?")
        count = rows.shape[0]
        high = self.max_df if isinstance(self.max_df, Integral) else self.max_df * count
        low = self.min_df if isinstance(self.min_df, Integral) else self.min_df * count
        if high < low:
            raise ValueError(f"{name}: expected max_df to allow as many texts as min_df, got {high:g} and {low:g}")
        terms = sorted(table)
        columns = np.array([table[term] for term in terms])
        frequency = rows.frequency()[columns]
        kept = np.flatnonzero((frequency <= high) & (frequency >= low))
        if self.max_features is not None and len(kept) > self.max_features:
            totals = np.bincount(rows.columns, rows.values, minlength=len(terms)).astype(np.int64)
            most = (-totals[columns[kept]]).argsort()[: self.max_features]  # ties fall as in scikit-learn
            kept = kept[np.sort(most)]
        if not len(kept):
            raise ValueError(f"{name}: expected a term in {low:g} to {high:g} texts, got none")
        self._vocab = Vocab.from_tokens([terms[i] for i in kept])
        renamed = np.full(len(terms), -1, np.int32)
        renamed[columns[kept]] = np.arange(len(kept))
        return rows.chosen(renamed, len(kept))


class TfidfVectorizer(CountVectorizer):
    """Texts to counts of their terms, weighted by how few texts have them.

    The count, or 1 + log(count) with `sublinear_tf`, is multiplied by idf = log(n / df) + 1, where df of the n texts
    have the term; `smooth_idf` adds one to both, as if one text more had every term. Then each row is divided by its
    `norm`, "l2" or "l1", or left (None). Without `use_idf` the idf is 1. The other parameters are CountVectorizer's.

    >>> from pydl.text import TfidfVectorizer
    >>> vectorizer = TfidfVectorizer(norm="l1")
    >>> vectorizer.fit_transform(["to be", "to be", "or not", "not to"]).round(decimals=3).tolist()[0]
    [0.553, 0.0, 0.0, 0.447]
    >>> vectorizer.idf.shape
    pydl.Size([4])
    """

    def __init__(
        self,
        *,
        norm: str | None = "l2",
        use_idf: bool = True,
        smooth_idf: bool = True,
        sublinear_tf: bool = False,
        dtype: pydl.dtype = pydl.float64,
        **options: Any,
    ) -> None:
        super().__init__(dtype=dtype, **options)
        if norm not in ("l1", "l2", None):
            raise ValueError(f"TfidfVectorizer: expected norm to be l1, l2 or None, got {norm!r}")
        if dtype not in (pydl.float32, pydl.float64):
            raise ValueError(f"TfidfVectorizer: expected dtype float32 or float64, got {dtype}")
        self.norm, self.use_idf, self.smooth_idf, self.sublinear_tf = norm, use_idf, smooth_idf, sublinear_tf
        self._idf: np.ndarray | None = None

    @property
    def idf(self) -> Tensor:
        """The weight of each term: float [terms]."""
        if self._idf is None:
            raise ValueError("TfidfVectorizer: expected a vectorizer fitted with use_idf, got one without weights")
        return pydl.from_numpy(self._idf.copy())

    def transform(self, texts: Iterable[str | bytes]) -> Any:
        if self.use_idf and self._idf is None:
            raise ValueError("TfidfVectorizer: expected a fitted vectorizer, got one before fit(texts)")
        return super().transform(texts)

    def _fit(self, texts: Iterable[str | bytes]) -> _Rows:
        rows = super()._fit(texts)
        if self.use_idf:
            count = rows.shape[0] + int(self.smooth_idf)
            frequency = rows.frequency().astype(pydl.empty(0, dtype=self.dtype).numpy().dtype) + int(self.smooth_idf)
            if frequency.size and frequency.min() == 0:
                term = self.vocab.tokens[int(frequency.argmin())]
                raise ValueError(f"TfidfVectorizer: expected {term!r} in a text where smooth_idf=False, got it in none")
            self._idf = np.log(np.full_like(frequency, count) / frequency) + 1
        return rows

    def _weighted(self, rows: _Rows, dtype: np.dtype) -> np.ndarray:
        values = rows.values.astype(dtype)
        if self.sublinear_tf:
            values = np.log(values) + 1
        if self._idf is not None:
            values *= self._idf[rows.columns]
        if self.norm is not None:
            _counts.normalize(rows.offsets, values, self.norm == "l2")
        return values

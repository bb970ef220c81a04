"""Word vectors: skip-gram and continuous bag of words with negative sampling."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import pydl
from pydl import Tensor, _core
from pydl.text import _word2vec
from pydl.text.checks import counted, items_of, numbered
from pydl.text.vocab import Vocab

__all__ = ["Progress", "Word2Vec"]

CHUNK = 10_000  # words of the corpus that a thread trains on in one go, at one learning rate


@dataclass(frozen=True)
class Progress:
    """Where a training stands; `words` and `total` count the corpus once an epoch, words outside the vocabulary not."""

    epoch: int  # from 1 on
    words: int
    total: int
    seconds: float
    learning_rate: float
    loss: float  # of one prediction, over what was trained since the last report

    @property
    def words_per_second(self) -> float:
        return self.words / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class _Options:
    vector_size: int
    window: int
    algorithm: str
    negative: int
    exponent: float
    sample: float
    min_count: int
    max_size: int | None
    learning_rate: float
    min_learning_rate: float
    epochs: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("vector_size", "min_count", "epochs"):
            _checked(name, getattr(self, name), 1, 2**31 - 1)
        for name in ("window", "negative"):
            _checked(name, getattr(self, name), 1, CHUNK)
        if self.max_size is not None:
            _checked("max_size", self.max_size, 1, 2**31 - 1)
        _checked("seed", self.seed, 0, 2**63 - 1)
        for name in ("learning_rate", "min_learning_rate", "sample", "exponent"):
            numbered("Word2Vec", name, getattr(self, name))
        if self.algorithm not in ("skip-gram", "cbow"):
            raise ValueError(f"Word2Vec: expected algorithm to be skip-gram or cbow, got {self.algorithm!r}")
        if not 0 <= self.min_learning_rate <= self.learning_rate < float("inf"):
            raise ValueError(
                "Word2Vec: expected 0 <= min_learning_rate <= learning_rate, "
                f"got {self.min_learning_rate} and {self.learning_rate}"
            )
        for name, value in (("sample", self.sample), ("exponent", self.exponent)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"Word2Vec: expected {name} to be at least 0, got {value}")


def _checked(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"Word2Vec: expected {name} to be an integer from {low} to {high}, got {value!r}")
    return value


class Word2Vec:
    """Word vectors from the words around them (Mikolov et al. 2013a, b).

    For each word, "skip-gram" finds the word from each vector around it and "cbow" from their mean, against `negative`
    words drawn with the frequency to the power `exponent`. The window is drawn anew for each word, from 1 to `window`
    words to either side. Words more frequent than `sample` of the corpus are left out now and then, those seen less
    than `min_count` times always. The learning rate falls linearly to `min_learning_rate`.

    `workers` threads train without the GIL and write the vectors without locks: with one, a seed gives the same bits
    every time on the same kind of processor; with more, the one exception in pydl, it does not.

    >>> from pydl.text import Word2Vec
    >>> sentences = [["the", "cat", "sat"], ["the", "dog", "sat"], ["a", "cat", "ran"], ["a", "dog", "ran"]] * 100
    >>> model = Word2Vec(vector_size=16, window=2, epochs=20, sample=0).fit(sentences)
    >>> model.most_similar("cat", topn=1)[0][0]
    'dog'
    >>> model.vectors.shape, model["cat"].dtype
    (pydl.Size([6, 16]), pydl.float32)
    """

    def __init__(
        self,
        vector_size: int = 100,
        *,
        window: int = 5,
        algorithm: str = "skip-gram",
        negative: int = 5,
        exponent: float = 0.75,
        sample: float = 1e-3,
        min_count: int = 5,
        max_size: int | None = None,
        learning_rate: float = 0.025,
        min_learning_rate: float = 1e-4,
        epochs: int = 5,
        workers: int = 1,
        seed: int = 0,
    ) -> None:
        self.options = _Options(
            vector_size, window, algorithm, negative, exponent, sample, min_count, max_size, learning_rate,
            min_learning_rate, epochs, seed,
        )  # fmt: skip
        self.workers = _checked("workers", workers, 1, 4096)
        self._vocab: Vocab | None = None

    def fit(
        self, sentences: Iterable[Iterable[str]], progress: Callable[[Progress], object] | None = None
    ) -> Word2Vec:
        """Learns vocabulary and vectors from lists of tokens, which are read once; returns itself.

        No window reaches over the end of a sentence; one of more than 10,000 words is cut there. `progress` is called
        in the calling thread every now and then; an exception in it ends the training.
        """
        options = self.options
        words, starts, vocab = _indexed(sentences, options)
        generator = pydl.Generator().manual_seed(options.seed)
        padded = -(-options.vector_size // 16) * 16
        inputs, outputs = pydl.zeros(len(vocab), padded), pydl.zeros(len(vocab), padded)
        inputs[:, : options.vector_size].uniform_(-1, 1, generator=generator).div_(options.vector_size)  # as gensim
        counts = np.fromiter(vocab.counts.values(), np.float64, len(vocab))
        threshold, alias = np.empty(len(vocab), np.uint32), np.empty(len(vocab), np.int32)
        _word2vec.alias_table(counts**options.exponent, threshold, alias)
        trainer = _word2vec.Trainer(
            inputs.numpy(), outputs.numpy(), words, starts, _kept(counts, options.sample), threshold, alias,
            options.window, options.negative, options.algorithm == "cbow", _core.build_info()["isa"],
        )  # fmt: skip
        _Run(trainer, starts, options, self.workers, progress).run()
        self._set(vocab, inputs[:, : options.vector_size].clone(), outputs[:, : options.vector_size].clone())
        return self

    def _set(self, vocab: Vocab, vectors: Tensor, outputs: Tensor) -> None:
        self._vocab, self._vectors, self._outputs = vocab, vectors, outputs
        self._directions = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-30)

    def _trained(self, name: str) -> Any:
        if self._vocab is None:
            raise ValueError("Word2Vec: expected a trained model, got one before fit(sentences)")
        return getattr(self, name)

    @property
    def vocab(self) -> Vocab:
        """The words, the most frequent first, and their counts in the corpus."""
        return self._trained("_vocab")

    @property
    def vectors(self) -> Tensor:
        """float32 [words, vector_size], in the order of `vocab`."""
        return self._trained("_vectors")

    @property
    def output_vectors(self) -> Tensor:
        """float32 [words, vector_size]: what words to be found are scored with."""
        return self._trained("_outputs")

    def __getitem__(self, word: str) -> Tensor:
        """The vector of a word; KeyError for one outside the vocabulary."""
        return self.vectors[self.vocab[word]]

    def __contains__(self, word: object) -> bool:
        return word in self.vocab

    def similarity(self, a: str, b: str) -> float:
        """The cosine of the angle between the vectors of two words."""
        first, second = self.vocab([a, b])
        return float((self._directions[first] * self._directions[second]).sum().item())

    def most_similar(
        self,
        positive: str | Tensor | Iterable[str | Tensor],
        negative: str | Tensor | Iterable[str | Tensor] = (),
        topn: int = 10,
    ) -> list[tuple[str, float]]:
        """The words nearest by cosine to a sum of words and vectors [vector_size] less the `negative` ones; the vectors
        of words count with length 1.

        The words asked for are not among the answers: `most_similar(["king", "woman"], ["man"])`.
        """
        counted("Word2Vec.most_similar", "topn", topn)
        plus, minus = (
            [given] if isinstance(given, (str, Tensor)) else list(items_of("Word2Vec.most_similar", "words", given))
            for given in (positive, negative)
        )
        if not plus and not minus:
            raise ValueError("Word2Vec.most_similar: expected at least one word, got none")
        asked = [self.vocab[item] for item in plus + minus if not isinstance(item, Tensor)]
        signs = pydl.tensor([1.0] * len(plus) + [-1.0] * len(minus))
        target = signs @ pydl.stack([self._direction(item) for item in plus + minus])
        scores = self._directions @ (target / target.norm().clamp(min=1e-30))
        values, found = scores.topk(min(topn + len(set(asked)), len(self.vocab)))
        pairs = zip(found.tolist(), values.tolist())
        return [(self.vocab.tokens[i], value) for i, value in pairs if i not in asked][:topn]

    def _direction(self, item: str | Tensor) -> Tensor:
        """The direction of a word, or a vector as it is."""
        if not isinstance(item, Tensor):
            return self._directions[self.vocab[item]]
        if tuple(item.shape) != (self.options.vector_size,):
            raise pydl.ShapeError(
                f"Word2Vec.most_similar: expected a vector [{self.options.vector_size}], got {list(item.shape)}"
            )
        if not bool(item.isfinite().all()):
            raise ValueError(f"Word2Vec.most_similar: expected a vector of finite numbers, got {item.tolist()}")
        return item.to(pydl.float32)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a safetensors file: vectors and output_vectors; vocabulary and options as JSON in its metadata."""
        about = json.dumps({"vocab": self.vocab.to_dict(), "options": asdict(self.options)}, ensure_ascii=False)
        pydl.save({"vectors": self._vectors, "output_vectors": self._outputs, "word2vec": about}, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Word2Vec:
        """Reads what `save` wrote; ValueError for any other file."""
        values: Any = pydl.load(path)
        if not isinstance(values, dict) or values.keys() != {"vectors", "output_vectors", "word2vec"}:
            raise ValueError(f"Word2Vec.load: expected a file that Word2Vec.save wrote, got {path}")
        vectors = values["vectors"], values["output_vectors"]
        try:
            about = json.loads(values["word2vec"])
            model, vocab = cls(**about["options"]), Vocab.from_dict(about["vocab"])
            shape = (len(vocab), model.options.vector_size)
            if any(not isinstance(v, Tensor) or v.dtype != pydl.float32 or tuple(v.shape) != shape for v in vectors):
                raise ValueError(f"expected vectors of float32 {list(shape)}")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"Word2Vec.load: expected a file that Word2Vec.save wrote, got {path} ({error})") from None
        model._set(vocab, *vectors)
        return model


def _indexed(sentences: Iterable[Iterable[str]], options: _Options) -> tuple[np.ndarray, np.ndarray, Vocab]:
    """(the words of the vocabulary in the corpus, where sentences of at most CHUNK words begin, the vocabulary)."""
    if isinstance(sentences, (str, bytes)):
        raise TypeError("Word2Vec.fit: expected sentences as lists of tokens, got one text; a tokenizer makes them")
    tokens, *arrays = _word2vec.index(items_of("Word2Vec.fit", "sentences as lists of tokens", sentences))
    counts, words, starts = (np.array(array) for array in arrays)
    if len(words) == 0:
        raise ValueError("Word2Vec.fit: expected sentences with at least one token, got none")
    vocab = Vocab.from_counts(dict(zip(tokens, counts.tolist())), min_freq=options.min_count, max_size=options.max_size)
    if len(vocab) == 0:
        raise ValueError(
            f"Word2Vec.fit: expected tokens seen min_count={options.min_count} times, got {counts.max()} at most"
        )
    number = np.full(len(tokens), -1, np.int32)
    for index, token in enumerate(tokens):
        if token in vocab:
            number[index] = vocab[token]
    words = number[words]
    known = words >= 0
    starts = np.concatenate([[0], np.cumsum(known)])[starts]
    cuts = np.concatenate([np.arange(a, b, CHUNK) for a, b in zip(starts, starts[1:]) if b - a > CHUNK] or [starts[:0]])
    return words[known], np.union1d(starts, cuts).astype(np.int64), vocab


def _kept(counts: np.ndarray, sample: float) -> np.ndarray:
    """Of 2^32, how many times a word is kept, as in the original program."""
    if sample == 0:
        return np.full(len(counts), 0xFFFFFFFF, np.uint32)
    expected = sample * counts.sum() / counts
    return np.minimum((np.sqrt(1 / expected) + 1) * expected * 2**32, 0xFFFFFFFF).astype(np.uint32)


class _Run:
    """One training: hands chunks of sentences to the threads, of which the caller's is one, and reports."""

    def __init__(self, trainer: Any, starts: np.ndarray, options: _Options, workers: int, progress: Any) -> None:
        self.trainer, self.options, self.workers, self.progress = trainer, options, workers, progress
        per_epoch = int(starts[-1])
        ends = np.searchsorted(starts, np.arange(CHUNK, per_epoch + CHUNK, CHUNK), side="right") - 1
        self.edges = np.unique(np.concatenate([[0], ends, [len(starts) - 1]])).tolist()
        self.words = starts[self.edges].tolist()
        self.chunks = len(self.edges) - 1
        self.total = per_epoch * options.epochs
        self.lock = threading.Lock()
        self.next = iter(range(self.chunks * options.epochs))
        self.loss, self.predictions, self.done, self.reported = 0.0, 0, 0, 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        self.begin = time.perf_counter()
        threads = [threading.Thread(target=self.work, args=(False,), daemon=True) for _ in range(self.workers - 1)]
        for thread in threads:
            thread.start()
        self.work(True)
        for thread in threads:
            thread.join()
        if self.failure is None and self.progress is not None and self.reported < self.total:
            self.report(self.options.epochs, self.options.min_learning_rate)  # others did the last pieces, or all
        if self.failure is not None:
            raise self.failure

    def pieces(self) -> Iterator[int]:
        """Chunks that no other thread has taken, until one has failed."""
        while self.failure is None:
            with self.lock:
                piece = next(self.next, None)
            if piece is None:
                return
            yield piece

    def work(self, reports: bool) -> None:
        options = self.options
        try:
            for piece in self.pieces():
                epoch, chunk = divmod(piece, self.chunks)
                share = (epoch * self.words[-1] + self.words[chunk]) / self.total
                rate = options.learning_rate + (options.min_learning_rate - options.learning_rate) * share
                stream = hashlib.blake2b(f"{options.seed} {piece}".encode(), digest_size=8).digest()
                seed = int.from_bytes(stream, "little")
                loss, predictions = self.trainer.train(self.edges[chunk], self.edges[chunk + 1], rate, seed)
                with self.lock:
                    self.loss += loss
                    self.predictions += predictions
                    self.done += self.words[chunk + 1] - self.words[chunk]
                if reports and self.progress is not None:
                    self.report(epoch + 1, rate)
        except BaseException as error:  # raised again in the caller's thread
            self.failure = error

    def report(self, epoch: int, rate: float) -> None:
        with self.lock:
            loss, self.loss = self.loss / max(self.predictions, 1), 0.0
            self.predictions = 0
            done = self.reported = self.done
        self.progress(Progress(epoch, done, self.total, time.perf_counter() - self.begin, rate, loss))

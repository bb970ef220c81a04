"""Text: word vectors against gensim, TF-IDF against scikit-learn, byte-pair encoding against tokenizers.

The corpus is made up: sentences about one of some topics, words as frequent as Zipf's law has it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

import pydl
from pydl.bench.case import Bar, Case, Group, Statement
from pydl.bench.libraries import library

TOPICS, WORDS, LENGTH = 40, 6000, 12
SIZE, EPOCHS = 100, 2


@lru_cache
def corpus(sentences: int, seed: int) -> list[list[str]]:
    """Two words in three are of the sentence's topic."""
    rng = np.random.default_rng(seed)
    words = np.minimum(rng.zipf(1.3, (sentences, LENGTH)), WORDS) - 1
    about = rng.integers(0, TOPICS, (sentences, 1))
    words = np.where(rng.random(words.shape) < 2 / 3, words // TOPICS * TOPICS + about, words)
    return [[f"word{number}" for number in row] for row in words]


@lru_cache
def texts() -> list[str]:
    return [" ".join(sentence) for sentence in corpus(4000, 0)]


def told_apart(inputs: np.ndarray, outputs: np.ndarray, index: dict[str, int]) -> float:
    """How often two neighbours in a held-out sentence score higher than shuffled ones: the quality of word vectors."""
    known = [[index[word] for word in sentence if word in index] for sentence in corpus(1000, 1)]
    words, others = np.array([pair for sentence in known for pair in zip(sentence, sentence[1:])]).T
    shuffled = np.random.default_rng(0).permutation(others)
    true, false = ((inputs[words] * outputs[them]).sum(1) for them in (others, shuffled))
    return float((true > false).mean())


def ours(algorithm: str, workers: int) -> Statement:
    def train() -> Any:
        model = pydl.text.Word2Vec(SIZE, algorithm=algorithm, epochs=EPOCHS, workers=workers)
        return model.fit(corpus(6000, 0))

    def quality(model: Any) -> float:
        index = {word: number for number, word in enumerate(model.vocab)}
        return told_apart(model.vectors.numpy(), model.output_vectors.numpy(), index)

    return Statement("train()", {"train": train, "quality": quality}, "quality(train())")


def gensim(algorithm: str, workers: int) -> Statement | None:
    peer = library("gensim")
    if peer is None:
        return None

    def train() -> Any:
        sg = int(algorithm == "skip-gram")
        return peer.models.Word2Vec(corpus(6000, 0), vector_size=SIZE, sg=sg, epochs=EPOCHS, workers=workers)

    def quality(model: Any) -> float:
        return told_apart(model.wv.vectors, model.syn1neg, model.wv.key_to_index)

    return Statement("train()", {"train": train, "quality": quality}, "quality(train())")


def word2vec(algorithm: str, workers: int) -> Case:
    suffix = "" if workers == 1 else f", {workers} workers"
    setups: dict[str, Callable[[], Statement | None]] = {
        "pydl": partial(ours, algorithm, workers),
        "gensim": partial(gensim, algorithm, workers),
    }
    return Case(f"Word2Vec {algorithm}{suffix}", setups=setups, tolerance=0.03)


def tfidf(name: str) -> Statement | None:
    if library("scipy") is None or library("sklearn") is None and name == "sklearn":
        return None
    options: dict[str, Any] = {"ngram_range": (1, 2), "sublinear_tf": True}
    if name == "pydl":
        vectorizer: Any = pydl.text.TfidfVectorizer(**options, output="csr")
    else:
        vectorizer = importlib.import_module("sklearn.feature_extraction.text").TfidfVectorizer(**options)
    names = {"fit": vectorizer.fit_transform, "texts": texts()}
    return Statement("fit(texts)", names, "[(m.data, m.indices, m.indptr) for m in [fit(texts)]]")


def encoding(name: str) -> Statement | None:
    tokenizer = pydl.text.BPETokenizer()
    tokenizer.train(texts()[::2], 1000)
    if name == "pydl":
        return Statement("encode(texts)", {"encode": tokenizer.encode_batch, "texts": texts()})
    tokenizers = library("tokenizers")
    if tokenizers is None:
        return None
    ids = {token: index for index, token in enumerate(tokenizer.vocab)}
    peer = tokenizers.Tokenizer(tokenizers.models.BPE(ids, tokenizer.merges))
    peer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return Statement("[e.ids for e in encode(texts)]", {"encode": peer.encode_batch, "texts": texts()})


GROUPS = [
    Group(
        "text",
        "Text: training word vectors, TF-IDF, byte-pair encoding",
        [
            word2vec("skip-gram", 1),
            word2vec("cbow", 1),
            *([word2vec("skip-gram", pydl.get_num_threads())] if pydl.get_num_threads() > 1 else []),
            Case("TF-IDF, words and pairs", setups={n: partial(tfidf, n) for n in ("pydl", "sklearn")}, tolerance=0),
            Case("byte-pair encoding", setups={n: partial(encoding, n) for n in ("pydl", "tokenizers")}, tolerance=0),
        ],
        (
            Bar("each", 1.2, against=("gensim",), note="words a second at equal quality"),
            Bar("each", 1.0, against=("sklearn", "tokenizers")),
        ),
    )
]

"""Learns word vectors from a text and shows which words stand near each other.

    pip install pydl-engine
    python examples/word2vec.py DATA                        # 10 epochs of skip-gram
    python examples/word2vec.py DATA --words king love      # the neighbours of these words
    python examples/word2vec.py DATA --peer gensim          # then the same in gensim, with as many threads

DATA is a text file in UTF-8, plain or compressed by gzip, such as tinyshakespeare.txt or multi30k/train.en.gz. Its
paragraphs are the sentences, or its lines where no line is empty; every twentieth is held out.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pydl.text import RegexTokenizer, Vocab, Word2Vec, read_lines

Sentences = list[list[str]]


@dataclass
class Trained:
    """Vectors from either library, and how long they took: reading the sentences and counting included."""

    name: str
    model: Any
    seconds: float
    inputs: np.ndarray
    outputs: np.ndarray
    index: dict[str, int]


def read(file: Path) -> tuple[Sentences, Sentences]:
    """(sentences to learn from, sentences held out)"""
    lines = list(read_lines(file))
    separator = "\n\n" if "" in lines else "\n"
    tokenizer = RegexTokenizer(r"[^\W\d_]+(?:'[^\W\d_]+)?", lowercase=True)
    sentences = [tokenizer(part) for part in "\n".join(lines).split(separator)]
    return [s for i, s in enumerate(sentences) if i % 20], sentences[::20]


def train(sentences: Sentences, options: argparse.Namespace) -> Trained:
    begin = time.perf_counter()
    model = Word2Vec(
        options.size, window=options.window, algorithm=options.algorithm, negative=options.negative,
        min_count=options.min_count, epochs=options.epochs, workers=options.workers, seed=options.seed,
    )  # fmt: skip
    with tqdm(desc="pydl", unit="word", unit_scale=True) as bar:

        def show(progress: Any) -> None:
            bar.total = progress.total
            bar.set_postfix(epoch=progress.epoch, loss=f"{progress.loss:.3f}", refresh=False)
            bar.update(progress.words - bar.n)

        model.fit(sentences, show)
    seconds = time.perf_counter() - begin
    index = {word: i for i, word in enumerate(model.vocab)}
    return Trained("pydl", model, seconds, model.vectors.numpy(), model.output_vectors.numpy(), index)


def train_gensim(sentences: Sentences, options: argparse.Namespace) -> Trained:
    from gensim.models import Word2Vec as Peer

    begin = time.perf_counter()
    model = Peer(
        sentences, vector_size=options.size, window=options.window, sg=int(options.algorithm == "skip-gram"),
        negative=options.negative, min_count=options.min_count, epochs=options.epochs, workers=options.workers,
        seed=options.seed,
    )  # fmt: skip
    seconds = time.perf_counter() - begin
    return Trained("gensim", model.wv, seconds, model.wv.vectors, model.syn1neg, model.wv.key_to_index)


def told_apart(run: Trained, sentences: Sentences) -> float:
    """How often the score of two words that stand side by side, or one apart, in a held-out sentence is higher than
    that of the first and the second of another such pair."""
    known = [[run.index[word] for word in sentence if word in run.index] for sentence in sentences]
    pairs = np.array([(s[i], s[j]) for s in known for i in range(len(s)) for j in range(i + 1, min(i + 3, len(s)))])
    words, others = pairs.T
    shuffled = np.random.default_rng(0).permutation(others)
    true, false = ((run.inputs[words] * run.outputs[them]).sum(1) for them in (others, shuffled))
    return float((true > false).mean())


def asked(options: argparse.Namespace, vocab: Vocab) -> list[str]:
    """The words on the command line, or some that are frequent but carry a meaning."""
    unknown = [word for word in options.words or () if word not in vocab]
    if unknown:
        raise SystemExit(f"not among the {len(vocab)} words that occur {options.min_count} times: {', '.join(unknown)}")
    return options.words or [word for word in vocab.tokens[60:] if len(word) > 3][:96:12]


def report(run: Trained, sentences: Sentences, held_out: Sentences, words: list[str], epochs: int) -> float:
    """Prints what a run came to; returns its words a second."""
    speed = epochs * sum(map(len, sentences)) / run.seconds
    print(f"\n{run.name}: {run.seconds:.1f} s, {speed:,.0f} words a second; ", end="")
    print(f"held-out pairs told from shuffled ones: {told_apart(run, held_out):.2%}")
    for word in words:
        near = ", ".join(f"{other} {score:.2f}" for other, score in run.model.most_similar(word, topn=6))
        print(f"  {word:>12}: {near}")
    return speed


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, metavar="DATA", help="text file")
    parser.add_argument("--words", nargs="+", help="show the neighbours of these")
    parser.add_argument("--algorithm", choices=["skip-gram", "cbow"], default="skip-gram")
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--window", type=int, default=5)
    parser.add_argument("--negative", type=int, default=5)
    parser.add_argument("--min-count", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1, help="more than one: other bits every time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peer", choices=["gensim"], help="train the same in this library too")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the vectors to a safetensors file")
    options = parser.parse_args()

    sentences, held_out = read(options.data)
    print(f"{len(sentences)} sentences, {sum(map(len, sentences))} words to learn from; {len(held_out)} held out")
    ours = train(sentences, options)
    words = asked(options, ours.model.vocab)
    speed = report(ours, sentences, held_out, words, options.epochs)
    if options.save:
        ours.model.save(options.save)
        print(f"wrote {options.save}")
    if options.peer:
        theirs = report(train_gensim(sentences, options), sentences, held_out, words, options.epochs)
        print(f"\npydl trains {speed / theirs:.2f} times as many words a second as {options.peer}")


if __name__ == "__main__":
    main()

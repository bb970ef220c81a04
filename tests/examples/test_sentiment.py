"""examples/sentiment.py on sentences whose verdict one word gives away."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

VERDICTS = {"neg": ("dull", "stale", "awful"), "pos": ("fine", "fresh", "moving")}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for name, verdicts in VERDICTS.items():
        lines = []
        for _ in range(60):
            words = list(generator.choice(["a", "the", "film", "plot", "and", "of"], generator.integers(1, 8)))
            words.insert(generator.integers(len(words) + 1), generator.choice(verdicts))
            lines.append(" ".join(words))
        (tmp_path / f"rt-polarity.{name}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("kind", ["cnn", "rnn", "attention"])
def test_network_learns_as_in_torch(examples, data, torch_or_fail, kind):
    sentiment = examples("sentiment")
    corpus = sentiment.Corpus.read(data)
    options = argparse.Namespace(epochs=2, batches=0, dropout=0.0, word_dropout=0.1, peer="torch")
    runs = sentiment.train_from(0, kind, corpus, options)
    assert runs["pydl"].losses[1] < runs["pydl"].losses[0]
    np.testing.assert_allclose(runs["pydl"].losses, runs["torch"].losses, rtol=1e-3)
    assert runs["pydl"].dev == runs["torch"].dev


def test_parts_share_no_sentence_and_ratios_know_the_verdicts(examples, data):
    corpus = examples("sentiment").Corpus.read(data)
    assert {part: len(rows) for part, rows in corpus.rows.items()} == {"train": 96, "dev": 12, "test": 12}
    assert all(sum(label for *_, label in rows) * 2 == len(rows) for rows in corpus.rows.values())
    words, _, label = next(row for row in corpus.rows["train"] if row[2] == 1)
    assert label == 1 and corpus.ratios[words].max() > 1


def test_program_reports(program, data):
    printed = program("sentiment", data, "--model", "cnn", "--seeds", 2, "--epochs", 2)
    assert "cnn: test accuracy" in printed

"""examples/translate.py on a language whose words stand in reverse order."""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
import pytest

import pydl

SMALL = {"WIDTH": 32, "FEEDFORWARD": 64, "LAYERS": 1, "BATCH": 16}
WORDS = {"dog": "hund", "man": "mann", "red": "rot", "runs": "rennt", "sees": "sieht", "tree": "baum"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for part, count in (("train", 64), ("val", 8), ("test_2016_flickr", 6)):
        chosen = [list(generator.choice(list(WORDS), generator.integers(2, 6))) for _ in range(count)]
        sides = {"en": chosen, "de": [[WORDS[word] for word in reversed(sentence)] for sentence in chosen]}
        for language, sentences in sides.items():
            with gzip.open(tmp_path / f"{part}.{language}.gz", "wt", encoding="utf-8") as file:
                file.write("".join(" ".join(sentence).capitalize() + ".\n" for sentence in sentences))
    return tmp_path


def options_for(model: str, score: str) -> argparse.Namespace:
    return argparse.Namespace(model=model, score=score, dropout=0.0, seed=0, batches=0, epochs=2, learning_rate=1e-2)


@pytest.mark.parametrize(
    "model, score", [("transformer", "dot"), ("rnn", "dot"), ("rnn", "general"), ("rnn", "concat")]
)
def test_network_learns_as_in_torch(examples, data, torch_or_fail, model, score):
    translate = examples("translate", **SMALL)
    corpus = translate.Corpus.read(data, 300)
    options = options_for(model, score)
    pydl.manual_seed(0)
    network = translate.build_network(pydl, 300, options)
    twin = translate.build_network(torch_or_fail, 300, options)
    start = {key: torch_or_fail.from_numpy(value.numpy().copy()) for key, value in network.state_dict().items()}
    twin.load_state_dict(start)
    ours, average = translate.train(pydl, network, corpus, 2, options)
    theirs, _ = translate.train(torch_or_fail, twin, corpus, 2, options)
    assert ours.losses[1] < ours.losses[0]
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-3)
    np.testing.assert_allclose(ours.val_losses, theirs.val_losses, rtol=1e-3)

    weights = translate.attended(average, pydl.tensor([[5, 6, 7, translate.END]]), pydl.tensor([[translate.BEGIN, 9]]))
    np.testing.assert_allclose(weights.sum(1), np.ones(2), rtol=1e-5)


def test_program_translates(program, data):
    pytest.importorskip("sacrebleu")
    options = "--epochs", 30, "--vocabulary", 300, "--dropout", 0, "--learning-rate", 1e-2
    printed = program("translate", data, *options, **SMALL)
    assert float(printed.rpartition("BLEU = ")[2].split()[0]) > 20, printed

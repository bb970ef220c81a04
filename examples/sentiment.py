"""Tells favourable sentences about films from unfavourable ones: a convolutional, a recurrent and an attention network.

    pip install 'pydl-engine[examples]'
    python examples/sentiment.py DATA                              # the three networks, each from three seeds
    python examples/sentiment.py DATA --model cnn --peer torch     # then the same network and batches in PyTorch

DATA is a folder with rt-polarity.pos and rt-polarity.neg, one sentence a line. No word vectors come from elsewhere: a
word and a pair of neighbouring words begin as how much oftener the training sentences that praise have them (the
log-count ratio of Wang and Manning 2012) beside random numbers, and are learnt on from there.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from comparison import figure, label_epochs, parser_of, twin_of, weights_of
from tqdm import tqdm

import pydl
from pydl.text import Vocab, pad_sequences, read_lines
from pydl.utils.data import DataLoader

MODELS = ("cnn", "rnn", "attention")
WIDTH = 64  # numbers a word
FILTERS, SPANS = 64, (1, 2, 3, 4)
BATCH = 50
PAD, UNKNOWN = 0, 1
Row = tuple[list[int], list[int], int]  # words, pairs (number i is of words i - 1 and i), label


@dataclass
class Corpus:
    """Sentences, parted once for all seeds, by label: a tenth to test, a tenth to choose by, the rest to learn from."""

    rows: dict[str, list[Row]]
    ratios: np.ndarray  # log-count ratio of each term, from the sentences to learn from

    @classmethod
    def read(cls, place: Path) -> Corpus:
        parts: dict[str, list[tuple[list[str], list[str], int]]] = {"train": [], "dev": [], "test": []}
        for label, name in enumerate(("rt-polarity.neg", "rt-polarity.pos")):
            sentences = [line.split() for line in read_lines(place / name)]
            order = np.random.default_rng(0).permutation(len(sentences))
            tenth = max(1, len(order) // 10)
            cuts = {"train": order[: -2 * tenth], "dev": order[-2 * tenth : -tenth], "test": order[-tenth:]}
            for part, chosen in cuts.items():
                parts[part] += [(sentences[i], pairs_of(sentences[i]), label) for i in chosen]
        counts = [
            Counter(term for words, pairs, of in parts["train"] if of == label for term in {*words, *pairs})
            for label in (0, 1)
        ]
        terms = [list(dict.fromkeys(words + pairs)) for words, pairs, _ in parts["train"]]
        vocab = Vocab(terms, min_freq=2, specials=["<pad>", "<unk>"], default="<unk>")
        found = np.array([[1 + count[term] for term in vocab.tokens] for count in counts], np.float32)
        ratios = np.log(found[1] / found[1].sum()) - np.log(found[0] / found[0].sum())
        ratios[[PAD, UNKNOWN]] = 0
        rows = {part: [(vocab(words), vocab(pairs), label) for words, pairs, label in parts[part]] for part in parts}
        return cls(rows, ratios)

    def batches(self, part: str, generator: pydl.Generator | None = None, dropped: float = 0.0) -> DataLoader:
        """Batches (terms of shape [sentences, 2, longest], labels), shuffled and with some terms made unknown if given
        a generator."""

        def collate(rows: list[Row]) -> tuple[pydl.Tensor, pydl.Tensor]:
            longest = max(max(SPANS), *(len(words) for words, _, _ in rows))
            padded = [pad_sequences(column, length=longest, value=PAD)[0] for column in list(zip(*rows))[:2]]
            terms = pydl.stack(padded, 1)
            if generator:
                hidden = pydl.rand(terms.shape, generator=generator) < dropped
                terms = terms.masked_fill(hidden & (terms != PAD), UNKNOWN)
            return terms, pydl.tensor([label for _, _, label in rows])

        shuffle = generator is not None
        return DataLoader(self.rows[part], BATCH, shuffle=shuffle, collate_fn=collate, generator=generator)


def pairs_of(words: list[str]) -> list[str]:
    return [f"{a} {b}" for a, b in zip(["^", *words], words)]


def build_network(lib: Any, kind: str, ratios: np.ndarray, dropout: float) -> Any:
    """The network in pydl or in PyTorch: their modules have the same names and arguments."""
    nn, functional = lib.nn, lib.nn.functional

    class Convolutional(nn.Module):
        """Kim 2014: filters over spans of words, and of each the largest answer and the mean."""

        def __init__(self) -> None:
            super().__init__()
            self.filters = nn.ModuleList([nn.Conv1d(WIDTH, FILTERS, span) for span in SPANS])
            self.width = FILTERS * len(SPANS)

        def forward(self, x: Any, padding: Any) -> Any:
            x = x.transpose(1, 2)
            return lib.cat([functional.relu(filters(x)).amax(2) for filters in self.filters], 1)

    class Recurrent(nn.Module):
        """A bidirectional LSTM, the mean over its states."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True, bidirectional=True)
            self.width = 2 * WIDTH

        def forward(self, x: Any, padding: Any) -> Any:
            lengths = (~padding).sum(1)
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            states, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
            return states.sum(1) / lengths.unsqueeze(1)

    class Attention(nn.Module):
        """One layer of self-attention, then the mean of the words."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, dropout, batch_first=True, norm_first=True)
            self.width = WIDTH

        def forward(self, x: Any, padding: Any) -> Any:
            x = self.layer(x, src_key_padding_mask=padding).masked_fill(padding.unsqueeze(2), 0.0)
            return x.sum(1) / (~padding).sum(1, keepdim=True)

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.terms = nn.Embedding(len(ratios), WIDTH, padding_idx=PAD)
            self.body = {"cnn": Convolutional, "rnn": Recurrent, "attention": Attention}[kind]()
            self.dropout = nn.Dropout(dropout)
            self.out = nn.Linear(self.body.width, 2)
            with lib.no_grad():
                self.terms.weight.mul_(0.1)
                self.terms.weight[:, 0] = lib.from_numpy(ratios)

        def forward(self, terms: Any) -> Any:
            x = self.dropout(self.terms(terms).sum(1))
            return self.out(self.dropout(self.body(x, terms[:, 0] == PAD)))

    return Classifier()


@dataclass
class Run:
    """One training: an epoch's loss and accuracy on the sentences for choosing; on the test, where that was best."""

    losses: list[float] = field(default_factory=list)
    dev: list[float] = field(default_factory=list)
    test: float = 0.0
    seconds: float = 0.0


def train(lib: Any, network: Any, corpus: Corpus, options: argparse.Namespace, seed: int) -> Run:
    """Adam; what is judged is the running average of the weights. One seed gives both libraries the same batches."""
    share = (lambda x: x) if lib is pydl else (lambda x: lib.from_numpy(x.numpy()))
    batches = corpus.batches("train", pydl.Generator().manual_seed(seed), options.word_dropout)
    steps = min(len(batches), options.batches or len(batches))
    optimizer = lib.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
    averaging = lib.optim.swa_utils
    average = averaging.AveragedModel(network, avg_fn=averaging.get_ema_avg_fn(0.995))
    run = Run()
    for epoch in range(1, options.epochs + 1):
        network.train()
        total, begin = 0.0, time.perf_counter()
        with tqdm(zip(range(steps), batches), f"{lib.__name__} {epoch}/{options.epochs}", steps, unit="step") as bar:
            for _, (terms, labels) in bar:
                optimizer.zero_grad()
                loss = lib.nn.functional.cross_entropy(network(share(terms)), share(labels))
                loss.backward()
                optimizer.step()
                average.update_parameters(network)
                total += loss.item()
        run.seconds += time.perf_counter() - begin
        run.losses.append(total / steps)
        run.dev.append(accuracy(lib, average, corpus.batches("dev"), share))
        if run.dev[-1] == max(run.dev):
            run.test = accuracy(lib, average, corpus.batches("test"), share)
    return run


def accuracy(lib: Any, network: Any, batches: DataLoader, share: Any) -> float:
    network.eval()
    with lib.no_grad():
        right = [(network(share(terms)).argmax(1) == share(labels)).sum().item() for terms, labels in batches]
    return sum(right) / len(batches.dataset)


def train_from(seed: int, kind: str, corpus: Corpus, options: argparse.Namespace) -> dict[str, Run]:
    pydl.manual_seed(seed)
    network = build_network(pydl, kind, corpus.ratios, options.dropout)
    start = weights_of(network)
    runs = {"pydl": train(pydl, network, corpus, options, seed)}
    if options.peer:
        peer, twin = twin_of(
            options.peer, lambda lib: build_network(lib, kind, corpus.ratios, options.dropout), start, seed
        )
        runs[options.peer] = train(peer, twin, corpus, options, seed)
    for name, run in runs.items():
        print(
            f"{kind}, seed {seed}, {name}: {run.seconds:.1f} s, losses {' '.join(f'{x:.3f}' for x in run.losses)}, "
            f"dev {max(run.dev):.2%}, test {run.test:.2%}"
        )
    return runs


def plot(found: dict[str, list[Run]], file: Path) -> None:
    with figure(file, 1, 2, figsize=(10, 4)) as (losses, accuracies):
        for color, (kind, runs) in zip(("tab:blue", "tab:orange", "tab:green"), found.items()):
            for seed, run in enumerate(runs):
                epochs = range(1, len(run.losses) + 1)
                label = kind if seed == 0 else None
                losses.plot(epochs, run.losses, color=color, marker=".", label=label)
                accuracies.plot(epochs, [100 * x for x in run.dev], color=color, marker=".", label=label)
        label_epochs(losses, ylabel="cross-entropy", title="Loss in training")
        label_epochs(accuracies, ylabel="%", title="Accuracy on the sentences for choosing")


def main() -> None:
    parser = parser_of(__doc__, "folder with rt-polarity.pos and rt-polarity.neg", "sentiment.png")
    parser.add_argument("--model", choices=[*MODELS, "all"], default="all")
    parser.add_argument("--seeds", type=int, default=3, help="how many trainings of each network (default: 3)")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--dropout", type=float, default=0.5, help="share of numbers dropped (default: 0.5)")
    parser.add_argument("--word-dropout", type=float, default=0.2, help="share of words made unknown (default: 0.2)")
    parser.add_argument("--batches", type=int, default=0, help="only so many batches an epoch: a quick look")
    options = parser.parse_args()

    corpus = Corpus.read(options.data)
    sizes = {part: len(rows) for part, rows in corpus.rows.items()}
    print(f"{sizes['train']} sentences to learn from, {sizes['dev']} to choose by, {sizes['test']} held out")
    found = {}
    for kind in MODELS if options.model == "all" else [options.model]:
        runs = [train_from(seed, kind, corpus, options) for seed in range(options.seed, options.seed + options.seeds)]
        found[kind] = [run["pydl"] for run in runs]
        if options.peer:
            ours, theirs = ([run[name] for run in runs] for name in ("pydl", options.peer))
            ratio = sum(run.seconds for run in ours) / sum(run.seconds for run in theirs)
            print(f"{kind}: pydl takes {ratio:.2f} of {options.peer}'s time")
    plot(found, options.plot)
    for kind, runs in found.items():
        accuracies = [run.test for run in runs]
        speed = sum(len(run.losses) for run in runs) * sizes["train"] / sum(run.seconds for run in runs)
        print(
            f"{kind}: test accuracy {statistics.mean(accuracies):.2%} (mean of {len(runs)}: "
            f"{', '.join(f'{a:.2%}' for a in accuracies)}), {speed:,.0f} sentences a second"
        )


if __name__ == "__main__":
    main()

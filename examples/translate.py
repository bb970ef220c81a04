"""Translates descriptions of photographs from English to German, by a Transformer or by an LSTM that attends.

    pip install 'pydl-engine[examples]'
    python examples/translate.py DATA                              # the Transformer
    python examples/translate.py DATA --model rnn --score concat   # encoder and decoder of LSTMs, additive attention
    python examples/translate.py DATA --peer torch                 # then the same network and batches in PyTorch

DATA is the folder of Multi30k: {train,val,test_2016_flickr}.{en,de}.gz, one sentence a line.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from comparison import compare_epochs, figure, label_epochs, parser_of, twin_of, weights_of
from tqdm import tqdm

import pydl
from pydl.text import BPETokenizer, BucketSampler, pad_sequences, read_lines
from pydl.text.decoding import beam_search
from pydl.utils.data import DataLoader

WIDTH, HEADS, LAYERS, FEEDFORWARD = 256, 4, 3, 512
PAD, BEGIN, END = 0, 1, 2
BATCH = 32  # sentences: about 500 tokens of each language
BEAMS, LONGEST = 5, 60
SNAPSHOTS = 6  # of the weights, averaged at the end: the last ones of four an epoch


@dataclass
class Corpus:
    """Sentences as indices of byte pairs, learnt from both languages together, which share names and stems."""

    tokenizer: BPETokenizer
    pairs: dict[str, list[tuple[list[int], list[int]]]]
    references: list[str]

    @classmethod
    def read(cls, place: Path, size: int) -> Corpus:
        parts = ("train", "val", "test_2016_flickr")
        text = {
            part: [[" " + line.strip() for line in read_lines(place / f"{part}.{of}.gz")] for of in ("en", "de")]
            for part in parts
        }
        tokenizer = BPETokenizer(special_tokens=["<pad>", "<s>", "</s>"])
        tokenizer.train(text["train"][0] + text["train"][1], size)
        pairs = {part: list(zip(*map(tokenizer.encode_batch, text[part]))) for part in parts}
        return cls(tokenizer, pairs, [line.strip() for line in text["test_2016_flickr"][1]])

    def batches(self, part: str, generator: pydl.Generator | None = None) -> DataLoader:
        """Batches (source, target) of int64 [sentences, longest], sentences of like length together; in random order
        if given a generator."""
        pairs = self.pairs[part]
        lengths = [100 * len(target) + len(source) for source, target in pairs]
        sampler = BucketSampler(lengths, BATCH, shuffle=generator is not None, generator=generator)
        return DataLoader(pairs, batch_sampler=sampler, collate_fn=collate)


def collate(pairs: list[tuple[list[int], list[int]]]) -> tuple[pydl.Tensor, pydl.Tensor]:
    source, _ = pad_sequences([source + [END] for source, _ in pairs], value=PAD)
    target, _ = pad_sequences([[BEGIN, *target, END] for _, target in pairs], value=PAD)
    return source, target


def build_network(lib: Any, size: int, options: argparse.Namespace) -> Any:
    """The network in pydl or in PyTorch: `encode` a source, `decode` a known target to logits, or, in pydl, one token
    after another by `steps`. One matrix embeds both languages and scores the next token."""
    nn, functional = lib.nn, lib.nn.functional
    positional, attention = (nn.PositionalEncoding, nn.Attention) if lib is pydl else stand_ins(lib)

    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(size, WIDTH, padding_idx=PAD)
            nn.init.normal_(self.tokens.weight, std=WIDTH**-0.5)
            self.dropout = nn.Dropout(options.dropout)

        def forward(self, source: Any, target: Any) -> Any:
            memory, state = self.encode(source)
            return self.decode(target, memory, source == PAD, state)

    class Transformer(Translator):
        def __init__(self) -> None:
            super().__init__()
            self.positions = positional(WIDTH)
            self.transformer = nn.Transformer(
                WIDTH, HEADS, LAYERS, LAYERS, FEEDFORWARD, options.dropout, batch_first=True, norm_first=True
            )

        def embed(self, tokens: Any, offset: int = 0) -> Any:
            return self.dropout(self.positions(self.tokens(tokens) * math.sqrt(WIDTH), offset))

        def encode(self, source: Any) -> Any:
            return self.transformer.encoder(self.embed(source), src_key_padding_mask=source == PAD), None

        def decode(self, target: Any, memory: Any, padding: Any, state: Any) -> Any:
            causal = nn.Transformer.generate_square_subsequent_mask(target.size(1))
            x = self.transformer.decoder(
                self.embed(target), memory, tgt_mask=causal, memory_key_padding_mask=padding, tgt_is_causal=True
            )
            return functional.linear(x, self.tokens.weight)

        def steps(self, memory: Any, padding: Any, state: Any) -> Any:
            caches = [nn.KeyValueCache(block=16) for _ in range(LAYERS)]

            def step(tokens: Any, rows: Any) -> Any:
                for cache in caches:
                    cache.reorder(rows)
                x = self.embed(tokens.unsqueeze(1), len(caches[0]))
                x = self.transformer.decoder(x, memory, memory_key_padding_mask=padding, caches=caches)
                return functional.linear(x[:, 0], self.tokens.weight), lib.arange(len(rows))

            return step, lib.arange(len(memory) // BEAMS), 0

    class Recurrent(Translator):
        """Luong, Pham and Manning 2015: the decoder's state asks the encoder's states, and both give the word."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.LSTM(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)
            self.decoder = nn.LSTM(WIDTH, WIDTH, batch_first=True)
            self.attention = attention(WIDTH, WIDTH, score=options.score)
            self.mix = nn.Linear(2 * WIDTH, WIDTH, bias=False)

        def embed(self, tokens: Any) -> Any:
            return self.dropout(self.tokens(tokens) * math.sqrt(WIDTH))

        def encode(self, source: Any) -> Any:
            lengths = (source != PAD).sum(1)
            x = nn.utils.rnn.pack_padded_sequence(self.embed(source), lengths, batch_first=True, enforce_sorted=False)
            states, last = self.encoder(x)
            memory, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
            state = tuple(lib.cat([forward, backward], 1).unsqueeze(0) for forward, backward in last)
            return self.dropout(memory), state

        def decode(self, target: Any, memory: Any, padding: Any, state: Any) -> Any:
            return self.attend(self.decoder(self.embed(target), state)[0], memory, padding)

        def attend(self, asked: Any, memory: Any, padding: Any) -> Any:
            found, _ = self.attention(asked, memory, key_padding_mask=padding)
            x = lib.tanh(self.mix(lib.cat([found, asked], 2)))
            return functional.linear(self.dropout(x), self.tokens.weight)

        def steps(self, memory: Any, padding: Any, state: Any) -> Any:
            def step(tokens: Any, state: Any) -> Any:
                asked, state = self.decoder(self.embed(tokens.unsqueeze(1)), state)
                return self.attend(asked, memory, padding)[:, 0], state

            return step, state, 1

    return Transformer() if options.model == "transformer" else Recurrent()


def stand_ins(lib: Any) -> tuple[Any, Any]:
    """PyTorch has no modules for sinusoidal positions or for attention of one head scored three ways: plain ones."""
    nn, functional = lib.nn, lib.nn.functional

    class PositionalEncoding(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            angles = lib.arange(512).unsqueeze(1) * lib.exp(lib.arange(0, width, 2) * (-math.log(10000.0) / width))
            table = lib.stack([angles.sin(), angles.cos()], 2).flatten(1)
            self.register_buffer("table", table, persistent=False)

        def forward(self, x: Any, offset: int = 0) -> Any:
            return x + self.table[offset : offset + x.size(1)]

    class Attention(nn.Module):
        def __init__(self, queries: int, keys: int, score: str) -> None:
            super().__init__()
            if score == "general":
                self.proj = nn.Linear(keys, queries, bias=False)
            elif score == "concat":
                self.query_proj, self.key_proj = nn.Linear(queries, queries, bias=False), nn.Linear(keys, queries)
                self.score_proj = nn.Linear(queries, 1, bias=False)
            self.score = score

        def forward(self, query: Any, key: Any, key_padding_mask: Any) -> Any:
            if self.score == "concat":
                sums = self.query_proj(query).unsqueeze(2) + self.key_proj(key).unsqueeze(1)
                scores = self.score_proj(lib.tanh(sums)).squeeze(3)
            else:
                scores = query @ (self.proj(key) if self.score == "general" else key).transpose(1, 2)
            weights = functional.softmax(scores.masked_fill(key_padding_mask.unsqueeze(1), -math.inf), 2)
            return weights @ key, weights

    return PositionalEncoding, Attention


@dataclass
class History:
    """What one library's run came to, a number an epoch."""

    losses: list[float] = field(default_factory=list)
    val_losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    tokens: int = 0  # of German, all epochs


def train(lib: Any, network: Any, corpus: Corpus, epochs: int, options: argparse.Namespace) -> tuple[History, Any]:
    """Runs the first `epochs` of the schedule, on the same batches for one seed; returns the averaged network too."""
    share: Callable[[Any], Any] = (lambda x: x) if lib is pydl else (lambda x: lib.from_numpy(x.numpy()))
    batches, vals = corpus.batches("train", pydl.Generator().manual_seed(options.seed)), corpus.batches("val")
    steps = min(len(batches), options.batches or len(batches))
    optimizer = lib.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=1e-4)
    schedule = lib.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=options.epochs * steps + 1, pct_start=0.15, cycle_momentum=False,
        final_div_factor=4,
    )  # fmt: skip
    average = lib.optim.swa_utils.AveragedModel(network)
    history = History()
    left, interval = epochs * steps, max(1, steps // 4)
    for epoch in range(1, epochs + 1):
        network.train()
        total, begin = 0.0, time.perf_counter()
        with tqdm(zip(range(steps), batches), f"{lib.__name__} {epoch}/{epochs}", steps, unit="step") as bar:
            for _, (source, target) in bar:
                optimizer.zero_grad()
                loss = loss_of(lib, network, share(source), share(target), label_smoothing=0.1)
                loss.backward()
                lib.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                left -= 1
                if left < SNAPSHOTS * interval and left % interval == 0:
                    average.update_parameters(network)
                total += loss.item()
                history.tokens += target.numel()
                bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        history.seconds.append(time.perf_counter() - begin)
        history.losses.append(total / steps)
        history.val_losses.append(validate(lib, network, ((share(s), share(t)) for s, t in vals)))
        print(
            f"{lib.__name__} epoch {epoch}: {history.seconds[-1]:.1f} s, loss {history.losses[-1]:.3f}, "
            f"validation loss {history.val_losses[-1]:.3f}"
        )
    return history, average.module


def loss_of(lib: Any, network: Any, source: Any, target: Any, **options: Any) -> Any:
    """Cross-entropy of each next token given those before it."""
    logits = network(source, target[:, :-1]).flatten(0, 1)
    return lib.nn.functional.cross_entropy(logits, target[:, 1:].flatten(), ignore_index=PAD, **options)


def validate(lib: Any, network: Any, batches: Iterable[tuple[Any, Any]]) -> float:
    """Cross-entropy a token, without smoothing."""
    network.eval()
    total = tokens = 0
    with lib.no_grad():
        for source, target in batches:
            total += loss_of(lib, network, source, target, reduction="sum").item()
            tokens += (target[:, 1:] != PAD).sum().item()
    return total / tokens


@pydl.no_grad()
def translate(network: Any, corpus: Corpus, part: str) -> list[str]:
    """The likeliest translation that a search with BEAMS open ones finds, of each sentence."""
    network.eval()
    sources = [source + [END] for source, _ in corpus.pairs[part]]
    found = [""] * len(sources)
    for rows in tqdm(BucketSampler([len(source) for source in sources], BATCH, shuffle=False), "translating"):
        source, _ = pad_sequences([sources[row] for row in rows], value=PAD)
        memory, state = network.encode(source)
        memory, padding = (x.repeat_interleave(BEAMS, 0) for x in (memory, source == PAD))
        step, state, dim = network.steps(memory, padding, state)
        begin = pydl.full((len(rows),), BEGIN)
        tokens, _ = beam_search(
            step, begin, state, beams=BEAMS, max_length=LONGEST, end=END, length_penalty=1.0, state_dim=dim
        )
        for row, sentence in zip(rows, tokens[:, 0]):
            found[row] = corpus.tokenizer.decode(sentence, skip_special=True).strip()
    return found


@pydl.no_grad()
def attended(network: Any, source: pydl.Tensor, target: pydl.Tensor) -> np.ndarray:
    """How much each token of the target, [target, source], looks at each of the source: the last layer's mean head."""
    seen: list[np.ndarray] = []

    def look(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if output[1] is None:  # the fused operator keeps no weights: ask again for them
            output = module.forward(*args[:4], need_weights=True)  # query, key, value, padding
        seen.append(output[1][0].numpy())

    layers = network.transformer.decoder.layers if hasattr(network, "transformer") else None
    layer = layers[-1].multihead_attn if layers else network.attention
    hook = layer.register_forward_hook(look, with_kwargs=True)
    network(source, target)
    hook.remove()
    return seen[-1]


def plot(network: Any, corpus: Corpus, history: History, sentence: int, translation: str, file: Path) -> None:
    """The losses, and the attention of one translated sentence of the test."""
    source = [*corpus.pairs["test_2016_flickr"][sentence][0], END]
    target = [BEGIN, *corpus.tokenizer.encode(" " + translation)]
    weights = attended(network, pydl.tensor([source]), pydl.tensor([target]))
    words = [[corpus.tokenizer.decode([token]).strip() for token in side] for side in (source, [*target[1:], END])]
    epochs = range(1, len(history.losses) + 1)
    with figure(file, 1, 2, figsize=(12, 5), width_ratios=(2, 3)) as (losses, matrix):
        losses.plot(epochs, history.losses, marker=".", label="training (smoothed labels, dropout)")
        losses.plot(epochs, history.val_losses, marker=".", linestyle="--", label="validation")
        label_epochs(losses, ylabel="cross-entropy a token", title="Loss")
        matrix.imshow(weights, cmap="viridis", aspect="auto")
        matrix.set_xticks(range(len(words[0])), words[0], rotation=60, ha="right")
        matrix.set_yticks(range(len(words[1])), words[1])
        matrix.set(title="Attention of each German token to the English ones")


def main() -> None:
    parser = parser_of(__doc__, "folder with train.en.gz and the others", "translate.png")
    parser.add_argument("--model", choices=["transformer", "rnn"], default="transformer")
    parser.add_argument("--score", choices=["dot", "general", "concat"], default="general", help="how the LSTM attends")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--learning-rate", type=float, default=8e-4, help="the highest of the schedule (default: 8e-4)")
    parser.add_argument("--dropout", type=float, default=0.15)
    parser.add_argument("--vocabulary", type=int, default=6000, help="tokens, bytes included (default: 6000)")
    parser.add_argument("--peer-epochs", type=int, default=1, help="how many epochs of the schedule (default: 1)")
    parser.add_argument("--batches", type=int, default=0, help="only so many batches an epoch: a quick look")
    options = parser.parse_args()

    corpus = Corpus.read(options.data, options.vocabulary)
    pydl.manual_seed(options.seed)
    network = build_network(pydl, len(corpus.tokenizer.vocab), options)
    start = weights_of(network)
    parameters = sum(p.numel() for p in network.parameters())
    print(
        f"{len(corpus.pairs['train'])} pairs of sentences, {len(corpus.tokenizer.vocab)} tokens; "
        f"{parameters / 1e6:.2f} M parameters"
    )
    ours, average = train(pydl, network, corpus, options.epochs, options)
    speed = ours.tokens / sum(ours.seconds)

    if options.peer:
        size = len(corpus.tokenizer.vocab)
        peer, twin = twin_of(options.peer, lambda lib: build_network(lib, size, options), start, options.seed)
        theirs, _ = train(peer, twin, corpus, min(options.peer_epochs, options.epochs), options)
        columns = {"loss": ("losses", ".3f"), "validation": ("val_losses", ".3f"), "seconds": ("seconds", ".1f")}
        compare_epochs({"pydl": ours, options.peer: theirs}, columns)

    begin = time.perf_counter()
    translations = translate(average, corpus, "test_2016_flickr")
    taken = time.perf_counter() - begin
    sources = [corpus.tokenizer.decode(source).strip() for source, _ in corpus.pairs["test_2016_flickr"]]
    for source, translation, reference in list(zip(sources, translations, corpus.references))[:5]:
        print(f"\n  {source}\n  {translation}\n  ({reference})")
    from sacrebleu import corpus_bleu

    print(
        f"trained {sum(ours.seconds):.0f} s, {speed:,.0f} German tokens a second; "
        f"{len(translations) / taken:.0f} sentences translated a second\n"
        f"{corpus_bleu(translations, [corpus.references])}"
    )
    plot(average, corpus, ours, 1, translations[1], options.plot)


if __name__ == "__main__":
    main()

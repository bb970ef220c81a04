"""Teaches a recurrent network to write, character by character, and lets it write.

    pip install 'pydl-engine[examples]'
    python examples/char_rnn.py tinyshakespeare.txt                # an LSTM; --cell GRU for a GRU
    python examples/char_rnn.py tinyshakespeare.txt --peer torch   # then the same network and batches in PyTorch

DATA is a text file. Its last tenth is held out: the network reads it once, from its beginning to its end.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
import writing
from comparison import Run

import pydl
from pydl.text.decoding import sample

EMBEDDING, UNITS = 64, 512
STREAMS, SPAN = 32, 64  # places of the text that are read side by side, and characters between two updates
LEARNING_RATE, WARM_UP, CLIP = 8e-3, 0.1, 1.0


def build_network(lib: Any, cell: str, characters: int, units: int) -> Any:
    """The network in pydl or in PyTorch: their modules have the same names and arguments."""
    nn = lib.nn

    class CharacterRNN(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(characters, EMBEDDING)
            self.recurrent = getattr(nn, cell)(EMBEDDING, units)
            self.output = nn.Linear(units, characters)

        def forward(self, codes: Any, state: Any = None) -> tuple[Any, Any]:
            """Codes (span, streams) to the logits of the characters that follow, and the state after the last."""
            outputs, state = self.recurrent(self.embedding(codes), state)
            return self.output(outputs), state

    return CharacterRNN()


def spans_of(codes: np.ndarray, streams: int, span: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(inputs, targets) of shape (span, streams): the text once, as `streams` pieces that are read side by side."""
    length = (len(codes) - 1) // streams
    inputs, targets = (codes[shift : shift + streams * length].reshape(streams, length).T for shift in (0, 1))
    for start in range(0, length, span):
        yield np.ascontiguousarray(inputs[start : start + span]), np.ascontiguousarray(targets[start : start + span])


def batches(codes: np.ndarray, seed: int) -> Iterator[tuple[bool, np.ndarray, np.ndarray]]:
    """Epoch after epoch, each cut at other places; the first value tells whether the text begins anew."""
    generator = np.random.default_rng(seed)
    while True:
        for place, (inputs, targets) in enumerate(spans_of(codes[generator.integers(SPAN) :], STREAMS, SPAN)):
            yield place == 0, inputs, targets


def detach(state: Any) -> Any:
    """The state as a start, through which nothing is differentiated."""
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


def train(lib: Any, network: Any, codes: np.ndarray, steps: int, options: argparse.Namespace) -> Run:
    """Runs the first `steps` of the schedule: truncated backpropagation, the state carried on from span to span."""
    optimizer = lib.optim.AdamW(network.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99))
    schedule = lib.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=options.steps + 1, pct_start=WARM_UP, cycle_momentum=False
    )
    network.train()
    run, state = Run(), None
    for anew, inputs, targets in run.steps(lib.__name__, batches(codes, options.seed), steps):
        logits, state = network(lib.from_numpy(inputs), None if anew else state)
        state = detach(state)
        loss = lib.nn.functional.cross_entropy(logits.flatten(0, 1), lib.from_numpy(targets).flatten())
        optimizer.zero_grad()
        loss.backward()
        lib.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        run.losses.append(loss.item())
    return run


def evaluate(lib: Any, network: Any, codes: np.ndarray, first: int) -> float:
    """Mean loss in nats over codes[first:], read as 16 equal pieces side by side."""
    network.eval()
    total, count, state = 0.0, 0, None
    with lib.no_grad():
        for inputs, targets in spans_of(codes[first - 1 :], 16, 256):
            logits, state = network(lib.from_numpy(inputs), state)
            targets = lib.from_numpy(targets).flatten()
            total += lib.nn.functional.cross_entropy(logits.flatten(0, 1), targets, reduction="sum").item()
            count += len(targets)
    return total / count


def write(network: Any, code: int, count: int, temperature: float) -> np.ndarray:
    """`count` characters, each drawn from what the network expects after `code` and those before it."""
    network.eval()

    def step(codes: pydl.Tensor, state: Any) -> tuple[pydl.Tensor, Any]:
        logits, state = network(codes.unsqueeze(0), state)
        return logits[0], state

    return sample(step, pydl.tensor([code]), max_length=count, temperature=temperature)[0].numpy()


def main() -> None:
    parser = writing.writers_parser(__doc__, steps=2000, peer_steps=300, plot="char_rnn.png")
    parser.add_argument("--cell", choices=["LSTM", "GRU"], default="LSTM")
    parser.add_argument("--units", type=int, default=UNITS)
    options = parser.parse_args()

    def build(lib: Any, characters: int) -> Any:
        return build_network(lib, options.cell, characters, options.units)

    writing.run(options, STREAMS * SPAN, build, train, evaluate, write)


if __name__ == "__main__":
    main()

"""Teaches a small GPT to write, character by character, and lets it write with a cache of keys and values.

    pip install 'pydl-engine[examples]'
    python examples/gpt.py tinyshakespeare.txt
    python examples/gpt.py tinyshakespeare.txt --peer torch   # then the same network and batches in PyTorch

DATA is a text file. Its last tenth is held out and judged whole, every character from at least half a context.
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

LAYERS, WIDTH, HEADS = 4, 128, 4
CONTEXT, BATCH = 128, 16
LEARNING_RATE, WEIGHT_DECAY, WARM_UP, CLIP = 8e-3, 0.1, 0.1, 1.0


def build_network(lib: Any, characters: int) -> Any:
    """The network in pydl or in PyTorch: their modules have the same names and arguments."""
    nn, functional = lib.nn, lib.nn.functional

    class Block(nn.Module):
        """Attention, then a perceptron, each added to what came in (Radford et al. 2019).

        Queries and keys are normalized (Henry et al. 2020) and the activation is squared (So et al. 2021): fewer steps.
        """

        def __init__(self) -> None:
            super().__init__()
            self.attention_norm, self.perceptron_norm = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
            self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
            self.attended = nn.Linear(WIDTH, WIDTH, bias=False)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

        def forward(self, x: Any, rotation: tuple[Any, Any], cache: Any) -> Any:
            batch, length, _ = x.shape
            heads = self.queries_keys_values(self.attention_norm(x)).view(batch, length, 3, HEADS, -1)
            queries_keys, values = heads[:, :, :2].permute(2, 0, 3, 1, 4), heads[:, :, 2].transpose(1, 2)
            queries, keys = rotate(functional.rms_norm(queries_keys, (WIDTH // HEADS,)), *rotation)
            if cache is not None:
                keys, values = (past[:, :, -CONTEXT:] for past in cache.append(keys, values))
            y = functional.scaled_dot_product_attention(queries, keys, values, is_causal=length > 1)
            x = x + self.attended(y.transpose(1, 2).reshape(batch, length, WIDTH))
            return x + self.down(functional.relu(self.up(self.perceptron_norm(x))).square())

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.characters = nn.Embedding(characters, WIDTH)
            self.pairs = nn.Embedding(characters**2, WIDTH)
            self.blocks = nn.ModuleList([Block() for _ in range(LAYERS)])
            self.norm = nn.RMSNorm(WIDTH)
            self.output = nn.Linear(WIDTH, characters, bias=False)
            for block in self.blocks:  # in the beginning each block passes on what came in
                nn.init.zeros_(block.attended.weight)
                nn.init.zeros_(block.down.weight)

        def forward(self, codes: Any, caches: Any = None) -> Any:
            """Codes (batch, 1 + length) to logits (batch, length, characters) of what follows all but the first.

            A character enters with the one before it, which attention would otherwise have to find first. The first
            code is only such a one before; `caches`, one a block, hold what else came before.
            """
            before, codes = codes[:, :-1], codes[:, 1:]
            rotation = rotation_of(lib, len(caches[0]) if caches else 0, codes.shape[1])
            x = self.characters(codes) + self.pairs(before * characters + codes)
            for place, block in enumerate(self.blocks):
                x = block(x, rotation, caches[place] if caches else None)
            return self.output(self.norm(x))

    return GPT()


def rotation_of(lib: Any, position: int, length: int) -> tuple[Any, Any]:
    """Cosines and sines (length, size of a head) of rotary positions (Su et al. 2021)."""
    frequencies = 1e4 ** -np.linspace(0, 1, WIDTH // HEADS // 2, endpoint=False)
    angles = np.outer(np.arange(position, position + length), frequencies).astype(np.float32)
    cosines, sines = np.cos(angles), np.sin(angles)
    return lib.from_numpy(np.concatenate([cosines, cosines], 1)), lib.from_numpy(np.concatenate([-sines, sines], 1))


def rotate(heads: Any, cosines: Any, sines: Any) -> Any:
    """Turns element i of each head and the one half a head further by their angle."""
    return heads * cosines + heads.roll(heads.shape[-1] // 2, -1) * sines


def window(codes: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(inputs (batch, 1 + context), targets (batch, context)); the inputs at `starts` are the second of each row."""
    places = starts[:, None] + np.arange(CONTEXT)
    return codes[np.concatenate([starts[:, None] - 1, places], 1)], codes[places + 1]


def batches(codes: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The windows of the text in random order, cut anew each epoch."""
    generator = np.random.default_rng(seed)
    while True:
        windows = np.arange(1 + generator.integers(CONTEXT), len(codes) - CONTEXT, CONTEXT)
        generator.shuffle(windows)
        for start in range(0, len(windows) - BATCH + 1, BATCH):
            yield window(codes, windows[start : start + BATCH])


def train(lib: Any, network: Any, codes: np.ndarray, steps: int, options: argparse.Namespace) -> Run:
    """Runs the first `steps` of the schedule."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    gains = [p for p in network.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": gains, "weight_decay": 0.0}]
    optimizer = lib.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95))
    schedule = lib.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=options.steps + 1, pct_start=WARM_UP, cycle_momentum=False
    )
    network.train()
    run = Run()
    for inputs, targets in run.steps(lib.__name__, batches(codes, options.seed), steps):
        logits = network(lib.from_numpy(inputs))
        loss = lib.nn.functional.cross_entropy(logits.flatten(0, 1), lib.from_numpy(targets).flatten())
        optimizer.zero_grad()
        loss.backward()
        lib.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        run.losses.append(loss.item())
    return run


def evaluate(lib: Any, network: Any, codes: np.ndarray, first: int) -> float:
    """Mean loss in nats over codes[first:], each predicted from at least half a context."""
    network.eval()
    fresh = np.arange(first, len(codes), CONTEXT // 2)  # of each window the first place that is judged
    starts = np.minimum(fresh - 1 - CONTEXT // 2, len(codes) - 1 - CONTEXT)
    total = 0.0
    with lib.no_grad():
        for chosen in np.array_split(np.arange(len(fresh)), -(-len(fresh) // BATCH)):
            inputs, targets = window(codes, starts[chosen])
            logits, targets = network(lib.from_numpy(inputs)), lib.from_numpy(targets).flatten()
            losses = lib.nn.functional.cross_entropy(logits.flatten(0, 1), targets, reduction="none").numpy()
            judged = starts[chosen, None] + np.arange(1, 1 + CONTEXT) >= fresh[chosen, None]
            total += losses[judged.flatten()].sum(dtype=np.float64)
    return total / (len(codes) - first)


def write(network: Any, code: int, count: int, temperature: float) -> np.ndarray:
    """`count` characters, each drawn from what the network expects after `code` and those before it."""
    network.eval()
    start, caches = pydl.tensor([code]), [pydl.nn.KeyValueCache() for _ in range(LAYERS)]

    def step(codes: pydl.Tensor, before: pydl.Tensor) -> tuple[pydl.Tensor, pydl.Tensor]:
        return network(pydl.stack([before, codes], 1), caches)[:, 0], codes

    return sample(step, start, start, max_length=count, temperature=temperature)[0].numpy()


def main() -> None:
    options = writing.writers_parser(__doc__, steps=3000, peer_steps=200, plot="gpt.png").parse_args()
    writing.run(options, BATCH * CONTEXT, build_network, train, evaluate, write)


if __name__ == "__main__":
    main()

"""The programs on text and time series, in small: they learn, and PyTorch loses the same from the same weights."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import pydl

SMALL_GPT = {"LAYERS": 2, "WIDTH": 32, "HEADS": 2, "CONTEXT": 16, "BATCH": 8}
SMALL_RNN = {"STREAMS": 8, "SPAN": 16}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Words that a network can learn to spell in a few steps."""
    file = tmp_path / "text.txt"
    file.write_text(" ".join(np.random.default_rng(0).choice(["to", "be", "or", "not", "question"], 2000)))
    return file


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Days of a wave, which persistence forecasts badly."""
    days = np.datetime64("2001-01-01") + np.arange(400)
    rows = [f'"{day}",{10 + 5 * np.sin(place):.3f}\n' for place, day in enumerate(days)]
    file = tmp_path / "series.csv"
    file.write_text('"Date","Value"\n' + "".join(rows))
    return file


@pytest.fixture
def one_thread(torch_or_fail):
    """Keeps PyTorch to one thread: on networks this small, more only wait for each other."""
    before = torch_or_fail.get_num_threads()
    torch_or_fail.set_num_threads(1)
    yield
    torch_or_fail.set_num_threads(before)


def figures(pattern: str, printed: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, printed)]


def assert_same_losses(printed: str) -> None:
    apart = figures(r"([\d.]+)%", printed)
    assert len(apart) == 5 and max(apart) < 0.1, printed


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_char_rnn(cell, text, program):
    printed = program("char_rnn", text, "--cell", cell, "--units", 32, "--steps", 80, "--write", 20, **SMALL_RNN)
    (loss,) = figures(r"held-out loss ([\d.]+)", printed)
    assert loss < 2.0


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_char_rnn_in_pytorch(cell, text, program, one_thread):
    arguments = "--cell", cell, "--units", 32, "--steps", 20, "--write", 5, "--peer", "torch"
    assert_same_losses(program("char_rnn", text, *arguments, **SMALL_RNN))


def test_gpt(text, program):
    printed = program("gpt", text, "--steps", 80, "--write", 40, **SMALL_GPT)
    (loss,) = figures(r"held-out loss ([\d.]+)", printed)
    assert loss < 2.0


def test_gpt_in_pytorch(text, program, one_thread):
    assert_same_losses(program("gpt", text, "--steps", 20, "--write", 5, "--peer", "torch", **SMALL_GPT))


def test_gpt_sees_with_a_cache_what_it_sees_without(examples):
    gpt = examples("gpt", **SMALL_GPT)
    pydl.manual_seed(0)
    network = gpt.build_network(pydl, 5)
    for p in network.parameters():
        pydl.nn.init.normal_(p, std=0.5)
    codes = pydl.randint(5, (1, 1 + gpt.CONTEXT))
    caches = [pydl.nn.KeyValueCache() for _ in range(gpt.LAYERS)]
    with pydl.no_grad():
        whole = network(codes)[0]
        steps = [network(codes[:, place : place + 2], caches)[0, 0] for place in range(gpt.CONTEXT)]
    np.testing.assert_allclose(pydl.stack(steps).numpy(), whole.numpy(), rtol=1e-4, atol=1e-4)


def test_gpt_judges_each_character_once(examples):
    """A network that always expects the second of two characters is judged by how often the first stands there."""
    gpt = examples("gpt", **SMALL_GPT)
    codes = np.random.default_rng(0).integers(2, size=1000)

    class Expects(pydl.nn.Module):
        def forward(self, codes):
            return pydl.tensor([0.0, 1.0]).expand(codes.shape[0], codes.shape[1] - 1, 2)

    for first in range(900, 900 + gpt.CONTEXT):
        expected = np.log(1 + np.e) - codes[first:].mean()
        assert gpt.evaluate(pydl, Expects(), codes, first) == pytest.approx(expected, rel=1e-5)


def test_forecast(series, program):
    printed = program("forecast", series, "--steps", 150, "--window", 10)
    persistence, network = figures(r"root mean square error ([\d.]+)", printed)
    assert network < 0.5 * persistence


def test_forecast_in_pytorch(series, program, one_thread):
    assert_same_losses(program("forecast", series, "--steps", 20, "--window", 10, "--peer", "torch"))

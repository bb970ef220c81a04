"""Greedy search, sampling and beam search against what they are defined to find."""
from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import pydl
from pydl.text import decoding
from pydl.text.decoding import beam_search, filter_logits, greedy_search, reorder_state, sample

END = 0


def chain(vocabulary: int, seed: int = 0) -> pydl.Tensor:
    """Log-probabilities of the next token given the last one."""
    rng = np.random.default_rng(seed)
    return pydl.from_numpy(rng.standard_normal((vocabulary, vocabulary)) * 2).log_softmax(1).float()


def markov(table: pydl.Tensor):
    return lambda tokens, state: (table[tokens], state)


def every_sequence(table: np.ndarray, start: int, length: int) -> list[tuple[float, list[int]]]:
    """(log-probability, tokens) of all sequences that end, or have no end after `length` tokens."""
    found = []
    for n in range(1, length + 1):
        for body in itertools.product(range(1, len(table)), repeat=n - 1 if n < length else n):
            for tokens in ([*body, END],) if n < length else (list(body), [*body[:-1], END]):
                path = [start, *tokens]
                found.append((sum(table[a, b] for a, b in itertools.pairwise(path)), tokens))
    unique = {tuple(tokens): score for score, tokens in found}
    return [(score, list(tokens)) for tokens, score in unique.items()]


def stripped(row: list[int]) -> list[int]:
    return row[: row.index(END) + 1] if END in row else row


def test_greedy_follows_the_largest_and_stops_at_the_end():
    table = pydl.tensor([[0.0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
    tokens = greedy_search(markov(table), pydl.tensor([1, 3, 2]), max_length=5, end=END, pad=9)
    assert tokens.dtype == pydl.int64
    assert tokens.tolist() == [[2, 3, 0], [0, 9, 9], [3, 0, 9]]
    assert greedy_search(markov(table), pydl.tensor([1]), max_length=2, end=END).tolist() == [[2, 3]]
    assert greedy_search(markov(table), pydl.tensor([3]), max_length=3).tolist() == [[0, 0, 0]]


def test_nothing_need_follow_the_end():
    table = pydl.full((5, 5), -math.inf)
    table[1, 2] = table[2, 3] = table[3, END] = 0.0
    for search in (greedy_search, sample):
        assert search(markov(table), pydl.tensor([1, 3]), max_length=9, end=END).tolist() == [[2, 3, 0], [0, 0, 0]]
        with pytest.raises(ValueError, match="all -inf"):
            search(markov(table), pydl.tensor([1, 4]), max_length=9, end=END)


def test_greedy_hands_the_state_on():
    def step(tokens, state):
        return pydl.nn.functional.one_hot(state, 7).float(), state + 1

    tokens = greedy_search(step, pydl.tensor([0, 0]), pydl.tensor([1, 3]), max_length=3)
    assert tokens.tolist() == [[1, 2, 3], [3, 4, 5]]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_that_holds_everything_finds_the_best(alpha: float, seed: int):
    vocabulary, length = 4, 4
    table = chain(vocabulary, seed)
    starts = [1, 2, 3]
    tokens, scores = beam_search(markov(table), pydl.tensor(starts), beams=81, max_length=length, end=END,
        length_penalty=alpha, n_best=5)
    for b, start in enumerate(starts):
        every = {tuple(sequence): total / ((5 + len(sequence)) / 6) ** alpha
            for total, sequence in every_sequence(table.numpy().astype(float), start, length)}
        np.testing.assert_allclose(scores[b].tolist(), sorted(every.values(), reverse=True)[:5], rtol=1e-5)
        found = [tuple(stripped(row)) for row in tokens[b].tolist()]
        assert len(set(found)) == 5  # sequences of the same transitions tie
        np.testing.assert_allclose(scores[b].tolist(), [every[sequence] for sequence in found], rtol=1e-5)


def test_one_beam_is_greedy():
    table = chain(6, 3)
    start = pydl.tensor([1, 4, 5])
    tokens, scores = beam_search(markov(table), start, beams=1, max_length=6, end=END)
    greedy = greedy_search(markov(table), start, max_length=6, end=END)
    for b in range(3):
        row = stripped(greedy[b].tolist())
        assert stripped(tokens[b, 0].tolist()) == row
        path = [int(start[b]), *row]
        assert math.isclose(scores[b, 0].item(), sum(table[x, y].item() for x, y in itertools.pairwise(path)),
            rel_tol=1e-5)


@pytest.mark.parametrize("dim", [0, 1])
def test_the_state_follows_its_beam(dim: int):
    """A model that reads its history from the state finds what one that is given the tokens does."""
    table = chain(5, 7)

    def step(tokens, state):
        last = (state["last"][0] if dim else state["last"])[..., 0].long()
        fresh = tokens.float().reshape(-1, 1)
        logits = table[tokens] + 0.3 * table[last]
        return logits, {"last": fresh.unsqueeze(0) if dim else fresh, "none": None, "more": [] if dim else [(fresh,)]}

    start = pydl.tensor([1, 2])
    first = start.float().reshape(-1, 1)
    state = {"last": first.unsqueeze(0) if dim else first, "none": None, "more": [] if dim else [(first,)]}
    tokens, scores = beam_search(step, start, state, beams=3, max_length=5, end=END, n_best=3, state_dim=dim)
    for b in range(2):
        for k in range(3):
            path = [int(start[b]), int(start[b]), *stripped(tokens[b, k].tolist())]
            total = sum(
                (table[y] + 0.3 * table[x]).log_softmax(0)[z].item()
                for x, y, z in zip(path, path[1:], path[2:], strict=False))
            assert math.isclose(scores[b, k].item(), total, rel_tol=1e-4)
    assert (scores[:, :-1] >= scores[:, 1:]).all()


def test_beams_beyond_what_exists():
    only = pydl.tensor([[-math.inf, 0.0], [0.0, -math.inf]])
    tokens, scores = beam_search(markov(only), pydl.tensor([0]), beams=3, max_length=4, end=END, n_best=3)
    assert tokens[0, 0].tolist() == [1, 0]
    assert scores.tolist() == [[0.0, -math.inf, -math.inf]]


def test_a_beam_whose_logits_are_all_minus_infinity_ends_there():
    inf = math.inf
    table = pydl.tensor([[-inf] * 4, [0.0, 1.0, 2.0, -inf], [0.0, -inf, 1.0, 3.0], [1.0, 1.0, 1.0, 1.0]])
    finite = table.clone()
    finite[0] = -1e9  # spread evenly, so that only sequences through token 0 change
    for beams, n_best in ((1, 1), (3, 1), (3, 3), (4, 2)):
        found, wanted = (beam_search(markov(t), pydl.tensor([1, 2]), beams=beams, max_length=3, end=3, n_best=n_best)
            for t in (table, finite))
        for tokens, _ in (found, wanted):
            assert tokens[:, 0, :2].tolist() == [[2, 3], [3, 3]] and (tokens[:, 0, 2:] == 3).all()
        np.testing.assert_allclose(found[1][:, 0].tolist(), wanted[1][:, 0].tolist())
        assert not found[1].isnan().any()
    # Of two rows one alone goes on.
    with pytest.raises(ValueError, match="beam_search: expected a token that may follow, got .* row 1"):
        beam_search(markov(table), pydl.tensor([1, 0]), beams=2, max_length=3, end=3)


def test_beams_that_nothing_continues_see_tokens_of_their_row():
    """One token may follow each; the model knows neither `pad` nor 0."""
    seen = set()

    def step(tokens, state):
        seen.update(tokens.tolist())
        return pydl.full((tokens.size(0), 9), -math.inf).scatter(1, (tokens + 1).unsqueeze(1), 0.0), state

    tokens, _ = beam_search(step, pydl.tensor([1, 5]), beams=3, max_length=6, end=6)
    assert tokens.tolist() == [[[2, 3, 4, 5, 6]], [[6] * 5]] and seen == {1, 2, 3, 4, 5}


def test_reorder_state_keeps_the_structure():
    x = pydl.arange(6).reshape(3, 2)
    rows = pydl.tensor([2, 0])
    tree = reorder_state({"a": (x, [x, None])}, rows)
    assert tree["a"][0].tolist() == [[4, 5], [0, 1]] and tree["a"][1][1] is None
    assert reorder_state(x, pydl.tensor([1]), 1).tolist() == [[1], [3], [5]]
    with pytest.raises(TypeError, match="reorder_state: expected tensors"):
        reorder_state("text", rows)


def test_filters():
    logits = pydl.tensor([[0.5, 0.2, 0.2, 0.1]]).log()
    assert filter_logits(logits, top_k=1).exp().tolist()[0][1:] == [0, 0, 0]
    assert (filter_logits(logits, top_k=3) > -math.inf).sum().item() == 3
    assert (filter_logits(logits, top_p=0.5) > -math.inf).tolist() == [[True, False, False, False]]
    assert (filter_logits(logits, top_p=0.51) > -math.inf).sum().item() == 2
    assert (filter_logits(logits, top_p=1e-9) > -math.inf).sum().item() == 1
    np.testing.assert_allclose(filter_logits(logits, temperature=2).tolist(), (logits / 2).tolist())
    assert pydl.equal(filter_logits(logits, top_k=10, top_p=1.0), logits)


def test_samples_have_the_distribution():
    probabilities = pydl.tensor([0.5, 0.3, 0.2])
    tokens = sample(lambda t, s: (probabilities.log().expand(t.size(0), 3), s), pydl.zeros(20000, dtype=pydl.int64),
        max_length=1, generator=3)
    shares = pydl.bincount(tokens.reshape(-1), minlength=3) / 20000
    assert (shares - probabilities).abs().max().item() < 0.015


def test_a_seed_repeats_and_generators_go_on():
    step, start = markov(chain(9, 1)), pydl.tensor([1, 2, 3])
    assert pydl.equal(*(sample(step, start, max_length=6, top_k=4, generator=5) for _ in range(2)))
    generator = pydl.Generator().manual_seed(5)
    first = sample(step, start, max_length=6, top_k=4, generator=generator)
    assert pydl.equal(first, sample(step, start, max_length=6, top_k=4, generator=5))
    assert not pydl.equal(first, sample(step, start, max_length=6, top_k=4, generator=generator))


def test_nothing_is_recorded():
    weight = pydl.nn.Parameter(chain(4))
    greedy_search(lambda t, s: (weight[t], s), pydl.tensor([1]), max_length=2)
    _, scores = beam_search(lambda t, s: (weight[t], s), pydl.tensor([1]), beams=2, max_length=2)
    assert not scores.requires_grad


def good(tokens, state):
    return pydl.zeros(tokens.size(0), 3), state


@pytest.mark.parametrize("dtype", [pydl.float32, pydl.float64, pydl.float16, pydl.bfloat16])
@pytest.mark.parametrize("temperature", [1e-3, 1e-20, 1e-320])
def test_a_small_temperature_takes_the_likeliest(dtype, temperature):
    logits = pydl.tensor([[300.0, 500.0, -math.inf, 1.0]]).to(dtype)
    tokens = sample(lambda t, s: (logits, s), pydl.tensor([0]), max_length=5, temperature=temperature)
    assert tokens.tolist() == [[1] * 5]


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: greedy_search(good, pydl.tensor([0.5]), max_length=2), TypeError, "expected int64 start tokens"),
    (lambda: greedy_search(good, pydl.tensor([[1]]), max_length=2), TypeError, "expected int64 start tokens"),
    (lambda: greedy_search(good, pydl.tensor([1]), max_length=0), ValueError, "max_length of at least 1, got 0"),
    (lambda: greedy_search(lambda t, s: (pydl.zeros(3), s), pydl.tensor([1]), max_length=2), pydl.ShapeError,
     "expected logits"),
    (lambda: greedy_search(lambda t, s: (pydl.full((1, 3), math.nan), s), pydl.tensor([1]), max_length=2), ValueError,
     "got NaN"),
    (lambda: greedy_search(lambda t, s: (pydl.full((1, 3), -math.inf), s), pydl.tensor([1]), max_length=2), ValueError,
     "all -inf"),
    (lambda: beam_search(lambda t, s: (pydl.full((1, 3), math.nan), s), pydl.tensor([1]), beams=1, max_length=2),
     ValueError, "got NaN"),
    (lambda: beam_search(lambda t, s: (pydl.tensor([[0, math.inf]]), s), pydl.tensor([1]), beams=1, max_length=2),
     ValueError, "got inf"),
    (lambda: beam_search(lambda t, s: (pydl.full((1, 3), -math.inf), s), pydl.tensor([1]), beams=1, max_length=2),
     ValueError, "all -inf"),
    (lambda: sample(good, pydl.tensor([1]), max_length=2, temperature=0), ValueError, "positive temperature"),
    (lambda: sample(good, pydl.tensor([1]), max_length=2, temperature=math.inf), ValueError, "temperature below inf"),
    (lambda: sample(good, pydl.tensor([1]), max_length=2, temperature=math.nan), ValueError, "temperature below inf"),
    (lambda: sample(good, pydl.tensor([1]), max_length=2, top_k=0), ValueError, "top_k of at least 1"),
    (lambda: sample(good, pydl.tensor([1]), max_length=2, top_p=0.0), ValueError, "top_p in"),
    (lambda: sample(good, pydl.tensor([1]), max_length=2, top_p=1.5), ValueError, "top_p in"),
    (lambda: beam_search(good, pydl.tensor([1]), beams=0, max_length=2), ValueError, "beams >= n_best >= 1"),
    (lambda: beam_search(good, pydl.tensor([1]), beams=2, n_best=3, max_length=2), ValueError, "beams >= n_best >= 1"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_documented_names():
    assert all(getattr(decoding, name).__doc__ for name in decoding.__all__)

"""From a model's scores to sequences: greedy search, sampling, beam search.

The model is a function `step(tokens, state) -> (logits, state)`: the last token of every row (int64, rows) and what
the model remembers go in, scores of the next token (rows, vocabulary) and what it then remembers come out. `state` is
None, a tensor, or tuples, lists and dictionaries of those.

>>> import pydl
>>> from pydl.text.decoding import greedy_search
>>> def step(tokens, state):  # counts upwards
...     return pydl.nn.functional.one_hot((tokens + 1) % 6, 6).float(), state
>>> greedy_search(step, pydl.tensor([0, 2]), max_length=4, end=5)
tensor([[1, 2, 3, 4],
        [3, 4, 5, 5]])
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pydl
from pydl import Tensor
from pydl.text.checks import counted, numbered

__all__ = ["beam_search", "filter_logits", "greedy_search", "reorder_state", "sample"]

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]


def reorder_state(state: Any, rows: Tensor, dim: int = 0) -> Any:
    """`state` with its rows (along `dim` of every tensor) picked and ordered by `rows`, int64."""
    if isinstance(state, Tensor):
        return state.index_select(dim, rows)
    if isinstance(state, dict):
        return {key: reorder_state(value, rows, dim) for key, value in state.items()}
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(*(reorder_state(value, rows, dim) for value in state))
    if isinstance(state, (tuple, list)):
        return type(state)(reorder_state(value, rows, dim) for value in state)
    if state is None:
        return None
    raise TypeError(f"reorder_state: expected tensors in tuples, lists and dictionaries, got {type(state).__name__}")


def filter_logits(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Logits (..., vocabulary) divided by `temperature`, and -inf for what is not to be drawn.

    `top_k` keeps the k largest. `top_p` keeps the fewest largest whose probabilities, after the other two, add up to at
    least p (Holtzman et al. 2020); the largest always stays.

    >>> import pydl
    >>> from pydl.text.decoding import filter_logits
    >>> filter_logits(pydl.tensor([1.0, 3.0, 2.0]), top_k=2)
    tensor([-inf, 3., 2.])
    """
    if not 0 < numbered("filter_logits", "temperature", temperature) < math.inf:
        raise ValueError(
            f"filter_logits: expected a positive temperature below inf, got {temperature}; see greedy_search for 0")
    if top_k is not None and counted("filter_logits", "top_k", top_k) < 1:
        raise ValueError(f"filter_logits: expected top_k of at least 1, got {top_k}")
    if top_p is not None and not 0 < numbered("filter_logits", "top_p", top_p) <= 1:
        raise ValueError(f"filter_logits: expected top_p in (0, 1], got {top_p}")
    logits = logits / temperature
    if top_k is not None and top_k < logits.size(-1):
        values, indices = logits.topk(top_k, dim=-1)
        logits = pydl.full_like(logits, -math.inf).scatter(-1, indices, values)
    if top_p is not None and top_p < 1:
        values, indices = logits.sort(dim=-1, descending=True)
        probabilities = values.softmax(-1)
        before = probabilities.cumsum(-1) - probabilities  # of all that are larger
        logits = pydl.full_like(logits, -math.inf).scatter(-1, indices, values.masked_fill(before >= top_p, -math.inf))
    return logits


def _check_start(op: str, start: Tensor, max_length: int) -> None:
    if not isinstance(start, Tensor):
        raise TypeError(f"{op}: expected a tensor of int64 start tokens (batch), got {type(start).__name__}")
    if start.dtype != pydl.int64 or start.dim() != 1:
        raise TypeError(f"{op}: expected int64 start tokens (batch), got {start.dtype} {tuple(start.shape)}")
    if counted(op, "max_length", max_length) < 1:
        raise ValueError(f"{op}: expected max_length of at least 1, got {max_length}")


def _scores(op: str, step: Step, tokens: Tensor, state: Any) -> tuple[Tensor, Tensor, Any]:
    """The step's logits, checked, which rows of them are all -inf, and the step's state."""
    result = step(tokens, state)
    if not (isinstance(result, (tuple, list)) and len(result) == 2 and isinstance(result[0], Tensor)):
        raise TypeError(f"{op}: expected (logits, state) from step, got {type(result).__name__}")
    logits, state = result
    if logits.dim() != 2 or logits.size(0) != tokens.size(0):
        raise pydl.ShapeError(
            f"{op}: expected logits ({tokens.size(0)}, vocabulary) from step, got {tuple(logits.shape)}")
    largest = logits.amax(1)
    if not bool((largest < math.inf).all()):
        found = "NaN" if bool(largest.isnan().any()) else "inf"
        raise ValueError(f"{op}: expected numbers or -inf as logits, got {found}")
    return logits, largest == -math.inf, state


def _generate(
    op: str,
    choose: Callable[[Tensor], Tensor],
    step: Step,
    start: Tensor,
    state: Any,
    max_length: int,
    end: int | None,
    pad: int | None,
) -> Tensor:
    _check_start(op, start, max_length)
    ended = pydl.zeros_like(start, dtype=pydl.bool)
    tokens, columns = start, []
    with pydl.no_grad():
        for _ in range(max_length):
            logits, blocked, state = _scores(op, step, tokens, state)
            if bool(blocked.any()):
                if bool((blocked & ~ended).any()):
                    raise ValueError(f"{op}: expected a token that may follow, got a row of logits that are all -inf")
                logits = logits.masked_fill(blocked.unsqueeze(1), 0.0)  # what follows an end is not kept
            tokens = choose(logits)
            if end is None:
                columns.append(tokens)
                continue
            tokens = tokens.masked_fill(ended, end)  # the model may not know `pad`
            columns.append(tokens if pad is None else tokens.masked_fill(ended, pad))
            ended = ended | (tokens == end)
            if bool(ended.all()):
                break
    return pydl.stack(columns, 1)


def greedy_search(
    step: Step,
    start: Tensor,
    state: Any = None,
    *,
    max_length: int,
    end: int | None = None,
    pad: int | None = None,
) -> Tensor:
    """The likeliest token at every step: int64 (batch, length), length <= max_length, without the start tokens.

    A row stops at its `end` token and holds `pad` (by default `end`) behind it.
    """
    return _generate("greedy_search", lambda logits: logits.argmax(1), step, start, state, max_length, end, pad)


def sample(
    step: Step,
    start: Tensor,
    state: Any = None,
    *,
    max_length: int,
    end: int | None = None,
    pad: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: Any = None,
) -> Tensor:
    """Tokens drawn from softmax(logits / temperature), limited as in `filter_logits`: int64 (batch, length).

    `generator`, a `pydl.Generator` or a seed, makes the draw repeat; by default pydl's own is drawn from. Rows stop as
    in `greedy_search`.

    >>> import pydl
    >>> from pydl.text.decoding import sample
    >>> def step(tokens, state):
    ...     return pydl.zeros(tokens.size(0), 10), state
    >>> first, second = (sample(step, pydl.tensor([0]), max_length=8, generator=7) for _ in range(2))
    >>> pydl.equal(first, second)
    True
    """
    numbered("sample", "temperature", temperature)
    if isinstance(generator, int):
        generator = pydl.Generator().manual_seed(generator)

    def draw(logits: Tensor) -> Tensor:
        logits = logits - logits.amax(1, keepdim=True)  # so that none overflows where the temperature is small
        least = pydl.finfo(logits.dtype).tiny if logits.is_floating_point() else 0.0
        positive = max(temperature, least) if temperature > 0 else temperature
        probabilities = filter_logits(logits, positive, top_k, top_p).softmax(1)
        return pydl.multinomial(probabilities, 1, generator=generator).reshape(-1)

    return _generate("sample", draw, step, start, state, max_length, end, pad)


@dataclass
class _Hypotheses:
    """The finished sequences of one row of the batch, best first."""

    room: int
    items: list[tuple[float, list[int]]] = field(default_factory=list)

    def add(self, score: float, tokens: list[int]) -> None:
        self.items.append((score, tokens))
        self.items.sort(key=lambda item: -item[0])
        del self.items[self.room :]

    def beats(self, score: float) -> bool:
        """Is there no room for a sequence of that score?"""
        return score == -math.inf or (len(self.items) == self.room and self.items[-1][0] >= score)


def beam_search(
    step: Step,
    start: Tensor,
    state: Any = None,
    *,
    beams: int,
    max_length: int,
    end: int | None = None,
    pad: int | None = None,
    length_penalty: float = 0.0,
    n_best: int = 1,
    state_dim: int = 0,
) -> tuple[Tensor, Tensor]:
    """The `n_best` likeliest sequences that a search with `beams` open ones a row finds: tokens int64 (batch, n_best,
    length) without the start tokens, and scores (batch, n_best), best first.

    A sequence of n tokens, its `end` token included, scores log P / ((5 + n) / 6)^length_penalty (Wu et al. 2016);
    sequences that have no end after `max_length` tokens count as they are. The search of a row ends when no open
    sequence can beat the finished ones.

    `step` sees batch * beams rows, row b * beams + k being beam k of row b: `state`, given for `batch` rows, is
    repeated and then reordered along dimension `state_dim` (0; of an LSTM's, 1). Logits that are all -inf end a beam
    without a sequence. Behind its end a sequence holds `pad` (by default `end`, or 0). Where fewer than `n_best`
    sequences exist, the others are `pad` with score -inf; a row without any raises ValueError.

    >>> import pydl
    >>> from pydl.text.decoding import beam_search
    >>> table = pydl.tensor([[0.0, 0.6, 0.4], [0.1, 0.45, 0.45], [0.9, 0.05, 0.05]]).log()
    >>> tokens, scores = beam_search(lambda t, s: (table[t], s), pydl.tensor([0]), beams=2, max_length=2)
    >>> tokens[0, 0].tolist(), round(scores[0, 0].exp().item(), 2)
    ([2, 0], 0.36)
    """
    op = "beam_search"
    _check_start(op, start, max_length)
    counted(op, "beams", beams)
    if not 1 <= counted(op, "n_best", n_best) <= beams:
        raise ValueError(f"{op}: expected beams >= n_best >= 1, got beams {beams} and n_best {n_best}")

    if not math.isfinite(numbered(op, "length_penalty", length_penalty)):
        raise ValueError(f"{op}: expected a finite length_penalty, got {length_penalty}")

    def penalty(length: int) -> float:
        return ((5 + length) / 6) ** length_penalty

    batch = start.size(0)
    found = [_Hypotheses(n_best) for _ in range(batch)]
    written: list[list[int]] = [[] for _ in range(batch * beams)]
    total = [0.0 if k == 0 else -math.inf for _ in range(batch) for k in range(beams)]  # one beam: all are alike
    with pydl.no_grad():
        rows = pydl.arange(batch).repeat_interleave(beams)
        tokens, state = start[rows], reorder_state(state, rows, state_dim)
        for length in range(1, max_length + 1):
            logits, blocked, state = _scores(op, step, tokens, state)
            best, which = _candidates(logits, blocked, total, batch, beams)
            vocabulary = logits.size(1)
            parents, chosen, total_next, written_next = [], [], [], []
            for b in range(batch):
                open_beams = 0
                for score, flat in zip(best[b], which[b], strict=True):
                    row, token = b * beams + flat // vocabulary, flat % vocabulary
                    if score == -math.inf or open_beams == beams:
                        break
                    if token == end or length == max_length:
                        found[b].add(score / penalty(length), [*written[row], token])
                        open_beams += token != end  # the last step: those that did not end leave as they are
                        continue
                    open_beams += 1
                    parents.append(row)
                    chosen.append(token)
                    total_next.append(score)
                    written_next.append([*written[row], token])
                # A beam that nothing continues repeats the first, so that the model sees no token that may not follow.
                first, missing = b * beams, (b + 1) * beams - len(parents)
                parents += [parents[first] if missing < beams else first] * missing
                chosen += [chosen[first] if missing < beams else int(tokens[first])] * missing
                total_next += [-math.inf] * missing
                written_next += [[]] * missing
            total, written = total_next, written_next
            # Nothing that follows raises a total, which is negative: the largest penalty gives the best score.
            most = max(penalty(length + 1), penalty(max_length))
            if all(found[b].beats(max(total[b * beams : (b + 1) * beams]) / most) for b in range(batch)):
                break
            tokens = pydl.tensor(chosen, dtype=pydl.int64)
            state = reorder_state(state, pydl.tensor(parents, dtype=pydl.int64), state_dim)
    for b, hypotheses in enumerate(found):
        if not hypotheses.items:
            raise ValueError(f"{op}: expected a token that may follow, got logits that are all -inf in every beam of "
                             f"row {b}")
    return _as_tensors(found, n_best, pad if pad is not None else end if end is not None else 0)


def _candidates(
    logits: Tensor, blocked: Tensor, total: list[float], batch: int, beams: int
) -> tuple[list[list[float]], list[list[int]]]:
    """The likeliest continuations of each row of the batch, best first: log-probabilities, and beam * vocabulary +
    token. Twice as many as beams: half of them may end."""
    scores = logits.log_softmax(1) + pydl.tensor(total, dtype=logits.dtype).unsqueeze(1)
    if bool(blocked.any()):  # log_softmax gives NaN for a row that is all -inf
        scores = scores.masked_fill(blocked.unsqueeze(1), -math.inf)
    flat = scores.reshape(batch, beams * logits.size(1))
    values, indices = flat.topk(min(2 * beams, flat.size(1)), dim=1)
    return values.tolist(), indices.tolist()


def _as_tensors(found: list[_Hypotheses], n_best: int, pad: int) -> tuple[Tensor, Tensor]:
    width = max((len(tokens) for row in found for _, tokens in row.items), default=0)
    tokens, scores = [], []
    for row in found:
        items = row.items + [(-math.inf, [])] * (n_best - len(row.items))
        tokens.append([sequence + [pad] * (width - len(sequence)) for _, sequence in items])
        scores.append([score for score, _ in items])
    shape = (len(found), n_best)
    return (pydl.tensor(tokens, dtype=pydl.int64).reshape(*shape, width),
            pydl.tensor(scores, dtype=pydl.float32).reshape(shape))

"""CTC against PyTorch beyond the rows of the table: long sequences, what fits no alignment, errors."""
from __future__ import annotations

import numpy as np
import pytest
from support import same_bits
from twins import assert_same, pair

import pydl
from pydl import nn
from pydl.nn import functional as F

torch = pytest.importorskip("torch")


def problem(frames: int, batch: int, classes: int, length: int, dtype=np.float32, seed: int = 0):
    rng = np.random.default_rng(seed)
    logits = pair(torch, (rng.standard_normal((frames, batch, classes)) * 3).astype(dtype), requires_grad=True)
    targets = rng.integers(1, classes, (batch, length))
    inputs, lengths = rng.integers(frames // 2, frames + 1, batch), rng.integers(0, length + 1, batch)
    return logits, targets, inputs.tolist(), lengths.tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(7, 2, 5, 3), (40, 5, 28, 12), (120, 3, 90, 40), (33, 1, 3, 10)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_against_torch(sizes, reduction, dtype):
    logits, targets, inputs, lengths = problem(*sizes, dtype=dtype)
    results = []
    for lib, x in zip((pydl, torch), logits, strict=True):
        loss = lib.nn.functional.ctc_loss(x.log_softmax(-1), lib.from_numpy(targets.copy()), inputs, lengths,
            reduction=reduction, zero_infinity=True)
        (loss * lib.arange(1, loss.numel() + 1).reshape(loss.shape)).sum().backward()
        results.append(loss)
    assert_same(results[0], results[1], 2e-5 if dtype == np.float32 else 1e-12, 1e-6)
    # Log-probabilities of whole alignments carry eps times their size, here and there.
    rtol, atol = (1e-3, 2e-4) if dtype == np.float32 else (1e-9, 1e-11)
    assert_same(logits[0].grad, logits[1].grad, rtol, atol)


def test_float32_is_as_close_to_float64_as_torch():
    logits, targets, inputs, lengths = problem(200, 8, 40, 60)
    exact = pydl.from_numpy(logits[0].detach().numpy().astype(np.float64)).requires_grad_()
    errors = []
    for lib, x in ((pydl, exact), (pydl, logits[0]), (torch, logits[1])):
        lib.nn.functional.ctc_loss(x.log_softmax(-1), lib.from_numpy(targets), inputs, lengths, reduction="sum",
            zero_infinity=True).backward()
        errors.append(np.abs(x.grad.numpy() - exact.grad.numpy()).max())
    assert errors[1] <= 4 * errors[2], errors


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_what_no_alignment_fits(zero_infinity):
    """A repeated label needs a blank between: three frames for two labels."""
    values = np.random.default_rng(0).standard_normal((5, 2, 4)).astype(np.float32)
    found = []
    for lib, x in zip((pydl, torch), pair(torch, values, requires_grad=True), strict=True):
        loss = lib.nn.functional.ctc_loss(x.log_softmax(-1), lib.tensor([[1, 1], [1, 2]]), (2, 5), (2, 2),
            reduction="none", zero_infinity=zero_infinity)
        loss.sum().backward()
        found.append((loss, x.grad))
    assert_same(found[0], found[1], 1e-5)
    assert found[0][0][0].item() == (0 if zero_infinity else np.inf)


def test_lengths_and_targets_in_every_form():
    logits, targets, inputs, lengths = problem(20, 3, 6, 4)
    x = logits[0].log_softmax(-1)
    padded = pydl.from_numpy(targets)
    want = F.ctc_loss(x, padded, inputs, lengths)
    joined = pydl.cat([padded[b, :n] for b, n in enumerate(lengths)])
    n, m = pydl.tensor(inputs), pydl.tensor(lengths)
    others = [
        F.ctc_loss(x, padded, tuple(inputs), tuple(lengths)), F.ctc_loss(x, padded, n, m),
        F.ctc_loss(x, padded.int(), n.int(), m.int()), F.ctc_loss(x, joined, inputs, lengths),
        nn.CTCLoss()(x, padded, inputs, lengths),
    ]  # fmt: skip
    assert all(same_bits(want, other) for other in others)
    alone = F.ctc_loss(x[: inputs[0], 0], padded[0, : lengths[0]], n[0], m[0], reduction="none")
    assert alone.shape == () and same_bits(alone, F.ctc_loss(x, padded, inputs, lengths, reduction="none")[0])


def test_a_blank_elsewhere_and_no_labels():
    logits, *_ = problem(6, 2, 4, 2)
    for lib, x in zip((pydl, torch), logits, strict=True):
        loss = lib.nn.functional.ctc_loss(x.log_softmax(-1), lib.tensor([[0, 1], [2, 2]]), (6, 6), (2, 0), blank=3,
            reduction="none")
        loss.sum().backward()
        if lib is pydl:
            ours = loss
    assert_same(ours, loss, 1e-5)
    assert_same(logits[0].grad, logits[1].grad, 1e-4, 1e-6)
    nothing = F.ctc_loss(pydl.zeros(3, 1, 2).log_softmax(-1), pydl.zeros(1, 0, dtype=pydl.int64), (0,), (0,))
    assert nothing.item() == 0


def test_half_precision_and_empty_batches():
    logits, targets, inputs, lengths = problem(20, 3, 6, 4)
    x = logits[0].detach().log_softmax(-1).bfloat16().requires_grad_()
    loss = F.ctc_loss(x, pydl.from_numpy(targets), inputs, lengths)
    loss.backward()
    assert loss.dtype == x.grad.dtype == pydl.bfloat16
    empty = F.ctc_loss(pydl.zeros(4, 0, 3), pydl.zeros(0, 2, dtype=pydl.int64), [], [], reduction="none")
    assert empty.shape == (0,)


def test_the_second_derivative_raises():
    x = pydl.randn(4, 1, 3).requires_grad_()
    (g,) = pydl.autograd.grad(F.ctc_loss(x.log_softmax(-1), pydl.tensor([[1]]), [4], [1]), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="ctc_loss: expected a first derivative"):
        g.sum().backward()


X, T = pydl.zeros(5, 2, 4), pydl.tensor([[1, 2], [3, 1]])


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: F.ctc_loss(X, T, (6, 5), (2, 2)), RuntimeError, r"input_lengths in \[0, 5\], got 6 for sequence 0"),
    (lambda: F.ctc_loss(X, T, (5, -1), (2, 2)), RuntimeError, "got -1 for sequence 1"),
    (lambda: F.ctc_loss(X, T, (5, 5), (2, 3)), RuntimeError, r"target_lengths in \[0, 2\], got 3"),
    (lambda: F.ctc_loss(X, T, (5,), (2, 2)), RuntimeError, "2 input_lengths, one a sequence"),
    (lambda: F.ctc_loss(X, pydl.tensor([1, 2, 3]), (5, 5), (2, 2)), RuntimeError, "expected 4 targets"),
    (lambda: F.ctc_loss(X, pydl.tensor([[1, 4], [3, 1]]), (5, 5), (2, 2)), IndexError, "got 4 in sequence 0"),
    (lambda: F.ctc_loss(X, pydl.tensor([[1, 2], [0, 1]]), (5, 5), (2, 2)), IndexError, "other than the blank 0, got 0"),
    (lambda: F.ctc_loss(X, T.float(), (5, 5), (2, 2)), TypeError, "int64 or int32 targets"),
    (lambda: F.ctc_loss(X, T, pydl.tensor([5.0, 5.0]), (2, 2)), TypeError, "integers as input_lengths"),
    (lambda: F.ctc_loss(X, T, (5.0, 5), (2, 2)), TypeError, "a list of integers, got"),
    (lambda: F.ctc_loss(X, T, 5, (2, 2)), TypeError, "a list of integers, got 5"),
    (lambda: F.ctc_loss(X, T, (5, 5), (2, 2), blank=4), ValueError, r"blank in \[0, 3\], got 4"),
    (lambda: F.ctc_loss(X, T, (5, 5), (2, 2), reduction="max"), ValueError, "got 'max'"),
    (lambda: F.ctc_loss(X.long(), T, (5, 5), (2, 2)), TypeError, "floating point log_probs"),
    (lambda: F.ctc_loss(pydl.zeros(5), T, (5, 5), (2, 2)), RuntimeError, "frames, batch, classes"),
    (lambda: F.ctc_loss(X, T[:1], (5, 5), (2, 2)), RuntimeError, "targets of 2 sequences"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()

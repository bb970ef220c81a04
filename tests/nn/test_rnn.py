"""Recurrent layers and packed sequences, against PyTorch with the same weights."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specs import recurrent
from twins import assert_same, copy_weights, numpy, pair

import pydl
from pydl import nn
from pydl.nn.utils import rnn as rnn_utils

KINDS = ("RNN", "RNN relu", "LSTM", "LSTM proj", "GRU")
FORMS = [{}, {"bidirectional": True}, {"num_layers": 2}, {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"bias": False}]


def layer(lib, kind, features, units, **options):
    name, _, extra = kind.partition(" ")
    options |= {"relu": {"nonlinearity": "relu"}, "proj": {"proj_size": max(1, units // 2)}}.get(extra, {})
    dtype = options.pop("dtype", "float64")
    return getattr(lib.nn, name)(features, units, dtype=getattr(lib, dtype), **options)


def twins(torch, kind, features, units, **options):
    ours, theirs = (layer(lib, kind, features, units, **options) for lib in (pydl, torch))
    assert repr(ours) == repr(theirs)
    copy_weights(ours, theirs)
    return ours, theirs


def states_of(torch, kind, theirs, batch, rng):
    cells = theirs.num_layers * (1 + theirs.bidirectional)
    sizes = (theirs.proj_size or theirs.hidden_size, theirs.hidden_size)
    made = [pair(torch, rng.standard_normal((cells, batch, n)).astype(theirs.weight_ih_l0.detach().numpy().dtype), True)
        for n in (sizes if kind.startswith("LSTM") else sizes[:1])]
    ours, other = zip(*made, strict=True)
    return (ours, other) if len(made) == 2 else (ours[0], other[0])


def leaves(result):
    out, last = result
    data = getattr(out, "data", out) if isinstance(out, tuple) else out
    return [data, *(last if isinstance(last, tuple) else (last,))]


def compare(torch, ours, theirs, inputs, results, rng, rtol, atol):
    """Outputs, then the gradients of everything for a random gradient of every output."""
    mine, other = map(leaves, results)
    assert_same(tuple(mine), tuple(other), rtol, atol)
    loss_a = loss_b = 0
    for a, b in zip(mine, other, strict=True):
        weight = rng.standard_normal(tuple(b.shape)).astype(str(b.dtype).rpartition(".")[2])
        loss_a, loss_b = loss_a + (a * pydl.from_numpy(weight)).sum(), loss_b + (b * torch.from_numpy(weight)).sum()
    loss_a.backward()
    loss_b.backward()
    for a, b in itertools.chain(inputs, zip(ours.parameters(), theirs.parameters(), strict=True)):
        assert_same(a.grad, b.grad, rtol, atol * 10)


@pytest.mark.parametrize("options", FORMS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_layers(kind, options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for dtype, features, units, steps, batch in (("float64", 3, 5, 4, 2), ("float32", 7, 20, 6, 9),
            ("float32", 10, 33, 5, 1), ("float64", 4, 19, 1, 3)):
        ours, theirs = twins(torch, kind, features, units, dtype=dtype, **options)
        shape = (batch, steps, features) if ours.batch_first else (steps, batch, features)
        x, y = pair(torch, rng.standard_normal(shape).astype(dtype), True)
        hx, hy = states_of(torch, kind, theirs, batch, rng)
        pairs = [(x, y), *(zip(hx, hy, strict=True) if isinstance(hx, tuple) else [(hx, hy)])]
        tolerance = (1e-11, 1e-12) if dtype == "float64" else (2e-4, 2e-5)
        compare(torch, ours, theirs, pairs, (ours(x, hx), theirs(y, hy)), rng, *tolerance)
        with pydl.no_grad():
            assert_same(tuple(leaves(ours(x, hx))), tuple(leaves(theirs(y, hy))), *tolerance)
            assert_same(tuple(leaves(ours(x))), tuple(leaves(theirs(y))), *tolerance)


@pytest.mark.parametrize("options", FORMS[:4], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_packed(kind, options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    for lengths, ordered in (([5, 4, 4, 1], True), ([2, 6, 1, 6, 3], False), ([3], True),
                             ([4, 1, 2, 4, 3, 4, 2, 1, 4], False)):
        ours, theirs = twins(torch, kind, 3, 5, **options)
        x, y = pair(torch, rng.standard_normal((len(lengths), max(lengths), 3)), True)
        a, b = (lib.nn.utils.rnn.pack_padded_sequence(v, lengths, batch_first=True, enforce_sorted=ordered)
            for lib, v in ((pydl, x), (torch, y)))
        assert_same(tuple(v for v in a if v is not None), tuple(v for v in b if v is not None))
        hx, hy = states_of(torch, kind, theirs, len(lengths), rng)
        pairs = [(x, y), *(zip(hx, hy, strict=True) if isinstance(hx, tuple) else [(hx, hy)])]
        results = ours(a, hx), theirs(b, hy)
        for first in (True, False):
            assert_same(rnn_utils.pad_packed_sequence(results[0][0], first, -2.0, 7),
                torch.nn.utils.rnn.pad_packed_sequence(results[1][0], first, -2.0, 7), 1e-11, 1e-12)
        compare(torch, ours, theirs, pairs, results, rng, 1e-11, 1e-12)


@pytest.mark.parametrize("options", FORMS[:4], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_lengths_are_packing(kind, options):
    """A padded batch with lengths gives what packing it gives, whatever stands in the padding."""
    rng = np.random.default_rng(2)
    ours, lengths = layer(pydl, kind, 3, 18, **options), [2, 6, 1, 6, 3, 5, 4, 6, 2]
    values = rng.standard_normal((9, 6, 3))
    for row, n in zip(values, lengths, strict=True):
        row[n:] = np.nan
    grads = []
    for packed in (False, True):
        x = pydl.from_numpy(values.copy() if ours.batch_first else values.swapaxes(0, 1).copy()).requires_grad_()
        if packed:
            data, last = ours(rnn_utils.pack_padded_sequence(x, lengths, ours.batch_first, False))
            out = rnn_utils.pad_packed_sequence(data, ours.batch_first)[0]
        else:
            out, last = ours(x, lengths=pydl.tensor(lengths))
        last = last if isinstance(last, tuple) else (last,)
        loss = (out**2).sum() + sum((h**3).sum() for h in last)
        ours.zero_grad()
        loss.backward()
        grads.append([numpy(v) for v in (out, *last, x.grad, *(p.grad for p in ours.parameters()))])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, 1e-11, 1e-12)


def test_lengths_are_the_equations():
    rng = np.random.default_rng(8)
    for name, gates, step in (("gru", 3, recurrent.gru_step), ("lstm", 4, recurrent.lstm_step), ("rnn_tanh", 1,
            recurrent.simple_step)):
        h = [rng.standard_normal((2, 3, 5)) for _ in range(2 if name == "lstm" else 1)]
        params = [rng.standard_normal(s) for _ in range(2) for s in ((gates * 5, 4), (gates * 5, 5), (gates * 5,),
            (gates * 5,))]
        x, lengths = rng.standard_normal((6, 3, 4)), [2, 6, 1]
        hx = h if len(h) == 2 else h[0]
        want = recurrent.padded(step)(x, hx, params, True, 1, 0.0, False, True, False, lengths)
        tensor = pydl.from_numpy
        got = getattr(pydl, name)(tensor(x), [tensor(v) for v in h] if len(h) == 2 else tensor(hx), [tensor(p) for p in
            params], True, 1, 0.0, False, True, False, lengths=pydl.tensor(lengths))
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(numpy(a), b, 1e-12, 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives(kind):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    ours, theirs = twins(torch, kind, 2, 3, bidirectional=True)
    x, y = pair(torch, rng.standard_normal((3, 2, 2)), True)
    found = []
    for lib, net, v in ((pydl, ours, x), (torch, theirs, y)):
        out, last = net(v)
        loss = (out**2).sum() + sum((h**3).sum() for h in (last if isinstance(last, tuple) else (last,)))
        first = lib.autograd.grad(loss, [v, *net.parameters()], create_graph=True)
        found.append(first + lib.autograd.grad(sum((g**2).sum() for g in first), [v, *net.parameters()]))
    assert_same(found[0], found[1], 1e-9, 1e-9)
    hx = pydl.autograd.gradgradcheck(lambda v: ours(v, lengths=pydl.tensor([2, 3]))[0], (x,))
    assert hx


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell", "RNNCell relu"])
def test_cells(kind):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    for bias, shape in itertools.product((True, False), ((3, 4), (4,))):
        ours, theirs = twins(torch, kind, 4, 6, bias=bias)
        x, y = pair(torch, rng.standard_normal(shape), True)
        h = [pair(torch, rng.standard_normal((*shape[:-1], 6)), True) for _ in range(2 if "LSTM" in kind else 1)]
        hx, hy = (v if len(v) == 2 else v[0] for v in zip(*h, strict=True))
        for a, b in ((ours(x), theirs(y)), (ours(x, hx), theirs(y, hy))):
            assert_same(a, b, 1e-11, 1e-12)
        first, second = (r[0] * r[1] if isinstance(r, tuple) else r for r in (ours(x, hx), theirs(y, hy)))
        first.sum().backward()
        second.sum().backward()
        for a, b in [(x, y), *h, *zip(ours.parameters(), theirs.parameters(), strict=True)]:
            assert_same(a.grad, b.grad, 1e-10, 1e-11)


def test_unbatched_and_functional():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    for kind, first in itertools.product(KINDS, (False, True)):
        ours, theirs = twins(torch, kind, 3, 4, num_layers=2, batch_first=first)
        x, y = pair(torch, rng.standard_normal((5, 3)))
        assert_same(tuple(leaves(ours(x))), tuple(leaves(theirs(y))), 1e-11, 1e-12)
    x, y = pair(torch, rng.standard_normal((5, 2, 3)))
    ours, theirs = twins(torch, "LSTM", 3, 4)
    results = [lib.lstm(v, (lib.zeros(1, 2, 4, dtype=lib.float64),) * 2, list(net.parameters()), True, 1, 0.0, False,
        False, False) for lib, net, v in ((pydl, ours, x), (torch, theirs, y))]
    assert_same(*results, 1e-11, 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_change_no_bit(kind, threads):
    for units, batch, steps in ((40, 12, 30), (300, 3, 6), (130, 70, 3)):
        net = layer(pydl, kind, 30, units, dtype="float32")
        x = pydl.randn(steps, batch, 30, requires_grad=True)
        want = None
        for n in (1, 2, 3, 5):
            threads(n)
            net.zero_grad()
            x.grad = None
            out, last = net(x)
            (out.square().sum() + sum(h.sum() for h in (last if isinstance(last, tuple) else (last,)))).backward()
            got = [numpy(v).tobytes() for v in (out, x.grad, *(p.grad for p in net.parameters()))]
            want = want or got
            assert got == want, f"{n} threads, {units} units"


@settings(max_examples=25, deadline=None, derandomize=True)
@given(kind=st.sampled_from(KINDS), features=st.integers(1, 20), units=st.integers(2, 70), steps=st.integers(1, 8),
    batch=st.integers(1, 20), layers=st.integers(1, 2), both=st.booleans(), first=st.booleans())
def test_shapes(kind, features, units, steps, batch, layers, both, first):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(units)
    ours, theirs = twins(torch, kind, features, units, num_layers=layers, bidirectional=both, batch_first=first)
    shape = (batch, steps, features) if first else (steps, batch, features)
    x, y = pair(torch, rng.standard_normal(shape), True)
    compare(torch, ours, theirs, [(x, y)], (ours(x), theirs(y)), rng, 1e-9, 1e-10)


def test_dropout_between_layers():
    pydl.manual_seed(0)
    net = nn.RNN(4, 2000, num_layers=2, nonlinearity="relu", dropout=0.25)
    with pydl.no_grad():
        for p in net.parameters():
            p.zero_()
        net.bias_ih_l0.fill_(1.0)
        net.weight_ih_l1.copy_(pydl.eye(2000))
        out = net(pydl.zeros(3, 2, 4))[0]
        assert out.unique().tolist() == [0.0, pytest.approx(4 / 3)]
        assert abs(float((out == 0).float().mean()) - 0.25) < 0.02
        assert bool((net.eval()(pydl.zeros(3, 2, 4))[0] == 1).all())
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        nn.GRU(2, 3, dropout=0.5)


def test_dropout_is_any_real_number():
    net = nn.LSTM(3, 4, 2, dropout=np.float32(0.5))
    assert type(net.dropout) is float and net.dropout == 0.5


def test_initial_values():
    net = nn.LSTM(30, 25, num_layers=2, bidirectional=True)
    for p in net.parameters():
        assert 0.15 < float(p.abs().max()) <= 0.2
    net.flatten_parameters()
    assert [len(w) for w in net.all_weights] == [4] * 4
    assert net.all_weights[3][1] is net.weight_hh_l1_reverse


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_halves(dtype):
    net = nn.GRU(5, 7).to(getattr(pydl, dtype))
    x = pydl.randn(4, 2, 5).to(getattr(pydl, dtype)).requires_grad_()
    out, h = net(x)
    assert out.dtype == h.dtype == x.dtype
    exact = net.float()(x.detach().float())[0]
    assert float((out.float() - exact).abs().max()) < 0.02
    out.sum().backward()
    assert x.grad.dtype == x.dtype


def test_other_activations():
    """An LSTM's and a GRU's activation, against autograd through the composite's formula."""
    rng = np.random.default_rng(6)
    names = {"tanh": pydl.tanh, "relu": pydl.relu, "sigmoid": pydl.sigmoid, "linear": lambda v: v}
    for name, f in names.items():
        x, h, c, *w = (pydl.from_numpy(rng.standard_normal(s)).requires_grad_() for s in
            ((3, 2, 4), (1, 2, 5), (1, 2, 5), (20, 4), (20, 5), (20,), (20,)))
        out = pydl.lstm(x, (h, c), w, True, 1, 0.0, True, False, False, activation=name)[0]
        state, cell, steps = h[0], c[0], []
        for t in range(3):
            i, g_f, g, o = (x[t] @ w[0].T + w[2] + state @ w[1].T + w[3]).chunk(4, 1)
            cell = g_f.sigmoid() * cell + i.sigmoid() * f(g)
            state = o.sigmoid() * f(cell)
            steps.append(state)
        want = pydl.stack(steps)
        np.testing.assert_allclose(numpy(out), numpy(want), 1e-12, 1e-12)
        for a, b in zip(pydl.autograd.grad(out.square().sum(), [x, h, c, *w]),
                pydl.autograd.grad(want.square().sum(), [x, h, c, *w]), strict=True):
            np.testing.assert_allclose(numpy(a), numpy(b), 1e-10, 1e-11)
    with pytest.raises(ValueError, match="activation"):
        pydl.lstm(x, (h, c), w, True, 1, 0.0, True, False, False, activation="swish")


# ---- sequences of different lengths --------------------------------------------------------------------------------
def test_padding_and_packing():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    arrays = [rng.standard_normal((n, 2)) for n in (4, 2, 5)]
    ours, theirs = [pydl.from_numpy(a.copy()) for a in arrays], [torch.from_numpy(a) for a in arrays]
    for first, value, side in itertools.product((False, True), (0.0, 7.5), ("left", "right")):
        assert_same(rnn_utils.pad_sequence(ours, first, value, side), torch.nn.utils.rnn.pad_sequence(theirs, first,
            value, side))
    a, b = rnn_utils.pack_sequence(ours, False), torch.nn.utils.rnn.pack_sequence(theirs, False)
    assert_same(tuple(a), tuple(b))
    assert_same(tuple(rnn_utils.unpack_sequence(a)), tuple(torch.nn.utils.rnn.unpack_sequence(b)))
    for first in (False, True):
        padded, lengths = rnn_utils.pad_packed_sequence(a, first)
        assert_same(tuple(rnn_utils.unpad_sequence(padded, lengths, first)), tuple(theirs))
    assert a.double() is a and not a.is_cuda
    for name in ("double", "float", "half", "long", "int", "short", "char", "byte"):
        assert_same(tuple(getattr(a, name)()), tuple(getattr(b, name)()))


def test_packing_takes_lengths_of_any_dtype():
    torch = pytest.importorskip("torch")
    for dtype in ("float32", "float64", "int32", "uint8"):
        ours, theirs = (lib.nn.utils.rnn.pack_padded_sequence(lib.arange(8).reshape(4, 2), lib.tensor([2, 3],
            dtype=getattr(lib, dtype)), enforce_sorted=False) for lib in (pydl, torch))
        assert_same(tuple(ours), tuple(theirs))


def test_padding_takes_the_first_dtype():
    torch = pytest.importorskip("torch")
    values = ([1, 2], [3.5], [4.5, 5.5])
    for order in itertools.permutations(values):
        ours, theirs = (lib.nn.utils.rnn.pad_sequence([lib.tensor(v) for v in order], padding_value=7)
            for lib in (pydl, torch))
        assert_same(ours, theirs)


def test_unpadding_beyond_the_batch():
    torch = pytest.importorskip("torch")
    for lengths in ([3, -1], [-3, 9], [0, 2]):
        assert_same(*(tuple(lib.nn.utils.rnn.unpad_sequence(lib.arange(6).reshape(3, 2), lib.tensor(lengths)))
            for lib in (pydl, torch)))


@pytest.mark.parametrize(("lengths", "sort", "error"), [([3, 0], True, RuntimeError), ([9, 1], True, RuntimeError),
    ([1, 3], True, RuntimeError), ([3], True, pydl.ShapeError), ([-1, 2], False, RuntimeError)])
def test_bad_lengths(lengths, sort, error):
    with pytest.raises(error, match="pack_padded_sequence: expected"):
        rnn_utils.pack_padded_sequence(pydl.zeros(4, 2, 3), lengths, enforce_sorted=sort)


@pytest.mark.parametrize("sizes", [[1, 2], [2, 2], [3, 0], [4, -1], []])
def test_batch_sizes_that_no_sequences_have(sizes):
    packed = rnn_utils.PackedSequence(pydl.zeros(3, 2), pydl.tensor(sizes, dtype=pydl.int64))
    for function in (rnn_utils.pad_packed_sequence, rnn_utils.unpack_sequence):
        with pytest.raises(pydl.ShapeError, match="pad_packed_sequence: expected batch_sizes"):
            function(packed)


def test_a_permutation_of_other_sequences():
    packed = rnn_utils.PackedSequence(pydl.zeros(3, 2), pydl.tensor([2, 1]), unsorted_indices=pydl.tensor([0]))
    with pytest.raises(pydl.ShapeError, match="expected a place for each of 2 sequences, got"):
        rnn_utils.pad_packed_sequence(packed)


def test_lengths_in_a_list():
    layer, x = nn.GRU(2, 3), pydl.randn(4, 2, 2)
    assert pydl.equal(layer(x, lengths=[4, 2])[0], layer(x, lengths=pydl.tensor([4, 2]))[0])


def test_bad_arguments():
    net, x = nn.LSTM(3, 4), pydl.zeros(5, 2, 3)
    state = pydl.zeros(1, 2, 4)
    for bad, error in ((lambda: net(pydl.zeros(5, 2, 7)), RuntimeError), (lambda: net(pydl.zeros(3)), ValueError),
            (lambda: net(x, state), ValueError), (lambda: net(x, (state, pydl.zeros(1, 3, 4))), RuntimeError),
            (lambda: net(x, (state[0], state[0])), RuntimeError), (lambda: net(x.double()), ValueError),
            (lambda: net(x, lengths=pydl.tensor([5, 6])), ValueError), (lambda: net(x, lengths=pydl.tensor([0, 1])),
            ValueError), (lambda: net(x, lengths=pydl.tensor([1])), RuntimeError), (lambda: net(pydl.zeros(0, 2, 3)),
            RuntimeError), (lambda: nn.LSTM(3, 4, proj_size=4), ValueError), (lambda: nn.RNN(3, 4, nonlinearity="elu"),
            ValueError), (lambda: nn.GRU(3, 0), ValueError), (lambda: nn.GRU(3, 4, dropout=2), ValueError),
            (lambda: nn.LSTMCell(3, 4)(pydl.zeros(2, 5)), RuntimeError), (lambda: nn.GRUCell(3, 4)(pydl.zeros(2, 3),
            pydl.zeros(3, 4)), RuntimeError), (lambda: nn.RNNCell(3, 4)(pydl.zeros(2, 3), pydl.zeros(4)),
            pydl.ShapeError), (lambda: nn.LSTMCell(3, 4)(pydl.zeros(3), (state[0], state[0])), pydl.ShapeError),
            (lambda: nn.LSTM(0, 4), ValueError), (lambda: nn.RNN(3, 4, proj_size=2), ValueError),
            (lambda: nn.GRU(3, 4, proj_size=0), ValueError), (lambda: nn.GRU(3, 4, dropout=1j), ValueError),
            (lambda: pydl.gru(x, state, [], True, 1, 0.0, True, False, False),
            ValueError), (lambda: pydl.rnn_tanh(pydl.zeros(3, 2), pydl.tensor([1, 2]), state, [], False, 1, 0.0, True,
            False), ValueError)):
        with pytest.raises(error):
            bad()


def test_empty_batch():
    out, h = nn.GRU(3, 4)(pydl.zeros(5, 0, 3))
    assert out.shape == (5, 0, 4) and h.shape == (1, 0, 4)


def test_failed_writes_are_noticed():
    """What the backward pass needs is checked for in-place writes."""
    out = nn.RNN(3, 4)(pydl.zeros(5, 2, 3))[0]
    out.add_(1)
    with pytest.raises(RuntimeError, match="in-?place"):
        out.sum().backward()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [None, [5, 3, 1]])
def test_the_last_backward_gives_what_a_kept_one_gives(kind, lengths):
    """The last one may write over what the layer saved; the ones before it may not."""
    ours = layer(pydl, kind, 6, 20)
    x = pydl.randn(5, 3, 6, dtype=pydl.float64, requires_grad=True)
    given = rnn_utils.pack_padded_sequence(x, pydl.tensor(lengths)) if lengths else x
    out = ours(given)[0]
    loss = (out.data if lengths else out).square().sum()
    leaves = [x, *ours.parameters()]
    found = [pydl.autograd.grad(loss, leaves, retain_graph=kept) for kept in (True, True, False)]
    for later in found[1:]:
        for first, again in zip(found[0], later, strict=True):
            np.testing.assert_array_equal(numpy(first), numpy(again))
    with pytest.raises(RuntimeError, match="retain_graph"):
        loss.backward()


@pytest.mark.parametrize("kind", KINDS)
def test_a_backward_that_failed_cannot_be_repeated(kind):
    x = pydl.randn(5, 3, 6, requires_grad=True)
    out = layer(pydl, kind, 6, 20, dtype="float32")(x)[0]
    refuse = out.grad_fn.register_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        out.sum().backward()
    refuse.remove()
    with pytest.raises(RuntimeError, match="retain_graph"):
        out.sum().backward()

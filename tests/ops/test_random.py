"""Random numbers are ours: they repeat with the seed, at any thread count, and have the right distribution."""
from __future__ import annotations

import math

import numpy as np
import pytest
from support import same_bits

import pydl

N = 200_000
CDF = {"rand": lambda x: np.clip(x, 0, 1), "randn": lambda x: np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x]),
    "exponential": lambda x: 1 - np.exp(-2 * x), "cauchy": lambda x: 0.5 + np.arctan(x) / math.pi,
    "uniform": lambda x: (x + 1) / 3,
    "log_normal": lambda x: np.array([0.5 * math.erfc(-math.log(v) / 0.5 / math.sqrt(2)) for v in x]),}
DRAW = {"rand": lambda: pydl.rand(N), "randn": lambda: pydl.randn(N),
    "exponential": lambda: pydl.empty(N).exponential_(2.0), "cauchy": lambda: pydl.empty(N).cauchy_(),
    "uniform": lambda: pydl.empty(N).uniform_(-1.0, 2.0), "log_normal": lambda: pydl.empty(N).log_normal_(0.0, 0.5),}
MORE = {"randint": lambda: pydl.randint(0, 100, (N,)), "randperm": lambda: pydl.randperm(1000),
    "bernoulli": lambda: pydl.bernoulli(pydl.full((N,), 0.3)),
    "dropout": lambda: pydl.nn.functional.dropout(pydl.ones(N), 0.3),
    "multinomial": lambda: pydl.multinomial(pydl.tensor([0.2, 0.3, 0.5]), 1000, replacement=True),
    "poisson": lambda: pydl.poisson(pydl.full((N,), 4.0)), "normal": lambda: pydl.normal(pydl.zeros(N), 2.0),
    "rand64": lambda: pydl.rand(N, dtype=pydl.float64),}


@pytest.mark.parametrize("name", [*DRAW, *MORE])
def test_seed_repeats(name: str, threads):
    draw = (DRAW | MORE)[name]
    pydl.manual_seed(7)
    first, second = draw(), draw()
    assert not same_bits(first, second)
    for n in (1, 3):
        threads(n)
        pydl.manual_seed(7)
        assert same_bits(draw(), first) and same_bits(draw(), second)
    pydl.manual_seed(8)
    assert not same_bits(draw(), first)


@pytest.mark.parametrize("name", DRAW)
def test_distribution(name: str):
    """Kolmogorov's distance to the distribution function, at a level that fails once in ten thousand seeds."""
    pydl.manual_seed(1)
    x = np.sort(DRAW[name]().numpy().astype(float))
    distance = np.max(np.abs(CDF[name](x[::50]) - (np.arange(0, N, 50) + 0.5) / N))
    assert distance < 2.3 / math.sqrt(N)


def test_moments():
    pydl.manual_seed(2)
    x = pydl.randn(N).numpy().astype(float)
    for got, want, spread in ((x.mean(), 0, 5), (x.var(), 1, 8), ((x**4).mean(), 3, 50)):
        assert abs(got - want) < spread / math.sqrt(N)
    pairs = np.corrcoef(x[:-1], x[1:])[0, 1]
    assert abs(pairs) < 5 / math.sqrt(N)
    p = pydl.poisson(pydl.full((N,), 4.0)).numpy()
    assert abs(p.mean() - 4) < 0.05 and abs(p.var() - 4) < 0.1
    g = pydl.empty(N).geometric_(0.3).numpy()
    assert abs(g.mean() - 1 / 0.3) < 0.05 and g.min() == 1
    b = pydl.bernoulli(pydl.full((N,), 0.3)).numpy()
    assert abs(b.mean() - 0.3) < 0.01 and set(np.unique(b)) == {0.0, 1.0}


def test_ranges():
    pydl.manual_seed(3)
    r = pydl.rand(N)
    assert r.min() >= 0 and r.max() < 1
    i = pydl.randint(-3, 4, (N,))
    assert i.dtype == pydl.int64 and sorted(set(i.tolist())) == list(range(-3, 4))
    counts = np.bincount(i.numpy() + 3)
    assert counts.min() > 0.95 * N / 7
    assert sorted(pydl.randperm(1000).tolist()) == list(range(1000))
    assert pydl.rand(1000, dtype=pydl.float16).max() < 1 and pydl.rand(1000, dtype=pydl.bfloat16).max() < 1


def test_dropout_scales():
    pydl.manual_seed(4)
    y = pydl.nn.functional.dropout(pydl.ones(N), 0.25)
    kept = y[y > 0]
    assert abs(kept.numel() / N - 0.75) < 0.01 and kept.min() == kept.max() == pytest.approx(1 / 0.75)
    x = pydl.ones(1000, requires_grad=True)
    y = pydl.nn.functional.dropout(x, 0.5)
    y.sum().backward()
    assert same_bits(x.grad, y)


@pytest.mark.parametrize("dtype", [pydl.float32, pydl.float64])
def test_dropout_draws_what_bernoulli_draws(dtype):
    for n in (1, 63, 64, 1000, 40001):
        x = pydl.rand(n, dtype=dtype) + 1
        pydl.manual_seed(n)
        kept = pydl.empty(n, dtype=dtype).bernoulli_(0.7)
        pydl.manual_seed(n)
        assert same_bits(pydl.nn.functional.dropout(x, 0.3), x * (kept * (1 / 0.7)))
    # Strided elements are numbered as the dense ones.
    x = pydl.rand(30, 70, dtype=dtype) + 1
    pydl.manual_seed(1)
    dense = pydl.nn.functional.dropout(x, 0.3)
    pydl.manual_seed(1)
    assert same_bits(pydl.nn.functional.dropout(x.t().contiguous().t(), 0.3).contiguous(), dense)


def test_dropout_backward_draws_again():
    x = pydl.randn(300, dtype=pydl.float64, requires_grad=True)
    y = pydl.nn.functional.dropout(x, 0.4)
    factor = (y / x).detach()
    (g,) = pydl.autograd.grad((y * y).sum(), x, create_graph=True)
    assert pydl.allclose(g, 2 * y * factor)
    (gg,) = pydl.autograd.grad(g.sum(), x)
    assert pydl.allclose(gg, 2 * factor * factor)


def test_multinomial():
    pydl.manual_seed(5)
    weights = pydl.tensor([0.0, 1.0, 3.0])
    drawn = np.bincount(pydl.multinomial(weights, N, replacement=True).numpy(), minlength=3)
    assert drawn[0] == 0 and abs(drawn[2] / N - 0.75) < 0.01
    assert sorted(pydl.multinomial(pydl.ones(9), 9).tolist()) == list(range(9))


def test_generators_are_independent():
    a, b = pydl.Generator().manual_seed(11), pydl.Generator().manual_seed(11)
    first = pydl.rand(5, generator=a)
    pydl.rand(5)
    assert same_bits(first, pydl.rand(5, generator=b)) and a.initial_seed() == 11
    state = a.get_state()
    second = pydl.rand(5, generator=a)
    a.set_state(state)
    assert same_bits(pydl.rand(5, generator=a), second)


def test_state_of_the_default_generator():
    pydl.manual_seed(6)
    state = pydl.get_rng_state()
    first = pydl.rand(3)
    pydl.set_rng_state(state)
    assert same_bits(pydl.rand(3), first)
    assert pydl.initial_seed() == 6 and isinstance(pydl.seed(), int)


def test_like_and_shapes():
    assert pydl.rand_like(pydl.zeros(2, 3, dtype=pydl.float64)).dtype == pydl.float64
    assert pydl.randn(2, 3, requires_grad=True).requires_grad
    assert pydl.randn(0, 3).shape == (0, 3) and pydl.randint(5, (2, 2)).shape == (2, 2)


def test_fork_rng():
    pydl.manual_seed(3)
    want = pydl.rand(4)
    pydl.manual_seed(3)
    with pydl.random.fork_rng():
        pydl.manual_seed(9)
        pydl.rand(7)
    assert pydl.rand(4).equal(want)
    pydl.manual_seed(3)
    with pydl.random.fork_rng(enabled=False):
        pydl.rand(7)
    assert not pydl.rand(4).equal(want)
    with pytest.raises(RuntimeError, match="fork_rng: expected no devices"), pydl.random.fork_rng(devices=[0]):
        pass


@pytest.mark.parametrize("draw", [
    lambda lib, **o: lib.rand(3, 4, **o), lambda lib, **o: lib.randn((3, 4), **o),
    lambda lib, **o: lib.normal(1.0, 2.0, (3, 4), **o), lambda lib, **o: lib.normal(lib.ones(3, 4), 2.0, **o),
    lambda lib, **o: lib.normal(1.0, lib.ones(3, 4), **o),
    lambda lib, **o: lib.normal(lib.ones(3, 4), lib.ones(4), **o),
    lambda lib, **o: lib.bernoulli(lib.full((3, 4), 0.5), **o), lambda lib, **o: lib.randint(5, (3, 4), **o),
    lambda lib, **o: lib.randint(-4, 5, (3, 4), **o)])
def test_out(draw):
    pydl.manual_seed(4)
    want = draw(pydl)
    for out in (pydl.empty(0, dtype=want.dtype), pydl.empty(4, 3, dtype=want.dtype).t()):
        pydl.manual_seed(4)
        assert draw(pydl, out=out) is out and out.tolist() == want.tolist()


def test_out_keeps_its_dtype():
    assert pydl.rand(5, out=pydl.empty(5, dtype=pydl.float64)).dtype == pydl.float64
    assert pydl.randint(5, (5,), out=pydl.empty(5)).dtype == pydl.float32
    out = pydl.empty(0, dtype=pydl.int32)
    assert sorted(pydl.randperm(5, out=out).tolist()) == list(range(5)) and out.dtype == pydl.int32
    assert pydl.multinomial(pydl.ones(3), 2, out=pydl.empty(0, dtype=pydl.int64)).shape == (2,)
    for call in (lambda: pydl.rand(5, out=pydl.empty(5), dtype=pydl.float64),
                 lambda: pydl.rand(5, out=pydl.empty(5, requires_grad=True)),
                 lambda: pydl.randint(300, (5,), out=pydl.empty(5, dtype=pydl.uint8))):
        with pytest.raises(RuntimeError, match="^rand(int)?: expected "):
            call()


def test_bernoulli_with_a_probability(torch_or_fail):
    for lib in (pydl, torch_or_fail):
        x = lib.zeros(2, 2, dtype=lib.int64)
        assert lib.bernoulli(x, 1.0).tolist() == x.bernoulli(1.0).tolist() == [[1, 1], [1, 1]]
        assert x.bernoulli(1.0).dtype == lib.int64 and not x.any()
        assert x.bernoulli_(lib.tensor([0.0, 1.0])).tolist() == [[0, 1], [0, 1]]
        with pytest.raises(RuntimeError):
            x.bernoulli(2.0)
        with pytest.raises(RuntimeError):
            x.bernoulli_(lib.tensor([0.0, 2.0]))


@pytest.mark.parametrize(("dtype", "low", "high"), [("uint8", 0, 257), ("uint8", -1, 5), ("int8", -129, 5),
    ("int8", 0, 129), ("bool", 0, 3), ("int16", 0, 2**15 + 1), ("int32", 0, 2**31 + 1), ("float16", 0, 70000)])
def test_integers_beyond_the_dtype(dtype: str, low: int, high: int, torch_or_fail):
    for lib in (pydl, torch_or_fail):
        t = getattr(lib, dtype)
        with pytest.raises(RuntimeError):
            lib.randint(low, high, (3,), dtype=t)
        with pytest.raises(RuntimeError):
            lib.randint_like(lib.zeros(3, dtype=t), low, high)
        with pytest.raises(RuntimeError):
            lib.zeros(3, dtype=t).random_(low, high)
        assert lib.randint(max(low, 0), min(high, 2), (3,), dtype=t).dtype == t
    with pytest.raises(RuntimeError, match=f"^randint: expected integers of {dtype}, from "):
        pydl.randint(low, high, (3,), dtype=getattr(pydl, dtype))


def test_normal_checks_its_deviations(torch_or_fail):
    for lib in (pydl, torch_or_fail):
        zeros = lib.zeros(2)
        for arguments in ((0.0, lib.tensor([1.0, -1.0])), (0.0, -1.0, (2,)), (zeros, lib.tensor([1.0, math.nan])),
                          (zeros, -1.0)):
            with pytest.raises(RuntimeError):
                lib.normal(*arguments)
        assert lib.normal(lib.zeros(2), lib.ones(2, dtype=lib.float64)).dtype == lib.float32
        assert lib.normal(lib.zeros(2), lib.ones(2, dtype=lib.int64)).dtype == lib.float32

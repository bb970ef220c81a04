"""Word2Vec: a reference in float64 with the same draws, the same bits for a seed, gensim's quality, clear errors."""
from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import missing, python

import pydl
from pydl.text import RegexTokenizer, Word2Vec, _word2vec
from pydl.text.word2vec import Progress

MASK = 2**64 - 1


def topics(sentences: int = 2000, seed: int = 0) -> list[list[str]]:
    """Sentences of eight words of one of ten topics, which have ten words each."""
    rng = np.random.default_rng(seed)
    about = rng.integers(0, 10, sentences)
    return [[f"t{topic}w{word}" for word in rng.integers(0, 10, 8)] for topic in about]


@pytest.fixture(scope="module")
def model() -> Word2Vec:
    return Word2Vec(20, epochs=3, sample=0).fit(topics())


# ---- The algorithm ---------------------------------------------------------------------------------------------------
class Draws:
    """SplitMix64, as the training draws."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def __call__(self) -> int:
        self.state = self.state + 0x9E3779B97F4A7C15 & MASK
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return z ^ z >> 31


def reference(inputs, outputs, sentences, keep, threshold, alias, window, negative, cbow, rate, seed):
    """Trains in place, written from the papers; returns (loss, predictions)."""
    draw, loss, predictions = Draws(seed), 0.0, 0

    def update(h: np.ndarray, word: int) -> np.ndarray:
        nonlocal loss, predictions
        targets = [word]
        for _ in range(negative):
            random = draw()
            column = (random >> 32) * len(threshold) >> 32
            drawn = column if random & 0xFFFFFFFF < threshold[column] else alias[column]
            if drawn != word:
                targets.append(drawn)
        scores = outputs[targets] @ h
        labels = np.arange(len(targets)) == 0
        loss += np.log1p(np.exp(np.where(labels, -scores, scores))).sum()
        predictions += 1
        g = rate * (labels - 1 / (1 + np.exp(-scores)))
        gradient = np.zeros_like(h)
        for target, slope in zip(targets, g):
            gradient += slope * outputs[target]
            outputs[target] += slope * h
        return gradient

    for sentence in sentences:
        kept = [word for word in sentence if keep[word] == 0xFFFFFFFF or draw() & 0xFFFFFFFF < keep[word]]
        for i, word in enumerate(kept):
            reach = window - ((draw() >> 32) * window >> 32)
            context = [kept[j] for j in range(max(i - reach, 0), min(i + reach + 1, len(kept))) if j != i]
            if cbow and context:
                step = update(inputs[context].mean(0), word)
                for other in context:
                    inputs[other] += step
            elif not cbow:
                for other in context:
                    inputs[other] += update(inputs[other].copy(), word)
    return loss, predictions


@pytest.mark.parametrize("isa", pydl._core.build_info()["runnable_isas"])
@pytest.mark.parametrize("cbow", [False, True])
def test_training_by_definition(cbow, isa):
    rng = np.random.default_rng(1)
    sentences = [rng.integers(0, 12, n).astype(np.int32) for n in (9, 1, 0, 14, 30)]
    inputs, outputs = pydl.zeros(12, 32), pydl.zeros(12, 32)
    inputs[:, :20] = pydl.tensor(rng.normal(size=(12, 20)) / 2)
    outputs[:, :20] = pydl.tensor(rng.normal(size=(12, 20)) / 2)
    keep = np.where(np.arange(12) < 3, 0x60000000, 0xFFFFFFFF).astype(np.uint32)
    threshold, alias = np.empty(12, np.uint32), np.empty(12, np.int32)
    _word2vec.alias_table(np.arange(1.0, 13.0), threshold, alias)
    starts = np.cumsum([0, *map(len, sentences)])
    expected = [inputs.numpy().astype(np.float64), outputs.numpy().astype(np.float64)]
    tables = (threshold.tolist(), alias.tolist())
    want = reference(*expected, [s.tolist() for s in sentences], keep.tolist(), *tables, 4, 6, cbow, 0.05, 99)
    words = np.concatenate(sentences)
    trainer = _word2vec.Trainer(
        inputs.numpy(), outputs.numpy(), words, starts, keep, threshold, alias, 4, 6, cbow, isa
    )  # fmt: skip
    loss, predictions = trainer.train(0, len(sentences), 0.05, 99)
    assert predictions == want[1] and loss == pytest.approx(want[0], rel=1e-3)
    for got, exact in zip((inputs, outputs), expected):  # the table of the sigmoid has 4,096 steps
        np.testing.assert_allclose(got.numpy(), exact, atol=2e-3)
        assert not got[:, 20:].numpy().any()


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=50))
def test_alias_table_is_exact(weights):
    weights = np.array(weights, np.float64)
    threshold, alias = np.empty(len(weights), np.uint32), np.empty(len(weights), np.int32)
    _word2vec.alias_table(weights, threshold, alias)
    kept = threshold / (2**32 - 1)
    share = kept.copy()
    np.add.at(share, alias, 1 - kept)
    np.testing.assert_allclose(share / len(weights), weights / weights.sum(), atol=1e-9)


def test_the_corpus_in_numbers():
    tokens, counts, words, starts = _word2vec.index(iter([["b", "a"], [], ("b",)]))
    assert tokens == ["b", "a"] and list(counts) == [2, 1] and list(words) == [0, 1, 0] and list(starts) == [0, 2, 2, 3]


# ---- The whole -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("algorithm", ["skip-gram", "cbow"])
@pytest.mark.parametrize("workers", [1, 3])
def test_topics_are_found(algorithm, workers):
    model = Word2Vec(20, algorithm=algorithm, epochs=5, sample=0, workers=workers).fit(topics())
    assert model.vectors.shape == model.output_vectors.shape == (100, 20) and model.vectors.dtype == pydl.float32
    for word in ("t0w0", "t5w5"):
        near = [other for other, _ in model.most_similar(word, topn=9)]
        assert all(other.startswith(word[:3]) for other in near)


def test_one_thread_repeats_bit_for_bit(model):
    again = Word2Vec(20, epochs=3, sample=0).fit(iter(topics()))
    assert np.array_equal(again.vectors.numpy(), model.vectors.numpy())
    assert np.array_equal(again.output_vectors.numpy(), model.output_vectors.numpy())
    other = Word2Vec(20, epochs=3, sample=0, seed=1).fit(topics())
    assert not np.array_equal(other.vectors.numpy(), model.vectors.numpy())


def test_instruction_sets_agree():
    code = """if True:
        from pydl.text import Word2Vec
        model = Word2Vec(33, epochs=2).fit([[f"w{i * i % 37}" for i in range(s, s + 9)] for s in range(300)])
        print(model.vectors.double().abs().sum().item())
    """
    sums = [float(python(code, PYDL_ISA=isa)) for isa in pydl._core.build_info()["runnable_isas"]]
    np.testing.assert_allclose(sums, sums[0], rtol=1e-3)


def test_long_sentences_and_rare_words():
    text = [f"w{i % 7}" for i in range(25_000)]
    text[100] = "once"
    model = Word2Vec(5, epochs=1).fit([text])
    assert len(model.vocab) == 7 and sum(model.vocab.counts.values()) == 24_999
    assert Word2Vec(5, min_count=1, max_size=3, epochs=1).fit([text]).vocab.tokens == ["w0", "w1", "w2"]
    single = Word2Vec(5, min_count=1).fit([["alone"]])
    assert single.vectors.isfinite().all().item() and not single.output_vectors.any().item()


def test_progress():
    reports: list[Progress] = []
    Word2Vec(20, epochs=3, sample=0).fit(topics(4000), reports.append)
    assert [r.epoch for r in reports] == sorted(r.epoch for r in reports) and reports[-1].epoch == 3
    assert reports[-1].words == reports[-1].total == 3 * 32_000 and reports[-1].words_per_second > 0
    assert reports[-1].loss < reports[0].loss
    assert 0.025 == reports[0].learning_rate > reports[-1].learning_rate > 1e-4
    for _ in range(10):  # whoever takes the last pieces
        Word2Vec(20, workers=3, epochs=1).fit(topics(), reports.append)
        assert reports[-1].words == reports[-1].total == 16_000

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    for workers in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            Word2Vec(20, workers=workers).fit(topics(), stop)


def test_neighbours_by_definition(model):
    vectors = model.vectors.numpy().astype(np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    tokens = model.vocab.tokens
    a, b, c = 3, 50, 77
    assert model.similarity(tokens[a], tokens[b]) == pytest.approx(unit[a] @ unit[b], abs=1e-5)
    target = unit[a] + unit[b] - unit[c]
    scores = unit @ (target / np.linalg.norm(target))
    order = [i for i in np.argsort(-scores) if i not in (a, b, c)][:4]
    got = model.most_similar([tokens[a], tokens[b]], tokens[c], topn=4)
    assert [word for word, _ in got] == [tokens[i] for i in order]
    np.testing.assert_allclose([score for _, score in got], scores[order], atol=1e-5)
    assert model.most_similar(model[tokens[a]], topn=1)[0][0] == tokens[a]
    assert len(model.most_similar(tokens[a], topn=1000)) == 99 and model.most_similar(tokens[a], topn=0) == []
    assert tokens[a] in model and "nothing" not in model


def test_save_and_load(model, tmp_path):
    from safetensors.numpy import load_file

    path = tmp_path / "vectors.safetensors"
    model.save(path)
    again = Word2Vec.load(path)
    assert again.options == model.options and again.vocab == model.vocab and again.vocab.counts == model.vocab.counts
    assert np.array_equal(again.vectors.numpy(), model.vectors.numpy())
    assert again.most_similar("t0w0") == model.most_similar("t0w0")
    assert np.array_equal(load_file(path)["vectors"], model.vectors.numpy())
    pydl.save({"vectors": pydl.ones(2)}, path)
    with pytest.raises(ValueError, match="Word2Vec.load: expected a file that Word2Vec.save wrote"):
        Word2Vec.load(path)


def test_bad_input(model):
    for wrong in (
        {"vector_size": 0}, {"window": 0}, {"window": 2.0}, {"negative": 0}, {"min_count": 0}, {"epochs": -1},
        {"workers": 0}, {"seed": -1}, {"algorithm": "glove"}, {"sample": -1}, {"sample": float("nan")},
        {"exponent": float("inf")}, {"learning_rate": -1.0}, {"learning_rate": 0.1, "min_learning_rate": 0.2},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="Word2Vec: expected"):
            Word2Vec(**wrong)
    for empty in ([], [[]], iter([[], []])):
        with pytest.raises(ValueError, match="expected sentences with at least one token, got none"):
            Word2Vec().fit(empty)
    with pytest.raises(ValueError, match="expected tokens seen min_count=5 times, got 2 at most"):
        Word2Vec().fit([["a", "a", "b"]])
    for text in ("to be", b"to be"):
        with pytest.raises(TypeError, match="got one text; a tokenizer makes them"):
            Word2Vec().fit(text)
    with pytest.raises(TypeError, match="expected sentences as lists of tokens, got 'to be'"):
        Word2Vec().fit(["to be"])
    with pytest.raises(TypeError, match="expected tokens of type str, got 3"):
        Word2Vec().fit([["a", 3]])
    untrained = Word2Vec()
    for use in (lambda: untrained.vectors, lambda: untrained["a"], lambda: untrained.save("x")):
        with pytest.raises(ValueError, match=r"expected a trained model, got one before fit\(sentences\)"):
            use()
    for use in (lambda: model["zebra"], lambda: model.most_similar("zebra"), lambda: model.similarity("zebra", "t0w0")):
        with pytest.raises(KeyError, match="got 'zebra'"):
            use()
    with pytest.raises(pydl.ShapeError, match=r"expected a vector \[20\], got \[3\]"):
        model.most_similar(pydl.ones(3))
    with pytest.raises(ValueError, match="expected at least one word"):
        model.most_similar([])
    with pytest.raises(ValueError, match="expected topn to be at least 0, got -1"):
        model.most_similar("t0w0", topn=-1)


# ---- gensim ----------------------------------------------------------------------------------------------------------
def told_apart(inputs: np.ndarray, outputs: np.ndarray, index: dict[str, int], sentences: list[list[str]]) -> float:
    """How often two words that stand together in a held-out sentence score higher than shuffled ones."""
    known = [[index[word] for word in sentence if word in index] for sentence in sentences]
    pairs = [(s[i], s[j]) for s in known for i in range(len(s)) for j in range(i + 1, min(i + 3, len(s)))]
    words, others = np.array(pairs).T
    shuffled = np.random.default_rng(0).permutation(others)
    true, false = ((inputs[words] * outputs[them]).sum(1) for them in (others, shuffled))
    return float((true > false).mean())


@pytest.mark.parametrize("algorithm", ["skip-gram", "cbow"])
def test_as_good_as_gensim(algorithm, data_or_fail):
    try:
        import gensim.models
    except ImportError:
        missing("gensim: pip install '.[peers]'")
    tokenizer = RegexTokenizer(r"\w+", lowercase=True)
    sentences = []
    for part in ("train", "val"):
        with gzip.open(data_or_fail / "multi30k" / f"{part}.en.gz", "rt", encoding="utf-8") as file:
            sentences.append([tokenizer(line) for line in file])
    train, held_out = sentences
    ours = Word2Vec(50, algorithm=algorithm, epochs=3).fit(train)
    sg = int(algorithm == "skip-gram")
    theirs = gensim.models.Word2Vec(train, vector_size=50, sg=sg, epochs=3, workers=1, seed=1)
    assert set(theirs.wv.index_to_key) == set(ours.vocab.tokens)
    index = {word: i for i, word in enumerate(ours.vocab)}
    got = told_apart(ours.vectors.numpy(), ours.output_vectors.numpy(), index, held_out)
    want = told_apart(theirs.wv.vectors, theirs.syn1neg, theirs.wv.key_to_index, held_out)
    assert got > want - 0.01

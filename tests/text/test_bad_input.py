"""Wrong calls: exceptions of the usual types that read `op: expected ..., got ...`, before anything is written."""
from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

import pydl
from pydl.text import (
    BPETokenizer,
    BucketSampler,
    CharTokenizer,
    CountVectorizer,
    RegexTokenizer,
    TfidfVectorizer,
    Vocab,
    WhitespaceTokenizer,
    Word2Vec,
    pad_sequences,
)
from pydl.text.decoding import beam_search, filter_logits, greedy_search, sample

SAYS = r"^[\w.]+: expected .*, got "
START = pydl.tensor([0])


def step(tokens, state):
    return pydl.zeros(tokens.size(0), 4), state


@pytest.fixture(scope="module")
def vocab():
    return Vocab([["to", "be"], ["or", "not", "to", "be"]], specials=["<pad>", "<unk>"], default="<unk>")


@pytest.fixture(scope="module")
def model():
    return Word2Vec(vector_size=5, epochs=1, min_count=1).fit([["a", "b", "c", "d"]] * 50)


@pytest.mark.parametrize("call", [
    lambda: Vocab(None),
    lambda: Vocab([None]),
    lambda: Vocab([[1, "a"]]),
    lambda: Vocab([[["a"]]]),
    lambda: Vocab([["a"]], specials="<unk>"),
    lambda: Vocab([["a"]], specials=[1]),
    lambda: Vocab([["a"]], min_freq="2"),
    lambda: Vocab([["a"]], min_freq=1.5),
    lambda: Vocab([["a"]], max_size="2"),
    lambda: Vocab.from_counts({"a": "x"}),
    lambda: Vocab.from_counts(["a"]),
    lambda: Vocab.from_tokens([["a"]]),
    lambda: Vocab.from_tokens(None),
    lambda: CharTokenizer()(None),
    lambda: CharTokenizer({"a": 0}),
    lambda: WhitespaceTokenizer().build_vocab(None),
    lambda: WhitespaceTokenizer().build_vocab([1]),
    lambda: RegexTokenizer(rb"\w+"),
    lambda: BPETokenizer(special_tokens="<pad>"),
    lambda: BPETokenizer(special_tokens=None),
    lambda: BPETokenizer().train(["ab ab"], 300.5),
    lambda: BPETokenizer().train(["ab ab"], 300, min_freq="2"),
    lambda: BPETokenizer().train(5, 300),
    lambda: BPETokenizer().train([1], 300),
    lambda: BPETokenizer().encode_batch("ab"),
    lambda: BPETokenizer().decode([1.5]),
    lambda: BPETokenizer().decode("ab"),
    lambda: BPETokenizer().decode(pydl.tensor([[1, 2]])),
    lambda: BPETokenizer().decode(pydl.tensor([1.0])),
    lambda: pad_sequences([[1.5]]),
    lambda: pad_sequences([[None]]),
    lambda: pad_sequences(["ab"]),
    lambda: pad_sequences([1, 2]),
    lambda: pad_sequences(None),
    lambda: pad_sequences([[1]], max_length="2"),
    lambda: pad_sequences([pydl.tensor([1.0])]),
    lambda: BucketSampler([1.5], 2),
    lambda: BucketSampler(None, 2),
    lambda: BucketSampler(pydl.zeros(2), 2),
    lambda: CountVectorizer(ngram_range=(1.5, 2)),
    lambda: CountVectorizer(max_df="a"),
    lambda: CountVectorizer(min_df=None),
    lambda: CountVectorizer(max_features=2.5),
    lambda: CountVectorizer(stop_words=5),
    lambda: CountVectorizer(token_pattern=5),
    lambda: CountVectorizer(tokenizer=5),
    lambda: CountVectorizer(vocabulary=5),
    lambda: CountVectorizer(dtype=None),
    lambda: CountVectorizer().fit([None]),
    lambda: CountVectorizer().fit(None),
    lambda: CountVectorizer(tokenizer=lambda text: None).fit(["a"]),
    lambda: CountVectorizer(tokenizer=lambda text: [1], ngram_range=(1, 2)).fit(["a"]),
    lambda: TfidfVectorizer().fit([5]),
    lambda: Word2Vec(sample="a"),
    lambda: Word2Vec(learning_rate=None),
    lambda: Word2Vec().fit(None),
    lambda: Word2Vec().fit([None]),
    lambda: Word2Vec().fit([[["a"]]]),
    lambda: filter_logits(pydl.zeros(4), temperature="a"),
    lambda: filter_logits(pydl.zeros(4), top_k=1.5),
    lambda: filter_logits(pydl.zeros(4), top_p="a"),
    lambda: greedy_search(step, [0], max_length=2),
    lambda: greedy_search(step, START, max_length=1.5),
    lambda: greedy_search(lambda t, s: pydl.zeros(1, 4), START, max_length=2),
    lambda: sample(step, START, max_length=2, temperature="a"),
    lambda: sample(lambda t, s: ([[0.0]], s), START, max_length=2),
    lambda: beam_search(step, START, beams=1.5, max_length=2),
    lambda: beam_search(step, START, beams=2, max_length=2, length_penalty="a"),
])
def test_wrong_types(call):
    with pytest.raises(TypeError, match=SAYS):
        call()


@pytest.mark.parametrize("call", [
    lambda: Vocab([["a"]], default=5),
    lambda: CharTokenizer(errors="bogus"),
    lambda: RegexTokenizer("("),
    lambda: BPETokenizer(pattern="("),
    lambda: BPETokenizer(special_tokens=[1]),
    lambda: BPETokenizer().train(["ab ab"], 300, min_freq=0),
    lambda: BPETokenizer().decode([100], errors="bogus"),
    lambda: CountVectorizer(ngram_range=None),
    lambda: CountVectorizer(ngram_range=(1, 2, 3)),
    lambda: CountVectorizer(token_pattern="("),
    lambda: CountVectorizer(errors="bogus"),
    lambda: Word2Vec(max_size=0),
    lambda: Word2Vec(max_size="a"),
    lambda: beam_search(step, START, beams=2, max_length=2, length_penalty=float("nan")),
])
def test_wrong_values(call):
    with pytest.raises(ValueError, match=SAYS):
        call()


def test_what_is_no_token_is_not_taken_for_an_unknown_one(vocab):
    out = pydl.full((2,), 7, dtype=pydl.int64)
    for tokens in ([["to"], ["be"]], ["to", None], [5, "be"]):
        for call in (lambda tokens=tokens: vocab(tokens), lambda tokens=tokens: vocab.lookup(tokens, out)):
            with pytest.raises(TypeError, match=SAYS):
                call()
    assert out.tolist() == [7, 7] and ["to"] not in vocab
    with pytest.raises(TypeError, match=SAYS):
        vocab.lookup(["to"], np.zeros(1, np.int64))
    for indices in ([1.0], pydl.tensor([[1]]), pydl.tensor([1.5]), "ab", None, 3, pydl.tensor(1)):
        with pytest.raises(TypeError, match=SAYS):
            vocab.lookup_tokens(indices)


def test_numbers_beyond_64_bits():
    for call in (lambda: pad_sequences([[2**63]]), lambda: pad_sequences([[1]], value=2**63)):
        with pytest.raises(OverflowError, match="pad_sequences: expected integers of 64 bits, got 92233"):
            call()


def test_a_single_text_is_no_batch():
    tokenizer = CharTokenizer()
    tokenizer.build_vocab("abc")
    with pytest.raises(TypeError, match=r"CharTokenizer.encode_batch: expected a list of texts, got one text"):
        tokenizer.encode_batch("abc")


@pytest.mark.parametrize("text", [
    '{"tokens": ["a"], "counts": [-1], "default": null}', '{"tokens": ["a"], "counts": ["x"], "default": null}',
    '{"tokens": {"a": 1}, "counts": [1], "default": null}', '{"tokens": ["a"], "counts": {"a": 1}, "default": null}',
    '{"tokens": "ab", "counts": [1, 1], "default": null}', '{"tokens": ["a"], "counts": [1], "default": ["a"]}', "[1]",
])  # fmt: skip
def test_vocabularies_from_damaged_files(text, tmp_path):
    (tmp_path / "vocab").write_text(text)
    with pytest.raises(ValueError, match=r"Vocab.load: expected a file that Vocab.save wrote"):
        Vocab.load(tmp_path / "vocab")


def test_merges_from_damaged_files(tmp_path):
    tokenizer = BPETokenizer()
    tokenizer.train(["ab ab"], 257)
    tokenizer.save(tmp_path / "bpe")
    values = json.loads((tmp_path / "bpe").read_text())
    (tmp_path / "bpe").write_text(json.dumps(values | {"merges": [[97.9, 98]]}))
    with pytest.raises(ValueError, match=r"BPETokenizer.load: expected a file of format"):
        BPETokenizer.load(tmp_path / "bpe")


def test_training_that_fails_changes_nothing():
    tokenizer = BPETokenizer(special_tokens=["Ã©"])  # as the two bytes of "é" are written
    with pytest.raises(ValueError, match="expected special tokens spelled unlike .* got 'Ã©', as which b"):
        tokenizer.train("é é é", 300)
    assert tokenizer.merges == [] and tokenizer.decode(tokenizer.encode("é")) == "é"


def test_word_vectors_from_damaged_files(model, tmp_path):
    path = tmp_path / "vectors"
    about = {"vocab": model.vocab.to_dict(), "options": asdict(model.options)}
    good = pydl.zeros(4, 5)
    for vectors, outputs, text in (
        (pydl.zeros(3, 5), good, json.dumps(about)), (good, pydl.zeros(2, 2), json.dumps(about)),
        (good.double(), good, json.dumps(about)), (good, good, "nonsense"), (good, good, "{}"),
        (good, good, json.dumps(about | {"options": {"bogus": 1}})), (good, good, pydl.zeros(2)),
    ):  # fmt: skip
        pydl.save({"vectors": vectors, "output_vectors": outputs, "word2vec": text}, path)
        with pytest.raises(ValueError, match=r"Word2Vec.load: expected a file that Word2Vec.save wrote"):
            Word2Vec.load(path)


def test_questions_to_word_vectors(model):
    for call in (lambda: model.most_similar(None), lambda: model.most_similar(5), lambda: model[["a", "b"]],
                 lambda: model.most_similar("a", topn=1.5), lambda: model.most_similar([["a"]])):
        with pytest.raises(TypeError, match=SAYS):
            call()
    with pytest.raises(ValueError, match="expected a vector of finite numbers"):
        model.most_similar(pydl.full((5,), float("nan")))
    # Words and vectors may be mixed, and what is taken away counts beside a vector, too.
    direction = model["a"] / model["a"].norm()
    mixed, words = (dict(model.most_similar([first, "b"], ["c"])) for first in (direction, "a"))
    assert mixed["d"] == pytest.approx(words["d"]) and "a" in mixed and "a" not in words
    assert model.most_similar(direction, negative="b") != model.most_similar(direction)

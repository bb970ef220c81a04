"""Bag of words and TF-IDF: scikit-learn's numbers to the last bit, and clear errors."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import missing

import pydl
from pydl.text import CountVectorizer, RegexTokenizer, TfidfVectorizer, Vocab

TEXTS = [
    "To be, or not to be: that is the question", "Whether 'tis nobler in the mind", "to suffer the slings and arrows",
    "of outrageous fortune, or to take arms", "against a sea of troubles", "", "to die: to sleep; no more",
    "Größe und Straße and Größe", "the the the the end",
]  # fmt: skip

OPTIONS = [
    {},
    {"lowercase": False},
    {"ngram_range": (1, 2)},
    {"ngram_range": (2, 3)},
    {"min_df": 2},
    {"max_df": 0.4},
    {"min_df": 0.2, "max_df": 3},
    {"max_features": 5},
    {"max_features": 7, "ngram_range": (1, 2), "max_df": 2},
    {"binary": True},
    {"stop_words": ["the", "to", "of"]},
    {"stop_words": ["the", "to"], "ngram_range": (1, 3)},
    {"token_pattern": r"[a-z]+"},
    {"token_pattern": r"(\w)\w+"},
    {"vocabulary": ["the", "to", "be", "absent"]},
]
WEIGHTS = [
    {},
    {"norm": "l1"},
    {"norm": None},
    {"use_idf": False},
    {"smooth_idf": False},
    {"sublinear_tf": True},
    {"sublinear_tf": True, "norm": "l1", "smooth_idf": False},
]


@pytest.fixture(scope="module")
def sklearn_text():
    try:
        from sklearn.feature_extraction import text
    except ImportError:
        missing("scikit-learn: pip install '.[peers]'")
    return text


def same(ours, theirs) -> None:
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_counts_are_those_of_scikit_learn(sklearn_text, options):
    ours, theirs = CountVectorizer(**options, output="numpy"), sklearn_text.CountVectorizer(**options)
    same(ours.fit_transform(TEXTS), theirs.fit_transform(TEXTS).toarray())
    assert ours.get_feature_names_out().tolist() == theirs.get_feature_names_out().tolist()
    other = ["to the sea", "and nothing known?", "end END the end of it"]
    same(ours.transform(other), theirs.transform(other).toarray())
    same(CountVectorizer(**options, output="numpy").fit(TEXTS).transform(TEXTS), theirs.transform(TEXTS).toarray())


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
@pytest.mark.parametrize("options", OPTIONS[:-1], ids=str)
def test_weights_are_those_of_scikit_learn(sklearn_text, options, weights):
    ours = TfidfVectorizer(**options, **weights, output="numpy")
    theirs = sklearn_text.TfidfVectorizer(**options, **weights)
    same(ours.fit_transform(TEXTS), theirs.fit_transform(TEXTS).toarray())
    same(ours.transform(TEXTS[::-1]), theirs.transform(TEXTS[::-1]).toarray())
    if weights.get("use_idf", True):
        same(ours.idf.numpy(), theirs.idf_)


@settings(deadline=None)
@given(
    st.lists(st.text("abc ", max_size=20), min_size=1, max_size=8),
    st.sampled_from([(1, 1), (1, 2), (2, 2)]),
    st.booleans(),
    st.sampled_from(["l1", "l2", None]),
)
def test_random_texts(sklearn_text, texts, ngram_range, sublinear_tf, norm):
    options = {"ngram_range": ngram_range, "sublinear_tf": sublinear_tf, "norm": norm, "token_pattern": r"\w+"}
    ours, theirs = TfidfVectorizer(**options, output="numpy"), sklearn_text.TfidfVectorizer(**options)
    try:
        want = theirs.fit_transform(texts).toarray()
    except ValueError:
        with pytest.raises(ValueError, match="TfidfVectorizer: expected texts with at least one term"):
            ours.fit(texts)
    else:
        same(ours.fit_transform(texts), want)


def test_on_real_text(sklearn_text, data_or_fail):
    texts = (data_or_fail / "rt-polarity.pos").read_text().splitlines()[:2000]
    options = {"ngram_range": (1, 2), "min_df": 2, "sublinear_tf": True}
    ours, theirs = TfidfVectorizer(**options, output="csr"), sklearn_text.TfidfVectorizer(**options)
    got, want = ours.fit_transform(texts), theirs.fit_transform(texts)
    for part in ("indptr", "indices", "data"):
        assert np.array_equal(getattr(got, part), getattr(want, part))


def test_forms_of_the_result(sklearn_text):
    dense = CountVectorizer().fit_transform(TEXTS)
    assert isinstance(dense, pydl.Tensor) and dense.dtype == pydl.int64
    assert np.array_equal(CountVectorizer(output="csr").fit_transform(TEXTS).toarray(), dense.numpy())
    single = TfidfVectorizer(dtype=pydl.float32).fit_transform(TEXTS)
    assert single.dtype == pydl.float32
    theirs = sklearn_text.TfidfVectorizer(dtype=np.float32).fit_transform(TEXTS).toarray()
    np.testing.assert_allclose(single.numpy(), theirs, rtol=3e-7)
    assert CountVectorizer().fit(TEXTS).transform([]).shape[0] == 0
    assert CountVectorizer(dtype=pydl.float32).fit_transform(TEXTS).dtype == pydl.float32


def test_own_tokenizers_and_vocabularies():
    words = CountVectorizer(tokenizer=RegexTokenizer(r"\w|,"), vocabulary=Vocab([["b", ",", "b"]]))
    assert words.fit_transform(["B,b a", b","]).tolist() == [[2, 1], [0, 1]]
    assert words.vocab.tokens == ["b", ","]


@pytest.mark.parametrize("vocabulary", [{"b": 1, "a": 0}, {"a": 1, "b": 0, "c": 2}, {"c", "b", "a"}, ["b", "a"]])
def test_columns_of_a_given_vocabulary(sklearn_text, vocabulary):
    texts = ["a b b", "c"]
    for name in ("CountVectorizer", "TfidfVectorizer"):
        options = {"vocabulary": vocabulary, "token_pattern": r"\w"}
        theirs, ours = getattr(sklearn_text, name)(**options), globals()[name](output="numpy", **options)
        same(ours.fit_transform(texts), theirs.fit_transform(texts).toarray())
        assert ours.get_feature_names_out().tolist() == theirs.get_feature_names_out().tolist()


@pytest.mark.parametrize("kind", [list, tuple])
def test_tokenizers_without_a_pattern(sklearn_text, kind):
    options = {"tokenizer": lambda text: kind(text.split()), "token_pattern": None, "ngram_range": (1, 2)}
    theirs, ours = sklearn_text.CountVectorizer(**options), CountVectorizer(output="numpy", **options)
    same(ours.fit_transform(TEXTS), theirs.fit_transform(TEXTS).toarray())


def test_bad_input():
    for texts in ([], ["", "a"], ["!"]):
        with pytest.raises(ValueError, match="CountVectorizer: expected texts with at least one term, got none"):
            CountVectorizer().fit(texts)
    with pytest.raises(ValueError, match="expected texts with at least one term"):
        TfidfVectorizer(stop_words=["the"]).fit(["the the"])
    with pytest.raises(TypeError, match="expected a list of texts, got one text"):
        CountVectorizer().fit("to be")
    with pytest.raises(TypeError, match="expected text as str or bytes, got list"):
        CountVectorizer().fit([["to", "be"]])
    with pytest.raises(UnicodeDecodeError, match="in text 1, line 1, byte 2"):
        CountVectorizer().fit([b"fine", b"fi\xff"])
    assert CountVectorizer(errors="ignore").fit([b"fi\xff"]).vocab.tokens == ["fi"]
    with pytest.raises(ValueError, match=r"expected a term in 3 to 2 texts|expected max_df to allow"):
        CountVectorizer(min_df=3, max_df=2).fit(TEXTS)
    with pytest.raises(ValueError, match="expected a term in 9 to 9 texts, got none"):
        CountVectorizer(min_df=9).fit(TEXTS)
    for vectorizer in (CountVectorizer(), TfidfVectorizer(), TfidfVectorizer(vocabulary=["a"])):
        with pytest.raises(ValueError, match=r"expected a fitted vectorizer, got one before fit\(texts\)"):
            vectorizer.transform(TEXTS)
    with pytest.raises(ValueError, match="expected 'absent' in a text where smooth_idf=False, got it in none"):
        TfidfVectorizer(vocabulary=["the", "absent"], smooth_idf=False).fit(TEXTS)
    with pytest.raises(ValueError, match="fitted with use_idf"):
        _ = TfidfVectorizer(use_idf=False).fit(TEXTS).idf
    for wrong, message in (
        ({"ngram_range": (2, 1)}, "ngram_range"), ({"max_df": 1.5}, "max_df"), ({"min_df": -1}, "min_df"),
        ({"max_features": 0}, "max_features"), ({"stop_words": "english"}, "stop_words"), ({"output": "x"}, "output"),
        ({"vocabulary": []}, "a vocabulary"), ({"vocabulary": ["a", "a"]}, "different tokens"),
        ({"token_pattern": "(a)(b)"}, "token_pattern"),
        ({"vocabulary": {"a": 0, "b": 2}}, "a vocabulary with a term for each of 2 columns, got none for column 1"),
        ({"vocabulary": {"a": 1, "b": 1}}, "a vocabulary .* got none for column 0"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"expected {message}"):
            CountVectorizer(**wrong)
    with pytest.raises(TypeError, match="expected a token_pattern or a tokenizer, got neither"):
        CountVectorizer(token_pattern=None)
    with pytest.raises(ValueError, match="expected norm to be l1, l2 or None, got 'max'"):
        TfidfVectorizer(norm="max")
    with pytest.raises(ValueError, match="expected dtype float32 or float64"):
        TfidfVectorizer(dtype=pydl.int64)
    with pytest.raises(TypeError, match="unexpected keyword argument 'analyzer'"):
        TfidfVectorizer(analyzer="char")

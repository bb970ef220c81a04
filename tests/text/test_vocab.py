"""Tokenizers with a vocabulary, padding, batches by length, reading: results, and what wrong input says."""
from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import python

import pydl
from pydl.text import (
    BucketSampler,
    CharTokenizer,
    RegexTokenizer,
    Tokenizer,
    Vocab,
    WhitespaceTokenizer,
    pad_sequences,
    read_lines,
)
from pydl.utils.data import DataLoader

LISTS = [["b", "a", "b"], ["c", "b", "a"], ["d"]]


# ---- Vocabularies ----------------------------------------------------------------------------------------------------
def test_order_and_sizes():
    assert Vocab(LISTS).tokens == ["b", "a", "c", "d"]
    assert Vocab(LISTS).counts == {"b": 3, "a": 2, "c": 1, "d": 1}
    assert Vocab(LISTS, min_freq=2).tokens == ["b", "a"]
    assert Vocab(LISTS, specials=["<pad>", "a"], max_size=3).tokens == ["<pad>", "a", "b"]
    assert Vocab(LISTS, max_size=0).tokens == []
    vocab = Vocab.from_tokens(["x", "y"])
    assert list(vocab) == ["x", "y"] and len(vocab) == 2 and repr(vocab) == "Vocab(2 tokens, default=None)"


def test_lookup_with_a_default():
    vocab = Vocab(LISTS, specials=["<unk>"], default="<unk>")
    found = vocab.lookup(["a", "z", "b"])
    assert found.dtype == pydl.int64 and found.tolist() == vocab(["a", "z", "b"]) == [2, 0, 1]
    out = pydl.zeros(2, dtype=pydl.int64)
    assert vocab.lookup(iter(["d", "?"]), out) is out and out.tolist() == [4, 0]
    assert vocab.lookup_tokens(found) == ["a", "<unk>", "b"] and vocab.lookup_tokens(np.array([3])) == ["c"]
    assert vocab.lookup([]).shape == (0,) and vocab["?"] == 0 and "?" not in vocab


def test_unknown_tokens_are_named_and_nothing_is_written():
    vocab = Vocab(LISTS)
    out = pydl.full((2,), 7, dtype=pydl.int64)
    for call in (lambda: vocab(["a", "zebra"]), lambda: vocab["zebra"], lambda: vocab.lookup(["a", "zebra"], out)):
        with pytest.raises(KeyError, match="expected a token of the vocabulary, got 'zebra'"):
            call()
    assert out.tolist() == [7, 7]
    for wrong in (pydl.zeros(3, dtype=pydl.int64), pydl.zeros(2), pydl.zeros(4, dtype=pydl.int64)[::2]):
        with pytest.raises(pydl.ShapeError, match=r"Vocab.lookup: expected out to be contiguous int64 \[2\]"):
            vocab.lookup(["a", "b"], wrong)
    for index in (-1, 4):
        with pytest.raises(IndexError, match=rf"expected indices in \[0, 4\), got {index}"):
            vocab.lookup_tokens([0, index])


def test_wrong_vocabularies():
    with pytest.raises(TypeError, match="expected lists of tokens, got 'to be'"):
        Vocab(["to be"])
    vocab = Vocab(LISTS)
    for call in (vocab, vocab.lookup):
        for text in ("abc", b"abc"):
            with pytest.raises(TypeError, match="expected lists of tokens, got b?'abc'; a tokenizer makes them"):
                call(text)
    with pytest.raises(TypeError, match="expected tokens of type str, got 3"):
        Vocab.from_tokens(["a", 3])
    with pytest.raises(ValueError, match="got 'a' twice"):
        Vocab.from_tokens(["a", "b", "a"])
    with pytest.raises(ValueError, match="expected default to be one of the tokens, got '<unk>'"):
        Vocab(LISTS, default="<unk>")
    with pytest.raises(ValueError, match="expected min_freq to be at least 1, got 0"):
        Vocab(LISTS, min_freq=0)
    with pytest.raises(ValueError, match="expected max_size to hold 2 special tokens, got 1"):
        Vocab(LISTS, specials=["<a>", "<b>"], max_size=1)


@settings(deadline=None)
@given(st.lists(st.lists(st.text(max_size=3))))
def test_saved_vocabularies_are_the_same(tmp_path_factory, lists):
    path = tmp_path_factory.mktemp("vocab") / "vocab.json"
    vocab = Vocab(lists, specials=["<unknown>"], default="<unknown>")
    vocab.save(path)
    again = Vocab.load(path)
    assert again == vocab and again.counts == vocab.counts
    for tokens in lists:
        assert vocab.lookup_tokens(again.lookup(tokens)) == tokens


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "vocab.json"
    for text in ("{}", "[]", "3", "not JSON", '{"tokens": ["a", "a"], "counts": [], "default": null}',
            '{"tokens": ["a", "b"], "counts": [1], "default": null}', '{"tokens": ["a"], "counts": 1, "default": null}',
            '{"tokens": ["a"], "counts": [1, 2], "default": null}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="Vocab.load: expected a file that Vocab.save wrote"):
            Vocab.load(path)


# ---- Tokenizers ------------------------------------------------------------------------------------------------------
def test_splitting():
    text = "To be,\tor  not\nTÖ be"
    assert WhitespaceTokenizer()(text) == text.split()
    assert WhitespaceTokenizer(lowercase=True)(text)[-2] == "tö"
    assert RegexTokenizer()(text) == ["To", "be", ",", "or", "not", "TÖ", "be"]
    assert RegexTokenizer(r"(\w)\w*")(text) == ["T", "b", "o", "n", "T", "b"]
    assert RegexTokenizer(re.compile("b."))(text.encode()) == ["be", "be"]
    assert CharTokenizer()("añ🙂") == ["a", "ñ", "🙂"]
    with pytest.raises(ValueError, match="at most one group, got 2"):
        RegexTokenizer("(a)(b)")


def test_encoding_with_a_vocabulary():
    tokenizer = RegexTokenizer(lowercase=True)
    with pytest.raises(ValueError, match=r"RegexTokenizer: expected a vocabulary, got none; build_vocab"):
        tokenizer.encode("to")
    for empty in ([], ["", " "], ""):
        with pytest.raises(ValueError, match="RegexTokenizer.build_vocab: expected texts with at least one token"):
            tokenizer.build_vocab(empty, specials=["<unk>"])
    with pytest.raises(ValueError, match="expected texts with at least one token seen min_freq=3 times, got none"):
        tokenizer.build_vocab(["To be or not to be"], specials=["<unk>"], min_freq=3)
    vocab = tokenizer.build_vocab(["To be or not to be"], specials=["<unk>"], default="<unk>", min_freq=2)
    assert vocab is tokenizer.vocab and vocab.tokens == ["<unk>", "be", "to"]
    assert tokenizer.encode_batch(["to be", "not"]) == [[2, 1], [0]]
    assert tokenizer.decode(pydl.tensor([2, 1])) == "to be"
    shared = WhitespaceTokenizer(vocab)
    assert shared.encode("to be") == [2, 1]


def test_malformed_bytes_say_where():
    with pytest.raises(UnicodeDecodeError, match="invalid start byte, in line 2, byte 3"):
        WhitespaceTokenizer()(b"one\ntwo\xff")
    assert WhitespaceTokenizer(errors="replace")(b"two\xff") == ["two\ufffd"]
    assert CharTokenizer(errors="ignore")(b"a\xffb") == ["a", "b"]
    with pytest.raises(TypeError, match="expected text as str or bytes, got list"):
        CharTokenizer()(["a"])


def test_own_tokenizers():
    class Halves(Tokenizer):
        def split(self, text: str) -> list[str]:
            return [text[: len(text) // 2], text[len(text) // 2 :]]

    assert Halves()("abcd") == ["ab", "cd"]


def test_reading_lines(tmp_path):
    plain, packed, broken = tmp_path / "a.txt", tmp_path / "a.txt.gz", tmp_path / "b.txt"
    data = "one\r\ntwo\u2028still\x0ctwo\n\nfour".encode()
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    assert list(read_lines(plain)) == list(read_lines(packed)) == ["one", "two\u2028still\x0ctwo", "", "four"]
    broken.write_bytes(b"fine\nm\xe4nner\n")
    with pytest.raises(UnicodeDecodeError, match=r"b.txt, line 2; errors='replace'"):
        list(read_lines(broken))
    assert list(read_lines(broken, encoding="latin-1")) == ["fine", "männer"]
    assert list(read_lines(str(broken), errors="ignore")) == ["fine", "mnner"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037"])
def test_reading_lines_in_any_encoding(tmp_path, encoding):
    # The bytes of U+0A0A, U+0A41 and U+410A hold those of "\n".
    lines = ["one\x0ctwo", "", "\u0a0a\u0a41\u410a\u2028", "four"] if encoding != "cp037" else ["\x8e", "", "four"]
    for end in ("", "\n"):
        path = tmp_path / "a.txt"
        path.write_bytes(("\r\n".join(lines) + end).encode(encoding))
        assert list(read_lines(path, encoding)) == lines
    path.write_bytes(b"")
    assert list(read_lines(path, encoding)) == []


def test_malformed_lines_of_wide_characters(tmp_path):
    path = tmp_path / "a.txt"
    for encoding, order, mark in (("utf-16-le", "le", b""), ("utf-16-be", "be", b""), ("utf-16", "be", b"\xfe\xff")):
        data = mark + "one\ntwo\nt\ud800hree\n".encode(f"utf-16-{order}", "surrogatepass")
        path.write_bytes(data)
        with pytest.raises(UnicodeDecodeError, match=r"a.txt, line 3; errors='replace'"):
            list(read_lines(path, encoding))
        assert list(read_lines(path, encoding, errors="ignore"))[-1] == "three"
        path.write_bytes(data[: data.index("two".encode(f"utf-16-{order}")) + 3])
        with pytest.raises(UnicodeDecodeError, match=r"truncated data, in .*a.txt, line 2"):
            list(read_lines(path, encoding))


# ---- Padding and batches ---------------------------------------------------------------------------------------------
@given(
    st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6), max_size=5),
    st.none() | st.integers(0, 7),
    st.sampled_from(["right", "left"]),
    st.sampled_from(["right", "left"]),
)
def test_padding_by_definition(rows, max_length, padding, truncation):
    batch, lengths = pad_sequences(rows, max_length, value=-9, padding=padding, truncation=truncation)
    kept = []
    for row in rows:
        cut = max(len(row) - max_length, 0) if max_length is not None else 0
        kept.append(row[: len(row) - cut] if truncation == "right" else row[cut:])
    width = max(map(len, kept), default=0)
    fill = [[-9] * (width - len(row)) for row in kept]
    want = [row + f if padding == "right" else f + row for row, f in zip(kept, fill)]
    assert batch.dtype == lengths.dtype == pydl.int64 and batch.shape == (len(rows), width)
    assert batch.tolist() == want and lengths.tolist() == [len(row) for row in kept]


def test_padding_of_tensors_and_fixed_width():
    rows = [pydl.tensor([1, 2]), np.array([3]), (4, 5, 6), range(2), []]
    batch, lengths = pad_sequences(rows, length=2, truncation="left")
    assert batch.tolist() == [[1, 2], [3, 0], [5, 6], [0, 1], [0, 0]] and lengths.tolist() == [2, 1, 2, 2, 0]
    assert pad_sequences([[1]], length=0)[0].shape == (1, 0)
    assert pad_sequences([[1]], 5, length=3)[0].tolist() == [[1, 0, 0]]


def test_wrong_padding():
    for name in ("max_length", "length"):
        with pytest.raises(ValueError, match=f"expected {name} to be at least 0, got -1"):
            pad_sequences([[1]], **{name: -1})
    with pytest.raises(ValueError, match="expected max_length to be at least length=3, got 2"):
        pad_sequences([[1]], 2, length=3)
    with pytest.raises(ValueError, match="expected padding to be one of right, left, got 'pre'"):
        pad_sequences([[1]], padding="pre")
    with pytest.raises(pydl.ShapeError, match=r"expected rows of one dimension, got shape \[1, 1\]"):
        pad_sequences([pydl.zeros(1, 1)])
    for wrong in ([[1.5]], [["a"]], [3]):
        with pytest.raises(TypeError):
            pad_sequences(wrong)
    for value in (0.5, 1.0, "a", None):
        with pytest.raises(TypeError, match=f"pad_sequences: expected value to be an integer, got {value!r}"):
            pad_sequences([[1]], value=value)
    assert pad_sequences([[1], []], value=np.int32(7))[0].tolist() == [[1], [7]]
    with pytest.raises(OverflowError):
        pad_sequences([[2**63]])


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 7), st.integers(1, 4), st.booleans(), st.booleans())
def test_every_sequence_is_in_one_batch(lengths, batch_size, pool, shuffle, drop_last):
    sampler = BucketSampler(lengths, batch_size, pool=pool, shuffle=shuffle, drop_last=drop_last)
    batches = list(sampler)
    seen = [i for batch in batches for i in batch]
    assert len(batches) == len(sampler) and len(set(seen)) == len(seen)
    assert len(seen) == len(lengths) - (len(lengths) % batch_size if drop_last else 0)
    assert all(len(batch) == batch_size for batch in batches) or not drop_last
    if not shuffle:
        assert [lengths[i] for i in seen] == sorted(lengths)[: len(seen)]


def test_buckets_pad_little_and_repeat():
    lengths = np.random.default_rng(0).integers(1, 100, 2000)

    def filled(batches):
        return sum(len(b) * lengths[b].max() for b in batches) / lengths.sum()

    generator = pydl.Generator().manual_seed(3)
    batches = list(BucketSampler(pydl.tensor(lengths), 20, generator=generator))
    assert filled(batches) < 1.05 < 1.5 < filled(np.arange(2000).reshape(100, 20))
    assert list(BucketSampler(lengths, 20, generator=generator.manual_seed(3))) == batches
    assert list(BucketSampler(lengths, 20, generator=generator)) != batches


def test_buckets_in_a_loader():
    rows = [[i] * (i % 5) for i in range(23)]
    sampler = BucketSampler([len(row) for row in rows], 4)
    for batch, lengths in DataLoader(rows, batch_sampler=sampler, collate_fn=pad_sequences):
        assert batch.shape == (len(lengths), lengths.max().item())


def test_wrong_buckets():
    with pytest.raises(ValueError, match="expected lengths of at least 0, got -1"):
        BucketSampler([2, -1], 2)
    with pytest.raises(ValueError, match="expected batch_size to be a positive integer, got 0"):
        BucketSampler([2], 0)
    with pytest.raises(pydl.ShapeError, match="expected lengths of one dimension"):
        BucketSampler([[2]], 1)


# ---- The package -----------------------------------------------------------------------------------------------------
def test_the_package_is_imported_when_used():
    loaded = "import sys, pydl; print(any(m.startswith('pydl.text') for m in sys.modules))"
    assert python(loaded) == "False"
    assert python("import sys, pydl; pydl.text.Vocab; print('pydl.text._bpe' in sys.modules)") == "False"
    assert set(pydl.text.__all__) <= set(dir(pydl.text))
    assert all(getattr(pydl.text, name) is not None for name in pydl.text.__all__)
    with pytest.raises(AttributeError, match="module 'pydl.text' has no attribute 'Tokeniser'"):
        _ = pydl.text.Tokeniser

"""Byte-pair encoding: the merges of a naive trainer, round trips of any text, what is saved, what is refused."""
from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydl.text import BPETokenizer, CharTokenizer, WhitespaceTokenizer
from pydl.text.bpe import BYTE_CHARACTERS

TEXT = "Sie wären müßig; 東京 🙂 the then these there thesis 12 123 1234   x\n\n\ty_z don't we'll  "


def naive_merges(texts: list[str], merges: int, min_freq: int, pattern: re.Pattern[str]) -> list[tuple[int, int]]:
    """The definition: count all pairs anew for each merge."""
    words = Counter(word for text in texts for word in pattern.findall(text))
    split = {word: list(word.encode()) for word in words}
    learned: list[tuple[int, int]] = []
    while len(learned) < merges:
        counts: Counter[tuple[int, int]] = Counter()
        for word, symbols in split.items():
            for pair in zip(symbols, symbols[1:]):
                counts[pair] += words[word]
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < min_freq:
            break
        for word, symbols in split.items():
            split[word] = naive_merge(symbols, best, 256 + len(learned))
        learned.append(best)
    return learned


def naive_merge(symbols: list[int], pair: tuple[int, int], made: int) -> list[int]:
    result, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            result.append(made)
            i += 2
        else:
            result.append(symbols[i])
            i += 1
    return result


def naive_encoding(tokenizer: BPETokenizer, text: str) -> list[int]:
    result = []
    for word in tokenizer.pattern.findall(text):
        symbols = list(word.encode())
        for rank, pair in enumerate(tokenizer._merges):
            symbols = naive_merge(symbols, pair, 256 + rank)
        result += symbols
    return [len(tokenizer.special_tokens) + symbol for symbol in result]


@settings(deadline=None)
@given(st.lists(st.text("ab c", max_size=30), min_size=1, max_size=6), st.integers(0, 40), st.integers(1, 3))
def test_learns_and_applies_the_merges_of_the_definition(texts, merges, min_freq):
    if not any(texts):
        return
    tokenizer = BPETokenizer(special_tokens=["<s>"])
    tokenizer.train(texts, 257 + merges, min_freq=min_freq)
    assert tokenizer._merges == naive_merges(texts, merges, min_freq, tokenizer.pattern)
    for text in [*texts, "abba cab", "aaaaaaa"]:
        assert tokenizer.encode(text) == naive_encoding(tokenizer, text)


def test_on_real_text(data_or_fail):
    text = (data_or_fail / "tinyshakespeare.txt").read_text()[:60_000]
    tokenizer = BPETokenizer()
    tokenizer.train(text, 256 + 120)
    assert tokenizer._merges == naive_merges([text], 120, 2, tokenizer.pattern)
    assert tokenizer.encode(text[:5000]) == naive_encoding(tokenizer, text[:5000])
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.fixture(scope="module")
def trained() -> BPETokenizer:
    tokenizer = BPETokenizer(special_tokens=["<pad>", "<eos>", "<eos>!"])
    tokenizer.train([TEXT] * 3, 330)
    return tokenizer


@given(st.text())
def test_any_text_round_trips(trained, text):
    indices = trained.encode(text)
    assert trained.decode(indices) == text
    assert trained.decode(trained.encode(text, allow_special=True)) == text
    assert trained.vocab(trained(text)) == indices and "".join(trained(text)) == "".join(
        BYTE_CHARACTERS[byte] for byte in text.encode()
    )
    assert trained.encode(text.encode()) == indices
    assert min(indices, default=3) >= 3


@given(st.lists(st.sampled_from(["<pad>", "<eos>", "<eos>!", " the", "<", "<eos"])))
def test_special_tokens(trained, parts):
    text = "".join(parts)
    plain, special = trained.encode(text), trained.encode(text, allow_special=True)
    assert trained.decode(plain) == trained.decode(special) == text and min(plain, default=3) >= 3
    kept = re.sub("<eos>!|<eos>|<pad>", "", text)
    assert trained.decode(special, skip_special=True) == kept


def test_batches_and_long_words(trained):
    assert trained.encode_batch(["the", b"then"]) == [trained.encode("the"), trained.encode("then")]
    assert trained.decode(trained.encode("ä" * 100_000)) == "ä" * 100_000


def test_training_stops_at_rare_pairs():
    tokenizer = BPETokenizer()
    tokenizer.train("aa bb", 1000)
    assert len(tokenizer.vocab) == 256 and tokenizer.merges == []
    tokenizer.train("aa aa", 1000, min_freq=1)
    assert tokenizer.merges == [("a", "a"), ("Ġ", "aa")]


def test_a_cut_character():
    tokenizer = BPETokenizer()
    assert tokenizer.decode(tokenizer.encode("é")[:1]) == "\ufffd"
    with pytest.raises(UnicodeDecodeError):
        tokenizer.decode(tokenizer.encode("é")[:1], errors="strict")


def test_save_and_load(trained, tmp_path):
    path = tmp_path / "bpe.json"
    trained.save(path)
    again = BPETokenizer.load(path)
    assert again.vocab == trained.vocab and again.merges == trained.merges
    assert again.encode(TEXT + "<eos>", allow_special=True) == trained.encode(TEXT + "<eos>", allow_special=True)
    values = json.loads(path.read_text())
    for wrong in ({}, [], {**values, "format": "other"}, {**values, "merges": [[300, 1]]}, {**values, "merges": 3},
            {**values, "merges": [[65, 66], [65, 66]]}):
        path.write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match="BPETokenizer.load: expected a file of format 'pydl byte-level BPE', got"):
            BPETokenizer.load(path)


def test_bad_input(trained):
    with pytest.raises(ValueError, match="expected vocab_size to be at least 259, got 258"):
        trained.train("text", 258)
    for corpus in ("", [], ["", ""], ["<pad>"]):
        with pytest.raises(ValueError, match="expected a corpus with at least one character"):
            trained.train(corpus, 300)
    with pytest.raises(ValueError, match="special tokens of two or more"):
        BPETokenizer(special_tokens=["a"])
    with pytest.raises(ValueError, match="'<s>' twice"):
        BPETokenizer(special_tokens=["<s>", "<s>"])
    with pytest.raises(ValueError, match="without groups"):
        BPETokenizer(pattern="(a)|b")
    with pytest.raises(ValueError, match="finds every character"):
        BPETokenizer(pattern=r"\w+").encode("a b")
    with pytest.raises(UnicodeDecodeError, match="line 2, byte 1"):
        trained.encode(b"good\nb\xffd")
    assert trained.decode(BPETokenizer(errors="replace").encode(b"\xff")[0:0]) == ""
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        trained.encode("\ud800")
    with pytest.raises(IndexError, match=r"expected indices in \[0, "):
        trained.decode([-1])
    with pytest.raises(TypeError, match="expected text as str or bytes, got int"):
        trained.encode(3)


@given(st.text(), st.text())
def test_characters_round_trip(text, other):
    tokenizer = CharTokenizer()
    tokenizer.build_vocab([text + other + "x"])
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.lists(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1)))
def test_words_round_trip(words):
    text = " ".join(words)
    tokenizer = WhitespaceTokenizer()
    tokenizer.build_vocab([text + " x"])
    assert tokenizer.decode(tokenizer.encode(text)) == text

"""The digits that ship inside the wheel."""
import numpy as np
import pytest

import pydl
from pydl.datasets import load_digits


def test_all_digits():
    images, labels = load_digits()
    assert images.shape == (1797, 8, 8) and images.dtype == pydl.float32
    assert labels.shape == (1797,) and labels.dtype == pydl.int64
    assert images.min().item() == 0 and images.max().item() == 1
    assert np.array_equal(labels[:10].numpy(), np.arange(10))
    assert images.sum().item() * 16 == 561718  # of all pixels of the original file


def test_split_is_fixed_and_disjoint():
    train, test = load_digits("train"), load_digits("test")
    assert len(train[1]) == 1442 and len(test[1]) == 355
    counts = np.bincount(test[1].numpy())
    assert counts.min() >= 34 and counts.max() <= 36
    both = np.concatenate([train[0].numpy(), test[0].numpy()]).reshape(1797, 64)
    everything = load_digits()[0].numpy().reshape(1797, 64)
    assert np.array_equal(np.sort(both.sum(1)), np.sort(everything.sum(1)))


def test_unknown_split():
    with pytest.raises(ValueError, match="load_digits: expected split"):
        load_digits("validation")

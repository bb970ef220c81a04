"""What programs say about devices and libraries that are not there, before they use the CPU."""
from __future__ import annotations

import importlib

import pytest

import pydl


def test_seeds_and_memory_of_devices_that_are_not_there():
    state = pydl.get_rng_state()
    assert pydl.cuda.manual_seed(0) is pydl.cuda.manual_seed_all(1) is pydl.cuda.empty_cache() is None
    assert pydl.get_rng_state().equal(state)
    with pytest.raises(TypeError):
        pydl.cuda.manual_seed(None)
    assert not pydl.cuda.is_available() and pydl.cuda.device_count() == 0


def test_flags_of_cudnn_hold_what_they_are_set_to():
    cudnn = importlib.import_module("pydl.backends.cudnn")
    assert cudnn is pydl.backends.cudnn and not cudnn.is_available() and cudnn.version() is None
    cudnn.deterministic, cudnn.benchmark = True, True
    try:
        with cudnn.flags(enabled=False):
            assert not (cudnn.enabled or cudnn.deterministic or cudnn.benchmark) and cudnn.allow_tf32
        assert cudnn.enabled and cudnn.deterministic and cudnn.benchmark
    finally:
        cudnn.deterministic, cudnn.benchmark = False, False


def test_libraries():
    backends = pydl.backends
    assert not (backends.mps.is_available() or backends.mps.is_built() or backends.cuda.is_built())
    assert not (backends.mkldnn.is_available() or backends.mkl.is_available()) and backends.openmp.is_available()
    assert not backends.cuda.matmul.allow_tf32
    assert backends.winograd is True

"""How the suite is run: options, the oracle, and the place of the data. `README.md` beside this file tells more."""
from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # the specs and helpers; the package under test comes from the environment
pytest.register_assert_rewrite("support")

from support import missing  # noqa: E402

DATA = Path(os.environ.get("PYDL_TEST_DATA", HERE.parent.parent / "shared" / "data"))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pydl")
    group.addoption("--full", action="store_true",
        help="every operator, call and dtype; default: a fixed-seed sample of them")
    group.addoption("--per-op", type=int, default=None, metavar="N",
                    help="calls drawn per operator in float32 (a third of them in each other dtype); default 9")


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("--per-op")
    config.per_op = None if config.getoption("--full") else 9 if given is None else given


@pytest.fixture(scope="session")
def torch_or_fail():
    """PyTorch, the oracle of semantics."""
    try:
        import torch
    except ImportError:
        missing("PyTorch: pip install '.[peers]'")
    return torch


@pytest.fixture(scope="session")
def data_or_fail() -> Path:
    """The folder of real data."""
    if not DATA.is_dir():
        missing(f"the test data in {DATA} (PYDL_TEST_DATA overrides the place)")
    return DATA


@pytest.fixture
def threads():
    """set_num_threads, undone afterwards."""
    import pydl
    before = pydl.get_num_threads()
    yield pydl.set_num_threads
    pydl.set_num_threads(before)

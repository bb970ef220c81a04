"""The libraries that take part: how a case becomes a statement in each, and how results are compared."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from contextlib import nullcontext
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from pydl.bench.case import Case, Statement


@lru_cache
def library(name: str) -> ModuleType | None:
    """The imported library, all cores and float64 enabled; None where it is not installed."""
    if importlib.util.find_spec(name) is None:
        return None
    module = importlib.import_module(name)
    if name == "torch":
        import pydl

        module.set_num_threads(pydl.get_num_threads())
    if name == "jax":
        module.config.update("jax_platforms", "cpu")
        module.config.update("jax_enable_x64", True)
    return module


def shaped_like_torch(name: str, case: Case) -> Statement | None:
    lib = library(name)
    if lib is None or not case.code:
        return None
    names: dict[str, Any] = {"lib": lib, "F": lib.nn.functional}
    for key, array in case.arrays().items():
        names[key] = lib.from_numpy(array)
        if key in case.requires_grad:
            names[key].requires_grad_()
    return Statement(case.code, names, context=nullcontext if case.requires_grad else lib.no_grad)


def pydl_statement(case: Case) -> Statement:
    statement = case.setups["pydl"]() if "pydl" in case.setups else shaped_like_torch("pydl", case)
    assert statement is not None
    return statement


def numpy_statement(case: Case) -> Statement | None:
    return Statement(case.numpy, {"np": np, **case.arrays()}) if case.numpy else None


def jax_statement(case: Case) -> Statement | None:
    jax = library("jax")
    if jax is None or not case.jax:
        return None
    modules = {"jax": jax, "jnp": jax.numpy, "lax": jax.lax}
    arrays = {key: jax.numpy.asarray(array) for key, array in case.arrays().items()}
    arguments = ", ".join(arrays)
    compiled = jax.jit(eval(f"lambda {arguments}: {case.jax}", modules))
    single = isinstance(compiled(**arrays), jax.Array)
    code = f"compiled({arguments}).block_until_ready()" if single else f"ready(compiled({arguments}))"
    return Statement(code, {"compiled": compiled, "ready": jax.block_until_ready, **arrays})


def statements(case: Case) -> dict[str, Statement]:
    """The case under every library that can run it; pydl comes first."""
    found = {
        "pydl": pydl_statement(case),
        "numpy": numpy_statement(case),
        "torch": shaped_like_torch("torch", case),
        "jax": jax_statement(case),
        **{name: make() for name, make in case.setups.items() if name != "pydl"},
    }
    return {name: statement for name, statement in found.items() if statement is not None}


def as_arrays(value: Any) -> list[np.ndarray]:
    """Any result, flattened into float64 arrays."""
    if isinstance(value, (tuple, list)):
        return [array for item in value for array in as_arrays(item)]
    if hasattr(value, "detach"):
        return [value.detach().double().numpy()]
    return [np.asarray(value).astype(np.float64)]


def disagreement(case: Case, results: dict[str, Any]) -> str | None:
    """What is wrong with the results of one case, in a sentence; None if they agree."""
    reference = "float64" if case.exact else "pydl"
    expected = as_arrays(case.exact() if case.exact else results["pydl"])
    for name, value in results.items():
        got = as_arrays(value)
        if [a.shape for a in got] != [a.shape for a in expected]:
            return f"{case.name}: {reference}'s shapes are {shapes(expected)}, those of {name} {shapes(got)}"
        for wanted, theirs in zip(expected, got, strict=True):
            if wanted.size == 0:
                continue
            difference, scale = np.max(np.abs(wanted - theirs)), max(1.0, np.max(np.abs(theirs)))
            if not difference <= case.tolerance * scale:
                apart = f"by {difference:.2g} where values reach {scale:.2g}"
                return f"{case.name}: {reference} differs from {name} {apart}"
    return None


def shapes(arrays: Iterable[np.ndarray]) -> str:
    return ", ".join(str(a.shape) for a in arrays)

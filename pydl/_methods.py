"""Methods of Tensor whose functions are written in Python; each looks its function up when it is called."""

from __future__ import annotations

import copyreg
import importlib
from typing import Any

import pydl
from pydl import _core
from pydl._core import Tensor

# Methods that are a function of `pydl` with the tensor as its first argument.
_FUNCTIONS = """
    angle as_strided_scatter cholesky cholesky_inverse cholesky_solve conj conj_physical det frexp geqrf histogram
    index_reduce inverse is_conj is_neg is_same_size ldexp_ logdet lu lu_solve matrix_exp mvlgamma narrow_copy nonzero
    orgqr ormqr pinverse qr resolve_conj resolve_neg slogdet svd triangular_solve unsafe_chunk unsafe_split
    unsafe_split_with_sizes
"""
# Methods that have no function; each is in the module named.
_ELSEWHERE = {
    "_draws": "cauchy_ geometric_ log_normal_",
    "_parts": "apply_ index_reduce_ map2_ map_ new_empty_strided new_tensor",
    "_typed": "new",
}
# What other devices, dtypes and layouts of PyTorch's tensors answer.
_NEVER = """
    is_ipu is_maia is_meta is_mkldnn is_mps is_mtia is_nested is_quantized is_sparse_csr is_vulkan is_xla
    is_xpu
"""


def _method(name: str, module: str = "") -> Any:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        home = importlib.import_module(f"pydl.{module}") if module else pydl
        return getattr(home, name)(self, *args, **kwargs)

    return _named(method, name, f"pydl.{name} of this tensor." if not module else f"See pydl.{module}.{name}.")


def _named(method: Any, name: str, doc: str) -> Any:
    method.__name__, method.__qualname__, method.__doc__ = name, f"Tensor.{name}", doc
    return method


def _in_place(name: str) -> Any:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.copy_(getattr(self, name)(*args, **kwargs))

    return _named(method, f"{name}_", f"{name}, in place.")


def _where(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    return _core.where(condition, self, other)


def _polygamma(self: Tensor, n: int) -> Tensor:
    return _core._polygamma(self, n)


def _layout(self: Tensor) -> Any:
    return pydl.sparse_coo if _core._is_sparse(self) else pydl.strided


def _array_wrap(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
    """What NumPy's functions return for a tensor: a tensor, where there is a dtype for it."""
    import numpy as np  # it is not imported with pydl

    try:
        return pydl.from_numpy(np.asarray(array))
    except TypeError:
        return array


def _reduced(self: Tensor) -> Any:
    """What pickle keeps: of a row-sparse tensor its rows."""
    if not _core._is_sparse(self):
        return self.__reduce_ex__(2)
    parts = self._indices(), self._values(), tuple(self.shape), self.is_coalesced()
    return _rebuilt, parts, self.__dict__ or None


def _rebuilt(*parts: Any) -> Tensor:
    return _core._sparse_rows(*parts)


def _real(self: Tensor) -> Tensor:
    return self


def install() -> None:
    """Gives Tensor its methods."""
    for name in _FUNCTIONS.split():
        setattr(Tensor, name, _method(name))
    for module, names in _ELSEWHERE.items():
        for name in names.split():
            setattr(Tensor, name, _method(name, module))
    for name in ("mvlgamma", "polygamma", "conj_physical"):
        setattr(Tensor, f"{name}_", _in_place(name))
    for name in _NEVER.split():
        setattr(Tensor, name, False)
    for name, member in {
        "__array_wrap__": _array_wrap,
        "where": _named(_where, "where", "This tensor where condition holds, other elsewhere."),
        "polygamma": _named(_polygamma, "polygamma", "The n-th derivative of digamma."),
        "is_sparse": property(_core._is_sparse, doc="Is the tensor row-sparse, as gradients of embeddings may be?"),
        "layout": property(_layout, doc="How the values are kept: pydl.strided or pydl.sparse_coo."),
        "real": property(_real, doc="The tensor itself: it is real."),
        "is_pinned": _named(lambda self: False, "is_pinned", "Always False: there is no device to copy to."),
        "is_shared": _named(lambda self: False, "is_shared", "Always False: memory is this process's own."),
    }.items():
        setattr(Tensor, name, member)
    copyreg.pickle(Tensor, _reduced)

"""Row-sparse tensors: what the engine does not say by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydl import _core
from pydl._core import Tensor

__all__ = ["layout", "sparse_coo", "sparse_coo_tensor", "strided"]


class layout:
    """How a tensor keeps its values: `pydl.strided`, or `pydl.sparse_coo` of row-sparse ones."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"pydl.{self._name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _by_name, (self._name,)


def _by_name(name: str) -> layout:
    return {"strided": strided, "sparse_coo": sparse_coo}[name]


strided = layout("strided")
sparse_coo = layout("sparse_coo")


def sparse_coo_tensor(
    indices: Tensor | Sequence[Any],
    values: Tensor | Sequence[Any],
    size: Sequence[int] | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> Tensor:
    """A tensor of `size` whose rows `indices` (1, n) are `values` (n, *size[1:]) and whose other rows are zero. Rows
    named more than once add up. By default there are as many rows as the largest index asks for.

    This form, the one of gradients of embeddings, is the only sparse one; floating point values, and no gradient of its
    own. Indices are always checked, whatever `check_invariants`.

    >>> import pydl
    >>> x = pydl.sparse_coo_tensor([[2, 0, 2]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], (4, 2))
    >>> x.to_dense()
    tensor([[3., 4.],
            [0., 0.],
            [6., 8.],
            [0., 0.]])
    """
    if requires_grad:
        raise NotImplementedError("sparse_coo_tensor: expected requires_grad=False, got True")
    rows = indices if isinstance(indices, Tensor) else _core.tensor(indices, dtype=_core.int64, device=device)
    given = values if isinstance(values, Tensor) else _core.tensor(values, dtype=dtype, device=device)
    given = given.detach() if dtype is None else given.detach().to(dtype)
    if size is None:
        size = (int(rows.max()) + 1 if rows.numel() else 0, *given.shape[1:])
    return _core._sparse_rows(rows, given, size, bool(is_coalesced))

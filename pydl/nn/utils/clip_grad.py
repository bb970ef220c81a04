"""Limits on gradients, all in place."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import pydl
from pydl import Tensor
from pydl._core import optim as _core

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [param.grad for param in parameters if param.grad is not None]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The p-norm of all elements of all tensors, a scalar tensor; 0 without tensors.

    `foreach` is PyTorch's choice of implementation; there is only one here, and both answers mean it.

    With `error_if_nonfinite`, a norm that is NaN or infinite raises RuntimeError.

    >>> import pydl
    >>> pydl.nn.utils.get_total_norm([pydl.tensor([3.0]), pydl.tensor([4.0])])
    tensor(5.)
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not tensors:
        return pydl.tensor(0.0)
    norm_type = float(norm_type)
    if norm_type > 0:
        total = _core.total_norm(tensors, norm_type)
    else:  # counts and minima: the norm of the norms, whatever that means
        with pydl.no_grad():
            norms = [pydl.linalg.vector_norm(tensor, norm_type) for tensor in tensors]
            total = pydl.linalg.vector_norm(pydl.stack(norms), norm_type)
    if error_if_nonfinite and not pydl.isfinite(total):
        raise RuntimeError(f"get_total_norm: expected a finite norm of order {norm_type} (or error_if_nonfinite=False),"
                           f" got {total.item()}")
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Multiplies every gradient by max_norm / total_norm where that is below one.

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.zeros(2))
    >>> weight.grad = pydl.tensor([3.0, 4.0])
    >>> pydl.nn.utils.clip_grads_with_norm_(weight, 1.0, pydl.tensor(10.0))
    >>> weight.grad
    tensor([0.3000, 0.4000])
    """
    factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    _core.scale_all_(_gradients(parameters), factor.item())


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales the gradients so that their total p-norm is at most `max_norm`; returns the norm that they had.

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.zeros(2))
    >>> weight.grad = pydl.tensor([3.0, 4.0])
    >>> pydl.nn.utils.clip_grad_norm_(weight, 1.0).item()
    5.0
    >>> round(weight.grad.norm().item(), 4)
    1.0
    """
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The old name of `clip_grad_norm_`."""
    warnings.warn("`clip_grad_norm` is now deprecated in favor of `clip_grad_norm_`.", FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Limits every element of every gradient to [-clip_value, clip_value].

    >>> import pydl
    >>> weight = pydl.nn.Parameter(pydl.zeros(2))
    >>> weight.grad = pydl.tensor([-3.0, 0.5])
    >>> pydl.nn.utils.clip_grad_value_(weight, 1.0)
    >>> weight.grad
    tensor([-1.0000,  0.5000])
    """
    clip_value = float(clip_value)
    with pydl.no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(-clip_value, clip_value)

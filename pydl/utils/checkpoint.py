"""Checkpoints: results that a backward pass needs are computed again in it instead of being kept until then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import pydl
from pydl import Tensor
from pydl.random import fork_rng

__all__ = ["checkpoint", "checkpoint_sequential"]


class _Call:
    """A call whose tensors, at any depth of tuples, lists and dictionaries, can be replaced."""

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any, preserve_rng_state: bool) -> None:
        self.function = function
        self.tensors: list[Tensor] = []
        self.arguments = _map(self._take, (args, kwargs))
        self.rng_state = pydl.get_rng_state() if preserve_rng_state else None

    def _take(self, tensor: Tensor) -> _Place:
        self.tensors.append(tensor)
        return _Place(len(self.tensors) - 1)

    def __call__(self, tensors: Sequence[Tensor]) -> Any:
        args, kwargs = _map(lambda place: tensors[place.index], self.arguments, _Place)
        return self.function(*args, **kwargs)

    def again(self, tensors: Sequence[Tensor]) -> Any:
        """The call with the random numbers that it drew when it was made."""
        with fork_rng(enabled=self.rng_state is not None):
            if self.rng_state is not None:
                pydl.set_rng_state(self.rng_state)
            return self(tensors)


class _Place:
    def __init__(self, index: int) -> None:
        self.index = index


def _map(function: Callable[[Any], Any], value: Any, kind: type = Tensor) -> Any:
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, dict):
        mapped = copy(value)
        mapped.update((key, _map(function, item, kind)) for key, item in value.items())
        return mapped
    if isinstance(value, (list, tuple)):
        items = [_map(function, item, kind) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _flat(value: Any) -> list[Tensor]:
    tensors: list[Tensor] = []
    _map(tensors.append, value)
    return tensors


def _leaves(outputs: Sequence[Tensor], but: Sequence[Tensor]) -> list[Tensor]:
    """The leaves that gradients of `outputs` reach, parameters as a rule."""
    seen, found = {id(tensor) for tensor in but}, []
    nodes = [output.grad_fn for output in outputs]
    visited = set(nodes)
    while nodes:
        node = nodes.pop()
        if node is None:
            continue
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in seen:
            seen.add(id(leaf))
            found.append(leaf)
        following = {next_node for next_node, _ in node.next_functions} - visited
        visited |= following
        nodes += following
    return found


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.requires_grad)


class _Checkpoint(pydl.autograd.Function):
    """Its inputs are the tensors of the call, then the leaves that the function reaches by itself."""

    @staticmethod
    def forward(ctx: Any, call: _Call, results: list[Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.call = call
        ctx.form = _form(results)
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(result for result in results if not result.requires_grad))
        return tuple(result.detach() for result in results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        n, inputs, recording = len(ctx.call.tensors), list(ctx.saved_tensors), pydl.is_grad_enabled()
        # For higher derivatives the tensors of the call stay connected to their history.
        inputs[:n] = [x.view_as(x) if recording and x.requires_grad else _own(x) for x in inputs[:n]]
        with pydl.enable_grad():
            results = _flat(ctx.call.again(inputs[:n]))
        if _form(results) != ctx.form:
            raise RuntimeError(f"checkpoint: expected the same results again, {ctx.form}, got {_form(results)}")
        wanted = [(x, g) for x, g in zip(results, grads, strict=True) if g is not None and x.requires_grad]
        reached = [i for i, needed in enumerate(ctx.needs_input_grad[2:]) if needed]
        # The graph goes away with `results`; what they share with others stays.
        found = pydl.autograd.grad(
            [x for x, _ in wanted], [inputs[i] for i in reached], [g for _, g in wanted], retain_graph=True,
            create_graph=recording, allow_unused=True,
        )
        by_input = dict(zip(reached, found, strict=True))
        return None, None, *(by_input.get(i) for i in range(len(inputs)))


def _form(results: Sequence[Tensor]) -> list[tuple[Any, Any]]:
    return [(list(result.shape), result.dtype) for result in results]


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, which keeps nothing but its tensors and is called again in the backward pass.

    Tensors may be in tuples, lists and dictionaries, of arguments and of results. Leaves that the function refers to
    itself, the parameters of a module, get their gradients as always; hooks of these tensors run in the second call as
    well. Other tensors that require gradients should be arguments. Random numbers are drawn alike in both calls unless
    `preserve_rng_state` is False. The result is that of PyTorch's ``use_reentrant=False``, whose limits are fewer, for
    either value. A second call with results of other shapes or dtypes raises RuntimeError.

    >>> import pydl
    >>> from pydl.utils.checkpoint import checkpoint
    >>> layer = pydl.nn.Sequential(pydl.nn.Linear(4, 8), pydl.nn.ReLU(), pydl.nn.Dropout(0.5))
    >>> x = pydl.randn(2, 4, requires_grad=True)
    >>> checkpoint(layer, x, use_reentrant=False).sum().backward()
    >>> layer[0].weight.grad.shape
    pydl.Size([8, 4])
    """
    for name in ("context_fn", "debug", "determinism_check", "early_stop"):
        if name in kwargs:
            raise NotImplementedError(f"checkpoint: expected no {name}, got {kwargs[name]!r}")
    if not pydl.is_grad_enabled():
        return function(*args, **kwargs)
    call = _Call(function, args, kwargs, preserve_rng_state)
    # The graph of this call is there only to tell which leaves it reaches.
    own = [_own(tensor) for tensor in call.tensors]
    value = call(own)
    results = _flat(value)
    leaves = _leaves(results, own)
    if any(result.requires_grad for result in results):
        results = list(_Checkpoint.apply(call, results, *call.tensors, *leaves))
    following = iter(results)
    return _map(lambda _: next(following), value)


def checkpoint_sequential(
    functions: Sequence[Callable[..., Any]],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:
    """The functions or layers one after the other, in `segments` checkpoints; the last segment keeps its results.

    >>> import pydl
    >>> from pydl import nn
    >>> from pydl.utils.checkpoint import checkpoint_sequential
    >>> layers, x = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4))), pydl.ones(1, 2)
    >>> pydl.equal(checkpoint_sequential(layers, 2, x, use_reentrant=False), layers(x))
    True
    """
    layers = list(functions)
    if not 1 <= segments <= len(layers):
        raise ValueError(f"checkpoint_sequential: expected 1 to {len(layers)} segments, got {segments}")

    def run(layers: Sequence[Callable[..., Any]], input: Any) -> Any:
        for layer in layers:
            input = layer(input)
        return input

    size = len(layers) // segments
    last = size * (segments - 1)
    for start in range(0, last, size):
        input = checkpoint(run, layers[start : start + size], input, preserve_rng_state=preserve_rng_state)
    return run(layers[last:], input)

"""The hooks of one module, and the call that runs them."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydl import Tensor, autograd

if TYPE_CHECKING:
    from pydl.nn.modules.module import Module

__all__ = ["EVERY_MODULE", "Hooks", "call_with_hooks"]


class Hooks:
    """A module gets one with its first hook. Each dictionary maps a handle's id to the hook and its options."""

    def __init__(self) -> None:
        self.forward_pre: OrderedDict[int, tuple[Callable[..., Any], bool]] = OrderedDict()  # hook, with_kwargs
        self.forward: OrderedDict[int, tuple[Callable[..., Any], bool, bool]] = OrderedDict()  # ..., always_call
        self.backward_pre: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.backward: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.state_dict_pre: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.state_dict: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.load_state_dict_pre: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.load_state_dict: OrderedDict[int, Callable[..., Any]] = OrderedDict()


EVERY_MODULE = Hooks()  # run before a module's own


def call_with_hooks(module: Module, hooks: Hooks, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``module.forward`` between its hooks. Hooks registered with ``always_call`` also run when something raised."""
    called: set[int] = set()
    result = None
    try:
        for hook, with_kwargs in (EVERY_MODULE.forward_pre | hooks.forward_pre).values():
            args, kwargs = _run_pre_hook(hook, module, args, kwargs, with_kwargs)
        watching = hooks.backward or hooks.backward_pre or EVERY_MODULE.backward or EVERY_MODULE.backward_pre
        gradients = _Gradients(module, hooks) if watching else None
        if gradients is not None:
            args = gradients.watch_inputs(args)
        result = module.forward(*args, **kwargs)
        for key, (hook, with_kwargs, _) in (EVERY_MODULE.forward | hooks.forward).items():
            called.add(key)
            changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            if changed is not None:
                result = changed
        return result if gradients is None else gradients.watch_outputs(result)
    except Exception:
        for key, (hook, with_kwargs, always_call) in (EVERY_MODULE.forward | hooks.forward).items():
            if not always_call or key in called:
                continue
            try:
                changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
                if changed is not None:
                    result = changed
            except Exception as error:
                warnings.warn(f"module forward hook with always_call=True raised: {error}", stacklevel=3)
        raise


def _run_pre_hook(
    hook: Callable[..., Any], module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], with_kwargs: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not with_kwargs:
        changed = hook(module, args)
        if changed is not None:
            args = changed if isinstance(changed, tuple) else (changed,)
        return args, kwargs
    changed = hook(module, args, kwargs)
    if changed is None:
        return args, kwargs
    if isinstance(changed, tuple) and len(changed) == 2:
        return changed
    raise RuntimeError(f"forward pre-hook: expected None or a tuple (new_args, new_kwargs), got {changed}")


class _Tap(autograd.Function):
    """The identity, through which gradients of several tensors pass together."""

    @staticmethod
    def forward(ctx: Any, on_gradients: Callable[..., tuple[Any, ...]], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.on_gradients = on_gradients
        ctx.set_materialize_grads(False)
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        return (None, *ctx.on_gradients(gradients))


class _Gradients:
    """Backward hooks of one call: taps on the differentiable inputs and outputs of the module.

    The hooks see one gradient for each positional argument and each output, None where there is none, as a tuple.
    """

    def __init__(self, module: Module, hooks: Hooks) -> None:
        self.module = module
        self.pre_hooks = list((EVERY_MODULE.backward_pre | hooks.backward_pre).values())
        self.hooks = list((EVERY_MODULE.backward | hooks.backward).values())
        self.grad_output: tuple[Tensor | None, ...] | None = None
        self.inputs_tapped = False

    def watch_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.n_inputs = len(args)
        args, self.inputs_at = _tap(args, self._on_grad_input)
        self.inputs_tapped = bool(self.inputs_at)
        return args

    def watch_outputs(self, result: Any) -> Any:
        outputs = result if isinstance(result, tuple) else (result,)
        self.n_outputs = len(outputs)
        outputs, self.outputs_at = _tap(outputs, self._on_grad_output)
        if not isinstance(result, tuple):
            return outputs[0]
        return type(result)(*outputs) if hasattr(result, "_fields") else outputs

    def _on_grad_output(self, gradients: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        full = _spread(gradients, self.outputs_at, self.n_outputs)
        for hook in self.pre_hooks:
            full = _changed(hook(self.module, full), full, "backward pre-hook")
        self.grad_output = full
        if not self.inputs_tapped:
            for hook in self.hooks:
                if hook(self.module, (None,) * self.n_inputs, full) is not None:
                    raise RuntimeError(
                        "backward hook: expected None, since no input of the module requires a gradient, got a value"
                    )
        return tuple(full[i] for i in self.outputs_at)

    def _on_grad_input(self, gradients: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        full = _spread(gradients, self.inputs_at, self.n_inputs)
        if self.grad_output is None:  # the inputs' gradients come from elsewhere, the outputs were not used
            return gradients
        for hook in self.hooks:
            full = _changed(hook(self.module, full, self.grad_output), full, "backward hook")
        return tuple(full[i] for i in self.inputs_at)


def _tap(values: tuple[Any, ...], on_gradients: Callable[..., Any]) -> tuple[tuple[Any, ...], list[int]]:
    at = [i for i, value in enumerate(values) if isinstance(value, Tensor) and value.requires_grad]
    if not at:
        return values, at
    tapped = list(values)
    for i, tensor in zip(at, _Tap.apply(on_gradients, *(values[i] for i in at)), strict=True):
        tapped[i] = tensor
    return tuple(tapped), at


def _spread(gradients: tuple[Any, ...], at: list[int], n: int) -> tuple[Any, ...]:
    full: list[Any] = [None] * n
    for i, gradient in zip(at, gradients, strict=True):
        full[i] = gradient
    return tuple(full)


def _changed(answer: Any, current: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    if answer is None:
        return current
    answer = answer if isinstance(answer, tuple) else (answer,)
    if len(answer) != len(current):
        raise RuntimeError(f"{what}: expected {len(current)} gradients, got {len(answer)}")
    return answer

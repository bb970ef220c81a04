"""What all optimizers share: parameter groups, state, hooks; and the step that is one core call for a group."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import TYPE_CHECKING, Any

from pydl import Tensor
from pydl.utils.hooks import RemovableHandle, add_hook

__all__ = ["Optimizer", "required"]


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class Optimizer:
    """The base class. `params` are tensors, (name, tensor) pairs, or dictionaries: one parameter group each.

    A group is a dictionary in `param_groups` with the tensors under "params" and its options beside them, `defaults`
    where it does not say. `state` maps a parameter to the dictionary of what the algorithm remembers of it.

    >>> import pydl
    >>> from pydl import nn
    >>> body, head = nn.Linear(2, 2), nn.Linear(2, 1)
    >>> optimizer = pydl.optim.SGD([{"params": body.parameters(), "lr": 0.01}, {"params": head.parameters()}], lr=0.1)
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.01, 0.1]
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                f"{type(self).__name__}: expected an iterable of tensors or dicts, got a {type(params).__name__}")
        self.defaults = defaults
        self._state: defaultdict[Tensor, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._make_hooks()
        groups = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__}: expected at least one parameter, got none")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_hooks(self) -> None:
        self._step_count = 0
        self._step_pre_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._step_post_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._state_dict_post_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._load_state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._load_state_dict_post_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.__dict__["step"])

    @property
    def state(self) -> defaultdict[Tensor, Any]:
        return self._state

    @state.setter
    def state(self, state: defaultdict[Tensor, Any]) -> None:
        self._state = state

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        self._make_hooks()
        self._state = state.pop("state")
        self.__dict__.update(state)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += ["", f"Parameter Group {i}"] if i else [f"Parameter Group {i}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # -- groups -------------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds the parameters of a dictionary with the key "params", and options of their own."""
        op = type(self).__name__
        if not isinstance(param_group, dict):
            raise TypeError(f"{op}: expected param_group to be a dict, got a {type(param_group).__name__}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(f"{op}: expected params in an order, such as a list, got a set")
        params = list(params)
        names = [param[0] for param in params if isinstance(param, tuple)]
        if names:
            if len(names) != len(params):
                raise ValueError(
                    f"{op}: expected all params with names or all without, got {len(names)} of {len(params)} with")
            params = [param for _, param in params]
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(f"{op}: expected params to be tensors, got one of type {type(param).__name__}")
            if not (param.is_leaf or param.retains_grad):
                raise ValueError(f"{op}: expected leaf tensors, got a non-leaf of shape {list(param.shape)}")
        if self.param_groups and bool(names) != ("param_names" in self.param_groups[0]):
            raise ValueError(
                f"{op}: expected a param group with{'out' if names else ''} names like the groups before, got one "
                f"with{'' if names else 'out'} names"
            )
        if len(set(map(id, params))) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information", stacklevel=3,
            )
        known = {id(param) for group in self.param_groups for param in group["params"]}
        if any(id(param) in known for param in params):
            raise ValueError(f"{op}: expected each parameter in one group, got some in two")
        options = {**param_group, "params": params}
        if names:
            options["param_names"] = names
        for name, default in self.defaults.items():
            if default is required and name not in options:
                raise ValueError(f"{op}: expected a value of {name} in the param group, got none; it has no default")
            options.setdefault(name, default)
        self._check_options(options)
        param_group.update(options)
        self.param_groups.append(param_group)

    def _check_options(self, group: dict[str, Any]) -> None:
        """Refuses what only other implementations of the step mean something by."""
        for name in ("capturable", "differentiable"):
            if group.get(name):
                raise NotImplementedError(f"{type(self).__name__}: expected {name}=False, got {group[name]}")
        if group.get("foreach") and group.get("fused"):
            raise RuntimeError(f"{type(self).__name__}: expected fused=True or foreach=True, got both")

    # -- steps --------------------------------------------------------------------------------------------------------

    if TYPE_CHECKING:
        step: Callable[..., Any]  # an algorithm may ask for the closure
    else:
        def step(self, closure: Callable[[], Any] | None = None) -> Any:
            """Updates the parameters from their gradients. A `closure` computes the loss anew and is returned from."""
            raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters, or fills them with zeros."""
        for group in self.param_groups:
            for param in group["params"]:
                if set_to_none:
                    param.grad = None
                elif param.grad is not None:
                    param.grad = param.grad.detach().zero_()

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(optimizer, args, kwargs)`` runs before `step` and may return new (args, kwargs)."""
        return add_hook(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(optimizer, args, kwargs)`` runs after `step`."""
        return add_hook(self._step_post_hooks, hook)

    # -- state --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """``{"state": {index: ...}, "param_groups": [...]}``, parameters numbered in the order of the groups."""
        for hook in list(self._state_dict_pre_hooks.values()):
            hook(self)
        index = {id(p): i for i, p in enumerate(chain.from_iterable(g["params"] for g in self.param_groups))}
        groups = [{**group, "params": [index[id(p)] for p in group["params"]]} for group in self.param_groups]
        state = {index[id(k)] if isinstance(k, Tensor) else k: value for k, value in self.state.items()}
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in list(self._state_dict_post_hooks.values()):
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over options and state that `state_dict` returned; the parameters are matched by their order.

        Raises ValueError where the groups or their sizes differ. State takes on the dtype of its parameter.
        """
        state_dict = dict(state_dict)
        for hook in list(self._load_state_dict_pre_hooks.values()):
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        op = f"{type(self).__name__}.load_state_dict"
        saved = deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError(f"{op}: expected {len(self.param_groups)} parameter groups, got {len(saved)}")
        for i, groups in enumerate(zip(saved, self.param_groups, strict=True)):
            found, wanted = (len(group["params"]) for group in groups)
            if found != wanted:
                raise ValueError(f"{op}: expected {wanted} parameters in group {i}, got {found}")
        params: dict[int, Tensor] = {}
        for new, old in zip(saved, self.param_groups, strict=True):
            params.update(zip(new["params"], old["params"], strict=True))
            new["params"] = old["params"]
            if "param_names" in old:
                new.setdefault("param_names", old["param_names"])
            self._check_options(new)
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in params:
                state[params[key]] = _like_parameter(value, params[key])
            else:
                state[key] = value
        for group in saved:
            for name, default in self.defaults.items():
                group.setdefault(name, default)
        self.state = state
        self.param_groups = saved
        for hook in list(self._load_state_dict_post_hooks.values()):
            hook(self)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer)`` runs before `state_dict`."""
        return add_hook(self._state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer, state_dict)`` may edit the result of `state_dict` or return another."""
        return add_hook(self._state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer, state_dict)`` may return the dictionary to be loaded instead."""
        return add_hook(self._load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer)`` runs after `load_state_dict`."""
        return add_hook(self._load_state_dict_post_hooks, hook, prepend)


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` between its hooks. A step that calls that of its base class runs them once."""

    @functools.wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if type(self).step is not hooked:
            return step(self, *args, **kwargs)
        for hook in list(self._step_pre_hooks.values()) if self._step_pre_hooks else ():
            changed = hook(self, args, kwargs)
            if changed is None:
                continue
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise RuntimeError(
                    f"{type(self).__name__}.step: expected None or (args, kwargs) from the hook {hook}, got {changed}")
            args, kwargs = changed
        result = step(self, *args, **kwargs)
        self._step_count += 1
        for hook in list(self._step_post_hooks.values()) if self._step_post_hooks else ():
            hook(self, args, kwargs)
        return result

    return hooked


def _like_parameter(value: Any, param: Tensor, key: Any = None) -> Any:
    """A copy of loaded state, floating point tensors in the parameter's dtype; step counts stay what they are."""
    if isinstance(value, Tensor):
        if key == "step" or not param.is_floating_point():
            return value.clone()
        return value.detach().to(dtype=param.dtype, device=param.device, copy=True)
    if isinstance(value, dict):
        return {k: _like_parameter(v, param, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_like_parameter(v, param) for v in value)
    return value

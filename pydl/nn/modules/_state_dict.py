"""Writing a module's state into a dictionary and reading it back."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pydl
from pydl import Tensor
from pydl.nn.parameter import Parameter, is_lazy

if TYPE_CHECKING:
    from pydl.nn.modules.module import Module

__all__ = ["IncompatibleKeys", "load_into", "load_members", "save_members"]

EXTRA_STATE = "_extra_state"


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` returns: the keys that the module has and the dictionary lacks, and the reverse."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


def has_extra_state(module: Module) -> bool:
    from pydl.nn.modules.module import Module

    return type(module).get_extra_state is not Module.get_extra_state


def save_members(module: Module, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
    """Puts the module's own parameters and persistent buffers, not those of its children, into `destination`."""
    for name, value in module._state_members():
        destination[prefix + name] = value if keep_vars or is_lazy(value) else value.detach()
    if has_extra_state(module):
        destination[prefix + EXTRA_STATE] = module.get_extra_state()


def load_into(module: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Checks the whole dictionary first and writes after that, so one that does not fit leaves the module as it was."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"load_state_dict: expected a mapping as state_dict, got {type(state_dict).__name__}")
    versions = getattr(state_dict, "_metadata", None) or {}
    state_dict = OrderedDict(state_dict)
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    writes: list[Callable[[], object]] = []

    def visit(module: Module, state: dict[str, Any], prefix: str) -> None:
        metadata = {**versions.get(prefix[:-1], {}), "assign_to_params_buffers": assign, "writes": writes}
        module._load_from_state_dict(state, prefix, metadata, True, missing, unexpected, errors)
        for name, child in module._modules.items():
            child_prefix = f"{prefix}{name}."
            if child is not None:
                visit(child, {k: v for k, v in state.items() if k.startswith(child_prefix)}, child_prefix)
        if module._hooks is not None and module._hooks.load_state_dict:
            run_all(writes)  # the hook may look at what was loaded
            for hook in list(module._hooks.load_state_dict.values()):
                if hook(module, IncompatibleKeys(missing, unexpected)) is not None:
                    raise RuntimeError("load_state_dict post-hook: expected None, got a value")

    visit(module, state_dict, "")
    if strict:
        for kind, keys in (("Unexpected", unexpected), ("Missing", missing)):
            if keys:
                quoted = ", ".join(f'"{key}"' for key in keys)
                errors.insert(0, f"{kind} key(s) in state_dict: {quoted}. ")
    if errors:
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t" + "\n\t".join(errors))
    run_all(writes)
    return IncompatibleKeys(missing, unexpected)


def load_members(
    module: Module,
    state_dict: dict[str, Any],
    prefix: str,
    metadata: dict[str, Any],
    strict: bool,
    missing: list[str],
    unexpected: list[str],
    errors: list[str],
) -> None:
    """Matches the module's own members with the dictionary; appends what is wrong, and what is to be written."""
    if module._hooks is not None:
        for hook in list(module._hooks.load_state_dict_pre.values()):
            hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors)
    assign = metadata.get("assign_to_params_buffers", False)
    writes: list[Callable[[], object]] = []
    members = dict(module._state_members())
    for name, member in members.items():
        key = prefix + name
        if key not in state_dict:
            if strict:
                missing.append(key)
            continue
        value = state_dict[key]
        if not isinstance(value, Tensor):
            errors.append(
                f'While copying the parameter named "{key}", expected pydl.Tensor from checkpoint but received '
                f"{type(value)}"
            )
            continue
        if is_lazy(member) or is_lazy(value):
            if is_lazy(member) != is_lazy(value):
                errors.append(f"{key}: expected both or neither of state_dict and model to be initialized")
            continue
        if member.dim() == 0 and tuple(value.shape) == (1,):
            value = value[0]
        if value.shape != member.shape:
            errors.append(
                f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
                f"the shape in current model is {member.shape}."
            )
            continue
        writes.append(_assignment(module, name, member, value) if assign else _copy(member, value))

    extra_key = prefix + EXTRA_STATE
    if type(module).set_extra_state is not _base_set_extra_state():
        if extra_key in state_dict:
            writes.append(lambda: module.set_extra_state(state_dict[extra_key]))
        elif strict:
            missing.append(extra_key)
    if strict:
        children = module._module_names
        for key in state_dict:
            if not key.startswith(prefix) or (key == extra_key and has_extra_state(module)):
                continue
            head, dot, _ = key[len(prefix):].partition(".")
            if head not in (children if dot else members):
                unexpected.append(key)

    if "writes" in metadata:
        metadata["writes"].extend(writes)
    else:
        run_all(writes)


def run_all(writes: list[Callable[[], object]]) -> None:
    """Carries out the writes and forgets them."""
    with pydl.no_grad():
        for write in writes:
            write()
    writes.clear()


def _base_set_extra_state() -> Any:
    from pydl.nn.modules.module import Module

    return Module.set_extra_state


def _copy(member: Tensor, value: Tensor) -> Callable[[], object]:
    return lambda: member.copy_(value)


def _assignment(module: Module, name: str, member: Tensor, value: Tensor) -> Callable[[], object]:
    if isinstance(member, Parameter) and not isinstance(value, Parameter):
        value = Parameter(value, requires_grad=member.requires_grad)
    return lambda: setattr(module, name, value)

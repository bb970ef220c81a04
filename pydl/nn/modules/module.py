"""The base class of all layers."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import pydl
from pydl import Tensor
from pydl.nn.modules import _state_dict
from pydl.nn.modules._hooks import EVERY_MODULE, Hooks, call_with_hooks
from pydl.nn.modules._members import Members
from pydl.nn.parameter import Buffer, Parameter, is_lazy
from pydl.utils.hooks import RemovableHandle, add_hook

__all__ = [
    "Module", "register_module_forward_hook", "register_module_forward_pre_hook", "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
]

Self = TypeVar("Self", bound="Module")
KINDS = ("_parameter_names", "_buffer_names", "_module_names")


class Module:
    """A layer or a whole model: parameters, buffers and submodules as attributes, and a `forward` to be written.

    Parameters and modules become members by assignment, buffers by `register_buffer`. Calling the module runs `forward`
    and the registered hooks.

    >>> import pydl
    >>> from pydl import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self, features):
    ...         super().__init__()
    ...         self.weight = nn.Parameter(pydl.ones(features))
    ...     def forward(self, input):
    ...         return input * self.weight
    >>> tuple(Scale(3)(pydl.zeros(2, 3)).shape)
    (2, 3)
    >>> [name for name, _ in Scale(3).named_parameters()]
    ['weight']
    """

    _version: int = 1  # of the layout that state_dict writes, for _load_from_state_dict of later ones
    training: bool
    # An instance gets its own with its first hook. Of the others all see EVERY_MODULE while that holds any.
    _hooks: Hooks | None = None

    def __init__(self) -> None:
        attributes = self.__dict__
        attributes["training"] = True
        for kind in KINDS:
            attributes[kind] = {}  # name -> True; of a buffer: whether it is persistent

    if TYPE_CHECKING:
        forward: Callable[..., Any]  # every module chooses its own arguments
    else:
        def forward(self, *input: Any) -> Any:
            raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return call_with_hooks(self, self._hooks, args, kwargs)

    # -- members ------------------------------------------------------------------------------------------------------

    if TYPE_CHECKING:  # registered members are ordinary attributes; a type checker cannot know their names
        def __getattr__(self, name: str) -> Any: ...

    @property
    def _parameters(self) -> Members:
        return Members(self._parameter_names, self.__dict__)

    @property
    def _buffers(self) -> Members:
        return Members(self._buffer_names, self.__dict__)

    @property
    def _modules(self) -> Members:
        return Members(self._module_names, self.__dict__)

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        kind = _kind_of(value)
        if "_module_names" not in attributes:
            if kind is not None:
                raise AttributeError(f"{type(self).__name__}: expected Module.__init__() to be called first, got "
                                     f"{_WORDS[kind]} {name!r} before it")
            object.__setattr__(self, name, value)
            return
        if kind is None:
            self._set_plain(name, value)
            return
        for other in KINDS:
            if other != kind:
                attributes[other].pop(name, None)
        attributes[kind][name] = value.persistent if kind == "_buffer_names" else True
        attributes[name] = value

    def _set_plain(self, name: str, value: Any) -> None:
        """Assignment of something that is not itself a member, to a name that may be one."""
        attributes = self.__dict__
        if value is not None:
            if name in attributes["_parameter_names"]:
                raise TypeError(_unlike(self, "a Parameter", f"parameter {name!r}", value))
            if name in attributes["_module_names"]:
                raise TypeError(_unlike(self, "a Module", f"submodule {name!r}", value))
            if name in attributes["_buffer_names"] and not isinstance(value, Tensor):
                raise TypeError(_unlike(self, "a Tensor", f"buffer {name!r}", value))
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        for kind in KINDS:
            self.__dict__.get(kind, {}).pop(name, None)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter, or the name of one that this module does without (None)."""
        self._check_name("parameter", "_parameter_names", name)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(_unlike(self, "a Parameter", f"parameter {name!r}", param))
            if not param.is_leaf:
                raise ValueError(f"{type(self).__name__}: expected a leaf as parameter {name!r}, got the result of an "
                                 "operation (which belongs in forward)")
        self._parameter_names[name] = True
        self.__dict__[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor to the module's state that is not trained; in `state_dict` if `persistent`."""
        self._check_name("buffer", "_buffer_names", name)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(_unlike(self, "a Tensor", f"buffer {name!r}", tensor))
        self._buffer_names[name] = persistent
        self.__dict__[name] = tensor

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a submodule under `name`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(_unlike(self, "a Module", f"submodule {name!r}", module))
        self._check_name("module", "_module_names", name)
        self._module_names[name] = True
        self.__dict__[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    def _check_name(self, what: str, kind: str, name: str) -> None:
        if kind not in self.__dict__:
            raise AttributeError(f"{type(self).__name__}: expected Module.__init__() to be called first, got {what} "
                                 f"{name!r} before it")
        if not isinstance(name, str):
            raise TypeError(f"{type(self).__name__}: expected a string as the name of a {what}, got {_typename(name)}")
        if hasattr(self, name) and name not in self.__dict__[kind]:
            raise KeyError(f"{type(self).__name__}: expected a name for a {what} that no attribute has, got {name!r}")
        if "." in name:
            raise KeyError(f"{type(self).__name__}: expected the name of a {what} without dots, got {name!r}")
        if name == "":
            raise KeyError(f"{type(self).__name__}: expected a name for a {what}, got ''")

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path below this one; the empty path is the module itself."""
        module = self
        for atom in target.split(".") if target else ():
            if not hasattr(module, atom):
                raise AttributeError(f"{module._get_name()}: expected a submodule {atom!r}, got none of that name")
            module = getattr(module, atom)
            if not isinstance(module, Module):
                raise AttributeError(f"{type(self).__name__}: expected a Module at {target!r}, got "
                                     f"{_typename(module)} as {atom!r}")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts `module` at a dotted path; with `strict` only where a module already is."""
        if target == "":
            raise ValueError("set_submodule: expected the path of a submodule, got ''")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule: expected a Module, got {_typename(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()}: expected a submodule {name!r}, got none of that name")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"set_submodule: expected a Module at {target!r}, got "
                                 f"{_typename(getattr(parent, name))}")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path."""
        return self._get_member(target, Parameter, "a Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path."""
        path, _, name = target.rpartition(".")
        buffer = self._get_member(target, Tensor, "a buffer")
        if name not in self.get_submodule(path)._buffer_names:
            raise AttributeError(f"{type(self).__name__}: expected a buffer at {target!r}, got {_typename(buffer)}")
        return buffer

    def _get_member(self, target: str, cls: type, what: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()}: expected {what} {name!r}, got none of that name")
        member = getattr(module, name)
        if not isinstance(member, cls):
            raise AttributeError(f"{type(self).__name__}: expected {what} at {target!r}, got {_typename(member)}")
        return member

    # -- iteration ----------------------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their dotted names, parents first; shared ones once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules with their names, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Parameters with their dotted names; those of submodules too with `recurse`, shared ones once."""
        return self._named_members("_parameter_names", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, as an optimizer takes them."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Buffers with their dotted names."""
        return self._named_members("_buffer_names", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _named_members(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[Any]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            attributes = module.__dict__
            for name in attributes[kind]:
                member = attributes[name]
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield f"{path}.{name}" if path else name, member

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Calls `fn` on every submodule and then on this module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # -- mode, dtype, device ------------------------------------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Sets `training` here and in all submodules, which dropout and the like look at."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: expected mode to be a bool, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """The same as ``train(False)``."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Whether gradients of the parameters are recorded."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters, or fills them with zeros."""
        for param in self.parameters():
            if param.grad is None:
                continue
            if set_to_none:
                param.grad = None
            else:
                param.grad = param.grad.detach().zero_()

    def _apply(self: Self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replaces the data of every parameter, gradient and buffer by ``fn`` of it; the objects stay the same."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        attributes = self.__dict__
        with pydl.no_grad():
            for name in self._parameter_names:
                param = attributes[name]
                if param is None:
                    continue
                if is_lazy(param):
                    attributes[name] = type(param)(param.requires_grad, dtype=fn(param.detach()).dtype)
                    continue
                grad = param.grad
                param.grad = None  # it could not change its dtype before the parameter does
                param.data = fn(param.data)
                if grad is not None:
                    param.grad = fn(grad)
            for name in self._buffer_names:
                buffer = attributes[name]
                if buffer is not None and not is_lazy(buffer):
                    attributes[name] = fn(buffer)
        return self

    def to(self: Self, *args: Any, memory_format: pydl.memory_format | None = None, **kwargs: Any) -> Self:
        """``to(device=None, dtype=None, non_blocking=False)``, ``to(dtype)`` or ``to(tensor)``, in place.

        A dtype, which must be floating point, applies to floating point parameters and buffers only. A `memory_format`
        changes nothing: layers take images in any format as they are, and parameters and buffers stay contiguous.
        """
        if memory_format is not None and not isinstance(memory_format, pydl.memory_format):
            raise TypeError(f"Module.to: expected memory_format to be a pydl.memory_format, got {memory_format!r}")
        device, dtype, non_blocking = _parse_to(*args, **kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"Module.to: expected a floating point dtype, got {dtype}")

        def convert(tensor: Tensor) -> Tensor:
            return tensor.to(device, dtype if tensor.is_floating_point() else None, non_blocking)

        return self._apply(convert)

    def type(self: Self, dst_type: pydl.dtype) -> Self:
        """Casts all parameters and buffers, integer ones too."""
        return self._apply(lambda tensor: tensor.to(dst_type))

    def float(self: Self) -> Self:
        """Casts floating point parameters and buffers to float32."""
        return self.to(pydl.float32)

    def double(self: Self) -> Self:
        """Casts floating point parameters and buffers to float64."""
        return self.to(pydl.float64)

    def half(self: Self) -> Self:
        """Casts floating point parameters and buffers to float16."""
        return self.to(pydl.float16)

    def bfloat16(self: Self) -> Self:
        """Casts floating point parameters and buffers to bfloat16."""
        return self.to(pydl.bfloat16)

    def cpu(self: Self) -> Self:
        """Moves all parameters and buffers to the CPU."""
        return self.to("cpu")

    def cuda(self: Self, device: int | None = None) -> Self:
        """Moves all parameters and buffers to a GPU."""
        return self.to("cuda" if device is None else f"cuda:{device}")

    def share_memory(self) -> Any:
        raise NotImplementedError("share_memory: expected memory of this process, got a request for shared memory")

    # -- state --------------------------------------------------------------------------------------------------------

    def _state_members(self) -> Iterator[tuple[str, Tensor]]:
        attributes = self.__dict__
        for name in self._parameter_names:
            if attributes[name] is not None:
                yield name, attributes[name]
        for name, persistent in self._buffer_names.items():
            if persistent and attributes[name] is not None:
                yield name, attributes[name]

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Parameters and persistent buffers by dotted name, sharing memory with the module; attached if `keep_vars`."""
        if destination is None:
            whole: Any = OrderedDict()
            whole._metadata = OrderedDict()  # the version of each module's layout, by the module's name
            destination = whole
        local_metadata = {"version": self._version}
        if (metadata := getattr(destination, "_metadata", None)) is not None:
            metadata[prefix[:-1]] = local_metadata
        hooks = self._hooks
        if hooks is not None:
            for hook in list(hooks.state_dict_pre.values()):
                hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        if hooks is not None:
            for hook in list(hooks.state_dict.values()):
                if hook(self, destination, prefix, local_metadata) is not None:
                    raise RuntimeError("state_dict post-hook: expected None, got a value")
        return destination

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _state_dict.IncompatibleKeys:
        """Copies the values of `state_dict` into this module, or with `assign` puts its tensors in their place.

        Raises RuntimeError that lists every size mismatch and, with `strict`, every missing and unexpected key; the
        module is then unchanged. Returns the missing and the unexpected keys.
        """
        return _state_dict.load_into(self, state_dict, strict, assign)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        _state_dict.save_members(self, destination, prefix, keep_vars)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        _state_dict.load_members(
            self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def get_extra_state(self) -> Any:
        """What else belongs into `state_dict`. A module that writes this method writes `set_extra_state` too."""
        raise RuntimeError(f"get_extra_state: expected {type(self).__name__} to define it, got the base class's")

    def set_extra_state(self, state: Any) -> None:
        """Takes back what `get_extra_state` returned."""
        raise RuntimeError(f"set_extra_state: expected {type(self).__name__} to define it, got the base class's")

    # -- hooks --------------------------------------------------------------------------------------------------------

    def _add_hook(self, kind: str, entry: Any, prepend: bool = False) -> RemovableHandle:
        hooks = getattr(self.__dict__.setdefault("_hooks", Hooks()), kind)
        return add_hook(hooks, entry, prepend, _ModuleHandle(hooks, self))

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """``hook(module, args[, kwargs])`` runs before `forward` and may return new arguments."""
        return self._add_hook("forward_pre", (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """``hook(module, args[, kwargs], output)`` runs after `forward` and may return another output."""
        return self._add_hook("forward", (hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """``hook(module, grad_output)`` runs when the gradients of the outputs are known and may return others."""
        return self._add_hook("backward_pre", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """``hook(module, grad_input, grad_output)`` runs when the inputs' gradients are known; may return others."""
        return self._add_hook("backward", hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(module, prefix, keep_vars)`` runs before `state_dict`."""
        return self._add_hook("state_dict_pre", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(module, state_dict, prefix, local_metadata)`` may edit the result of `state_dict`."""
        return self._add_hook("state_dict", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``."""
        return self._add_hook("load_state_dict_pre", hook)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        """`register_load_state_dict_pre_hook` by the name that it had before, for hooks that do not get the module."""
        return self.register_load_state_dict_pre_hook(hook if with_module else lambda module, *args: hook(*args))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(module, incompatible_keys)`` runs after loading and may edit the keys that are complained about."""
        return self._add_hook("load_state_dict", hook)

    # -- printing -----------------------------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {_indent(repr(module))}" for name, module in self._modules.items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return "\n  ".join([f"{self._get_name()}(", *lines, *children]) + "\n)"


class _ModuleHandle(RemovableHandle):
    """That of a hook of one module: with the last of them, it goes back to calls without hooks."""

    def __init__(self, hooks: OrderedDict[int, Any], module: Module) -> None:
        super().__init__(hooks)
        self._module = weakref.ref(module)

    def remove(self) -> None:
        super().remove()
        module = self._module()
        own = None if module is None else module.__dict__.get("_hooks")
        if own is not None and not any(vars(own).values()):
            del module.__dict__["_hooks"]


class _EveryHandle(RemovableHandle):
    """That of a hook of every module: with the last of them, modules go back to calls without hooks."""

    def remove(self) -> None:
        super().remove()
        if not any(vars(EVERY_MODULE).values()):
            Module._hooks = None


def _add_to_every(hooks: OrderedDict[int, Any], entry: Any) -> RemovableHandle:
    handle = _EveryHandle(hooks)
    hooks[handle.id] = entry
    Module._hooks = EVERY_MODULE
    return handle


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_forward_pre_hook` of every module, for debugging and profiling.

    >>> from pydl.nn.modules.module import Module, register_module_forward_pre_hook
    >>> class Twice(Module):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> with register_module_forward_pre_hook(lambda module, args: print(module, args)):
    ...     Twice()(3)
    Twice() (3,)
    6
    """
    return _add_to_every(EVERY_MODULE.forward_pre, (hook, False))


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """`Module.register_forward_hook` of every module, before its own hooks."""
    return _add_to_every(EVERY_MODULE.forward, (hook, with_kwargs, always_call))


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_full_backward_pre_hook` of every module, before its own hooks."""
    return _add_to_every(EVERY_MODULE.backward_pre, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_full_backward_hook` of every module, before its own hooks."""
    return _add_to_every(EVERY_MODULE.backward, hook)


_WORDS = {"_parameter_names": "parameter", "_buffer_names": "buffer", "_module_names": "module"}


def _kind_of(value: Any) -> str | None:
    if isinstance(value, Parameter):
        return "_parameter_names"
    if isinstance(value, Module):
        return "_module_names"
    return "_buffer_names" if isinstance(value, Buffer) else None


def _typename(value: Any) -> str:
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _unlike(module: Module, wanted: str, place: str, value: Any) -> str:
    return f"{type(module).__name__}: expected {wanted} or None as {place}, got {_typename(value)}"


def _indent(text: str) -> str:
    """Two spaces before every line but the first."""
    return text.replace("\n", "\n  ")


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, pydl.dtype | None, bool]:
    """(device, dtype, non_blocking) of the three forms of `Module.to`."""
    if args and isinstance(args[0], Tensor):
        return _like(*args, **kwargs)
    if args and isinstance(args[0], pydl.dtype):
        return _cast(*args, **kwargs)
    return _move(*args, **kwargs)


def _like(tensor: Tensor, non_blocking: bool = False) -> tuple[Any, pydl.dtype | None, bool]:
    return tensor.device, tensor.dtype, non_blocking


def _cast(dtype: pydl.dtype, non_blocking: bool = False) -> tuple[Any, pydl.dtype | None, bool]:
    return None, dtype, non_blocking


def _move(
    device: Any = None, dtype: pydl.dtype | None = None, non_blocking: bool = False, *, tensor: Tensor | None = None
) -> tuple[Any, pydl.dtype | None, bool]:
    return (tensor.device, tensor.dtype, non_blocking) if tensor is not None else (device, dtype, non_blocking)

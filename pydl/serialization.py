"""Saving tensors to safetensors files and loading them back. Nothing is ever pickled or unpickled.

A file holds every tensor once, under its dotted path in the saved object, so a state_dict gives a file with PyTorch's
key names that any safetensors reader understands. What safetensors cannot say stands in the file's metadata as JSON,
under "pydl": the containers and plain values around the tensors, which paths share one tensor, and which tensors are
row-sparse: of those the file holds the indices and the values.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import IO, Any

import pydl
from pydl import Tensor
from pydl._sparse import sparse_coo_tensor

__all__ = ["load", "save"]

FORMAT = 2  # 1 knew no sparse tensors, and is still what files without them say
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}


def save(obj: Any, f: str | os.PathLike[str] | IO[bytes]) -> None:
    """Writes tensors, and dictionaries, lists and tuples of them at any depth, to a safetensors file.

    Numbers, strings, booleans and None may stand among them, so a checkpoint of model, optimizer and epoch is one
    object. Tensors that are the same view of the same memory (tied weights) are stored once. Strides, gradients and
    `requires_grad` are not stored. `f` is a path or a binary file; a file at the path is replaced in one step, so a
    reader sees the old one or the new one, whole. Anything else in `obj` raises TypeError that names its place.

    >>> import os, pydl, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> pydl.save({"weight": pydl.ones(2), "epoch": 3}, path)
    >>> checkpoint = pydl.load(path)
    >>> checkpoint["weight"].tolist(), checkpoint["epoch"]
    ([1.0, 1.0], 3)
    """
    import safetensors

    flat = _Flattener()
    header: dict[str, Any] = {"version": 1, "structure": flat.encode(obj, "")}
    if flat.sparse:
        header |= {"version": 2, "sparse": flat.sparse}
    metadata = {"format": "pt", "pydl": json.dumps(header)}
    keep: list[Any] = []  # the arrays whose memory the specs point into
    specs = {name: _spec(tensor, keep) for name, tensor in flat.tensors.items()}
    if hasattr(f, "write"):
        f.write(safetensors.serialize(specs, metadata=metadata))
        return
    with _replacing(Path(f)) as temporary:
        safetensors.serialize_file(specs, temporary, metadata=metadata)


def load(f: str | os.PathLike[str] | IO[bytes], map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Reads what `save` wrote; of any other safetensors file the dictionary of its tensors.

    Tensors that were tied come back as one tensor. `map_location` is the device they are put on. A file in another
    format raises RuntimeError; `weights_only` is there because PyTorch has it, and False raises, since a file that
    would have to be unpickled is not read.

    >>> import io
    >>> import pydl
    >>> file = io.BytesIO()
    >>> pydl.save({"epoch": 3, "weight": pydl.ones(2)}, file)
    >>> pydl.load(io.BytesIO(file.getvalue()))
    {'epoch': 3, 'weight': tensor([1., 1.])}
    """
    if not weights_only:
        raise NotImplementedError("load: expected weights_only=True, got False; pydl never unpickles a file")
    if hasattr(f, "read"):
        data, name = f.read(), getattr(f, "name", "a file object")
    else:
        data, name = Path(f).read_bytes(), os.fspath(f)
    tensors, header = _parse(data, str(name))
    if map_location is not None:
        tensors = {key: tensor.to(map_location) for key, tensor in tensors.items()}
    if "structure" not in header:
        return tensors
    try:
        for key, parts in header.get("sparse", {}).items():
            tensors[key] = _sparse(parts, tensors)
        return _decode(header["structure"], tensors)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise RuntimeError(f"load: expected a structure of the tensors in {name}, got {error!r}") from None


# -- the object and its tensors ---------------------------------------------------------------------------------------


class _Flattener:
    """Turns an object into JSON and collects its tensors under their paths.

    In JSON, containers are lists that begin with their kind, so that they cannot be taken for the values in them:
    ["tensor", name], ["dict", [key, value], ...], ["list", value, ...], ["tuple", value, ...], ["float", "nan"].
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.sparse: dict[str, dict[str, Any]] = {}  # what `_sparse` makes the others of
        self.stored: dict[Any, str] = {}  # what makes two tensors the same -> the name of the first

    def encode(self, obj: Any, path: str) -> Any:
        if isinstance(obj, Tensor):
            return ["tensor", self._add(obj, path)]
        if obj is None or isinstance(obj, (bool, int, str)):
            return obj
        if isinstance(obj, float):
            return obj if abs(obj) < float("inf") else ["float", repr(obj)]
        inner = f"{path}." if path else ""
        if isinstance(obj, dict):
            pairs = []
            for key, value in obj.items():
                if not (key is None or isinstance(key, (bool, int, float, str))):
                    raise TypeError(f"save: expected keys that are strings or numbers at {path or 'the top'!r}, got "
                                    f"{type(key).__name__}")
                pairs.append([key, self.encode(value, f"{inner}{key}")])
            return ["ordered" if isinstance(obj, OrderedDict) else "dict", *pairs]
        if isinstance(obj, (list, tuple)):
            kind = "list" if isinstance(obj, list) else "tuple"
            return [kind, *(self.encode(value, f"{inner}{i}") for i, value in enumerate(obj))]
        hint = "; save its state_dict()" if hasattr(obj, "state_dict") else ""
        raise TypeError(f"save: expected tensors, containers and plain values, got {type(obj).__name__} at "
                        f"{path or 'the top'!r}{hint}")

    def _add(self, tensor: Tensor, path: str) -> str:
        tensor = tensor.detach()
        if tensor.is_sparse:
            return self._add_sparse(tensor, path or "tensor")
        same = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride()) if tensor.numel() else None
        if same is not None and same in self.stored:
            return self.stored[same]
        name = self._free(path or "tensor")
        self.tensors[name] = tensor
        if same is not None:
            self.stored[same] = name
        return name

    def _add_sparse(self, tensor: Tensor, path: str) -> str:
        parts = {
            "indices": self._add(tensor._indices(), f"{path}.indices"),
            "values": self._add(tensor._values(), f"{path}.values"),
            "size": list(tensor.shape),
            "coalesced": tensor.is_coalesced(),
        }
        same = next((name for name, other in self.sparse.items() if other == parts), None)
        if same is not None:
            return same
        name = self._free(path)
        self.sparse[name] = parts
        return name

    def _free(self, path: str) -> str:
        """A name for the tensor at a path that no other has."""
        taken = {"__metadata__", *self.sparse}
        others = (f"{path}#{number}" for number in count(len(self.tensors)))  # {"a": {"b": ...}, "a.b": ...}
        return next(name for name in chain([path], others) if name not in taken and name not in self.tensors)


def _sparse(parts: dict[str, Any], tensors: dict[str, Tensor]) -> Tensor:
    return sparse_coo_tensor(tensors[parts["indices"]], tensors[parts["values"]], parts["size"],
                             is_coalesced=parts["coalesced"])


def _decode(node: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(node, list):
        return node
    kind, *items = node
    if kind == "tensor":
        return tensors[items[0]]
    if kind == "float":
        return float(items[0])
    if kind in ("dict", "ordered"):
        pairs = ((key, _decode(value, tensors)) for key, value in items)
        return OrderedDict(pairs) if kind == "ordered" else dict(pairs)
    values = [_decode(item, tensors) for item in items]
    return values if kind == "list" else tuple(values)


# -- bytes ------------------------------------------------------------------------------------------------------------


def _spec(tensor: Tensor, keep: list[Any]) -> Any:
    """What safetensors needs to write a tensor from its memory: dtype, shape, address, length."""
    from safetensors import TensorSpec

    dtype = str(tensor.dtype).rpartition(".")[2]
    if dtype not in _DTYPES.values():
        raise TypeError(f"save: expected a dtype that safetensors has, got {tensor.dtype}")
    tensor = tensor.cpu().contiguous()
    keep.append(tensor)
    size = tensor.numel() * tensor.element_size()
    return TensorSpec(dtype=dtype, shape=list(tensor.shape), data_ptr=tensor.data_ptr(), data_len=size)


def _parse(data: bytes, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file and pydl's part of its metadata."""
    import safetensors

    try:
        entries = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise RuntimeError(f"load: expected a safetensors file, got {_guess(data)} in {name} ({error})") from None
    header_size = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + header_size]).get("__metadata__", {})
    header = json.loads(metadata.get("pydl", "{}"))
    if header.get("version", FORMAT) > FORMAT:
        raise RuntimeError(f"load: expected format {FORMAT} or older, got {header['version']} in {name}")
    return {key: _tensor(entry, key, name) for key, entry in sorted(entries)}, header


def _tensor(entry: dict[str, Any], key: str, name: str) -> Tensor:
    if entry["dtype"] not in _DTYPES:
        raise RuntimeError(f"load: expected a dtype of pydl for {key!r}, got {entry['dtype']} in {name}")
    dtype = getattr(pydl, _DTYPES[entry["dtype"]])
    if not entry["data"]:
        return pydl.empty(entry["shape"], dtype=dtype)
    return pydl.frombuffer(entry["data"], dtype=dtype).reshape(entry["shape"]).clone()  # memory of its own


def _guess(data: bytes) -> str:
    if not data:
        return "an empty file"
    if data[:2] == b"\x80\x02" or data[:4] == b"PK\x03\x04":
        return "what looks like a pickle or a file of torch.save (convert it with safetensors.torch.save_file)"
    return "something else"


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place once it is written and on the disk."""
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    temporary.touch(exist_ok=False)
    try:
        mode = (path if path.exists() else temporary).stat().st_mode & 0o7777
        yield temporary
        os.chmod(temporary, mode)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

"""Text and JSON in files; bytes to text, with errors that say where."""

from __future__ import annotations

import codecs
import gzip
import json
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from pydl.serialization import _replacing

__all__ = ["decoded", "read_json", "read_lines", "write_json"]


def decoded(op: str, data: str | bytes, errors: str = "strict", place: str = "") -> str:
    """`data` as text. A UnicodeDecodeError names the line and the byte in it, after `place`."""
    if isinstance(data, str):
        return data
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"{op}: expected text as str or bytes, got {type(data).__name__}")
    data = bytes(data)
    try:
        return data.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = error.start - (data.rfind(b"\n", 0, error.start) + 1)
        where = f"{place}line {line}, byte {byte}"
        reason = f"{error.reason}, in {where}; errors='replace' or 'ignore' reads on"
        raise UnicodeDecodeError(error.encoding, error.object, error.start, error.end, reason) from None


def read_lines(path: str | os.PathLike[str], encoding: str = "utf-8", errors: str = "strict") -> Iterator[str]:
    r"""Yields the lines of a text file, or of one compressed by gzip (`.gz`), without their line ends.

    Lines end at "\n", "\r\n" or the end of the file and nowhere else, so that line n of two parallel files are a pair.
    Malformed bytes raise a UnicodeDecodeError that names file and line; `errors` is that of `bytes.decode`.

    >>> import os, tempfile
    >>> from pydl.text import read_lines
    >>> path = os.path.join(tempfile.mkdtemp(), "verse.txt")
    >>> with open(path, "wb") as file:
    ...     _ = file.write(b"to be\nor not\xff to be\n")
    >>> list(read_lines(path, errors="ignore"))
    ['to be', 'or not to be']
    """
    path = Path(path)
    with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
        number = 0
        lines = _lines if "\n".encode(encoding) == b"\n" else _lines_of_wide_characters
        try:
            for line in lines(file, encoding, errors):
                number += 1
                yield line.removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            number += 1
            if lines is not _lines:  # the end of a line may have been read with what is malformed
                number += error.object[: error.start].decode(error.encoding, "ignore").count("\n")
            reason = f"{error.reason}, in {path}, line {number}; errors='replace' or 'ignore' reads on"
            raise UnicodeDecodeError(error.encoding, error.object, error.start, error.end, reason) from None


def _lines(file: Iterable[bytes], encoding: str, errors: str) -> Iterator[str]:
    for line in file:
        yield line.decode(encoding, errors)


def _lines_of_wide_characters(file: Iterable[bytes], encoding: str, errors: str) -> Iterator[str]:
    """The lines of a file in UTF-16 or the like, where the byte of "\\n" is not a line's end."""
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    begun = ""
    for piece in chain(file, [b""]):
        begun += decoder.decode(piece, final=not piece)
        *lines, begun = begun.split("\n")
        yield from lines
    if begun:
        yield begun


def write_json(path: str | os.PathLike[str], values: dict[str, Any]) -> None:
    """Puts a JSON file in place of what is at the path, in one step."""
    with _replacing(Path(path)) as temporary:
        temporary.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def read_json(path: str | os.PathLike[str]) -> Any:
    """What a JSON file says; ValueError where it is none."""
    return json.loads(Path(path).read_text(encoding="utf-8"))

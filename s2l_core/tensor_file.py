"""Safetensors files with JSON fields and a checksum in their header, which is looked at before tensors are loaded."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from . import json_text

Tensors = dict[str, Tensor]

CHECKSUM = "checksum"
"""The field that :func:`pack` adds."""

_MOST_DIMENSIONS = 8
_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "F16": torch.float16,
    "F32": torch.float32,
    "F64": torch.float64,
}
_EXPONENTS = {
    torch.float16: (torch.int16, 0x7C00),
    torch.float32: (torch.int32, 0x7F80_0000),
    torch.float64: (torch.int64, 0x7FF0_0000_0000_0000),
}
"""The integers of the same size, and the bits that are all set in infinity and NaN."""


class ForeignFile(Exception):
    """A file that is something else."""


@dataclass(frozen=True)
class Listed:
    """What a header says about a tensor.

    Attributes:
        dtype: Its type; None for those that this project never writes.
        shape: Its sizes, each 0 or more.
        begin: Byte of the file at which it begins.
        end: Byte after its last.
    """

    dtype: torch.dtype | None
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """The header of a file.

    Attributes:
        text: The JSON object with the fields.
        listing: The tensors, by name.
    """

    text: str
    listing: dict[str, Listed]


def pack(tensors: Mapping[str, Tensor], key: str, fields: Mapping[str, Any]) -> bytes:
    """The content of a file.

    Args:
        tensors: By name, contiguous, on the CPU.
        key: Under which the header has the fields.
        fields: JSON values, to which ``"checksum"`` is added; numbers that are not finite become None.
    """
    empty = json.dumps({**json_text.parse(json.dumps(fields)), CHECKSUM: ""})
    text = _with_checksum(empty, "", _checksum(empty, tensors))
    return bytes(safetensors.torch.save(dict(tensors), {key: text}))


def unpack(content: bytes, key: str) -> tuple[dict[str, Any], Tensors]:
    """The fields and tensors that :func:`pack` has put into a file.

    Raises:
        ValueError: The content is something else, or damaged.
    """
    length = int.from_bytes(content[:8], "little")
    text = parse_header(content[8 : 8 + length], key, 8 + length).text
    try:
        fields, tensors = dict(json_text.parse(text)), safetensors.torch.load(content)
    except (KeyError, RuntimeError, SafetensorError, TypeError) as error:
        raise ValueError("neither fields nor tensors") from error
    refuse_damage(text, fields.pop(CHECKSUM, None), tensors)
    return fields, tensors


def read_header(file: BinaryIO, key: str, longest: int) -> Header:
    """The header of an open file.

    Args:
        file: At its beginning.
        key: As in :func:`pack`. Nothing else is read of a file whose header does not begin with it.
        longest: Bytes that the header may have.

    Raises:
        ForeignFile: The header does not begin with that key.
        ValueError: The file is damaged.
    """
    length, beginning = int.from_bytes(file.read(8), "little"), b'{"__metadata__":{"' + key.encode() + b'"'
    text = file.read(min(length, len(beginning)))
    if text != beginning:
        raise ForeignFile(key)
    if length > longest:
        raise ValueError("a header that is too long")
    return parse_header(text + file.read(length - len(text)), key, 8 + length)


def parse_header(text: bytes, key: str, start: int) -> Header:
    """The header whose JSON is given, of a file whose tensors begin at byte ``start``.

    Raises:
        ValueError: It is not a header, or not one with that key.
    """
    header = json_text.parse(text)
    try:
        fields = header.pop("__metadata__")[key]
        listing = {name: _listed(values, start) for name, values in header.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not a header") from error
    if not isinstance(fields, str):
        raise ValueError("not a header")
    return Header(fields, listing)


def refuse_damage(text: str, checksum: Any, tensors: Mapping[str, Tensor]) -> None:
    """Raise where fields and tensors are not those that the checksum was taken of.

    Args:
        text: The JSON object with the fields.
        checksum: The field :data:`CHECKSUM`.
        tensors: All tensors of the file, contiguous, on the CPU.

    Raises:
        ValueError: The checksum is wrong or missing.
    """
    if not isinstance(checksum, str) or _checksum(_with_checksum(text, checksum, ""), tensors) != checksum:
        raise ValueError("a wrong checksum")


def are_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether tensors on the CPU hold neither infinity nor NaN."""
    for tensor in tensors:
        if tensor.dtype not in _EXPONENTS or not tensor.numel():
            continue
        integers, exponent = _EXPONENTS[tensor.dtype]
        if int((tensor.detach().contiguous().view(integers) & exponent).max()) == exponent:
            return False
    return True


def _listed(values: Any, start: int) -> Listed:
    shape, (begin, end) = tuple(values["shape"]), values["data_offsets"]
    if len(shape) > _MOST_DIMENSIONS or not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError("not a size")
    dtype = _DTYPES.get(values["dtype"])
    if dtype is not None and end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError("sizes that contradict each other")
    return Listed(dtype, shape, start + begin, start + end)


def _with_checksum(text: str, before: str, after: str) -> str:
    """Fields with another checksum: their last."""
    front, mark, back = text.rpartition(f'"{CHECKSUM}": "{before}"')
    return f'{front}"{CHECKSUM}": "{after}"{back}' if mark else text


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Of fields, names, types, shapes and numbers. It detects damage, not forgery, in half the time of SHA-256."""
    value = zlib.crc32(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        value = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        if tensor.numel():  # an empty one may have strides that no view takes
            value = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, value)
    return f"{value:08x}"

"""Safetensors files with JSON fields and a checksum in the header, which is checked before tensors are loaded."""

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
"""Name of the field that :func:`pack` adds."""

_MOST_DIMENSIONS = 8
_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "F16": torch.float16,
    "F32": torch.float32,
    "F64": torch.float64,
}


class ForeignFile(Exception):
    """The file has another format."""


@dataclass(frozen=True)
class Listed:
    """Entry of a header for a tensor.

    Attributes:
        dtype: Type of the numbers; None for types that this project never writes.
        shape: Sizes of the dimensions, each 0 or more.
        begin: Offset in the file of the first byte.
        end: Offset in the file after the last byte.
    """

    dtype: torch.dtype | None
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """Header of a file.

    Attributes:
        text: JSON text of the fields.
        listing: Entries of the tensors by name.
    """

    text: str
    listing: dict[str, Listed]


def pack(tensors: Mapping[str, Tensor], key: str, fields: Mapping[str, Any]) -> bytes:
    """Content of a file.

    Args:
        tensors: Tensors by name, contiguous, on the CPU.
        key: Name of the header entry that contains the fields.
        fields: JSON values, to which ``"checksum"`` is added; infinity and NaN become None.
    """
    empty = json.dumps({**json_text.parse(json.dumps(fields)), CHECKSUM: ""})
    text = _with_checksum(empty, "", _checksum(empty, tensors))
    return bytes(safetensors.torch.save(dict(tensors), {key: text}))


def unpack(content: bytes, key: str) -> tuple[dict[str, Any], Tensors]:
    """Fields and tensors of a file that :func:`pack` made.

    Raises:
        ValueError: The content has another format, or is damaged.
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
    """Header of an open file.

    Args:
        file: The file, positioned at its beginning.
        key: See :func:`pack`. If the header does not begin with it, no more of the file is read.
        longest: Maximum size of the header in bytes.

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
    """Header from its JSON text, in a file whose tensors begin at byte ``start``.

    Raises:
        ValueError: The text is not a header, or does not have that key.
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
    """Raise an error if the checksum does not match fields and tensors.

    Args:
        text: JSON text of the fields.
        checksum: Value of the field :data:`CHECKSUM`.
        tensors: All tensors of the file, contiguous, on the CPU.

    Raises:
        ValueError: The checksum is wrong or missing.
    """
    if not isinstance(checksum, str) or _checksum(_with_checksum(text, checksum, ""), tensors) != checksum:
        raise ValueError("a wrong checksum")


def are_finite(tensors: Iterable[Tensor], bound: float = math.inf) -> bool:
    """Whether tensors contain neither infinity nor NaN, nor any other number as far from 0 as a bound."""
    for tensor in tensors:
        if tensor.is_floating_point() and tensor.numel():
            least, most = tensor.detach().aminmax()  # both are NaN if any number is
            if not (-bound < least and most < bound):
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
    """The fields with another checksum, which is the last of them."""
    front, mark, back = text.rpartition(f'"{CHECKSUM}": "{before}"')
    return f'{front}"{CHECKSUM}": "{after}"{back}' if mark else text


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 of fields, names, types, shapes and numbers: detects damage, not forgery, in half the time of SHA-256."""
    value = zlib.crc32(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        value = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        if tensor.numel():  # an empty tensor may have strides that cannot be viewed as bytes
            value = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, value)
    return f"{value:08x}"

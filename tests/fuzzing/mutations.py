"""Damaging bytes, JSON values, arrays and archives by the choices of a random generator."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

_NESTED = "\x00nested\x00"
"""Placeholder for deeply nested brackets, which :func:`json.dumps` cannot write."""
_NUMBERS = (0, -1, 1, 2, -0.0, 0.5, 255, 65536, 2**31, 2**53, 2**63, -(2**63), 10**30, 10**400, 1e-308, 1e99, -1e99)
_NO_NUMBERS = (float("nan"), float("inf"), float("-inf"))
_TEXTS = (
    "",
    "\x00",
    "a\x00b",
    "\ud800",
    "\u202e",
    "x" * 300,
    "x" * 1_000_000,
    "../../../up",
    "/dev/zero",
    "nan",
    "1e99999999",
    "1/0",
    "0x10",
    "9" * 5000,
    "\n{}\n",
    "{0.__class__}",
    "%s%n",
)
_CONTAINERS: tuple[Any, ...] = ([], {}, [[]], {"": {}}, [0] * 10_000, _NESTED)


class Mutator:
    """Damages values.

    Args:
        random: The random generator. With None nothing is changed, so that the same code makes the good input.
    """

    def __init__(self, random: random.Random | None) -> None:
        self._random = random
        self.must_be_refused = False
        """Whether the input must be refused now, since a network contains NaN."""

    def chance(self, share: float) -> bool:
        """True with a probability of ``share``; always False for good input."""
        return self._random is not None and self._random.random() < share

    def one_of(self, *values: Any) -> Any:
        """One of several values; the first one for good input."""
        return values[0] if self._random is None else self._random.choice(values)

    def of_bytes(self, content: bytes) -> bytes:
        """Bytes with one to four faults: flipped, overwritten, cut, moved, repeated, or with an extreme number."""
        if self._random is None:
            return content
        data = bytearray(content)
        for _ in range(self._random.choice((1, 1, 2, 4))):
            self._random.choice(_BYTE_FAULTS)(data, self._random)
        return bytes(data)

    def of_json(self, document: Any) -> Any:
        """JSON values with one to three faults: changed, of another type, missing, added or moved."""
        if self._random is None:
            return document
        document = json.loads(json.dumps(document))
        for _ in range(self._random.choice((1, 1, 2, 3))):
            document = self._with_fault(document)
        return document

    def as_text(self, document: Any) -> str:
        """JSON text of values, sometimes with a duplicate key, or with NaN and Infinity."""
        if self._random is None:
            return json.dumps(document)
        text = json.dumps(document, ensure_ascii=self._random.random() < 0.8)
        if isinstance(document, dict) and document and self.chance(0.1):
            key = self._random.choice(list(document))
            text = f"{{{json.dumps(key)}: {json.dumps(self._extreme())}, {text[1:]}"
        depth = self._random.choice((100, 900, 100_000))
        opened, closed = self._random.choice((("[", "]"), ('{"a":', "}")))
        return text.replace(json.dumps(_NESTED), opened * depth + "0" + closed * depth)

    def of_array(self, array: np.ndarray) -> np.ndarray:
        """An array with NaN or extreme numbers, another shape or another type."""
        if self._random is None:
            return array
        if array.dtype.kind not in "biuf":  # names
            array = self._random.choice((array, np.zeros(array.shape)))
        faults = _ARRAY_FAULTS if array.dtype.kind in "biuf" else (_reshaped, _resized)
        return self._random.choice(faults)(array, self._random)

    def of_archive(self, content: bytes) -> bytes:
        """A zip archive with a damaged, missing or duplicate member, an unknown compression, or wrong sizes."""
        if self._random is None:
            return content
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
        fault = self._random.choice(
            ("member", "member", "member", "member", "drop", "twice", "rename", "compress", "sizes", "bytes")
        )
        place = self._random.randrange(len(members))
        name, data = members[place]
        if fault == "member":
            members[place] = name, self.of_bytes(data)
        elif fault == "drop":
            del members[place]
        elif fault == "twice":
            members.append((name, self.of_bytes(data)))
        elif fault == "rename":
            members[place] = self._random.choice(("../up", "/up", name.upper(), "x" * 300)), data
        elif fault == "compress":
            members[place] = name, bytes(200_000_000)  # packs into 200 kB
        written = io.BytesIO()
        packing = zipfile.ZIP_DEFLATED if fault == "compress" else zipfile.ZIP_STORED
        with zipfile.ZipFile(written, "w", packing) as archive:
            for name, data in members:
                archive.writestr(name, data)
        if fault == "sizes":
            return self._with_false_sizes(written.getvalue())
        return self.of_bytes(written.getvalue()) if fault == "bytes" else written.getvalue()

    def _with_fault(self, document: Any) -> Any:
        assert self._random is not None
        places = list(_places(document))
        if not places:
            return self._extreme()
        container, key = self._random.choice(places)
        match self._random.randrange(8):
            case 0 if isinstance(container, dict):
                del container[key]
            case 1 if isinstance(container, dict):
                container[self._random.choice((*_TEXTS[:6], "verb", "schema", "id", "__class__"))] = self._extreme()
            case 2:
                other, other_key = self._random.choice(places)
                container[key] = json.loads(json.dumps(other[other_key]))
            case 3:
                container[key] = [container[key]]
            case 4 if isinstance(container[key], str) and container[key]:
                text = container[key]
                cut = self._random.randrange(len(text))
                container[key] = text[:cut] + self._random.choice(_TEXTS) + text[cut:]
            case 5 | 6:
                container[key] = self._alike(container[key])
            case _:
                container[key] = self._extreme()
        return document

    def _alike(self, value: Any) -> Any:
        """Another value of the same type, which may be valid."""
        assert self._random is not None
        match value:
            case bool():
                return not value
            case int() | float():
                return type(value)(self._random.choice((0, 1, 2, 3, 7, 100, 1e4, 1e5, 1e9, 1e15, value * 2, value + 1)))
            case str():
                return self._random.choice(_TEXTS)
            case list() if value:
                return value[: self._random.randrange(len(value))] + value
        return value

    def _extreme(self) -> Any:
        assert self._random is not None
        values = self._random.choice((_NUMBERS, _NO_NUMBERS, _TEXTS, _CONTAINERS, (True, False, None)))
        return copy.deepcopy(self._random.choice(values))  # the next fault may change a container

    def _with_false_sizes(self, content: bytes) -> bytes:
        """Wrong sizes of a member in the central directory, whose entries have them at bytes 20 and 24."""
        assert self._random is not None
        data = bytearray(content)
        entries = [place for place in range(len(data) - 30) if data[place : place + 4] == b"PK\x01\x02"]
        place = self._random.choice(entries) + self._random.choice((20, 24))
        struct.pack_into("<I", data, place, self._random.choice((0, 1, 2**31, 2**32 - 1)))
        return bytes(data)


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Every place in nested JSON values, as a container and a key or index; of long lists only the first few."""
    if isinstance(document, dict):
        keys: list[Any] = list(document)
    elif isinstance(document, list):
        keys = list(range(min(len(document), 8)))
    else:
        return []
    return [(document, key) for key in keys] + [place for key in keys for place in _places(document[key])]


def _flip(data: bytearray, random: random.Random) -> None:
    if data:
        data[_place(data, random)] ^= 1 << random.randrange(8)


def _overwrite(data: bytearray, random: random.Random) -> None:
    place, length = _place(data, random), random.choice((1, 4, 16, 300))
    filling = random.choice((b"\x00", b"\xff", b"\x7f", b"{", random.randbytes(1)))
    data[place : place + length] = filling * min(length, len(data) - place)


def _number(data: bytearray, random: random.Random) -> None:
    """Replace four or eight bytes by an extreme number, in either byte order."""
    code, value = random.choice((("I", 2**32 - 1), ("I", 2**31), ("i", -1), ("Q", 2**63), ("Q", 2**40), ("d", 1e99)))
    packed = struct.pack(random.choice("<>") + code, value)
    place = _place(data, random)
    data[place : place + len(packed)] = packed


def _cut(data: bytearray, random: random.Random) -> None:
    del data[_place(data, random) :]


def _remove(data: bytearray, random: random.Random) -> None:
    place = _place(data, random)
    del data[place : place + random.choice((1, 7, 200))]


def _repeat(data: bytearray, random: random.Random) -> None:
    place = _place(data, random)
    data[place:place] = bytes(data[place : place + random.choice((1, 8, 1000))]) * random.choice((1, 3))


def _append(data: bytearray, random: random.Random) -> None:
    data += random.randbytes(random.choice((1, 100, 10_000)))


def _swap(data: bytearray, random: random.Random) -> None:
    first, second, length = _place(data, random), _place(data, random), random.choice((4, 64, 1024))
    one, other = bytes(data[first : first + length]), bytes(data[second : second + length])
    if len(one) == len(other):
        data[first : first + length], data[second : second + length] = other, one


def _place(data: bytearray, random: random.Random) -> int:
    """A position in data: anywhere or, equally often, in the first or last thousand bytes with headers and indexes."""
    if not data:
        return 0
    part = random.randrange(4)
    if part == 0:
        return random.randrange(min(len(data), 1000))
    if part == 1:
        return len(data) - 1 - random.randrange(min(len(data), 1000))
    return random.randrange(len(data))


_BYTE_FAULTS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip,
    _flip,
    _overwrite,
    _overwrite,
    _number,
    _number,
    _cut,
    _remove,
    _repeat,
    _append,
    _swap,
)


def _no_number(array: np.ndarray, random: random.Random) -> np.ndarray:
    return _filled(array, random, random.choice(_NO_NUMBERS))


def _extreme_number(array: np.ndarray, random: random.Random) -> np.ndarray:
    return _filled(array, random, random.choice((0.0, -1.0, 1e4, -1e30, 1e38)))


def _filled(array: np.ndarray, random: random.Random, value: float) -> np.ndarray:
    """An array with one element, or all elements, set to a value."""
    if array.dtype.kind != "f" or not array.size:
        return array.astype(np.float32)
    filled = array.copy()
    with np.errstate(over="ignore"):
        filled.reshape(-1)[random.choice((slice(None), random.randrange(array.size)))] = value
    return filled


def _reshaped(array: np.ndarray, random: random.Random) -> np.ndarray:
    return random.choice((array.reshape(-1), array.T, array[None], array.reshape(*array.shape, 1)))


def _resized(array: np.ndarray, random: random.Random) -> np.ndarray:
    length = random.choice((0, 1, 2, 2 * max(len(array) if array.ndim else 1, 1), 1000))
    return np.resize(array, (length, *array.shape[1:]))


def _retyped(array: np.ndarray, random: random.Random) -> np.ndarray:
    kind = random.choice((np.bool_, np.int8, np.uint8, np.int64, np.float16, np.float64))
    with np.errstate(all="ignore"):
        return array.astype(kind)


_ARRAY_FAULTS = (_no_number, _no_number, _extreme_number, _reshaped, _resized, _retyped)

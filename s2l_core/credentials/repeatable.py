"""Signed manifests that are the same bytes each time.

The C2PA library gives every assertion a random salt. Here each salt is replaced with one that follows from the
assertion, the hashes of the assertions are corrected wherever they occur, and the claim is signed again. Nothing
changes its length or place, so the manifest can be overwritten where it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

_SALT, _ACTIONS = b"c2sh", b"c2pa.actions"
_HEADER = 8


class _Box(NamedTuple):
    """A JUMBF box: its kind, and the offsets of its start, its content and its end."""

    kind: bytes
    start: int
    content: int
    end: int


class RecordingSigner:
    """Signs, and remembers what was signed last.

    Args:
        sign: Signs bytes; the same bytes must get the same signature.
    """

    def __init__(self, sign: Callable[[bytes], bytes]) -> None:
        self._sign = sign
        self.signed, self.signature = b"", b""

    def __call__(self, data: bytes) -> bytes:
        self.signed, self.signature = bytes(data), self._sign(bytes(data))
        return self.signature


def with_derived_salts(manifest: bytes, signer: RecordingSigner) -> bytes:
    """A manifest store with the salts of its last manifest derived from its content, signed anew.

    Args:
        manifest: A manifest store in JUMBF, whose last manifest ``signer`` has signed.
        signer: What signed it.

    Raises:
        ValueError: The store has another structure.
    """
    changed = bytearray(manifest)
    (store,) = _boxes(changed, 0, len(changed))
    *_, active = (box for box in _boxes(changed, store.content, store.end) if box.kind == b"jumb")
    assertions = next(box for box in _children(changed, active) if _label(changed, box) == b"c2pa.assertions")
    salted = [box for box in _children(changed, assertions) if _salt_of(changed, box) is not None]
    before = {box: _hash(changed, box) for box in salted}
    to_sign = signer.signed
    # The actions name other assertions by their hashes, so they come last.
    for box in sorted(salted, key=lambda box: _label(changed, box).startswith(_ACTIONS)):
        salt = _salt_of(changed, box)
        assert salt is not None
        label = _label(changed, box)
        content = bytes(changed[box.content : salt.content] + changed[salt.end : box.end])
        changed[salt.content : salt.end] = hashlib.sha256(label + b"\0" + content).digest()[: salt.end - salt.content]
        old, new = before[box], _hash(changed, box)
        if old not in to_sign:
            raise ValueError(f"the claim does not contain the hash of {label!r}")
        changed[active.start : active.end] = changed[active.start : active.end].replace(old, new)
        to_sign = to_sign.replace(old, new)
    old_signature = signer.signature
    where = changed.rfind(old_signature, active.start, active.end)
    if where < 0 or len(new_signature := signer(to_sign)) != len(old_signature):
        raise ValueError("the signature is not in the manifest")
    changed[where : where + len(new_signature)] = new_signature
    return bytes(changed)


def _boxes(data: bytearray, start: int, end: int) -> Iterator[_Box]:
    while start < end:
        size = int.from_bytes(data[start : start + 4])
        if not _HEADER <= size <= end - start:
            raise ValueError("not a box")
        yield _Box(bytes(data[start + 4 : start + _HEADER]), start, start + _HEADER, start + size)
        start += size


def _children(data: bytearray, box: _Box) -> list[_Box]:
    """The boxes inside a superbox, without its description."""
    return [child for child in _boxes(data, box.content, box.end) if child.kind == b"jumb"]


def _label(data: bytearray, box: _Box) -> bytes:
    description = next(_boxes(data, box.content, box.end))
    return bytes(data[description.content + 17 : description.end]).split(b"\0", 1)[0]


def _salt_of(data: bytearray, box: _Box) -> _Box | None:
    """The salt in the description of a superbox; None if there is none."""
    description = next(_boxes(data, box.content, box.end))
    after_label = description.content + 17 + len(_label(data, box)) + 1
    if after_label >= description.end:
        return None
    private = next(_boxes(data, after_label, description.end))
    return private if private.kind == _SALT else None


def _hash(data: bytearray, box: _Box) -> bytes:
    return hashlib.sha256(data[box.content : box.end]).digest()

"""The ledger of a folder: the consents under which its speakers were trained, and those that were revoked.

It is the file ``consent.s2l.json`` beside the speaker files. A speaker file states only the hash of its record; the
ledger knows the record. Nothing in the file is trusted. Standard library only, since Blender uses this module as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from . import json_text
from .consent_record import LONGEST_TEXT, ConsentRecord
from .dataclass_reader import DataclassReader
from .errors import BadJob, CannotWrite, ConsentMissing, ConsentRevoked, ConsentUnreadable
from .files import companion, refusal, write_whole
from .locks import Taken, locked
from .results import ConsentState

LEDGER = "consent.s2l.json"
_VERSION = 1
_LARGEST_FILE = 8_000_000
_READER = DataclassReader(longest_text=LONGEST_TEXT)
_LOCK_SECONDS, _BETWEEN_TRIES = 20.0, 0.05
"""How long to wait for another writer, which needs milliseconds."""
_FEWEST_DIGITS = 6
"""Length from which the beginning of a hash names a record."""


@dataclass(frozen=True)
class Entry:
    """A record in a ledger.

    Attributes:
        hash: Hash of the record, as in the speaker files.
        record: The record.
        recorded: When it was recorded, such as ``"2026-11-30T07:00:00+00:00"``.
        files: Names of the files that were made under it.
        revoked: When it was revoked; empty if it was not.
        reason: Why it was revoked, if somebody said so.
    """

    hash: str
    record: ConsentRecord
    recorded: str
    files: tuple[str, ...] = ()
    revoked: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.hash != self.record.hash:
            raise BadJob(f"The record of {self.record.who} was changed after it was entered.")

    @property
    def state(self) -> ConsentState:
        """Whether the consent applies."""
        return "revoked" if self.revoked else "expired" if self.record.is_expired else "given"

    def refuse_ended(self) -> None:
        """Raise an error if the consent was revoked, or its last day has passed.

        Raises:
            ConsentRevoked, ConsentExpired: It has ended.
        """
        if self.revoked:
            raise ConsentRevoked(f"The consent of {self.record.who} was revoked on {self.revoked[:10]}.")
        self.record.refuse_expired()


@dataclass(frozen=True)
class _Ledger:
    version: int
    entries: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        if len({entry.hash for entry in self.entries}) < len(self.entries):
            raise BadJob("It has a record twice.")


def ledger_beside(path: str | Path) -> Path:
    """Path of the ledger that applies to a file, which may not exist."""
    return Path(path).parent / LEDGER


def read_ledger(path: Path) -> tuple[Entry, ...]:
    """The entries of a ledger, the oldest first; none if there is no such file.

    Raises:
        ConsentUnreadable: The file is not a ledger, or a record in it was changed.
    """
    try:
        ledger: _Ledger = _READER.read(_Ledger, json_text.read(path, _LARGEST_FILE), path.name)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except BadJob as error:
        raise ConsentUnreadable(f"{path} is not a ledger of consents: {error.message}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConsentUnreadable(f"The ledger of consents {path} cannot be read: {reason}.") from error
    if ledger.version != _VERSION:
        raise ConsentUnreadable(f"{path} has version {ledger.version}; this version reads {_VERSION}.")
    return ledger.entries


def refuse_ended(path: str | Path, record_hash: str) -> None:
    """Raise an error if the ledger beside a file says that a consent was revoked or has ended.

    Args:
        path: The file: that of a speaker, or one that is going to be made.
        record_hash: Hash of the record; empty if there is none, which raises no error.

    Raises:
        ConsentRevoked, ConsentExpired: The consent has ended.
        ConsentUnreadable: See :func:`read_ledger`.
    """
    if entry := entry_of(path, record_hash):
        entry.refuse_ended()


def entry_of(path: str | Path, record_hash: str) -> Entry | None:
    """The entry of a record in the ledger beside a file; None if the ledger does not have it, or the hash is empty.

    Raises:
        ConsentUnreadable: See :func:`read_ledger`.
    """
    entries = read_ledger(ledger_beside(path)) if record_hash else ()
    return next((entry for entry in entries if entry.hash == record_hash), None)


def enter(path: str | Path, record: ConsentRecord) -> None:
    """Write into the ledger beside a file that it is made under a record.

    Raises:
        ConsentUnreadable: See :func:`read_ledger`.
        CannotWrite, DiskFull: The ledger cannot be written.
    """
    name = Path(path).name
    with _changed(ledger_beside(path)) as entries:
        number = next((number for number, entry in enumerate(entries) if entry.hash == record.hash), len(entries))
        if number == len(entries):
            entries.append(Entry(record.hash, record, _now()))
        if name not in entries[number].files:
            entries[number] = replace(entries[number], files=(*entries[number].files, name))


def make_under(path: str | Path, record: ConsentRecord | None) -> None:
    """Write into the ledger beside a file that it is made under a record, unless that has ended; nothing without one.

    Raises:
        ConsentRevoked, ConsentExpired: The consent has ended.
        ConsentUnreadable, CannotWrite, DiskFull: As :func:`enter`.
    """
    if record is not None:
        refuse_ended(path, record.hash)
        enter(path, record)


def revoke(path: Path, record_hash: str, reason: str = "") -> Entry:
    """Write into a ledger that a consent was revoked. One that was revoked before keeps its date.

    Args:
        path: The ledger.
        record_hash: Hash of the record.
        reason: Why, at most 500 characters.

    Raises:
        ConsentMissing: The ledger does not contain the record.
        ConsentUnreadable: See :func:`read_ledger`.
        CannotWrite, DiskFull: The ledger cannot be written.
    """
    with _changed(path) as entries:
        found = find(path, record_hash, entries)
        if not found.revoked:
            revoked = replace(found, revoked=_now(), reason=reason[:LONGEST_TEXT])
            entries[entries.index(found)] = found = revoked
    return found


def find(path: Path, wanted: str, entries: list[Entry] | tuple[Entry, ...] | None = None) -> Entry:
    """The entry of a ledger that a text names.

    Args:
        path: The ledger.
        wanted: The hash, its first six digits or more, the name of the person, or the name of a file.
        entries: The content of the ledger, if it has been read.

    Raises:
        ConsentMissing: There is none, or there are several.
        ConsentUnreadable: See :func:`read_ledger`.
    """
    entries = read_ledger(path) if entries is None else entries
    found = [entry for entry in entries if _is_named(entry, wanted)]
    if len(found) == 1:
        return found[0]
    number = f"{len(found)} records" if found else "no record"
    raise ConsentMissing(
        f"{path} has {number} of {wanted[:80]!r}.", "List the records with s2l consent list, and use the hash of one."
    )


def _is_named(entry: Entry, wanted: str) -> bool:
    is_hash = len(wanted) >= _FEWEST_DIGITS and entry.hash.startswith(wanted)
    return is_hash or wanted == entry.record.who or wanted in entry.files


@contextmanager
def _changed(path: Path) -> Iterator[list[Entry]]:
    """The entries of a ledger, which are written when the context ends without an exception. Other writers wait."""
    with _locked(path):
        before = read_ledger(path)
        entries = list(before)
        yield entries
        if tuple(entries) == before:
            return
        content = json_text.to_json({"version": _VERSION, "entries": list(map(asdict, entries))}, indent=2).encode()
        if len(content) > _LARGEST_FILE:
            raise CannotWrite(f"{path} would have more than 8 MB.", "Keep the speakers in several folders.")
        write_whole(str(path), content)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a ledger, and wait for it while another writer has it."""
    lock, deadline = companion(path, ".s2l-lock", hidden=True), time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            with locked(lock):
                yield
                return
        except Taken:
            if time.monotonic() > deadline:
                raise CannotWrite(f"Another program is writing {path}.", "Wait until it has ended.") from None
            time.sleep(_BETWEEN_TRIES)
        except OSError as error:
            raise refusal(path, error) from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

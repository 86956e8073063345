"""The verb ``consent``: lists the records of consent in a ledger, shows one, or revokes one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from .. import regular_files
from ..consent_ledger import LEDGER, Entry, find, read_ledger, revoke
from ..errors import BadJob, FileMissing
from ..events import Report
from ..jobs import ConsentJob
from ..model.origin import read_consent_hash
from ..model.speaker import read_header
from ..results import ConsentEntry, ConsentResult

_SPEAKER = ".s2l"


def consent(job: ConsentJob, report: Report | None = None) -> ConsentResult:
    """List, show or revoke records of consent.

    Raises:
        BadJob: The job does not say which record to show or revoke.
        ConsentMissing: The ledger has no such record, or several.
        ConsentUnreadable: The ledger cannot be read.
        FileMissing: There is no ledger.
        SpeakerFileForeign, SpeakerFileNewer, SpeakerFileOlder, SpeakerFileBroken: The path names a speaker file that
            cannot be read.
        CannotWrite, DiskFull: The ledger cannot be written.
    """
    ledger, named = _ledger_of(job.path)
    if not regular_files.is_file(ledger):
        raise FileMissing(f"There is no ledger of consents {ledger}.", "Name the folder of the speaker files.")
    wanted = job.record or named
    if job.action == "list":
        entries: tuple[Entry, ...] = read_ledger(ledger)
    elif not wanted:
        raise BadJob("It is not said which record is meant.", "Give its hash, the name of the person, or a file.")
    else:
        found = find(ledger, wanted)
        entries = (revoke(ledger, found.hash, job.reason) if job.action == "revoke" else found,)
    return {"ledger_path": str(ledger), "entries": [_as_result(entry) for entry in entries]}


def _ledger_of(path: str) -> tuple[Path, str]:
    """The ledger that a path means, and the record that it names, if it does."""
    if regular_files.is_folder(path):
        return Path(path) / LEDGER, ""
    if Path(path).name == LEDGER:
        return Path(path), ""
    named = read_consent_hash(read_header(path).get("origin")) if Path(path).suffix == _SPEAKER else ""
    return Path(path).parent / LEDGER, named or Path(path).name


def _as_result(entry: Entry) -> ConsentEntry:
    return {
        "hash": entry.hash,
        **asdict(entry.record),  # type: ignore[typeddict-item]
        "recorded": entry.recorded,
        "files": list(entry.files),
        "state": entry.state,
        "revoked": entry.revoked,
        "reason": entry.reason,
    }

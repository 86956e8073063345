"""The verb ``sign``: signs files that another program rendered from our results."""

from __future__ import annotations

from pathlib import Path

from .. import regular_files
from ..credentials.claim import Claim, Source
from ..credentials.signing import refuse_unusable_key, sign_in_place
from ..errors import FileMissing
from ..events import Report
from ..fingerprints import fingerprint_file
from ..jobs import SignJob
from ..results import SignResult


def sign(job: SignJob, report: Report | None = None) -> SignResult:
    """Sign each file where it is, or beside it if it cannot carry credentials, with all sources as its parts.

    Raises:
        FileMissing: There is no such file, or it cannot be read.
        SigningKeyUnusable, SigningFailed, CannotWrite, DiskFull: It cannot be signed. It remains as it was, and files
            before it are signed.
    """
    report = report or Report()
    refuse_unusable_key()
    placed = tuple(map(_source, job.sources))
    claim = Claim("a render that contains synthetic media", (), placed)
    sentence = ""
    for done, path in enumerate(job.files):
        report.progress("Sign", done, len(job.files))
        try:
            regular_files.size(path)
            sentence = sign_in_place(Path(path), claim)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
            raise FileMissing(f"{path[:500]} cannot be read: {reason}.") from None
    report.progress("Sign", len(job.files), len(job.files))
    return {"files": list(job.files), "credentials": sentence}


def _source(path: str) -> Source:
    return Source(path, fingerprint_file(path) if regular_files.is_file(path) else "")

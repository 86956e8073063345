"""The verb ``verify``: checks content credentials."""

from __future__ import annotations

from ..events import Report
from ..jobs import VerifyJob
from ..results import VerifyResult


def verify(job: VerifyJob, report: Report | None = None) -> VerifyResult:
    """Say of each file what is signed, by whom, whether it was changed since, and what it was made from.

    Raises:
        FileMissing: There is no such file, or it cannot be read.
        ModuleNotFoundError: The package c2pa-python is not installed.
    """
    from ..credentials.verification import check_file  # of all verbs, only this one cannot do without the package

    report = report or Report()
    checked = []
    for done, path in enumerate(job.files):
        report.progress("Verify", done, len(job.files))
        checked.append(check_file(path))
    report.progress("Verify", len(job.files), len(job.files))
    return {"valid": all(each["status"] == "valid" for each in checked), "files": checked}

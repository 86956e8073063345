#!/usr/bin/env python3
"""Follow a job while it runs, stop it after a time limit, and read why it failed.

python follow_a_job.py take.mp4
"""

from __future__ import annotations

import sys
import time
from typing import Any

from s2l_core.errors import Speech2LipError
from s2l_core.events import Event, Log, Preview, Progress, Report
from s2l_core.execution import run_job
from s2l_core.jobs import CheckJob, Job, Media


def show(event: Event) -> None:
    """Print one event of a job. It is called in the job's own thread, several times a second."""
    match event:
        case Progress(phase, done, total, eta_seconds):
            left = "" if eta_seconds is None else f", {eta_seconds:.0f} s left"
            print(f"{phase} {100 * done / total:.0f}%{left}")
        case Preview(path):
            print(f"A picture of the work so far is in {path}.")
        case Log(level, text):
            print(f"{level}: {text}")


def follow(job: Job, limit_seconds: float) -> dict[str, Any] | None:
    """Run a job and return its result, or None if it failed or was still running after a number of seconds."""
    stop_at = time.monotonic() + limit_seconds
    try:
        # A job asks several times a second whether it has been cancelled.
        return run_job(job, Report(show, is_cancelled=lambda: time.monotonic() > stop_at))
    except Speech2LipError as error:
        # The message says what happened, the hint what to do, and the code is for programs.
        print(f"{error.code}: {error.message} {error.hint}")
        return None


if __name__ == "__main__":
    if result := follow(CheckJob(Media(sys.argv[1])), limit_seconds=600):
        print(f"The footage is {result['verdict']}.", *result["advice"], sep="\n")

"""Entries of the queue: a job as it was when it was added, where its result goes, and how it fares."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ...s2l_core.events import Progress
from ...s2l_core.jobs import SCHEMA_VERSION, DubJob, Job, TrainJob
from ..engine.worker_client import Request, WorkerClient
from ..sequencer.results import Existing
from ..sequencer.strips import Placement

# "ready": there is a result, but it is not in its file. "interrupted": Blender ended, or was left, before the job.
Status = Literal["waiting", "running", "ready", "done", "failed", "cancelled", "interrupted"]

RECORD_SUFFIX = ".job.json"


@dataclass(frozen=True)
class Target:
    """Where a result goes: names and numbers only, since anything may vanish while a job runs.

    Attributes:
        scene: Name of the scene.
        blend: Its file; empty where that has not been saved.
        placement: The frames that a dubbed movie is shown on.
        existing: What becomes of earlier results on those frames.
        earlier: Names of their strips.
        scene_id: The scene's number in this run of Blender, which survives its renaming; 0 after that run.
    """

    scene: str
    blend: str = ""
    placement: Placement | None = None
    existing: Existing = "KEEP"
    earlier: tuple[str, ...] = ()
    scene_id: int = 0


@dataclass(frozen=True)
class Failure:
    """Why a job failed; ``log`` is the end of the engine's log."""

    code: str
    message: str
    hint: str
    log: str = ""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


@dataclass(eq=False)
class Entry:
    """A job in the queue.

    Attributes:
        name: What it does, e.g. ``"Dub Interview"``.
        job: Complete since it was added.
        target: Where its result goes.
        record_path: The file that remembers it.
        status: How it fares.
        outcome: How it ended, in a sentence.
        result: Of the engine, once there is one.
        failure: Once it has failed.
        estimate: What it will take, in words; empty where that is not known.
        added: When it was added, ISO 8601.
        identifier: Tells it apart from all others.
        earliest: Before this moment of the monotonic clock it must not start.
        has_started: Whether a worker has ever been at it.
        is_saved: Whether the file that holds its result has been saved since then.
        client: Its worker while it runs.
        estimating: The question what it will take.
    """

    name: str
    job: Job
    target: Target
    record_path: Path
    status: Status = "waiting"
    outcome: str = ""
    result: dict[str, Any] | None = None
    failure: Failure | None = None
    estimate: str = ""
    added: str = field(default_factory=lambda: datetime.now().astimezone().isoformat(timespec="seconds"))
    identifier: str = field(default_factory=lambda: uuid.uuid4().hex)
    earliest: float = 0.0
    has_started: bool = False
    is_saved: bool = False
    client: WorkerClient | None = None
    estimating: Request | None = None

    @property
    def progress(self) -> Progress | None:
        """The last progress of the running job; None if it does not run or has not reported any."""
        return self.client.progress if self.client else None

    @cached_property
    def job_text(self) -> str:
        """The job as JSON, made when its record is first written."""
        # As to_document, in a third of its time, which counts for the curves of an hour's dub.
        document = {"schema": SCHEMA_VERSION, "verb": self.job.verb, **vars(self.job)}
        return json.dumps(document, default=vars)

    @property
    def has_ended(self) -> bool:
        return self.status in ("done", "failed", "cancelled")

    @property
    def is_partial(self) -> bool:
        """Whether a dub left frames as they were."""
        return bool(self.result and self.result.get("untouched"))

    @property
    def changed_nothing(self) -> bool:
        """Whether a dub left all frames as they were."""
        return self.result is not None and self.result.get("frames_dubbed") == 0


def output_of(job: Job) -> str:
    """What a job of the queue writes; empty where it writes nothing."""
    match job:
        case TrainJob():
            return job.speaker_path
        case DubJob():
            return job.output_path
    return ""


def record_beside(output_path: str) -> Path:
    """The record of the job that writes a file."""
    return Path(output_path + RECORD_SUFFIX)

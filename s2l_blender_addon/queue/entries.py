"""Entries of the queue: a job as it was when it was added, the place of its result, and its status."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ...s2l_core.errors import BadJob
from ...s2l_core.events import Progress
from ...s2l_core.farm.plan import is_task_name
from ...s2l_core.jobs import SCHEMA_VERSION, DubJob, Job, PoseJob, StillJob, TrainJob
from ..engine.worker_client import Request, WorkerClient
from ..sequencer.results import Existing
from ..sequencer.strips import Placement

# "planning": the engine plans it for other machines. "submitted": they do it.
# "ready": there is a result, but it is not in its .blend file. "interrupted": Blender ended before the job did.
Status = Literal["waiting", "running", "planning", "submitted", "ready", "done", "failed", "cancelled", "interrupted"]

RECORD_SUFFIX, CAMERA_PATH_SUFFIX = ".job.json", ".camera.json"


@dataclass(frozen=True)
class Target:
    """The place of a result: names and numbers only, since scenes and strips may be removed while a job runs.

    Attributes:
        scene: Name of the scene.
        blend: Path of its .blend file; empty if that has not been saved.
        placement: The frames that show a dubbed strip; None for other jobs.
        existing: What is done with earlier results on those frames.
        earlier: Names of their strips.
        scene_id: The scene's number in this run of Blender, which survives renaming; 0 in later runs.
    """

    scene: str
    blend: str = ""
    placement: Placement | None = None
    existing: Existing = "KEEP"
    earlier: tuple[str, ...] = ()
    scene_id: int = 0


@dataclass(frozen=True)
class Submission:
    """The tasks of a plan that do a job on other machines, see :mod:`s2l_core.farm.plan`.

    Attributes:
        plan: The folder of the plan.
        tasks: Names of the tasks, of which the last one writes the output.
    """

    plan: str
    tasks: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.tasks or not all(map(is_task_name, self.tasks)):
            raise BadJob("A submitted job does not name its tasks.")


@dataclass(frozen=True)
class Failure:
    """The error of a job; ``log`` is the end of the engine's log."""

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
        name: Verb and subject of the job, e.g. ``"Dub Interview"``.
        job: The complete job; nothing is looked up later.
        target: The place of its result.
        record_path: The file in which the entry is recorded.
        status: What has become of it so far.
        outcome: How it ended, in a sentence; empty before that.
        result: The result that the engine returned; None before that.
        failure: The error, if it has failed.
        submission: The tasks that do it, if other machines do.
        estimate: Estimated time, memory and disk space, in words; empty if they are not known.
        added: Date and time at which it was added, ISO 8601.
        identifier: A unique identifier.
        earliest: Earliest start, in seconds of ``time.monotonic``.
        looked: When its tasks were last looked at, in seconds of ``time.monotonic``.
        has_started: Whether a worker has ever been started for it.
        is_saved: Whether the .blend file has been saved with its result.
        client: The worker of the job while it runs.
        estimating: The request for its estimate.
    """

    name: str
    job: Job
    target: Target
    record_path: Path
    status: Status = "waiting"
    outcome: str = ""
    result: dict[str, Any] | None = None
    failure: Failure | None = None
    submission: Submission | None = None
    estimate: str = ""
    added: str = field(default_factory=lambda: datetime.now().astimezone().isoformat(timespec="seconds"))
    identifier: str = field(default_factory=lambda: uuid.uuid4().hex)
    earliest: float = 0.0
    looked: float = 0.0
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
        # Equal to to_document in a third of the time, which matters for the curves of a dub of an hour.
        document = {"schema": SCHEMA_VERSION, "verb": self.job.verb, **vars(self.job)}
        return json.dumps(document, default=vars)

    @property
    def has_ended(self) -> bool:
        return self.status in ("done", "failed", "cancelled")

    @property
    def is_partial(self) -> bool:
        """Whether a dub left some frames unchanged."""
        return bool(self.result and self.result.get("untouched"))

    @property
    def has_warnings(self) -> bool:
        """Whether the engine has said what will look bad in the result."""
        return bool(self.result and self.result.get("warnings"))

    @property
    def changed_nothing(self) -> bool:
        """Whether a dub left all frames unchanged."""
        return self.result is not None and self.result.get("frames_dubbed") == 0


def output_of(job: Job) -> str:
    """The path of the output of a job; empty if it writes none."""
    match job:
        case TrainJob():
            return job.speaker_path
        case DubJob() | StillJob() | PoseJob():
            return job.output_path
    return ""


def record_beside(output_path: str) -> Path:
    """The path of the record of the job that writes a file."""
    return Path(output_path + RECORD_SUFFIX)


def camera_path_beside(output_path: str) -> Path:
    """The file with the camera path of a job that writes the movie of a head."""
    return Path(output_path + CAMERA_PATH_SUFFIX)

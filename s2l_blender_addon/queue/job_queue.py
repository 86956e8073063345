"""The queue: any number of jobs, one of which runs at a time, in a worker process of its own.

It is driven by a timer of Blender, so that it outlives undo, windows and files. Entries hold names and numbers, never
references to scenes or strips, which may be removed. Records beside the outputs hold the same data, so that the queue
can be restored after Blender has crashed.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

import bpy

from ...s2l_core.errors import Cancelled, CannotWrite, Speech2LipError
from ...s2l_core.jobs import CheckJob, DubJob, EstimateJob, StillJob, TrainJob
from .. import compat, progress, screen, session
from ..engine import running_job, warm_worker
from ..engine.worker_client import WorkerClient
from ..pictures import training as training_picture
from ..preferences import find_worker_python
from . import deliveries, record_search, records, submissions
from .entries import Entry, Failure, Status, output_of
from .submitting import Submitting

TICK_SECONDS = 0.1
LOOK_SECONDS = 1.0
"""Time between two looks at tasks that other machines do, of which each reads the files of one entry."""
_POLL_SECONDS = 0.02  # while a script waits for a job

_entries: list[Entry] = []
_submitting: Submitting | None = None


def unregister() -> None:
    """Stop the queue; the records of unfinished entries stay."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    abandon()


def abandon() -> None:
    """Kill the running job and forget all entries; their records stay for the next run of Blender."""
    global _submitting
    if entry := running():
        _kill(entry)
    if _submitting is not None:
        _submitting.kill()
        _submitting = None
    _entries.clear()
    session.end()


def entries() -> tuple[Entry, ...]:
    """All entries in the order in which they run."""
    return tuple(_entries)


def find(identifier: str) -> Entry | None:
    return next((entry for entry in _entries if entry.identifier == identifier), None)


def running() -> Entry | None:
    """The entry whose job is running."""
    return next((entry for entry in _entries if entry.status == "running"), None)


def add(entry: Entry) -> None:
    """Append an entry; it starts when the jobs before it have ended.

    Raises:
        CannotWrite: Its record cannot be written.
    """
    try:
        records.write(entry)
    except OSError as error:
        raise CannotWrite(f"{entry.record_path} cannot be written: {error.strerror}.") from error
    _entries.append(entry)
    _wake()


def run(entry: Entry, show: Callable[[Entry], None] = lambda entry: None) -> None:
    """Run the job of one entry and wait until it ends. No other job may be running.

    Args:
        entry: The entry, which is added to the queue if it is not in it.
        show: Called several times a second while the job runs.
    """
    if entry not in _entries:
        add(entry)
    time.sleep(max(0.0, entry.earliest - time.monotonic()))
    _start(entry)
    if entry.client is None:
        return
    try:
        while not _has_ended(entry.client):
            show(entry)
            time.sleep(_POLL_SECONDS)
    except BaseException:  # such as an interrupt from the terminal
        _kill(entry)
        raise
    _finish(entry, entry.client)


def begin(entry: Entry) -> None:
    """Record that the tasks of an entry are being done by other processes of this machine."""
    entry.has_started = True
    _conclude(entry, "running", "")


def interrupt(entry: Entry) -> None:
    """Record that a job was interrupted, so that it can be resumed."""
    _conclude(entry, "interrupted", "The job was interrupted.")


def fail(entry: Entry, error: Speech2LipError, log: str = "") -> None:
    """Record that a job has failed."""
    entry.failure = Failure(error.code, error.message, error.hint, log)
    _conclude(entry, "failed", str(error))


def submit(request: Submitting) -> None:
    """Append entries that the engine plans. When it has, they are submitted; only one request is planned at a time."""
    global _submitting
    assert _submitting is None, "one request at a time"
    _submitting = request
    for entry in request.entries:
        _entries.append(entry)
        _conclude(entry, "planning", "")
    _wake()


def submitting() -> Submitting | None:
    """The request that is being planned."""
    return _submitting


def advance() -> None:
    """Look after the running job, or start the next one; called by the timer."""
    entry = running()
    if entry and entry.client:
        if _has_ended(entry.client) and not (compat.is_sequencer_busy() or record_search.is_running()):
            _finish(entry, entry.client)
        else:
            _estimate()
    elif running_job.current() is None and (entry := _next()):
        _start(entry)
    _look_at_planning()
    _look_at_submitted()
    screen.redraw(bpy.context.window_manager)


def move(entry: Entry, step: int) -> None:
    """Swap an entry with the waiting entry before (-1) or after (1) it."""
    waiting = [other for other in _entries if other.status == "waiting"]
    place = waiting.index(entry) + step
    if 0 <= place < len(waiting):
        here, there = _entries.index(entry), _entries.index(waiting[place])
        _entries[here], _entries[there] = _entries[there], _entries[here]


def cancel(entry: Entry) -> None:
    """Stop the job of a running entry, or cancel a waiting one."""
    if entry.client is not None:
        entry.client.cancel()
    elif entry.status == "waiting":
        _conclude(entry, "cancelled", "The job was cancelled.")


def requeue(entry: Entry) -> None:
    """Append an entry that has failed, or was cancelled or interrupted, again; its job continues where it stopped."""
    if records.is_taken(entry):
        entry.outcome = "Another Blender is running this job now."
        return
    entry.failure, entry.outcome, entry.status = None, "", "waiting"
    _entries.remove(entry)
    _entries.append(entry)
    _save(entry)
    _wake()


def insert(entry: Entry) -> None:
    """Insert the result of an entry into the open file, if it was made for that file."""
    _deliver(entry)


def remove(entry: Entry) -> None:
    """Remove an entry that is not running. Its record is removed too unless there is a result."""
    _entries.remove(entry)
    if entry.result is None:
        records.forget(entry)
    else:
        _conclude(entry, "done", entry.outcome)


def clear_finished() -> None:
    """Remove all entries that have ended."""
    for entry in [entry for entry in _entries if entry.has_ended]:
        remove(entry)


def mark_saved() -> None:
    """Record that the open file has been saved with the results in it; call after saving."""
    for entry in _entries:
        if entry.status == "done" and not entry.is_saved and deliveries.find_scene(entry.target):
            entry.is_saved = True
            _save(entry)


def mark_unsaved() -> None:
    """Return results that were inserted but never saved to the status "ready"; call after another file was opened."""
    for entry in _entries:
        if entry.status == "done" and not entry.is_saved:
            kept = f"; the result is saved in {output_of(entry.job)}" if output_of(entry.job) else ""
            entry.status, entry.outcome = "ready", f"The file was closed without saving{kept}."


def restore(entries: Iterable[Entry]) -> None:
    """Append entries whose records exist already."""
    _entries.extend(entries)
    if _submitted():
        _wake()


def _tick() -> float | None:
    advance()
    if any(entry.status in ("waiting", "running", "planning") for entry in _entries):
        return TICK_SECONDS
    return LOOK_SECONDS if _submitted() else None


def _submitted() -> list[Entry]:
    return [entry for entry in _entries if entry.status == "submitted"]


def _look_at_planning() -> None:
    """If the engine has planned a request, let its entries wait for other machines."""
    global _submitting
    if _submitting is None or not _submitting.poll():
        return
    request, _submitting = _submitting, None
    try:
        request.finish()
    except Cancelled:
        for entry in request.entries:
            remove(entry)
    except Speech2LipError as error:
        for entry in request.entries:
            fail(entry, error)
    else:
        for entry in request.entries:
            _conclude(entry, "submitted", "")


def _look_at_submitted() -> None:
    """Read back the state of the entry that was looked at longest ago, and insert its result if there is one."""
    entry = min(_submitted(), key=lambda entry: entry.looked, default=None)
    is_soon = time.monotonic() - max((each.looked for each in _entries), default=0.0) < LOOK_SECONDS
    if entry is None or is_soon or compat.is_sequencer_busy() or record_search.is_running():
        return
    entry.looked = time.monotonic()
    result, outcome = submissions.look(entry)
    if result is None:
        entry.outcome = outcome
    else:
        entry.result = result
        _deliver(entry)


def _wake() -> None:
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)


def _next() -> Entry | None:
    now = time.monotonic()
    return next((entry for entry in _entries if entry.status == "waiting" and entry.earliest <= now), None)


def _estimate() -> None:
    """Ask the warm worker, if there is one, for estimates of the waiting entries, each once and one at a time."""
    for entry in _entries:
        if entry.status != "waiting" or not isinstance(entry.job, CheckJob | TrainJob | DubJob | StillJob):
            continue
        if entry.estimating is None:
            with contextlib.suppress(Speech2LipError):  # reported when the entry starts
                if warm := warm_worker.warm(find_worker_python(bpy.context)):
                    entry.estimating = warm.ask(EstimateJob(entry.job, measure=False))
            return
        if not entry.estimating.poll():
            return
        if entry.estimating.result is not None and not entry.estimate:
            entry.estimate = f"Takes {progress.describe_estimate(entry.estimating.result)}"


def _start(entry: Entry) -> None:
    training_picture.clear()
    output = output_of(entry.job)
    if output and Path(output).exists():
        if entry.has_started:  # its worker finished after Blender had ended; outputs are never incomplete
            entry.result = {}
            _deliver(entry)
        else:
            fail(entry, CannotWrite(f"{output} exists now.", "Remove this entry and add the job again."))
        return
    try:
        entry.client = running_job.start(find_worker_python(bpy.context), entry.job)
    except Speech2LipError as error:
        fail(entry, error)
        return
    entry.status, entry.has_started = "running", True
    _save(entry)


def _has_ended(client: WorkerClient) -> bool:
    """Poll the running job.

    A job with a result has ended only when no thread of its client is running, see ``deliveries._push_undo``.
    """
    has_ended = client.poll() and (client.result is None or client.is_over)
    if client.preview_path:
        training_picture.show(client.preview_path)
    return has_ended


def _finish(entry: Entry, client: WorkerClient) -> None:
    entry.client = None
    running_job.release()
    match client.error:
        case None:
            entry.result = client.result or {}
            _deliver(entry)
        case Cancelled() as error:
            _conclude(entry, "cancelled", error.message)
        case error:
            fail(entry, error, "\n".join(client.log))


def _deliver(entry: Entry) -> None:
    assert entry.result is not None
    _conclude(entry, "ready", "")  # from here on the result is in the record
    try:
        text = deliveries.deliver(entry)
    except Speech2LipError as error:
        _conclude(entry, "ready", str(error))
    except Exception as error:  # must not end the timer
        traceback.print_exc()
        _conclude(entry, "ready", f"The result could not be inserted into the file: {error}")
    else:
        entry.status, entry.outcome = "done", text
        if not (output_of(entry.job) and bpy.data.filepath):  # otherwise recorded when the file is saved
            _save(entry)


def _conclude(entry: Entry, status: Status, outcome: str) -> None:
    entry.status, entry.outcome = status, outcome
    _save(entry)


def _kill(entry: Entry) -> None:
    """Kill a running job; its record allows to resume it."""
    running_job.abandon()
    running_job.release()
    entry.client = None
    interrupt(entry)


def _save(entry: Entry) -> None:
    try:
        if entry.status == "done" and not output_of(entry.job):
            records.forget(entry)  # the job has no output
        else:
            records.write(entry)
    except OSError as error:
        print(f"Speech2Lip: {entry.record_path} cannot be written: {error.strerror}.")

"""The queue: any number of jobs, one of which runs at a time, in a worker process of its own.

A timer of Blender's drives it, so that it outlives undo, windows and files. Entries hold names and numbers, never
references to what may vanish; records beside their outputs hold the same, for when Blender itself vanishes.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

import bpy

from ...s2l_core.errors import Cancelled, CannotWrite, Speech2LipError
from ...s2l_core.jobs import CheckJob, DubJob, EstimateJob, TrainJob
from .. import compat, progress, screen, session
from ..engine import running_job, warm_worker
from ..engine.worker_client import WorkerClient
from ..pictures import training as training_picture
from ..preferences import find_worker_python
from . import deliveries, record_search, records
from .entries import Entry, Failure, Status, output_of

TICK_SECONDS = 0.1

_entries: list[Entry] = []


def unregister() -> None:
    """Stop; the records of what is unfinished stay."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    abandon()


def abandon() -> None:
    """Kill the running job and forget all entries, but not their records: Blender leaves them behind."""
    if entry := running():
        _kill(entry)
    _entries.clear()
    session.end()


def entries() -> tuple[Entry, ...]:
    """All entries in their order."""
    return tuple(_entries)


def find(identifier: str) -> Entry | None:
    return next((entry for entry in _entries if entry.identifier == identifier), None)


def running() -> Entry | None:
    """The entry whose job runs."""
    return next((entry for entry in _entries if entry.status == "running"), None)


def add(entry: Entry) -> None:
    """Append an entry; its turn comes when the jobs before it have ended.

    Raises:
        CannotWrite: Its record cannot be written.
    """
    try:
        records.write(entry)
    except OSError as error:
        raise CannotWrite(f"{entry.record_path} cannot be written: {error.strerror}.") from error
    _entries.append(entry)
    _wake()


def run(entry: Entry, tell: Callable[[Entry], None] = lambda entry: None) -> None:
    """Add an entry unless it is there, and do its job, and no other, to its end. Nothing may be running.

    Args:
        entry: Looked after until it has ended.
        tell: Called while the job runs.
    """
    if entry not in _entries:
        add(entry)
    time.sleep(max(0.0, entry.earliest - time.monotonic()))
    _start(entry)
    if entry.client is None:
        return
    try:
        while not _has_ended(entry.client):
            tell(entry)
            time.sleep(TICK_SECONDS)
    except BaseException:  # such as an interrupt from the terminal
        _kill(entry)
        raise
    _finish(entry, entry.client)


def advance() -> None:
    """Do what is due now: this is what the timer calls."""
    entry = running()
    if entry and entry.client:
        if _has_ended(entry.client) and not (compat.is_sequencer_busy() or record_search.is_running()):
            _finish(entry, entry.client)
        else:
            _estimate()
    elif running_job.current() is None and (entry := _next()):
        _start(entry)
    screen.redraw(bpy.context.window_manager)


def move(entry: Entry, step: int) -> None:
    """Let an entry change places with the waiting one before (-1) or after (1) it."""
    waiting = [other for other in _entries if other.status == "waiting"]
    place = waiting.index(entry) + step
    if 0 <= place < len(waiting):
        here, there = _entries.index(entry), _entries.index(waiting[place])
        _entries[here], _entries[there] = _entries[there], _entries[here]


def cancel(entry: Entry) -> None:
    """Stop an entry that runs, or take its turn from one that waits."""
    if entry.client is not None:
        entry.client.cancel()
    elif entry.status == "waiting":
        _conclude(entry, "cancelled", "The job was cancelled.")


def requeue(entry: Entry) -> None:
    """Let an entry that has failed, or was cancelled or interrupted, wait for another turn; it goes on where it was."""
    if records.is_taken(entry):
        entry.outcome = "Another Blender does this job now."
        return
    entry.failure, entry.outcome, entry.status = None, "", "waiting"
    _entries.remove(entry)
    _entries.append(entry)
    _save(entry)
    _wake()


def insert(entry: Entry) -> None:
    """Put a result into the file that is open now, if it belongs there."""
    _deliver(entry)


def remove(entry: Entry) -> None:
    """Forget an entry that does not run, and its record unless that stands beside a result."""
    _entries.remove(entry)
    if entry.result is None:
        records.forget(entry)
    else:
        _conclude(entry, "done", entry.outcome)


def clear_finished() -> None:
    """Forget all entries that have ended."""
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
            kept = f"; the result is kept in {output_of(entry.job)}" if output_of(entry.job) else ""
            entry.status, entry.outcome = "ready", f"The file was left without saving it{kept}."


def restore(entries: Iterable[Entry]) -> None:
    """Append entries that are remembered already."""
    _entries.extend(entries)


def _tick() -> float | None:
    advance()
    is_needed = any(entry.status in ("waiting", "running") for entry in _entries)
    return TICK_SECONDS if is_needed else None


def _wake() -> None:
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)


def _next() -> Entry | None:
    now = time.monotonic()
    return next((entry for entry in _entries if entry.status == "waiting" and entry.earliest <= now), None)


def _estimate() -> None:
    """Ask the warm worker, where there is one, what the entries that wait will take, each once and one at a time."""
    for entry in _entries:
        if entry.status != "waiting" or not isinstance(entry.job, CheckJob | TrainJob | DubJob):
            continue
        if entry.estimating is None:
            with contextlib.suppress(Speech2LipError):  # it will be told when the entry starts
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
        if entry.has_started:  # its worker ended after its Blender, and outputs are whole or absent
            entry.result = {}
            _deliver(entry)
        else:
            _fail(entry, CannotWrite(f"There is another {output} by now.", "Remove the entry, and add the job again."))
        return
    try:
        entry.client = running_job.start(find_worker_python(bpy.context), entry.job)
    except Speech2LipError as error:
        _fail(entry, error)
        return
    entry.status, entry.has_started = "running", True
    _save(entry)


def _has_ended(client: WorkerClient) -> bool:
    """See how the running job fares.

    One with a result counts as ended once no thread of its client runs any more, see ``deliveries._push_undo``.
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
            _fail(entry, error, "\n".join(client.log))


def _deliver(entry: Entry) -> None:
    assert entry.result is not None
    _conclude(entry, "ready", "")  # from here on the result outlives Blender
    try:
        text = deliveries.deliver(entry)
    except Speech2LipError as error:
        _conclude(entry, "ready", str(error))
    except Exception as error:  # the timer must go on
        traceback.print_exc()
        _conclude(entry, "ready", f"The result could not be put into the file: {error}")
    else:
        entry.status, entry.outcome = "done", text
        if not (output_of(entry.job) and bpy.data.filepath):  # otherwise the record says so when the file is saved
            _save(entry)


def _fail(entry: Entry, error: Speech2LipError, log: str = "") -> None:
    entry.failure = Failure(error.code, error.message, error.hint, log)
    _conclude(entry, "failed", str(error))


def _conclude(entry: Entry, status: Status, outcome: str) -> None:
    entry.status, entry.outcome = status, outcome
    _save(entry)


def _kill(entry: Entry) -> None:
    """Leave a running job; its record lets it be resumed."""
    running_job.abandon()
    running_job.release()
    entry.client = None
    _conclude(entry, "interrupted", "The job was interrupted.")


def _save(entry: Entry) -> None:
    try:
        if entry.status == "done" and not output_of(entry.job):
            records.forget(entry)  # there is nothing that it could stand beside
        else:
            records.write(entry)
    except OSError as error:
        print(f"Speech2Lip: {entry.record_path} cannot be written: {error.strerror}.")

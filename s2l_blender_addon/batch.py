"""The command ``blender -c s2l``: runs jobs of .blend files without a window.

The jobs of all files are gathered first. If there are several, they become one plan, whose tasks run as many at a time
as cores and memory allow; then the results are inserted, file by file. Checks run one after the other.

Exit status: 0 done, 1 a job failed or dubbed no frame, 2 wrong usage, 3 nothing to do, 130 interrupted (Ctrl-C).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bpy

from ..s2l_core.consent_ledger import refuse_ended
from ..s2l_core.consent_options import add_consent_details, consent_record_of_options
from ..s2l_core.errors import BadJob, EngineIncomplete, Speech2LipError
from ..s2l_core.events import Progress
from ..s2l_core.jobs import consent_record_of, refuse_without_consent
from .compat import sequencer_scene
from .preferences import find_worker_python
from .progress import Milestones
from .queue import job_queue, recovery, together
from .queue.entries import Entry, output_of
from .queue.outputs import unused_path
from .queue.snapshots import check_job, dub_entry, snapshot, target_of, train_job
from .sequencer import strips

COMMAND = "s2l"
DONE, FAILED, WRONG_USAGE, NOTHING_TO_DO, INTERRUPTED = 0, 1, 2, 3, 130

_command: object = None


def register() -> None:
    global _command
    _command = bpy.utils.register_cli_command(COMMAND, run)


def unregister() -> None:
    bpy.utils.unregister_cli_command(_command)


def run(words: Sequence[str]) -> int:
    """Run the command with the arguments after ``-c s2l``, and return its exit status."""
    try:
        options = _parser().parse_intermixed_args(words)
    except SystemExit as end:  # argparse has printed the reason
        return DONE if not end.code else WRONG_USAGE
    if options.render and options.verb != "dub":
        print("speech2lip: --render can only be used with dub.")
        return WRONG_USAGE
    try:
        works = [_gather(path, options) for path in options.files or [bpy.data.filepath]]
        seconds = _run_together(works, options)
        outcomes = [_conclude(work, seconds, options) for work in works]
    except KeyboardInterrupt:
        return INTERRUPTED
    if FAILED in outcomes:
        return FAILED
    return DONE if DONE in outcomes else NOTHING_TO_DO


@dataclass
class _Work:
    """What is to be done for a file.

    Attributes:
        path: The file; empty for one that is not saved.
        scene: Name of the scene with the strips.
        entries: The jobs, by the names of the strips.
        statuses: How strips ended whose job could not be made.
    """

    path: str
    scene: str = ""
    entries: list[tuple[str, Entry]] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"blender -c {COMMAND}", description="Run Speech2Lip jobs of .blend files without a window."
    )
    parser.add_argument("verb", choices=("check", "train", "dub"))
    parser.add_argument("files", nargs="*", help=".blend files; by default the one that Blender has opened")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--all", action="store_true", help="all movie and image strips; with dub, those that are driven by sound strips"
    )
    which.add_argument("--strip", metavar="NAME", help="only the movie or image strip of this name")
    parser.add_argument(
        "--consent",
        action="store_true",
        help="with train, and with dub for single pictures: confirm that the people in them have agreed to it",
    )
    add_consent_details(parser)
    parser.add_argument("--resume", action="store_true", help="continue interrupted jobs instead of starting new ones")
    parser.add_argument("--dry-run", action="store_true", help="list the jobs without running them")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per line, between the lines that Blender prints"
    )
    parser.add_argument("--render", metavar="OUT", help="with dub: render the scene to this path afterwards")
    return parser


def _gather(path: str, options: argparse.Namespace) -> _Work:
    """Open a file, and make the jobs that are wanted of it. What cannot be made is told at once."""
    if not _open(path, options):
        return _Work(path, statuses=["failed"])
    scene = sequencer_scene(bpy.context)
    work = _Work(bpy.data.filepath, scene.name)
    for movie in _wanted(scene, options):
        try:
            entry = _entry(scene, movie, options)
            if not options.dry_run and entry not in job_queue.entries():
                job_queue.add(entry)  # the next one gets another output
        except Speech2LipError as error:
            _tell(options, work.path, movie, "failed", str(error))
            work.statuses.append("failed")
            continue
        if options.dry_run:
            _tell(options, work.path, movie, "planned", f"{entry.name} into {output_of(entry.job) or 'the file'}")
            work.statuses.append("done")
        else:
            work.entries.append((movie, entry))
    if not work.entries and not work.statuses:
        _tell(options, work.path, "", "nothing to do", _why_nothing(options))
    return work


def _open(path: str, options: argparse.Namespace) -> bool:
    if path and path != bpy.data.filepath:
        try:
            bpy.ops.wm.open_mainfile(filepath=str(Path(path).absolute()))
        except RuntimeError as error:
            _tell(options, path, "", "failed", str(error).strip())
            return False
    return True


def _run_together(works: Sequence[_Work], options: argparse.Namespace) -> dict[str, float]:
    """Do the jobs of all files by a plan beside the first of them; returns seconds as :func:`together.run`."""
    entries = [entry for work in works for _, entry in work.entries]
    if len(entries) < 2:
        return {}
    first = Path(output_of(entries[0].job) or "untitled")
    folder = unused_path(str(first.parent), "", f"{first.stem}_plan", "")
    show = _announcer(f"{len(entries)} jobs", options)
    try:
        return together.run(find_worker_python(bpy.context), entries, folder, show)
    except EngineIncomplete:  # of which each job tells
        return {}


def _conclude(work: _Work, seconds: dict[str, float], options: argparse.Namespace) -> int:
    """Insert the results of a file, and save the file if they changed it; returns the exit status."""
    if work.entries and not _open(work.path, options):
        return FAILED
    told = []
    for movie, entry in work.entries:
        begun = time.monotonic()
        if entry.result is not None:
            job_queue.insert(entry)
        elif entry.status != "failed":
            _run(entry, options)
        status = "untouched" if entry.status == "done" and entry.changed_nothing else entry.status
        took = seconds.get(entry.identifier) or time.monotonic() - begun
        told.append((movie, status, entry.outcome, took, output_of(entry.job)))
    statuses = [*work.statuses, *(status for _, status, *_ in told)]
    if {"done", "untouched"} & {status for _, status, *_ in told} and options.verb != "check" and work.path:
        bpy.ops.wm.save_mainfile()
    for line in told:
        _tell(options, work.path, *line)
    if not statuses:
        return NOTHING_TO_DO
    is_done = all(status == "done" for status in statuses)
    if options.render and is_done and not options.dry_run:
        _render(bpy.data.scenes[work.scene], options.render)
    return DONE if is_done else FAILED


def _render(scene: bpy.types.Scene, path: str) -> None:
    scene.render.filepath = str(Path(path).absolute())
    bpy.ops.render.render(animation=True, scene=scene.name)


def _run(entry: Entry, options: argparse.Namespace) -> None:
    """Run a job and wait for it; with ``--json`` its progress is printed."""
    show = _announcer(entry.name, options)
    job_queue.run(entry, lambda entry: show(entry.progress))


def _announcer(name: str, options: argparse.Namespace) -> Callable[[Progress | None], None]:
    """Prints progress as JSON, if that is wanted."""

    def announce(event: Progress) -> None:
        print(json.dumps({"progress": name, **vars(event)}), flush=True)

    show = Milestones(announce)
    return lambda event: show(event if options.json else None)


def _wanted(scene: bpy.types.Scene, options: argparse.Namespace) -> list[str]:
    """The names of the strips to work on, as given: a name without a strip is reported later."""
    if options.strip:
        return [options.strip]
    if options.verb == "dub":
        return [movie.name for movie, _ in strips.pairs(scene)]
    return [movie.name for movie in strips.sources(scene)]


def _entry(scene: bpy.types.Scene, name: str, options: argparse.Namespace) -> Entry:
    """The job of a movie or image strip: with ``--resume`` an interrupted one if there is one, otherwise a new one."""
    candidates = strips.sources(scene) + (strips.pictures(scene) if options.verb == "dub" else [])
    movie = next((movie for movie in candidates if movie.name == name), None)
    if movie is None:
        raise BadJob(f"There is no movie or image strip {name}.")
    if options.resume:
        recovery.find_interrupted(scene)
        wanted = f"{options.verb.title()} {name}"
        for entry in job_queue.entries():
            is_here = entry.target.blend == bpy.data.filepath
            if entry.name == wanted and entry.status == "interrupted" and is_here:
                return entry
    if options.verb == "check":
        return snapshot(name, check_job(bpy.context, scene, movie), target_of(scene))
    record = consent_record_of_options(options, name)
    consent = options.consent or options.consent_record is not None
    if options.verb == "train":
        job = train_job(bpy.context, scene, movie, name, consent, record)
        refuse_without_consent(job)
        refuse_ended(job.speaker_path, consent_record_of(job).hash)
        return snapshot(name, job, target_of(scene))
    if not (sounds := strips.driving_strips(scene, movie) or strips.voices(scene, movie)):
        raise BadJob(f"No sound drives the strip {name}.", "Choose it under Drives of a sound strip, in the sidebar.")
    return dub_entry(bpy.context, scene, movie, sounds, consent, record)


def _why_nothing(options: argparse.Namespace) -> str:
    if options.verb == "dub":
        return "No sound strip drives a movie or image strip."
    return "There is no movie or image strip."


def _tell(
    options: argparse.Namespace,
    file: str,
    strip: str,
    status: str,
    outcome: str,
    seconds: float = 0.0,
    output: str = "",
) -> None:
    if options.json:
        parts = {"file": file, "strip": strip, "verb": options.verb, "status": status, "outcome": outcome}
        print(json.dumps({**parts, "seconds": round(seconds, 1), "output": output}), flush=True)
    else:
        where = f"{Path(file).name or 'unsaved file'}{f', {strip}' if strip else ''}"
        print(f"{where}: {status}. {outcome}", flush=True)

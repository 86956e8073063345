"""The command ``blender -c s2l``: runs jobs of .blend files without a window, one after the other.

Exit status: 0 done, 1 a job failed or dubbed no frame, 2 wrong usage, 3 nothing to do, 130 interrupted (Ctrl-C).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import bpy

from ..s2l_core.consent_ledger import refuse_ended
from ..s2l_core.consent_options import add_consent_details, consent_record_of_options
from ..s2l_core.errors import BadJob, Speech2LipError
from ..s2l_core.events import Progress
from ..s2l_core.jobs import consent_record_of, refuse_without_consent
from .compat import sequencer_scene
from .progress import Milestones
from .queue import job_queue, recovery
from .queue.entries import Entry, output_of
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
        outcomes = [_do_file(path, options) for path in options.files or [bpy.data.filepath]]
    except KeyboardInterrupt:
        return INTERRUPTED
    if FAILED in outcomes:
        return FAILED
    return DONE if DONE in outcomes else NOTHING_TO_DO


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


def _do_file(path: str, options: argparse.Namespace) -> int:
    """Run the jobs of one file, and save the file if they changed it; returns the exit status."""
    if path and path != bpy.data.filepath:
        try:
            bpy.ops.wm.open_mainfile(filepath=str(Path(path).absolute()))
        except RuntimeError as error:
            _tell(options, path, "", "failed", str(error).strip())
            return FAILED
    scene = sequencer_scene(bpy.context)
    name = bpy.data.filepath
    statuses = []
    for movie in _wanted(scene, options):
        try:
            entry = _entry(scene, movie, options)
        except Speech2LipError as error:
            _tell(options, name, movie, "failed", str(error))
            statuses.append("failed")
            continue
        if options.dry_run:
            _tell(options, name, movie, "planned", f"{entry.name} into {output_of(entry.job) or 'the file'}")
            statuses.append("done")
            continue
        begun = time.monotonic()
        _run(entry, options)
        status = "untouched" if entry.status == "done" and entry.changed_nothing else entry.status
        _tell(options, name, movie, status, entry.outcome, time.monotonic() - begun, output_of(entry.job))
        statuses.append(status)
    if not statuses:
        _tell(options, name, "", "nothing to do", _why_nothing(options))
        return NOTHING_TO_DO
    if not options.dry_run and {"done", "untouched"} & set(statuses) and options.verb != "check" and name:
        bpy.ops.wm.save_mainfile()
    is_done = all(status == "done" for status in statuses)
    if options.render and is_done and not options.dry_run:
        scene.render.filepath = str(Path(options.render).absolute())
        bpy.ops.render.render(animation=True, scene=scene.name)
    return DONE if is_done else FAILED


def _run(entry: Entry, options: argparse.Namespace) -> None:
    """Run a job and wait for it; with ``--json`` its progress is printed."""

    def announce(event: Progress) -> None:
        print(json.dumps({"progress": entry.name, **vars(event)}), flush=True)

    show = Milestones(announce)
    job_queue.run(entry, lambda entry: show(entry.progress if options.json else None))


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
            if entry.name == wanted and entry.status == "interrupted":
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

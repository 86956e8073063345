"""The commands of the command line that concern plans: ``s2l plan | run | join | batch | emit``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from .. import regular_files
from ..errors import BadJob, BadPlan, CannotWrite, FileMissing
from ..events import Report
from ..execution import known_errors
from ..jobs import from_document
from ..json_text import parse
from .emitting import Farm, emit
from .plan import PLAN_FILE, PlannedJob, critical_seconds, read_plan, to_json, write_plan
from .roots import read_roots
from .states import make_folders

Work = Callable[[Report], dict[str, Any]]
AddVerb = Callable[[str, str], argparse.ArgumentParser]

_LARGEST_FILE = 64 * 1024 * 1024  # bytes


def add_commands(add: AddVerb) -> None:
    """Add the commands to a parser.

    Args:
        add: Adds a command with a name and a description. The namespace of each has a function ``make_work`` that
            returns what the command does, after it has checked its arguments.
    """
    plan = add("plan", "Divide jobs into tasks for several machines or processes.")
    plan.add_argument("jobs", nargs="+", metavar="JOB", help="a JSON file with a job, or a list of jobs")
    plan.add_argument(
        "--chunk", type=int, default=128, metavar="N", help="frames of a task, in steps of 128 (default: 128)"
    )
    plan.add_argument("--out", required=True, metavar="PLAN", help="the folder to write")
    _add_roots(plan, "folder that machines may have elsewhere, such as SHOW=/mnt/show (default: what all files share)")
    plan.set_defaults(make_work=_plan)

    run = _add(add, "run", "Do one task of a plan.", _run)
    run.add_argument("task", help="name of the task; - reads names from standard input, one a line")
    _add(add, "join", "Join everything in a plan that is complete, and say what is not.", _join)
    batch = _add(add, "batch", "Do all tasks of a plan on this machine, or on a Ray cluster.", _batch)
    batch.add_argument(
        "--workers", type=int, metavar="N", help="processes at a time (default: one for each core, if memory suffices)"
    )
    batch.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="do them on the machines of a Ray cluster, or without an address on one that is started on this machine",
    )
    emit = _add(add, "emit", "Write what a farm that exists needs to run a plan into the plan's folder.", _emit)
    emit.add_argument(
        "--for",
        dest="farm",
        choices=get_args(Farm),
        required=True,
        help="openjd: Open Job Description, as AWS Deadline Cloud and openjd-cli read it; flamenco: Flamenco 3",
    )
    emit.add_argument(
        "--priority",
        type=int,
        default=50,
        metavar="N",
        help="0 to 100: jobs with a higher one come first (default: 50)",
    )


def _add(
    add: AddVerb, name: str, description: str, make_work: Callable[[argparse.Namespace], Work]
) -> argparse.ArgumentParser:
    command = add(name, description)
    command.add_argument("plan", help="the folder that s2l plan wrote")
    _add_roots(command, "where a root is on this machine, such as SHOW=/mnt/show")
    command.set_defaults(make_work=make_work)
    return command


def _add_roots(command: argparse.ArgumentParser, text: str) -> None:
    command.add_argument("--root", action="append", default=[], metavar="NAME=PATH", help=text)


def _plan(options: argparse.Namespace) -> Work:
    roots = read_roots(options.root) or None
    if options.chunk < 1:
        raise BadJob(f"A task cannot have {options.chunk} frames.")

    def work(report: Report) -> dict[str, Any]:
        with known_errors("plan", report), report.running():
            from .planning import make_plan  # imports what reads media

            plan = make_plan(list(read_jobs(options.jobs)), options.chunk, roots, report)
            if regular_files.is_file(Path(options.out) / PLAN_FILE):
                if to_json(read_plan(options.out)) != to_json(plan):
                    raise CannotWrite(f"{options.out} contains another plan.", "Choose another folder.")
            else:
                make_folders(options.out)
                write_plan(options.out, plan)
        return {
            "plan": options.out,
            "jobs": len(plan.jobs),
            "tasks": len(plan.tasks),
            "seconds": sum(task.seconds for task in plan.tasks),
            "longest_seconds": max(critical_seconds(plan).values()),
            "memory_bytes": max(task.memory_bytes for task in plan.tasks),
        }

    return work


def read_jobs(paths: Sequence[str]) -> Iterator[PlannedJob]:
    """The jobs in files, each of which contains one job, or a list of jobs.

    Raises:
        FileMissing: A file cannot be read.
        BadJob: A file contains anything else, or a job that cannot be planned.
    """
    for path in paths:
        try:
            values = parse(regular_files.read(path, _LARGEST_FILE))
        except OSError as error:
            raise FileMissing(f"{path} cannot be read: {error.strerror or error}.") from None
        except ValueError:
            raise BadJob(f"{path} is not valid JSON.") from None
        for document in values if isinstance(values, list) else [values]:
            job = from_document(document)
            if not isinstance(job, get_args(PlannedJob)):
                raise BadPlan(f"{path} has a job {job.verb!r}.", "Train, dub, still, pose and render can be planned.")
            yield cast(PlannedJob, job)


def _run(options: argparse.Namespace) -> Work:
    roots = read_roots(options.root)

    def work(report: Report) -> dict[str, Any]:
        with known_errors("run", report):
            from .run import run_named, run_task

            if options.task == "-":
                return run_named(_folder(options), map(str.strip, sys.stdin), roots, report)
            return run_task(_folder(options), options.task, roots, report)

    return work


def _join(options: argparse.Namespace) -> Work:
    roots = read_roots(options.root)

    def work(report: Report) -> dict[str, Any]:
        with known_errors("join", report):
            from .joining import join_plan

            return join_plan(_folder(options), roots, report)

    return work


def _batch(options: argparse.Namespace) -> Work:
    roots = read_roots(options.root)
    if options.workers is not None and options.workers < 1:
        raise BadJob(f"A plan cannot be done by {options.workers} processes.")

    def work(report: Report) -> dict[str, Any]:
        with known_errors("batch", report):
            if options.ray is not None:
                from .ray_cluster import run_on_ray

                return run_on_ray(_folder(options), options.ray, options.workers, roots, report)
            from .local import run_here

            return run_here(_folder(options), options.workers, roots, report)

    return work


def _emit(options: argparse.Namespace) -> Work:
    folders = read_roots(options.root)

    def work(report: Report) -> dict[str, Any]:
        with known_errors("emit", report):
            return emit(_folder(options), options.farm, folders, options.priority)

    return work


def _folder(options: argparse.Namespace) -> str:
    return str(Path(options.plan).absolute())

"""Plans: real processes on this machine, planning itself, and a season on up to 200 workers; see ``docs/farm.md``."""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks._options import destination
from benchmarks.farming.kills import Loss, losses
from benchmarks.farming.processes import Measured, batch, shots, undivided
from benchmarks.farming.simulation import HOUR, Run, Season, TaskTimes, bytes_of, plan_of, simulate
from s2l_core.farm.plan import read_plan, write_plan
from s2l_core.farm.planning import make_plan
from s2l_core.farm.states import make_folders, read_states

WORKERS = (1, 2, 5, 10, 20, 50, 100, 200)
TIMES = TaskTimes(
    train=15 * 60.0,
    start=5.0,
    look=0.45,
    frame=0.024,
    join=0.003,
    footage_rate=2.5e6,
    speaker_bytes=13.5e6,
)
"""Processor seconds of tasks on one core, measured with ``s2l run`` on the rendered speaker (384 x 384). The training
is an estimate: preset balanced, two minutes in HD, one core. Footage has 20 Mbit/s.
"""
SPEEDS = (0.7, 1.3)
NETWORKS = {"1 Gbit/s": 117e6, "10 Gbit/s": 1170e6}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="build.py bench farm", description=__doc__)
    parser.add_argument("speaker", type=Path, nargs="?", help="the rendered speaker; none: simulation only")
    parser.add_argument("--shots", type=int, default=12, help="number of shots (default: 12)")
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 3], help="numbers of processes (default: 2 3)")
    parser.add_argument("--kills", type=int, default=0, help="kills of each kind at random moments (default: 0)")
    parser.add_argument("--out", type=destination, help="JSON file to which the figures are written")
    options = parser.parse_args(arguments)
    console, figures = Console(), dict[str, Any]()
    if options.speaker:
        measured = measure(options.speaker.resolve(), options.shots, options.workers)
        console.print(table_of_processes(measured))
        lost = list(losses(options.speaker.resolve(), options.kills)) if options.kills else []
        console.print(table_of_losses(lost))
        figures["losses"] = [asdict(each) for each in lost]
        figures["processes"] = [asdict(each) for each in measured]
        figures["planning"] = plan_thousand(options.speaker.resolve())
        console.print(f"{figures['planning']}")
    runs = [simulated(workers) for workers in WORKERS]
    console.print(table_of_runs(runs))
    figures["simulation"] = [asdict(each) for each in runs]
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def measure(speaker: Path, count: int, workers: Sequence[int]) -> list[Measured]:
    """All ways of dubbing the shots. Their results are the same."""
    measured = []
    for number, on_ray in ((0, False), *itertools.product(workers, (False, True))):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            jobs = shots(speaker, place, count)
            measured.append(batch(jobs, place, number, on_ray) if number else undivided(jobs, place))
    if len({each.digest for each in measured}) != 1:
        raise SystemExit("The results differ.")
    return measured


def plan_thousand(speaker: Path) -> dict[str, float]:
    """Seconds to plan a thousand tasks, and to list them with their states."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        plan = make_plan(shots(speaker, Path(folder), 12 * 17))
        make_folders(folder)
        write_plan(folder, plan)
        planned = time.process_time()
        listed = read_states(folder, read_plan(folder))
        return {"tasks": len(listed), "planned": planned - begun, "listed": time.process_time() - planned}


def simulated(workers: int, season: Season = Season(), times: TaskTimes = TIMES) -> Run:  # noqa: B008 (frozen)
    """A season on a number of workers, each of which has one core and its own speed."""
    plan = plan_of(season, times)
    speeds = [random.Random(f"speed {worker}").uniform(*SPEEDS) for worker in range(workers)]
    return simulate(plan, speeds, {task.name: bytes_of(task, season, times) for task in plan.tasks})


def table_of_processes(measured: Sequence[Measured]) -> Table:
    table = Table("way", "seconds", "processor seconds", "speed-up", "overhead", "peak memory")
    whole = measured[0]
    for each in measured:
        table.add_row(
            each.name,
            f"{each.seconds:.0f}",
            "-" if each.processor_seconds is None else f"{each.processor_seconds:.0f}",
            f"{whole.seconds / each.seconds:.2f}",
            _overhead(each.processor_seconds, whole.processor_seconds),
            f"{each.peak_bytes / 1e9:.2f} GB",
        )
    return table


def _overhead(seconds: float | None, of_whole: float | None) -> str:
    return "-" if seconds is None or of_whole is None else f"{seconds / of_whole - 1:+.0%}"


def table_of_losses(lost: Sequence[Loss]) -> Table:
    """One row for each fault: the worst of all its moments."""
    table = Table("fault", "times", "tasks done then", "of", "starts at most", "done again at most", "same bytes")
    for fault in dict.fromkeys(each.fault for each in lost):
        rows = [each for each in lost if each.fault == fault]
        table.add_row(
            fault,
            str(len(rows)),
            ", ".join(str(each.at) for each in rows),
            str(rows[0].tasks),
            str(max(each.starts for each in rows)),
            str(max(each.repeated for each in rows)),
            f"{sum(each.is_same for each in rows)} of {len(rows)}",
        )
    return table


def table_of_runs(runs: Sequence[Run]) -> Table:
    table = Table("workers", "makespan", "utilisation", "lost tasks", "read from the folder", *NETWORKS)
    for run in runs:
        shares = [f"{run.read_rate / rate:.0%}" for rate in NETWORKS.values()]
        table.add_row(
            str(run.workers),
            f"{run.makespan / HOUR:.1f} h",
            f"{run.utilisation:.0%}",
            str(run.lost),
            f"{run.read_rate / 1e6:.0f} MB/s",
            *shares,
        )
    return table


if __name__ == "__main__":
    sys.exit(main())

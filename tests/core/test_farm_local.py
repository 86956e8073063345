"""The processes that do a plan on one machine, with a shell script in the place of the command line."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from s2l_core.errors import Cancelled, CannotWrite
from s2l_core.events import Event, Progress, Report
from s2l_core.farm import local, states
from s2l_core.farm.local import run_here
from s2l_core.farm.plan import Plan, Task, write_plan
from s2l_core.jobs import DubJob, Media, TrainJob

WORKS = """#!/bin/sh
# The arguments are: -P -m s2l_core.cli run PLAN -
[ -d "$5/states" ] || exit 2
while read name; do echo "$name" >> "$5/order.txt"; echo '{"status": "done"}' > "$5/states/$name.json"; done
"""
SLEEPS = "#!/bin/sh\nexec sleep 60\n"
GB = 10**9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four dubs of a speaker who is trained first."""
    jobs: list[TrainJob | DubJob] = [TrainJob(Media("SHOW/anna.mp4"), "SHOW/anna.s2l", consent=True)]
    tasks = [Task("anna-train", "train", 0, seconds=60.0, memory_bytes=2 * GB)]
    for number in range(1, 5):
        jobs.append(DubJob("SHOW/anna.s2l", Media("SHOW/a.mp4"), Media("SHOW/a.wav"), f"SHOW/{number}.mp4"))
        for kind, need in (("look", "anna-train"), ("frames", f"{number}-look"), ("join", f"{number}-frames")):
            name, needs = f"{number}-{kind}", (need,)
            tasks.append(Task(name, kind, number, needs=needs, seconds=10.0, memory_bytes=2 * GB))  # type: ignore[arg-type]
    plan = Plan("1", 128, {"SHOW": str(tmp_path)}, tuple(jobs), tuple(tasks))
    states.make_folders(tmp_path / "plan")
    write_plan(tmp_path / "plan", plan)
    return tmp_path / "plan"


def use(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str, memory: int = 100 * GB) -> None:
    """Let a script do the tasks, on a machine with some free memory."""
    program = folder.parent / "program"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(local, "memory_here", lambda: memory)


def processes(folder: Path) -> int:
    return len(list((folder / "logs").iterdir()))


def test_each_job_is_done_by_one_process_after_the_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, folder, WORKS)
    told = run_here(str(folder), 2)
    order = (folder / "order.txt").read_text().split()
    assert (told["done"], told["unfinished"]) == (13, 0)
    assert order[0] == "anna-train" and len(order) == 13
    for number in range(1, 5):
        parts = [name for name in order if name.startswith(f"{number}-")]
        assert parts == [f"{number}-look", f"{number}-frames", f"{number}-join"]
    assert processes(folder) == 3  # that of the training has freed its memory


def test_no_more_processes_run_than_fit_into_the_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, folder, WORKS, memory=3 * GB)
    running: list[int] = []

    def listen(event: Event) -> None:
        if isinstance(event, Progress):
            running.append(int(event.note.split(", ")[1].split()[0]))

    assert run_here(str(folder), 4, report=Report(listen))["unfinished"] == 0
    assert max(running) == 1


def test_cancelling_ends_the_processes_and_keeps_what_is_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states.write_state(folder, Task("anna-train", "train", 0), states.done(states.begun_here()))
    use(monkeypatch, folder, SLEEPS)
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        run_here(str(folder), 2, report=Report(is_cancelled=lambda: processes(folder) == 2))
    assert time.monotonic() - begun < 30  # they sleep for a minute
    assert states.read_state(folder, "anna-train").status == "done"
    use(monkeypatch, folder, WORKS)
    assert run_here(str(folder), 2)["unfinished"] == 0
    assert "anna-train" not in (folder / "order.txt").read_text()


def test_a_plan_is_run_once_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, folder, WORKS)
    refused: list[Event] = []

    def start_again(event: Event) -> None:
        if not refused:
            with pytest.raises(CannotWrite, match="is being run already"):
                run_here(str(folder), 1)
            refused.append(event)

    run_here(str(folder), 1, report=Report(start_again))
    assert refused

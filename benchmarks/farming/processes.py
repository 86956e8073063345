"""Twelve shots of the rendered speaker in real processes: undivided one after the other, and as a plan."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import build
from s2l_core.farm.plan import Plan, write_plan
from s2l_core.farm.planning import make_plan
from s2l_core.farm.states import make_folders
from s2l_core.jobs import DubJob, Media

DEMO = build.ROOT / "demo"
SHOT_SECONDS, LINE_SECONDS = 14.0, 13.8
_STEP_SECONDS = 4.0
_SAMPLE_SECONDS = 0.25


@dataclass(frozen=True)
class Measured:
    """One way of dubbing all shots.

    Attributes:
        name: The way.
        seconds: Time from the beginning to the end.
        processor_seconds: Processor time of all processes; None for those of Ray, which are children of its own.
        peak_bytes: Largest memory of all processes together, as far as it was sampled.
        digest: Hash of all results.
    """

    name: str
    seconds: float
    processor_seconds: float | None
    peak_bytes: int
    digest: str


def shots(speaker: Path, folder: Path, count: int, seconds: float = LINE_SECONDS) -> list[DubJob]:
    """Dubs of spans of the rendered footage, each with the same seconds of the line."""
    jobs = []
    for number in range(count):
        start = number * _STEP_SECONDS
        footage = Media(str(DEMO / "speaker.mp4"), start, start + SHOT_SECONDS)
        voice = Media(str(DEMO / "line.flac"), 0.0, seconds)
        jobs.append(DubJob(str(speaker), footage, voice, str(folder / f"shot{number:02}.mp4"), device="cpu"))
    return jobs


def plan_shots(jobs: Sequence[DubJob], folder: Path) -> tuple[Path, Plan]:
    """A plan of dubs in a folder: the folder of the plan, and the plan."""
    plan, path = make_plan(jobs), folder / "plan"
    make_folders(path)
    write_plan(path, plan)
    return path, plan


def undivided(jobs: Sequence[DubJob], folder: Path) -> Measured:
    """``s2l dub`` for one shot after the other."""
    commands = [
        [
            *["dub", job.speaker_path, job.footage.path, job.voice.path, job.output_path],
            *["--start", str(job.footage.start), "--end", str(job.footage.end)],
            *["--voice-end", str(job.voice.end), "--device", "cpu"],
        ]
        for job in jobs
        if isinstance(job.voice, Media)
    ]
    return _measure("undivided", commands, folder)


def batch(jobs: Sequence[DubJob], folder: Path, workers: int, on_ray: bool = False) -> Measured:
    """``s2l batch`` with a number of workers."""
    path, _ = plan_shots(jobs, folder)
    options = [*(["--ray"] if on_ray else []), "--workers", str(workers)]
    name = f"{workers} workers of {'Ray' if on_ray else 's2l batch'}"
    measured = _measure(name, [["batch", str(path), *options]], folder)
    return replace(measured, processor_seconds=None) if on_ray else measured


def start(words: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start the command line in a process group of its own, with an empty cache: nothing was looked at before."""
    return subprocess.Popen(
        [sys.executable, "-m", "s2l_core.cli", *words],
        cwd=build.ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def digest_of(folder: Path) -> str:
    """Hash of all results in a folder and those in it."""
    results = sorted(folder.rglob("shot*.mp4"), key=lambda path: path.name)
    return hashlib.sha256(b"".join(path.read_bytes() for path in results if path.is_file())).hexdigest()


def _measure(name: str, commands: list[list[str]], folder: Path) -> Measured:
    begun, before = time.monotonic(), _processor_seconds()
    with _Sampler() as sampler:
        for words in commands:
            if start(words, folder).wait() != 0:
                raise SystemExit(f"s2l {' '.join(words)} failed.")
    seconds = time.monotonic() - begun
    return Measured(name, seconds, _processor_seconds() - before, sampler.peak_bytes, digest_of(folder))


def _processor_seconds() -> float:
    """Processor time of children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Sampler:
    """Samples the memory of all descendants of this process."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> _Sampler:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident_bytes, descendants(os.getpid()))))


def descendants(process: int) -> list[int]:
    """Processes that a process has started, and those that these have."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def _resident_bytes(process: int) -> int:
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    return 0

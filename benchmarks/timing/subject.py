"""A process that is timed: reads a task per line as JSON, does it with the library of its folder, and answers with what
it took. :mod:`.library` starts it.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from s2l_core.execution import run_job  # isort: skip (it says how threads shall wait before torch is imported)
import torch

import s2l_core
from s2l_core.events import Log, Report
from s2l_core.footage import prepare
from s2l_core.jobs import DubJob, Media, from_document
from s2l_core.training.presets import PRESETS

from . import codec, parts_of_dub, rivals
from .stages import Stopwatch, install

Answer = dict[str, Any]
_VERBS = ("dub", "preview", "train", "still", "pose")


class Subject:
    """Does tasks, and measures them.

    Attributes:
        watch: Times the stages.
    """

    def __init__(self) -> None:
        for verb in _VERBS:  # functions are wrapped wherever they were imported
            importlib.import_module(f"s2l_core.verbs.{verb}")
        self.watch = Stopwatch()
        self.missing = install(self.watch)
        self._frames: dict[str, Callable[[], object]] = {}

    def hello(self) -> Answer:
        """Who answers."""
        threads = torch.get_num_threads()
        return {
            "library": s2l_core.__path__[0],
            "torch": torch.__version__,
            "threads": threads,
            "missing": self.missing,
        }

    def run(self, job: dict[str, Any], preset: str = "", steps: dict[str, Any] | None = None) -> Answer:
        """Run a job as the worker does. Its result, and the second at which the first frame was written.

        Args:
            job: The document of the job.
            preset: Name of the preset whose numbers of steps are replaced.
            steps: Fields of that preset, for a training that only shows that it works.
        """
        if steps:
            _change_preset(preset, steps)
        result = run_job(from_document(job), _quiet())
        return {"result": result, "first_frame": self.watch.first_frame}

    def prepare(self, media: dict[str, Any]) -> Answer:
        """Find and track the head in a clip."""
        footage = prepare(Media(**media), report=_quiet())
        return {"frames": len(footage.times)}

    def without_encode(self, job: dict[str, Any]) -> Answer:
        """Render the frames of a dub, and drop them."""
        return parts_of_dub.without_encode(_dub_of(job), self.watch, _quiet())

    def network_only(self, job: dict[str, Any]) -> Answer:
        """Render the frames of a dub that are in memory, and drop them."""
        return parts_of_dub.network_only(_dub_of(job), self.watch, _quiet())

    def codec(self, media: dict[str, Any], target: str) -> Answer:
        """Decode a clip, and encode its pictures as a dub does."""
        return {"frames": codec.transcode(Media(**media), target)}

    def rival(self, name: str, count: int = 1) -> Answer:
        """Render frames with another system's network, see :mod:`.rivals`."""
        if name not in self._frames:
            self._frames[name] = rivals.RIVALS[name]()
            self.watch.reset()
        for _ in range(count):
            self._frames[name]()
        return {"frames": count}

    def answer(self, task: str, arguments: dict[str, Any], cache: str) -> Answer:
        """Do a task. The answer has the fields ``seconds``, ``cpu_seconds``, ``stages``, ``peak_mb`` and
        ``peak_device_mb`` besides.

        Args:
            task: Name of a method.
            arguments: Its arguments.
            cache: Folder for cached results, instead of the user's.
        """
        os.environ["XDG_CACHE_HOME"] = cache
        before = _cpu_seconds()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self.watch.reset()
        answer: Answer = getattr(self, task)(**arguments)
        measured = {
            "seconds": time.perf_counter() - self.watch.started,
            "cpu_seconds": _cpu_seconds() - before,
            "stages": dict(self.watch.seconds),
            "peak_device_mb": torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PEAK_UNITS,
        }
        return measured | answer


_PEAK_UNITS = 1024.0 * (1024.0 if sys.platform == "darwin" else 1.0)
"""Units of the peak memory that the system tells, per megabyte."""


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _change_preset(name: str, fields: dict[str, Any]) -> None:
    PRESETS[name] = replace(PRESETS[name], **fields)  # type: ignore[index]


def _dub_of(document: dict[str, Any]) -> DubJob:
    job = from_document(document)
    assert isinstance(job, DubJob)
    return job


def _quiet() -> Report:
    def tell(event: object) -> None:
        if isinstance(event, Log) and event.level != "info":
            print(event.text, file=sys.stderr)

    return Report(tell)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print to stdout
    if threads := os.environ.get("S2L_BENCH_THREADS"):
        torch.set_num_threads(int(threads))
    subject = Subject()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = subject.answer(request["task"], request["arguments"], request["cache"])
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

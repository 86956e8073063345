"""Repeating what is compared in turns, so that a change of the machine's speed affects all of it alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Answer = dict[str, Any]
Figures = dict[str, Any]


def in_turns(tasks: Mapping[str, Callable[[], Answer]], runs: int) -> dict[str, list[Answer]]:
    """Do all tasks ``runs`` times, one after the other in each round. Returns the answers of each."""
    answers: dict[str, list[Answer]] = {name: [] for name in tasks}
    for _ in range(runs):
        for name, task in tasks.items():
            answers[name].append(task())
    return answers


def summary(answers: Sequence[Answer]) -> Figures:
    """Medians over the runs of a task.

    Returns:
        ``frames``, ``seconds``, ``cpu_seconds``, all ``runs`` in seconds, the largest ``peak_mb``, ``fps`` and, for
        each stage, ``stages_ms`` a frame. Stages in several threads may add up to more than the whole.
    """
    seconds = [answer["seconds"] for answer in answers]
    frames = answers[0]["frames"]
    names = dict.fromkeys(name for answer in answers for name in answer["stages"])
    return {
        "frames": frames,
        "seconds": statistics.median(seconds),
        "cpu_seconds": statistics.median(answer["cpu_seconds"] for answer in answers),
        "runs": seconds,
        "peak_mb": max(answer["peak_mb"] for answer in answers),
        "fps": frames / statistics.median(seconds),
        "stages_ms": {
            name: 1000.0 / frames * statistics.median(answer["stages"].get(name, 0.0) for answer in answers)
            for name in names
        },
    }

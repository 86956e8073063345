"""The part ``dub`` of the benchmark: a dub stage by stage, and what it is compared with; and the waits before one."""

from __future__ import annotations

import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from .library import Library
from .material import Material
from .rounds import Answer, Figures, in_turns, summary

_PREVIEW_MOMENTS = (1.0, 3.0, 5.0, 7.0, 9.0)


def time_dub(
    library: Library, rivals: Library, other: Library | None, material: Material, runs: int, peer_frames: int
) -> Figures:
    """Figures of a dub of a prepared clip, by what was timed. The ``whole job`` begins with opening speaker and
    footage; ``end to end`` begins when they are open.

    Args:
        library: The library.
        rivals: Another process, which runs the networks of other systems.
        other: The library of another commit, if there is one.
        material: The clip.
        runs: Number of runs, from which medians are taken.
        peer_frames: Number of frames of a run of the peer's network.
    """
    first = end_to_end(library, material)  # prepares the clip
    job, codec = material.dub(), str(material.folder / "codec.mp4")
    tasks: dict[str, Callable[[], Answer]] = {
        "whole job": partial(end_to_end, library, material),
        "without encode": partial(library.ask, "without_encode", job=job),
        "network only": partial(library.ask, "network_only", job=job),
        "codec alone": partial(rivals.ask, "codec", media=asdict(material.footage), target=codec),
        "paper's network": partial(rivals.ask, "rival", name="paper"),
        "peer's network": partial(rivals.ask, "rival", name="peer", count=peer_frames),
    }
    if importlib.util.find_spec("onnx"):  # without it, torch cannot convert the network
        tasks["peer in ONNX Runtime"] = partial(rivals.ask, "rival", name="peer in ONNX Runtime", count=peer_frames)
    if other is not None:
        end_to_end(other, material)
        tasks["other commit"] = partial(end_to_end, other, material)
        tasks["other commit, network only"] = partial(other.ask, "network_only", job=job)
    answers = in_turns(tasks, runs)
    answers["end to end"] = [_once_open(answer) for answer in answers["whole job"]]
    if other is not None:
        answers["other commit, end to end"] = [_once_open(answer) for answer in answers["other commit"]]
    figures = {name: summary(each) for name, each in answers.items()}
    for name in ("whole job", "end to end"):
        figures[name]["peak_mb"] = first["peak_mb"]
    return figures


def _once_open(answer: Answer) -> Answer:
    """The same run without the time in which speaker and footage are opened."""
    return answer | {"seconds": answer["result"]["dub_seconds"]}


def end_to_end(library: Library, material: Material) -> Answer:
    """Run a dub as the worker does, from loading the speaker to the file. The clip has been prepared, and the line is
    new: what another dub of it saw in the clip is forgotten.
    """
    (material.folder / "dub.mp4").unlink(missing_ok=True)
    shutil.rmtree(library.cache / "speech2lip" / "looks", ignore_errors=True)
    answer = library.ask("run", job=material.dub())
    return answer | {"frames": answer["result"]["frames_written"]}


def ratios(figures: Figures) -> dict[str, float]:
    """How many times as fast as others a dub is, in one run on one machine."""
    fps = {name: each["fps"] for name, each in figures.items()}
    pairs = {
        "network only / paper's network": ("network only", "paper's network"),
        "network only / peer's network": ("network only", "peer's network"),
        "network only / peer in ONNX Runtime": ("network only", "peer in ONNX Runtime"),
        "end to end / codec alone": ("end to end", "codec alone"),
        "end to end / other commit": ("end to end", "other commit, end to end"),
        "network only / other commit": ("network only", "other commit, network only"),
    }
    return {name: fps[ours] / fps[theirs] for name, (ours, theirs) in pairs.items() if ours in fps and theirs in fps}


def time_waits(library: Library, material: Material, folder: Path, runs: int) -> Figures:
    """Seconds until something is there for the user: medians, and all runs.

    ``cold start`` is the start of the worker until it answers; ``preview of unseen footage`` takes place in a warm
    worker, with an empty cache; ``first written frame`` is counted from the start of a dub of a prepared clip.
    """
    end_to_end(library, material)
    moments = [moment for moment in _PREVIEW_MOMENTS if moment < (material.seconds or material.info.duration)]

    def preview(number: int) -> float:
        job = material.preview(moments[number % len(moments)])
        return float(library.ask("run", cache=folder / f"empty_{number}", job=job)["seconds"])

    waits = {
        "cold start": [cold_start() for _ in range(runs)],
        "preview of unseen footage": [preview(number) for number in range(runs)],
        "first written frame": [float(end_to_end(library, material)["first_frame"]) for _ in range(runs)],
    }
    return {name: {"seconds": statistics.median(each), "runs": each} for name, each in waits.items()}


def cold_start() -> float:
    """Seconds from starting the worker until it has told what it can do, which loads PyTorch."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "s2l_core.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        request = {"jsonrpc": "2.0", "id": 1, "method": "info", "params": {"verb": "info", "schema": 1}}
        print(json.dumps(request), file=worker.stdin, flush=True)
        for line in worker.stdout:
            if json.loads(line).get("id") == 1:
                break
        seconds = time.perf_counter() - begun
        worker.stdin.close()
    return seconds

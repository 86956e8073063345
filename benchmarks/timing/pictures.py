"""The parts ``still`` and ``pose`` of the benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from s2l_core.files import write_whole

from .library import Library
from .material import Material
from .rounds import Answer, Figures, in_turns, summary

_TURN_METRES = 0.05
"""How far the camera moves aside during the footage."""


def time_still(libraries: dict[str, Library], material: Material, runs: int) -> Figures:
    """Figures of a speaking picture, end to end, for each library."""

    def speak(library: Library) -> Answer:
        (material.folder / "still.mp4").unlink(missing_ok=True)
        answer = library.ask("run", job=material.still())
        return answer | {"frames": answer["result"]["frames_written"]}

    return _in_turns(libraries, speak, runs)


def time_pose(libraries: dict[str, Library], material: Material, runs: int) -> Figures:
    """Figures of rendering the head for a camera that moves aside, without what is prepared once."""
    path = material.folder / "camera.json"
    write_camera_path(path, material)

    def render(library: Library) -> Answer:
        (material.folder / "pose.mp4").unlink(missing_ok=True)
        answer = library.ask("run", job=material.pose(path))
        return answer | {"frames": answer["result"]["frames"], "seconds": answer["result"]["render_seconds"]}

    return _in_turns(libraries, render, runs)


def _in_turns(libraries: dict[str, Library], task: Callable[[Library], Answer], runs: int) -> Figures:
    tasks: dict[str, Callable[[], Answer]] = {name: partial(task, each) for name, each in libraries.items()}
    for each in tasks.values():
        each()  # what is prepared once, and kept
    return {name: summary(answers) for name, answers in in_turns(tasks, runs).items()}


def write_camera_path(path: Path, material: Material) -> None:
    """Write a camera path in which the camera moves aside for as long as the material lasts."""
    info = material.info
    count = round((material.seconds or info.duration) * info.rate)
    width, height = info.true_size
    entries = [
        {
            "camera_to_world": [1, 0, 0, _TURN_METRES * number / count, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
            "fov": 30.0,
            "aspect": width / height,
        }
        for number in range(count)
    ]
    document = {"render_width": width, "render_height": height, "fps": float(info.rate), "camera_path": entries}
    write_whole(str(path), json.dumps(document).encode())

"""The parts ``train`` and ``prepare`` of the benchmark, which begin with empty caches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from s2l_core.jobs import Media, PresetName

from .library import Library
from .material import Material
from .rounds import Answer, Figures, in_turns, summary


class Empty:
    """Makes empty folders for cached results.

    Args:
        folder: The folder that contains them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def next(self) -> Path:
        """The path of a folder that does not exist."""
        self._count += 1
        return self._folder / f"cache_{self._count}"


def time_prepare(libraries: dict[str, Library], footage: Media, empty: Empty, runs: int) -> Figures:
    """Figures of finding and tracking the head in a clip that was never looked at, for each library."""

    def prepare(library: Library) -> Answer:
        return library.ask("prepare", cache=empty.next(), media=asdict(footage))

    tasks: dict[str, Callable[[], Answer]] = {name: partial(prepare, each) for name, each in libraries.items()}
    return {name: summary(answers) for name, answers in in_turns(tasks, runs).items()}


def time_train(
    libraries: dict[str, Library],
    material: Material,
    presets: Sequence[PresetName],
    runs: int,
    steps: dict[str, Any] | None,
) -> Figures:
    """Figures of trainings on a prepared clip, for each preset and library, with ``mouth_psnr`` and ``kid`` of the
    speakers: a training is not faster if its speaker is worse.

    Args:
        libraries: The libraries by name.
        material: The clip.
        presets: The presets.
        runs: Number of runs.
        steps: Fields of the presets to replace.
    """

    def train(library: Library, preset: PresetName) -> Answer:
        answer = library.ask("run", job=material.train(preset), preset=preset, steps=steps)
        return answer | {"seconds": answer["result"]["train_seconds"], "frames": answer["result"]["frames"]}

    for library in libraries.values():
        library.ask("prepare", media=asdict(material.footage))
    tasks: dict[str, Callable[[], Answer]] = {
        f"{preset}, {name}": partial(train, library, preset)
        for preset in presets
        for name, library in libraries.items()
    }
    figures = {}
    for name, answers in in_turns(tasks, runs).items():
        held_out = answers[-1]["result"]["held_out"]
        figures[name] = summary(answers) | {key: held_out.get(key) for key in ("mouth_psnr", "kid")}
    return figures

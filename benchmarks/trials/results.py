"""Figures of clips in a JSON file, which is updated while they are computed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from s2l_core.files import write_whole

Columns = dict[str, float | None]
"""Figures of a row with one seed; None if a figure does not apply."""


@dataclass
class ClipFigures:
    """Figures of one clip.

    Attributes:
        identity: What the figures depend on, among it ``clip``, the name of the file, and ``fingerprint``, the hash of
            its content.
        runs: The figures by row and seed.
    """

    identity: dict[str, Any]
    runs: dict[str, dict[str, Columns]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file name of the clip without its suffix."""
        return Path(self.identity["clip"]).stem

    def has(self, row: str, seed: int) -> bool:
        return str(seed) in self.runs.get(row, {})

    @property
    def rows(self) -> dict[str, Columns]:
        """Mean of each column over the seeds, and its standard deviation as ``<column>_std``."""
        return {row: dict(_summarise(list(runs.values()))) for row, runs in self.runs.items()}


class Results:
    """Figures of clips in a JSON file, which is written after each row and seed: a list ``clips``, in which each clip
    has the fields of its identity, ``rows`` and ``runs``.

    Args:
        path: The file; None keeps the figures in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._clips: list[ClipFigures] = []
        if path is not None and path.is_file():
            for stored in json.loads(path.read_text()).get("clips", []):
                identity = {name: value for name, value in stored.items() if name not in ("rows", "runs")}
                self._clips.append(ClipFigures(identity, stored["runs"]))

    def of(self, identity: dict[str, Any]) -> ClipFigures:
        """The figures of a clip. Those in the file for the same clip with another identity are dropped, and those of
        other clips are kept.
        """
        for place, figures in enumerate(self._clips):
            if figures.identity["clip"] == identity["clip"]:
                if figures.identity != identity:
                    self._clips[place] = ClipFigures(identity)
                return self._clips[place]
        self._clips.append(ClipFigures(identity))
        return self._clips[-1]

    def add(self, figures: ClipFigures, row: str, seed: int, columns: Columns) -> None:
        """Add a run to the figures of a clip, and write the file."""
        figures.runs.setdefault(row, {})[str(seed)] = columns
        if self._path is not None:
            clips = [{**each.identity, "rows": each.rows, "runs": each.runs} for each in self._clips]
            write_whole(str(self._path), json.dumps({"clips": clips}, indent=2).encode())


def _summarise(runs: Sequence[Columns]) -> Iterator[tuple[str, float | None]]:
    for column in runs[0]:
        values = [value for run in runs if (value := run.get(column)) is not None]
        yield column, float(np.mean(values)) if values else None
        yield f"{column}_std", float(np.std(values)) if values else None

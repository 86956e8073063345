"""Figures of a clip in a JSON file, which is updated while they are computed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from s2l_core.files import write_whole

Columns = dict[str, float | None]
"""Figures of a row with one seed; None if a figure does not apply."""


class Results:
    """Figures of one clip in a JSON file, which is written after each row and seed.

    Args:
        path: The file; None keeps the figures in memory.
        identity: What the figures depend on. Figures in the file with another identity are dropped.
    """

    def __init__(self, path: Path | None, identity: dict[str, Any]) -> None:
        self._path = path
        self._identity = identity
        self.runs: dict[str, dict[str, Columns]] = {}
        if path is not None and path.is_file():
            stored = json.loads(path.read_text())
            if {name: stored.get(name) for name in identity} == identity:
                self.runs = stored["runs"]

    def has(self, row: str, seed: int) -> bool:
        return str(seed) in self.runs.get(row, {})

    def add(self, row: str, seed: int, columns: Columns) -> None:
        self.runs.setdefault(row, {})[str(seed)] = columns
        if self._path is not None:
            text = json.dumps({**self._identity, "rows": self.rows, "runs": self.runs}, indent=2)
            write_whole(str(self._path), text.encode())

    @property
    def rows(self) -> dict[str, Columns]:
        """Mean of each column over the seeds, and its standard deviation as ``<column>_std``."""
        return {row: dict(_summarise(list(runs.values()))) for row, runs in self.runs.items()}


def _summarise(runs: Sequence[Columns]) -> Iterator[tuple[str, float | None]]:
    for column in runs[0]:
        values = [value for run in runs if (value := run.get(column)) is not None]
        yield column, float(np.mean(values)) if values else None
        yield f"{column}_std", float(np.std(values)) if values else None

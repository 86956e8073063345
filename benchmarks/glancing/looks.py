"""How real the mouths of stills look: each person's first frame says the person's own sentence.

Mouths are those of ``bench quality``: the mouth box of the canonical view. A clip of 3 s is too short for the measures,
so that the mouths of all people are pooled. Each of the five folds of the classifier is then about two clips, whose
people it has mostly not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from s2l_core.canonical.view import choose_canonical
from s2l_core.evaluation.drivers import lip_observer
from s2l_core.evaluation.realism import kernel_distance, lip_features, separability
from s2l_core.events import Report
from s2l_core.footage import prepare
from s2l_core.glance.drawing import draw_lips
from s2l_core.glance.weights import load_generator
from s2l_core.jobs import Media, StillJob
from s2l_core.media.audio import read_speech
from s2l_core.media.mix import Context
from s2l_core.media.single_picture import read_single_picture
from s2l_core.model.perception import Lpips, load_lpips
from s2l_core.stills.still_frames import StillFrames

from .people import read_person

Features = NDArray[np.float64]
_DARK = 0.05
"""Brightness of the dark hole, from 0 to 1."""


class DarkInside:
    """A mouth without teeth or tongue."""

    def paint(
        self,
        cells: NDArray[np.float32],
        above: NDArray[np.float32],
        under: NDArray[np.float32],
        jaw: NDArray[np.float64],
        number: int,
    ) -> NDArray[np.float32]:
        return np.full((*cells.shape[:2], 3), _DARK, np.float32)


def mouths_of(path: Path, landmarks: str, perception: Lpips, report: Report) -> dict[str, Features]:
    """Features (n, 7680) of the mouths of a person: the real ones, and those of each row."""
    media = Media(str(path))
    footage, person = prepare(media, report=report), next(read_person(media, report))
    face = choose_canonical(footage, footage.track.found)
    observe = lip_observer(face, footage)
    left, top, right, bottom = (round(edge) for edge in face.mouth_box)
    view = face.lips.rectangle

    def see(pictures: Sequence[NDArray[np.uint8]], indices: NDArray[np.int64]) -> Features:
        lips = (observe(pictures, indices) * 255).round().to(torch.uint8)
        rows = slice(max(0, top - view.top), bottom - view.top)
        return lip_features(perception, lips[..., rows, max(0, left - view.left) : right - view.left])

    job = StillJob(media, media, "", landmarks=landmarks, consent=True)
    speech = read_speech(media)
    still = StillFrames(job, read_single_picture(media), speech, Context.silent(speech), "cpu", report)
    drawn = draw_lips(load_generator(), person.given, person.speech)
    real = [frame.image for frame in footage.frames()]
    count = min(len(real), len(still), len(drawn))
    found = np.flatnonzero(footage.track.found[:count])
    first = np.zeros(len(found), np.int64)
    seen = {"real": see([real[k] for k in found], found)}
    seen["still"] = see([still.render(k)[..., :3].astype(np.uint8) for k in found.tolist()], first)
    still.face.painter.inside = DarkInside()
    seen["dark hole"] = see([still.render(k)[..., :3].astype(np.uint8) for k in found.tolist()], first)
    seen["network"] = see([person.pasted(drawn[k]) for k in found], first)
    return seen


def compare(people: Sequence[dict[str, Features]]) -> dict[str, dict[str, float]]:
    """``kid`` and ``real_or_dub_auc`` by row. The row ``real`` compares the first half of each clip with the second."""

    def figures(real: Sequence[Features], made: Sequence[Features]) -> dict[str, float]:
        pooled = np.concatenate(real), np.concatenate(made)
        return {"kid": kernel_distance(*pooled), "real_or_dub_auc": separability(*pooled)}

    real = [each["real"] for each in people]
    rows = {name: figures(real, [each[name] for each in people]) for name in people[0] if name != "real"}
    halves = [each[: len(each) // 2 * 2].reshape(2, len(each) // 2, -1) for each in real]
    return rows | {"real": figures([half[0] for half in halves], [half[1] for half in halves])}


def measure_looks(folder: Path, landmarks: str, report: Report) -> dict[str, dict[str, float]]:
    """The figures of :func:`compare`, of all clips in a folder.

    Args:
        folder: With short clips of one person each.
        landmarks: Landmark back-end of the still.
        report: Receives the progress.
    """
    perception = load_lpips()
    return compare([mouths_of(path, landmarks, perception, report) for path in sorted(folder.iterdir())])


def show(rows: dict[str, dict[str, float]]) -> None:
    """Print the figures."""
    table = Table("mouths", "kid", "real_or_dub_auc", title="looks")
    for name, figures in rows.items():
        table.add_row(name, *(f"{figure:.3f}" for figure in figures.values()))
    Console().print(table)

"""The motion of lips that speech tells, on people from whom it was not learnt.

Each person of GRID is measured with a regression that leaves out that person; clips of free speech with one that learns
from everybody else. ``static`` is the resting mouth, ``mean motion`` the mean shape of the people who are learnt from.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from demo.lip_motion.corpus import read_corpus, read_recording, study
from demo.lip_motion.recordings import Recording
from s2l_core.events import Report
from s2l_core.jobs import Media
from s2l_core.speech.moonshine import open_moonshine
from s2l_core.stills.lip_motion import LipMotion, Weights
from s2l_core.stills.lip_shape import LIPS, opening_of

CROP = 64 / 1.3
"""Width of the mouth in pixels of the paper's crop, whose side is 64 pixels and 1.3 widths of the mouth."""
_FOREIGN = 3
"""Number of other recordings whose speech is the wrong one."""


@dataclass(frozen=True)
class Row:
    """Figures of a clip.

    Attributes:
        clip: Name of the clip.
        static: LMD of the resting mouth: mean distance of the 40 points of the lips from the true ones after the mean
            position of the lips is subtracted, in pixels of a crop of 64.
        mean_motion: LMD of the mean shape of the people who are learnt from.
        speech: LMD of the motion that the speech tells.
        wrong_speech: LMD of the motion that the speech of others tells.
        articulation: Standard deviation of the opening, as a share of the true one.
        opening_correlation: Correlation of the opening with the true one.
    """

    clip: str
    static: float
    mean_motion: float
    speech: float
    wrong_speech: float
    articulation: float
    opening_correlation: float


def measure_all(options: argparse.Namespace, report: Report) -> Iterator[Row]:
    """Rows: people of GRID one by one, and then the clips of free speech.

    Args:
        options: See :func:`demo.lip_motion.corpus.add_corpus_options`, and ``free``, clips of free speech.
        report: Receives the progress.
    """
    recordings = read_corpus(options, report)
    people = [each for each in recordings if each.is_real]
    free = [read_recording(Media(str(path)), options.landmarks, report) for path in options.free]
    regressions = study(recordings, report)
    for person in people[1:]:
        teachers = [each for each in people[1:] if each.person != person.person]
        yield _measure(person, people[1:], teachers, regressions.fit({person.person}))
    everybody = regressions.fit()
    for clip in free:
        yield _measure(clip, [*free, *people[1:]], people[1:], everybody)


def landmark_distance(offsets: NDArray[np.floating], true: NDArray[np.floating]) -> float:
    """LMD of offsets (F or 1, 41, 2), see :class:`Row`."""
    made, real = (CROP * (each[:, :LIPS] - each[:, :LIPS].mean(axis=1, keepdims=True)) for each in (offsets, true))
    return float(np.linalg.norm(made - real, axis=-1).mean())


def _measure(clip: Recording, others: Sequence[Recording], teachers: Sequence[Recording], learnt: Weights) -> Row:
    motion = LipMotion(open_moonshine(), learnt)
    seen = np.isfinite(clip.offsets).all(axis=(1, 2))
    true, times = clip.offsets[seen], clip.times[seen]
    made = motion.offsets(clip.speech, times)
    foreign = [each for each in others if each.person != clip.person][:_FOREIGN]
    wrong = [motion.offsets(np.resize(each.speech, len(clip.speech)), times) for each in foreign]
    mean = np.mean([np.nanmean(each.offsets, axis=0) for each in teachers], axis=0)
    openings, true_openings = opening_of(made), opening_of(true)
    return Row(
        clip=clip.name,
        static=landmark_distance(np.zeros_like(true[:1]), true),
        mean_motion=landmark_distance(mean[None], true),
        speech=landmark_distance(made, true),
        wrong_speech=float(np.mean([landmark_distance(each, true) for each in wrong])),
        articulation=float(openings.std() / true_openings.std()),
        opening_correlation=float(np.corrcoef(openings, true_openings)[0, 1]),
    )


def show(rows: Sequence[Row]) -> None:
    """Print the rows, and what each gains over the mean motion."""
    table = Table("clip", "static", "mean motion", "speech", "wrong", "gain", "articulation", "opening r")
    for row in rows:
        distances = (row.static, row.mean_motion, row.speech, row.wrong_speech)
        gain = 1.0 - row.speech / row.mean_motion
        figures = [*(f"{each:.2f}" for each in distances), f"{gain:.0%}", f"{row.articulation:.2f}"]
        table.add_row(row.clip, *figures, f"{row.opening_correlation:.2f}")
    Console().print(table)

"""Speakers, baselines and oracles on footage that none of them was trained on. ``docs/quality.md`` explains the
columns.

The first 90% of the footage are used for training, except for a gap of a second. In the rest, the frames get new
mouths, as ``dub`` renders them for that span alone, and are compared with the real ones before encoding. Results are
written at once, and not computed again when the same command is repeated. After the tables of the clips comes one with
the main measures of all of them.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from s2l_core.evaluation.drivers import Driver, ceiling, exemplar_ceiling, painted, real
from s2l_core.evaluation.evaluator import Evaluator
from s2l_core.files import write_whole
from s2l_core.speech.features import log_mel, normalise_loudness
from s2l_core.training.presets import PRESETS, Preset

from ._options import destination
from .trials.command import run_trials, trial_parser
from .trials.results import ClipFigures, Columns
from .trials.trial import Contender, Trial

OF_WHOLE_CLIP = ("whole_clip", "renderer_alone")
OF_EXEMPLARS = ("exemplars", "nearest_predicted", "exemplar_ceiling", "h264", *OF_WHOLE_CLIP)
LEARNT = (*OF_EXEMPLARS, "ceiling", "grids", "explicit", "paper_equal_time", "paper_converged")
ROWS = ("real", "mean_image", "audio_ridge", "nearest_frame", "pca_64", *LEARNT)
MAIN_MEASURES = (
    *("kid", "kid_real", "real_or_dub_auc", "lpips", "lmd", "opening_correlation", "width_correlation"),
    *("articulation", "closures", "mouth_delay_frames", "jitter", "flicker", "seam", "grain", "mouth_psnr", "cpbd"),
)
MOMENTS = (0.0, 0.5, 0.8, 1.0)
TILE_WIDTH = 240
ROWS_ABREAST = 5


def contend(trial: Trial, row: str, seed: int, preset: Preset, paper_minutes: float) -> Contender:
    """The contender of a row. Speakers are trained unless they are in the folder."""
    face, footage = trial.face, trial.test
    if row == "real":
        return Contender(real(face))
    if row in ("mean_image", "nearest_frame", "pca_64"):
        paint = getattr(trial.baselines, row)
        driver = painted(face, footage, lambda seen, times: paint(seen))
        return Contender(driver, (lambda sound, audio_only: driver) if row == "mean_image" else None)
    if row == "audio_ridge":
        ridge = trial.baselines.audio_ridge

        def drive(sound: NDArray[np.float32], audio_only: bool) -> Driver:
            mel = log_mel(normalise_loudness(sound))
            return painted(face, footage, lambda seen, times: ridge(mel, times))

        return Contender(drive(trial.test_speech, False), drive)
    if row == "explicit":
        return trial.by_dub(*trial.train(row, replace(preset, architecture="explicit"), seed))
    if row in OF_EXEMPLARS:
        speaker, seconds = trial.train("exemplars", replace(preset, architecture="exemplars"), seed)
        if row == "nearest_predicted":
            return trial.by_nearest(speaker)
        if row == "exemplar_ceiling":
            return Contender(exemplar_ceiling(speaker, footage))
        if row == "h264":
            return trial.by_movie(speaker, str(trial.speaker_path("exemplars", seed)))
        if row == "whole_clip":
            return trial.by_dub_of_whole(speaker)
        return trial.by_renderer(speaker) if row == "renderer_alone" else trial.by_dub(speaker, seconds)
    if row == "paper_converged":
        name = f"{row}_{paper_minutes:g}_minutes"
        return trial.by_dub(*trial.train_for(name, PRESETS["paper"], seed, 60 * paper_minutes))
    speaker, seconds = trial.train("grids", replace(preset, architecture="grids"), seed)
    if row == "ceiling":
        return Contender(ceiling(speaker, footage))
    if row == "paper_equal_time":
        return trial.by_dub(*trial.train_for(row, PRESETS["paper"], seed, seconds))
    return trial.by_dub(speaker, seconds)


def show(rows: dict[str, Columns], title: str) -> None:
    """Print tables with measures as rows, so that they fit the width of a terminal."""
    columns = dict.fromkeys(name for row in rows.values() for name in row if not name.endswith("_std"))
    for start in range(0, len(rows), ROWS_ABREAST):
        part = dict(list(rows.items())[start : start + ROWS_ABREAST])
        table = Table("", *part, title=title)
        for column in columns:
            cells = ((row.get(column), row.get(f"{column}_std")) for row in part.values())
            table.add_row(column.replace("_", " "), *(_cell(mean, deviation) for mean, deviation in cells))
        Console().print(table)


def main_measures(clips: Sequence[ClipFigures], rows: Sequence[str]) -> dict[str, Columns]:
    """The main measures of all clips, with a column for each clip and row that was measured."""
    kept = [name + ending for name in MAIN_MEASURES for ending in ("", "_std")]
    return {
        f"{clip.name}\n{row}": {name: clip.rows[row].get(name) for name in kept}
        for clip in clips
        for row in rows
        if row in clip.runs
    }


def _cell(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return "-"
    return f"{mean:.3g} ±{deviation:.2g}" if deviation else f"{mean:.3g}"


def draw_sheet(trial: Trial, drivers: dict[str, Driver]) -> NDArray[np.uint8]:
    """The mouths of all rows, one below the other, at moments from the most closed to the most open real mouth."""
    evaluator = Evaluator(trial.test, trial.face, trial.split["held_out"])
    indices = evaluator.indices
    order = indices[np.argsort(trial.test.openings[indices])]
    moments = [int(order[round(share * (len(order) - 1))]) for share in MOMENTS]
    width, height = evaluator.mouth_box_px
    size = TILE_WIDTH, round(TILE_WIDTH * height / width)
    lines = []
    for name, driver in drivers.items():
        mouths = dict(evaluator.mouths(driver, set(moments)))
        tiles = [cv2.resize(mouths[moment], size, interpolation=cv2.INTER_CUBIC) for moment in moments]
        line = np.concatenate(tiles, axis=1)
        lines.append(cv2.putText(line, name, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA))
    return np.concatenate(lines)


def add_paper_minutes(parser: ArgumentParser) -> None:
    """Add the option of the row ``paper_converged``."""
    parser.add_argument(
        "--paper-minutes",
        type=float,
        default=60.0,
        help="training time of paper_converged in minutes (default: 60); needs --again if the JSON has that row",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = trial_parser("quality", __doc__, ROWS)
    add_paper_minutes(parser)
    parser.add_argument("--sheet", type=destination, help="draw the rows of the first seed into this PNG file")
    options = parser.parse_args(arguments)
    preset = PRESETS[options.preset]

    def choose(trial: Trial, row: str, seed: int) -> Contender:
        return contend(trial, row, seed, preset, options.paper_minutes)

    sheets: list[NDArray[np.uint8]] = []

    def present(trial: Trial, figures: ClipFigures) -> None:
        if options.sheet:
            contenders = {row: choose(trial, row, 0) for row in options.rows}
            drivers = {row: each.driver for row, each in contenders.items() if not each.whole}
            sheets.append(draw_sheet(trial, drivers))
            picture = cv2.cvtColor(np.concatenate(sheets), cv2.COLOR_RGB2BGR)
            write_whole(str(options.sheet), cv2.imencode(".png", picture)[1].tobytes())
        show({row: figures.rows[row] for row in options.rows}, figures.name)

    def conclude(clips: Sequence[ClipFigures]) -> None:
        if len(clips) > 1:
            show(main_measures(clips, options.rows), "All clips")

    return run_trials(options, choose, present, [row for row in ROWS if row not in LEARNT], conclude)


if __name__ == "__main__":
    sys.exit(main())

"""Speakers against baselines and oracles on footage that none of them has seen; columns are explained in
``docs/quality.md``.

The first 90 % of the footage are for training, then a second is left out, the rest is measured: the test frames
themselves get new mouths, and are compared before encoding. What is ready is written at once, and not computed again
when the same command comes back.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from s2l_core.canonical import choose_canonical
from s2l_core.device import choose_device
from s2l_core.errors import Speech2LipError
from s2l_core.evaluation.baselines import Baselines
from s2l_core.evaluation.drivers import Driver, canonical_lips, ceiling, painted, real, speaker_driver
from s2l_core.evaluation.report import available_lpips, measure_driving, other_sounds
from s2l_core.evaluation.ruler import Ruler
from s2l_core.events import Preview, Report
from s2l_core.files import write_whole
from s2l_core.footage import prepare
from s2l_core.jobs import Device, Media, TrainJob
from s2l_core.media.audio import read_speech
from s2l_core.model.speaker import SpeakerModel
from s2l_core.model.sync import JUDGE, train_expert
from s2l_core.speech.features import HOP_SECONDS, log_mel, normalise_loudness
from s2l_core.terminal import progress_bars
from s2l_core.training import split_footage, train
from s2l_core.training.presets import PRESETS, Preset
from s2l_core.version import VERSION

ORACLES = ("real", "nearest_frame", "pca_64")
LEARNT = ("ceiling", "fast", "explicit", "paper_equal_time", "paper_converged")
ROWS = ("real", "mean_image", "audio_ridge", "nearest_frame", "pca_64", *LEARNT)
COLUMNS = (
    *("mouth_psnr", "mouth_ssim", "lpips", "cpbd", "lmd", "frame_psnr", "opening_correlation", "width_correlation"),
    *("sync_offset_frames", "sync_confidence", "sync_within_one_frame", "silence_motion", "leakage"),
    *("leakage_audio_only", "articulation", "open_closed_ratio", "jitter", "seam", "outside_mask_max_error"),
    "train_seconds",
)
JUDGE_SEED = 1000
CROSS_EXCERPTS = 3
MANY_STEPS = 10**6
MOMENTS = (0.0, 0.5, 0.8, 1.0)
TILE_WIDTH = 240
ROWS_ABREAST = 5

Columns = dict[str, float | None]
Drive = Callable[[np.ndarray, bool], Driver]
"""Speech from the start of the footage's span, and whether nothing but speech may drive, to a driver."""


@dataclass(frozen=True)
class Contender:
    """One row with one seed.

    Attributes:
        driver: Of the held-out frames, driven by their own sound.
        drive: By any sound; None for what does not hear.
        train_seconds: Without finding and tracking the head.
    """

    driver: Driver
    drive: Drive | None = None
    train_seconds: float | None = None


@dataclass
class Trial:
    """One clip, and everything that speakers and baselines share there.

    Attributes:
        path: The footage.
        folder: Where trained speakers are kept.
        landmarks: Back-end that measures the lips.
        device: Where to compute.
        again: Whether to train anew what lies in the folder.
        report: Told the progress.
    """

    path: str
    folder: Path
    landmarks: str
    device: Device
    again: bool
    report: Report

    def __post_init__(self) -> None:
        device = choose_device(self.device)
        self.speech = read_speech(Media(self.path))
        self.footage = prepare(Media(self.path), "bundled", device.type, self.report)
        self.split = split_footage(self.footage)
        usable = self.footage.times < self.split["train"][1]
        self.face = choose_canonical(self.footage, usable).to(device)

        self.indices = np.flatnonzero(usable & self.footage.track.found)
        self.times = self.footage.times[self.indices] - self.footage.media.start
        self.mel = log_mel(normalise_loudness(self.speech))[: round(float(self.times[-1]) / HOP_SECONDS)]

    @cached_property
    def lips(self) -> torch.Tensor:
        return canonical_lips(self.face, self.footage, self.indices)

    @cached_property
    def baselines(self) -> Baselines:
        return Baselines(self.face, self.lips, self.times, self.mel)

    @cached_property
    def ruler(self) -> Ruler:
        device = self.lips.device
        judge = train_expert(torch.from_numpy(self.mel).to(device), self.times, self.lips, JUDGE_SEED, JUDGE)
        perception = available_lpips(device, self.report)
        return Ruler(self.footage, self.face, self.split["held_out"], self.landmarks, perception, judge, self.report)

    def measure(self, contender: Contender, voices: Sequence[Path] = ()) -> Columns:
        """All columns of a row, None where one does not apply, and those of cross-driving by voices."""
        ruler = self.ruler
        columns: Columns = dict.fromkeys(COLUMNS)
        columns |= ruler.measure(contender.driver, self.speech)
        columns["train_seconds"] = contender.train_seconds
        if contender.drive is not None:
            sounds = other_sounds(self.speech, self.split["train"][1] - self.footage.media.start, ruler.seconds)
            columns |= measure_driving(ruler, contender.drive, sounds)
            for voice in voices:
                columns |= self._cross(contender.drive, voice)
        return columns

    def train(self, name: str, preset: Preset, seed: int) -> tuple[SpeakerModel, float]:
        """A speaker, from the folder if it is there, and the seconds that its training took."""
        path, note = self.folder / f"{name}_{seed}.s2l", self.folder / f"{name}_{seed}.json"
        if self.again or not (path.is_file() and note.is_file()):
            job = TrainJob(Media(self.path), str(path), name, device=self.device, seed=seed)
            seconds = train(job, self.report, preset)["train_seconds"]
            note.write_text(json.dumps({"train_seconds": seconds}))
        speaker = SpeakerModel.load(str(path), choose_device(self.device))
        return speaker, float(json.loads(note.read_text())["train_seconds"])

    def train_for(self, name: str, preset: Preset, seed: int, seconds: float) -> tuple[SpeakerModel, float]:
        """As :meth:`train`, but for a time in place of a number of steps. No part of the training
        footage is kept to stop earlier.
        """
        endless = replace(preset, appearance_steps=MANY_STEPS, seconds=seconds, early_stopping=False)
        return self.train(name, endless, seed)

    def by_speech(self, speaker: SpeakerModel, train_seconds: float) -> Contender:
        """A speaker that hears."""

        def drive(sound: np.ndarray, audio_only: bool) -> Driver:
            return speaker_driver(speaker, self.footage, sound, audio_only)

        return Contender(drive(self.speech, False), drive, train_seconds)

    def _cross(self, drive: Drive, voice: Path) -> Columns:
        """Synchrony and leakage while somebody else's voice drives the held-out frames, mean over excerpts."""
        sound = read_speech(Media(str(voice)))
        length = round(self.ruler.seconds * 16_000)
        count = max(1, min(CROSS_EXCERPTS, len(sound) // length))
        excerpts = [self.ruler.say(sound[start * length :]) for start in range(count)]
        results = [
            {
                **self.ruler.cross(drive(excerpt, False), excerpt),
                "leakage_audio_only": self.ruler.leakage(drive(excerpt, True)),
            }
            for excerpt in excerpts
        ]
        return {f"{voice.stem}_{name}": float(np.mean([each[name] for each in results])) for name in results[0]}


def contend(trial: Trial, row: str, seed: int, preset: Preset, paper_minutes: float) -> Contender:
    """The contender of a row; speakers are trained unless they are there."""
    face, footage = trial.face, trial.footage
    if row == "real":
        return Contender(real(face))
    if row in ("mean_image", "nearest_frame", "pca_64"):
        paint = getattr(trial.baselines, row)
        driver = painted(face, footage, lambda seen, times: paint(seen))
        return Contender(driver, (lambda sound, audio_only: driver) if row == "mean_image" else None)
    if row == "audio_ridge":
        ridge = trial.baselines.audio_ridge

        def drive(sound: np.ndarray, audio_only: bool) -> Driver:
            mel = log_mel(normalise_loudness(sound))
            return painted(face, footage, lambda seen, times: ridge(mel, times))

        return Contender(drive(trial.speech, False), drive)
    if row == "explicit":
        return trial.by_speech(*trial.train(row, replace(preset, architecture="explicit"), seed))
    if row == "paper_converged":
        return trial.by_speech(*trial.train_for(row, PRESETS["paper"], seed, 60 * paper_minutes))
    speaker, seconds = trial.train("fast", preset, seed)
    if row == "ceiling":
        return Contender(ceiling(speaker, footage))
    if row == "paper_equal_time":
        return trial.by_speech(*trial.train_for(row, PRESETS["paper"], seed, seconds))
    return trial.by_speech(speaker, seconds)


class Results:
    """Figures of one clip in a JSON file, which is written after each row and seed.

    Args:
        path: The file; None to keep them in memory.
        identity: What the figures belong to: those of anything else in the file are dropped.
    """

    def __init__(self, path: Path | None, identity: dict[str, Any]) -> None:
        self._path = path
        self._identity = identity
        self.runs: dict[str, dict[str, Columns]] = {}
        if path is not None and path.is_file():
            stored = json.loads(path.read_text())
            if {name: stored.get(name) for name in identity} == identity:
                self.runs = stored["runs"]

    def add(self, row: str, seed: int, columns: Columns) -> None:
        self.runs.setdefault(row, {})[str(seed)] = columns
        if self._path is not None:
            text = json.dumps({**self._identity, "rows": self.rows, "runs": self.runs}, indent=2)
            write_whole(str(self._path), text.encode())

    @property
    def rows(self) -> dict[str, Columns]:
        """Mean of each column over the seeds, and its standard deviation under ``<column>_std``."""
        return {row: dict(_summarise(list(runs.values()))) for row, runs in self.runs.items()}


def _summarise(runs: Sequence[Columns]) -> Iterator[tuple[str, float | None]]:
    for column in runs[0]:
        values = [value for run in runs if (value := run.get(column)) is not None]
        yield column, float(np.mean(values)) if values else None
        yield f"{column}_std", float(np.std(values)) if values else None


def show(rows: dict[str, Columns], title: str) -> None:
    """Print tables with the measures as rows, so that they are no wider than a terminal."""
    columns = dict.fromkeys(name for row in rows.values() for name in row if not name.endswith("_std"))
    for start in range(0, len(rows), ROWS_ABREAST):
        part = dict(list(rows.items())[start : start + ROWS_ABREAST])
        table = Table("", *part, title=title)
        for column in columns:
            cells = ((row.get(column), row.get(f"{column}_std")) for row in part.values())
            table.add_row(column.replace("_", " "), *(_cell(mean, deviation) for mean, deviation in cells))
        Console().print(table)


def _cell(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return "-"
    return f"{mean:.3g} ±{deviation:.2g}" if deviation else f"{mean:.3g}"


def draw_sheet(trial: Trial, drivers: dict[str, Driver]) -> np.ndarray:
    """The mouths of all rows, one below the other, at moments between the most closed and the most open real mouth."""
    ruler = Ruler(trial.footage, trial.face, trial.split["held_out"])
    indices = ruler.indices
    order = indices[np.argsort(trial.footage.openings[indices])]
    moments = [int(order[round(share * (len(order) - 1))]) for share in MOMENTS]
    width, height = ruler.mouth_box_px
    size = TILE_WIDTH, round(TILE_WIDTH * height / width)
    lines = []
    for name, driver in drivers.items():
        mouths = dict(ruler.mouths(driver, set(moments)))
        tiles = [cv2.resize(mouths[moment], size, interpolation=cv2.INTER_CUBIC) for moment in moments]
        line = np.concatenate(tiles, axis=1)
        lines.append(cv2.putText(line, name, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA))
    return np.concatenate(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="quality", description=__doc__)
    add_trial_options(parser)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--paper-minutes", type=float, default=60.0, help="of paper_converged (default: 60)")
    parser.add_argument("--voice", type=Path, nargs="+", default=[], help="also drive with these sounds")
    parser.add_argument("--sheet", type=Path, help="draw the rows of the first seed side by side into this PNG")
    options = parser.parse_args(arguments)
    try:
        with shown_progress() as report:
            run(options, report)
    except Speech2LipError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace, report: Report) -> None:
    """Compute what is missing, show all."""
    trial = open_trial(options, report)
    results = Results(options.json, identify(options, trial))
    preset = PRESETS[options.preset]
    for row in options.rows:
        for seed in range(options.seeds if row in LEARNT else 1):
            if options.again or str(seed) not in results.runs.get(row, {}):
                report.log("info", f"{row}, seed {seed}")
                contender = contend(trial, row, seed, preset, options.paper_minutes)
                results.add(row, seed, trial.measure(contender, options.voice))
    if options.sheet:
        drivers = {row: contend(trial, row, 0, preset, options.paper_minutes).driver for row in options.rows}
        picture = cv2.cvtColor(draw_sheet(trial, drivers), cv2.COLOR_RGB2BGR)
        write_whole(str(options.sheet), cv2.imencode(".png", picture)[1].tobytes())
    show({row: results.rows[row] for row in options.rows}, Path(options.clip).name)


@contextmanager
def shown_progress() -> Iterator[Report]:
    """Progress bars, without the pictures of every training."""
    with progress_bars() as listener:
        yield Report(lambda event: None if isinstance(event, Preview) else listener(event))


def add_trial_options(parser: argparse.ArgumentParser) -> None:
    """The options that say on what and how to measure."""
    parser.add_argument("--clip", required=True, help="the footage of one speaker")
    parser.add_argument("--seeds", type=int, default=1, help="train each speaker so many times (default: 1)")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    parser.add_argument("--preset", choices=PRESETS, default="balanced", help="how to train (default: balanced)")
    parser.add_argument("--landmarks", default="bundled", help="what measures the lips; a .task file sees more")
    parser.add_argument("--speakers", type=Path, default=Path("out/quality"), help="where speakers are kept")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--again", action="store_true", help="compute anew what is there already")


def open_trial(options: argparse.Namespace, report: Report) -> Trial:
    folder = options.speakers / f"{Path(options.clip).stem}_{options.preset}"
    folder.mkdir(parents=True, exist_ok=True)
    return Trial(options.clip, folder, options.landmarks, options.device, options.again, report)


def identify(options: argparse.Namespace, trial: Trial) -> dict[str, Any]:
    """What figures belong to."""
    return {
        "clip": Path(options.clip).name,
        "fingerprint": trial.footage.fingerprint,
        "version": VERSION,
        "preset": options.preset,
        "landmarks": Path(options.landmarks).name,
        "device": choose_device(options.device).type,
    }


if __name__ == "__main__":
    sys.exit(main())

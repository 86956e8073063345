"""Heads turned to other poses, against the truth; the figures are explained in ``docs/pose.md``.

The embedded speaker is known from every angle: errors of his learned depth, and frames that he was not trained on with
the head turned, each against the true picture. Clips of real people show what a frame re-posed as another should have
looked like.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from s2l_core.device import choose_device
from s2l_core.errors import Speech2LipError
from s2l_core.evaluation.report import available_lpips
from s2l_core.events import Preview, Report
from s2l_core.files import write_whole
from s2l_core.geometry.mapping import CanonicalView
from s2l_core.model.perception import Lpips
from s2l_core.model.speaker import SpeakerModel
from s2l_core.terminal import progress_bars
from s2l_core.training.presets import PRESETS
from s2l_core.version import VERSION

from .posing.camera_match import match_errors
from .posing.clips import read_pairs
from .posing.depth import DepthTruth, depth_errors
from .posing.likeness import Likeness, Picture, mean, measure
from .posing.novel import NovelView, find_origin, read_views
from .posing.rows import WITHOUT_NETWORKS, Wanted, Warper, forward_warped
from .trials.trial import Trial

DEMO = Path(__file__).resolve().parents[1] / "demo"
ROWS = (*WITHOUT_NETWORKS,)
KNOWN_ROWS = (*ROWS, "ceiling")
Figures = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """Somebody whose head is turned.

    Attributes:
        trial: His clip.
        speaker: What was learned of it.
        speaker_path: Its file.
        warper: Turns his head without networks.
    """

    trial: Trial
    speaker: SpeakerModel
    speaker_path: Path
    warper: Warper

    @classmethod
    def open(cls, clip: str, options: argparse.Namespace, report: Report) -> Subject:
        """The speaker is trained unless he is there."""
        folder = options.speakers / f"{Path(clip).stem}_{options.preset}"
        folder.mkdir(parents=True, exist_ok=True)
        trial = Trial(clip, folder, "bundled", options.device, options.again, (), report)
        speaker, _ = trial.train("fast", PRESETS[options.preset], seed=0)
        start = trial.face.to("cpu").head.view
        warper = Warper(speaker.face.to("cpu").head, start, trial.footage.track.intrinsics)
        return cls(trial, speaker, folder / "fast_0.s2l", warper)

    def show(self, row: str, wanted: Wanted) -> Picture:
        """What comes out in a row."""
        return self.warper.show(row, wanted.source, self.trial.footage.track.poses[wanted.frame], wanted.new_pose)

    def measure(self, row: str, wanted: Wanted, perception: Lpips | None) -> Likeness:
        return measure(self.show(row, wanted), wanted.truth, wanted.mask, perception)


def measure_depth(subject: Subject, truth: DepthTruth) -> Figures:
    """Medians of the errors of depth, of the learned one and of the one that learning began with."""
    mesh = subject.trial.face.to("cpu").head.mask
    figures = {}
    for name, view in (("depth_error", subject.warper.head.view), ("mesh_depth_error", subject.warper.start)):
        errors = depth_errors(view, mesh, subject.trial.footage, truth)
        figures[f"{name}_face_percent"] = float(np.median(errors.face))
        figures[f"{name}_head_percent"] = float(np.median(errors.head))
    return figures


def measure_novel_views(subject: Subject, truth: DepthTruth, perception: Lpips | None, report: Report) -> Figures:
    """By row and angle, the mean over the moments."""
    origin = find_origin(subject.warper, subject.trial.footage, truth)
    views = list(read_views(DEMO, subject.trial.footage, origin))
    runs: dict[str, dict[str, list[Likeness]]] = {row: {} for row in KNOWN_ROWS}
    for done, view in enumerate(views):
        report.progress("Turn the head", done, len(views))
        for row in ROWS:
            runs[row].setdefault(view.angle, []).append(subject.measure(row, view, perception))
        shown = ceiling(view, truth)
        runs["ceiling"].setdefault(view.angle, []).append(measure(shown, view.truth, view.mask, perception))
    return {row: {angle: mean(each) for angle, each in angles.items()} for row, angles in runs.items()}


def ceiling(view: NovelView, truth: DepthTruth) -> Picture:
    """What forward warping comes to with the true depth, poses and camera."""
    pose = torch.tensor(view.true_poses[0], dtype=torch.float32)
    depth = torch.from_numpy(view.true_depth)
    known = CanonicalView(depth, truth.camera.rectangle, truth.camera, pose)
    return forward_warped(view.source, known, depth > 0, truth.camera, *view.true_poses)


def measure_camera_match(subject: Subject) -> Figures:
    """How far Blender's matched camera sees the mesh from where the footage's camera does."""
    errors = match_errors(subject.speaker_path, subject.trial.footage)
    return {"camera_match_px": float(errors.max()), "camera_match_median_px": float(np.median(errors))}


def measure_pairs(subject: Subject, perception: Lpips | None, report: Report) -> Figures:
    """By row, the mean over the pairs, and over that half of them in which the head turns farther."""
    trial = subject.trial
    pairs = list(read_pairs(trial.footage, subject.speaker.face, subject.warper, trial.split["held_out"][0]))
    far = np.abs([pair.yaw for pair in pairs]) > np.median(np.abs([pair.yaw for pair in pairs]))
    figures: Figures = {"yaw_degrees": [round(pair.yaw, 2) for pair in pairs]}
    for done, row in enumerate(ROWS):
        report.progress("Re-pose frames", done, len(ROWS))
        runs = [subject.measure(row, pair, perception) for pair in pairs]
        figures[row] = {"all": mean(runs), "far": mean(run for run, is_far in zip(runs, far, strict=True) if is_far)}
    return figures


def show_tables(figures: Figures) -> None:
    """Print the figures."""
    console = Console()
    table = Table("median error in % of the head's depth", "face", "head", title="depth")
    for title, name in (("mesh and skull", "mesh_depth_error"), ("learned", "depth_error")):
        table.add_row(title, *(f"{figures[f'{name}_{part}_percent']:.2f}" for part in ("face", "head")))
    console.print(table)
    match = figures["camera_match_px"], figures["camera_match_median_px"]
    console.print("camera match: at most {:.1g} px, median {:.1g} px, of 512 across".format(*match))
    for name in figures["novel_view"]["unwarped"]["yaw_10"]:
        table = Table("", *KNOWN_ROWS, title=f"{name} in the head's mask")
        for angle in figures["novel_view"]["unwarped"]:
            table.add_row(
                angle.replace("_", " "), *(f"{figures['novel_view'][row][angle][name]:.3f}" for row in KNOWN_ROWS)
            )
        console.print(table)
    for clip, rows in figures["clips"].items():
        table = Table(clip, *ROWS, title="frames re-posed as others")
        for turns in ("all", "far"):
            for name in rows["unwarped"][turns]:
                table.add_row(f"{name}, {turns}", *(f"{rows[row][turns][name]:.3f}" for row in ROWS))
        console.print(table)


@contextmanager
def shown_progress() -> Iterator[Report]:
    """Progress bars, without the pictures of a training."""
    with progress_bars() as listener:
        yield Report(lambda event: None if isinstance(event, Preview) else listener(event))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pose", description=__doc__)
    parser.add_argument("--clip", action="append", default=[], help="also footage of a real speaker; may be repeated")
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    parser.add_argument("--preset", choices=PRESETS, default="balanced", help="how to train (default: balanced)")
    parser.add_argument("--speakers", type=Path, default=Path("out/quality"), help="where speakers are kept")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--again", action="store_true", help="train anew what is there already")
    options = parser.parse_args(arguments)
    truth = DepthTruth.load(DEMO / "truth.npz")
    try:
        with shown_progress() as report:
            perception = available_lpips(torch.device("cpu"), report)
            known = Subject.open(str(DEMO / "speaker.mp4"), options, report)
            figures = {
                "version": VERSION,
                "preset": options.preset,
                "device": choose_device(options.device).type,
                **measure_depth(known, truth),
                "novel_view": measure_novel_views(known, truth, perception, report),
                "clips": {
                    Path(clip).stem: measure_pairs(Subject.open(clip, options, report), perception, report)
                    for clip in options.clip
                },
            }
        figures |= measure_camera_match(known)
    except Speech2LipError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        write_whole(str(options.json), json.dumps(figures, indent=2).encode())
    show_tables(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())

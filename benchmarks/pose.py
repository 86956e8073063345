"""Heads rendered in other poses, compared with ground truth. ``docs/pose.md`` explains the figures.

The rendered speakers were rendered from every angle, so errors of their learned depth can be measured, and held-out
frames with the head turned can be compared with true pictures. In clips of real people, one frame is re-posed to match
another one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy import ndimage

from s2l_core.canonical.view import CanonicalHead, round_head
from s2l_core.device import choose_device
from s2l_core.errors import Speech2LipError
from s2l_core.evaluation.held_out import available_lpips
from s2l_core.events import Preview, Report
from s2l_core.face.matte import open_matting
from s2l_core.files import write_whole
from s2l_core.geometry.mapping import CanonicalView
from s2l_core.model.perception import Lpips
from s2l_core.model.speaker import SpeakerModel
from s2l_core.terminal import progress_bars
from s2l_core.training.presets import PRESETS
from s2l_core.version import VERSION
from s2l_core.whole_head.plate import make_surroundings
from s2l_core.whole_head.reposing import HeadRenderer
from s2l_core.whole_head.surface import HeadSurface

from ._options import destination
from .posing.arcs import Arc
from .posing.camera_match import match_errors
from .posing.clips import read_pairs
from .posing.depth import DepthTruth, depth_errors
from .posing.likeness import Likeness, Picture, mean, measure
from .posing.novel import RENDERED, NovelView, find_origin, read_views
from .posing.rows import KNOWN_ROWS, ROWS, Wanted, Warper, forward_warped
from .posing.tables import Figures, short, show_tables
from .trials.trial import Trial

STRIP_WIDTH, GREY = 1300, 64


@dataclass(frozen=True)
class Subject:
    """A person whose head is turned.

    Attributes:
        trial: The person's clip.
        speaker: The trained speaker.
        speaker_path: Its file.
        warper: Turns the head without networks.
        renderer: Turns the head with the whole renderer.
    """

    trial: Trial
    speaker: SpeakerModel
    speaker_path: Path
    warper: Warper
    renderer: HeadRenderer

    @classmethod
    def open(cls, clip: str, options: argparse.Namespace, report: Report) -> Subject:
        """Open a clip; the speaker is trained unless it is in the folder."""
        folder = options.speakers / f"{Path(clip).stem}_{options.preset}"
        folder.mkdir(parents=True, exist_ok=True)
        trial = Trial(clip, folder, "bundled", options.device, options.again, (), report)
        speaker, _ = trial.train("exemplars", PRESETS[options.preset], seed=0)
        head = speaker.face.to("cpu").head
        start = round_head(trial.face.to("cpu").head, trial.footage, head.mask.numpy()).view
        warper = Warper(head, start, trial.footage.track.intrinsics)
        matting = open_matting()
        surroundings = make_surroundings(trial.footage, speaker.face.head, matting, report)
        renderer = HeadRenderer(speaker, trial.footage, *surroundings, matting)
        return cls(trial, speaker, trial.speaker_path("exemplars", 0), warper, renderer)

    def show(self, row: str, wanted: Wanted) -> Picture:
        """The picture of a row."""
        if row == "blended":
            view = self.renderer.render(wanted.source, wanted.frame, self.warper.camera, wanted.new_pose, True)
            return (view.colours * 255).round().clip(0, 255).astype(np.uint8)
        return self.warper.show(row, wanted.source, self.trial.footage.track.poses[wanted.frame], wanted.new_pose)

    def measure(self, row: str, wanted: Wanted, perception: Lpips | None) -> Likeness:
        return measure(self.show(row, wanted), wanted.truth, wanted.mask, perception)


def measure_depth(subject: Subject, truth: DepthTruth) -> Figures:
    """Median errors of the learned depth, and of the initial one."""
    mesh = subject.trial.face.to("cpu").head.mask
    figures = {}
    for name, view in (("depth_error", subject.warper.head.view), ("mesh_depth_error", subject.warper.start)):
        errors = depth_errors(view, mesh, subject.trial.footage, truth)
        figures[f"{name}_face_percent"] = float(np.median(errors.face))
        figures[f"{name}_head_percent"] = float(np.median(errors.head))
    return figures


def measure_novel_views(
    subject: Subject, views: Sequence[NovelView], truth: DepthTruth, perception: Lpips | None, report: Report
) -> Figures:
    """Mean over the moments, by row and angle."""
    runs: dict[str, dict[str, list[Likeness]]] = {row: {} for row in KNOWN_ROWS}
    for done, view in enumerate(views):
        report.progress("Turn the head", done, len(views))
        for row in ROWS:
            runs[row].setdefault(view.angle, []).append(subject.measure(row, view, perception))
        shown = ceiling(view, truth)
        runs["ceiling"].setdefault(view.angle, []).append(measure(shown, view.truth, view.mask, perception))
    return {row: {angle: mean(each) for angle, each in angles.items()} for row, angles in runs.items()}


def ceiling(view: NovelView, truth: DepthTruth) -> Picture:
    """Forward warping with the true depth, poses and camera: the upper bound."""
    inside = view.true_depth > 0
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    depth = torch.from_numpy(view.true_depth[tuple(nearest)])
    pose = torch.tensor(view.true_poses[0], dtype=torch.float32)
    known = CanonicalView(depth, truth.camera.rectangle, truth.camera, pose)
    surface = HeadSurface(CanonicalHead(known, torch.from_numpy(inside), torch.zeros_like(depth)))
    return forward_warped(view.source, surface, truth.camera, *view.true_poses)


def draw_strip(subject: Subject, views: Sequence[NovelView]) -> Picture:
    """All angles of the first moment side by side. From top to bottom: the true picture, forward warping by the learned
    depth inside the head's mask, and the whole renderer.
    """
    chosen = [view for view in views if view.frame == views[0].frame]
    rows, columns = (np.flatnonzero(np.any([view.mask for view in chosen], axis=(0, axis))) for axis in (2, 1))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    tiles = []
    for view in chosen:
        warped = np.where(view.mask[..., None], subject.show("learned_depth", view), GREY).astype(np.uint8)
        tile = np.concatenate([picture[box] for picture in (view.truth, warped, subject.show("blended", view))])
        tiles.append(
            cv2.putText(
                tile, short(view.angle), (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA
            )
        )
    strip = np.concatenate(tiles, axis=1)
    size = STRIP_WIDTH, round(STRIP_WIDTH * strip.shape[0] / strip.shape[1])
    return np.asarray(cv2.resize(strip, size, interpolation=cv2.INTER_AREA))


def measure_rendered(
    name: str, options: argparse.Namespace, perception: Lpips | None, report: Report
) -> tuple[Figures, Picture]:
    """The figures of a rendered speaker, and the strip of all angles."""
    clip = RENDERED[name]
    truth = DepthTruth.load(clip.parent / "truth.npz")
    subject = Subject.open(str(clip), options, report)
    footage = subject.trial.footage
    views = list(read_views(clip.parent, footage, find_origin(subject.warper, footage, truth)))
    figures = {
        **measure_depth(subject, truth),
        "novel_view": measure_novel_views(subject, views, truth, perception, report),
        "arc": arc_of(subject).measure(perception, report),
        **measure_camera_match(subject),
    }
    return figures, draw_strip(subject, views)


def measure_camera_match(subject: Subject) -> Figures:
    """Distance between the mesh as Blender's matched camera shows it and as the footage's camera does."""
    errors = match_errors(subject.speaker_path, subject.trial.footage)
    return {"camera_match_px": float(errors.max()), "camera_match_median_px": float(np.median(errors))}


def measure_pairs(subject: Subject, perception: Lpips | None, report: Report) -> Figures:
    """Mean over the pairs, and over the half with larger turns, by row."""
    trial = subject.trial
    pairs = list(read_pairs(trial.footage, subject.speaker.face, subject.warper, trial.split["held_out"][0]))
    far = np.abs([pair.yaw for pair in pairs]) > np.median(np.abs([pair.yaw for pair in pairs]))
    figures: Figures = {"yaw_degrees": [round(pair.yaw, 2) for pair in pairs]}
    for done, row in enumerate(ROWS):
        report.progress("Re-pose frames", done, len(ROWS))
        runs = [subject.measure(row, pair, perception) for pair in pairs]
        figures[row] = {"all": mean(runs), "far": mean(run for run, is_far in zip(runs, far, strict=True) if is_far)}
    return figures


def measure_clip(clip: str, options: argparse.Namespace, perception: Lpips | None, report: Report) -> Figures:
    """The figures of a clip of a real person."""
    subject = Subject.open(clip, options, report)
    figures = measure_pairs(subject, perception, report)
    arc = arc_of(subject)
    figures["arc"] = arc.measure(perception, report)
    if options.arcs:
        index = int(np.flatnonzero(subject.trial.footage.track.found)[-1])
        write_picture(options.arcs, Path(clip).stem, arc.strip(index, report))
    return figures


def write_picture(folder: Path, name: str, picture: Picture) -> None:
    """Write a PNG file into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    write_whole(str(folder / f"{name}.png"), encoded.tobytes())


def arc_of(subject: Subject) -> Arc:
    """A camera on an arc around a person's head."""
    trial = subject.trial
    return Arc(trial.footage, subject.renderer, open_matting(), trial.split["held_out"][0])


@contextmanager
def shown_progress() -> Iterator[Report]:
    """A report that shows progress bars, without previews of a training."""
    with progress_bars() as listener:
        yield Report(lambda event: None if isinstance(event, Preview) else listener(event))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pose", description=__doc__)
    parser.add_argument("--clip", action="append", default=[], help="footage of a real speaker; may be repeated")
    parser.add_argument("--json", type=destination, help="write the figures to this file")
    parser.add_argument("--rendered", action="append", choices=RENDERED, help="a rendered speaker (default: all)")
    parser.add_argument("--strips", type=Path, help="draw each rendered speaker from all angles into this folder")
    parser.add_argument("--arcs", type=Path, help="draw each clip's last frame from all angles into this folder")
    parser.add_argument("--preset", choices=PRESETS, default="balanced", help="training preset (default: balanced)")
    parser.add_argument("--speakers", type=Path, default=Path("out/quality"), help="folder of trained speakers")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--again", action="store_true", help="train again even if the speaker is there")
    options = parser.parse_args(arguments)
    try:
        with shown_progress() as report:
            perception = available_lpips(torch.device("cpu"), report)
            rendered = {
                name: measure_rendered(name, options, perception, report) for name in options.rendered or RENDERED
            }
            figures = {
                "version": VERSION,
                "preset": options.preset,
                "device": choose_device(options.device).type,
                "rendered": {name: measured for name, (measured, _) in rendered.items()},
                "clips": {Path(clip).stem: measure_clip(clip, options, perception, report) for clip in options.clip},
            }
    except Speech2LipError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        write_whole(str(options.json), json.dumps(figures, indent=2).encode())
    if options.strips:
        for name, (_, strip) in rendered.items():
            write_picture(options.strips, name, strip)
    show_tables(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Landmark back-ends on real clips, compared with MediaPipe's face landmarker as ground truth.

Errors are distances in the picture relative to the inter-ocular distance (between the outer eye corners of the ground
truth). Back-ends with another landmark layout are compared at the points that both layouts name.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from s2l_core.errors import LandmarksUnavailable, Speech2LipError
from s2l_core.face.detector import LandmarkDetector
from s2l_core.face.landmarks import open_detector
from s2l_core.face.layout import LandmarkLayout, mouth_opening
from s2l_core.files import write_whole
from s2l_core.jobs import Media
from s2l_core.media.video import read_frames

from ._options import destination

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
BACK_ENDS = ("bundled", "face-alignment")


@dataclass(frozen=True)
class Measurement:
    """One back-end on one clip. Errors are in % of the inter-ocular distance, None if nothing could be compared."""

    clip: str
    landmarks: str
    frames: int
    found_share: float
    frames_per_second: float
    error_mean: float | None = None
    error_median: float | None = None
    error_95th: float | None = None
    opening_correlation: float | None = None


@dataclass(frozen=True)
class Track:
    """Landmarks (N, P, 2) of a clip, NaN in frames without a face, and the seconds that detecting them took."""

    layout: LandmarkLayout
    points: NDArray[np.float64]
    seconds: float

    @property
    def found(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.points[:, 0, 0])


def follow(detector: LandmarkDetector, images: Sequence[NDArray[np.uint8]]) -> Track:
    missing = np.full((detector.layout.count, 2), np.nan)
    detector.detect(images[0])  # the first call also loads the networks
    start = time.perf_counter()
    faces = [detector.detect(image) for image in images]
    seconds = time.perf_counter() - start
    return Track(
        detector.layout, np.array([missing if face is None else face.points[:, :2] for face in faces]), seconds
    )


def named_points(track: Track) -> NDArray[np.float64]:
    """The points (N, K, 2) that every layout names."""
    layout = track.layout
    groups = (layout.eye_corners, layout.mouth_corners, layout.chin)
    lips = [track.points[:, group].mean(axis=1, keepdims=True) for group in (layout.inner_top, layout.inner_bottom)]
    return np.concatenate([*(track.points[:, group] for group in groups), *lips], axis=1)


def compare(clip: str, name: str, track: Track, truth: Track) -> Measurement:
    both = track.found & truth.found
    measured = Measurement(clip, name, len(both), float(track.found.mean()), len(both) / track.seconds)
    if both.sum() < 3:
        return measured
    eyes = truth.points[both][:, truth.layout.eye_corners]
    distance = np.linalg.norm(eyes[:, 0] - eyes[:, 3], axis=-1)
    if track.layout is truth.layout:
        offsets = track.points[both] - truth.points[both]
    else:
        offsets = named_points(track)[both] - named_points(truth)[both]
    errors = 100 * np.linalg.norm(offsets, axis=-1) / distance[:, None]
    openings = [mouth_opening(each.points[both], each.layout) for each in (track, truth)]
    return replace(
        measured,
        error_mean=float(errors.mean()),
        error_median=float(np.median(errors)),
        error_95th=float(np.percentile(errors, 95)),
        opening_correlation=float(np.corrcoef(openings)[0, 1]),
    )


def available_back_ends() -> list[str]:
    """Names of the back-ends that are available; for the others, the reason is printed to stderr."""
    names = []
    for name in BACK_ENDS:
        try:
            open_detector(name)
            names.append(name)
        except LandmarksUnavailable as reason:
            print(f"{name} is left out: {reason}", file=sys.stderr)
    return names


def measure(clip: Path, truth_name: str, names: Sequence[str], every: int, limit: int) -> list[Measurement]:
    """Measure back-ends on every ``every``-th frame of a clip, at most ``limit`` frames."""
    images = [frame.image for frame in itertools.islice(read_frames(Media(str(clip))), 0, every * limit, every)]
    truth = follow(open_detector(truth_name), images)
    tracks = {name: follow(open_detector(name), images) for name in names}
    return [compare(clip.stem, name, track, truth) for name, track in {"the truth": truth, **tracks}.items()]


def show(measurements: Sequence[Measurement]) -> None:
    table = Table("clip", "landmarks", title="Landmark error in % of the inter-ocular distance")
    for heading in ("frames", "found", "fps", "mean", "median", "95th", "opening correlation"):
        table.add_column(heading, justify="right")
    for each in measurements:
        figures = (each.error_mean, each.error_median, each.error_95th, each.opening_correlation)
        table.add_row(
            each.clip,
            each.landmarks,
            str(each.frames),
            f"{each.found_share:.1%}",
            f"{each.frames_per_second:.0f}",
            *("-" if figure is None else f"{figure:.2f}" for figure in figures),
        )
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="landmarks", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with speakers/*.mp4 and models/*.task")
    parser.add_argument("--every", type=int, default=5, help="measure every n-th frame (default: 5)")
    parser.add_argument("--limit", type=int, default=300, help="at most this many frames of a clip (default: 300)")
    parser.add_argument("--json", type=destination, help="also write the figures to this file")
    options = parser.parse_args(arguments)
    truth = options.data / "models" / "face_landmarker.task"
    clips = sorted((options.data / "speakers").glob("*.mp4"))
    if not clips:
        print(f"There are no clips in {options.data / 'speakers'}. Name the folder with --data.", file=sys.stderr)
        return 1
    try:
        names = available_back_ends()
        measurements = [
            each for clip in clips for each in measure(clip, str(truth), names, options.every, options.limit)
        ]
    except Speech2LipError as error:
        print(error, file=sys.stderr)
        return 1
    show(measurements)
    if options.json:
        write_whole(str(options.json), json.dumps([asdict(each) for each in measurements], indent=2).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One face through a clip: also a small one, not a bystander's, and the same however often interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import s2l_core
from s2l_core.errors import Cancelled
from s2l_core.events import Event, Report
from s2l_core.face.detector import LandmarkDetector
from s2l_core.face.following import FaceFollower, Sighting
from s2l_core.face.landmarks import open_detector
from s2l_core.face.layout import MESH468
from s2l_core.footage import prepare
from s2l_core.jobs import FacesJob, Media
from s2l_core.media.raster import to_frame
from s2l_core.media.video import Frame, read_frames
from s2l_core.media.writing import VideoWriter

from .conftest import CLIP

WIDTH, HEIGHT = 1920, 480
SPEAKER_FACE = 186
"""Pixels across in the embedded clip."""

Picture = NDArray[np.uint8]
Place = tuple[int, int, int]
"""Left and top of a head, and the width of its face, in pixels."""


class Shown(Frame):
    """A frame with a picture that was made up."""

    def __init__(self, time: float, image: Picture) -> None:
        super().__init__(time, to_frame(image))


@pytest.fixture(scope="module")
def heads() -> list[Picture]:
    """The embedded speaker's head."""
    return [frame.image[40:370, 70:330] for frame in read_frames(Media(str(CLIP), end=1.0))]


@pytest.fixture(scope="module")
def detector() -> LandmarkDetector:
    return open_detector("bundled")


def background(kind: str, width: int = WIDTH, height: int = HEIGHT) -> Picture:
    random = np.random.default_rng(0)
    if kind == "noise":
        return random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = np.full((height, width, 3), 90.0, np.float32)
    for scale in (4, 16, 64, 256) if kind == "texture" else ():
        coarse = random.uniform(-40, 40, (height // scale + 2, width // scale + 2, 3)).astype(np.float32)
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return picture.clip(0, 255).astype(np.uint8)


def put(picture: Picture, head: Picture, place: Place) -> Picture:
    left, top, face = place
    size = (round(head.shape[1] * face / SPEAKER_FACE), round(head.shape[0] * face / SPEAKER_FACE))
    picture = picture.copy()
    picture[top : top + size[1], left : left + size[0]] = cv2.resize(head, size, interpolation=cv2.INTER_AREA)
    return picture


def scenes(heads: Sequence[Picture], *places: Sequence[Place]) -> list[Shown]:
    """A clip that shows heads at some places in each frame."""
    result = []
    for number, now in enumerate(places):
        picture = background("plain")
        for place in now:
            picture = put(picture, heads[number % len(heads)], place)
        result.append(Shown(number / 25, picture))
    return result


NOTHING = np.full((MESH468.count, 3), np.nan, np.float32)


def follow(detector: LandmarkDetector, frames: Sequence[Shown]) -> NDArray[np.float32]:
    detector.follow(NOTHING)
    stretches = FaceFollower(detector).follow(frames)
    return np.concatenate([stretch.points for stretch in stretches])


def seen(frame: Shown, points: NDArray[np.float32]) -> Sighting:
    return Sighting(frame, points)


def widths(points: NDArray[np.float32]) -> list[float | None]:
    """Of the face in each frame, None where there is none."""
    return [None if np.isnan(face).any() else float(np.ptp(face[:, 0])) for face in points]


def about(*faces: int | None) -> list[object]:
    return [None if face is None else pytest.approx(face, rel=0.15) for face in faces]


@pytest.mark.parametrize("kind", ["plain", "texture", "noise"])
@pytest.mark.parametrize(("x", "y"), [(0.0, 1.0), (0.4, 0.0), (0.37, 0.61)], ids=["corner", "edge", "inside"])
def test_a_face_of_60_pixels_is_found_anywhere_in_a_4k_picture(
    detector: LandmarkDetector, heads: list[Picture], kind: str, x: float, y: float
) -> None:
    left, top = round(x * (3840 - 84)), round(y * (2160 - 107))
    picture = put(background(kind, 3840, 2160), heads[0], (left, top, 60))
    (points,) = follow(detector, [Shown(0.0, picture)])
    assert np.ptp(points[:, 0]) == pytest.approx(60, rel=0.15)
    assert points[:, :2].mean(axis=0) == pytest.approx([left + 32, top + 54], abs=5)


LARGE, SMALL, SMALLER = (300, 20, 240), (1500, 100, 42), (1500, 300, 31)
"""The smaller ones are too small for the detector's look at the whole picture."""
AWAY: list[Place] = []
"""Nobody."""


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        pytest.param([AWAY] * 3 + [[SMALL]] * 6, [None] * 3 + [42] * 6, id="followed backwards"),
        pytest.param([[SMALL]] * 2 + [AWAY] * 2 + [[SMALL]] * 5, [42] * 2 + [None] * 2 + [42] * 5, id="gone and back"),
        pytest.param([[LARGE]] * 2 + [[SMALL]] * 7, [240] * 2 + [42] * 7, id="cut from near to far"),
        pytest.param([[SMALL]] * 2 + [[LARGE]] * 2, [42] * 2 + [240] * 2, id="cut from far to near"),
        pytest.param([AWAY] * 2 + [[SMALL]] * 3, [None] * 2 + [42] * 3, id="in the last frames"),
        pytest.param([[SMALL, LARGE]] * 2 + [[SMALL]] * 11 + [[LARGE]], [240] * 2 + [None] * 11 + [240], id="other"),
        pytest.param([[SMALL]] * 4 + [[SMALL, LARGE]] * 2, [42] * 4 + [240] * 2, id="a larger one takes over"),
        pytest.param([[SMALLER, SMALL]] * 2 + [[SMALLER]] * 7, [42] * 2 + [None] * 7, id="the larger of two"),
        pytest.param([AWAY] * 3, [None] * 3, id="nobody"),
    ],
)  # fmt: skip
def test_whose_face_is_found(
    detector: LandmarkDetector, heads: list[Picture], places: list[list[Place]], expected: list[int | None]
) -> None:
    assert widths(follow(detector, scenes(heads, *places))) == about(*expected)


@pytest.mark.parametrize("left", [SMALL, (1200, 100, 110)])
def test_who_stays_after_somebody_left_is_found_after_some_seconds_and_gives_way(
    detector: LandmarkDetector, heads: list[Picture], left: Place
) -> None:
    frames = scenes(heads, [left, LARGE], *[[left]] * 12, *[[left, LARGE]] * 4)
    slow = [Shown(frame.time * 12, frame.image) for frame in frames]
    assert widths(follow(detector, slow)) == about(240, *[left[2]] * 15, 240)


def test_a_small_face_is_seen_in_tiles_only(detector: LandmarkDetector, heads: list[Picture]) -> None:
    (frame,) = scenes(heads, [SMALL])
    assert list(detector.faces(frame.image)) == []
    assert [np.ptp(face.points[:, 0]) for face in detector.small_faces(frame.image)] == about(42)


@pytest.mark.parametrize("kind", ["texture", "noise"])
def test_no_face_is_seen_in_a_pattern(detector: LandmarkDetector, kind: str) -> None:
    assert widths(follow(detector, [Shown(0.0, background(kind, 3840, 2160))])) == [None]


def test_going_on_after_any_stretch_changes_nothing(detector: LandmarkDetector, heads: list[Picture]) -> None:
    walk: list[list[Place]] = [[(1000 + 9 * number, 200, 42)] for number in range(3)]
    frames = scenes(heads, *[AWAY] * 2, *walk, *[AWAY] * 5, *walk, [LARGE], [SMALL, LARGE], *[[SMALL]] * 4)
    detector.follow(NOTHING)
    stretches = list(FaceFollower(detector).follow(frames))
    whole = np.concatenate([stretch.points for stretch in stretches])
    number = 0
    for stretch in stretches[:-1]:
        number += len(stretch.times)
        found = np.flatnonzero(np.isfinite(whole[:number, 0, 0]))
        last = seen(frames[found[-1]], whole[found[-1]]) if len(found) else None
        detector.follow(whole[number - 1])
        rest = FaceFollower(detector, last, stretch.is_bystander).follow(frames[number:], number)
        assert np.array_equal(np.concatenate([each.points for each in rest]), whole[number:], equal_nan=True), number


def test_an_interrupted_look_at_a_small_face_ends_bit_equal(
    heads: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "far.mp4"
    with VideoWriter(str(path), WIDTH, HEIGHT, Fraction(25)) as writer:
        for frame in scenes(heads, *[AWAY] * 3, *[[SMALL]] * 11, *[AWAY] * 2, *[[SMALL]] * 2):
            writer.write(frame.image)
    monkeypatch.setattr("s2l_core.cache.SAVE_SECONDS", -1.0)
    looks = []
    for name, cuts in (("whole", 0), ("cut", 3)):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        for cut in range(cuts):
            with pytest.raises(Cancelled):
                prepare(Media(str(path)), report=cancel_after(cut))
        looks.append(prepare(Media(str(path))).landmarks)
    assert widths(looks[0]) == about(*[None] * 3, *[42] * 11, *[None] * 2, *[42] * 2)
    assert np.array_equal(looks[0], looks[1], equal_nan=True)


def test_people_far_away_are_offered_to_choose_from(heads: list[Picture], tmp_path: Path) -> None:
    path = tmp_path / "far.mp4"
    with VideoWriter(str(path), WIDTH, HEIGHT, Fraction(25)) as writer:
        for frame in scenes(heads, *[[SMALL, (200, 300, 75)]] * 6):
            writer.write(frame.image)
    people = s2l_core.faces(FacesJob(Media(str(path)), str(tmp_path)))["faces"]
    assert sorted(round(person["x"], 1) for person in people) == [0.1, 0.8]
    smaller = max(people, key=lambda person: person["x"])
    footage = prepare(Media(str(path), face=(smaller["x"], smaller["y"])))
    assert widths(footage.landmarks) == about(*[42] * 6)


def cancel_after(reports: int) -> Report:
    heard: list[Event] = []
    return Report(heard.append, lambda: len(heard) > reports)

"""Several people in one picture: they are found, and the chosen one is followed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import s2l_core
from s2l_core.errors import BadJob, NoFace
from s2l_core.face.landmarks import open_detector
from s2l_core.footage import prepare
from s2l_core.jobs import Encoding, FacesJob, Media
from s2l_core.media.pictures import encode_picture
from s2l_core.media.video import read_frames
from s2l_core.media.writing import VideoWriter

from .conftest import CLIP

WIDTH, HEIGHT, FRAMES = 720, 384, 30
AWAY = range(10, 20)
"""Frames in which the smaller person is not there."""


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """A large face on the left, and a small one on the right, which is away for a while."""
    result = []
    for number, frame in enumerate(read_frames(Media(str(CLIP), 0.0, FRAMES / 25))):
        large = cv2.resize(frame.image, (384, 384), interpolation=cv2.INTER_AREA)
        small = cv2.resize(frame.image, (256, 256), interpolation=cv2.INTER_AREA)
        picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        picture[:, :384] = large
        if number not in AWAY:
            picture[100:356, 440:696] = small
        result.append(picture)
    return result


@pytest.fixture(scope="module")
def interview(pictures: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("interview") / "interview.mp4"
    with VideoWriter(str(path), WIDTH, HEIGHT, Fraction(25)) as writer:
        for picture in pictures:
            writer.write(picture)
    return str(path)


def test_both_people_are_found_with_their_pictures(interview: str, tmp_path: Path) -> None:
    large, small = s2l_core.faces(FacesJob(Media(interview), str(tmp_path / "faces")))["faces"]
    assert large["x"] < 0.5 < small["x"]
    assert large["share"] == 1.0 and 0.5 < small["share"] < 0.8
    assert large["width_px"] > 1.3 * small["width_px"]
    shapes = []
    for face in (large, small):
        picture = cv2.imread(face["picture"])
        assert picture is not None
        shapes.append(picture.shape)
    assert shapes == [(128, 128, 3)] * 2


def test_both_people_are_found_in_a_single_picture(pictures: list[np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "both.png"
    path.write_bytes(encode_picture(pictures[0], Encoding("png")))
    large, small = s2l_core.faces(FacesJob(Media(str(path)), str(tmp_path / "faces")))["faces"]
    assert large["x"] < 0.5 < small["x"]
    assert large["since"] == small["since"] == 0.0


def test_the_chosen_person_is_followed_and_not_mistaken_for_the_other_one(interview: str, tmp_path: Path) -> None:
    _, small = s2l_core.faces(FacesJob(Media(interview), str(tmp_path)))["faces"]
    footage = prepare(Media(interview, face=(small["x"], small["y"])))
    assert footage.track.found.tolist() == [frame not in AWAY for frame in range(FRAMES)]
    assert footage.landmarks[footage.track.found][..., 0].min() > WIDTH / 2
    assert prepare(Media(interview)).landmarks[..., 0].max() < WIDTH / 2


def test_after_an_interruption_the_chosen_person_is_found_again(pictures: list[np.ndarray]) -> None:
    detector = open_detector("bundled")
    detector.choose(0.8 * WIDTH, 0.6 * HEIGHT)
    faces = [detector.detect(picture) for picture in pictures[:21]]
    assert faces[0] is not None and faces[20] is not None
    resumed = open_detector("bundled")
    resumed.choose(0.8 * WIDTH, 0.6 * HEIGHT)
    resumed.follow(faces[9].points if faces[9] else np.zeros((468, 3)))
    resumed.follow(np.full((468, 3), np.nan))
    again = resumed.detect(pictures[20])
    assert again is not None and np.array_equal(again.points, faces[20].points)


def test_pictures_without_anybody_are_told(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    with VideoWriter(str(path), 64, 64, Fraction(25)) as writer:
        for _ in range(10):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(NoFace):
        s2l_core.faces(FacesJob(Media(str(path)), str(tmp_path)))


@pytest.mark.parametrize("face", [(0.5,), (0.5, 1.2), (0.5, float("nan"))])
def test_a_face_must_be_at_a_place_of_the_picture(face: tuple[float, ...]) -> None:
    with pytest.raises(BadJob, match="position"):
        Media("interview.mp4", face=face)

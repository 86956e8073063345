"""Whose face it is: people are told apart in check, training and dubbing, and one of them is followed."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import s2l_core
from s2l_core.errors import BadJob, FootageTooShort, NoFace, RecognitionUnavailable
from s2l_core.face import recognition
from s2l_core.face.identity import OTHER, SAME, distance, is_clear, is_still
from s2l_core.face.landmarks import open_detector
from s2l_core.face.layout import MESH468
from s2l_core.footage import Footage, prepare, refuse_untrainable
from s2l_core.jobs import CheckJob, DubJob, FacesJob, Media
from s2l_core.media.video import read_frames
from s2l_core.media.writing import VideoWriter
from s2l_core.model.speaker import SpeakerModel
from s2l_core.verbs.check import check
from s2l_core.verbs.dub import dub

from .conftest import CLIP, EmbeddedHead

Picture = NDArray[np.uint8]
SIDE, SHOT = 384, 30
"""Of the pictures, and frames of a shot."""


def somebody_else(image: Picture) -> Picture:
    """The same render mirrored, broadened by a third, with other skin."""
    wide = cv2.resize(image, (512, SIDE), interpolation=cv2.INTER_AREA)[:, ::-1][:, 40:424] / 255.0
    return np.asarray(np.clip(wide[..., [1, 0, 2]] * [0.95, 0.75, 0.7] + 0.04, 0, 1) * 255, np.uint8)


def mirrored_at_night(image: Picture) -> Picture:
    return np.asarray(0.35 * image[:, ::-1], np.uint8)


def take(start: float, change: Callable[[Picture], Picture] = np.asarray, count: int = SHOT) -> Iterator[Picture]:
    """Frames of the embedded speaker."""
    for frame in islice(read_frames(Media(str(CLIP), start)), count):
        yield change(np.asarray(cv2.resize(frame.image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8))


def write(path: Path, pictures: Iterator[Picture]) -> str:
    first = next(pictures)
    height, width = first.shape[:2]
    with VideoWriter(str(path), width, height, Fraction(25)) as writer:
        for picture in [first, *pictures]:
            writer.write(np.ascontiguousarray(picture))
    return str(path)


def write_voice(path: Path, seconds: float) -> str:
    samples = 3000 * np.random.default_rng(0).normal(size=round(16_000 * seconds))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return str(path)


@pytest.fixture(scope="module")
def interview(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The speaker, somebody else, and the speaker in a shot that is mirrored and dark."""

    def shots() -> Iterator[Picture]:
        yield from take(0.0)
        yield from take(4.0, somebody_else)
        yield from take(6.0, mirrored_at_night)

    return write(tmp_path_factory.mktemp("people") / "interview.mp4", shots())


@pytest.fixture(scope="module")
def footage(interview: str) -> Footage:
    return prepare(Media(interview))


OTHERS = [SHOT <= frame < 2 * SHOT for frame in range(3 * SHOT)]


def test_shots_of_somebody_else_are_left_out_and_mirrored_dark_ones_of_the_speaker_are_not(footage: Footage) -> None:
    assert footage.somebody_else.tolist() == OTHERS
    assert footage.track.found.tolist() == [not other for other in OTHERS]
    assert np.isnan(footage.landmarks[footage.somebody_else]).all()
    assert not footage.uncertain.any()
    assert [somebody.is_chosen for somebody in footage.people] == [True, False]
    assert [somebody.seconds for somebody in footage.people] == pytest.approx([2.4, 1.2], abs=0.05)


def test_check_says_how_many_seconds_of_whom_can_be_used(interview: str, tmp_path: Path) -> None:
    result = check(CheckJob(Media(interview), voice=Media(write_voice(tmp_path / "voice.wav", 3.6))))
    assert any("two people; 2 s of the chosen one" in sentence for sentence in result["advice"])
    chosen, other = result["people"]
    assert (chosen["is_chosen"], other["is_chosen"]) == (True, False)
    assert other["since"] == pytest.approx(1.2, abs=0.01) and other["share"] == pytest.approx(1 / 3, abs=0.02)


def test_of_people_at_one_place_the_one_who_is_there_at_a_moment_is_chosen(interview: str, tmp_path: Path) -> None:
    first, second = s2l_core.faces(FacesJob(Media(interview), str(tmp_path)))["faces"]
    assert (first["share"], second["share"]) == pytest.approx((2 / 3, 1 / 3), abs=0.05)
    chosen = prepare(Media(interview, face=(second["x"], second["y"], second["since"])))
    assert chosen.somebody_else.tolist() == [not other for other in OTHERS]
    with pytest.raises(BadJob, match="has an invalid time"):
        Media(interview, face=(0.5, 0.5, -1.0))


def test_too_little_of_the_chosen_person_is_refused_for_training(footage: Footage) -> None:
    slow = replace(footage, times=4 * footage.times)
    with pytest.raises(FootageTooShort, match=r"the chosen person for only 9\.5 s"):
        refuse_untrainable(slow)


def test_a_dub_leaves_somebody_else_alone_and_says_why(
    embedded_head: EmbeddedHead, interview: str, tmp_path: Path
) -> None:
    speaker = SpeakerModel.load(embedded_head.speaker_path)
    speaker.identity = next(person.identity for person in prepare(embedded_head.footage).people)
    speaker.save(str(tmp_path / "known.s2l"))
    assert SpeakerModel.load(str(tmp_path / "known.s2l")).identity == pytest.approx(speaker.identity, abs=1e-6)
    voice = Media(write_voice(tmp_path / "voice.wav", 3.6))
    job = DubJob(str(tmp_path / "known.s2l"), Media(interview), voice, str(tmp_path / "dubbed.mp4"))
    facts = dub(job)
    (run,) = [run for run in facts["untouched"] if run["reason"] == "somebody else"]
    assert (run["first"], run["last"]) == (SHOT, 2 * SHOT - 1)
    assert facts["frames_without_face"] == 0


def test_footage_of_nobody_but_others_is_told_from_footage_without_a_face(interview: str, footage: Footage) -> None:
    stranger = footage.people[0].identity.copy()
    stranger[:-1] *= -1
    assert prepare(Media(interview), faceless=True, identity=stranger).somebody_else.all()
    with pytest.raises(NoFace, match="shows that face"):
        prepare(Media(interview), identity=stranger)


def beside(large: Iterator[Picture], small: Iterator[Picture]) -> Iterator[Picture]:
    for first, second in zip(large, small, strict=True):
        picture = np.full((SIDE, 700, 3), 90, np.uint8)
        picture[:, :SIDE] = first
        picture[60:336, 400:676] = cv2.resize(second, (276, 276), interpolation=cv2.INTER_AREA)
        yield picture


def test_a_large_photograph_is_not_followed_where_somebody_smaller_lives(tmp_path: Path) -> None:
    (photograph,) = take(0.0, count=1)
    path = write(tmp_path / "wall.mp4", beside(iter([photograph] * 70), take(2.0, count=70)))
    footage = prepare(Media(path))
    assert footage.landmarks[footage.track.found][..., 0].min() > 400
    assert footage.track.found.mean() > 0.95


def test_the_speaker_is_dubbed_beside_somebody_larger(footage: Footage, tmp_path: Path) -> None:
    path = write(tmp_path / "two.mp4", beside(take(4.0, somebody_else), take(0.0)))
    identity = footage.people[0].identity
    assert prepare(Media(path)).landmarks[..., 0].max() < 400
    own = prepare(Media(path), identity=identity)
    assert own.landmarks[own.track.found][..., 0].min() > 400 and own.track.found.mean() > 0.95


def test_a_change_of_people_without_a_cut_of_the_landmarks_is_found_to_the_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_data: Path
) -> None:
    def shots() -> Iterator[Picture]:
        for name in ("lwbsza", "swiz3n"):
            yield from (
                frame.image for frame in read_frames(Media(str(shared_data / f"grid_people/{name}.mpg"), 0.5, 2.0))
            )

    monkeypatch.setattr("s2l_core.casting.find_shots", lambda points, layout: np.zeros(len(points), np.int64))
    joined = prepare(Media(write(tmp_path / "joined.mp4", shots())))
    change = np.flatnonzero(np.diff(joined.somebody_else.astype(int)))
    assert len(change) == 1 and abs(int(change[0]) + 1 - len(joined.times) // 2) <= 1


def test_real_people_are_told_apart_and_known_again_in_other_light(shared_data: Path) -> None:
    described: dict[str, list[NDArray[np.float32]]] = {}
    for path in sorted((shared_data / "grid_people").glob("*.mpg")):
        image = next(read_frames(Media(str(path), 0.5))).image
        face = open_detector("bundled").detect(image)
        assert face is not None
        grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
        versions = [image, (0.3 * image).astype(np.uint8), grey.astype(np.uint8)]
        described.setdefault(path.name[:6], []).extend(
            recognition.describe_face(version, face.points, MESH468) for version in versions
        )
    assert len(described) == 10
    names = [name for name, faces in described.items() for _ in faces]
    faces = np.array([face for faces in described.values() for face in faces])
    apart = np.linalg.norm(faces[:, None] - faces, axis=-1)
    same = np.array(names)[:, None] == np.array(names)
    assert apart[same].max() < SAME < OTHER < apart[~same].min()


def test_a_face_may_be_broader_by_a_little_but_not_by_a_third() -> None:
    identity = np.append(np.zeros(128), 0.4)
    broader = np.array([np.append(np.zeros(128), 0.4 + by) for by in (0.05, 0.16, np.nan)])
    little, much, unknown = distance(broader, identity)
    assert little == unknown == 0.0 and much > OTHER


def test_faces_that_are_far_away_or_turned_away_do_not_tell_whose_they_are() -> None:
    (image,) = take(0.0, count=1)
    face = open_detector("bundled").detect(image)
    assert face is not None and is_clear(face.points, MESH468)
    assert not is_clear(0.05 * face.points, MESH468)
    turned = face.points * [0.3, 1.0, 1.0]
    turned[MESH468.nose_base, 0] = turned[MESH468.eye_corners[0], 0]
    assert not is_clear(turned, MESH468)


def test_a_face_that_only_moves_across_the_picture_is_still(footage: Footage) -> None:
    living = footage.landmarks[:SHOT]
    assert not is_still(living, MESH468)
    random = np.random.default_rng(0)
    photographed = living[:1] * random.uniform(0.9, 1.1, (20, 1, 1)) + random.normal(0, 20, (20, 1, 3))
    assert is_still(photographed + random.normal(0, 0.1, (20, 468, 3)), MESH468)


def test_missing_or_other_weights_are_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recognition._network.cache_clear()
    monkeypatch.setattr(recognition, "_PACKAGE", "a-package-that-is-not-there")
    with pytest.raises(RecognitionUnavailable, match="is not installed"):
        recognition._network()
    monkeypatch.undo()
    monkeypatch.setattr(recognition, "_HASH", "another")
    with pytest.raises(RecognitionUnavailable, match="are not those"):
        recognition._network()
    recognition._network.cache_clear()

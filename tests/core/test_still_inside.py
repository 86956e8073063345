"""The inside of a speaking mouth, its light, blinks and drift."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import s2l_core
from s2l_core.errors import SpeakerFileOlder
from s2l_core.face.layout import MESH468
from s2l_core.jobs import Encoding, Media, StillJob
from s2l_core.media.single_picture import SinglePicture, read_single_picture
from s2l_core.stills.blinks import Eyelids, blink_shares
from s2l_core.stills.closing import open_shares
from s2l_core.stills.covered import is_covered
from s2l_core.stills.drift import HeadDrift, drift_angles
from s2l_core.stills.light import measure_light
from s2l_core.stills.portrait import Portrait, find_portrait
from s2l_core.stills.speaking_face import SpeakingFace

from .conftest import CLIP, EmbeddedHead

LINE = CLIP.with_name("line.flac")
CLOSED = Media(str(CLIP), 0.2)
SQUARE = np.ones(2)
TIMES = np.arange(1000) / 25


@pytest.fixture(scope="module")
def source() -> SinglePicture:
    return read_single_picture(CLOSED)


@pytest.fixture(scope="module")
def portrait(source: SinglePicture) -> Portrait:
    return find_portrait(source.image, CLOSED, "bundled", "cpu")


def opened(opening: float = 0.35) -> NDArray[np.float64]:
    bow = np.abs(np.sin(np.pi * np.arange(20) / 10)) ** 1.5
    offsets = np.zeros((41, 2))
    for first in (0, 20):
        offsets[first : first + 20, 1] = opening * np.where(np.arange(20) < 11, -0.2, 0.8) * bow
    offsets[40, 1] = 0.7 * opening
    return offsets


def mouth_of(frame: NDArray[np.uint8], portrait: Portrait) -> NDArray[np.float64]:
    """Colours of the middle of the mouth, (h, w, 3)."""
    left, right = portrait.points[[61, 291]]
    (x, y), width = (left + right) / 2, right[0] - left[0]
    rows = slice(round(y - 0.04 * width), round(y + 0.22 * width))
    return frame[rows, round(x - 0.2 * width) : round(x + 0.2 * width)].astype(float)


def test_upper_teeth_stay_where_they_are(source: SinglePicture, portrait: Portrait) -> None:
    face = SpeakingFace(source, portrait)
    narrow, wide = (mouth_of(face.paint(opened(opening)), portrait)[2:7] for opening in (0.25, 0.4))
    assert np.abs(narrow - wide).mean() < 12.0
    assert narrow.max() > 100.0


def with_inside(source: SinglePicture, portrait: Portrait, *shades: float) -> tuple[SpeakingFace, Portrait, slice]:
    """A face whose picture shows an open mouth, with stripes in shades of teeth in it, from the upper lip downwards;
    its portrait; and the rows of the opening, and some below it.
    """
    image = np.asarray(SpeakingFace(source, portrait).paint(opened()), np.uint8).copy()
    seen = find_portrait(image, CLOSED, "bundled", "cpu")
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(seen.points[MESH468.lips_inner]).astype(np.int32)], [1])
    rows = np.flatnonzero(inside.any(axis=1))
    for shade, part in zip(shades, np.array_split(rows, len(shades)), strict=True):
        image[part] = np.where(inside[part, :, None] > 0, shade * np.array([205, 200, 190]), image[part])
    face = SpeakingFace(replace(source, picture=image, image=image), seen)
    assert face.mouth_inside == "picture"
    return face, seen, slice(rows[0], rows[-1] + 20)


def test_lower_teeth_of_the_picture_follow_the_jaw(source: SinglePicture, portrait: Portrait) -> None:
    face, seen, rows = with_inside(source, portrait, 0.15, 1.0)
    columns = [face.paint(opened(opening))[rows, round(seen.points[13, 0]), 2] for opening in (0.35, 0.45)]
    narrow, wide = (int(np.flatnonzero(column > 150)[0]) for column in columns)
    assert wide - narrow >= 3


@pytest.mark.parametrize("shades", [(1.0, 1.0, 0.75, 0.8), (0.3, 1.0, 1.0, 1.0, 1.0)])
def test_neither_edges_of_lips_nor_their_shadow_are_gaps_between_teeth(
    source: SinglePicture, portrait: Portrait, shades: tuple[float, ...]
) -> None:
    face, seen, rows = with_inside(source, portrait, *shades)
    narrow, wide = (face.paint(opened(opening))[rows, round(seen.points[13, 0]), 2] for opening in (0.35, 0.6))
    assert np.flatnonzero(narrow > 120)[-1] == np.flatnonzero(wide > 120)[-1]


def test_narrow_slits_are_dark_red_rather_than_black(source: SinglePicture, portrait: Portrait) -> None:
    inside = SpeakingFace(source, portrait).painter.inside
    narrow = np.full((1, 1), -0.01, np.float32)
    red, green, _ = inside.paint(np.zeros((1, 1, 2), np.float32), narrow, narrow, np.zeros(2), 0)[0, 0]
    skin = measure_light(source.image, portrait).skin
    assert 0.3 * skin[0] < red < 0.7 * skin[0] and red > 1.5 * green


def test_a_grey_picture_has_a_grey_mouth_and_a_tinted_one_a_tinted(source: SinglePicture, portrait: Portrait) -> None:
    grey = np.repeat(cv2.cvtColor(source.image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    warm = np.clip(source.image * np.array([1.0, 0.8, 0.5]), 0, 255).astype(np.uint8)
    tones = {}
    for name, image in (("grey", grey), ("warm", warm), ("plain", source.image)):
        tinted = replace(source, picture=image, image=image)
        mouth = mouth_of(SpeakingFace(tinted, portrait).paint(opened()), portrait)
        tones[name] = np.quantile(mouth, 0.9, axis=(0, 1))
    assert np.ptp(tones["grey"]) < 3.0
    assert tones["warm"][2] / tones["warm"][0] < 0.75 * tones["plain"][2] / tones["plain"][0]


def test_the_mouth_is_as_blurred_as_the_picture(source: SinglePicture, portrait: Portrait) -> None:
    sharp = measure_light(source.image, portrait).blur
    for sigma in (1.5, 2.5):
        image = np.asarray(cv2.GaussianBlur(source.image, (0, 0), sigma), np.uint8)
        assert measure_light(image, portrait).blur == pytest.approx(np.hypot(sigma, sharp), rel=0.15)
    grey = np.full_like(source.image, 128)
    assert measure_light(grey, portrait).blur == 0.0


def test_a_dark_picture_has_a_dark_mouth(source: SinglePicture, portrait: Portrait) -> None:
    dark = (source.image * 0.4).astype(np.uint8)
    bright, dim = (measure_light(image, portrait) for image in (source.image, dark))
    assert dim.white == pytest.approx(0.4 * bright.white, abs=0.05)


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (0.4, 0.4, 0.4), (0.9, 1.0, 1.1), (1.1, 1.0, 0.9)])
def test_something_before_the_mouth_is_noticed_whatever_the_light(
    source: SinglePicture, portrait: Portrait, tint: tuple[float, float, float]
) -> None:
    image = source.image.copy()
    assert not is_covered(np.clip(image * tint, 0, 255).astype(np.uint8), portrait)
    x, y = portrait.points[14].astype(int)
    cv2.circle(image, (int(x), int(y)), round(0.25 * portrait.width), (70, 70, 75), -1)  # a microphone
    assert is_covered(np.clip(image * tint, 0, 255).astype(np.uint8), portrait)
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert not is_covered(grey, portrait)


def test_mouths_of_real_people_are_free(shared_data: Path) -> None:
    for path in sorted((shared_data / "grid_people").glob("*.mpg")):
        image = read_single_picture(Media(str(path))).image
        assert not is_covered(image, find_portrait(image, Media(str(path)), "bundled", "cpu")), path.stem


def test_blinks_are_seldom_short_and_repeatable() -> None:
    shares = blink_shares(TIMES, 3)
    assert np.array_equal(shares, blink_shares(TIMES, 3))
    assert not np.array_equal(shares, blink_shares(TIMES, 4))
    assert shares.min() == 0.0 and shares.max() > 0.9
    count = int((np.diff((shares > 0.5).astype(int)) == 1).sum())
    assert 4 <= count <= 20 and (shares > 0.0).mean() < 0.25


def test_shut_eyes_show_skin_and_nothing_else_moves(source: SinglePicture, portrait: Portrait) -> None:
    lids = Eyelids(portrait, SQUARE, *source.image.shape[1::-1])
    shut = lids.close(source.picture, 1.0)
    assert lids.close(source.picture, 0.0) is source.picture
    assert shut.dtype == np.uint8
    for iris in ((159, 145), (386, 374)):
        x, y = portrait.points[list(iris)].mean(axis=0).astype(int)
        assert shut[y, x].mean() > source.picture[y, x].mean() + 20
    changed = (shut != source.picture).any(axis=2)
    for box in lids.boxes:
        changed[box.top : box.top + box.height, box.left : box.left + box.width] = False
    assert not changed.any()


def test_the_head_drifts_slightly_slowly_and_repeatably(source: SinglePicture, portrait: Portrait) -> None:
    angles = drift_angles(TIMES, 3)
    assert np.array_equal(angles, drift_angles(TIMES, 3)) and not angles[0].any()
    assert 0.1 < np.degrees(np.abs(angles).max()) <= 1.0
    assert np.degrees(np.abs(np.diff(angles, axis=0)).max()) < 0.1
    drift = HeadDrift(portrait, SQUARE, *source.image.shape[1::-1])
    turned = drift.turn(source.picture, np.radians([0.9, 0.0, 0.0]))
    seen = find_portrait(np.asarray(turned, np.uint8), CLOSED, "bundled", "cpu")
    assert 0.5 < portrait.points[4, 0] - seen.points[4, 0] < 6.0  # the nose, to the left
    assert np.array_equal(turned[0], source.picture[0]) and np.array_equal(turned[:, 0], source.picture[:, 0])
    assert drift.turn(source.picture, np.zeros(3)) is source.picture


def test_the_mouth_closes_below_a_level_and_only_as_far_as_asked() -> None:
    heard = np.concatenate([0.1 * np.sin(np.arange(16_000)), np.zeros(16_000)]).astype(np.float32)
    times = np.arange(0.0, 1.6, 0.04)
    shares = open_shares(heard, times, -23.0, -75.0, (), (1.0,))
    assert shares[times < 0.7].min() == 1.0 and shares[times > 1.2].max() == 0.0
    assert open_shares(heard, times, -23.0, -75.0, (), (0.5,))[-1] == pytest.approx(0.5)
    assert open_shares(heard, times, -23.0, -75.0, (20.0,), (1.0,)).max() == 0.0


def test_the_mouth_closes_where_only_the_room_is_heard() -> None:
    tone = 0.1 * np.sin(np.arange(32_000)) * np.repeat([1.0, 0.02], 16_000)
    times = np.arange(0.0, 1.6, 0.04)
    assert open_shares(tone.astype(np.float32), times, -23.0, -50.0, (), (1.0,))[times > 1.25].max() == 0.0
    assert open_shares(tone.astype(np.float32), times, -23.0, -75.0, (), (1.0,)).min() == 1.0


def test_blinks_and_drift_are_part_of_the_stated_box(tmp_path: Path) -> None:
    job = StillJob(CLOSED, Media(str(LINE), 1.0, 1.4), str(tmp_path / "a.mp4"), device="cpu", consent=True)
    plain = s2l_core.still(job)["changed_box"]
    moving = replace(job, blinks=True, head_motion=True, output_path=str(tmp_path / "b"), encoding=Encoding("png"))
    left, top, right, bottom = s2l_core.still(moving)["changed_box"]
    assert top < plain[1] and left < plain[0]
    first, last = (cv2.imread(str(tmp_path / "b" / f"{number:06}.png")) for number in (1, 10))
    assert first is not None and last is not None
    outside = (first != last).any(axis=2)
    outside[top:bottom, left:right] = False
    assert not outside.any()


def test_a_trained_speaker_moves_a_picture(hasty_speaker: str, tmp_path: Path) -> None:
    job = StillJob(
        CLOSED, Media(str(LINE), 1.0, 2.0), str(tmp_path / "a.mp4"), speaker_path=hasty_speaker, consent=True
    )
    result = s2l_core.still(replace(job, device="cpu"))
    assert result["mouth_inside"] == "speaker" and result["frames_written"] == 25


def test_a_speaker_without_exemplars_cannot_move_a_picture(embedded_head: EmbeddedHead, tmp_path: Path) -> None:
    job = StillJob(CLOSED, Media(str(LINE), 1.0, 2.0), str(tmp_path / "a.mp4"), consent=True, device="cpu")
    with pytest.raises(SpeakerFileOlder, match="does not say how the lips move"):
        s2l_core.still(replace(job, speaker_path=embedded_head.speaker_path))

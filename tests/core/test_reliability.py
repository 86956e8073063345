"""Frames without a reliable mouth keep their pixels."""

from __future__ import annotations

import wave
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2l_core.canonical.regions import mouth_boxes, plan_regions
from s2l_core.errors import NoFace, SpeakerFileBroken
from s2l_core.events import Report
from s2l_core.footage import Footage, prepare
from s2l_core.jobs import DubJob, Media
from s2l_core.media.audio import read_speech
from s2l_core.media.video import read_frames
from s2l_core.media.writing import VideoWriter
from s2l_core.model.speaker import SpeakerModel
from s2l_core.mouth.occlusion import MouthFitter
from s2l_core.mouth.pasting import LipPaster
from s2l_core.mouth.reliability import REASONS, find_reasons, judge_frames, replacement_weights
from s2l_core.speech.sources import LOG_MEL, open_source
from s2l_core.training.clip import observe
from s2l_core.training.initialisation import find_principal_lips
from s2l_core.verbs.dub import dub

from .conftest import EmbeddedHead

Image = NDArray[np.uint8]
NO_FACE, TURNED, OCCLUDED, OTHER_LIGHT = (
    REASONS.index(r) for r in ("no face", "turned away", "occluded", "other light")
)


def reasons(*runs: tuple[int, int]) -> NDArray[np.int64]:
    return np.concatenate([np.full(count, reason) for count, reason in runs])


def test_frames_before_and_after_are_faded() -> None:
    judged = replacement_weights(reasons((10, 0), (3, OCCLUDED), (10, 0)), Fraction(25))
    assert judged.untouched == [{"first": 10, "last": 12, "reason": "occluded"}]
    assert not judged.weights[10:13].any()
    assert (np.diff(judged.weights[5:10]) < 0).all() and (np.diff(judged.weights[12:18]) > 0).all()
    assert judged.weights[[5, 17]].tolist() == [1.0, 1.0]
    assert 0 < judged.weights[9] < 0.2


def test_a_mouth_that_is_seen_for_a_moment_is_not_replaced() -> None:
    judged = replacement_weights(reasons((20, 0), (5, NO_FACE), (3, 0), (5, TURNED), (20, 0)), Fraction(25))
    assert [(run["first"], run["last"], run["reason"]) for run in judged.untouched] == [
        (20, 27, "no face"),
        (28, 32, "turned away"),
    ]
    assert not judged.weights[20:33].any()


@pytest.mark.parametrize("reason", range(len(REASONS)))
def test_a_clip_is_reliable_throughout_or_not_at_all(reason: int) -> None:
    judged = replacement_weights(reasons((30, reason)), Fraction(25))
    assert judged.weights.tolist() == [float(reason == 0)] * 30
    assert judged.untouched == ([{"first": 0, "last": 29, "reason": REASONS[reason]}] if reason else [])


def test_at_higher_rates_more_frames_are_faded() -> None:
    for rate, expected in ((25, 4), (50, 8), (100, 16)):
        weights = replacement_weights(reasons((1, NO_FACE), (100, 0)), Fraction(rate)).weights
        assert ((weights > 0) & (weights < 1)).sum() == expected


def test_something_in_front_of_the_mouth_is_followed_to_its_edges() -> None:
    found, turned = np.ones(40, bool), np.zeros(40, bool)
    misfits = np.full(40, 0.012)
    misfits[10:20] = [0.028, 0.03, 0.05, 0.09, 0.09, 0.09, 0.09, 0.05, 0.03, 0.02]
    misfits[30] = 0.09  # one frame alone is noise
    found[5], turned[35], misfits[[5, 35]] = False, True, np.nan
    assert (
        find_reasons(found, turned, misfits, np.zeros(40)).tolist()
        == reasons((5, 0), (1, NO_FACE), (4, 0), (9, OCCLUDED), (16, 0), (1, TURNED), (4, 0)).tolist()
    )


def test_a_mouth_that_is_hidden_for_most_of_the_clip_is_noticed() -> None:
    misfits = np.full(40, 0.2)
    misfits[:10] = 0.02
    hidden = find_reasons(np.ones(40, bool), np.zeros(40, bool), misfits, np.zeros(40)) == OCCLUDED
    assert hidden.tolist() == [False] * 10 + [True] * 30


def test_light_that_the_learnt_colours_cannot_be_brought_into_is_a_reason() -> None:
    misfits, errors = np.full(40, 0.2), np.full(40, 0.05)
    errors[10:] = 0.3
    found, turned = np.ones(40, bool), np.zeros(40, bool)
    found[30] = False
    expected = reasons((10, OCCLUDED), (20, OTHER_LIGHT), (1, NO_FACE), (9, OTHER_LIGHT))
    assert find_reasons(found, turned, misfits, errors).tolist() == expected.tolist()


def test_a_hand_over_the_mouth_is_no_other_light() -> None:
    misfits, errors = np.full(40, 0.012), np.full(40, 0.05)
    misfits[10:20], errors[10:20] = 0.2, 0.5
    hidden = find_reasons(np.ones(40, bool), np.zeros(40, bool), misfits, errors)
    assert hidden.tolist() == reasons((10, 0), (10, OCCLUDED), (20, 0)).tolist()


@pytest.fixture(scope="module")
def footage(embedded_head: EmbeddedHead) -> Footage:
    return prepare(embedded_head.footage)


@pytest.fixture(scope="module")
def speaker(embedded_head: EmbeddedHead, footage: Footage) -> SpeakerModel:
    """One who knows the principal components of the clip's lips."""
    speaker = SpeakerModel.load(embedded_head.speaker_path)
    speech, source = read_speech(embedded_head.footage), open_source(LOG_MEL, "cpu")
    clip = observe(speaker.face, footage, speech, source, footage.track.found, torch.device("cpu"), Report())
    lips = find_principal_lips(clip)
    speaker.lip.start(lips.mean, lips.axes)
    return speaker


def ellipse(image: Image, box: NDArray[np.float64]) -> Image:
    """Skin from above the mouth, laid over it."""
    left, top, right, bottom = box
    skin = np.median(image[int(top) - 8 : int(top), int(left) : int(right)], axis=(0, 1))
    centre = int((left + right) / 2), int((top + bottom) / 2)
    axes = int((right - left) / 2), int((bottom - top) / 2)
    blank: NDArray[np.float32] = np.zeros(image.shape[:2], np.float32)
    mask = np.asarray(cv2.ellipse(blank, centre, axes, 0.0, 0.0, 360.0, (1.0,), -1))[..., None]
    light = np.linspace(0.85, 1.1, image.shape[1])[None, :, None]
    return np.clip(image * (1 - mask) + skin * light * mask, 0, 255).astype(np.uint8)


def bar(image: Image, box: NDArray[np.float64]) -> Image:
    """A dark thing from below."""
    left, top, right, bottom = box.astype(int)
    result = image.copy()
    result[(top + bottom) // 2 : bottom + 20, (2 * left + right) // 3 : (left + 2 * right) // 3] = 30
    return result


@pytest.mark.parametrize("cover", [ellipse, bar])
def test_what_is_in_front_of_a_mouth_stands_out(
    speaker: SpeakerModel, footage: Footage, cover: Callable[[Image, NDArray[np.float64]], Image]
) -> None:
    boxes = mouth_boxes(speaker.face, footage.track)
    chosen = np.arange(0, len(footage.times), 10)
    images = [frame.image for frame in footage.frames()]
    plain = misfits(speaker, footage, [images[index] for index in chosen], chosen)
    covered = misfits(speaker, footage, [cover(images[index], boxes[index]) for index in chosen], chosen)
    assert covered.min() > 3.2 * max(float(np.median(plain)), 0.012)


def misfits(
    speaker: SpeakerModel, footage: Footage, images: list[Image], indices: NDArray[np.int64]
) -> NDArray[np.float64]:
    fitter = MouthFitter(speaker, footage)
    return fitter.fit(fitter.sample_cells(images, indices), indices).misfits


@pytest.mark.parametrize(
    "look", [lambda image: 0.8 * image + 10, lambda image: 0.3 * image, lambda image: image[..., 1:2]]
)
def test_another_light_is_nothing_in_front_of_a_mouth(
    speaker: SpeakerModel, footage: Footage, look: Callable[[Image], NDArray[np.float64]]
) -> None:
    fitter = MouthFitter(speaker, footage)
    images = [(np.ones(3) * look(frame.image)).astype(np.uint8) for frame in footage.frames()]
    indices = np.arange(len(images))
    fitted = fitter.fit(fitter.sample_cells(images, indices), indices)
    nothing = np.zeros(len(images), bool)
    assert not find_reasons(~nothing, nothing, fitted.misfits, fitted.light_errors).any()


def test_a_mouth_that_is_covered_for_two_seconds_in_another_light_stands_out(
    speaker: SpeakerModel, footage: Footage
) -> None:
    fitter, boxes = MouthFitter(speaker, footage), mouth_boxes(speaker.face, footage.track)
    chosen = np.arange(100)
    seen = []
    for index, frame in zip(chosen, footage.frames(), strict=False):
        image = (frame.image * [0.7, 0.6, 0.5]).astype(np.uint8)
        image = bar(image, boxes[index]) if 30 <= index < 80 else image
        seen.append(fitter.sample_cells([image], np.array([index])))
    fitted = fitter.fit(torch.cat(seen), chosen)
    hidden = find_reasons(np.ones(100, bool), np.zeros(100, bool), fitted.misfits, fitted.light_errors)
    assert hidden.tolist() == reasons((30, 0), (50, OCCLUDED), (20, 0)).tolist()


def test_the_clip_itself_is_reliable(speaker: SpeakerModel, footage: Footage) -> None:
    indices = np.arange(len(footage.times))
    judged, light = judge_frames(speaker, footage, indices, footage.info.rate, Report())
    assert judged.untouched == [] and light.is_same
    assert judged.weights.tolist() == [1.0] * len(indices)


def test_weights_lead_from_the_frame_to_the_new_lips(speaker: SpeakerModel, footage: Footage) -> None:
    paster = LipPaster(speaker.face, footage)
    images = [next(footage.frames()).image] * 3
    lips = torch.rand(1, 3, *speaker.face.lips.depth.shape).expand(3, -1, -1, -1)
    indices = np.zeros(3, np.int64)
    whole = paster.paste(images, indices, lips)[0]
    kept, half, replaced = paster.paste(images, indices, lips, weights=np.array([0.0, 0.5, 1.0], np.float32))
    assert np.array_equal(kept, images[0])
    assert np.array_equal(replaced, whole) and not np.array_equal(replaced, images[0])
    assert np.abs(half - (images[0] / 2 + whole / 2)).max() <= 1.0


def test_lips_that_are_not_finite_are_refused(speaker: SpeakerModel, footage: Footage) -> None:
    paster = LipPaster(speaker.face, footage)
    images, indices = [next(footage.frames()).image], np.zeros(1, np.int64)
    lips = torch.full((1, 3, *speaker.face.lips.depth.shape), torch.nan)
    with pytest.raises(SpeakerFileBroken, match="infinite or undefined"):
        paster.paste(images, indices, lips)
    kept = paster.paste(images, indices, lips, weights=np.zeros(1, np.float32))
    assert np.array_equal(kept[0], images[0])


def test_lips_larger_than_the_frames_are_refused(speaker: SpeakerModel, footage: Footage) -> None:
    track = footage.track
    with pytest.raises(SpeakerFileBroken, match="do not fit the head"):
        plan_regions(speaker.face, replace(track, intrinsics=replace(track.intrinsics, fx=1e6)))


@pytest.mark.parametrize(
    ("reasons", "summary"),
    [
        ([0] * 50, "Dubbed 50 frames."),
        ([0] * 30 + [2] * 20, "Dubbed 30 of 50 frames: 20 turned away."),
        ([3] * 50, "Dubbed 0 of 50 frames: 50 occluded."),
        ([3] * 8 + [0] * 20 + [1] * 12 + [3] * 10, "Dubbed 20 of 50 frames: 12 without a face, 18 occluded."),
        ([2] * 20 + [0] * 5 + [2] * 25, "Dubbed 0 of 50 frames: 50 turned away."),
    ],
)
def test_a_summary_says_how_many_frames_were_dubbed(reasons: list[int], summary: str) -> None:
    judged = replacement_weights(np.array(reasons), Fraction(25))
    assert judged.summary == summary
    assert judged.dubbed == 50 - sum(run["last"] - run["first"] + 1 for run in judged.untouched)


def test_footage_without_any_face_is_passed_through(embedded_head: EmbeddedHead, tmp_path: Path) -> None:
    footage, voice, result = (str(tmp_path / name) for name in ("grey.mp4", "voice.wav", "dubbed.mp4"))
    with VideoWriter(footage, 128, 96, Fraction(25)) as writer:
        for index in range(20):
            writer.write(np.full((96, 128, 3), 5 * index, np.uint8))
    with wave.open(voice, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((3000 * np.random.default_rng(0).normal(size=16_000 * 4 // 5)).astype("<i2").tobytes())
    with pytest.raises(NoFace):
        prepare(Media(footage))
    facts = dub(DubJob(embedded_head.speaker_path, Media(footage), Media(voice), result))
    assert facts["untouched"] == [{"first": 0, "last": 19, "reason": "no face"}]
    assert facts["frames_written"] == facts["frames_without_face"] == 20
    assert (facts["frames_dubbed"], facts["summary"]) == (0, "Dubbed 0 of 20 frames: 20 without a face.")
    for index, frame in enumerate(read_frames(Media(result))):
        assert np.abs(frame.image.astype(int) - 5 * index).max() <= 4

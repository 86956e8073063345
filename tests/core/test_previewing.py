"""One frame of a dub is what the dub will show there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import s2l_core
from s2l_core.errors import BadJob
from s2l_core.footage import is_prepared
from s2l_core.jobs import DubJob, Encoding, Media, PreviewJob
from s2l_core.media import held_frames
from s2l_core.media.audio import SPEECH_RATE
from s2l_core.media.mix import Context, read_voice
from s2l_core.media.video import Frame, read_frames
from s2l_core.model.speaker import SpeakerModel
from s2l_core.mouth.spoken_line import SpokenLine
from s2l_core.speech.encoder import codes_at

from .conftest import CLIP

LINE = CLIP.with_name("line.flac")


@pytest.fixture
def dub(hasty_speaker: str, tmp_path: Path) -> DubJob:
    """A second of speech over footage that plays backwards, as pictures."""
    moments = tuple((50 - frame) / 25 for frame in range(25))
    voice = Media(str(LINE), 1.0, 2.0)
    return DubJob(
        hasty_speaker,
        Media(str(CLIP), 0.0, 12.0),
        voice,
        str(tmp_path / "dub"),
        rate="25",
        moments=moments,
        encoding=Encoding("png"),
        device="cpu",
    )


def test_a_frame_of_known_footage_is_the_one_that_the_dub_writes(dub: DubJob, tmp_path: Path) -> None:
    path = tmp_path / "preview.png"
    result = s2l_core.preview(PreviewJob(dub, 12, str(path)))
    assert result["output_path"] == str(path) and result["reason"] == ""
    assert not Path(dub.output_path).exists()
    s2l_core.dub(dub)
    shown, written = cv2.imread(str(path)), cv2.imread(f"{dub.output_path}/000013.png")
    assert shown is not None and written is not None
    assert np.abs(shown.astype(int) - written).max() <= 1  # it is rendered alone, not among others


def test_of_unknown_footage_only_the_part_around_the_frame_is_looked_at(dub: DubJob, tmp_path: Path) -> None:
    known = tmp_path / "known.png"
    s2l_core.preview(PreviewJob(dub, 12, str(known)))
    unknown = replace(dub, footage=replace(dub.footage, end=7.5))
    path = tmp_path / "preview.png"
    s2l_core.preview(PreviewJob(unknown, 12, str(path)))
    assert not is_prepared(unknown.footage)
    shown, exact = cv2.imread(str(path)), cv2.imread(str(known))
    assert shown is not None and exact is not None
    assert cv2.PSNR(shown, exact) > 40.0


def test_the_part_around_the_frame_is_decoded_once(
    dub: DubJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Media] = []

    def read(media: Media) -> Iterator[Frame]:
        decoded.append(media)
        return read_frames(media)

    monkeypatch.setattr(held_frames, "read_frames", read)
    unknown = replace(dub, footage=replace(dub.footage, end=8.5))
    s2l_core.preview(PreviewJob(unknown, 12, str(tmp_path / "preview.png")))
    (span,) = decoded
    assert span.end is not None and span.end - span.start < 1.0


def test_of_a_long_line_only_the_seconds_around_the_frame_are_heard(dub: DubJob) -> None:
    speaker = SpeakerModel.load(dub.speaker_path)
    line = np.concatenate(list(itertools.repeat(read_voice(Media(str(LINE))), 8)))
    count = 25 * len(line) // SPEECH_RATE
    whole = SpokenLine(dub, speaker, line, Context.silent(line), Fraction(25), count)
    for number in (2, count // 2, count - 1):
        numbers = np.array([number])
        part = SpokenLine(dub, speaker, line, Context.silent(line), Fraction(25), count, only=number)
        assert len(part.codes) < min(len(whole.codes), 25 * 11)
        asked, expected = (codes_at(each.codes, each.times(numbers)) for each in (part, whole))
        assert torch.allclose(asked, expected, atol=1e-4)
        assert torch.allclose(part.paint(asked, numbers), whole.paint(asked, numbers), atol=1e-4)


def test_a_line_asks_for_the_same_whatever_the_number_of_threads(dub: DubJob) -> None:
    speaker, line = SpeakerModel.load(dub.speaker_path), read_voice(Media(str(LINE)))
    asked, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            asked.append(SpokenLine(dub, speaker, line, Context.silent(line), Fraction(25), 300).codes)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(asked[0], asked[1]) and torch.equal(asked[0], asked[2])


def test_of_a_mouth_overlay_the_whole_picture_is_shown(dub: DubJob, tmp_path: Path) -> None:
    path = tmp_path / "preview.png"
    s2l_core.preview(PreviewJob(replace(dub, encoding=Encoding("png", layer="mouth")), 0, str(path)))
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None and picture.shape[2] == 3 and picture[0].mean() > 10


def test_a_frame_that_the_dub_does_not_have_is_refused(dub: DubJob, tmp_path: Path) -> None:
    with pytest.raises(BadJob, match="no frame 25 to preview: the dub has 25"):
        s2l_core.preview(PreviewJob(dub, 25, str(tmp_path / "preview.png")))

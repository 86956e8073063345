"""A span of a speaker's footage is tracked, dubbed and measured like the whole."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import s2l_core
from s2l_core.canonical.regions import mouth_boxes
from s2l_core.canonical.view import CanonicalFace, choose_canonical
from s2l_core.errors import SpeakerFileBroken
from s2l_core.evaluation.drivers import dub_driver
from s2l_core.evaluation.held_out import open_span
from s2l_core.events import Report
from s2l_core.footage import Footage, prepare
from s2l_core.jobs import DubJob, Encoding, Media, TrainJob, from_document
from s2l_core.media.video import read_frames
from s2l_core.model.speaker import SpeakerModel
from s2l_core.mouth.rendering import BATCH

DEMO = Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4"
SECONDS = 20.0


@cache
def whole(path: str) -> tuple[Footage, CanonicalFace]:
    footage = prepare(Media(path, 0.0, SECONDS))
    return footage, choose_canonical(footage, footage.track.found)


def distances(footage: Footage, face: CanonicalFace, span: Footage) -> np.ndarray:
    """How far (n,) the mouth boxes of a span lie from those of the whole footage, in pixels."""
    first = int(np.abs(footage.times - span.times[0]).argmin())
    boxes = mouth_boxes(face, footage.track)[first : first + len(span.times)]
    return np.abs(mouth_boxes(face, span.track) - boxes).max(axis=1)


@pytest.mark.parametrize(("start", "seconds"), [(0.0, 1.0), (7.32, 1.0), (12.0, 2.0), (18.0, 2.0), (5.0, 5.0)])
def test_mouths_lie_in_a_span_where_they_lie_in_the_whole_clip(start: float, seconds: float) -> None:
    footage, face = whole(str(DEMO))
    span = prepare(Media(str(DEMO), start, start + seconds), known=footage.known_head)
    assert len(span.times) == round(25 * seconds)
    assert np.median(distances(footage, face, span)) < 0.15


def test_a_camera_of_pictures_of_another_size_is_refused() -> None:
    known = whole(str(DEMO))[0].known_head
    with pytest.raises(SpeakerFileBroken, match="picture size"):
        prepare(Media(str(DEMO), 0.0, 1.0), known=replace(known, intrinsics=replace(known.intrinsics, height=30)))


def test_mouths_of_a_real_head_that_hardly_turns_do_so_too(shared_data: Path) -> None:
    path = str(shared_data / "speakers" / "cnn2_71s.mp4")
    footage, face = whole(path)
    for start, seconds in ((8.0, 1.0), (14.0, 2.0)):
        span = prepare(Media(path, start, start + seconds), known=footage.known_head)
        assert np.median(distances(footage, face, span)) < 0.15


def test_a_head_that_is_known_keeps_its_shape_in_another_file(tmp_path: Path) -> None:
    footage, face = whole(str(DEMO))
    known = replace(footage.known_head, file="another")
    span = prepare(Media(str(DEMO), 10.0, 12.0), known=known)
    assert span.track.shape.tolist() == footage.track.shape.tolist()
    assert span.track.intrinsics.fx == pytest.approx(footage.track.intrinsics.fx, rel=0.15)
    assert np.median(distances(footage, face, span)) < 0.5


def test_what_is_measured_is_what_dub_writes(hasty_speaker: str, tmp_path: Path) -> None:
    speaker = SpeakerModel.load(hasty_speaker)
    job = from_document(speaker.origin["job"])
    assert isinstance(job, TrainJob)
    start, end = speaker.origin["split"]["held_out"]
    footage, speech, context = open_span(job, speaker, (start, end), Report())
    driver = dub_driver(speaker, footage, speech, Report(), context)

    span, output = Media(str(DEMO), start, end), str(tmp_path / "dub.mkv")
    result = s2l_core.dub(DubJob(hasty_speaker, span, span, output, encoding=Encoding("ffv1")))
    assert result["frames_written"] == len(footage.times)
    sources, written = ([frame.image for frame in frames] for frames in (footage.frames(), read_frames(Media(output))))
    for first in range(0, len(sources), BATCH):
        batch = slice(first, first + BATCH)
        measured = driver.render(sources[batch], np.arange(len(sources))[batch])
        assert np.array_equal(measured, written[batch])
        assert not np.array_equal(measured, sources[batch])

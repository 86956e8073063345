"""Single frames in any order are the frames of the video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from s2l_core.errors import FileMissing, NotAVideo
from s2l_core.events import Report
from s2l_core.footage import Footage, prepare
from s2l_core.jobs import Media
from s2l_core.media import held_frames
from s2l_core.media.frames import FrameReader
from s2l_core.media.video import Frame, read_frames

from .conftest import EmbeddedHead

CLIP = Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4"


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return list(read_frames(Media(str(CLIP), 1.0, 6.0)))


@pytest.mark.parametrize(
    "order",
    [[0, 1, 2, 3], [100, 101, 40, 41, 41, 120], [3, 60, 0, 124], [80, 79, 78]],
    ids=["forth", "jumps", "far", "back"],
)
def test_a_frame_is_the_same_whichever_was_read_before(frames: list[Frame], order: list[int]) -> None:
    reader = FrameReader(Media(str(CLIP)), np.array([frame.time for frame in frames]))
    for index in order:
        np.testing.assert_array_equal(reader.read(index), frames[index].image)


def test_a_frame_that_is_not_there_any_more_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        FrameReader(Media(str(tmp_path / "gone.mp4")), np.array([0.0])).read(0)
    with pytest.raises(NotAVideo, match="no picture at 500 s"):
        FrameReader(Media(str(CLIP)), np.array([500.0])).read(0)


@pytest.mark.parametrize("done", [0, 1, 2])
def test_frames_far_apart_are_sought_and_the_same(
    embedded_head: EmbeddedHead, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    footage, wanted = prepare(embedded_head.footage), np.array([2, 30, 31, 55])
    decoded: list[float] = []
    expected = [frame.image for frame in footage.frames()]
    whole = Footage.frames

    def counted(self: Footage, first: int = 0) -> Iterator[Frame]:
        for frame in whole(self, first):
            decoded.append(frame.time)
            yield frame

    monkeypatch.setattr("s2l_core.footage._DECODED_GAP", 20)
    monkeypatch.setattr(Footage, "frames", counted)
    found = list(footage.pictures(wanted, "Read", Report(), done))
    assert [index for index, _ in found] == wanted[done:].tolist()
    assert len(decoded) == 4 - done
    for index, picture in found:
        np.testing.assert_array_equal(picture, expected[index])


@pytest.mark.parametrize("start, end", [(0, 1.4), (7, 1.4), (7, 1.34)], ids=["all", "later", "shorter"])
def test_parts_of_a_span_that_is_held_are_not_decoded_again(
    frames: list[Frame], monkeypatch: pytest.MonkeyPatch, start: int, end: float
) -> None:
    part = Media(str(CLIP), frames[start].time, end)
    expected = list(read_frames(part))
    with held_frames.held_frames(Media(str(CLIP), 1.0, 1.4)):
        monkeypatch.setattr(held_frames, "read_frames", None)
        shown = list(held_frames.frames_of(part))
    assert [frame.time for frame in shown] == [frame.time for frame in expected]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(shown, expected, strict=True))


@pytest.mark.parametrize(
    "media",
    [Media(str(CLIP), 1.0, 1.5), Media(str(CLIP), 1.01, 1.4), Media(str(CLIP))],
    ids=["longer", "between", "all"],
)
def test_other_spans_are_decoded(media: Media) -> None:
    with held_frames.held_frames(Media(str(CLIP), 1.0, 1.4)):
        shown = next(held_frames.frames_of(media))
    assert np.array_equal(shown.image, next(read_frames(media)).image)

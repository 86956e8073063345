"""Ordinary footage stays in YUV: only a rectangle of it is converted, and what is not changed is written as decoded."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from s2l_core.geometry.camera import Rectangle
from s2l_core.jobs import Encoding, Media
from s2l_core.media.planes import Part, Planes, evenly_around, planes_of
from s2l_core.media.raster import Raster, to_image
from s2l_core.media.video import Frame, probe, read_frames
from s2l_core.media.writing import VideoWriter

from .test_media_video import picture, write_timed, write_video

CLIP = Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4"
LOSSLESS = Encoding(crf=0)
ODD = Rectangle(101, 57, 83, 41)
"""A rectangle whose position and size are odd."""


def frames_of(path: Path, count: int) -> list[Frame]:
    return list(itertools.islice(read_frames(Media(str(path))), count))


def planes(frame: Frame) -> Planes:
    assert frame.planes is not None
    return frame.planes


@pytest.mark.parametrize("box", [ODD, Rectangle(0, 0, 40, 30), Rectangle(300, 340, 84, 44), Rectangle(0, 0, 384, 384)])
def test_a_rectangle_has_the_colours_of_the_whole_picture(box: Rectangle) -> None:
    frame, same = (frames_of(CLIP, 1)[0] for _ in range(2))
    expected = same.image[box.top : box.top + box.height, box.left : box.left + box.width]
    assert np.array_equal(frame.part(box).pixels, expected)


def test_a_whole_picture_has_the_colours_that_a_conversion_of_its_own_gives() -> None:
    for frame in frames_of(CLIP, 3):
        assert np.array_equal(frame.image, to_image(planes(frame).frame, Fraction(1)))


def test_only_changed_pixels_get_other_code_values() -> None:
    before = planes(frames_of(CLIP, 1)[0])
    part = before.part(evenly_around(ODD, 384, 384))
    pixels, changed = part.pixels.copy(), np.zeros(part.pixels.shape[:2], dtype=bool)
    inside = np.s_[9:40, 9:60]
    pixels[inside], changed[inside] = 255 - pixels[inside], True
    after = before.with_part(Part(pixels, part.box, part.size), changed)

    whole = np.zeros((384, 384), dtype=bool)
    whole[part.box.top : part.box.top + part.box.height, part.box.left : part.box.left + part.box.width] = changed
    coarse = whole.reshape(192, 2, 192, 2).all(axis=(1, 3))
    for old, new, mask in zip(planes_of(before.frame), planes_of(after.frame), (whole, coarse, coarse), strict=True):
        assert np.array_equal(new[~mask], old[~mask])
        assert (new[mask] != old[mask]).mean() > 0.5


def test_changed_pixels_get_the_code_values_of_a_whole_converted_picture(tmp_path: Path) -> None:
    frame = frames_of(CLIP, 1)[0]
    part = planes(frame).part(evenly_around(ODD, 384, 384))
    inverted = Part(~part.pixels, part.box, part.size)
    everywhere = np.ones(part.pixels.shape[:2], dtype=bool)
    colour = probe(str(CLIP)).colour
    for name, new in (("planes", planes(frame).with_part(inverted, everywhere)), ("rgb", frame.with_part(inverted))):
        path = str(tmp_path / f"{name}.mp4")
        with VideoWriter(path, 384, 384, Fraction(25), colour, encoding=LOSSLESS) as writer:
            writer.write(new)
    one, other = (planes_of(planes(frames_of(tmp_path / f"{name}.mp4", 1)[0]).frame) for name in ("planes", "rgb"))
    inner = np.s_[part.box.top + 8 : part.box.top + part.box.height - 8, part.box.left + 8 : part.box.left + 60]
    assert np.array_equal(one[0][inner], other[0][inner])


def test_decoded_pictures_are_written_without_a_change(tmp_path: Path) -> None:
    path, info = tmp_path / "copy.mp4", probe(str(CLIP))
    with VideoWriter(str(path), info.width, info.height, info.rate, info.colour, encoding=LOSSLESS) as writer:
        for frame in frames_of(CLIP, 5):
            writer.write(planes(frame))
    for frame, copy in zip(frames_of(CLIP, 5), frames_of(path, 5), strict=True):
        for old, new in zip(planes_of(planes(frame).frame), planes_of(planes(copy).frame), strict=True):
            assert np.array_equal(old, new)


def test_a_file_with_other_code_values_gets_converted_colours(tmp_path: Path) -> None:
    path = tmp_path / "tagged.mp4"
    colour = probe(str(write_video(tmp_path / "source.mp4", 1, encoding=Encoding(crf=4)))).colour
    assert colour.range != 2
    with VideoWriter(str(path), 384, 384, Fraction(25), type(colour)(range=2, matrix=1), encoding=LOSSLESS) as writer:
        writer.write(planes(frames_of(CLIP, 1)[0]))
    (written,), (source,) = frames_of(path, 1), frames_of(CLIP, 1)
    assert np.abs(written.image.astype(int) - source.image).mean() < 2


@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv420p10le", "yuv444p"])
def test_other_pictures_have_no_planes_but_parts(tmp_path: Path, pixel_format: str) -> None:
    frame = frames_of(write_timed(tmp_path / "clip.mkv", [0, 40], pixel_format), 1)[0]
    assert frame.planes is None
    assert np.array_equal(frame.part(Rectangle(10, 4, 20, 30)).pixels, frame.image[4:34, 10:30])


def test_interlaced_pictures_have_no_planes(tmp_path: Path) -> None:
    path = tmp_path / "fields.mp4"
    raster = Raster(fields="top first")
    with VideoWriter(str(path), 96, 64, Fraction(25), encoding=Encoding(crf=4), raster=raster) as writer:
        writer.write(picture())
    assert frames_of(path, 1)[0].planes is None

"""Video files: frames by timestamp, colour, rotation, and writing without leaving halves behind."""

from __future__ import annotations

import itertools
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from s2l_core.errors import CannotWrite, FileMissing, NotAVideo
from s2l_core.jobs import Encoding, Media
from s2l_core.media.raster import ColourTags
from s2l_core.media.video import probe, read_frames, slack
from s2l_core.media.writing import VideoWriter

BT601, BT709, BT2020 = 6, 1, 9


def picture(width: int = 96, height: int = 64, level: int = 0) -> np.ndarray:
    """A smooth picture in which red grows to the right, green downwards and blue with ``level``."""
    y, x = np.mgrid[0:height, 0:width]
    blue = np.full_like(x, level % 256)
    return np.stack([x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), blue], axis=-1).astype(np.uint8)


def write_video(path: Path, count: int, rate: Fraction | int = 25, **options: object) -> Path:
    images = [picture(level=4 * index) for index in range(count)]
    with VideoWriter(str(path), 96, 64, Fraction(rate), **options) as writer:  # type: ignore[arg-type]
        for image in images:
            writer.write(image)
    return path


def write_timed(path: Path, milliseconds: list[int], pixel_format: str = "yuv420p", codec: str = "libx264") -> Path:
    """A video whose frames are shown at given times; frame ``i`` has the blue level ``10 * i``."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1000)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixel_format
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, time in enumerate(milliseconds):
            frame = VideoFrame.from_ndarray(picture(level=10 * index), format="rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Write a rotation into the track header of an MP4, as a phone held upright does."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40  # version, flags, times, track, duration, layer, volume come before it
    assert struct.unpack_from(">9i", data, matrix) == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, matrix, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


RATES = [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction("23.976023976")]


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_frames_written_come_back_at_their_times(tmp_path: Path, rate: Fraction) -> None:
    path = write_video(tmp_path / "clip.mp4", 50, rate)
    info = probe(str(path))
    frames = list(read_frames(Media(str(path))))
    assert (info.width, info.height, info.has_sound) == (96, 64, False)
    assert float(info.rate) == pytest.approx(float(rate), abs=1e-6)
    assert info.duration == pytest.approx(50 / rate, abs=1e-4)
    assert [frame.time for frame in frames] == pytest.approx([index / rate for index in range(50)], abs=1e-4)
    for index in (0, 25, 49):
        assert np.abs(frames[index].image.astype(int) - picture(level=4 * index)).mean() < 3


def test_span_holds_the_frames_from_its_start_up_to_but_not_at_its_end(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 60, 25)
    times = [frame.time for frame in read_frames(Media(str(path), start=1.0, end=1.2))]
    assert times == pytest.approx([1.0, 1.04, 1.08, 1.12, 1.16])
    assert [frame.time for frame in read_frames(Media(str(path), start=5.0))] == []


def test_start_after_seeking_gives_the_same_pictures_as_reading_through(tmp_path: Path) -> None:
    path = str(write_video(tmp_path / "clip.mp4", 300, 25))
    through = {frame.time: frame.image for frame in read_frames(Media(path))}
    for frame in itertools.islice(read_frames(Media(path, start=10.8)), 5):
        assert np.array_equal(frame.image, through[frame.time])


def test_variable_frame_rate_keeps_every_timestamp(tmp_path: Path) -> None:
    times = [0, 33, 80, 100, 180, 190, 400]
    path = write_timed(tmp_path / "phone.mp4", times)
    frames = list(read_frames(Media(str(path))))
    assert [round(frame.time * 1000) for frame in frames] == times
    assert [round(int(frame.image[32, 48, 2]) / 10) for frame in frames] == list(range(7))
    assert 5 < probe(str(path)).rate < 60


@pytest.mark.parametrize("name", ["phone.mp4", "phone.mkv"])
def test_a_span_begins_with_the_frame_on_screen_at_its_start(tmp_path: Path, name: str) -> None:
    times = [0, 33, 80, 100, 180, 190, 400]
    path = str(write_timed(tmp_path / name, times))
    for start in (0.0, 0.01, 0.033, 0.0798, 0.08, 0.15, 0.185, 0.39, 0.4):
        shown = max(index for index, time in enumerate(times) if time / 1000 <= start + slack(probe(path).tick))
        frames = list(read_frames(Media(path, start)))
        assert [round(int(frame.image[32, 48, 2]) / 10) for frame in frames] == list(range(shown, 7))
        assert [frame.time for frame in frames] == pytest.approx(
            [start, *np.array(times[shown + 1 :]) / 1000], abs=5e-4
        )


@pytest.mark.parametrize("form", ["mpegts", "avi"])
def test_the_first_picture_that_can_be_decoded_stands_from_the_start_of_the_stream(tmp_path: Path, form: str) -> None:
    """A transport stream lacks the fifth before a key frame; AVI knows no times but those of decoding."""
    path = tmp_path / f"clip.{form}"
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "40", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(100):
            frame = VideoFrame.from_ndarray(picture(level=2 * index), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if form == "mpegts":
        data = path.read_bytes()
        path.write_bytes(data[188 * (len(data) // 188 // 5) :])
    frames = list(read_frames(Media(str(path))))
    steps = np.diff([round(25 * frame.time) for frame in frames])
    assert frames[0].time == 0.0
    assert steps[0] > 1 and (steps[1:] == 1).all()
    assert round(25 * probe(str(path)).duration) == pytest.approx(round(25 * frames[-1].time) + 1, abs=2)
    held = next(read_frames(Media(str(path), frames[1].time - 0.04)))
    assert np.array_equal(held.image, frames[0].image) and held.time == pytest.approx(frames[1].time - 0.04)
    later = next(read_frames(Media(str(path), frames[50].time)))
    assert np.array_equal(later.image, frames[50].image)


def test_time_starts_at_the_first_frame_whatever_the_containers_clock_says(tmp_path: Path) -> None:
    path = write_timed(tmp_path / "late.mkv", [5000, 5040, 5080])
    assert [frame.time for frame in read_frames(Media(str(path)))] == pytest.approx([0.0, 0.04, 0.08])
    assert [frame.time for frame in read_frames(Media(str(path), start=0.04))] == pytest.approx([0.04, 0.08])


def test_milliseconds_of_matroska_do_not_lose_the_frame_at_the_start(tmp_path: Path) -> None:
    path = write_timed(tmp_path / "ntsc.mkv", [round(index * 1001 / 24) for index in range(48)])
    start = float(31 * Fraction(1001, 24000))
    assert next(read_frames(Media(str(path), start=start))).time == pytest.approx(start, abs=0.001)


@pytest.mark.parametrize(
    ("matrix", "turns"), [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)], ids=["90", "180", "270"]
)
def test_rotation_flag_is_applied(tmp_path: Path, matrix: tuple[int, int, int, int], turns: int) -> None:
    path = write_video(tmp_path / "phone.mp4", 3)
    set_display_matrix(path, *matrix)
    info = probe(str(path))
    image = next(read_frames(Media(str(path)))).image
    expected = np.rot90(picture(), turns)
    assert (info.height, info.width) == image.shape[:2] == expected.shape[:2]
    assert np.abs(image.astype(int) - expected).mean() < 3


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p10le", "yuv444p", "gray"])
def test_other_pixel_formats_become_8_bit_rgb(tmp_path: Path, pixel_format: str) -> None:
    path = write_timed(tmp_path / "clip.mkv", [0, 40, 80], pixel_format, codec="ffv1")
    frames = list(read_frames(Media(str(path))))
    assert probe(str(path)).pixel_format == pixel_format
    assert len(frames) == 3 and frames[0].image.dtype == np.uint8
    if pixel_format != "gray":
        assert np.abs(frames[0].image.astype(int) - picture()).mean() < 2


@pytest.mark.parametrize("size", [(97, 64), (96, 63), (97, 63)])
def test_odd_sizes_grow_by_a_copied_column_or_row(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    image = picture(width, height)
    with VideoWriter(str(tmp_path / "odd.mp4"), width, height, Fraction(25)) as writer:
        writer.write(image)
    back = next(read_frames(Media(str(tmp_path / "odd.mp4")))).image
    assert back.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(back[:height, :width].astype(int) - image).mean() < 3


@pytest.mark.parametrize("colour_range", [0, 1, 2])
@pytest.mark.parametrize("matrix", [2, BT601, BT709, BT2020])
def test_colour_survives_writing_and_reading(tmp_path: Path, matrix: int, colour_range: int) -> None:
    patches = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128], [250, 220, 200], [5, 5, 5]], np.uint8)
    image = np.ascontiguousarray(np.repeat(np.repeat(patches[None], 16, axis=1), 32, axis=0))
    tags = ColourTags(colour_range, matrix, matrix if matrix != BT2020 else 14, matrix)
    path = str(tmp_path / "colour.mp4")
    with VideoWriter(path, 96, 32, Fraction(25), tags, encoding=Encoding(crf=4)) as writer:
        writer.write(image)
    back = next(read_frames(Media(path))).image
    assert np.abs(back[8:24, 8::16].astype(int) - image[8:24, 8::16]).max() <= 6
    written = probe(path).colour
    assert (written.matrix, written.transfer, written.primaries) == (tags.matrix, tags.transfer, tags.primaries)
    assert (written.range == 2) == (colour_range == 2)


def test_untagged_sources_are_read_as_players_do(tmp_path: Path) -> None:
    assert ColourTags().assumed(1920, 1080).matrix == ColourTags().assumed(720, 1280).matrix == BT709
    assert ColourTags().assumed(720, 576).matrix == ColourTags().assumed(512, 512).matrix == BT601
    assert ColourTags(matrix=BT2020).assumed(640, 480).matrix == BT2020


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.mp4", b"just some words\n" * 100),
        ("notes.txt", b"hello\n" * 50),
        ("empty.mp4", b""),
        ("zero.mov", bytes(9999)),
    ],
)
def test_a_file_that_is_no_video_is_refused_with_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NotAVideo, match=name):
        probe(str(path))
    with pytest.raises(NotAVideo, match=name):
        next(read_frames(Media(str(path))))


def test_a_still_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgb24"
        container.mux(stream.encode(VideoFrame.from_ndarray(picture(), format="rgb24")))
    with pytest.raises(NotAVideo):
        probe(str(path))


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match=r"gone\.mp4"):
        probe(str(tmp_path / "gone.mp4"))


def test_a_video_cut_short_gives_the_frames_that_are_there(tmp_path: Path) -> None:
    path = write_timed(tmp_path / "clip.mkv", list(range(0, 4000, 40)))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    frames = list(read_frames(Media(str(path))))
    assert 10 < len(frames) < 100


def test_damaged_packets_are_passed_over(tmp_path: Path) -> None:
    path = write_timed(tmp_path / "clip.mkv", list(range(0, 4000, 40)))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    assert next(iter(read_frames(Media(str(path)))), None) is not None


def test_an_exception_leaves_what_was_there_before(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 5)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), VideoWriter(str(path), 96, 64, Fraction(25)) as writer:
        writer.write(picture())
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_has_the_final_name_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with VideoWriter(str(path), 96, 64, Fraction(25)) as writer:
        writer.write(picture())
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_cannot_be_written_to(tmp_path: Path) -> None:
    with (
        pytest.raises(CannotWrite, match="nowhere"),
        VideoWriter(str(tmp_path / "nowhere/a.mp4"), 96, 64, Fraction(25)),
    ):
        pass
    with pytest.raises(CannotWrite), VideoWriter(str(tmp_path), 96, 64, Fraction(25)):
        pass


@pytest.mark.parametrize(("count", "limit"), [(1, 500), (400, 50_000)], ids=["when closing", "when writing"])
def test_a_file_size_limit_counts_as_a_full_disk_and_leaves_nothing(tmp_path: Path, count: int, limit: int) -> None:
    program = """
import resource, sys
from fractions import Fraction
import numpy as np
from s2l_core.errors import DiskFull
from s2l_core.media.writing import VideoWriter
count, limit = map(int, sys.argv[2:])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
noise = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1], 96, 64, Fraction(25)) as writer:
        for _ in range(count):
            writer.write(noise.integers(0, 256, (64, 96, 3), dtype=np.uint8))
except DiskFull as error:
    print(error.code)
"""
    pytest.importorskip("resource")
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "clip.mp4"), str(count), str(limit)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert run.stdout.strip() == "disk_full", run.stderr
    assert list(tmp_path.iterdir()) == []


def test_real_clips_are_described_as_they_are(shared_data: Path) -> None:
    portrait = probe(str(shared_data / "speakers/portrait_1080x1920_10s.mp4"))
    assert (portrait.width, portrait.height, portrait.codec, portrait.rate) == (1080, 1920, "hevc", Fraction(25))
    assert portrait.colour == ColourTags(1, BT709, BT709, BT709)
    grid = str(shared_data / "speakers/grid_s1_60s.mp4")
    assert len(list(read_frames(Media(grid, start=30.0, end=32.0)))) == 50

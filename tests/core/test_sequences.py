"""Sequences of pictures are footage like movies."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

import s2l_core
from s2l_core.cli import main
from s2l_core.errors import BadJob, CannotWrite, FileMissing, NoSound, NotAVideo, Speech2LipError
from s2l_core.estimates import Calibration
from s2l_core.events import Report
from s2l_core.footage import fingerprint_media, prepare
from s2l_core.jobs import CheckJob, DubJob, Encoding, FacesJob, HeatmapJob, Media, PreviewJob, TrainJob
from s2l_core.media.frames import FrameReader
from s2l_core.media.pictures import write_picture
from s2l_core.media.sequence import refuse_broken
from s2l_core.media.video import probe, read_frames
from s2l_core.media.writing import VideoWriter
from s2l_core.verbs.calibrate import _estimate

ROOT = Path(__file__).resolve().parents[2]
SPEAKER = ROOT / "demo" / "speaker.mp4"
LINE = str(ROOT / "demo" / "line.flac")
COUNT = 12


Write = Callable[[Path, np.ndarray], None]


@cache
def huge_picture(suffix: str) -> bytes:
    """A file of some kilobytes."""
    return cv2.imencode(suffix, np.zeros((9000, 9000), np.uint8))[1].tobytes()


def picture(number: int = 0, width: int = 48, height: int = 32) -> np.ndarray:
    """Every level of red and green, and blue for the number."""
    y, x = np.mgrid[0:height, 0:width]
    level = (x + width * y) % 256
    return np.stack([level, 255 - level, np.full_like(x, 10 * number)], axis=-1).astype(np.uint8)


def with_opencv(path: Path, image: np.ndarray) -> None:
    options = {".webp": [cv2.IMWRITE_WEBP_QUALITY, 101], ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 100]}
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image, options.get(path.suffix, []))


def deep(path: Path, image: np.ndarray) -> None:
    """16 bits that are not those of 8 repeated, but round to them."""
    with_opencv(path, image.astype(np.uint16) * 257 + np.where(image < 255, 100, 0).astype(np.uint16))


def opaque(path: Path, image: np.ndarray) -> None:
    cv2.imwrite(str(path), np.dstack([image[..., ::-1], np.full(image.shape[:2], 255, np.uint8)]))


def exr(path: Path, image: np.ndarray) -> None:
    write_picture(path, image, Encoding("exr"))


def linear_dpx(path: Path, image: np.ndarray) -> None:
    values = image / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    context = CodecContext.create("dpx", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = image.shape[1], image.shape[0], "rgb48le"
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray((linear * 65535 + 0.5).astype(np.uint16), format="rgb48le")
    frame.pts = 0
    path.write_bytes(b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]))


FORMATS: list[tuple[str, Write]] = [
    ("png", with_opencv),
    ("png", deep),
    ("png", opaque),
    ("tif", with_opencv),
    ("tiff", deep),
    ("bmp", with_opencv),
    ("webp", with_opencv),
    ("exr", exr),
    ("dpx", linear_dpx),
]


def write_sequence(folder: Path, count: int = COUNT, suffix: str = "png", write: Write = with_opencv) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        write(folder / f"shot.{number + 1001:04}.{suffix}", picture(number))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sequence(tmp_path_factory.mktemp("sequences") / "take")


@pytest.fixture
def own_folder(folder: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(folder, tmp_path / "take"))


@pytest.mark.parametrize(("suffix", "write"), FORMATS, ids=lambda value: getattr(value, "__name__", value))
def test_a_picture_has_the_code_values_that_were_written(tmp_path: Path, suffix: str, write: Write) -> None:
    media = Media(str(write_sequence(tmp_path / "take", 3, suffix, write)))
    images = [frame.image for frame in read_frames(media)]
    assert [image.dtype for image in images] == [np.uint8] * 3
    assert np.array_equal(images, [picture(number) for number in range(3)])
    assert (probe(media).width, probe(media).height) == (48, 32)


def test_jpegs_look_as_libjpeg_decodes_them(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "take", 2, "jpg")
    expected = [cv2.imread(str(path))[..., ::-1] for path in sorted(folder.iterdir())]
    assert np.array_equal([frame.image for frame in read_frames(Media(str(folder)))], expected)


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_pictures_are_pictures(tmp_path: Path, bits: int) -> None:
    def grey(path: Path, image: np.ndarray) -> None:
        (with_opencv if bits == 8 else deep)(path, image[..., 0])

    (image, _) = (frame.image for frame in read_frames(Media(str(write_sequence(tmp_path / "take", 2, write=grey)))))
    assert np.array_equal(image, np.repeat(picture()[..., :1], 3, axis=2))


SPANS = [(0.0, None), (0.0, 0.2), (0.12, 0.32), (0.11, 0.33), (0.13, None), (0.31, 9.0), (0.34, 0.38)]


@pytest.mark.parametrize("rate", ["24", "25", "30000/1001"])
@pytest.mark.parametrize(("start", "end"), SPANS)
def test_a_span_shows_the_frames_of_a_movie_of_the_same_pictures(
    folder: Path, tmp_path: Path, rate: str, start: float, end: float | None
) -> None:
    movie = tmp_path / "take.mkv"
    with VideoWriter(str(movie), 48, 32, Fraction(rate), encoding=Encoding("ffv1")) as writer:
        for number in range(COUNT):
            writer.write(picture(number))
    expected = list(read_frames(Media(str(movie), start, end)))
    frames = list(read_frames(Media(str(folder), start, end, rate=rate)))
    assert len(frames) == len(expected) > 0
    assert [frame.time for frame in frames] == pytest.approx([frame.time for frame in expected], abs=6e-4)
    assert np.array_equal([frame.image for frame in frames], [frame.image for frame in expected])
    info, other = probe(Media(str(folder), rate=rate)), probe(str(movie))
    assert (info.width, info.height, info.rate) == (other.width, other.height, other.rate)
    assert info.duration == pytest.approx(other.duration, abs=2e-3)
    assert not info.has_sound


def numbers(media: Media) -> list[int]:
    return [round(int(frame.image[0, 0, 2]) / 10) for frame in read_frames(media)]


def test_frames_are_read_in_any_order(folder: Path) -> None:
    reader = FrameReader(Media(str(folder), 0.2, 0.4), np.arange(COUNT) / 25)
    assert [int(reader.read(index)[0, 0, 2]) // 10 for index in (7, 8, 2, 2, 11, 0)] == [7, 8, 2, 2, 11, 0]


@pytest.mark.parametrize(
    "name", ["", "shot.####.png", "shot.%04d.png", "shot.#.png", "shot.%d.png", "shot.##01.png", "s*"]
)
def test_a_folder_or_a_pattern_names_a_sequence(folder: Path, name: str) -> None:
    media = Media(str(folder / name) if name else str(folder))
    if name == "s*":
        with pytest.raises(FileMissing, match="There is no file"):
            probe(media)
    elif name == "shot.##01.png":
        with pytest.raises(NotAVideo, match="single picture"):
            probe(media)
    else:
        assert numbers(media) == list(range(COUNT))


def test_numbers_count_and_not_letters(tmp_path: Path) -> None:
    for number in range(8, 12):
        with_opencv(tmp_path / f"take2_{number}_left.png", picture(number))
    assert numbers(Media(str(tmp_path))) == [8, 9, 10, 11]


def test_the_longest_sequence_of_a_folder_is_meant(own_folder: Path) -> None:
    for name in ("mask.0001.png", "mask.0002.png", "poster.jpg", "shot.1001.exr", "notes.0001.txt"):
        (own_folder / name).write_bytes(b"")
    assert numbers(Media(str(own_folder))) == list(range(COUNT))


def test_named_pictures_are_shown_in_the_order_in_which_they_are_named(folder: Path) -> None:
    media = Media(str(folder), pictures=("shot.1004.png", "shot.1002.png", "shot.1002.png", "shot.1009.png"))
    assert numbers(media) == [3, 1, 1, 8]
    assert numbers(replace(media, start=0.04, end=0.12)) == [1, 1]


def test_alpha_that_says_something_is_not_lost_midway(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "take", 3, write=opaque)
    cv2.imwrite(str(folder / "shot.1003.png"), np.dstack([picture(2), np.zeros((32, 48), np.uint8)]))
    with pytest.raises(NotAVideo, match=r"shot\.1003\.png is partly transparent"):
        list(read_frames(Media(str(folder))))
    assert numbers(Media(str(folder), end=0.08)) == [0, 1]


def lose(folder: Path) -> None:
    (folder / "shot.1006.png").unlink()


def empty(folder: Path) -> None:
    (folder / "shot.1006.png").write_bytes(b"")


def cut(folder: Path) -> None:
    content = (folder / "shot.1006.png").read_bytes()
    (folder / "shot.1006.png").write_bytes(content[: len(content) // 2])


def enlarge(folder: Path) -> None:
    with_opencv(folder / "shot.1006.png", picture(5, 64, 32))


def add_as_many(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        shutil.copy(path, path.with_name(path.name.replace("shot", "mask")))


def remove_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def leave_one(folder: Path) -> None:
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()


NAMES = tuple(f"shot.{number + 1001:04}.png" for number in range(COUNT))
BROKEN = [
    (lose, "", (), NotAVideo, r"shot\.1007\.png follows .*shot\.1005\.png"),
    (lose, "shot.####.png", (), NotAVideo, r"shot\.1007\.png follows .*shot\.1005\.png"),
    (lose, "", NAMES, FileMissing, r"The picture .*shot\.1006\.png is missing"),
    (empty, "", (), NotAVideo, r"shot\.1006\.png cannot be decoded"),
    (cut, "", (), NotAVideo, r"shot\.1006\.png cannot be decoded"),
    (enlarge, "", (), NotAVideo, r"shot\.1006\.png has 64 x 32 pixels; the previous ones have 48 x 32"),
    (add_as_many, "", (), NotAVideo, "contains several sequences, such as those of mask.1001.png and shot.1001.png"),
    (remove_all, "", (), NotAVideo, "contains no numbered pictures"),
    (remove_all, "shot.####.png", (), NotAVideo, "contains no pictures like shot.####.png"),
    (remove_folder, "shot.####.png", (), FileMissing, "The folder .* cannot be read: No such file"),
    (remove_folder, "", NAMES, FileMissing, "is missing, and 11 more"),
    (leave_one, "", (), NotAVideo, "is a single picture"),
]


@pytest.mark.parametrize(
    ("change", "pattern", "names", "kind", "sentence"), BROKEN, ids=lambda value: getattr(value, "__name__", None)
)
def test_what_is_wrong_is_said_before_any_face_is_looked_for(
    own_folder: Path,
    change: Callable[[Path], None],
    pattern: str,
    names: tuple[str, ...],
    kind: type[Speech2LipError],
    sentence: str,
) -> None:
    change(own_folder)
    phases = []
    report = Report(lambda event: phases.append(getattr(event, "phase", "")))
    with pytest.raises(kind, match=sentence):
        prepare(Media(str(own_folder / pattern) if pattern else str(own_folder), pictures=names), report=report)
    assert "Find face" not in phases


@pytest.mark.parametrize(("suffix", "write"), [*FORMATS, ("jpg", with_opencv)])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.98])
def test_a_picture_that_is_cut_short_is_found(tmp_path: Path, suffix: str, write: Write, share: float) -> None:
    folder = write_sequence(tmp_path / "take", 3, suffix, write)
    path = folder / f"shot.1002.{suffix}"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(NotAVideo, match=rf"shot\.1002\.{suffix} (is truncated|cannot be decoded)"):
        refuse_broken(Media(str(folder)), Report())
    refuse_broken(Media(str(folder), end=0.04), Report())


@pytest.mark.parametrize("offset", [2**40, 2**63])
def test_a_block_far_behind_the_end_of_an_exr_is_missing(tmp_path: Path, offset: int) -> None:
    folder = write_sequence(tmp_path / "take", 2, "exr", exr)
    path = folder / "shot.1002.exr"
    content = path.read_bytes()
    offsets = [struct.unpack_from("<Q", content, place)[0] for place in range(len(content) - 8)]
    table = next(  # it ends where the first block begins, which has the first line
        place
        for place, first in enumerate(offsets)
        if place < first < len(offsets) and (first - place) % 8 == 0 and not any(content[first : first + 4])
    )
    last_entry = offsets[table] - 8
    path.write_bytes(content[:last_entry] + struct.pack("<Q", offset) + content[last_entry + 8 :])
    with pytest.raises(NotAVideo, match=r"shot\.1002\.exr (is truncated|cannot be decoded)"):
        refuse_broken(Media(str(folder)), Report())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_small_file_that_holds_a_huge_picture_is_refused(own_folder: Path, suffix: str) -> None:
    for number, path in enumerate(sorted(own_folder.iterdir())):
        path.unlink()
        with_suffix = path.with_suffix(suffix)
        with_suffix.write_bytes(huge_picture(suffix) if number == 1 else cv2.imencode(suffix, picture())[1].tobytes())
    with pytest.raises(NotAVideo, match="cannot be decoded"):
        refuse_broken(Media(str(own_folder)), Report())


@pytest.mark.parametrize("size", [(9000, 9000), (48, 32)])
def test_a_movie_of_huge_pictures_is_refused_whatever_it_says_of_their_size(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "huge.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25)
        assert isinstance(stream, VideoStream)
        (stream.width, stream.height), stream.pix_fmt = size, "gray"
        for number in range(2):
            packet = av.Packet(huge_picture(".png"))
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 25)
            container.mux(packet)
    with pytest.raises(NotAVideo, match="contains no video") as caught:
        probe(str(path))
    assert "8192" in caught.value.hint


def test_a_pipe_among_the_pictures_keeps_nobody_waiting(folder: Path, own_folder: Path) -> None:
    names = sorted(path.name for path in own_folder.iterdir())
    (own_folder / names[0]).unlink()
    os.mkfifo(own_folder / names[0])
    with pytest.raises(FileMissing, match=r"shot\.1001\.png"):
        probe(Media(str(own_folder), pictures=tuple(names)))
    assert probe(Media(str(own_folder), 0.2, pictures=tuple(names))).width == 48  # which does not show it


def test_a_single_picture_says_how_to_name_its_sequence(folder: Path) -> None:
    with pytest.raises(NotAVideo) as caught:
        probe(str(folder / "shot.1001.png"))
    assert f"specify their folder, or {folder / 'shot.####.png'}" in caught.value.hint


def test_a_movie_has_a_rate_of_its_own() -> None:
    with pytest.raises(BadJob, match="its own frame rate"):
        probe(Media(str(SPEAKER), rate="24"))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b.png", "..\\b.png", "x\0.png", "n" * 256])
def test_a_picture_is_a_name_in_its_folder(name: str) -> None:
    with pytest.raises(BadJob, match="is not the name of a picture"):
        Media("take", pictures=("a.png", name))


def test_pictures_have_no_sound(folder: Path, tmp_path: Path) -> None:
    media = Media(str(folder))
    for job in (CheckJob(media), TrainJob(media, str(tmp_path / "anna.s2l"), consent=True)):
        with pytest.raises(NoSound, match="have no sound") as caught:
            getattr(s2l_core, job.verb)(job)
        assert caught.value.hint == "Specify a recording of the speaker's voice."


@pytest.mark.parametrize("verb", ["preview", "heatmap"])
def test_no_picture_of_the_footage_is_written_over(folder: Path, verb: str) -> None:
    output = str(folder / "shot.1003.png")
    dub = DubJob("anna.s2l", Media(str(folder)), Media(LINE), "dubbed.mp4")
    job = PreviewJob(dub, 0, output) if verb == "preview" else HeatmapJob(Media(str(folder)), output)
    with pytest.raises(CannotWrite, match="is an input of this job"):
        getattr(s2l_core, verb)(job)


def test_the_fingerprint_is_that_of_the_pictures_wherever_they_lie(own_folder: Path, tmp_path: Path) -> None:
    media = Media(str(own_folder))
    other = tmp_path / "other"
    other.mkdir()
    for number, path in enumerate(sorted(own_folder.iterdir())):
        shutil.copy(path, other / f"renamed_{number}.png")
    before = fingerprint_media(media)
    assert fingerprint_media(Media(str(other))) == fingerprint_media(replace(media, pictures=NAMES)) == before
    with_opencv(own_folder / "shot.1006.png", picture(20))
    assert fingerprint_media(media) != before


@pytest.fixture(scope="module")
def speaker_pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The embedded speaker as a folder of PNG pictures, and as a lossless movie of the same."""
    folder = tmp_path_factory.mktemp("speaker")
    (folder / "png").mkdir()
    images = [frame.image for frame in read_frames(Media(str(SPEAKER), 0.0, 1.6))]
    with VideoWriter(str(folder / "take.mkv"), 384, 384, Fraction(25), encoding=Encoding("ffv1")) as writer:
        for number, image in enumerate(images):
            writer.write(image)
            write_picture(folder / "png" / f"shot.{number:04}.png", image, Encoding("png"))
    return folder / "png", folder / "take.mkv"


def test_pictures_are_dubbed_like_a_movie_of_them(
    hasty_speaker: str, speaker_pictures: tuple[Path, Path], tmp_path: Path
) -> None:
    pictures, movie = speaker_pictures
    results = []
    for footage, options in ((pictures / "shot.####.png", ["--footage-rate", "25"]), (movie, [])):
        output = tmp_path / f"{footage.suffix}.mkv"
        words = ["dub", hasty_speaker, str(footage), LINE, str(output), "--voice-end", "1.5", "--format", "ffv1"]
        assert main([*words, *options, "--device", "cpu"]) == 0
        results.append([frame.image for frame in read_frames(Media(str(output)))])
    assert np.array_equal(results[0], results[1])
    source = [frame.image for frame in read_frames(Media(str(pictures)))][: len(results[0])]
    changed = (np.array(results[0]) != source).any(axis=(0, 3))
    assert changed.any() and not changed[:150].any() and not changed[:, :60].any()


def test_faces_and_estimates_know_pictures(speaker_pictures: tuple[Path, Path], tmp_path: Path) -> None:
    pictures, movie = speaker_pictures
    (found,) = s2l_core.faces(FacesJob(Media(str(pictures)), str(tmp_path)))["faces"]
    (expected,) = s2l_core.faces(FacesJob(Media(str(movie)), str(tmp_path)))["faces"]
    assert (found["x"], found["y"]) == (expected["x"], expected["y"])
    jobs = [DubJob("anna.s2l", Media(str(path)), Media(LINE), str(tmp_path / "d.mp4")) for path in (pictures, movie)]
    machine = Calibration("1", "cpu", 0.01, 0.01, 0.1, 0.01)
    assert len({_estimate(job, machine, None, looked_at=False) for job in jobs}) == 1

"""What a job writes: whole or not at all, by one job at a time, and never over what is not its own."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import s2l_core
from demo.run import prepare_folder
from s2l_core import cli, files
from s2l_core.cache import NO_CACHE, Cache
from s2l_core.errors import CannotWrite, DiskFull, Speech2LipError
from s2l_core.events import Event, Log, Report
from s2l_core.files import reserved, temporary_folder, write_together, write_whole
from s2l_core.jobs import (
    DescribeJob,
    DubJob,
    Encoding,
    FacesJob,
    HeadJob,
    HeatmapJob,
    Job,
    Media,
    PoseJob,
    PreviewJob,
    StillJob,
    TrainJob,
)
from s2l_core.json_text import plain
from s2l_core.media.chunks import Chunks, reserved_result
from s2l_core.media.pictures import write_picture
from s2l_core.media.raster import ColourTags
from s2l_core.media.video import probe
from s2l_core.media.waveform import Waveform
from s2l_core.media.writing import VideoWriter
from s2l_core.verbs.faces import faces

from .conftest import CLIP

ROOT = Path(__file__).resolve().parents[2]
LINE = CLIP.with_name("line.flac")
OLDER = b"an older result"
COUNT, SIZE, RATE = 6, 4, Fraction(25)
PICTURE = np.full((32, 48, 3), 90, np.uint8)
SOUND = Waveform.of(np.zeros((11_520, 1), np.float32), 48_000)

NAMES = [
    "12:30.mp4",
    "-x.mp4",
    "out_%03d.mp4",
    "file:a.mp4",
    "pipe:1.mp4",
    "concat:a|b.mp4",
    "what?*.mp4",
    "код 🎬.mp4",
    "two\nlines.mp4",
    "\udcff.mp4",  # a byte that is not UTF-8
    "n" * 242 + ".mp4",
    "é" * 125 + "n.mp4",
]


def write_chunks(path: Path, encoding: Encoding, document: str = "job") -> Chunks:
    chunks = Chunks(str(path), COUNT, SIZE, encoding, {"job": document})
    for chunk in chunks.missing:
        with chunks.writer(chunk, 48, 32, RATE, ColourTags()) as writer:
            for _ in chunk:
                writer.write(PICTURE)
    return chunks


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# ---- Names


@pytest.mark.skipif(sys.platform == "win32", reason="names there lack some of these characters")
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_that_a_file_can_have_will_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with reserved_result(name, Encoding()):
        write_chunks(Path(name), Encoding()).join(RATE, SOUND, "synthetic")
    assert [path.name for path in Path().iterdir()] == [name]
    assert probe(name).width == 48


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("", "another name"),
        ("a\0b.mp4", "another name"),
        ("\ud800.mp4", "another name"),
        ("n" * 252 + ".mp4", "shorter name"),
        ("missing/a.mp4", "folder that exists"),
        ("file/a.mp4", "folder that exists"),
        ("file/..", "folder that exists"),
        ("a.mp4.partial", "another name"),
        ("/proc/a.mp4", "folder that exists"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("folder", [False, True])
def test_any_other_name_is_refused_before_the_work(
    name: str, hint: str, folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(OLDER)
    with pytest.raises(CannotWrite) as refused, reserved(name, folder=folder):
        pytest.fail("It was not refused.")
    assert hint in refused.value.hint
    assert content(tmp_path) == {"file": OLDER}


@pytest.mark.parametrize(
    "name",
    ["12:30.mp4", "what?.mp4", "two\nlines.mp4", "out.mp4.", "out ", "CON", "nul.mp4", "Com1 .tar.gz", "LPT¹.mp4"],
    ids=ascii,
)
def test_names_that_windows_cannot_have_are_refused_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_WINDOWS", True)
    with pytest.raises(CannotWrite, match="is not a valid file name"), reserved(str(tmp_path / name)):
        pytest.fail("It was not refused.")


@pytest.mark.parametrize("name", ["a.b.mp4", "console.mp4", "com10.mp4", ".hidden", "my nul.mp4", "é.mp4"])
def test_names_that_windows_can_have_are_not_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_WINDOWS", True)
    with reserved(str(tmp_path / name)):
        pass


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="/\\"), max_size=300))
def test_a_name_is_refused_before_the_work_or_will_do(name: str) -> None:
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / name)
        try:
            with reserved(path):
                pass
        except CannotWrite:
            assert not list(Path(folder).iterdir())
        else:
            write_whole(path, b"new", lasting=False)
            assert [each.name for each in Path(folder).iterdir()] == [name]


# ---- What is there already


def make_other(path: Path, kind: str) -> None:
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as end:
                end.bind(path.name)
        case "device":
            path.symlink_to("/dev/null")
        case "link to a pipe":
            os.mkfifo(path.with_name("pipe"))
            path.symlink_to("pipe")
        case "loop":
            path.symlink_to(path.name)


def identity(path: Path) -> tuple[int, ...]:
    """The status of an entry of a folder without the time of its last reading, which following a link changes."""
    status = path.lstat()
    return status.st_ino, status.st_mode, status.st_nlink, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@dataclass(frozen=True)
class Writer:
    """A verb that writes a file, and the job that makes it."""

    name: str
    job: Callable[[str], Job]


WRITERS = [
    Writer("train", lambda path: TrainJob(Media(str(CLIP)), path, device="cpu", consent=True)),
    Writer("dub", lambda path: DubJob("none.s2l", Media(str(CLIP)), Media(str(LINE)), path, device="cpu")),
    Writer("preview", lambda path: PreviewJob(DubJob("none.s2l", Media(str(CLIP)), Media(str(LINE)), ""), 0, path)),
    Writer("still", lambda path: StillJob(Media(str(CLIP)), Media(str(LINE)), path, device="cpu", consent=True)),
    Writer("heatmap", lambda path: HeatmapJob(Media(str(CLIP)), path)),
    Writer("head", lambda path: HeadJob("none.s2l", Media(str(CLIP)), path)),
    Writer("pose", lambda path: PoseJob("none.s2l", Media(str(CLIP)), "none.json", path)),
]


def run(writer: Writer, path: str) -> dict[str, Any]:
    result: dict[str, Any] = getattr(s2l_core, writer.name)(writer.job(path), Report())
    return result


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes that have names")
@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "link to a pipe", "loop"])
@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
def test_only_files_are_replaced(writer: Writer, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_other(tmp_path / "a.mp4", kind)
    before = identity(tmp_path / "a.mp4")
    with pytest.raises(CannotWrite):
        run(writer, "a.mp4")
    assert identity(tmp_path / "a.mp4") == before


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
def test_the_second_job_of_an_output_is_refused_before_its_work(writer: Writer, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(OLDER)
    with reserved(str(path)), pytest.raises(CannotWrite, match="Another job is writing"):
        run(writer, str(path))
    assert content(tmp_path) == {"a.mp4": OLDER}


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    path = str(tmp_path / "a.mp4")
    program = (
        "import sys; from s2l_core.files import reserved\n"
        "with reserved(sys.argv[1]): print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout
        first.stdout.readline()
        with pytest.raises(CannotWrite, match="Another job"), reserved(path):
            pass
        first.kill()
    with reserved(path):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes that have names")
@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "link to a pipe", "loop"])
def test_the_writer_itself_replaces_only_files(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_other(tmp_path / "a.json", kind)
    before = identity(tmp_path / "a.json")
    with pytest.raises(CannotWrite):
        write_whole("a.json", b"new")
    assert identity(tmp_path / "a.json") == before


@pytest.mark.parametrize("other", ["link", "file", "folder"])
def test_what_has_the_name_of_the_lock_stays(other: str, tmp_path: Path) -> None:
    path = tmp_path / ".a.mp4.s2l-lock"
    (tmp_path / "precious").write_bytes(OLDER)
    match other:
        case "link":
            path.symlink_to("precious")
        case "file":
            path.write_bytes(OLDER)
        case "folder":
            path.mkdir()
    before = identity(path)
    with pytest.raises(CannotWrite), reserved(str(tmp_path / "a.mp4")):
        pass
    assert identity(path) == before and (tmp_path / "precious").read_bytes() == OLDER


def test_a_link_is_replaced_and_its_target_stays(tmp_path: Path) -> None:
    target, path = tmp_path / "precious", tmp_path / "a.png"
    target.write_bytes(OLDER)
    path.symlink_to(target)
    with reserved(str(path)):
        write_whole(str(path), b"new")
    assert not path.is_symlink() and content(tmp_path) == {"a.png": b"new", "precious": OLDER}


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
def test_a_source_is_not_replaced_nor_by_another_of_its_names(writer: Writer, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.hardlink_to(CLIP) if CLIP.stat().st_dev == tmp_path.stat().st_dev else path.symlink_to(CLIP)
    with pytest.raises(CannotWrite, match="input of this job"):
        run(writer, str(path))


def test_landmark_models_are_sources(tmp_path: Path) -> None:
    path = tmp_path / "model.task"
    path.write_bytes(OLDER)
    with pytest.raises(CannotWrite, match="input of this job"):
        s2l_core.heatmap(HeatmapJob(Media(str(CLIP)), str(path), landmarks=str(path)))


@pytest.mark.parametrize("layer", ["", "#9"])
def test_the_network_that_speech_is_heard_with_is_a_source(layer: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(OLDER)
    with pytest.raises(CannotWrite, match="input of this job"):
        s2l_core.train(TrainJob(Media(str(CLIP)), str(path), speech=f"{tmp_path}{layer}", device="cpu", consent=True))


def test_a_plate_of_the_users_own_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "actor_plate.png").write_bytes(OLDER)
    with pytest.raises(CannotWrite, match=r"already a file .*actor_plate\.png"):
        s2l_core.head(HeadJob("none.s2l", Media(str(CLIP)), str(tmp_path / "actor.npz")))
    assert content(tmp_path) == {"actor_plate.png": OLDER}


def test_a_portrait_is_not_written_over_its_speaker(hasty_speaker: str) -> None:
    before = Path(hasty_speaker).read_bytes()
    with pytest.raises(CannotWrite, match="input of this job"):
        s2l_core.describe(DescribeJob(hasty_speaker, hasty_speaker))
    assert Path(hasty_speaker).read_bytes() == before


def test_a_write_protected_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(OLDER)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # nothing is protected from root
    with pytest.raises(CannotWrite, match="write-protected"), reserved(str(tmp_path / "a.mp4")):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="folders there do not protect files")
def test_a_file_of_somebody_else_in_a_folder_for_all_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mp4").write_bytes(OLDER)
    (tmp_path / "a.mp4").chmod(0o666)
    tmp_path.chmod(0o1777)
    with reserved(str(tmp_path / "a.mp4")):
        pass
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(CannotWrite, match="write-protected"), reserved(str(tmp_path / "a.mp4")):
        pass


@pytest.mark.parametrize("kind", ["png", "exr"])
@pytest.mark.parametrize(("other", "word"), [("folder", "folder"), ("file", "file"), ("link", "file")])
def test_pictures_need_a_folder_that_does_not_exist_yet(kind: Any, other: str, word: str, tmp_path: Path) -> None:
    path = tmp_path / "frames"
    match other:
        case "folder":
            path.mkdir()
        case "file":
            path.write_bytes(OLDER)
        case "link":
            path.symlink_to("nowhere")
    job = DubJob("none.s2l", Media(str(CLIP)), Media(str(LINE)), str(path), encoding=Encoding(kind), device="cpu")
    with pytest.raises(CannotWrite, match=f"already a {word}.* Choose the name of a folder that does not exist yet"):
        s2l_core.dub(job)


def test_faces_are_not_written_over_the_pictures_that_they_are_looked_for_in(tmp_path: Path) -> None:
    for number in range(1, 4):
        write_picture(tmp_path / f"face_{number}.png", PICTURE, Encoding("png"))
    before = content(tmp_path)
    with pytest.raises(CannotWrite, match="holds the footage"):
        faces(FacesJob(Media(str(tmp_path)), str(tmp_path)))
    assert content(tmp_path) == before


def test_a_folder_that_was_made_for_faces_that_are_not_there_is_removed(tmp_path: Path) -> None:
    movie = tmp_path / "grey.mp4"
    with VideoWriter(str(movie), 48, 32, RATE) as writer:
        writer.write(PICTURE)
    with pytest.raises(Speech2LipError):
        faces(FacesJob(Media(str(movie)), str(tmp_path / "new/faces")))
    assert list(tmp_path.iterdir()) == [movie]


@pytest.mark.parametrize("name", ["dubbed.mp4", "clip.s2l", "clip_dubbed.mp4.job.json"])
def test_the_demo_does_not_remove_its_footage(name: str, tmp_path: Path) -> None:
    for each in (name, "sheet.png"):
        (tmp_path / each).write_bytes(OLDER)
    with pytest.raises(CannotWrite, match="input of this job"):
        prepare_folder(tmp_path, "clip", str(tmp_path / name))
    assert content(tmp_path) == {name: OLDER, "sheet.png": OLDER}


def test_benchmarks_refuse_a_file_that_they_cannot_write_before_they_measure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ablation", "closeups", "interface", "landmarks", "pose", "quality"):
        benchmark = importlib.import_module(f"benchmarks.{name}")
        with pytest.raises(SystemExit) as end:
            benchmark.main(["--json", str(tmp_path / "missing/figures.json")])
        assert end.value.code == 2 and "folder that exists" in " ".join(capsys.readouterr().err.split())


# ---- Scratch folders


@pytest.mark.parametrize("encoding", [Encoding(), Encoding("png")], ids=lambda encoding: encoding.format)
def test_a_users_own_folder_survives_even_with_the_footage_in_it(encoding: Encoding, tmp_path: Path) -> None:
    path, footage = tmp_path / "out.mp4", tmp_path / "out.mp4.partial/take.mp4"
    footage.parent.mkdir()
    footage.write_bytes(CLIP.read_bytes())
    (footage.parent / "job.json").write_text("{}")
    before = content(tmp_path)
    job = DubJob("none.s2l", Media(str(footage)), Media(str(LINE)), str(path), encoding=encoding, device="cpu")
    with pytest.raises(CannotWrite, match="was not made by Speech2Lip"):
        s2l_core.dub(job)
    assert content(tmp_path) == before


def test_a_source_in_our_own_scratch_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    write_chunks(path, Encoding())
    before = content(tmp_path)
    chunk = tmp_path / "out.mp4.partial/0000000.mp4"
    with pytest.raises(CannotWrite, match="unfinished frames are stored"):
        s2l_core.dub(DubJob("none.s2l", Media(str(chunk)), Media(str(LINE)), str(path), device="cpu"))
    assert content(tmp_path) == before


@pytest.mark.parametrize("encoding", [Encoding(), Encoding("png")], ids=lambda encoding: encoding.format)
def test_a_file_that_somebody_puts_into_the_scratch_folder_stays(encoding: Encoding, tmp_path: Path) -> None:
    path, own = tmp_path / "out.mp4", tmp_path / "out.mp4.partial/notes/mine.txt"
    write_chunks(path, encoding)
    own.parent.mkdir()
    own.write_bytes(OLDER)
    write_chunks(path, encoding, "other words").join(RATE, SOUND, "synthetic")
    assert own.read_bytes() == OLDER
    assert not list(own.parents[1].glob("0*"))
    with reserved_result(str(path.with_name("again.mp4")), encoding):
        pass


@pytest.mark.parametrize("place", ["out.mp4.partial", "out.mp4.partial/pictures"])
def test_nothing_is_removed_behind_a_link(place: str, tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "out.mp4", tmp_path / "elsewhere"
    write_chunks(path, Encoding("png"))
    (tmp_path / place).rename(elsewhere)
    (tmp_path / place).symlink_to(elsewhere)
    before = content(elsewhere)
    with pytest.raises(CannotWrite, match="was not made by Speech2Lip"):
        write_chunks(path, Encoding("png"), "other words")
    assert content(elsewhere) == before


def test_a_users_own_empty_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "out.mp4.partial").mkdir()
    with pytest.raises(CannotWrite, match="was not made by Speech2Lip"):
        write_chunks(tmp_path / "out.mp4", Encoding())
    assert (tmp_path / "out.mp4.partial").is_dir()


@pytest.mark.parametrize("encoding", [Encoding(), Encoding("png")], ids=lambda encoding: encoding.format)
def test_what_a_killed_process_was_writing_is_removed(encoding: Encoding, tmp_path: Path) -> None:
    path, scratch = tmp_path / "out", tmp_path / "out.partial"
    write_chunks(path, encoding)
    for name in ("0000000.mp4", "job.json", "pictures/000002.png", "pictures/synthetic_media.txt"):
        (scratch / f"{name}.0123abcd.partial").write_bytes(OLDER)
    write_chunks(path, encoding).join(RATE, SOUND, "synthetic")
    assert [each.name for each in tmp_path.iterdir()] == ["out"] and not list(path.glob("*.partial"))


def lose_chunk(folder: Path) -> None:
    next(folder.glob("0*")).unlink()


def lose_picture(folder: Path) -> None:
    (folder / "pictures/000001.png").unlink()


def damage_chunk(folder: Path) -> None:
    path = next(folder.glob("0*"))
    path.write_bytes(path.read_bytes()[:600])


def empty_picture(folder: Path) -> None:
    (folder / "pictures/000002.png").write_bytes(b"")


@pytest.mark.parametrize(
    ("kind", "harm"),
    [
        ("h264", lose_chunk),
        ("h264", damage_chunk),
        ("ffv1", damage_chunk),
        ("png", lose_picture),
        ("png", empty_picture),
    ],
)
def test_joining_counts_the_frames_and_lost_ones_are_made_anew(
    kind: Any, harm: Callable[[Path], None], tmp_path: Path
) -> None:
    path, scratch = tmp_path / "out", tmp_path / "out.partial"
    chunks = write_chunks(path, Encoding(kind))
    harm(scratch)
    with pytest.raises(CannotWrite, match=r"of 6 frames in .*out\.partial were removed or damaged"):
        chunks.join(RATE, SOUND, "synthetic")
    assert not path.exists()
    write_chunks(path, Encoding(kind)).join(RATE, SOUND, "synthetic")
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_that_somebody_adds_is_refused_and_stays(tmp_path: Path) -> None:
    path, strange = tmp_path / "out", tmp_path / "out.partial/pictures/000099.png"
    chunks = write_chunks(path, Encoding("png"))
    strange.write_bytes(OLDER)
    with pytest.raises(CannotWrite, match=r"000099\.png is not a picture of this result"):
        chunks.join(RATE, SOUND, "synthetic")
    with pytest.raises(CannotWrite, match=r"000099\.png is not a picture of this result"):
        write_chunks(path, Encoding("png"))
    strange.rename(tmp_path / "mine.png")
    write_chunks(path, Encoding("png")).join(RATE, SOUND, "synthetic")
    assert sorted(content(tmp_path)) == [
        "mine.png",
        *(f"out/{n:06}.png" for n in range(1, 7)),
        "out/synthetic_media.txt",
    ]


def test_a_result_that_was_removed_is_made_again_from_a_scratch_folder_that_stayed(tmp_path: Path) -> None:
    write_chunks(tmp_path / "out", Encoding("png"))
    (tmp_path / "out.partial/pictures").rename(tmp_path / "out")  # killed before the scratch folder was removed
    shutil.rmtree(tmp_path / "out")
    write_chunks(tmp_path / "out", Encoding("png")).join(RATE, SOUND, "synthetic")
    assert len(content(tmp_path)) == COUNT + 1


# ---- Whole or absent


def write_a_movie(path: Path) -> None:
    noise = np.random.default_rng(0)
    with VideoWriter(str(path), 48, 32, RATE, encoding=Encoding("ffv1")) as writer:
        for _ in range(30):
            writer.write(noise.integers(0, 256, PICTURE.shape, dtype=np.uint8))


WAYS: dict[str, Callable[[Path], object]] = {
    "bytes": lambda path: write_whole(str(path), bytes(100_000)),
    "several": lambda path: write_together({str(path.with_name("first")): b"small", str(path): bytes(100_000)}),
    "picture": lambda path: write_picture(
        path, np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8), Encoding("png")
    ),
    "movie": write_a_movie,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_full_disk_leaves_the_older_result(way: str, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "result"
    for name in ("first", "result"):
        (tmp_path / name).write_bytes(OLDER)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(DiskFull, match="Nothing was overwritten"):
            WAYS[way](path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert content(tmp_path) == {"first": OLDER, "result": OLDER}


@pytest.mark.parametrize("way", WAYS)
def test_a_planted_link_is_not_followed(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(OLDER)
    monkeypatch.setattr("secrets.token_hex", lambda size: "01234567")  # somebody who can guess it
    (tmp_path / "result.01234567.partial").symlink_to(precious)
    with pytest.raises(CannotWrite):
        WAYS[way](tmp_path / "result")
    assert precious.read_bytes() == OLDER


@pytest.mark.parametrize("way", WAYS)
def test_a_new_file_may_be_read_by_those_whom_the_umask_lets(way: str, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        WAYS[way](tmp_path / "result")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "result").stat().st_mode) == 0o640


# ---- What must not fail a job


def test_without_a_cache_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(OLDER)
    for place in ("file", "file/below", "/proc/nothing"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / place))
        assert Cache.of("trainings", 1) == NO_CACHE


def test_of_two_equal_trainings_one_keeps_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    told: list[Event] = []
    with ExitStack() as held:
        first, second = (held.enter_context(Cache.of("trainings", 1).exclusive(Report(told.append))) for _ in range(2))
        assert first.folder is not None and second == NO_CACHE
        first.save("a", {"b": torch.zeros(1)})
        first.clear()
    assert [isinstance(event, Log) for event in told] == [True]
    assert not first.folder.exists()


def test_only_what_was_kept_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = Cache.of("test", 1)
    assert cache.folder is not None
    for name in ("a.safetensors", "stages.jpg", "mine.txt"):
        (cache.folder / name).write_bytes(OLDER)
    stranger = cache.folder.with_name("holiday")
    stranger.mkdir()
    (stranger / "a.jpg").write_bytes(OLDER)
    for folder in (cache.folder, stranger):
        os.utime(folder, (0, 0))
    Cache.of("test", 2)
    assert [path.name for path in (*cache.folder.iterdir(), *stranger.iterdir())] == ["mine.txt", "a.jpg"]


def test_no_place_for_temporary_files_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc/nothing")
    with pytest.raises(CannotWrite, match="TMPDIR"), temporary_folder():
        pass


PROGRAM = """
import sys
import s2l_core
from demo.run import prepare_folder
from s2l_core import cli, errors

def calibrate(job, report):
    report.progress("Measure", 1, 2)
    report.log("error", "A traceback that has no log to go to.")
    return {}

def describe(job, report):
    raise errors.FileMissing("There is no file.")

s2l_core.calibrate, s2l_core.describe = calibrate, describe
sys.exit(cli.main())
"""
SHELL = [
    ("describe none.s2l --json > /dev/full", 1),
    ("describe none.s2l --json >&-", 1),
    ("describe none.s2l --json | head -0", 1),
    ("describe none.s2l > /dev/full 2>&1", 1),
    ("describe none.s2l 2>&-", 1),
    ("describe none.s2l <&- >&- 2>&-", 1),
    ("--help | head -0", 1),
    ("nonsense 2> /dev/full", 2),
    ("calibrate > /dev/full", 1),
    ("calibrate 2> /dev/full", 0),
    ("calibrate --json 2>&-", 0),
]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(("line", "status"), SHELL, ids=[line for line, _ in SHELL])
def test_a_shell_that_takes_no_output_sees_no_traceback(line: str, status: int, tmp_path: Path) -> None:
    words, _, pipe = line.partition(" |")
    command = f'"$0" -c "$1" {words}' + (f" | {pipe}; exit ${{PIPESTATUS[0]}}" if pipe else "")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment |= {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": "/proc/nothing"}
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, "Traceback" in done.stderr, "Exception ignored" in done.stderr) == (status, False, False)


@pytest.mark.parametrize("closed", ["<&-", "< /dev/null >&-", "< /dev/null > /dev/full", "<&- >&- 2>&-"])
def test_a_worker_that_nobody_listens_to_ends_in_peace(closed: str) -> None:
    command = f'"$0" -m s2l_core.worker {closed}'
    done = subprocess.run(["bash", "-c", command, sys.executable], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_results_are_json_that_every_reader_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value = {"a": [float("nan"), (float("inf"), 1.5)], "b\udcff": {"c": "\ud800x", "d": None, "e": True}}
    assert plain(value) == {"a": [None, [None, 1.5]], "b\\udcff": {"c": "\\ud800x", "d": None, "e": True}}
    monkeypatch.setitem(vars(s2l_core), "info", lambda job, report: value)
    assert cli.main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == plain(value)

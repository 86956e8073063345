"""Bad input gets a sentence and loses nothing: every row goes through the command line as a user would type it.

Each must end with status 1 and its own code, say what to do, show no traceback, touch no source, and leave the folder
of the results as it was: an older result stays, and nothing half-written is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from s2l_core import cli, errors
from s2l_core.canonical.regions import lip_shapes
from s2l_core.canonical.view import choose_canonical
from s2l_core.consent_ledger import LEDGER, enter, revoke
from s2l_core.consent_record import ConsentRecord
from s2l_core.footage import prepare
from s2l_core.jobs import Media, TrainJob, to_document
from s2l_core.media.audio import SPEECH_RATE, read_speech
from s2l_core.media.video import read_frames
from s2l_core.media.waveform import Waveform
from s2l_core.media.writing import VideoWriter
from s2l_core.model.speaker import OLDEST_SCHEMA, SCHEMA_VERSION, SpeakerModel

ROOT = Path(__file__).resolve().parents[2]
SPEAKER = ROOT / "demo" / "speaker.mp4"
RATE = Fraction(25)
SECONDS = 14
LIMIT_SECONDS = 120
OLDER_RESULT = b"an older result"


@dataclass(frozen=True)
class Row:
    """Words of a command, in which ``{in}`` and ``{out}`` are folders, and the error that it meets."""

    name: str
    command: str
    error: type[errors.Speech2LipError]


TABLE = [
    Row("nobody agreed", "train {in}/speaker.mp4 {out}/a.s2l", errors.ConsentMissing),
    Row(
        "a consent that has ended",
        "train {in}/speaker.mp4 {out}/a.s2l --consent --consent-until 2020-01-31",
        errors.ConsentExpired,
    ),
    Row("a consent that was revoked", "train {in}/speaker.mp4 {in}/b.s2l --name Ben --consent", errors.ConsentRevoked),
    Row(
        "a record of consent that is a text",
        "train {in}/speaker.mp4 {out}/a.s2l --consent-record {in}/text.mp4",
        errors.ConsentUnreadable,
    ),
    Row("details of a consent alone", "train {in}/speaker.mp4 {out}/a.s2l --consent-who Ann", errors.ConsentMissing),
    Row("no such record", "consent revoke {in} Nobody", errors.ConsentMissing),
    Row("no such file", "train {in}/nothing.mp4 {out}/a.s2l --consent", errors.FileMissing),
    Row("not a video", "train {in}/text.mp4 {out}/a.s2l --consent", errors.NotAVideo),
    Row("a sound instead of a video", "train {in}/voice.wav {out}/a.s2l --consent", errors.NotAVideo),
    Row("video without sound", "train {in}/mute.mp4 {out}/a.s2l --consent", errors.NoSound),
    Row("no face at all", "train {in}/faceless.mp4 {out}/a.s2l --consent", errors.NoFace),
    Row("face in a third of the frames", "train {in}/third.mp4 {out}/a.s2l --consent", errors.TooFewFaces),
    Row("face gone before the end", "train {in}/gone.mp4 {out}/a.s2l --consent", errors.TooFewFaces),
    Row("two seconds of footage", "train {in}/speaker.mp4 {out}/a.s2l --end 2 --consent", errors.FootageTooShort),
    Row("trim after the end", "train {in}/speaker.mp4 {out}/a.s2l --start 9000 --consent", errors.AudioEmpty),
    Row("empty sound", "train {in}/speaker.mp4 {out}/a.s2l --voice {in}/empty.wav --consent", errors.AudioEmpty),
    Row(
        "sound file of no bytes",
        "train {in}/speaker.mp4 {out}/a.s2l --voice {in}/zero.wav --consent",
        errors.AudioEmpty,
    ),
    Row(
        "text instead of sound",
        "train {in}/speaker.mp4 {out}/a.s2l --voice {in}/text.wav --consent",
        errors.AudioUnreadable,
    ),
    Row("silent sound", "train {in}/speaker.mp4 {out}/a.s2l --voice {in}/silent.wav --consent", errors.AudioSilent),
    Row("clipped sound", "train {in}/speaker.mp4 {out}/a.s2l --voice {in}/clipped.wav --consent", errors.AudioClipped),
    Row("8 kHz sound", "train {in}/speaker.mp4 {out}/a.s2l --voice {in}/narrow.wav --consent", errors.AudioNarrow),
    Row("unwritable speaker file", "train {in}/speaker.mp4 {in}/text.mp4/a.s2l --consent", errors.CannotWrite),
    Row("missing folder", "train {in}/speaker.mp4 {out}/no/such/folder/a.s2l --consent", errors.CannotWrite),
    Row("a name that no file can have", "check {in}/" + 300 * "x", errors.FileMissing),
    Row("sound with such a name", "check {in}/speaker.mp4 --voice {in}/" + 300 * "x" + ".wav", errors.FileMissing),
    Row(
        "speaker with such a name",
        "dub {in}/" + 300 * "x" + " {in}/speaker.mp4 {in}/voice.wav {out}/b.mp4",
        errors.FileMissing,
    ),
    Row("landmarks that are not there", "check {in}/speaker.mp4 --landmarks {in}/none.task", errors.FileMissing),
    Row("unknown landmarks", "check {in}/speaker.mp4 --landmarks magic", errors.LandmarksUnavailable),
    Row("check of no video", "check {in}/text.mp4", errors.NotAVideo),
    Row("unwritable movie", "dub {in}/a.s2l {in}/speaker.mp4 {in}/voice.wav {in}/text.mp4/b.mp4", errors.CannotWrite),
    Row("no words to say", "dub {in}/a.s2l {in}/speaker.mp4 {in}/empty.wav {out}/b.mp4", errors.AudioEmpty),
    Row(
        "speaker cut short", "dub {in}/short.s2l {in}/speaker.mp4 {in}/voice.wav {out}/b.mp4", errors.SpeakerFileBroken
    ),
    Row("newer speaker", "dub {in}/newer.s2l {in}/speaker.mp4 {in}/voice.wav {out}/b.mp4", errors.SpeakerFileNewer),
    Row("older speaker", "dub {in}/older.s2l {in}/speaker.mp4 {in}/voice.wav {out}/b.mp4", errors.SpeakerFileOlder),
    Row(
        "a folder without speech features",
        "train {in}/speaker.mp4 {out}/a.s2l --speech {in} --consent",
        errors.SpeechFeaturesUnavailable,
    ),
    Row("foreign speaker", "dub {in}/text.mp4 {in}/speaker.mp4 {in}/voice.wav {out}/b.mp4", errors.SpeakerFileForeign),
    Row("no speaker", "dub {in}/none.s2l {in}/speaker.mp4 {in}/voice.wav {out}/b.mp4", errors.FileMissing),
    Row("head without depth", "head {in}/a.s2l {in}/speaker.mp4 --out {out}/a.npz", errors.SpeakerWithoutDepth),
    Row(
        "camera path that is none",
        "pose --model {in}/a.s2l --footage {in}/speaker.mp4 --camera {in}/text.mp4 --out {out}/b.mp4",
        errors.CameraPathUnreadable,
    ),
    Row("nobody agreed to a still", "still {in}/face.png {in}/voice.wav {out}/b.mp4", errors.ConsentMissing),
    Row("no such picture", "still {in}/nothing.png {in}/voice.wav {out}/b.mp4 --consent", errors.FileMissing),
    Row(
        "a still with no such speaker",
        "still {in}/face.png {in}/voice.wav {out}/b.mp4 --consent --speaker {in}/nothing.s2l",
        errors.FileMissing,
    ),
    Row("a picture that is a text", "still {in}/text.mp4 {in}/voice.wav {out}/b.mp4 --consent", errors.NotAVideo),
    Row("a picture of nobody", "still {in}/faceless.mp4 {in}/voice.wav {out}/b.mp4 --consent", errors.NoFace),
    Row("a picture of two", "still {in}/two.png {in}/voice.wav {out}/b.mp4 --consent", errors.SeveralFaces),
    Row("a tiny face", "still {in}/tiny.png {in}/voice.wav {out}/b.mp4 --consent", errors.FaceTooSmall),
    Row("a still of no words", "still {in}/face.png {in}/empty.wav {out}/b.mp4 --consent", errors.AudioEmpty),
    Row("a plan of no jobs", "plan {in}/text.mp4 --out {out}/plan", errors.BadJob),
    Row("a plan of jobs that are not there", "plan {in}/none.json --out {out}/plan", errors.FileMissing),
    Row("no such plan", "run {out} shot-look", errors.BadPlan),
    Row("a plan that leaves its roots", "run {in} shot-look", errors.BadPlan),
    Row("joining such a plan", "join {in}", errors.BadPlan),
    Row("all tasks of such a plan", "batch {in}", errors.BadPlan),
    Row("evaluation of a speaker cut short", "evaluate {in}/short.s2l", errors.SpeakerFileBroken),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_bad_input_gets_a_sentence_and_loses_nothing(
    row: Row, media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.s2l", "b.mp4"):
        (tmp_path / name).write_bytes(OLDER_RESULT)
    sources = fingerprint(media)
    words = row.command.replace("{in}", str(media)).replace("{out}", str(tmp_path)).split()

    status = cli.main([*words, "--json"])

    shown = capsys.readouterr()
    assert status == 1
    assert_sentence(shown.out, row.error)
    assert "Traceback" not in shown.err
    assert fingerprint(media) == sources
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("a.s2l", "b.mp4"), OLDER_RESULT
    )


def test_every_error_that_input_can_cause_is_in_the_table_or_below() -> None:
    elsewhere = {
        errors.Cancelled,  # test_cli.py and test_worker.py
        errors.BadJob,
        errors.DeviceUnavailable,  # test_information.py
        errors.OutOfMemory,  # test_worker.py
        errors.EngineIncomplete,
        errors.InternalError,
        errors.WorkerLost,  # tests/blender: only the add-on can tell
        errors.SceneNotOpen,
        errors.HeadFileBroken,  # tests/blender: only the add-on reads it
        errors.HeadFileNewer,
        errors.DiskFull,  # below
        errors.MatteUnavailable,  # test_matte.py
        errors.PerceptionUnavailable,  # test_perception.py: training goes on without
        errors.SyncExpertUnreadable,  # test_sync.py
        errors.GlanceWeightsUnreadable,  # test_glance_training.py
        errors.RecognitionUnavailable,  # test_people.py
        errors.SoundOfAnother,  # test_checking.py
        errors.AudioTooLong,  # test_long_sound.py
        errors.HeadOutOfView,  # test_posing.py
        errors.FaceTurnedAway,  # test_still.py
        errors.TasksUnfinished,  # test_farm_run.py
        errors.SigningKeyUnusable,  # test_credentials.py
        errors.SigningFailed,
    }
    assert set(errors.Speech2LipError.__subclasses__()) == {row.error for row in TABLE} | elsewhere


def test_a_disk_that_fills_up_leaves_the_older_movie(media: Path, small_disk: Path) -> None:
    (small_disk / "b.mp4").write_bytes(OLDER_RESULT)
    words = ["dub", media / "a.s2l", media / "speaker.mp4", media / "voice.wav", small_disk / "b.mp4", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "s2l_core.cli", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        preexec_fn=None if os.path.ismount(small_disk) else limit_file_size,
    )
    assert done.returncode == 1, done.stderr
    assert_sentence(done.stdout, errors.DiskFull)
    assert "Traceback" not in done.stderr
    assert {path.name for path in small_disk.iterdir()} <= {"b.mp4", "b.mp4.partial"}  # finished chunks stay
    assert (small_disk / "b.mp4").read_bytes() == OLDER_RESULT


def test_a_worker_killed_in_training_leaves_the_older_speaker_and_can_start_anew(media: Path, tmp_path: Path) -> None:
    speaker = tmp_path / "a.s2l"
    speaker.write_bytes(OLDER_RESULT)
    with training_worker(media, speaker) as worker:
        wait_for_progress(worker, phases=3)
        worker.kill()
    assert worker.returncode == -signal.SIGKILL
    assert speaker.read_bytes() == OLDER_RESULT
    with training_worker(media, speaker) as worker:
        wait_for_progress(worker, phases=1)
        assert worker.stdin
        worker.stdin.close()  # as when Blender ends: the worker follows
        worker.wait(LIMIT_SECONDS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.s2l"]
    assert speaker.read_bytes() == OLDER_RESULT


def assert_sentence(output: str, expected: type[errors.Speech2LipError]) -> None:
    error = json.loads(output)["error"]
    assert error["code"] == expected.code, error
    assert error["message"].endswith(".")
    assert error["hint"].endswith(".")


def fingerprint(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def limit_file_size() -> None:
    """A file that grows past the limit fails to be written, much as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good footage, a good voice and a speaker, and everything that is wrong with others."""
    folder = tmp_path_factory.mktemp("media")
    if not SPEAKER.is_file():
        pytest.skip(f"needs {SPEAKER}")
    speech = read_speech(Media(str(SPEAKER), 0.0, SECONDS))
    pictures = [smaller(frame.image) for frame in read_frames(Media(str(SPEAKER), 0.0, SECONDS))]
    nothing = [np.full_like(pictures[0], 128)] * len(pictures)
    third = len(pictures) // 3

    write_movie(folder / "speaker.mp4", pictures, speech)
    write_movie(folder / "mute.mp4", pictures[:50], None)
    write_movie(folder / "faceless.mp4", nothing, speech)
    write_movie(folder / "third.mp4", pictures[:third] + nothing[third:], speech)
    write_movie(folder / "gone.mp4", pictures[: -third // 3] + nothing[-third // 3 :], speech)
    write_pictures(folder, pictures[5])
    write_sound(folder / "voice.wav", speech[: 4 * SPEECH_RATE])
    write_sound(folder / "silent.wav", 0 * speech)
    write_sound(folder / "clipped.wav", np.clip(40 * speech, -1, 1))
    write_sound(folder / "narrow.wav", speech[::2], SPEECH_RATE // 2)
    write_sound(folder / "empty.wav", speech[:0])
    (folder / "zero.wav").touch()
    outside = {"name": "shot-look", "kind": "train", "job": 0, "outputs": ["SHOW/../../a.s2l"]}
    train = to_document(TrainJob(Media("SHOW/speaker.mp4"), "SHOW/a.s2l"))
    hostile = {"schema": 1, "version": "1", "chunk": 128, "roots": {"SHOW": "/"}, "jobs": [train], "tasks": [outside]}
    (folder / "plan.json").write_text(json.dumps(hostile))
    for name in ("text.mp4", "text.wav"):
        (folder / name).write_text("This is neither a movie nor a sound.\n" * 100)

    enter(folder / "b.s2l", ConsentRecord("Ben"))
    revoke(folder / LEDGER, ConsentRecord("Ben").hash)
    write_speaker(folder / "speaker.mp4", folder / "a.s2l")
    whole = (folder / "a.s2l").read_bytes()
    (folder / "short.s2l").write_bytes(whole[: len(whole) // 2])
    numbers = (OLDEST_SCHEMA - 1, SCHEMA_VERSION, SCHEMA_VERSION + 1)
    older, schema, newer = (f'\\"schema\\": {number}'.encode() for number in numbers)
    assert whole.count(schema) == 1
    (folder / "older.s2l").write_bytes(whole.replace(schema, older))
    (folder / "newer.s2l").write_bytes(whole.replace(schema, newer))
    return folder


def smaller(image: np.ndarray) -> np.ndarray:
    """A picture at about 256 pixels a side, which is looked at sooner."""
    scale = 256 / max(image.shape)
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def write_speaker(footage: Path, path: Path) -> None:
    """A speaker who has learnt nothing yet: enough for everything but the look of the lips."""
    prepared = prepare(Media(str(footage)))
    face = choose_canonical(prepared, prepared.track.found)
    shapes = lip_shapes(prepared.landmarks, prepared.track, prepared.layout)
    SpeakerModel.untrained("Anna", face, prepared.known_head, shapes.shape[1]).save(str(path))


def write_movie(path: Path, pictures: list[np.ndarray], speech: np.ndarray | None) -> None:
    height, width = pictures[0].shape[:2]
    sound = None if speech is None else Waveform.of(speech[:, None], SPEECH_RATE)
    with VideoWriter(str(path), width, height, RATE, sound=sound) as writer:
        for picture in pictures:
            writer.write(picture)


def write_pictures(folder: Path, face: np.ndarray) -> None:
    """A face, two of them, and a tiny one."""
    cv2.imwrite(str(folder / "face.png"), face[..., ::-1])
    cv2.imwrite(str(folder / "two.png"), np.hstack([face, face])[..., ::-1])
    tiny = np.full((120, 120, 3), 128, np.uint8)
    tiny[30:90, 30:90] = cv2.resize(face, (60, 60), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "tiny.png"), tiny[..., ::-1])


def write_sound(path: Path, samples: np.ndarray, rate: int = SPEECH_RATE) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, rate, 0, "NONE", ""))
        sound.writeframes((32767 * samples).astype("<i2").tobytes())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 100 kB where it can be mounted; otherwise a plain one, for limited file sizes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)]
    mounted = shutil.which("mount") and subprocess.run(mount, capture_output=True).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


@contextlib.contextmanager
def training_worker(media: Path, speaker: Path) -> Iterator[subprocess.Popen[str]]:
    job = TrainJob(Media(str(media / "speaker.mp4")), str(speaker), preset="draft", device="cpu", consent=True)
    request = {"jsonrpc": "2.0", "id": 1, "method": "train", "params": to_document(job)}
    with subprocess.Popen(
        [sys.executable, "-m", "s2l_core.worker"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    ) as worker:
        assert worker.stdin
        worker.stdin.write(json.dumps(request) + "\n")
        try:
            yield worker
        finally:
            worker.kill()


def wait_for_progress(worker: subprocess.Popen[str], phases: int) -> None:
    """Until the worker has begun so many phases of its job."""
    assert worker.stdout
    seen: set[str] = set()
    for line in worker.stdout:
        message: dict[str, Any] = json.loads(line)
        assert "id" not in message, message
        if message["method"] == "progress":
            seen.add(message["params"]["phase"])
        if len(seen) == phases:
            return
    pytest.fail("The worker ended before it was at work.")

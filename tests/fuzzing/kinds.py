"""The kinds of input: what is damaged, and how it is passed to the product."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from s2l_core.consent_ledger import LEDGER, Entry
from s2l_core.consent_record import ConsentRecord
from s2l_core.jobs import (
    CalibrateJob,
    CameraView,
    CheckJob,
    ConsentJob,
    DescribeJob,
    DubJob,
    Encoding,
    EstimateJob,
    EvaluateJob,
    FacesJob,
    HeadJob,
    HeatmapJob,
    InfoJob,
    Job,
    Media,
    Mix,
    OffsetJob,
    PoseJob,
    PreviewJob,
    RenderJob,
    Sound,
    StillJob,
    TrainJob,
    to_document,
)

from .engine import request
from .mutations import Mutator
from .specimens import MOVIES, PICTURES, SOUNDS, Specimens

WORKER, READER = "s2l_core.worker", "tests.fuzzing.reader"
LISTENER = "listener"
"""Name of another worker, which inputs may shut down."""
MODULES = {WORKER: WORKER, LISTENER: WORKER, READER: READER}
OUTPUT = "result"
"""Folder in which results may appear; older ones may only be replaced by complete ones."""
_POSE = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 600.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Input:
    """Input of a process.

    Attributes:
        lines: Lines to send; the last one is the request whose answer is checked.
        is_batch: Whether there are requests before it, which may write results or end the process.
        is_damage: Whether the input must be refused.
    """

    lines: bytes
    is_batch: bool = False
    is_damage: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        make: Writes an input into a folder; its last argument is the number of the input.
        share: Percentage of the inputs.
        process: Name of the process that receives the input.
        is_bounded: Whether damaged inputs may take as long as the good one; otherwise each job is cancelled at once.
    """

    make: Callable[[Mutator, Specimens, Path, int], Input]
    share: int
    process: str = WORKER
    is_bounded: bool = True


def _speaker(job: Callable[[str, Specimens, Path], Job]) -> Callable[[Mutator, Specimens, Path, int], Input]:
    """A speaker file for some job."""

    def make(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
        content, is_damage = specimens.content("speaker.s2l"), False
        part = mutator.one_of("nothing", "bytes", "header", "header", "tensor", "tensor", "file")
        if part in ("bytes", "file"):
            content = mutator.of_bytes(content)
        elif part != "nothing":
            tensors = safetensors.numpy.load(content)
            header = json.loads(_metadata(specimens.path("speaker.s2l"))["speech2lip"])
            header.pop("checksum", None)  # a forged file would lack it, or have a new one
            if part == "header":
                header = mutator.of_json(header)
            else:
                name = mutator.one_of(*sorted(tensors))
                tensors[name] = mutator.of_array(tensors[name])
                values = tensors[name]
                is_damage = values.dtype.kind == "f" and not np.isfinite(values).all()
                if mutator.chance(0.05):
                    del tensors[name]
                    is_damage = False
            text = mutator.as_text(header).encode("utf-8", "replace").decode()
            content = safetensors.numpy.save(tensors, {"speech2lip": text})
        path = folder / "anna.s2l"
        path.write_bytes(content)
        wanted = job(str(path), specimens, folder / OUTPUT)
        is_damage &= not isinstance(wanted, DescribeJob)  # does not read the networks
        return dataclasses.replace(_request(wanted, number), is_damage=is_damage)

    return make


def _metadata(path: str) -> dict[str, str]:
    with safetensors.safe_open(path, "numpy") as file:
        return dict(file.metadata())


def _job(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
    """The document of a job."""
    job = mutator.one_of(*_jobs(specimens, folder / OUTPUT))
    document = {name: value for name, value in to_document(job).items() if name != "verb"}
    return Input(request(number, job.verb, mutator.as_text(mutator.of_json(document))))


def _line(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
    """A line for the worker, followed by a request that must be refused. The good line is a check, so that the worker
    has imported what jobs need.
    """
    describe = {"speaker_path": specimens.path("speaker.s2l"), "picture_path": str(folder / OUTPUT / "portrait.png")}
    message = mutator.one_of(
        {"jsonrpc": "2.0", "id": "a", "method": "check", "params": to_document(CheckJob(specimens.footage))},
        {"jsonrpc": "2.0", "id": 2, "method": "shutdown"} if mutator.chance(0.05) else {},
        {"jsonrpc": "2.0", "id": 1, "method": "describe", "params": describe},
        {"jsonrpc": "2.0", "method": "cancel", "params": {"id": "a"}},
    )
    line = mutator.as_text(mutator.of_json(message)).encode("utf-8", "surrogatepass")
    if mutator.chance(0.4):
        line = mutator.of_bytes(line)
    end = _request(DescribeJob(str(folder / "no such file")), number)
    return Input(line + b"\n" + end.lines, is_batch=True)


def _landmarks(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
    path = folder / "face.task"
    content = specimens.content("face.task")
    path.write_bytes(mutator.one_of(mutator.of_archive, mutator.of_archive, mutator.of_bytes)(content))
    return _request(HeatmapJob(specimens.footage, str(folder / OUTPUT / "heat.png"), str(path)), number)


def _camera_path(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
    text = mutator.as_text(mutator.of_json(json.loads(specimens.content("camera.json"))))
    content = text.encode("utf-8", "surrogatepass")
    path = folder / "camera.json"
    path.write_bytes(mutator.of_bytes(content) if mutator.chance(0.2) else content)
    output = str(folder / OUTPUT / "posed.mp4")
    return _request(PoseJob(specimens.path("speaker.s2l"), specimens.footage, str(path), output), number)


def _ledger(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
    """A ledger of consents."""
    record = ConsentRecord("Anna Example", "German dub", "2999-12-31")
    entry = Entry(record.hash, record, "2026-11-30T07:00:00+00:00", ("anna.s2l",))
    content = mutator.as_text(mutator.of_json({"version": 1, "entries": [dataclasses.asdict(entry)]}))
    written = content.encode("utf-8", "surrogatepass")
    (folder / LEDGER).write_bytes(mutator.of_bytes(written) if mutator.chance(0.2) else written)
    return _request(ConsentJob("list", str(folder)), number)


def _movie(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
    name = mutator.one_of(*MOVIES)
    path = folder / name
    path.write_bytes(mutator.of_bytes(specimens.content(name)))
    return _request(CheckJob(Media(str(path))), number)


def _sound(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
    name = mutator.one_of(*SOUNDS)
    path = folder / name
    path.write_bytes(mutator.of_bytes(specimens.content(name)))
    if mutator.chance(0.5):
        return _request(CheckJob(specimens.footage, Media(str(path))), number)
    output = str(folder / OUTPUT / "dub.mp4")
    return _request(
        DubJob(specimens.path("speaker.s2l"), specimens.footage, Media(str(path), 0.0, 0.08), output), number
    )


def _pictures(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
    name = mutator.one_of(*PICTURES)
    content, places = specimens.content(name), folder / "shots"
    places.mkdir()
    for count in range(4):
        damaged = mutator.of_bytes(content) if count == 1 or mutator.chance(0.3) else content
        (places / name.replace("1", str(count))).write_bytes(damaged)
    return _request(CheckJob(Media(str(places)), specimens.voice), number)


def _head_file(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
    """A head, as the add-on reads it."""
    content, path = specimens.content("head.npz"), folder / "head.npz"
    if mutator.one_of("good", "file", "array", "array") == "array":
        with np.load(io.BytesIO(content)) as file:
            arrays = dict(file)
        name = mutator.one_of(*arrays)
        arrays[name] = mutator.of_array(arrays[name])
        written = io.BytesIO()
        np.savez(written, **arrays)
        content = written.getvalue()
    else:
        content = mutator.one_of(mutator.of_archive, mutator.of_bytes)(content)
    path.write_bytes(content)
    return Input(request(number, "head", json.dumps({"path": str(path)})))


def _record(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
    """A record beside a result, as the add-on reads it when a file is opened."""
    output = str(folder / OUTPUT / "dub.mp4")
    job = DubJob(specimens.path("speaker.s2l"), specimens.footage, specimens.voice, output)
    record = {
        "record": 1,
        "versions": {"speech2lip": "0.1.0", "blender": "5.0.0"},
        "session": "0" * 32,
        "status": "running",
        "name": "Dub Interview",
        "added": "2026-01-01T00:00:00+00:00",
        "estimate": "",
        "outcome": "",
        "target": {
            "scene": "Scene",
            "blend": "",
            "placement": {"scene": "Scene", "footage": "Interview", "sound": "Line", "first": 1, "end": 4},
            "existing": "KEEP",
            "earlier": ["Dub"],
        },
        "result": None,
        "failure": None,
        "job": to_document(job),
    }
    content = mutator.as_text(mutator.of_json(record)).encode("utf-8", "surrogatepass")
    path = folder / OUTPUT / "dub.mp4.job.json"
    path.write_bytes(mutator.of_bytes(content) if mutator.chance(0.2) else content)
    return Input(request(number, "record", json.dumps({"path": str(path)})))


def _answer(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
    """Messages of a worker, as read by the add-on."""
    messages = (
        {
            "method": "progress",
            "params": {"id": 1, "phase": "Dub", "done": 1, "total": 2, "eta_seconds": 1, "note": ""},
        },
        {"method": "preview", "params": {"id": 1, "path": "mouth.png"}},
        {"method": "log", "params": {"id": 1, "level": "info", "text": "Hello."}},
        {"id": 1, "error": {"code": -32000, "message": "No.", "data": {"code": "no_face", "hint": "Look."}}},
        {"id": 1, "result": {"output_path": "dub.mp4"}},
    )
    lines = [mutator.as_text(mutator.of_json(message) if mutator.chance(0.5) else message) for message in messages]
    content = "\n".join(lines[:3] + lines[mutator.one_of(4, 3) :]).encode("utf-8", "surrogatepass") + b"\n"
    path = folder / "answers.txt"
    path.write_bytes(mutator.of_bytes(content) if mutator.chance(0.2) else content)
    return Input(request(number, "answers", json.dumps({"path": str(path)})))


def _words(mutator: Mutator, specimens: Specimens, folder: Path, number: int) -> Input:
    """Arguments of the command line."""
    speaker, nothing = specimens.path("speaker.s2l"), str(folder / "nothing.mp4")
    words = mutator.one_of(
        ["describe", speaker],
        ["describe", speaker, "--picture", str(folder / OUTPUT / "portrait.png")],
        ["dub", speaker, nothing, nothing, str(folder / OUTPUT / "dub.mp4"), "--voice-start", "1", "--rate", "25"],
        ["check", nothing, "--start", "1", "--end", "2", "--face", "0.5", "0.5", "--track", "1"],
        [
            "pose",
            "--model",
            speaker,
            "--footage",
            nothing,
            "--camera",
            nothing,
            "--out",
            str(folder / OUTPUT / "a.mp4"),
        ],
    )
    damaged = [word if isinstance(word, str) else repr(word) for word in mutator.of_json(words)]
    usable = [word.replace("\x00", "").encode("utf-8", "replace").decode() for word in damaged]
    return Input(request(number, "words", json.dumps({"words": [*usable, "--json"]})))


def _request(job: Job, number: int) -> Input:
    return Input(request(number, job.verb, json.dumps(to_document(job))))


def _jobs(specimens: Specimens, output: Path) -> list[Job]:
    """A job of every verb."""
    speaker, footage, voice = specimens.path("speaker.s2l"), specimens.footage, specimens.voice
    dub = DubJob(speaker, footage, voice, str(output / "dub.mp4"))
    mix = Mix(0.08, (Sound(specimens.path("voice.wav"), 0.0, 0.08, (0.0, 0.08)),))
    pictures = Media(str(specimens.folder), pictures=("shot.0001.png", "shot.0001.png"), rate="25")
    view = CameraView(100.0, 100.0, 24.0, 24.0, 48, 48)
    return [
        DescribeJob(speaker, str(output / "portrait.png")),
        InfoJob(),
        CheckJob(footage, voice),
        CheckJob(pictures, voice),
        TrainJob(footage, str(output / "anna.s2l"), consent=True),
        dub,
        dataclasses.replace(dub, voice=mix, encoding=Encoding("png"), output_path=str(output / "pictures")),
        dataclasses.replace(dub, moments=(0.0, 0.04, 0.08), silence_db=(-40.0,), rate="25"),
        PreviewJob(dub, 1, str(output / "preview.png")),
        StillJob(footage, voice, str(output / "still.mp4"), consent=True),
        OffsetJob(footage, voice),
        FacesJob(footage, str(output / "faces")),
        EstimateJob(dub, measure=False),
        EvaluateJob(speaker, footage),
        HeatmapJob(footage, str(output / "heat.png")),
        HeadJob(speaker, footage, str(output / "head.npz")),
        PoseJob(speaker, footage, specimens.path("camera.json"), str(output / "posed.mp4")),
        RenderJob(speaker, footage, 0.08, view, _POSE, str(output / "picture.npy")),
        ConsentJob("list", str(specimens.folder)),
        CalibrateJob(),
    ]


KINDS: dict[str, Kind] = {
    "speaker-describe": Kind(
        _speaker(lambda path, _, output: DescribeJob(path, str(output / "portrait.png"))),
        12,
    ),
    "speaker-render": Kind(
        _speaker(
            lambda path, specimens, output: RenderJob(
                path,
                specimens.footage,
                0.08,
                CameraView(100.0, 100.0, 24.0, 24.0, 48, 48),
                _POSE,
                str(output / "picture.npy"),
            )
        ),
        6,
    ),
    "speaker-dub": Kind(
        _speaker(
            lambda path, specimens, output: DubJob(path, specimens.footage, specimens.voice, str(output / "dub.mp4"))
        ),
        4,
    ),
    "job": Kind(_job, 20, is_bounded=False),
    "line": Kind(_line, 12, LISTENER, is_bounded=False),
    "landmarks": Kind(_landmarks, 4),
    "camera-path": Kind(_camera_path, 5),
    "ledger": Kind(_ledger, 2),
    "movie": Kind(_movie, 6),
    "sound": Kind(_sound, 4),
    "pictures": Kind(_pictures, 3),
    "record": Kind(_record, 8, READER),
    "head-file": Kind(_head_file, 7, READER),
    "answer": Kind(_answer, 4, READER),
    "words": Kind(_words, 3, READER),
}

"""The speaker's file: whole, or refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from s2l_core.canonical.view import CanonicalFace, CanonicalHead, to_tensors
from s2l_core.errors import (
    BadJob,
    CannotWrite,
    FileMissing,
    SpeakerFileBroken,
    SpeakerFileForeign,
    SpeakerFileNewer,
    Speech2LipError,
)
from s2l_core.face.tracking import KnownHead
from s2l_core.geometry.camera import Intrinsics, Rectangle
from s2l_core.geometry.mapping import CanonicalView
from s2l_core.jobs import Architecture
from s2l_core.model import speaker as speaker_file
from s2l_core.model.speaker import SpeakerModel, read_header
from s2l_core.mouth.line_codes import speech_track

CAMERA = Intrinsics.centred(300.0, 128, 128)
HEAD = KnownHead(
    np.random.default_rng(0).normal(0.0, 40.0, (468, 3)),
    np.full(100, 0.5),
    np.array([0.1, 20.0]),
    CAMERA,
    "take",
)


def make_speaker(architecture: Architecture = "grids") -> SpeakerModel:
    torch.manual_seed(0)
    camera = CAMERA
    pose = torch.eye(4)
    pose[2, 3] = 600.0

    def view(rectangle: Rectangle, intrinsics: Intrinsics) -> CanonicalView:
        return CanonicalView(torch.full((rectangle.height, rectangle.width), 600.0), rectangle, intrinsics, pose)

    head = view(Rectangle(20, 10, 88, 110), camera)
    face = CanonicalFace(
        view(Rectangle(40, 70, 48, 36), camera),
        view(Rectangle(10, 20, 44, 24), Intrinsics.centred(150.0, 64, 64)),
        CanonicalHead(head, head.depth > 0, torch.linspace(0, 1, 88).expand(110, 88)),
        (45.0, 75.0, 80.0, 95.0),
    )
    speaker = SpeakerModel.untrained("Ada", face, HEAD, 80, architecture)
    for network in speaker.networks.values():
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    speaker.origin, speaker.metrics = {"seed": 1}, {"mouth_psnr": 30.0}
    return speaker


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ada.s2l"
    make_speaker().save(str(path))
    return path


@pytest.mark.parametrize("architecture", ["grids", "explicit", "paper"])
def test_a_speaker_comes_back_as_it_was_saved(architecture: Architecture, tmp_path: Path) -> None:
    original = make_speaker(architecture)
    original.save(str(tmp_path / "ada.s2l"))
    loaded = SpeakerModel.load(str(tmp_path / "ada.s2l"))
    assert loaded.architecture == architecture
    assert (loaded.name, loaded.origin, loaded.metrics) == ("Ada", {"seed": 1}, {"mouth_psnr": 30.0})
    assert loaded.face.lips.rectangle == original.face.lips.rectangle
    assert loaded.face.mouth_box == original.face.mouth_box
    for name, tensor in to_tensors(original.face).items():
        assert torch.allclose(to_tensors(loaded.face)[name].float(), tensor.float(), rtol=1e-3), name
    for name in ("shape", "noise_px", "acceleration"):
        assert getattr(loaded.known_head, name).tolist() == getattr(HEAD, name).tolist()
    assert (loaded.known_head.intrinsics, loaded.known_head.file) == (HEAD.intrinsics, HEAD.file)
    for name, network in original.networks.items():
        for key, value in network.state_dict().items():
            assert torch.allclose(loaded.networks[name].state_dict()[key], value, atol=1e-3), f"{name}.{key}"
    spoken = torch.zeros(1, 64)
    with torch.no_grad():
        read, saved = (speaker.lip.eval().pixel_painter()(speaker.lip.code(spoken)) for speaker in (loaded, original))
    assert torch.allclose(read, saved, atol=1e-2)


def test_the_source_of_its_speech_features_is_kept_and_must_fit(tmp_path: Path) -> None:
    speaker = SpeakerModel.untrained("Ada", make_speaker().face, HEAD, lip_shape_size=80, bands=5)
    speaker.source = "log-mel"  # which has 80 bands
    speaker.save(str(tmp_path / "ada.s2l"))
    loaded = SpeakerModel.load(str(tmp_path / "ada.s2l"))
    assert (loaded.source, len(loaded.lip.speech.silence)) == ("log-mel", 5)
    with pytest.raises(BadJob, match="log-mel differs from the one used in training"):
        speech_track(loaded, np.zeros(16_000, np.float32))


def test_the_header_can_be_read_alone(path: Path) -> None:
    assert read_header(str(path))["name"] == "Ada"


def test_saving_again_leaves_one_whole_file(path: Path) -> None:
    make_speaker().save(str(path))
    assert [file.name for file in path.parent.iterdir()] == ["ada.s2l"]


def test_an_unwritable_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite):
        make_speaker().save(str(tmp_path / "nowhere" / "ada.s2l"))


def cut_short(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def rewrite_header(path: Path, **changes: object) -> None:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    inner = json.loads(header["__metadata__"]["speech2lip"]) | changes
    header["__metadata__"]["speech2lip"] = json.dumps(inner)
    text = json.dumps(header, separators=(",", ":")).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda path: path.unlink(), FileMissing),
        (lambda path: path.write_bytes(b""), SpeakerFileForeign),
        (lambda path: path.write_bytes(b"PK\x03\x04 something else entirely"), SpeakerFileForeign),
        (lambda path: path.write_bytes((2**62).to_bytes(8, "little") + b"{}"), SpeakerFileForeign),
        (lambda path: cut_short(path, 400), SpeakerFileBroken),
        (lambda path: cut_short(path, path.stat().st_size // 2), SpeakerFileBroken),
        (lambda path: cut_short(path, path.stat().st_size - 1), SpeakerFileBroken),
        (lambda path: rewrite_header(path, schema=speaker_file.SCHEMA_VERSION + 1), SpeakerFileNewer),
        (lambda path: rewrite_header(path, schema="soon"), SpeakerFileBroken),
        (lambda path: rewrite_header(path, face={}), SpeakerFileBroken),
        (lambda path: rewrite_header(path, lip_shape_size=-1), SpeakerFileBroken),
        (lambda path: rewrite_header(path, architecture="paper"), SpeakerFileBroken),
        (lambda path: rewrite_header(path, architecture="another"), SpeakerFileBroken),
    ],
    ids=[
        "missing",
        "empty",
        "foreign",
        "huge header",
        "header",
        "half",
        "last byte",
        "newer",
        "schema",
        "face",
        "size",
        "other architecture",
        "unknown architecture",
    ],
)
def test_damaged_files_are_refused(path: Path, damage: object, error: type[Speech2LipError]) -> None:
    damage(path)  # type: ignore[operator]
    with pytest.raises(error) as caught:
        SpeakerModel.load(str(path))
    assert "ada.s2l" in caught.value.message and caught.value.hint


def test_nothing_else_than_numbers_comes_out_of_a_file(path: Path) -> None:
    speaker = SpeakerModel.load(str(path))
    assert all(np.isfinite(value.numpy()).all() for value in speaker.lip.state_dict().values())

"""What is in a speaker's file is looked at before it is used: every size, every number, and what it says of itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import s2l_core
from s2l_core import tensor_file
from s2l_core.errors import BadJob, FileMissing, SpeakerFileBroken, SpeakerFileForeign, Speech2LipError
from s2l_core.events import Report
from s2l_core.jobs import DescribeJob, EvaluateJob, Media, TrainJob, to_document
from s2l_core.model.speaker import SpeakerModel, read_header, read_portrait
from s2l_core.mouth.dub_frames import open_footage
from s2l_core.mouth.line_codes import open_speech_source
from s2l_core.speech import named_networks

from .test_speaker_file import make_speaker

JOB = to_document(TrainJob(Media("take.mp4"), "ada.s2l", "Ada"))
ORIGIN = {
    "job": JOB,
    "version": "0.1.0",
    "device": "cpu",
    "seconds": 57.0,
    "split": {"train": (0.0, 50.0), "watched": (51.0, 57.0), "held_out": (51.0, 57.0)},
    "fingerprint": "0" * 32,
}
Fields = dict[str, Any]
Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a speaker's file."""
    speaker = make_speaker()
    speaker.origin, speaker.metrics = dict(ORIGIN), {"mouth_psnr": 30.0, "mean_image_psnr": 27.0}
    speaker.identity = np.append(np.full(128, 0.1), np.nan)  # of landmarks without depth
    speaker.portrait = cv2.imencode(".jpg", np.full((90, 80, 3), 90, np.uint8))[1].tobytes()
    path = tmp_path_factory.mktemp("whole") / "ada.s2l"
    speaker.save(str(path))
    return path.read_bytes()


def change(whole: bytes, folder: Path, alter: Callable[[Fields, Tensors], object]) -> str:
    """A file whose header and tensors were changed by somebody who also knows how its checksum is made."""
    length = int.from_bytes(whole[:8], "little")
    fields = json.loads(tensor_file.parse_header(whole[8 : 8 + length], "speech2lip", 0).text)
    tensors = safetensors.torch.load(whole)
    alter(fields, tensors)
    path = folder / "ada.s2l"
    path.write_bytes(tensor_file.pack(tensors, "speech2lip", fields))
    return str(path)


def test_a_file_that_was_not_changed_is_read(whole: bytes, tmp_path: Path) -> None:
    path = change(whole, tmp_path, lambda fields, tensors: None)
    speaker = SpeakerModel.load(path)
    assert Path(path).read_bytes() == whole
    assert speaker.identity is not None and np.isnan(speaker.identity[-1])


def test_files_of_earlier_versions_have_no_checksum(whole: bytes, tmp_path: Path) -> None:
    path = change(whole, tmp_path, lambda fields, tensors: None)
    header, tensors = read_header(path), safetensors.torch.load(whole)
    del header["checksum"]
    Path(path).write_bytes(safetensors.torch.save(tensors, {"speech2lip": json.dumps(header)}))
    assert SpeakerModel.load(path).name == "Ada"


@pytest.mark.parametrize("share", [0.001, 0.01, 0.2, 0.5, 0.8, 0.999])
def test_a_bit_that_was_lost_is_noticed(whole: bytes, tmp_path: Path, share: float) -> None:
    damaged = bytearray(whole)
    damaged[int(share * len(whole))] ^= 1
    path = tmp_path / "ada.s2l"
    path.write_bytes(damaged)
    with pytest.raises((SpeakerFileBroken, SpeakerFileForeign)):
        SpeakerModel.load(str(path))


def put(name: str, value: float) -> Callable[[Fields, Tensors], None]:
    def alter(fields: Fields, tensors: Tensors) -> None:
        tensors[name].view(-1)[-2 if name == "identity" else -1] = value

    return alter


NUMBERS = (
    "lip.basis",
    "lip.base",
    "lip.speech.silence",
    "lip.speech.layers.0.weight",
    "look.weights",
    "blend.enter.0.bias",
    "head_blend.residual.bias",
    "lips.depth",
    "head.confidence",
    "known_head.shape",
    "known_head.noise_px",
    "known_head.acceleration",
    "identity",
)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e38, -1e6])
def test_every_tensor_holds_numbers_that_cannot_overflow(whole: bytes, tmp_path: Path, name: str, value: float) -> None:
    with pytest.raises(SpeakerFileBroken, match="cut short or damaged"):
        SpeakerModel.load(change(whole, tmp_path, put(name, value)))


@pytest.mark.parametrize(
    "alter",
    [
        lambda fields, tensors: tensors.pop("look.weights"),
        lambda fields, tensors: tensors.pop("lip.speech.silence"),
        lambda fields, tensors: tensors.pop("head.mask"),
        lambda fields, tensors: tensors.update(another=torch.zeros(3)),
        lambda fields, tensors: tensors.update({"lip.basis": tensors["lip.basis"].float()}),
        lambda fields, tensors: tensors.update({"lip.basis": tensors["lip.basis"][:, :, 1:].contiguous()}),
        lambda fields, tensors: tensors.update({"head.mask": tensors["head.mask"].float()}),
        lambda fields, tensors: tensors.update({"known_head.shape": tensors["known_head.shape"].float()}),
        lambda fields, tensors: tensors.update({"known_head.shape": torch.zeros(469, 3, dtype=torch.float64)}),
        lambda fields, tensors: tensors.update({"known_head.noise_px": torch.zeros(0, dtype=torch.float64)}),
        lambda fields, tensors: tensors["known_head.shape"].fill_(1.0),
        lambda fields, tensors: tensors["known_head.shape"][:, 1:].fill_(0.0),
        lambda fields, tensors: tensors["known_head.noise_px"].fill_(0.0),
        lambda fields, tensors: tensors["known_head.acceleration"].fill_(1e-300),
        lambda fields, tensors: tensors.update({"lip.speech.silence": torch.zeros(80, 1)}),
        lambda fields, tensors: tensors.update({"lip.speech.silence": torch.zeros(5000)}),
        lambda fields, tensors: tensors["lip.speech.mel_scale"].fill_(0.0),
        lambda fields, tensors: tensors["head.depth"].fill_(0.0),
        lambda fields, tensors: tensors["head.mask"][:-4].fill_(False),
        lambda fields, tensors: tensors["head.confidence"].fill_(1.5),
        lambda fields, tensors: tensors["head.confidence"].fill_(-0.5),
        lambda fields, tensors: tensors.update(identity=torch.zeros(128)),
        lambda fields, tensors: tensors.update(portrait=torch.zeros(10)),
        lambda fields, tensors: tensors.update(portrait=torch.zeros(5_000_000, dtype=torch.uint8)),
        lambda fields, tensors: fields.update(name=3),
        lambda fields, tensors: fields.update(name="a\0b"),
        lambda fields, tensors: fields.update(name="\ud800"),
        lambda fields, tensors: fields.update(name="a" * 100_000),
        lambda fields, tensors: fields.update(source=["log-mel"]),
        lambda fields, tensors: fields.update(source="a\0b"),
        lambda fields, tensors: fields.update(lip_shape_size=10**12),
        lambda fields, tensors: fields.update(lip_shape_size=True),
        lambda fields, tensors: fields.update(architecture=["grids"]),
        lambda fields, tensors: fields.update(origin=3),
        lambda fields, tensors: fields.update(metrics="none"),
        lambda fields, tensors: fields.pop("pauses"),
        lambda fields, tensors: fields.update(pauses=[]),
        lambda fields, tensors: fields["pauses"].update(closing=[1.0]),
        lambda fields, tensors: fields["pauses"]["closing"].update(strength=2.0),
        lambda fields, tensors: fields["pauses"]["closing"].update(extra=0.0),
        lambda fields, tensors: fields["pauses"].update(level_db=10**39),
        lambda fields, tensors: fields["known_head"].update(camera=[1, 2, 3]),
        lambda fields, tensors: fields["known_head"].update(camera=[300.0, 300.0, 64.0, 64.0, 10**12, 128]),
        lambda fields, tensors: fields["known_head"].update(camera=[0.0, 300.0, 64.0, 64.0, 128, 128]),
        lambda fields, tensors: fields["known_head"].update(camera=[300.0, 1e-300, 64.0, 64.0, 128, 128]),
        lambda fields, tensors: fields["known_head"].update(camera=[300.0, 300.0, 64.0, "nan", 128, 128]),
        lambda fields, tensors: fields["known_head"].update(camera=[300.0, 300.0, None, 64.0, 128, 128]),
        lambda fields, tensors: fields["known_head"].update(file=["take"]),
        lambda fields, tensors: fields["face"].update(lips=[]),
        lambda fields, tensors: fields["face"].update(mouth_box=[1, 2]),
        lambda fields, tensors: fields["face"].update(mouth_box=[80.0, 75.0, 45.0, 95.0]),
        lambda fields, tensors: fields["face"].update(mouth_box=[40.0, 75.0, 89.0, 95.0]),
        lambda fields, tensors: fields["face"]["lips"]["intrinsics"].__setitem__(0, 7.0),
        lambda fields, tensors: fields["face"]["lips"].update(pose=[[1.0] * 4] * 4),
        lambda fields, tensors: fields["face"]["lips"].update(pose=[[None] * 4] * 4),
        lambda fields, tensors: fields["face"]["lips"].update(rectangle=[40, 70, 10**9, 10**9]),
        lambda fields, tensors: fields["face"]["lips"].update(rectangle=[40, 70, 36, 48]),
        lambda fields, tensors: fields["face"]["lips"].update(rectangle=[40.5, 70, 48, 36]),
        lambda fields, tensors: fields["face"]["head"].update(rectangle=[-(10**30), 10, 88, 110]),
    ],
)
def test_what_does_not_fit_together_is_refused(
    whole: bytes, tmp_path: Path, alter: Callable[[Fields, Tensors], object]
) -> None:
    with pytest.raises(SpeakerFileBroken, match="cut short or damaged"):
        SpeakerModel.load(change(whole, tmp_path, alter))


@pytest.mark.parametrize(
    "header",
    [
        b'{"__metadata__":{"speech2lip":' + b"[" * 200_000,
        b'{"__metadata__":{"speech2lip":"' + b"9" * 5000 + b'"}}',
        b'{"__metadata__":{"speech2lip":"{\\"schema\\":' + b"9" * 39 + b'}"}}',
        b'{"__metadata__":{"speech2lip":"{\\"schema\\":NaN}"}}',
        b'{"__metadata__":{"speech2lip":"{\\"schema\\":true}"}}',
        b'{"__metadata__":{"speech2lip":"[]"}}',
        b'{"__metadata__":{"speech2lip":3}}',
        b'{"__metadata__":{"speech2lip":"\\ud800"}}',
        b'{"__metadata__":{"speech2lip":"{}"},"a":{"dtype":[],"shape":[1],"data_offsets":[0,4]}}',
        b'{"__metadata__":{"speech2lip":"{}"},"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        b'{"__metadata__":{"speech2lip":"{}"},"a":{"dtype":"F32","shape":%a,"data_offsets":[0,4]}}' % ([10**30] * 9),
        b'{"__metadata__":{"speech2lip":"\xff"}}',
    ],
)
def test_headers_that_are_none_are_refused_alike_by_all_who_read_them(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ada.s2l"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    for read in (SpeakerModel.load, read_header, lambda path: s2l_core.describe(DescribeJob(path))):
        with pytest.raises(Speech2LipError) as caught:
            read(str(path))
        assert caught.value.code in {"speaker_file_broken", "speaker_file_newer"}
        assert len(caught.value.message) < len(str(path)) + 200


def test_a_header_is_not_read_beyond_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "ada.s2l"
    with path.open("wb") as file:
        file.write((2**40).to_bytes(8, "little") + b'{"__metadata__":{"speech2lip":"')
        file.truncate(2**36)  # takes no room on the disk
    for read in (SpeakerModel.load, read_header, read_portrait):
        with pytest.raises(SpeakerFileBroken):
            read(str(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_no_speaker(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ada.s2l")
    for read in (SpeakerModel.load, read_header, read_portrait):
        with pytest.raises(FileMissing):
            read(str(tmp_path / "ada.s2l"))


def test_networks_get_no_memory_before_the_file_has_numbers_for_them(whole: bytes, tmp_path: Path) -> None:
    """Lips of 1000 x 1000 pixels would take 770 MB."""

    def enlarge(fields: Fields, tensors: Tensors) -> None:
        fields["face"]["lips"]["rectangle"] = [0, 0, 1000, 1000]
        tensors["lips.depth"] = torch.full((1000, 1000), 600.0)

    path = change(whole, tmp_path, enlarge)
    program = (
        "import resource, sys\n"
        "from s2l_core.errors import SpeakerFileBroken\n"
        "from s2l_core.model.speaker import SpeakerModel\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    SpeakerModel.load(sys.argv[1])\n"
        "except SpeakerFileBroken:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    pytest.importorskip("resource")
    grown = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True).stdout
    assert int(grown) < 150_000  # kB


JUNK = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(10**39), st.just("\0")
    ),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(st.data())
def test_whatever_stands_in_a_header_a_file_is_read_or_refused(
    whole: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    def alter(fields: Fields, tensors: Tensors) -> None:
        at: Any = fields
        while True:
            name = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            if not isinstance(at[name], dict | list) or not at[name] or data.draw(st.booleans()):
                break
            at = at[name]
        at[name] = data.draw(JUNK)

    path = change(whole, tmp_path, alter)
    for read in (SpeakerModel.load, lambda path: s2l_core.describe(DescribeJob(path))):
        try:
            read(path)
        except Speech2LipError as error:
            assert error.code.startswith("speaker_file_")


@pytest.mark.parametrize(
    "alter",
    [
        lambda origin: origin.pop("job"),
        lambda origin: origin.update(job={"verb": "info"}),
        lambda origin: origin.update(job=to_document(DescribeJob("ada.s2l"))),
        lambda origin: origin.update(job=JOB | {"seed": -1}),
        lambda origin: origin.update(split={}),
        lambda origin: origin.update(split={"train": [1.0], "held_out": [1.0, 2.0]}),
        lambda origin: origin.update(split={"train": [0.0, 50.0], "held_out": [57.0, 51.0]}),
        lambda origin: origin.update(split={"train": [0.0, 10**39], "held_out": [51.0, 57.0]}),
        lambda origin: origin.update(seconds=None),
        lambda origin: origin.update(seconds=10**39),
        lambda origin: origin.update(version=["0.1.0"]),
        lambda origin: origin.update(version="0" * 100_000),
        lambda origin: origin.update(device={"cpu": "cuda"}),
    ],
)
def test_a_training_that_is_none_is_neither_described_nor_measured(
    whole: bytes, tmp_path: Path, alter: Callable[[Fields], object]
) -> None:
    path = change(whole, tmp_path, lambda fields, tensors: alter(fields["origin"]))
    with pytest.raises(SpeakerFileBroken, match="does not say what it was trained on"):
        s2l_core.describe(DescribeJob(path))
    with pytest.raises(BadJob, match="does not say what it was trained on"):
        s2l_core.evaluate(EvaluateJob(path))


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 10**39, True, "high", [1.0]])
def test_a_figure_that_is_no_number_is_not_known(whole: bytes, tmp_path: Path, value: object) -> None:
    path = change(whole, tmp_path, lambda fields, tensors: fields["metrics"].update(mouth_psnr=value))
    facts = s2l_core.describe(DescribeJob(path))
    assert facts["mouth_psnr"] == (1e39 if value == 10**39 and value is not True else None)
    json.dumps(facts, allow_nan=False)


def test_lips_and_head_of_different_landmarks_are_refused_before_footage_is_looked_at(
    whole: bytes, tmp_path: Path
) -> None:
    shape = "known_head.shape"
    path = change(whole, tmp_path, lambda fields, tensors: tensors.update({shape: tensors[shape][:68].clone()}))
    with pytest.raises(BadJob, match="different landmark model"):
        open_footage(Media("nowhere.mp4"), "bundled", SpeakerModel.load(path), torch.device("cpu"), Report())


def test_a_landmark_model_that_only_the_file_names_is_not_opened(whole: bytes, tmp_path: Path) -> None:
    job = JOB | {"landmarks": "/theirs/face.task"}
    path = change(whole, tmp_path, lambda fields, tensors: fields["origin"].update(job=job))
    with pytest.raises(BadJob, match=r"/theirs/face\.task") as caught:
        s2l_core.evaluate(EvaluateJob(path))
    assert "--landmarks" in caught.value.hint


def test_a_speech_network_that_only_the_file_names_is_not_opened(
    whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setattr(named_networks, "_named", {})
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    for folder in (theirs, mine):
        folder.mkdir()
    opened = []

    def open_source(name: str, device: str) -> Any:
        opened.append(name)
        return type("Source", (), {"bands": 80})

    monkeypatch.setattr("s2l_core.mouth.line_codes.open_source", open_source)
    path = change(whole, tmp_path, lambda fields, tensors: fields.update(source=f"{theirs}#9"))
    speaker = SpeakerModel.load(path)
    with pytest.raises(BadJob, match="was not approved on this machine"):
        open_speech_source(speaker)
    assert opened == []
    open_speech_source(speaker, str(mine))
    open_speech_source(speaker)
    assert opened == [f"{mine}#9"] * 2


@pytest.mark.parametrize("height", [0, 5000, 65_535])
def test_a_portrait_of_more_pixels_than_a_portrait_has_is_left_out(whole: bytes, tmp_path: Path, height: int) -> None:
    def enlarge(fields: Fields, tensors: Tensors) -> None:
        portrait = bytearray(tensors["portrait"].numpy().tobytes())
        place = portrait.index(b"\xff\xc0") + 5
        portrait[place : place + 2] = height.to_bytes(2, "big")
        tensors["portrait"] = torch.frombuffer(portrait, dtype=torch.uint8)

    path = change(whole, tmp_path, enlarge)
    assert s2l_core.describe(DescribeJob(path, str(tmp_path / "ada.png")))["picture_path"] == ""

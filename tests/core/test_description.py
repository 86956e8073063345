"""What a speaker file tells about itself, for a library of speakers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import s2l_core
from s2l_core.canonical.view import CanonicalFace, CanonicalHead
from s2l_core.errors import SpeakerFileBroken
from s2l_core.face.tracking import KnownHead
from s2l_core.geometry.camera import Intrinsics, Rectangle
from s2l_core.geometry.mapping import CanonicalView
from s2l_core.jobs import DescribeJob, Media, TrainJob, to_document
from s2l_core.model.speaker import SpeakerModel
from s2l_core.verbs.describe import judge

METRICS = {"mouth_psnr": 31.0, "mean_image_psnr": 27.0, "opening_correlation": 0.9, "lmd": None}
SHAPE = np.random.default_rng(0).normal(0.0, 40.0, (468, 3))
KNOWN_HEAD = KnownHead(SHAPE, np.ones(100), np.ones(2), Intrinsics.centred(300.0, 128, 128), "take")
PORTRAIT = cv2.imencode(".jpg", np.full((200, 160, 3), 90, np.uint8))[1].tobytes()


@pytest.fixture
def speaker() -> SpeakerModel:
    camera = Intrinsics.centred(300.0, 128, 128)

    def view(rectangle: Rectangle) -> CanonicalView:
        return CanonicalView(torch.full((rectangle.height, rectangle.width), 600.0), rectangle, camera, torch.eye(4))

    head = view(Rectangle(20, 10, 88, 110))
    head_of = CanonicalHead(head, head.depth > 0, torch.zeros(110, 88))
    face = CanonicalFace(
        view(Rectangle(40, 70, 48, 36)), view(Rectangle(10, 20, 44, 24)), head_of, (45.0, 75.0, 80.0, 95.0)
    )
    speaker = SpeakerModel.untrained("Ada", face, KNOWN_HEAD, 80)
    job = TrainJob(Media("take.mp4"), "ada.s2l", "Ada", preset="draft", seed=4, consent=True)
    split = {"train": (0.0, 50.0), "held_out": (51.0, 57.0)}
    speaker.origin = {"job": to_document(job), "version": "0.1.0", "device": "cpu", "seconds": 57.0, "split": split}
    speaker.metrics, speaker.portrait = dict(METRICS), PORTRAIT
    return speaker


def describe(speaker: SpeakerModel, folder: Path, picture: str = "") -> dict[str, Any]:
    speaker.save(str(folder / "ada.s2l"))
    return s2l_core.describe(DescribeJob(str(folder / "ada.s2l"), picture))


def test_it_tells_what_training_knew(speaker: SpeakerModel, tmp_path: Path) -> None:
    facts = describe(speaker, tmp_path)
    wanted = {
        "name": "Ada",
        "footage_path": "take.mp4",
        "footage_seconds": 57.0,
        "trained_seconds": 50.0,
        "quality": "good",
        "mouth_psnr": 31.0,
        "lmd": None,
        "preset": "draft",
        "architecture": "grids",
        "seed": 4,
        "device": "cpu",
        "version": "0.1.0",
        "consent": True,
        "picture_path": "",
    }
    assert facts | wanted == facts


@pytest.mark.parametrize("name", ["ada.png", "ada.jpg"])
def test_it_writes_the_portrait(speaker: SpeakerModel, tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    assert describe(speaker, tmp_path, path)["picture_path"] == path
    picture = cv2.imread(path)
    assert picture is not None and picture.shape == (200, 160, 3)
    assert SpeakerModel.load(str(tmp_path / "ada.s2l")).portrait == PORTRAIT


@pytest.mark.parametrize("portrait", [b"", b"no picture"])
def test_without_a_portrait_no_picture_is_written(speaker: SpeakerModel, tmp_path: Path, portrait: bytes) -> None:
    speaker.portrait = portrait
    assert describe(speaker, tmp_path, str(tmp_path / "ada.png"))["picture_path"] == ""
    assert not (tmp_path / "ada.png").exists()


def test_a_file_that_does_not_say_where_it_comes_from_is_refused(speaker: SpeakerModel, tmp_path: Path) -> None:
    speaker.origin = {}
    with pytest.raises(SpeakerFileBroken, match="does not say"):
        describe(speaker, tmp_path)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "good"),
        ({"opening_correlation": 0.6}, "usable"),
        ({"mouth_psnr": 27.2}, "usable"),
        ({"mouth_psnr": 26.0}, "poor"),
        ({"opening_correlation": 0.2}, "poor"),
        ({"opening_correlation": None}, "poor"),
        ({"opening_correlation": "high"}, "poor"),
    ],
)
def test_quality_is_a_word(changes: dict[str, Any], word: str) -> None:
    assert judge({**METRICS, **changes}) == word

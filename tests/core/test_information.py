"""What the engine says of itself."""

from __future__ import annotations

import json

import pytest
import torch

from s2l_core.errors import DeviceUnavailable
from s2l_core.jobs import InfoJob
from s2l_core.verbs.info import info
from s2l_core.version import VERSION


def test_the_engine_names_its_versions_devices_and_landmarks() -> None:
    answer = info(InfoJob())
    assert answer["version"] == VERSION
    assert answer["torch"] == torch.__version__
    assert answer["devices"][0] == "cpu"
    assert "bundled" in answer["landmarks"]
    assert json.loads(json.dumps(answer)) == answer


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert info(InfoJob("auto"))["device"] == "cpu"
    with pytest.raises(DeviceUnavailable):
        info(InfoJob("cuda"))


def test_auto_takes_the_graphics_card_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Some GPU")
    assert info(InfoJob("auto"))["device"] == "cuda"
    assert info(InfoJob("cpu"))["device"] == "cpu"
    assert info(InfoJob("auto"))["devices"] == ["cpu", "Some GPU"]

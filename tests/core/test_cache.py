"""What has been computed is kept: whole results, and rows of what takes long."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from s2l_core.cache import NO_CACHE, AppendLog, Cache
from s2l_core.errors import Cancelled
from s2l_core.events import Event, Progress, Report
from s2l_core.footage import prepare
from s2l_core.jobs import Media
from s2l_core.training.checkpoint import resumable_steps

SPEAKER = Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4"


@pytest.fixture
def here(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


@pytest.fixture
def saving_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cache", "training.checkpoint"):
        monkeypatch.setattr(f"s2l_core.{module}.SAVE_SECONDS", -1.0)


def test_a_result_is_computed_once(here: Cache) -> None:
    counts = itertools.count()
    results = [here.get_or_compute("depth", lambda: {"depth": torch.tensor([next(counts)])}) for _ in range(2)]
    assert [int(result["depth"]) for result in results] == [0, 0]
    assert int(NO_CACHE.get_or_compute("depth", lambda: {"depth": torch.tensor([next(counts)])})["depth"]) == 1


def test_that_nothing_was_found_is_kept(here: Cache) -> None:
    nothing = torch.empty_strided((0,), (0,), dtype=torch.int64)  # as NumPy's empty arrays come to PyTorch
    here.save("faces", {"frames": nothing})
    assert (recalled := here.load("faces")) is not None and recalled["frames"].shape == nothing.shape


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\xff" * 100])
def test_what_cannot_be_read_is_computed_again(here: Cache, damage: bytes) -> None:
    here.save("depth", {"depth": torch.zeros(3)})
    path = here.path("depth")
    assert path is not None
    path.write_bytes(damage)
    assert here.load("depth") is None


@pytest.mark.parametrize("place", [20, 60, -1, -7])
def test_a_bit_that_was_lost_is_noticed(here: Cache, place: int) -> None:
    here.save("depth", {"depth": torch.zeros(3)})
    path = here.path("depth")
    assert path is not None
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)
    assert here.load("depth") is None


@pytest.mark.parametrize(
    "metadata", [None, {"kept": "{}"}, {"kept": "3"}, {"kept": "["}, {"kept": '{"checksum": ""}'}, {"state": "{}"}]
)
def test_what_somebody_else_has_put_there_is_computed_again(here: Cache, metadata: dict[str, str] | None) -> None:
    path = here.path("depth")
    assert path is not None
    path.write_bytes(safetensors.torch.save({"height": torch.zeros(3)}, metadata))
    assert here.get_or_compute("depth", lambda: {"depth": torch.ones(1)})["depth"].tolist() == [1.0]


@pytest.mark.parametrize(
    "part",
    [
        {"number": torch.zeros(0)},
        {"number": torch.tensor(1)},
        {"number": torch.zeros(2), "place": torch.zeros(3)},
        {"place": torch.zeros(2)},
    ],
    ids=["no rows", "no dimension", "unequal", "another name"],
)
def test_rows_that_do_not_fit_the_others_are_found_again(
    here: Cache, saving_at_once: None, part: dict[str, torch.Tensor]
) -> None:
    AppendLog(here, "frames").add(number=torch.arange(2))
    here.save("frames-2", part)
    assert AppendLog(here, "frames").count == 2


def test_rows_go_on_after_the_last_that_were_written(here: Cache, saving_at_once: None) -> None:
    rows = AppendLog(here, "frames")
    for first in (0, 2, 4):
        rows.add(number=torch.arange(first, first + 2))
    assert AppendLog(here, "frames").count == 6
    path = here.path("frames-4")
    assert path is not None
    path.unlink()
    again = AppendLog(here, "frames")
    again.add(number=torch.tensor([9]))
    assert again.all()["number"].tolist() == [0, 1, 2, 3, 9]


def test_what_nobody_used_for_long_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    old, used = Cache.of("test", 1), Cache.of("test", 2)
    assert old.folder is not None and used.folder is not None
    for folder in (old.folder, used.folder):
        os.utime(folder, (0, 0))
    Cache.of("test", 2)
    assert used.folder.is_dir() and not old.folder.exists()


def learn(here: Cache, cut: int | None = None) -> list[float]:
    """A small fit with dropout and a schedule, cut at a step."""
    torch.manual_seed(3)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    optimiser = torch.optim.AdamW(network.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.01, total_steps=20)
    random = np.random.default_rng(0)
    for step in resumable_steps(here, "steps")(20, network, optimiser, random):
        if step == cut:
            return []
        schedule.last_epoch = step
        optimiser.zero_grad()
        network(torch.from_numpy(random.normal(size=(5, 4)).astype(np.float32))).square().mean().backward()
        optimiser.step()
        schedule.step()
    return [value for parameter in network.parameters() for value in parameter.flatten().tolist()]


@pytest.mark.parametrize("cut", [1, 11, 19])
def test_a_fit_goes_on_and_ends_bit_equal(here: Cache, saving_at_once: None, cut: int) -> None:
    whole = learn(NO_CACHE)
    learn(here, cut)
    assert learn(here) == whole


def test_finding_a_face_goes_on_and_ends_bit_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saving_at_once: None
) -> None:
    media = Media(str(SPEAKER), 1.0, 3.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "whole"))
    whole = prepare(media)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cut"))
    heard: list[Event] = []

    def is_far() -> bool:
        return len(heard) >= 20

    with pytest.raises(Cancelled):
        prepare(media, report=Report(heard.append, is_far))
    again: list[Event] = []
    footage = prepare(media, report=Report(again.append))
    assert (
        sum(isinstance(event, Progress) and event.phase == "Find face" for event in again) < 90
    )  # of a hundred frames
    assert np.array_equal(footage.times, whole.times)
    assert np.array_equal(footage.landmarks, whole.landmarks)
    assert np.array_equal(footage.track.poses, whole.track.poses)
    assert footage.track.intrinsics == prepare(media).track.intrinsics

"""A training that was interrupted goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import safetensors.torch
import torch
from platformdirs import user_cache_path
from torch import Tensor, nn

from s2l_core.cache import Cache
from s2l_core.errors import Cancelled, MatteUnavailable, SpeechFeaturesUnavailable
from s2l_core.events import Event, Log, Progress, Report
from s2l_core.footage import Footage
from s2l_core.jobs import Architecture, Media, TrainJob
from s2l_core.training import split
from s2l_core.training.checkpoint import Checkpoint
from s2l_core.training.loop import Loop, Stage, one_cycle
from s2l_core.training.losses import Weights
from s2l_core.training.presets import Preset
from s2l_core.verbs import train as training

SPEAKER = Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4"
FIRST, SECOND = "Learn first", "Learn second"
STEPS = 40


class PowerCut(Exception):
    """What ends a process without asking it."""


def make_network() -> nn.Module:
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))


def learn(
    checkpoint: Checkpoint,
    network: nn.Module | None = None,
    report: Report | None = None,
    seed: int = 0,
    cut: tuple[str, int] | None = None,
    patience: float | None = None,
    watch: Callable[[], float] = lambda: 20.0,
    phases: tuple[str, ...] = (FIRST, SECOND),
) -> dict[str, Tensor]:
    """A small training, the power cut at a step of one of its stages; returns what was learnt."""
    network = network or make_network()
    loop = Loop({"small": network}, seed, checkpoint, watch, report or Report())
    for phase, layer in zip(phases, (0, 2), strict=False):
        taken = 0

        def loss(random: np.random.Generator, phase: str = phase) -> Tensor:
            nonlocal taken
            if cut == (phase, taken):
                raise PowerCut
            taken += 1
            inputs = torch.from_numpy(random.normal(size=(16, 3)).astype(np.float32))
            return (network(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean()

        torch.rand(3)  # what prepares a stage may draw numbers
        parameters = list(network[layer].parameters())  # type: ignore[index]
        loop.run(Stage(phase, STEPS, [(parameters, 0.01)], loss, patience=patience))
    return {name: value.clone() for name, value in network.state_dict().items()}


def cancel_at(phase: str, step: int, heard: list[Event] | None = None) -> Report:
    """A report whose caller cancels at a step of a phase."""
    events: list[Event] = [] if heard is None else heard

    def is_there() -> bool:
        return any(isinstance(event, Progress) and (event.phase, event.done) == (phase, step - 1) for event in events)

    return Report(events.append, is_there)


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "interrupted.safetensors")


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Tensor]:
    """What an uninterrupted training ends with."""
    return learn(Checkpoint(tmp_path / "whole.safetensors"))


@pytest.mark.parametrize("phase", [FIRST, SECOND])
@pytest.mark.parametrize("step", [1, 17])
def test_a_cancelled_training_goes_on_and_ends_bit_equal(
    checkpoint: Checkpoint, whole: dict[str, Tensor], phase: str, step: int
) -> None:
    with pytest.raises(Cancelled):
        learn(checkpoint, report=cancel_at(phase, step))
    heard: list[Event] = []
    assert_equal(learn(checkpoint, report=Report(heard.append)), whole)
    assert isinstance(heard[0], Log) and "Resuming" in heard[0].text
    assert next((event.phase, event.done) for event in heard if isinstance(event, Progress)) == (phase, step)


def test_after_a_power_cut_it_goes_on_from_the_last_checkpoint(
    checkpoint: Checkpoint, whole: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2l_core.training.loop.SAVE_SECONDS", -1.0)
    with pytest.raises(PowerCut):
        learn(checkpoint, cut=(FIRST, 9))
    with pytest.raises(PowerCut):
        learn(checkpoint, cut=(SECOND, 0))
    assert_equal(learn(checkpoint), whole)


def test_where_nothing_can_be_kept_it_learns_the_same(whole: dict[str, Tensor]) -> None:
    assert_equal(learn(Checkpoint(None)), whole)


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_broken_checkpoint_is_ignored_with_a_line_in_the_log(
    checkpoint: Checkpoint, whole: dict[str, Tensor], keep: int
) -> None:
    with pytest.raises(Cancelled):
        learn(checkpoint, report=cancel_at(SECOND, 5))
    assert checkpoint.path is not None
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:keep])
    heard: list[Event] = []
    assert_equal(learn(checkpoint, report=Report(heard.append)), whole)
    assert isinstance(heard[0], Log) and heard[0].level == "warning"


def test_the_checkpoint_of_other_networks_is_ignored(checkpoint: Checkpoint, whole: dict[str, Tensor]) -> None:
    with pytest.raises(Cancelled):
        learn(checkpoint, nn.Sequential(nn.Linear(3, 9), nn.Dropout(), nn.Linear(9, 1)), cancel_at(SECOND, 5))
    assert_equal(learn(checkpoint), whole)


def test_another_seed_ends_with_other_numbers(checkpoint: Checkpoint, whole: dict[str, Tensor]) -> None:
    assert not torch.equal(learn(checkpoint, seed=1)["0.weight"], whole["0.weight"])


def test_what_is_kept_is_named_by_all_that_it_is_told() -> None:
    long = np.zeros(10_000)
    other = long.copy()
    other[5000] = 1e-9  # numpy would not print it
    names = [Cache.of("test", *identity) for identity in (("a", long, 0), ("a", long.copy(), 0), ("a", other, 0))]
    assert names[0] == names[1] != names[2]
    assert Cache.of("test", "a", long, 1) not in names


def test_a_stage_stops_where_the_figure_no_longer_rises_and_keeps_the_best_weights(checkpoint: Checkpoint) -> None:
    network = make_network()
    figures = iter([20.0, 22.0, *[21.0] * 100])
    seen: list[Tensor] = []

    def watch() -> float:
        seen.append(network[0].weight.detach().clone())  # type: ignore[index]
        return next(figures)

    heard: list[Event] = []
    learnt = learn(checkpoint, network, Report(heard.append), patience=0.25, watch=watch, phases=(FIRST,))
    *steps, end = [event.done for event in heard if isinstance(event, Progress)]
    assert steps == list(range(14))  # the best was seen before step 2; a quarter of the steps later it was enough
    assert end == STEPS
    assert torch.equal(learnt["0.weight"], seen[1])


def test_early_stopping_survives_an_interruption(checkpoint: Checkpoint, tmp_path: Path) -> None:
    def patient(where: Checkpoint, report: Report | None = None) -> dict[str, Tensor]:
        network = make_network()
        reference = torch.tensor([[0.3, 0.1, 0.2]])

        def watch() -> float:
            return -float((network(reference) - 0.6).abs())

        return learn(where, network, report, patience=0.3, watch=watch)

    with pytest.raises(Cancelled):
        patient(checkpoint, cancel_at(FIRST, 7))
    assert_equal(patient(checkpoint), patient(Checkpoint(tmp_path / "whole.safetensors")))


def test_the_learning_rate_goes_up_and_down_once() -> None:
    rates = np.array([one_cycle(share) for share in np.linspace(0, 1, 101)])
    assert rates[0] == pytest.approx(1e-3) and rates[-1] == pytest.approx(1e-3)
    assert rates.argmax() == 10 and rates.max() == pytest.approx(1.0)
    assert (np.diff(rates[:11]) > 0).all() and (np.diff(rates[10:]) < 0).all()


PIXELS = Weights(lip_perceptual=0.0, frame_perceptual=0.0, depth=0.0, sync=0.0)
TINY = Preset(6, depth_steps=0, speech_factor=0.05, look=False, weights=PIXELS)


@pytest.fixture(scope="module")
def seen_once() -> Iterator[None]:
    """Lets all trainings of this module share their looks at the footage, and measures none of them."""

    def once(function: Callable[..., Any]) -> Callable[..., Any]:
        results: dict[str, Any] = {}

        def call(*arguments: Any, **options: Any) -> Any:
            if str(options) not in results:
                results[str(options)] = function(*arguments, **options)
            return results[str(options)]

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("prepare", "observe"):
            patch.setattr(training, name, once(getattr(training, name)))
        patch.setattr(training, "measure", lambda *arguments: {})
        yield


def train(path: Path, report: Report | None = None, preset: Preset = TINY, **changes: Any) -> dict[str, Tensor]:
    job = TrainJob(Media(str(SPEAKER), 0.0, 20.0), str(path), device="cpu", preset="draft", consent=True)
    training.train(replace(job, **changes), report, preset)
    return safetensors.torch.load_file(path)


@pytest.fixture
def nothing_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def kept() -> list[str]:
    """What is kept of all trainings: the names of the files."""
    return sorted(path.name for path in user_cache_path("speech2lip").glob("trainings/*/*"))


@pytest.mark.parametrize(
    ("architecture", "moments"),
    [
        ("exemplars", [("Collect mouths", 4), ("Learn speech", 4), ("Learn speech", 9)]),
        ("grids", [("Learn speech", 4), ("Learn appearance", 3)]),
    ],
    ids=["exemplars", "grids"],
)
def test_a_speaker_is_the_same_after_interruptions_in_each_stage(
    seen_once: None, nothing_kept: None, tmp_path: Path, architecture: Architecture, moments: list[tuple[str, int]]
) -> None:
    lips: dict[str, Any] = {"architecture": architecture}
    reference = train(tmp_path / "whole.s2l", **lips)
    assert kept() == []
    for stage, step in moments[:-1]:
        with pytest.raises(Cancelled):
            train(tmp_path / "first.s2l", cancel_at(stage, step), **lips)
    assert {"stages.jpg", "stages.safetensors", "depth.safetensors"} <= set(kept())
    heard: list[Event] = []
    with pytest.raises(Cancelled):
        train(tmp_path / "second.s2l", cancel_at(*moments[-1], heard), name="Another", device="auto", **lips)
    assert any(isinstance(event, Log) and "Resuming" in event.text for event in heard)
    assert_equal(train(tmp_path / "third.s2l", **lips), reference)
    assert kept() == []


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"preset": replace(TINY, appearance_steps=7)}], ids=["seed", "preset"]
)
def test_another_training_does_not_go_on_from_it(
    seen_once: None, nothing_kept: None, tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(Cancelled):
        train(tmp_path / "one.s2l", cancel_at("Learn speech", 1))
    heard: list[Event] = []
    with pytest.raises(Cancelled):
        train(tmp_path / "other.s2l", cancel_at("Learn speech", 1, heard), **changes)
    assert not [event for event in heard if isinstance(event, Log)]


def test_what_stops_early_is_watched_on_footage_of_its_own() -> None:
    times = np.arange(0, 100, 0.04) + 5
    footage = cast(Footage, SimpleNamespace(times=times, seconds=100.0, somebody_else=np.zeros(len(times), bool)))
    parts = split.split_footage(footage, early_stopping=True)
    assert parts["train"][1] + 1.0 <= parts["watched"][0]
    assert parts["watched"][1] + 1.0 <= parts["held_out"][0]
    assert parts["held_out"] == split.split_footage(footage)["held_out"]
    assert parts["held_out"][0] in footage.times


@pytest.mark.parametrize(("gone_from", "gone_until"), [(0.0, 0.0), (80.0, 95.0), (60.0, 95.0)])
def test_training_watches_a_part_that_shows_the_face(gone_from: float, gone_until: float) -> None:
    times = np.arange(0, 100, 0.04)
    track = SimpleNamespace(found=(times < gone_from) | (times >= gone_until))
    nobody = np.zeros(len(times), bool)
    footage = cast(Footage, SimpleNamespace(times=times, seconds=100.0, somebody_else=nobody, track=track))
    before = split.split_footage(footage, early_stopping=True)
    parts = split.ensure_watched_faces(before, footage)
    watched = (times >= parts["watched"][0]) & (times < parts["watched"][1])
    assert track.found[watched].sum() >= 0.9 * 0.05 * track.found.sum()
    assert parts["train"][1] + 1.0 <= parts["watched"][0]
    assert parts["held_out"] == before["held_out"]
    assert gone_until or parts == before


def test_without_moonshine_a_training_warns_and_does_without(
    seen_once: None, nothing_kept: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise SpeechFeaturesUnavailable("The speech network Moonshine cannot be used: it is not there.")

    monkeypatch.setattr(training, "open_moonshine", missing)
    heard: list[Event] = []
    with pytest.raises(Cancelled):
        train(tmp_path / "a.s2l", cancel_at("Learn speech", 1, heard))
    (warning,) = [event for event in heard if isinstance(event, Log)]
    assert warning.level == "warning"
    assert "it is not there. The lips will follow speech less closely." in warning.text


def test_without_a_matte_a_training_warns_and_finds_the_outline_of_the_head_by_motion(
    seen_once: None, nothing_kept: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MatteUnavailable("People cannot be cut out of pictures: it is not there.")

    monkeypatch.setattr(training, "open_matting", missing)
    heard: list[Event] = []
    with pytest.raises(Cancelled):
        train(tmp_path / "a.s2l", cancel_at("Learn speech", 1, heard))
    (warning,) = [event for event in heard if isinstance(event, Log)]
    assert warning.level == "warning"
    assert "it is not there. The outline of the head will be less accurate" in warning.text

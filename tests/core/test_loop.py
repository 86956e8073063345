"""The loop of training."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from s2l_core.events import Report
from s2l_core.training.checkpoint import Checkpoint
from s2l_core.training.loop import Loop, Stage


def test_a_stage_ends_with_its_steps_or_with_its_time(tmp_path: Path) -> None:
    network = nn.Linear(1, 1)
    taken: list[int] = []

    def loss(random: np.random.Generator) -> Tensor:
        taken.append(len(taken))
        time.sleep(0.02)
        return network(torch.ones(1)).square().sum()

    def run(phase: str, seconds: float) -> int:
        taken.clear()
        rates = [(list(network.parameters()), 0.1)]
        checkpoint = Checkpoint(tmp_path / "state.safetensors")
        Loop({"line": network}, 0, checkpoint, lambda: 0.0, Report()).run(Stage(phase, 6, rates, loss, seconds=seconds))
        return len(taken)

    assert run("by steps", 60.0) == 6
    assert 1 <= run("by time", 0.05) <= 3


def test_the_share_of_a_stage_is_that_of_its_steps_or_of_its_time() -> None:
    stage = Stage("any", 100, [], lambda random: torch.zeros(()), seconds=10.0)
    assert stage.share(50, 2.0) == pytest.approx(0.5)
    assert stage.share(50, 9.0) == pytest.approx(0.9)


@pytest.mark.parametrize(("steps", "seconds"), [(100, 0.0), (100, -3.0), (0, 10.0)])
def test_a_stage_for_which_nothing_is_left_is_over(steps: int, seconds: float) -> None:
    stage = Stage("any", steps, [], lambda random: torch.zeros(()), seconds=seconds)
    assert stage.share(0, 0.0) == 1.0


def test_a_stage_with_patience_keeps_what_it_began_with_if_it_makes_things_worse(tmp_path: Path) -> None:
    network = nn.Linear(1, 1)
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def loss(random: np.random.Generator) -> Tensor:
        return network(torch.ones(1)).square().sum()

    def figure() -> float:
        return -sum(float((value - before[name]).abs().sum()) for name, value in network.state_dict().items())

    stage = Stage("worse", 6, [(list(network.parameters()), 0.1)], loss, patience=1.0)
    Loop({"line": network}, 0, Checkpoint(tmp_path / "state.safetensors"), figure, Report()).run(stage)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

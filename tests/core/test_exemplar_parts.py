"""The parts of the default architecture, left out of a speaker for the ablation."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from benchmarks import ablation
from benchmarks.trials.exemplar_parts import PARTS, Part, without_part
from benchmarks.trials.trial import Contender, Trial
from s2l_core.evaluation.drivers import Driver
from s2l_core.model.speaker import SpeakerModel
from s2l_core.mouth.painting import LinePainter, line_painter
from s2l_core.speech.encoder import SpeechEncoder
from s2l_core.training.presets import Preset

from .test_exemplars import HEIGHT, WIDTH, make_exemplars, some_codes
from .test_speaker_file import make_speaker

LINE = some_codes(12, seed=3)
OF_SPEECH = {"no_prior", "no_kernel", "no_networks", "no_articulation", "no_pauses"}
"""Rows whose part does not paint."""


def speaker_with_exemplars() -> SpeakerModel:
    speaker = make_speaker("exemplars")
    speaker.exemplars = make_exemplars(some_codes(20))
    return speaker


def painted(row: str) -> torch.Tensor:
    """The lips of a line without the part of a row."""
    painters: list[LinePainter] = []

    def by_dub(speaker: SpeakerModel) -> Contender:
        painters.append(line_painter(speaker, LINE))
        return Contender(Driver(speaker.face, lambda images, indices: []))

    without_part(cast(Trial, SimpleNamespace(by_dub=by_dub)), speaker_with_exemplars(), PARTS[row])
    return painters[0](LINE, np.arange(len(LINE)))


@pytest.mark.parametrize("row", [row for row in PARTS if row not in OF_SPEECH | {"exemplars", "no_metric"}])
def test_leaving_out_a_part_changes_the_lips(row: str) -> None:
    complete, lips = painted("exemplars"), painted(row)
    assert lips.shape[2:] == ((HEIGHT // 2, WIDTH // 2) if row == "half_size" else (HEIGHT, WIDTH))
    assert lips.shape != complete.shape or (lips - complete).abs().max() > 0.05


@pytest.mark.parametrize("part", [part for part in PARTS.values() if part.replaced], ids=lambda part: part.title[:9])
def test_what_a_row_replaces_exists(part: Part) -> None:
    assert part.replaced is not None
    module, name, _ = part.replaced
    assert hasattr(module, name)


def test_what_was_replaced_comes_back() -> None:
    complete = painted("exemplars")
    for row in ("no_shade", "no_neighbours"):
        painted(row)
    assert (painted("exemplars") == complete).all()


def test_parts_of_speech_are_switched_off_in_the_encoder() -> None:
    def encoder_without(row: str) -> SpeechEncoder:
        speaker = speaker_with_exemplars()
        encoder = cast(SpeechEncoder, speaker.lip.speech)
        for share in (encoder.prior_share, encoder.kernel_share):
            share.fill_(0.25)
        encoder.articulation.gain.fill_(1.4)
        leave_out = PARTS[row].leave_out
        assert leave_out is not None
        leave_out(speaker)
        return encoder

    assert encoder_without("no_prior").prior_share == 0
    assert encoder_without("no_kernel").kernel_share == 0
    assert encoder_without("no_networks").kernel_share == 1
    assert encoder_without("no_articulation").articulation.gain == 1


def test_rows_of_the_default_architecture_share_one_speaker(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[str, str]] = []

    def train(name: str, preset: Preset, seed: int) -> tuple[SpeakerModel, float]:
        trained.append((name, preset.architecture))
        return speaker_with_exemplars(), 1.0

    trial = SimpleNamespace(train=train, by_dub=lambda *_: Contender(Driver(cast(Any, None), lambda *_: [])))

    def run_trials(options: argparse.Namespace, contend: Callable[..., Contender], present: object) -> int:
        for row in options.rows:
            contend(trial, row, 0)
        return 0

    monkeypatch.setattr(ablation, "run_trials", run_trials)
    rows = ["no_motion", "no_prior", "exemplars_without_look", "full"]
    assert ablation.main(["--clip", "a.mp4", "--rows", *rows]) == 0
    assert trained == [
        *[("exemplars", "exemplars")] * 2,
        ("exemplars_without_look", "exemplars"),
        ("grids", "grids"),
    ]

"""Training of the paper's networks (Chen et al. 2018), resumable to the bit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..events import Report
from ..training.checkpoint import Checkpoint
from ..training.loop import Loop, Stage
from .batches import Windows
from .clips import LipClip
from .flow import flow_loss
from .generator import Generator
from .objective import LossWeights, Networks
from .perceptual import restoration_loss
from .trial import Trial

_BETAS = (0.5, 0.999)
_JUDGES_RATE = 0.5
"""Learning rate of the correlation networks, relative to that of the generator: 1e-4 and 2e-4 in the paper."""
_LIPS_RATE = 1e-3


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training; the defaults are the paper's, besides the number of steps, which it does not state.

    Attributes:
        width: Channels relative to the paper's. Time grows with its square.
        steps: Steps of the networks together. More draw sharper lips, until they over-fit the people in the training.
        lips_steps: Steps of autoencoder and flow network before that.
        batch: Windows in a step.
        rate: Highest learning rate of generator and discriminator.
        weights: Weights of the losses.
        derivative: See :class:`.CorrelationNetworks`.
        sees_flow: See :class:`.Discriminator`.
        seed: Seed of all randomness.
        seconds: Time limit of the training; if it is reached, the result depends on the speed of the machine.
    """

    width: float = 1.0
    steps: int = 100_000
    lips_steps: int = 1_000
    batch: int = 24
    rate: float = 2e-4
    weights: LossWeights = field(default_factory=LossWeights)
    derivative: bool = True
    sees_flow: bool = True
    seed: int = 0
    seconds: float = math.inf


def train_generator(
    clips: Sequence[LipClip],
    watched: Sequence[LipClip],
    settings: TrainingSettings,
    checkpoint: Path | None,
    device: torch.device,
    report: Report,
    start: Generator | None = None,
) -> Generator:
    """Train a generator, first the autoencoder and the flow network, then all networks together.

    On the same processor, an interrupted training that continues from its checkpoint ends with the same numbers.

    Args:
        clips: The clips to learn from.
        watched: Clips of other people. Their PSNR is reported and some of their pictures are shown during the training;
            nothing depends on them.
        settings: The settings.
        checkpoint: File that keeps the state, with a JPEG of the pictures beside it; None keeps nothing.
        device: Device to compute on.
        report: Receives progress and pictures.
        start: A generator of the same width, whose training is continued; None begins with random weights.

    Returns:
        The generator, frozen, with the moving average of its weights.

    Raises:
        Cancelled: The caller asked to stop; the checkpoint is kept.
    """
    torch.manual_seed(settings.seed)
    networks = Networks(settings.width, settings.derivative, settings.sees_flow).to(device)
    if start is not None:
        networks.generator.load_state_dict(start.state_dict())
    windows, kept = Windows(clips), Checkpoint(checkpoint)
    trial = Trial(networks.generator, watched, kept.picture_path, report)

    def lips_loss(random: np.random.Generator) -> Tensor:
        batch = windows.draw(settings.batch, random).to(device)
        pictures = batch.video.transpose(1, 2).flatten(0, 1)
        return restoration_loss(networks.autoencoder, pictures) + flow_loss(networks.flow(batch.video), batch.flow)

    def loss(random: np.random.Generator) -> Tensor:
        return networks.loss(windows.draw(settings.batch, random).to(device), settings.weights)

    prepared = [*networks.autoencoder.parameters(), *networks.flow.parameters()]
    judges = [*networks.correlation.parameters(), *networks.flow.parameters()]
    drawing = [*networks.generator.parameters(), *networks.discriminator.parameters()]
    rates = [(drawing, settings.rate), (judges, _JUDGES_RATE * settings.rate)]
    loop = Loop({"glance": networks}, settings.seed, kept, trial.psnr, report)
    loop.run(Stage("Learn lips", settings.lips_steps, [(prepared, _LIPS_RATE)], lips_loss))
    loop.run(Stage("Learn to speak", settings.steps, rates, loss, seconds=settings.seconds, betas=_BETAS))
    return networks.generator.eval().requires_grad_(False)

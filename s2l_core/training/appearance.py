"""The training stages in pixels: the look of the lips, and their blending into frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..errors import PerceptionUnavailable
from ..events import Report
from ..jobs import Architecture
from ..model.lip.base import LipModel
from ..model.perception import Lpips, load_lpips
from ..model.speaker import SpeakerModel
from ..model.sync import frames_of_windows
from . import losses
from .clip import Clip
from .loop import Stage
from .pairs import Pair, canonical_pair, observed_pair
from .presets import Preset
from .sampling import Cells, Runs, sample_cells, similar_poses
from .speech_codes import SpeechCodes, end_to_end_codes, precomputed_codes
from .sync_teacher import SyncTeacher

_CANONICAL_FRAMES = 8
_TIME_SHARE = 0.5
"""Share of the training frames that pass their time to the lip model."""
_PERCEIVED = 3
"""Pictures of a step on which the perceptual loss is computed; more cost time."""
_SYNC_SHARE = 0.1
"""Steps of the stage with the sync loss, as a share of those of the stage before, and its share of the time limit."""
_SYNC_RATE = 0.01
"""Learning rate of the stage with the sync loss, relative to the stage before. At the same rate, five steps undid what
the lips had learnt; at a twentieth, they still cost half a decibel.
"""
_SYNC_RUNS = 2
"""Windows of a step, from different moments, so that each is a negative of the other."""
_PATIENCE = 0.3


@dataclass(frozen=True)
class Recipe:
    """What one architecture sees in a step, and its learning rates.

    Attributes:
        rate: Highest learning rate of the lip model.
        steps: Factor on the preset's number of steps.
        side: Share of the lip rectangle's width, and of its height, that a step in canonical space covers. A larger one
            costs time.
        blocks: Number of blocks along each side into which this share is divided.
        observed_steps: Share of the steps that also see observed frames.
        frames: Number of observed frames in such a step.
        blend_rate: Highest learning rate of Blend-Net.
    """

    rate: float
    steps: int = 1
    side: float = 0.5
    blocks: int = 1
    observed_steps: float = 1.0
    frames: int = 4
    blend_rate: float = 2e-3


RECIPES: dict[Architecture, Recipe] = {
    "grids": Recipe(2e-4),
    "explicit": Recipe(2e-3, steps=5, observed_steps=0.3, side=1.0),
    "paper": Recipe(2e-3, steps=10, side=0.1, blocks=4, observed_steps=0.05, frames=1, blend_rate=5e-4),
}
"""Grids and the decoder render whole pictures at little cost. The paper's network takes a second for a few pictures, so
most of its steps see small blocks of many frames. Blend-Net sees whole pictures only and therefore gets few steps
there; at the learning rate of the other architectures its residual did more harm than good after so few.
"""


def appearance_stages(
    speaker: SpeakerModel,
    clip: Clip,
    codes: Tensor | None,
    offsets: Tensor,
    preset: Preset,
    report: Report,
    seconds: float,
    teacher: SyncTeacher | None,
) -> list[Stage]:
    """The stages that train the lip model and Blend-Net together, in pixels.

    A lip model that is trained end to end goes through a second, short stage with the sync loss of equation (6) and
    without Blend-Net, as in the paper.

    Args:
        speaker: Its lip model and its Blend-Net are trained.
        clip: The training frames.
        codes: (N, 64) motion codes of the training frames' own lips; None for a lip model that is trained end to end.
        offsets: (N, 64) offsets of the look model.
        preset: Parts that take part, weights of the losses, and numbers of steps.
        report: Receives a warning if the perceptual loss has a weight but its network is missing.
        seconds: Time limit of all stages together.
        teacher: The sync expert; None leaves the sync loss out.
    """
    # What speech gives: codes that were learnt in the stage before, or those that it learns here.
    lip, recipe = speaker.lip, RECIPES[speaker.architecture]
    if codes is None:
        speech_codes = end_to_end_codes(lip, clip, offsets, _TIME_SHARE * preset.time)
    else:
        speech_codes = precomputed_codes(lip, clip, codes, offsets)
    perception = load_perceptual_loss(preset.weights, offsets.device, report)
    loss = _PixelLoss(speaker, clip, codes, speech_codes, preset, perception)

    # The speech encoder is trained here only if nothing has trained it before.
    speech = {id(parameter) for parameter in lip.speech.parameters()}
    picture = [parameter for parameter in lip.parameters() if id(parameter) not in speech]
    trained = picture if codes is not None else list(lip.parameters())
    appearance = Stage(
        "Learn appearance",
        recipe.steps * preset.appearance_steps,
        [(trained, recipe.rate)] + [(list(speaker.blend.parameters()), recipe.blend_rate)] * preset.blending,
        loss,
        patience=_PATIENCE if preset.early_stopping and codes is None else None,
        seconds=seconds,
    )
    if teacher is None or codes is not None:
        return [appearance]

    # End to end, a second stage adds the sync loss and takes a share of the time.
    synchrony = Stage(
        "Refine synchrony",
        round(_SYNC_SHARE * appearance.steps),
        [(trained, _SYNC_RATE * recipe.rate)],
        _with_sync(loss, lip, clip, speech_codes, preset, teacher),
        patience=appearance.patience,
        seconds=_SYNC_SHARE * seconds,
    )
    return [replace(appearance, seconds=(1 - _SYNC_SHARE) * seconds), synchrony]


class _PixelLoss:
    """The loss of one step: equation (7) in canonical space, on cells at arbitrary positions (continuous sampling,
    equation (2)), and equation (8) in observed space, on whole mouth regions.

    The lips of a frame are pasted on the region of another frame with a similar pose. Blend-Net therefore never sees
    the surroundings of the mouth that it must paint, and cannot learn to read the mouth's motion from them. In observed
    space it sees what it sees in dubbing, lips that speech predicts, and learns to sharpen what speech leaves open.

    Args:
        speaker: Its lip model and its Blend-Net are trained.
        clip: The training frames.
        codes: (N, 64) motion codes of the training frames' own lips; None uses those of speech in canonical space too.
        speech_codes: Motion codes that speech gives.
        preset: Parts that take part, and weights of the losses.
        perception: Network of the perceptual loss; None leaves it out.
    """

    def __init__(
        self,
        speaker: SpeakerModel,
        clip: Clip,
        codes: Tensor | None,
        speech_codes: SpeechCodes,
        preset: Preset,
        perception: Lpips | None,
    ) -> None:
        self._speaker, self._clip, self._codes, self._speech_codes = speaker, clip, codes, speech_codes
        self._preset, self._weights, self._perception = preset, preset.weights, perception
        self._recipe = RECIPES[speaker.architecture]
        self._frames, self._partners = Runs.of(clip, 1), similar_poses(clip)

    def __call__(self, random: np.random.Generator) -> Tensor:
        """The loss of a step whose frames, cells and holes are drawn at random."""
        terms = self._canonical_terms(random)
        if random.random() < self._recipe.observed_steps:
            terms |= self._observed_terms(random)
        return losses.total(terms, self._weights)

    def _canonical_terms(self, random: np.random.Generator) -> dict[str, Tensor]:
        """The terms of equation (7)."""
        lip, clip, recipe = self._speaker.lip, self._clip, self._recipe
        chosen = random.integers(0, len(clip.times), _CANONICAL_FRAMES)
        if self._codes is None:
            codes = self._speech_codes(chosen[:, None], random)
        else:
            codes = self._codes[torch.from_numpy(chosen).to(self._codes.device)]
        pair = canonical_pair(lip, clip, codes, chosen, self._cells(lip.width, random), self._cells(lip.height, random))
        terms = {"lip": losses.photometric(*pair)}
        if self._perception is not None and self._weights.lip_perceptual and recipe.blocks == 1:
            terms["lip_perceptual"] = _perceptual(self._perception, pair, random)
        return terms

    def _cells(self, size: int, random: np.random.Generator) -> Cells:
        recipe = self._recipe
        return sample_cells(size, recipe.side, recipe.blocks, random, self._preset.continuous_sampling)

    def _observed_terms(self, random: np.random.Generator) -> dict[str, Tensor]:
        """The terms of equation (8), and those that are added to it."""
        frames = self._frames.sample(random, self._recipe.frames)
        partners = self._partners[frames.flatten()]
        codes = self._speech_codes(frames, random)
        pair = observed_pair(
            self._speaker, self._clip, codes, frames.flatten(), partners, random, self._preset.blending
        )
        terms = {"frame": losses.photometric(*pair)}
        if self._weights.gradient:
            terms["gradient"] = losses.gradient(*pair)
        if self._perception is not None and self._weights.frame_perceptual:
            terms["frame_perceptual"] = _perceptual(self._perception, _middles(pair), random)
        if self._perception is not None and self._weights.frame_details:
            detailed = Pair(losses.details(*pair), pair.truth)
            terms["frame_details"] = _perceptual(self._perception, _middles(detailed), random)
        return terms


def _with_sync(
    loss: _PixelLoss, lip: LipModel, clip: Clip, speech_codes: SpeechCodes, preset: Preset, teacher: SyncTeacher
) -> Callable[[np.random.Generator], Tensor]:
    """A loss with the sync loss added, for random windows of successive frames, rendered at the expert's resolution."""
    windows = Runs.of(clip, frames_of_windows(clip.times, 1))

    def loss_in_sync(random: np.random.Generator) -> Tensor:
        frames = windows.sample(random, _SYNC_RUNS)
        lips = teacher.painter(lip)(speech_codes(frames, random)).unflatten(0, frames.shape)
        return loss(random) + losses.total({"sync": teacher.loss(clip.times[frames], lips)}, preset.weights)

    return loss_in_sync


def _perceptual(perception: Lpips, pair: Pair, random: np.random.Generator) -> Tensor:
    some = torch.from_numpy(random.permutation(len(pair.truth))[:_PERCEIVED]).to(pair.truth.device)
    return losses.perceptual(perception, pair.generated[some], pair.truth[some])


def load_perceptual_loss(weights: losses.Weights, device: torch.device, report: Report) -> Lpips | None:
    """The network of the perceptual loss; None if the loss has no weight, or, with a warning, if the network is
    missing.
    """
    if not (weights.lip_perceptual or weights.frame_perceptual or weights.frame_details):
        return None
    try:
        return load_lpips().to(device)
    except PerceptionUnavailable as error:
        report.log("warning", f"Training without the perceptual loss; lips will be softer. {error}")
        return None


def _middles(regions: Pair) -> Pair:
    """Pictures without an eighth on each side, where the mask leaves little to generate."""
    height, width = regions.truth.shape[-2:]
    rows, columns = (slice(side // 8, side - side // 8) for side in (height, width))
    return Pair(*(pictures[..., rows, columns] for pictures in regions))

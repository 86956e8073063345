"""The stages in pixels: how the lips look, and how they are blended into frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..errors import PerceptionUnavailable
from ..events import Report
from ..jobs import Architecture
from ..model.perception import Lpips, load_lpips
from ..model.speaker import SpeakerModel
from ..model.sync import frames_of_windows
from . import losses
from .clip import Clip
from .loop import Stage
from .pairs import Pair, canonical_pair, observed_pair
from .presets import Preset
from .sampling import Cells, Runs, sample_cells, similar_poses
from .speech_codes import end_to_end_codes, precomputed_codes
from .sync_teacher import SyncTeacher

_CANONICAL_FRAMES = 8
_TIME_SHARE = 0.5
"""Share of the runs that are told their time."""
_PERCEIVED = 3
"""Pictures of a step that the perceptual loss looks at."""
_SYNC_SHARE = 0.1
"""Of the steps, those with the sync loss come last."""
_SYNC_RATE = 0.01
"""Share of the highest learning rate that these reach: with the whole of it, five of them undid what the lips had
learnt, and a twentieth of it still cost half a decibel."""
_SYNC_RUNS = 2
"""Windows of a step, each from a moment of its own, so that one is a negative of the other."""
_PATIENCE = 0.3


@dataclass(frozen=True)
class Recipe:
    """How much of what one architecture sees in a step, and how fast it learns from it.

    Attributes:
        rate: Highest learning rate of the lip model.
        steps: How many it takes for each of the preset's.
        side: Share of the lip rectangle's width and of its height that a step in canonical space covers.
        blocks: How many blocks along each side that is spread over.
        observed_steps: Share of the steps that also look at observed frames.
        frames: How many of these such a step looks at.
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
    "fast": Recipe(2e-4),
    "explicit": Recipe(2e-3, steps=5, observed_steps=0.3, side=1.0),
    "paper": Recipe(2e-3, steps=10, side=0.1, blocks=4, observed_steps=0.05, frames=1, blend_rate=5e-4),
}
"""Grids are composed as fast as they are looked at, and a decoder paints whole pictures in any case. The paper's
network takes a second for a few of them, so that it mostly sees small blocks, of many; Blend-Net, which sees whole
pictures only, then has few steps, and at the rate of the others its residual did more harm than good after them.
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
    """Train the lip model and Blend-Net together: in canonical space on cells at arbitrary positions (continuous
    sampling, equation (2)) with the loss of equation (7), and in observed space on whole mouth regions with
    that of equation (8). A lip model that learns end to end goes through a second, short stage with the loss of
    equation (6) and without Blend-Net, as in the paper.

    The lips of a frame are pasted on the region of another one with a similar pose. So Blend-Net never sees the
    surroundings that belong to the mouth it must paint, and cannot learn to read the mouth's motion from them. What
    speech gives is what it sees, as in dubbing: it learns to make sharp what speech leaves open.

    Args:
        speaker: Its lip model and its Blend-Net are trained.
        clip: The training frames.
        codes: (N, 64) that the canonical lips themselves ask for; None for a lip model that learns end to end.
        offsets: (N, 64) of the look.
        preset: What takes part, what each loss counts, and how long.
        report: Told where there are no weights for the perceptual loss.
        seconds: That the stages may take.
        teacher: Of the sync loss, if it takes part.
    """
    lip = speaker.lip
    recipe = RECIPES[speaker.architecture]
    time_share = _TIME_SHARE * preset.time
    speech_codes = (
        end_to_end_codes(lip, clip, offsets, time_share)
        if codes is None
        else precomputed_codes(lip, clip, codes, offsets)
    )
    singles, partners = Runs.of(clip, 1), similar_poses(clip)
    perception = load_perceptual_loss(preset.weights, offsets.device, report)

    def cells(size: int, random: np.random.Generator) -> Cells:
        return sample_cells(size, recipe.side, recipe.blocks, random, preset.continuous_sampling)

    def loss(random: np.random.Generator) -> Tensor:
        chosen = random.integers(0, len(clip.times), _CANONICAL_FRAMES)
        seen = (
            speech_codes(chosen[:, None], random) if codes is None else codes[torch.from_numpy(chosen).to(codes.device)]
        )
        canonical = canonical_pair(lip, clip, seen, chosen, cells(lip.width, random), cells(lip.height, random))
        terms = {"lip": losses.photometric(*canonical)}
        if perception is not None and preset.weights.lip_perceptual and recipe.blocks == 1:
            terms["lip_perceptual"] = _perceived(perception, canonical, random)
        if random.random() < recipe.observed_steps:
            frames = singles.sample(random, recipe.frames)
            others = partners[frames.flatten()]
            spoken = speech_codes(frames, random)
            observed = observed_pair(speaker, clip, spoken, frames.flatten(), others, random, preset.blending)
            terms |= _observed_terms(observed, random, preset.weights, perception)
        return losses.total(terms, preset.weights)

    speech = {id(parameter) for parameter in lip.speech.parameters()}
    picture = [parameter for parameter in lip.parameters() if id(parameter) not in speech]
    learnt = picture if codes is not None else list(lip.parameters())
    appearance = Stage(
        "Learn appearance",
        recipe.steps * preset.appearance_steps,
        [(learnt, recipe.rate)] + [(list(speaker.blend.parameters()), recipe.blend_rate)] * preset.blending,
        loss,
        patience=_PATIENCE if preset.early_stopping and codes is None else None,  # codes have been learnt
        seconds=seconds,
    )
    if teacher is None or codes is not None:
        return [appearance]
    windows = Runs.of(clip, frames_of_windows(clip.times, 1))

    def loss_in_sync(random: np.random.Generator) -> Tensor:
        frames = windows.sample(random, _SYNC_RUNS)
        lips = teacher.painter(lip)(speech_codes(frames, random)).unflatten(0, frames.shape)
        return loss(random) + losses.total({"sync": teacher.loss(clip.times[frames], lips)}, preset.weights)

    synchrony = Stage(
        "Learn synchrony of lips",
        round(_SYNC_SHARE * appearance.steps),
        [(learnt, _SYNC_RATE * recipe.rate)],
        loss_in_sync,
        patience=appearance.patience,
        seconds=_SYNC_SHARE * seconds,
    )
    return [replace(appearance, seconds=(1 - _SYNC_SHARE) * seconds), synchrony]


def _observed_terms(
    observed: Pair,
    random: np.random.Generator,
    weights: losses.Weights,
    perception: Lpips | None,
) -> dict[str, Tensor]:
    """What mouth regions add to equation (10)."""
    terms = {"frame": losses.photometric(*observed)}
    if weights.gradient:
        terms["gradient"] = losses.gradient(*observed)
    if perception is not None and weights.frame_perceptual:
        terms["frame_perceptual"] = _perceived(perception, _middles(observed), random)
    if perception is not None and weights.frame_details:
        detailed = Pair(losses.details(*observed), observed.truth)
        terms["frame_details"] = _perceived(perception, _middles(detailed), random)
    return terms


def _perceived(perception: Lpips, pair: Pair, random: np.random.Generator) -> Tensor:
    some = torch.from_numpy(random.permutation(len(pair.truth))[:_PERCEIVED]).to(pair.truth.device)
    return losses.perceptual(perception, pair.generated[some], pair.truth[some])


def load_perceptual_loss(weights: losses.Weights, device: torch.device, report: Report) -> Lpips | None:
    """The perceptual distance, where it counts something and there are weights for it; that there are none is told."""
    if not (weights.lip_perceptual or weights.frame_perceptual or weights.frame_details):
        return None
    try:
        return load_lpips().to(device)
    except PerceptionUnavailable as error:
        report.log("warning", f"Training without the perceptual loss, lips get softer. {error}")
        return None


def _middles(regions: Pair) -> Pair:
    """Without an eighth on each side, where the mask leaves little to be generated."""
    height, width = regions.truth.shape[-2:]
    rows, columns = (slice(side // 8, side - side // 8) for side in (height, width))
    return Pair(*(pictures[..., rows, columns] for pictures in regions))

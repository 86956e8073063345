"""The stage in pixels: how the lips look, and how they are blended into frames; speech goes on learning with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import losses
from ..compositing import paste, place
from ..errors import PerceptionUnavailable
from ..events import Report
from ..geometry.mapping import map_pixels, relative_pose, sample
from ..jobs import Architecture
from ..model.blend import black_holes
from ..model.lip.base import LipModel
from ..model.perception import Lpips, load_lpips
from ..model.speaker import SpeakerModel
from ..model.sync import frames_of_windows
from ..regions import regions_to_tensor, sample_regions
from ..speech.encoder import CODE_SECONDS, CONTEXT_CODES, codes_at
from .clip import Clip
from .loop import Stage
from .presets import Preset
from .speech import excerpt
from .sync import SyncTeacher

_CANONICAL_FRAMES = 8
_BLEND_RATE = 2e-3
_TIME_SHARE = 0.5
"""Share of the runs that are told their time."""
_PERCEIVED = 3
"""Pictures of a step that the perceptual loss looks at, which takes longer than the rest of the step otherwise."""
_APART_SECONDS = 0.5
_MOUTH_SHAPES = 16
_SYNC_WINDOWS = 4
SYNC_SHARE = 0.1
"""Steps of the stage with the sync loss, as a share of those before it."""
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
        runs: How many runs of frames these look at.
        run_frames: Frames in a run.
    """

    rate: float
    steps: int = 1
    side: float = 0.5
    blocks: int = 1
    observed_steps: float = 1.0
    runs: int = 2
    run_frames: int = 6


RECIPES: dict[Architecture, Recipe] = {
    "fast": Recipe(2e-4),
    "explicit": Recipe(2e-3, steps=5, observed_steps=0.1, side=1.0),
    "paper": Recipe(1e-3, steps=10, side=0.1, blocks=4, observed_steps=0.05, runs=1, run_frames=2),
}
"""Grids are composed as fast as they are looked at, and a decoder paints whole pictures in any case. The paper's
network takes a second for a few of them, so that it mostly sees small blocks, of many.
"""


def appearance_stage(
    speaker: SpeakerModel,
    clip: Clip,
    codes: Tensor | None,
    offsets: Tensor,
    preset: Preset,
    report: Report,
    seconds: float,
    teacher: SyncTeacher | None = None,
) -> Stage:
    """Train the lip model and Blend-Net together: in canonical space on cells at arbitrary positions (continuous
    sampling, equation (2)) with the loss of equation (7), and in observed space on runs of whole mouth regions with
    that of equation (8).

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
        seconds: That the stage may take.
        teacher: With it, this is a last, short stage with the loss of equation (6) and without Blend-Net, as in the
            paper; for a lip model that learns end to end.
    """
    lip, blend = speaker.lip, speaker.blend
    hear = _hear_end_to_end(lip, clip, offsets, preset) if codes is None else _hear_once(lip, clip, offsets)
    recipe = RECIPES[speaker.architecture]
    runs = Runs.of(clip, recipe.run_frames)
    partners = similar_poses(clip)
    perception = find_perception(preset.weights, offsets.device, report)
    heard_runs = runs if teacher is None else Runs.of(clip, frames_of_windows(clip.times, _SYNC_WINDOWS))

    def loss(random: np.random.Generator) -> Tensor:
        chosen = random.integers(0, len(clip.times), _CANONICAL_FRAMES)
        seen = hear(chosen[:, None], random) if codes is None else codes[torch.from_numpy(chosen).to(codes.device)]
        canonical = _canonical(lip, clip, seen, chosen, recipe, random, preset)
        terms = {"lip": losses.photometric(*canonical)}
        if perception is not None and preset.weights.lip_perceptual and recipe.blocks == 1:
            terms["lip_perceptual"] = _perceived(perception, canonical, random)
        if random.random() < recipe.observed_steps:
            frames = runs.sample(random, recipe.runs)
            spoken = hear(frames, random)
            observed = _observed(speaker, clip, spoken, frames.flatten(), partners[frames.flatten()], random, preset)
            terms |= _observed_terms(observed, frames.shape, random, preset.weights, perception)
        if teacher is not None:
            frames = heard_runs.sample(random, 1)
            lips = teacher.painter(lip)(hear(frames, random)).unflatten(0, frames.shape)
            terms["sync"] = teacher.loss(clip.times[frames], lips)
        return losses.total(terms, preset.weights)

    speech = {id(parameter) for parameter in lip.speech.parameters()}
    picture = [parameter for parameter in lip.parameters() if id(parameter) not in speech]
    rates = [(picture if codes is not None else list(lip.parameters()), recipe.rate)]
    if preset.blending and teacher is None:
        rates.append((list(blend.parameters()), _BLEND_RATE))
    if teacher is not None:
        steps = round(SYNC_SHARE * recipe.steps * preset.appearance_steps)
        return Stage("Learn synchrony of lips", steps, rates, loss, seconds=seconds)
    return Stage(
        "Learn appearance",
        recipe.steps * preset.appearance_steps,
        rates,
        loss,
        patience=_PATIENCE if preset.early_stopping and codes is None else None,  # codes have been learnt
        seconds=seconds,
    )


@dataclass(frozen=True)
class Runs:
    """Runs of successive frames, those with rare mouth shapes as often as those with common ones.

    Attributes:
        starts: int (S,) frames at which a run can start.
        shares: (S,) how often each does.
        length: Frames in a run.
    """

    starts: NDArray[np.int64]
    shares: NDArray[np.float64]
    length: int

    @classmethod
    def of(cls, clip: Clip, length: int) -> Runs:
        unbroken = np.diff(clip.indices) == 1
        whole = np.lib.stride_tricks.sliding_window_view(unbroken, length - 1).all(axis=1)
        starts = np.flatnonzero(whole)
        openings = clip.openings[starts + length // 2]
        counts, edges = np.histogram(openings, _MOUTH_SHAPES)
        rarity = 1 / np.sqrt(counts[np.clip(np.digitize(openings, edges) - 1, 0, _MOUTH_SHAPES - 1)])
        return cls(starts, rarity / rarity.sum(), length)

    def sample(self, random: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Frames (count, T) of some runs."""
        return random.choice(self.starts, count, p=self.shares)[:, None] + np.arange(self.length)


Hearing = Callable[[NDArray[np.int64], np.random.Generator], Tensor]
"""Motion codes (R T, code) that speech gives the frames (R, T) of some runs."""


def _hear_once(lip: LipModel, clip: Clip, offsets: Tensor) -> Hearing:
    """Speech has learnt already: its codes are read off."""
    with torch.no_grad():
        heard = torch.from_numpy(clip.features).to(offsets.device)
        codes = lip.code(codes_at(lip.speech.track(heard), clip.times) + offsets)
    return lambda frames, random: codes[torch.from_numpy(frames.flatten()).to(codes.device)]


def _hear_end_to_end(lip: LipModel, clip: Clip, offsets: Tensor, preset: Preset) -> Hearing:
    """Speech learns with the pictures; some runs are told their time."""
    device = offsets.device
    heard = torch.from_numpy(clip.features).to(device)

    def hear(frames: NDArray[np.int64], random: np.random.Generator) -> Tensor:
        times = clip.times[frames]
        firsts = (times[:, 0] / CODE_SECONDS).astype(int)
        lasts = (times[:, -1] / CODE_SECONDS).astype(int)
        count = int((lasts - firsts).max()) + 2
        sounds = torch.stack([excerpt(heard, 4 * int(first), count) for first in firsts])
        tracks = lip.speech(sounds)[:, CONTEXT_CODES:-CONTEXT_CODES]
        starts = firsts[:, None] * CODE_SECONDS
        spoken = torch.cat([codes_at(track, run) for track, run in zip(tracks, times - starts, strict=True)])
        told = random.random((len(frames), 1)) < _TIME_SHARE * preset.time
        moments = torch.from_numpy(np.where(told, times, np.nan).astype(np.float32).flatten()).to(device)
        return lip.code(spoken + offsets[torch.from_numpy(frames.flatten()).to(device)], moments)

    return hear


class Pair(NamedTuple):
    """Generated and true pictures (B, 3, h, w)."""

    generated: Tensor
    truth: Tensor


def _observed_terms(
    observed: Pair,
    runs: tuple[int, ...],
    random: np.random.Generator,
    weights: losses.Weights,
    perception: Lpips | None,
) -> dict[str, Tensor]:
    """What mouth regions in runs of the shape (R, T) add to equation (10)."""
    terms = {"frame": losses.photometric(*observed)}
    if weights.gradient:
        terms["gradient"] = losses.gradient(*observed)
    if weights.temporal:
        terms["temporal"] = losses.temporal(*(pictures.unflatten(0, runs) for pictures in observed))
    if perception is not None and weights.frame_perceptual:
        terms["frame_perceptual"] = _perceived(perception, _middles(observed), random)
    return terms


def _perceived(perception: Lpips, pair: Pair, random: np.random.Generator) -> Tensor:
    some = torch.from_numpy(random.permutation(len(pair.truth))[:_PERCEIVED]).to(pair.truth.device)
    return losses.perceptual(perception, pair.generated[some], pair.truth[some])


def find_perception(weights: losses.Weights, device: torch.device, report: Report) -> Lpips | None:
    """The perceptual distance, where it counts something and there are weights for it; that there are none is told."""
    if not (weights.lip_perceptual or weights.frame_perceptual):
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


def _canonical(
    lip: LipModel,
    clip: Clip,
    codes: Tensor,
    chosen: NDArray[np.int64],
    recipe: Recipe,
    random: np.random.Generator,
    preset: Preset,
) -> Pair:
    """A part of the lip rectangle, cut into cells at random positions between the pixels."""
    view, device = clip.face.lips, codes.device
    box = view.rectangle
    (x_edges, columns), (y_edges, rows) = (
        cell_edges(size, recipe, random, preset.continuous_sampling) for size in (box.width, box.height)
    )
    x_edges, y_edges = x_edges.to(device), y_edges.to(device)
    picks = torch.from_numpy(chosen).to(device)
    guess = lip.painter(x_edges / box.width, y_edges / box.height)(codes)[:, :, rows][..., columns]

    middles = torch.stack(torch.meshgrid(x_edges[columns] + 0.5, y_edges[rows] + 0.5, indexing="xy"), dim=-1)
    depth = sample(view.depth[None, None], middles[None], padding="border")[0, 0]
    position = middles + middles.new_tensor([box.left, box.top])
    camera = clip.footage.track.intrinsics
    relative = relative_pose(clip.poses[picks], view.pose)
    pixels = map_pixels(position, depth, view.intrinsics, camera, relative).pixels
    return Pair(guess, sample_regions(*regions_of(clip, chosen), pixels))


def cell_edges(size: int, recipe: Recipe, random: np.random.Generator, continuous: bool) -> tuple[Tensor, Tensor]:
    """Where the cells of a step lie along one side of the lip rectangle: one block in each of its equal parts.

    Args:
        size: Pixels of the side.
        recipe: How many blocks, and how long they are together.
        random: Where they lie in their parts.
        continuous: Whether cells lie anywhere, or on pixels.

    Returns:
        Rising edges in pixels, and the numbers of those at which a cell begins; the others end a block.
    """
    part = size / recipe.blocks
    cells = max(1, round(recipe.side * part))
    starts = np.arange(recipe.blocks) * part + random.uniform(0, part - cells, recipe.blocks)
    if not continuous:
        starts = np.floor(starts)
    edges = torch.from_numpy((starts[:, None] + np.arange(cells + 1)).astype(np.float32))
    begins = torch.arange(recipe.blocks * (cells + 1)).unflatten(0, (recipe.blocks, cells + 1))[:, :-1]
    return edges.flatten(), begins.flatten()


def _observed(
    speaker: SpeakerModel,
    clip: Clip,
    codes: Tensor,
    chosen: NDArray[np.int64],
    partners: NDArray[np.int64],
    random: np.random.Generator,
    preset: Preset,
) -> Pair:
    """Mouth regions as they are blended; outside of the mask, where they show another frame, they count as true."""
    view, device = speaker.face.lips, codes.device
    indices = clip.indices[chosen]
    picks = torch.from_numpy(chosen).to(device)
    grids = clip.observer.plan.grids(indices, device)
    placement = place(view, clip.footage.track.intrinsics, clip.poses[picks], grids)
    truth, others = regions_of(clip, chosen)[0], regions_of(clip, partners)[0]
    merged = paste(speaker.lip.pixel_painter()(codes), others, placement, view)
    if preset.blending:
        holed = black_holes(merged, placement.mask, torch.Generator().manual_seed(int(random.integers(2**32))))
        merged = speaker.blend(holed, placement.mask)
    return Pair(torch.lerp(truth, merged, placement.mask), truth)


def regions_of(clip: Clip, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Regions float32 (B, 3, H, W) and their corners (B, 2)."""
    device = clip.regions.device
    corners = torch.as_tensor(clip.observer.plan.corners[clip.indices[chosen]], dtype=torch.float32, device=device)
    return regions_to_tensor(clip.regions[torch.from_numpy(chosen).to(device)]), corners


def similar_poses(clip: Clip) -> NDArray[np.int64]:
    """For each frame another one with the most similar head pose, some time apart."""
    poses = clip.poses.cpu().double()
    features = torch.cat([poses[:, :3, :3].flatten(1) * 100.0, poses[:, :3, 3] * 0.3], dim=1)
    partners = []
    for start, part in enumerate(features.split(1)):
        distance = (features - part).square().sum(dim=1).numpy()
        distance[np.abs(clip.times - clip.times[start]) < _APART_SECONDS] = np.inf
        partners.append(int(distance.argmin()))
    return np.array(partners)

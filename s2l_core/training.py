"""Training one speaker: look, learn how speech moves the lips, learn how they appear, measure, write."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .canonical import CanonicalFace, choose_canonical
from .compositing import paste, place
from .device import choose_device
from .errors import TooFewFaces
from .evaluation.report import measure
from .events import Report
from .files import refuse_unwritable
from .footage import Footage, prepare, refuse_untrainable
from .geometry.mapping import map_pixels, relative_pose, sample
from .jobs import TrainJob, to_document
from .media.audio import measure_level, read_sample_rate, read_speech, refuse_unusable
from .media.video import probe
from .model.lip import LipModel, compose
from .model.look import FIT_STEPS, LookPixels, evenly, principal_axes, speech_context
from .model.speaker import SpeakerModel
from .regions import Observer, lip_shape_size, lip_shapes, regions_to_tensor, sample_regions
from .speech.encoder import CODE_SECONDS, CONTEXT_CODES, codes_at
from .speech.features import log_mel, normalise_loudness, silence_level
from .version import VERSION

_HELD_OUT_SHARE = 0.1
_GAP_SECONDS = 1.0
_LEAST_HELD_OUT_SHARE = 0.2
_MOST_BASIS_FRAMES = 800

_SPEECH_STEPS = ([20, 75, 120, 240, 1200], [200, 300, 500, 800, 1500])
"""Seconds of footage and steps that the speech encoder takes at best; more over-fits, fewer under-fit."""
_SPEECH_RATE, _SPEECH_DECAY, _SPEECH_BATCH, _SILENT_EXCERPTS = 2e-3, 1e-2, 12, 2
_EXCERPT_CODES = 64
_LEAST_SILENCE_CODES = 16
_TIME_SHARE = 0.5
"""Share of the excerpts that are told their time."""
_AVERAGING = 0.99
_REST_SHARE = 0.05
"""Share of the frames, those with the most closed mouth, that show the mouth at rest."""

_APPEARANCE_BATCH = 8
_GRID_RATE, _BLEND_RATE = 2e-4, 2e-3
_EDGE_WEIGHT = 0.5
_APART_SECONDS = 0.5


@dataclass(frozen=True)
class Preset:
    """How long the two stages last: a factor on the steps of the first, and the steps of the second."""

    speech_factor: float
    appearance_steps: int


PRESETS = {
    "preview": Preset(0.5, 60),
    "balanced": Preset(1.0, 300),
    "final": Preset(1.0, 1500),
}


def train(job: TrainJob, report: Report | None = None) -> dict[str, Any]:
    """Learn the speaker of ``job.footage`` and write ``job.speaker_path``.

    The last tenth of the footage is not trained on, nor is the second before it; the speaker is measured there.

    Returns:
        ``speaker_path``, ``name``, ``frames``, ``prepare_seconds``, ``train_seconds``, ``speaker_file_bytes`` and
        ``held_out`` as :func:`s2l_core.evaluation.report.evaluate` measures it.

    Raises:
        Speech2LipError: What is wrong with the files; see :mod:`s2l_core.errors`.
    """
    report = report or Report()
    started = time.monotonic()
    refuse_unwritable(job.speaker_path, job.footage.path, (job.voice or job.footage).path)
    device = choose_device(job.device)
    preset = PRESETS[job.preset]
    torch.manual_seed(job.seed)
    random = np.random.default_rng(job.seed)

    probe(job.footage.path)  # what is no video shall not be blamed for its sound
    voice = job.voice or job.footage
    speech = read_speech(voice)
    refuse_unusable(measure_level(speech, read_sample_rate(voice.path)), voice.path)
    footage = prepare(job.footage, job.landmarks, device.type, report)
    refuse_untrainable(footage)
    split = split_footage(footage)
    if footage.track.found[footage.times >= split["held_out"][0]].mean() < _LEAST_HELD_OUT_SHARE:
        raise TooFewFaces(f"The last tenth of {job.footage.path}, on which the speaker is measured, shows no face.")
    prepared = time.monotonic()

    clip = observe(footage, speech, footage.times < split["train"][1], device, report)
    speaker = SpeakerModel.untrained(job.name, clip.face, lip_shape_size(footage.layout))
    for network in speaker.networks.values():
        network.to(device)
    speaker.face = clip.face
    codes = fit_basis(speaker.lip, clip)
    offsets = fit_look(speaker, clip, codes, report)
    train_speech(speaker.lip, clip, codes - offsets, preset, random, report)
    train_appearance(speaker, clip, codes, offsets, preset, random, report)
    speaker.to(device)
    trained = time.monotonic()

    speaker.origin = {
        "job": to_document(job),
        "version": VERSION,
        "fingerprint": footage.fingerprint,
        "split": split,
        "seconds": footage.seconds,
    }
    speaker.metrics = measure(speaker, footage, speech, split["held_out"], report)
    speaker.save(job.speaker_path)
    return {
        "speaker_path": job.speaker_path,
        "name": job.name,
        "frames": len(clip.times),
        "prepare_seconds": prepared - started,
        "train_seconds": trained - prepared,
        "speaker_file_bytes": Path(job.speaker_path).stat().st_size,
        "held_out": speaker.metrics,
    }


def split_footage(footage: Footage) -> dict[str, list[float]]:
    """Seconds from the start of the medium: ``train`` and, after a gap, ``held_out``."""
    start, end = float(footage.times[0]), float(footage.times[0]) + footage.seconds
    held_out = end - _HELD_OUT_SHARE * (end - start)
    return {"train": [start, held_out - _GAP_SECONDS], "held_out": [held_out, end]}


@dataclass(frozen=True)
class Clip:
    """The training frames: N frames that show a face, in order of time.

    Attributes:
        face: The canonical view.
        footage: Where they come from.
        observer: Knows where the mouth regions lie in its frames.
        indices: int64 (N,) which of the footage's frames they are.
        times: float64 (N,) seconds from the start of the footage's span.
        openings: float64 (N,) of the mouth.
        shapes: float32 (N, s) of the lips.
        surroundings: float32 (N, ...) colours for the look.
        border: float32 (N, ...) colours for the look.
        lips: uint8 (N, 3, h, w) canonical lips.
        regions: uint8 (N, H, W, 3) mouth regions.
        poses: float32 (N, 4, 4).
        mel: float32 (m, 80) log-mel of the speech of all of the footage's span.
        trained_seconds: Length of the part of it that belongs to the frames.
    """

    face: CanonicalFace
    footage: Footage
    observer: Observer
    indices: NDArray[np.int64]
    times: NDArray[np.float64]
    openings: NDArray[np.float64]
    shapes: NDArray[np.float32]
    surroundings: NDArray[np.float32]
    border: NDArray[np.float32]
    lips: Tensor
    regions: Tensor
    poses: Tensor
    mel: NDArray[np.float32]
    trained_seconds: float


def observe(
    footage: Footage, speech: NDArray[np.float32], usable: NDArray[np.bool_], device: torch.device, report: Report
) -> Clip:
    """Take from the frames what training needs.

    Args:
        footage: With a tracked head.
        speech: (n,) at 16 kHz from the start of the footage's span.
        usable: bool (N,) frames that may be trained on.
        device: Where to compute.
        report: Told the phase ``"Read footage"``.
    """
    face = choose_canonical(footage, usable).to(device)
    observer = Observer(face, footage, device)
    pixels = LookPixels.of(face)
    indices = np.flatnonzero(usable & footage.track.found)
    wanted = np.zeros(len(footage.times), dtype=bool)
    wanted[indices] = True
    last = int(indices[-1])
    regions, lips, surroundings, border = [], [], [], []
    for index, frame in enumerate(footage.frames()):
        if index > last:
            break
        report.progress("Read footage", index, last)
        if not wanted[index]:
            continue
        observation = observer.observe(frame.image, index)
        around, rim = pixels.take(observation)
        regions.append(torch.from_numpy(observation.region))
        lips.append((observation.lips.cpu() * 255).round().to(torch.uint8))
        surroundings.append(around)
        border.append(rim)
    times = footage.times[indices] - footage.media.start
    return Clip(
        face=face,
        footage=footage,
        observer=observer,
        indices=indices,
        times=times,
        openings=footage.openings[indices],
        shapes=lip_shapes(footage.landmarks, footage.track, footage.layout)[indices],
        surroundings=np.stack(surroundings),
        border=np.stack(border),
        lips=torch.stack(lips).to(device),
        regions=torch.stack(regions).to(device),
        poses=observer.poses[torch.as_tensor(indices, device=device)],
        mel=log_mel(normalise_loudness(speech)),
        trained_seconds=float(times[-1]),
    )


def fit_basis(lip: LipModel, clip: Clip) -> Tensor:
    """Initialise base and basis by the principal components of the canonical lips, and return the codes (N, size)
    of the frames. Codes are scaled so that the first number has unit variance.
    """
    some = clip.lips[torch.from_numpy(evenly(len(clip.lips), _MOST_BASIS_FRAMES))].flatten(1).float() / 255
    mean = some.mean(dim=0)
    axes, deviations = principal_axes(some - mean, lip.code_size)
    scale = deviations[0]
    shape = clip.lips.shape[1:]
    with torch.no_grad():
        lip.base.copy_(_nodes_of_cells(mean.unflatten(0, shape)[None]))
        lip.basis.copy_(_nodes_of_cells((axes.T * scale).unflatten(1, shape)))
    return torch.cat([(part.flatten(1).float() / 255 - mean) @ axes / scale for part in clip.lips.split(256)])


def fit_look(speaker: SpeakerModel, clip: Clip, codes: Tensor, report: Report) -> Tensor:
    """Fit the look model and return the offsets (N, size) that it gives the frames.

    Args:
        speaker: Its look model is fitted.
        clip: The training frames.
        codes: (N, size) of the canonical lips.
        report: Told the phase ``"Learn look"``.
    """
    steps = itertools.count()

    def tell() -> None:
        report.progress("Learn look", next(steps), FIT_STEPS)

    tell()
    context = speech_context(clip.mel, clip.times)
    speaker.look.cpu().fit(clip.surroundings, clip.border, clip.shapes, codes.cpu().numpy(), context, tell)
    offsets = speaker.look(*(torch.from_numpy(part) for part in (clip.surroundings, clip.border, clip.shapes)))
    speaker.look.to(codes.device)
    return offsets.to(codes.device)


def train_speech(
    lip: LipModel, clip: Clip, targets: Tensor, preset: Preset, random: np.random.Generator, report: Report
) -> None:
    """Train the speech encoder and the time code on codes: the reconstruction loss in canonical space, equation (7),
    since the basis is orthogonal. Numbers that vary much weigh less than there, by the root of their deviation.

    Some excerpts carry silence, during which the mouth must rest.

    Args:
        lip: Its grids are left as they are.
        clip: The training frames.
        targets: (N, size) codes without the look's offsets.
        preset: How long to train.
        random: Source of randomness besides torch's own.
        report: Told the phase ``"Learn speech"``.
    """
    device = targets.device
    mel = torch.from_numpy(clip.mel).to(device)
    rows = min(len(mel), round(clip.trained_seconds / CODE_SECONDS) * 4 + 1)
    lip.speech.fit_scale(mel[:rows])
    lip.time.fit_scale(clip.trained_seconds)
    wanted, known = _on_code_grid(targets, clip, (rows - 1) // 4)
    calm = np.argsort(clip.openings)[: max(1, round(_REST_SHARE * len(targets)))]
    rest = targets[torch.from_numpy(calm.copy())].mean(dim=0)
    weights = targets.std(dim=0).sqrt()
    weights = weights / weights.max()

    averaged = {name: value.detach().clone() for name, value in lip.speech.named_parameters()}
    parameters = [*lip.speech.parameters(), *lip.time.parameters()]
    optimiser = torch.optim.AdamW(parameters, _SPEECH_RATE, weight_decay=_SPEECH_DECAY)
    steps = round(preset.speech_factor * float(np.interp(clip.trained_seconds, *_SPEECH_STEPS)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _SPEECH_RATE, total_steps=steps, pct_start=0.1)
    length = min(_EXCERPT_CODES, len(wanted))
    lip.train()
    for step in range(steps):
        report.progress("Learn speech", step, steps)
        starts = random.integers(0, len(wanted) - length + 1, _SPEECH_BATCH)
        shifts = random.integers(-1, 2, _SPEECH_BATCH)
        sounds = torch.stack([_excerpt(mel, 4 * int(a) + int(b), length) for a, b in zip(starts, shifts, strict=True)])
        places = torch.from_numpy(starts[:, None] + np.arange(length)).to(device)
        answers, counts = wanted[places], known[places]
        for silent in range(_SILENT_EXCERPTS):
            _silence(sounds[silent], answers[silent], counts[silent], rest, random)
        timed = torch.from_numpy(random.random((_SPEECH_BATCH, 1, 1)) < _TIME_SHARE).to(device)
        timed[:_SILENT_EXCERPTS] = False
        guess = lip.speech(sounds)[:, CONTEXT_CODES:-CONTEXT_CODES] + timed * lip.time(places * CODE_SECONDS)
        loss = (counts[..., None] * (weights * (guess - answers)).square()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        keep = min(_AVERAGING, step / (step + 10))
        for name, value in lip.speech.named_parameters():
            averaged[name].lerp_(value.detach(), 1 - keep)
    with torch.no_grad():
        for name, value in lip.speech.named_parameters():
            value.copy_(averaged[name])
    lip.eval()


def train_appearance(
    speaker: SpeakerModel,
    clip: Clip,
    codes: Tensor,
    offsets: Tensor,
    preset: Preset,
    random: np.random.Generator,
    report: Report,
) -> None:
    """Train the grids and Blend-Net: in canonical space on rectangles at arbitrary positions (continuous sampling,
    equation (2)), and in observed space on whole mouth regions, equation (8).

    The lips of a frame are pasted on the region of another one with a similar pose. So Blend-Net never sees the
    surroundings that belong to the mouth it must paint, and cannot learn to read the mouth's motion from them.

    Args:
        speaker: Its lip model's grids and its Blend-Net are trained.
        clip: The training frames.
        codes: (N, size) of the canonical lips themselves.
        offsets: (N, size) of the look.
        preset: How long to train.
        random: Source of randomness besides torch's own.
        report: Told the phase ``"Learn appearance"``.
    """
    lip, blend = speaker.lip, speaker.blend
    device = codes.device
    with torch.no_grad():
        spoken = codes_at(lip.speech.track(torch.from_numpy(clip.mel).to(device)), clip.times) + offsets
    partners = _similar_poses(clip)
    optimiser = torch.optim.Adam(
        [{"params": [lip.base, lip.basis], "lr": _GRID_RATE}, {"params": blend.parameters(), "lr": _BLEND_RATE}]
    )
    steps = preset.appearance_steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [_GRID_RATE, _BLEND_RATE], total_steps=steps)
    blend.train()
    for step in range(steps):
        report.progress("Learn appearance", step, steps)
        canonical = random.integers(0, len(codes), _APPEARANCE_BATCH)
        observed = random.integers(0, len(codes), _APPEARANCE_BATCH)
        loss = _canonical_loss(lip, clip, codes, canonical, random)
        loss = loss + _observed_loss(speaker, clip, spoken, observed, partners[observed])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    blend.eval()


def _canonical_loss(
    lip: LipModel, clip: Clip, codes: Tensor, chosen: NDArray[np.int64], random: np.random.Generator
) -> Tensor:
    """Squared error on a quarter of the lip rectangle, cut into cells at a random position between the pixels."""
    view, device = clip.face.lips, codes.device
    box = view.rectangle
    width, height = box.width // 2, box.height // 2
    left, top = random.uniform(0, box.width - width), random.uniform(0, box.height - height)
    x_edges = torch.arange(width + 1, device=device) + left
    y_edges = torch.arange(height + 1, device=device) + top
    picks = torch.from_numpy(chosen).to(device)
    guess = compose(lip.layers(x_edges / box.width, y_edges / box.height), codes[picks])

    middles = torch.stack(torch.meshgrid(x_edges[:-1] + 0.5, y_edges[:-1] + 0.5, indexing="xy"), dim=-1)
    depth = sample(view.depth[None, None], middles[None], padding="border")[0, 0]
    position = middles + middles.new_tensor([box.left, box.top])
    camera = clip.footage.track.intrinsics
    relative = relative_pose(clip.poses[picks], view.pose)
    pixels = map_pixels(position, depth, view.intrinsics, camera, relative).pixels
    return functional.mse_loss(guess, sample_regions(*_regions(clip, chosen), pixels))


def _observed_loss(
    speaker: SpeakerModel, clip: Clip, codes: Tensor, chosen: NDArray[np.int64], partners: NDArray[np.int64]
) -> Tensor:
    view, device = speaker.face.lips, codes.device
    indices = clip.indices[chosen]
    picks = torch.from_numpy(chosen).to(device)
    grids = clip.observer.plan.grids(indices, device)
    placement = place(view, clip.footage.track.intrinsics, clip.poses[picks], grids)
    truth, others = _regions(clip, chosen)[0], _regions(clip, partners)[0]
    lips = compose(speaker.lip.pixel_layers(), codes[picks])
    error = placement.mask * (speaker.blend(paste(lips, others, placement, view), placement.mask) - truth)
    edges = error.diff(dim=-1).square().mean() + error.diff(dim=-2).square().mean()
    return error.square().mean() + _EDGE_WEIGHT * edges


def _regions(clip: Clip, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Regions float32 (B, 3, H, W) and their corners (B, 2)."""
    device = clip.regions.device
    corners = torch.as_tensor(clip.observer.plan.corners[clip.indices[chosen]], dtype=torch.float32, device=device)
    return regions_to_tensor(clip.regions[torch.from_numpy(chosen).to(device)]), corners


def _similar_poses(clip: Clip) -> NDArray[np.int64]:
    """For each frame another one with the most similar head pose, some time apart."""
    poses = clip.poses.cpu().double()
    features = torch.cat([poses[:, :3, :3].flatten(1) * 100.0, poses[:, :3, 3] * 0.3], dim=1)
    partners = []
    for start, part in enumerate(features.split(1)):
        distance = (features - part).square().sum(dim=1).numpy()
        distance[np.abs(clip.times - clip.times[start]) < _APART_SECONDS] = np.inf
        partners.append(int(distance.argmin()))
    return np.array(partners)


def _on_code_grid(targets: Tensor, clip: Clip, count: int) -> tuple[Tensor, Tensor]:
    """Codes of frames (N, size) at the encoder's moments: (count, size), and which of them have a frame nearby."""
    moments = np.arange(count) * CODE_SECONDS
    values = targets.cpu().numpy()
    after = np.searchsorted(clip.times, moments).clip(1, len(clip.times) - 1)
    before = after - 1
    share = (moments - clip.times[before]) / (clip.times[after] - clip.times[before])
    grid = values[before] + share.clip(0, 1)[:, None].astype(np.float32) * (values[after] - values[before])
    distance = np.minimum(np.abs(moments - clip.times[before]), np.abs(clip.times[after] - moments))
    device = targets.device
    return torch.from_numpy(grid).to(device), torch.from_numpy((distance < CODE_SECONDS).astype(np.float32)).to(device)


def _excerpt(mel: Tensor, row: int, codes: int) -> Tensor:
    """Rows of log-mel for ``codes`` codes and their context, from ``row``; beyond its ends the last row is repeated."""
    margin = 4 * CONTEXT_CODES
    rows = torch.arange(row - margin, row + 4 * codes + margin, device=mel.device)
    return mel[rows.clamp(0, len(mel) - 1)].clone()


def _silence(sound: Tensor, answer: Tensor, counts: Tensor, rest: Tensor, random: np.random.Generator) -> None:
    """Replace a stretch of an excerpt, in place, by digital silence or faint noise, and its answer by the rest pose."""
    length = len(answer)
    stretch = int(random.integers(min(_LEAST_SILENCE_CODES, length), length + 1))
    start = int(random.integers(0, length - stretch + 1))
    margin = 4 * CONTEXT_CODES
    from_row = 0 if start == 0 else margin + 4 * start
    to_row = len(sound) if start + stretch == length else margin + 4 * (start + stretch)
    level = silence_level()
    if random.random() < 0.5:
        level += random.uniform(0.0, 7.0)
        noise = torch.from_numpy(random.normal(0.0, 0.7, (to_row - from_row, sound.shape[1])).astype(np.float32))
        sound[from_row:to_row] = (level + noise.to(sound)).clamp(min=silence_level())
    else:
        sound[from_row:to_row] = level
    onset = 2
    inner = slice(start + (onset if start else 0), start + stretch - (onset if start + stretch < length else 0))
    answer[inner] = rest
    counts[inner] = 1.0


def _nodes_of_cells(cells: Tensor) -> Tensor:
    """Values at nodes (n, 3, h + 1, w + 1) whose averages over cells are close to ``cells`` (n, 3, h, w)."""
    down, across = (_inverse_averaging(size).to(cells) for size in cells.shape[-2:])
    return down @ cells @ across.T


def _inverse_averaging(cells: int, damping: float = 0.01) -> Tensor:
    """(cells + 1, cells): the damped least-squares inverse of averaging neighbouring nodes."""
    nodes = torch.eye(cells + 1, dtype=torch.float64)
    averaging = (nodes[:-1] + nodes[1:]) / 2
    square = averaging @ averaging.T + damping * torch.eye(cells, dtype=torch.float64)
    return (averaging.T @ torch.linalg.inv(square)).float()

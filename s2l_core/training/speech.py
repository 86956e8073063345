"""The stage that trains the speech encoder on codes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.lip.base import LipModel
from ..preset_steps import SPEECH_STEPS
from ..speech.encoder import CODE_SECONDS, CONTEXT_CODES, MEMBERS
from ..speech.sources import SpeechSource
from .clip import Clip
from .initialisation import PrincipalLips
from .loop import Stage
from .presets import Preset
from .sync_teacher import SyncTeacher

_RATE, _DECAY = 2e-3, 1e-2
_BATCH, _SILENT_EXCERPTS = 12 * MEMBERS, 2 * MEMBERS
_TOLERANCE = 0.3
"""Scale of the Cauchy loss: squared error of a moment, relative to the variance, from which its weight falls
noticeably.
"""
_EXCERPT_CODES = 64
_LEAST_SILENCE_CODES = 16
_TIME_SHARE = 0.5
"""Share of the excerpts that pass their time to the lip model."""
_REST_SHARE = 0.05
"""Share of the frames, those with the most closed mouth, whose mean is the mouth at rest."""

_SYNC_EXCERPTS, _SYNC_CODES = 2, 34
_SYNC_STEPS = 0.2
"""Share of the steps with the sync loss, which would otherwise take longer than the rest of a step."""


def speech_stage(
    lip: LipModel,
    clip: Clip,
    principal: PrincipalLips,
    targets: Tensor,
    preset: Preset,
    teacher: SyncTeacher | None = None,
) -> Stage:
    """The stage that trains the speech encoder and the time code on the codes of the training lips. Errors of codes are
    measured in pixels, mostly of the mouth box: since the components are linear, this is the reconstruction loss of
    equation (7).

    The loss is the Cauchy negative log-likelihood, so that moments that speech cannot predict do not dominate the fit.
    Some excerpts contain silence, for which the target is the mouth at rest. In some steps a few excerpts are also
    rendered, for the contrastive loss of equation (6).

    Args:
        lip: The lip model; only its speech encoder and its time code are trained.
        clip: The training frames.
        principal: Principal components of the lips, which define the codes.
        targets: (N, 64) codes without the offsets of the look model.
        preset: Number of steps, and weight of the sync loss.
        teacher: The sync expert; None leaves the sync loss out.
    """
    # Target codes at the moments of the encoder, the mouth at rest, and the map from codes to pixels.
    device = targets.device
    heard = torch.from_numpy(clip.features).to(device)
    rows = min(len(heard), round(clip.seconds / CODE_SECONDS) * 4 + 1)
    wanted, known = _on_code_grid(targets, clip, (rows - 1) // 4)
    rest = rest_pose(clip, targets)
    to_pixels = principal.in_pixels(clip.face)
    tolerated = _TOLERANCE * (targets @ to_pixels).square().sum(dim=-1).mean().clamp(min=1e-9)
    length = min(_EXCERPT_CODES, len(wanted))
    begins = known_excerpts(known, length)
    with torch.no_grad():
        paint = None if teacher is None else teacher.painter(lip)

    def loss(random: np.random.Generator) -> Tensor:
        # Random excerpts of speech, shifted by up to 10 ms, and their codes.
        starts = begins[random.integers(0, len(begins), _BATCH)]
        shifts = random.integers(-1, 2, _BATCH)
        sounds = torch.stack([excerpt(heard, 4 * int(a) + int(b), length) for a, b in zip(starts, shifts, strict=True)])
        places = torch.from_numpy(starts[:, None] + np.arange(length)).to(device)
        answers, counts = wanted[places], known[places]
        # A few excerpts get a pause with the mouth at rest; half of the others pass their time to the lip model.
        for silent in range(_SILENT_EXCERPTS):
            _silence(sounds[silent], answers[silent], counts[silent], rest, clip.source, random)
        timed = torch.from_numpy(random.random((_BATCH, 1)) < _TIME_SHARE * preset.time).to(device)
        timed[:_SILENT_EXCERPTS] = False
        times = torch.where(timed, places * CODE_SECONDS, torch.nan)
        # Cauchy negative log-likelihood of the error, in pixels.
        guess = lip.code(lip.speech(sounds)[:, CONTEXT_CODES:-CONTEXT_CODES], times)
        squares = ((guess - answers) @ to_pixels).square().sum(dim=-1)
        error = (counts * (squares / tolerated).log1p()).mean()
        if teacher is None or paint is None or random.random() > _SYNC_STEPS:
            return error
        # The sync loss, on the first windows of the last excerpts.
        some, moments = guess[-_SYNC_EXCERPTS:, :_SYNC_CODES], places[-_SYNC_EXCERPTS:, :_SYNC_CODES] * CODE_SECONDS
        lips = paint(some.flatten(0, 1)).unflatten(0, some.shape[:2])
        return error + preset.weights.sync / _SYNC_STEPS * teacher.loss(moments.cpu().numpy(), lips)

    steps = round(preset.speech_factor * float(np.interp(clip.seconds, *SPEECH_STEPS)))
    parameters = [*lip.speech.parameters(), *lip.time.parameters()]
    return Stage("Learn speech", steps, [(parameters, _RATE)], loss, decay=_DECAY)


def rest_pose(clip: Clip, targets: Tensor) -> Tensor:
    """The code (64,) of the mouth at rest: the mean of the targets (N, 64) of the most closed mouths."""
    calm = np.argsort(clip.openings)[: max(1, round(_REST_SHARE * len(targets)))]
    return targets[torch.from_numpy(calm.copy())].mean(dim=0)


def _on_code_grid(targets: Tensor, clip: Clip, count: int) -> tuple[Tensor, Tensor]:
    """Codes of the frames (N, size), interpolated at the encoder's moments: (count, size); and 1 or 0 (count,), whether
    a frame is nearby.
    """
    moments = np.arange(count) * CODE_SECONDS
    values = targets.cpu().numpy()
    after = np.searchsorted(clip.times, moments).clip(1, len(clip.times) - 1)
    before = after - 1
    share = (moments - clip.times[before]) / (clip.times[after] - clip.times[before])
    grid = values[before] + share.clip(0, 1)[:, None].astype(np.float32) * (values[after] - values[before])
    distance = np.minimum(np.abs(moments - clip.times[before]), np.abs(clip.times[after] - moments))
    device = targets.device
    return torch.from_numpy(grid).to(device), torch.from_numpy((distance < CODE_SECONDS).astype(np.float32)).to(device)


def known_excerpts(known: Tensor, length: int) -> NDArray[np.int64]:
    """First moments (n,) of the excerpts of ``length`` moments of which most have a frame nearby; all if none does. Of
    long footage, most moments have none.
    """
    sums = np.concatenate([[0.0], np.cumsum(known.cpu().numpy(), dtype=np.float64)])
    covered = sums[length:] - sums[:-length] > length / 2
    return np.flatnonzero(covered | ~covered.any())


def excerpt(features: Tensor, row: int, codes: int) -> Tensor:
    """Rows of features for ``codes`` codes and their context, from ``row`` on. Beyond the ends, the first or last row
    is repeated.
    """
    margin = 4 * CONTEXT_CODES
    rows = torch.arange(row - margin, row + 4 * codes + margin, device=features.device)
    return features[rows.clamp(0, len(features) - 1)].clone()


def _silence(
    sound: Tensor, answer: Tensor, counts: Tensor, rest: Tensor, source: SpeechSource, random: np.random.Generator
) -> None:
    """Replace a stretch of an excerpt by a pause between words, and its target by the mouth at rest, in place."""
    length = len(answer)
    stretch = int(random.integers(min(_LEAST_SILENCE_CODES, length), length + 1))
    start = int(random.integers(0, length - stretch + 1))
    margin = 4 * CONTEXT_CODES
    from_row = 0 if start == 0 else margin + 4 * start
    to_row = len(sound) if start + stretch == length else margin + 4 * (start + stretch)
    sound[from_row:to_row] = torch.from_numpy(source.quiet(to_row - from_row, random)).to(sound)
    onset = 2
    inner = slice(start + (onset if start else 0), start + stretch - (onset if start + stretch < length else 0))
    answer[inner] = rest
    counts[inner] = 1.0

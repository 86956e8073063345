"""Synchrony of lips and speech: the sync expert and the contrastive sync loss of equation (6).

A sync expert is trained on the speaker's real footage: two encoders map a short stretch of log-mel and five mouth
pictures to a common space, in which those of the same moment are close. It is then frozen and judges how well generated
lips match a sound. It sees the canonical view, in which the head does not move, and cuts its windows by time, so that
the frame rate of the footage does not matter.

An expert overrates lips that were trained against it. Therefore there are two, with different sizes and seeds:
:data:`TEACHER` for the loss, :data:`JUDGE` for :func:`s2l_core.evaluation.sync_score.score_offset`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..canonical.compositing import soft_mask
from ..errors import TooFewFaces
from ..speech.features import HOP_SECONDS, MEL_BANDS
from .steps import Steps, all_steps

SyncForm = Literal["infonce", "paper"]

FRAME_SECONDS = 0.04
"""Interval between the pictures of a window, and unit of offsets in seconds: a frame at the paper's 25 fps."""
WINDOW_PICTURES = 5
MIDDLE_PICTURE = WINDOW_PICTURES // 2
LARGEST_OFFSET = 15
"""Largest offset in frames, in either direction, that the expert is trained to distinguish."""
STEPS = 100
"""Training steps. They suffice for one to four minutes of footage; a few hundred over-fit one minute."""

_NEAR = 0.55
"""Largest deviation of a picture from its nominal time in a window, in frames: half a frame, and a margin for
rounding.
"""
_RUNS, _RATE, _DECAY = 3, 1e-3, 1e-2
_BRIGHTNESS, _SHIFT = 0.1, 2
_DROPOUT = 0.2
_TEMPERATURE = 0.1
_LEAST_PROBABILITY = 1e-4
_BATCH = 64


@dataclass(frozen=True)
class ExpertSizes:
    """Sizes of a sync expert.

    Attributes:
        height: Height in pixels to which lips are downscaled.
        width: Width in pixels to which lips are downscaled.
        channels: Channels of the first layer, which are doubled twice.
        mel_rows: Length of the speech window in rows of 10 ms.
        embedding: Length of an embedding.
    """

    height: int
    width: int
    channels: int
    mel_rows: int
    embedding: int


TEACHER = ExpertSizes(height=36, width=48, channels=32, mel_rows=32, embedding=128)
"""Sizes of the expert that lips are trained against."""
JUDGE = ExpertSizes(height=48, width=60, channels=24, mel_rows=40, embedding=96)
"""Sizes of the expert that scores lips that were trained against the other one."""


class Expert(Protocol):
    """Interface of a sync expert for the loss."""

    def __call__(self, mel_windows: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Unit-norm, non-negative embeddings (B, d) of speech windows and of windows (B, 5, 3, h, w) of pictures."""


class SyncExpert(nn.Module):
    """A sync expert for one speaker: two encoders into a common space, 0.02 GFLOP per window.

    Args:
        sizes: :data:`TEACHER` or :data:`JUDGE`.
    """

    mel_mean: Tensor
    mel_scale: Tensor
    picture_mean: Tensor
    picture_scale: Tensor
    mask: Tensor

    def __init__(self, sizes: ExpertSizes = TEACHER) -> None:
        super().__init__()
        self.sizes = sizes
        self.register_buffer("mel_mean", torch.zeros(MEL_BANDS))
        self.register_buffer("mel_scale", torch.ones(()))
        self.register_buffer("picture_mean", torch.zeros(3, sizes.height, sizes.width))
        self.register_buffer("picture_scale", torch.ones(()))
        # the border of generated lips shows the frame below, whose mouth speaks other words
        self.register_buffer("mask", soft_mask(sizes.height, sizes.width), persistent=False)
        thin, middle, thick = sizes.channels, 2 * sizes.channels, 4 * sizes.channels
        cells = math.ceil(sizes.height / 8) * math.ceil(sizes.width / 8)
        self.mouth = nn.Sequential(
            nn.Conv2d(3 * WINDOW_PICTURES, thin, 5, stride=2, padding=2),
            nn.BatchNorm2d(thin),
            nn.ReLU(),
            nn.Conv2d(thin, middle, 3, stride=2, padding=1),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, thick, 3, stride=2, padding=1),
            nn.BatchNorm2d(thick),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(_DROPOUT),
            nn.Linear(thick * cells, sizes.embedding),
        )
        self.speech = nn.Sequential(
            nn.Conv1d(MEL_BANDS, thick, 5, stride=2, padding=2),
            nn.BatchNorm1d(thick),
            nn.ReLU(),
            nn.Conv1d(thick, thick, 5, stride=2, padding=2),
            nn.BatchNorm1d(thick),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(_DROPOUT),
            nn.Linear(thick * math.ceil(sizes.mel_rows / 4), sizes.embedding),
        )

    def forward(self, mel_windows: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Unit-norm, non-negative embeddings (B, d) of speech and mouth.

        Args:
            mel_windows: (B, rows, 80) see :func:`mel_windows`.
            pictures: float32 (B, 5, 3, h, w) canonical lips in [0, 1], of any size, 40 ms apart.
        """
        return self.embed_speech(mel_windows), self.embed_mouth(pictures)

    def embed_speech(self, mel_windows: Tensor) -> Tensor:
        """Embeddings (B, d) of log-mel (B, rows, 80)."""
        scaled = (mel_windows - self.mel_mean) / self.mel_scale
        return _on_sphere(self.speech(scaled.transpose(1, 2)))

    def embed_mouth(self, pictures: Tensor) -> Tensor:
        """Embeddings (B, d) of windows (B, 5, 3, h, w) of pictures."""
        small = self.shrink(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2])
        scaled = (small - self.picture_mean) / self.picture_scale * self.mask
        return _on_sphere(self.mouth(scaled.flatten(1, 2)))

    def fit_scale(self, mel: Tensor, pictures: Tensor) -> None:
        """Set the normalisation by the statistics of log-mel (m, 80) and downscaled pictures (n, 3, height, width)."""
        self.mel_mean.copy_(mel.mean(dim=0))
        self.mel_scale.copy_(mel.std())
        self.picture_mean.copy_(pictures.mean(dim=0))
        self.picture_scale.copy_((pictures - self.picture_mean).std())

    def shrink(self, pictures: Tensor) -> Tensor:
        """Downscale pictures (n, 3, h, w) to the size of the expert by averaging."""
        return functional.adaptive_avg_pool2d(pictures, (self.sizes.height, self.sizes.width))

    def shrink_stored(self, pictures: Tensor) -> Tensor:
        """As :meth:`shrink`, for any number of uint8 pictures; returns float32 in [0, 1]."""
        return torch.cat([self.shrink(part.float() / 255) for part in pictures.split(_BATCH)])


def mel_windows(mel: Tensor, moments: Tensor | NDArray[np.floating], rows: int) -> Tensor:
    """Windows (n, rows, 80) of log-mel (m, 80) around moments (n,) in seconds. Beyond the ends, the first or last row
    is repeated.
    """
    middle = torch.as_tensor(moments / HOP_SECONDS, device=mel.device).round().long()
    return mel[_around(middle, rows).clamp(0, len(mel) - 1)]


def picture_windows(times: NDArray[np.floating]) -> NDArray[np.int64]:
    """Windows of pictures: those nearest to -80, -40, 0, 40 and 80 ms around a picture.

    Args:
        times: (N,) seconds, ascending. There are no windows at the ends and across gaps.

    Returns:
        int64 (n, 5) indices of pictures; the middle column determines the moments.
    """
    if len(times) < WINDOW_PICTURES:
        return np.empty((0, WINDOW_PICTURES), np.int64)
    near = _NEAR * float(np.median(np.diff(times)))
    steps = np.arange(WINDOW_PICTURES) - MIDDLE_PICTURE
    wanted = times[:, None] + FRAME_SECONDS * steps
    after = np.searchsorted(times, wanted).clip(1, len(times) - 1)
    nearest = np.where(wanted - times[after - 1] <= times[after] - wanted, after - 1, after)
    return nearest[(np.abs(times[nearest] - wanted) < near).all(axis=1)]


def frames_of_windows(times: NDArray[np.floating], count: int) -> int:
    """Number of successive frames that contain ``count`` windows at the frame rate of ``times`` (N,)."""
    return count + 2 * int(np.ceil(FRAME_SECONDS * MIDDLE_PICTURE / float(np.median(np.diff(times))) - _NEAR))


def train_expert(
    mel: Tensor,
    times: NDArray[np.floating],
    pictures: Tensor,
    seed: int,
    sizes: ExpertSizes = TEACHER,
    steps: int = STEPS,
    tell: Callable[[int, int], None] = lambda done, total: None,
    count_steps: Steps = all_steps,
) -> SyncExpert:
    """Train a sync expert on real footage.

    A batch consists of a few runs of consecutive windows, so that the negatives are neighbouring frames and other
    moments (InfoNCE in both directions).

    Args:
        mel: float32 (m, 80) log-mel of the footage's speech.
        times: (N,) times of the pictures in seconds after the first row of ``mel``.
        pictures: uint8 (N, 3, h, w) canonical lips of the training part only.
        seed: Seed of weights, order and augmentation. Teacher and judge should have different ones.
        sizes: :data:`TEACHER` or :data:`JUDGE`.
        steps: Number of steps. More over-fit short footage.
        tell: Called with the number of steps done and the total.
        count_steps: Counts the steps, and restores and saves the state.

    Returns:
        The expert, frozen.

    Raises:
        TooFewFaces: There are no five successive pictures with a face.
    """
    windows = picture_windows(times)
    if not len(windows):
        raise TooFewFaces("The footage never shows the face in five successive pictures.")
    random = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # Normalise the inputs by the statistics of the footage.
        expert = SyncExpert(sizes).to(mel.device)
        small = expert.shrink_stored(pictures)
        expert.fit_scale(mel[: round(float(times[-1]) / HOP_SECONDS)], small)

        # Runs of windows 40 ms apart, as long as the offsets that must be distinguished.
        stride = max(1, round(FRAME_SECONDS / float(np.median(np.diff(times)))))
        run = min(2 * LARGEST_OFFSET + 1, (len(windows) - 1) // stride + 1)

        # Contrastive training on random, augmented runs.
        optimiser = torch.optim.AdamW(expert.parameters(), _RATE, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps, pct_start=0.2)
        expert.train()
        for step in count_steps(steps, expert, optimiser, random):
            tell(step, steps)
            schedule.last_epoch = step
            starts = random.integers(0, len(windows) - stride * (run - 1), _RUNS)
            chosen = windows[starts[:, None] + stride * np.arange(run)].reshape(-1, WINDOW_PICTURES)
            shown = _augment(small[torch.from_numpy(chosen).to(small.device)], random)
            heard = mel_windows(mel, times[chosen[:, MIDDLE_PICTURE]], sizes.mel_rows)
            loss = info_nce(*expert(heard, shown))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        optimiser.zero_grad()
    return expert.eval().requires_grad_(False)


def sync_loss(expert: Expert, mel_windows: Tensor, generated: Tensor, form: SyncForm = "infonce") -> Tensor:
    """Equation (6) for generated lips. The negatives are generated lips too, those of the other moments, so both
    positives and negatives carry gradient.

    Args:
        expert: A frozen sync expert.
        mel_windows: float32 (n, rows, 80) log-mel of n moments.
        generated: float32 (n, 5, 3, h, w) windows of generated lips of these moments, in order.
        form: ``"infonce"`` compares each moment with all others in both directions, ``"paper"`` with the one half a
            batch away.
    """
    speech, mouth = expert(mel_windows, generated)
    if form == "infonce":
        return info_nce(speech, mouth)
    return paper_loss(speech, mouth, mouth.roll(len(mouth) // 2, dims=0))


def sync_loss_of_runs(
    expert: SyncExpert,
    mel: Tensor,
    times: NDArray[np.floating],
    generated: Tensor,
    form: SyncForm = "infonce",
) -> Tensor:
    """:func:`sync_loss` over all windows of some runs of generated lips; a run of T frames at 25 fps has T - 4 windows.

    Args:
        expert: A frozen sync expert.
        mel: float32 (m, 80) log-mel of the speech that drives the lips.
        times: (R, T) times of the frames of R runs in seconds after the first row of ``mel``.
        generated: float32 (R, T, 3, h, w) canonical lips in [0, 1].
        form: See :func:`sync_loss`.
    """
    windows = [picture_windows(run) for run in times]
    moments = np.concatenate([run[chosen[:, MIDDLE_PICTURE]] for run, chosen in zip(times, windows, strict=True)])
    # index_select sums the gradients of a picture in several windows in a fixed order; indexing with [] does not.
    lips = [
        run.index_select(0, torch.from_numpy(chosen.ravel()).to(run.device)).unflatten(0, chosen.shape)
        for run, chosen in zip(generated, windows, strict=True)
    ]
    heard = mel_windows(mel, moments, expert.sizes.mel_rows)
    return sync_loss(expert, heard, torch.cat(lips), form)


def info_nce(speech: Tensor, mouth: Tensor) -> Tensor:
    """-log(exp(s_ii / τ) / Σ_j exp(s_ij / τ)) for unit-norm embeddings (n, d): the mean of both directions, speech to
    mouth and mouth to speech.
    """
    similarity = speech @ mouth.T / _TEMPERATURE
    right = torch.arange(len(similarity), device=similarity.device)
    return (functional.cross_entropy(similarity, right) + functional.cross_entropy(similarity.T, right)) / 2


def paper_loss(speech: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    """-log s(speech, right) - log(1 - s(speech, wrong)) of equation (6), for unit-norm, non-negative embeddings (n, d),
    with their cosine s.
    """
    near, far = ((speech * other).sum(dim=1) for other in (right, wrong))
    least = _LEAST_PROBABILITY
    return -(near.clamp(min=least).log() + (1 - far).clamp(min=least).log()).mean()


def _on_sphere(values: Tensor) -> Tensor:
    return functional.normalize(functional.relu(values), dim=1)


def _around(middle: Tensor, count: int) -> Tensor:
    """``count`` consecutive indices around each of ``middle`` (n,): (n, count)."""
    return middle[:, None] + torch.arange(count, device=middle.device) - count // 2


def _augment(windows: Tensor, random: np.random.Generator) -> Tensor:
    """Augment windows (n, 5, 3, h, w): scale their brightness by up to a tenth and shift them by up to two pixels."""
    gain = 1 + random.uniform(-_BRIGHTNESS, _BRIGHTNESS, (len(windows), 1, 1, 1, 1)).astype(np.float32)
    down, across = (int(value) for value in random.integers(-_SHIFT, _SHIFT + 1, 2))
    return windows.roll((down, across), dims=(-2, -1)) * torch.from_numpy(gain).to(windows)

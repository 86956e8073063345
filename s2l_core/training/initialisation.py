"""Initialisation of training: principal components of the lips and the look model, both in closed form."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from ..cache import NO_CACHE, Cache, Tensors
from ..canonical.view import CanonicalFace
from ..events import Report, checkpoint
from ..model.lip.base import SPOKEN_SIZE
from ..model.look import FIT_STEPS, principal_axes, speech_context
from ..model.speaker import SpeakerModel
from ..subsampling import evenly_spaced
from .clip import Clip

_MOST_BASIS_FRAMES = 800
_AROUND_MOUTH = 0.05
"""Weight of a squared error outside the mouth box, relative to one inside."""


class PrincipalLips(NamedTuple):
    """Principal components of the canonical lips of N frames.

    Attributes:
        mean: float32 (3, h, w).
        axes: float32 (64, 3, h, w), scaled so that the first component of the codes has unit variance.
        codes: float32 (N, 64).
    """

    mean: Tensor
    axes: Tensor
    codes: Tensor

    def in_pixels(self, face: CanonicalFace) -> Tensor:
        """A matrix (64, 64) that maps a difference of codes to a vector whose squared length is the squared error of
        the pixels, weighted by 1 in the mouth box and less around it.
        """
        box = face.lips.rectangle
        left, top, right, bottom = (round(edge) for edge in face.mouth_box)
        weights = self.mean.new_full((box.height, box.width), _AROUND_MOUTH**0.5)
        rows = slice(max(0, top - box.top), max(0, bottom - box.top))
        columns = slice(max(0, left - box.left), max(0, right - box.left))
        weights[rows, columns] = 1.0
        return torch.linalg.qr((weights * self.axes).flatten(1).T).R.T


def find_principal_lips(clip: Clip, cache: Cache = NO_CACHE) -> PrincipalLips:
    """Principal components of the training lips, from the cache if they are there."""
    return PrincipalLips(
        **cache.get_or_compute("principal lips", lambda: _principal_lips(clip)._asdict(), clip.lips.device)
    )


def _principal_lips(clip: Clip) -> PrincipalLips:
    some = clip.lips[torch.from_numpy(evenly_spaced(len(clip.lips), _MOST_BASIS_FRAMES))].flatten(1).float() / 255
    mean = some.mean(dim=0)
    axes, deviations = principal_axes(some - mean, SPOKEN_SIZE)
    scale = deviations[0]
    codes = []
    for part in clip.lips.split(256):
        checkpoint()
        codes.append((part.flatten(1).float() / 255 - mean) @ axes / scale)
    shape = clip.lips.shape[1:]
    return PrincipalLips(mean.unflatten(0, shape), (axes.T * scale).unflatten(1, shape), torch.cat(codes))


def fit_look(speaker: SpeakerModel, clip: Clip, codes: Tensor, report: Report, cache: Cache = NO_CACHE) -> Tensor:
    """Fit the look model, and return its offsets (N, size) for the training frames.

    Args:
        speaker: The speaker, whose look model is fitted in place.
        clip: The training frames.
        codes: (N, size) codes of the canonical lips.
        report: Receives the phase ``"Fit look"``.
        cache: Cache of the result and of the work until then.
    """
    fitted = cache.get_or_compute("look", lambda: _fitted_look(speaker, clip, codes, report))
    offsets = fitted.pop("offsets")
    speaker.look.load_state_dict(fitted)
    return offsets.to(codes.device)


def _fitted_look(speaker: SpeakerModel, clip: Clip, codes: Tensor, report: Report) -> Tensors:
    """The state of the look model, and the offsets."""
    steps = itertools.count()

    def tell() -> None:
        report.progress("Fit look", next(steps), FIT_STEPS)

    tell()
    context = speech_context(clip.mel, clip.times)
    speaker.look.cpu().fit(clip.surroundings, clip.border, clip.shapes, codes.cpu().numpy(), context, tell)
    offsets = speaker.look.of_stored(clip.surroundings, clip.border, clip.shapes)
    speaker.look.to(codes.device)
    return {**speaker.look.state_dict(), "offsets": offsets}

"""Where training starts: what can be fitted in closed form."""

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
"""What errors outside of the mouth box count beside those inside."""


class PrincipalLips(NamedTuple):
    """The principal components of the canonical lips of N frames.

    Attributes:
        mean: (3, h, w)
        axes: (64, 3, h, w), scaled so that the first number of the codes has unit variance.
        codes: (N, 64)
    """

    mean: Tensor
    axes: Tensor
    codes: Tensor

    def in_pixels(self, face: CanonicalFace) -> Tensor:
        """A matrix (64, 64) that brings differences of codes to a space where squares are the sum of the squared errors
        of pixels: those in the mouth box, and a little of those around it.
        """
        box = face.lips.rectangle
        left, top, right, bottom = (round(edge) for edge in face.mouth_box)
        weights = self.mean.new_full((box.height, box.width), _AROUND_MOUTH**0.5)
        rows = slice(max(0, top - box.top), max(0, bottom - box.top))
        columns = slice(max(0, left - box.left), max(0, right - box.left))
        weights[rows, columns] = 1.0
        return torch.linalg.qr((weights * self.axes).flatten(1).T).R.T


def find_principal_lips(clip: Clip, cache: Cache = NO_CACHE) -> PrincipalLips:
    """Mean, axes and codes of the training lips, kept or found."""
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
    """Fit the look model and return the offsets (N, size) that it gives the frames.

    Args:
        speaker: Its look model is fitted.
        clip: The training frames.
        codes: (N, size) of the canonical lips.
        report: Told the phase ``"Learn look"``.
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
        report.progress("Learn look", next(steps), FIT_STEPS)

    tell()
    context = speech_context(clip.mel, clip.times)
    speaker.look.cpu().fit(clip.surroundings, clip.border, clip.shapes, codes.cpu().numpy(), context, tell)
    offsets = speaker.look(*(torch.from_numpy(part) for part in (clip.surroundings, clip.border, clip.shapes)))
    speaker.look.to(codes.device)
    return {**speaker.look.state_dict(), "offsets": offsets}

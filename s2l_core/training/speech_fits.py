"""The closed-form parts of the speech encoder: the regressions that it averages, and its articulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.lip.base import LipModel
from ..speech.encoder import MelEncoder, RidgeEncoder, SpeechEncoder
from ..speech.features import HOP_SECONDS
from ..speech.kernel import BLOCK_ROWS, BLOCKS, KernelRegression
from ..speech.moonshine import open_moonshine
from ..speech.sources import SpeechSource
from .clip import Clip
from .speech import rest_pose

_FOLDS = 5
_MOST_GAIN = 3.0
"""Largest gain of the articulation. Least squares predict a quantity of correlation r with only r times its deviation,
so 1/r is the gain with which mouths open as far as the real ones.
"""
_MOST_PRIOR = 0.5
"""Largest weight of the prior."""
_FRAMES_AT_ONCE, _ROWS_AT_ONCE = 1000, 6000
"""Frames and rows of features that are computed together, so that long speech takes no more memory."""
_PAUSES_EVERY = 16
_PAUSE_ONSET = 2
"""Blocks of 40 ms after which the mouth rests in a pause."""


class Predictions(NamedTuple):
    """What speech tells about the mouths of frames that it was not fitted to.

    Attributes:
        openings: (N,) predicted openings of the training frames.
        prior_share: Weight that the prior shall have in the speech encoder.
    """

    openings: Tensor
    prior_share: float


def predict_openings(lip: LipModel, clip: Clip) -> Predictions:
    """Predict the openings of the mouth in the training frames by cross-validation: each fold by regressions that were
    fitted to the others.

    The weight of the prior rises with the variance that it explains, and with what log-mel leaves open: on a speaker
    whose openings log-mel tells with the correlation 0.8, half of the prior made the lips worse, and a fifth did not.
    """
    openings = torch.from_numpy(clip.openings).to(clip.lips.device)
    by_mel = _cross_validate(_heard(clip, lip.speech, clip.features), openings, KernelRegression)
    if clip.prior is None or not isinstance(lip.speech, SpeechEncoder):
        return Predictions(by_mel, 0.0)
    by_prior = _cross_validate(_heard(clip, lip.speech.prior, clip.prior), openings, RidgeEncoder)
    told, told_by_prior = (max(_correlation(each, openings), 0.0) for each in (by_mel, by_prior))
    part = told_by_prior**2 / max(told**2 + told_by_prior**2, 1e-9)
    return Predictions(torch.lerp(by_mel, by_prior, part), min(2 * part * (1 - told), _MOST_PRIOR))


def fit_speech(lip: LipModel, clip: Clip, targets: Tensor, predicted: Predictions) -> None:
    """Fit the closed-form parts of a trained speech encoder.

    The regressions are fitted to the same codes, and to pauses in which the mouth rests. The articulation is the gain
    on predicted codes; it follows from how well regressions predict openings that they were not fitted to. It is
    bounded, since an encoder that has memorised unrelated sound predicts openings of full size.

    Args:
        lip: The lip model, whose speech encoder has been trained.
        clip: The training frames.
        targets: (N, 64) codes without the offsets of the look model.
        predicted: As :func:`predict_openings` gives them.
    """
    encoder = lip.speech
    if not isinstance(encoder, SpeechEncoder):
        return
    openings, rest = torch.from_numpy(clip.openings).to(targets), rest_pose(clip, targets)
    encoder.kernel.fit(*_with_pauses(_heard(clip, encoder, clip.features), encoder, clip.source, targets, rest))
    if clip.prior is not None:
        heard = _heard(clip, encoder.prior, clip.prior)
        encoder.prior.fit(*_with_pauses(heard, encoder.prior, open_moonshine(), targets, rest))
        encoder.prior_share.fill_(predicted.prior_share)
    predictable = max(_correlation(predicted.openings, openings), 1 / _MOST_GAIN)
    encoder.kernel_share.fill_((1 - predictable) / 2)  # what speech cannot predict, the convolutions memorise
    is_predictable = predictable > 1 / _MOST_GAIN  # otherwise the encoder has memorised, and its codes have full size
    encoder.articulation.fit(targets, openings, 1 / predictable if is_predictable else 1.0)
    # Backwards, the training speech has this voice, but sounds in an order that was not trained on.
    encoder.articulation.limit(spoken_codes(encoder, clip, backwards=True).to(targets), targets)


def spoken_codes(encoder: MelEncoder, clip: Clip, backwards: bool = False) -> Tensor:
    """Codes (t, size) of the speech in a clip's span, one every 40 ms.

    Args:
        encoder: The speech encoder.
        clip: The clip.
        backwards: Whether the training part of the speech is played backwards.
    """

    def heard(features: NDArray[np.floating]) -> Iterator[Tensor]:
        rows = torch.from_numpy(features)
        if backwards:
            pieces = reversed(rows[: round(clip.seconds / HOP_SECONDS)].split(_ROWS_AT_ONCE))
            yield from (piece.flip(0).to(encoder.mel_mean) for piece in pieces)
        else:
            yield from (piece.to(encoder.mel_mean) for piece in rows.split(_ROWS_AT_ONCE))

    track = encoder.track_pieces(heard(clip.features))
    if not isinstance(encoder, SpeechEncoder) or clip.prior is None or encoder.prior_share == 0:
        return track
    return encoder.with_prior(track, heard(clip.prior))


def _heard(clip: Clip, encoder: MelEncoder, features: NDArray[np.floating]) -> Tensor:
    """Inputs (N, 8, bands) of a regression for the training frames, from features (m, bands) that an encoder scales."""
    known = torch.from_numpy(features)
    first = np.round(clip.times / HOP_SECONDS).astype(int)[:, None] - BLOCKS // 2 * BLOCK_ROWS
    begins = (first + BLOCK_ROWS * np.arange(BLOCKS)).clip(0, len(features) - BLOCK_ROWS)
    rows = torch.from_numpy(begins[..., None] + np.arange(BLOCK_ROWS))
    return torch.cat(
        [encoder.scale(known[part].to(encoder.mel_mean)).mean(dim=2) for part in rows.split(_FRAMES_AT_ONCE)]
    )


def _with_pauses(
    heard: Tensor, encoder: MelEncoder, source: SpeechSource, targets: Tensor, rest: Tensor
) -> tuple[Tensor, Tensor]:
    """Inputs (N, 8, bands) and targets (N, 64) of a regression, and additional ones with a pause, whose target is the
    mouth at rest (64,): one third each at its start, at its end, and inside.
    """
    random = np.random.default_rng(0)
    some = heard[::_PAUSES_EVERY]
    quiet = torch.from_numpy(np.stack([source.quiet(BLOCKS * BLOCK_ROWS, random) for _ in some])).to(heard)
    pauses = encoder.scale(quiet).unflatten(1, (BLOCKS, BLOCK_ROWS)).mean(dim=2)
    edge = BLOCKS // 2 - _PAUSE_ONSET
    pauses[0::3, :edge] = some[0::3, :edge]
    pauses[1::3, -edge:] = some[1::3, -edge:]
    return torch.cat([heard.to(targets), pauses.to(targets)]), torch.cat([targets, rest.expand(len(pauses), -1)])


def _cross_validate(
    heard: Tensor, openings: Tensor, regression: Callable[[int, int], KernelRegression | RidgeEncoder]
) -> Tensor:
    """Openings (N,), each fold predicted from its inputs (n, 8, bands) by a regression fitted to the other folds."""
    heard, openings = heard.to(openings.device), openings.to(heard)
    predicted, margin = torch.zeros_like(openings), len(openings) // 50
    for fold in torch.arange(len(openings), device=heard.device).chunk(_FOLDS):
        others = torch.ones(len(openings), dtype=torch.bool, device=heard.device)
        others[max(0, int(fold[0]) - margin) : int(fold[-1]) + margin] = False
        fitted = regression(1, heard.shape[2]).to(heard.device)
        fitted.fit(heard[others], openings[others, None])
        predicted[fold] = fitted.answer(heard[fold])[:, 0]
    return predicted


def _correlation(first: Tensor, second: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([first, second.to(first)]))[0, 1])

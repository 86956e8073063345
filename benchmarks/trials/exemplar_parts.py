"""The parts of the architecture ``exemplars``, each of which can be left out of a trained speaker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from s2l_core import jpeg
from s2l_core.model.exemplars import Exemplars
from s2l_core.model.lip.base import LipModel
from s2l_core.model.speaker import SpeakerModel
from s2l_core.mouth import exemplar_painter, line_codes, painting
from s2l_core.speech.encoder import SpeechEncoder
from s2l_core.speech.silence import PauseBehaviour

from .trial import Contender, Trial

_QUALITY = 92


@dataclass(frozen=True)
class Part:
    """A part that is left out.

    Attributes:
        title: What is left out.
        leave_out: Changes a speaker, which nobody else uses, in place; None leaves it as it is.
        replaced: A module, the name of something in it, and what takes its place while a dub is opened: exemplars are
            then chosen, and their light is computed.
    """

    title: str
    leave_out: Callable[[SpeakerModel], None] | None = None
    replaced: tuple[ModuleType, str, Any] | None = None


def without_part(trial: Trial, speaker: SpeakerModel, part: Part) -> Contender:
    """A speaker without a part, as ``dub`` renders the held-out frames with their own words."""
    if part.leave_out is not None:
        part.leave_out(speaker)
    with nullcontext() if part.replaced is None else patch.object(*part.replaced):
        return Contender(trial.by_dub(speaker).driver)


def _without_motion(speaker: SpeakerModel) -> None:
    exemplars = _exemplars(speaker)
    speaker.exemplars = replace(exemplars, motion=torch.zeros_like(exemplars.motion))


def _no_shades(lip: LipModel, size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """As :func:`s2l_core.mouth.exemplar_painter._shades`, black."""
    return torch.zeros(1, 3, 1, 1, device=device), torch.zeros(size, 3, 1, 1, device=device)


def _alone(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """As :func:`s2l_core.mouth.exemplar_choice.with_neighbours`, each frame with itself beside it."""
    return np.stack([chosen] * 3, axis=1)


def _without_metric(speaker: SpeakerModel) -> None:
    exemplars = _exemplars(speaker)
    speaker.exemplars = replace(exemplars, metric=torch.eye(len(exemplars.metric), device=exemplars.metric.device))


def _with_few(speaker: SpeakerModel, step: int) -> None:
    exemplars = _exemplars(speaker)
    codes, offsets = exemplars.codes[::step], exemplars.offsets[::step]
    speaker.exemplars = replace(exemplars, codes=codes, offsets=offsets, pictures=exemplars.pictures[::step])


def _with_small(speaker: SpeakerModel) -> None:
    exemplars = _exemplars(speaker)
    size = exemplars.width // 2, exemplars.height // 2
    halved = (
        cv2.resize(exemplars.picture(index), size, interpolation=cv2.INTER_AREA)
        for index in range(len(exemplars.pictures))
    )
    pictures = tuple(jpeg.encode(np.asarray(picture, np.uint8), _QUALITY) for picture in halved)
    speaker.exemplars = replace(exemplars, width=size[0], height=size[1], pictures=pictures)


def _without_prior(speaker: SpeakerModel) -> None:
    _encoder(speaker).prior_share.zero_()


def _without_kernel(speaker: SpeakerModel) -> None:
    _encoder(speaker).kernel_share.zero_()


def _without_networks(speaker: SpeakerModel) -> None:
    _encoder(speaker).kernel_share.fill_(1.0)


def _without_articulation(speaker: SpeakerModel) -> None:
    _encoder(speaker).articulation.gain.fill_(1.0)


def _without_pauses(speaker: SpeakerModel) -> None:
    speaker.pauses = PauseBehaviour()


def _no_rest(speech: NDArray[np.float32], times: NDArray[np.float64], room_tone_db: float) -> NDArray[np.float64]:
    """As :func:`s2l_core.speech.silence.resting_in_room_tone`, of a voice without long pauses."""
    return np.zeros(len(times))


def _exemplars(speaker: SpeakerModel) -> Exemplars:
    assert speaker.exemplars is not None
    return speaker.exemplars


def _encoder(speaker: SpeakerModel) -> SpeechEncoder:
    assert isinstance(speaker.lip.speech, SpeechEncoder)
    return speaker.lip.speech


PARTS = {
    "exemplars": Part("complete"),
    "no_motion": Part("exemplars as they are, not moved", _without_motion),
    "no_shade": Part("not relit", replaced=(exemplar_painter, "_shades", _no_shades)),
    "no_neighbours": Part("not averaged with the frames beside", replaced=(painting, "with_neighbours", _alone)),
    "no_metric": Part("chosen by codes, not by pictures", _without_metric),
    "quarter": Part("a quarter of the exemplars", partial(_with_few, step=4)),
    "half_size": Part("half the pixels along each side", _with_small),
    "no_prior": Part("without speech prior", _without_prior),
    "no_kernel": Part("without kernel regression", _without_kernel),
    "no_networks": Part("without networks", _without_networks),
    "no_articulation": Part("without articulation", _without_articulation),
    "no_pauses": Part("without rest in pauses", _without_pauses, (line_codes, "resting_in_room_tone", _no_rest)),
}
"""By the names of their rows."""

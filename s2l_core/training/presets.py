"""Hyperparameters of a training: the presets from which a user chooses, and the switches of the paper's ablations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..jobs import Architecture, PresetName
from ..model.sync import SyncForm
from ..preset_steps import PRESET_STEPS
from .losses import DEFAULT, PAPER, Weights


@dataclass(frozen=True)
class Preset:
    """Hyperparameters of one training. The numbers of steps are those of :mod:`s2l_core.preset_steps`; training time is
    proportional to them.

    Attributes:
        appearance_steps: Steps of the stage in pixels for the architecture ``grids``; ``RECIPES`` multiplies them for
            the others. More steps give sharper lips.
        depth_steps: Steps of the fit of the canonical depth (paper section 4.3). With 0 the depth of the landmarks'
            mesh is used as it is. More steps follow the footage's parallax more closely, which matters when the head is
            turned.
        head_steps: Steps in which Blend-Net learns to inpaint what a turned head uncovers (paper section 5.4). With 0
            holes keep the head's mean colours.
        speech_factor: Factor on the number of steps of the speech encoder, which grows with the length of the footage.
        architecture: Lip model, unless the job names another one.
        continuous_sampling: Whether lips are trained on cells at arbitrary positions (equation (2)) instead of on whole
            pixels.
        blending: Whether Blend-Net (section 4.4) is trained and used.
        time: Whether some training frames pass their time to the lip model, which then explains slow drift by it.
        look: Whether the pixels around the mouth correct the codes that speech predicts.
        early_stopping: Whether another part of the footage is kept from training, and the end-to-end stage stops when
            the PSNR there no longer rises.
        weights: Weight of each loss term, equation (10).
        sync_form: Form of the contrastive loss, equation (6). No sync expert is trained if the loss has no weight.
        seconds: Time limit in seconds after the head has been tracked, for comparing trainings of equal length. When it
            ends the stage in pixels, the result depends on the speed of the machine.
    """

    appearance_steps: int
    depth_steps: int = 150
    head_steps: int = 60
    speech_factor: float = 1.0
    architecture: Architecture = "exemplars"
    continuous_sampling: bool = True
    blending: bool = True
    time: bool = True
    look: bool = True
    early_stopping: bool = False
    weights: Weights = DEFAULT
    sync_form: SyncForm = "infonce"
    seconds: float = math.inf


def _preset(name: PresetName) -> Preset:
    """A preset of the default losses with the steps of that name."""
    steps = PRESET_STEPS[name]
    weights = DEFAULT if steps.sync else replace(DEFAULT, sync=0.0)
    return Preset(steps.appearance, steps.depth, steps.head, steps.speech_factor, steps.architecture, weights=weights)


PRESETS: dict[PresetName, Preset] = {
    "draft": _preset("draft"),
    "balanced": _preset("balanced"),
    "final": _preset("final"),
    "paper": replace(_preset("paper"), look=False, early_stopping=True, weights=PAPER, sync_form="paper"),
}

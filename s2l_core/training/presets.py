"""What a training consists of: the presets that a user picks, and the switches of the paper's ablations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..jobs import Architecture, PresetName
from ..model.sync import SyncForm
from .losses import DEFAULT, PAPER, Weights


@dataclass(frozen=True)
class Preset:
    """How a speaker is trained.

    Attributes:
        appearance_steps: Steps of the stage in pixels, for grids; other lip models take more, and shorter ones.
        seconds: That a training may take, without finding and tracking the head; the stage in pixels gets what is left
            of them. Where this ends it, what comes out depends on how fast the machine is: it is there to compare
            trainings of equal length.
        depth_steps: Steps in which the canonical depth is learnt; with 0 it stays that of the landmarks' mesh.
        head_steps: Steps in which it is learnt how to paint what a turned head uncovers.
        speech_factor: On the steps of the stage in codes, which follow the length of the footage.
        architecture: Of the lip model, unless the job names one.
        continuous_sampling: Whether lips are learnt on cells at arbitrary positions (equation (2)) or on pixels.
        blending: Whether Blend-Net takes part.
        time: Whether some frames are told their time.
        look: Whether the surroundings of the mouth take part.
        early_stopping: Whether a part of the training footage is kept to tell when to stop.
        weights: What each loss counts.
        sync_form: Of the contrastive loss; no expert is trained for it where it counts nothing.
    """

    appearance_steps: int
    depth_steps: int = 150
    head_steps: int = 60
    speech_factor: float = 1.0
    architecture: Architecture = "fast"
    continuous_sampling: bool = True
    blending: bool = True
    time: bool = True
    look: bool = True
    early_stopping: bool = False
    weights: Weights = DEFAULT
    sync_form: SyncForm = "infonce"
    seconds: float = math.inf


PRESETS: dict[PresetName, Preset] = {
    "draft": Preset(60, depth_steps=60, head_steps=20, speech_factor=0.5, weights=replace(DEFAULT, sync=0.0)),
    "balanced": Preset(300),
    "final": Preset(1500, depth_steps=300, head_steps=200),
    "paper": Preset(2000, architecture="paper", look=False, early_stopping=True, weights=PAPER, sync_form="paper"),
}

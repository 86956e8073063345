"""How much each preset of training trains, for the training itself and for estimates. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from .jobs import Architecture, PresetName

TRAINED_SECONDS, WATCHED_SECONDS = 300.0, 30.0
"""Longest duration of the frames that are trained on, and of those on which training is validated; more take more
memory and time. Of longer footage, they are chosen.
"""
SPEECH_STEPS = ((20.0, 60.0, 240.0, TRAINED_SECONDS), (300.0, 700.0, 1600.0, 1656.0))
"""Seconds of footage, and the number of steps for which the speech encoder is trained on that much, linear between:
more steps over-fit, fewer under-fit.
"""


@dataclass(frozen=True)
class PresetSteps:
    """Numbers of training steps, to which the duration of each stage is proportional.

    Attributes:
        appearance: Steps of the stage in pixels, which the architecture ``exemplars`` does not have.
        depth: Steps of the fit of the canonical depth.
        head: Steps in which Blend-Net learns to inpaint what a turned head uncovers.
        speech_factor: Factor on :data:`SPEECH_STEPS`.
        sync: Whether a sync expert is trained and used.
        architecture: Lip model that is trained unless the job names another one.
    """

    appearance: int
    depth: int = 150
    head: int = 60
    speech_factor: float = 1.0
    sync: bool = True
    architecture: Architecture = "exemplars"


PRESET_STEPS: dict[PresetName, PresetSteps] = {
    "draft": PresetSteps(60, depth=60, head=20, speech_factor=0.5, sync=False),
    "balanced": PresetSteps(300),
    "final": PresetSteps(1500, depth=300, head=200),
    "paper": PresetSteps(2000, architecture="paper"),
}

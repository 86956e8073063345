"""Short trainings with losses left out (Chen et al. 2018), to be compared with each other only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from s2l_core.events import Report
from s2l_core.glance.clips import LipClip
from s2l_core.glance.generator import Generator
from s2l_core.glance.objective import LossWeights
from s2l_core.glance.training import TrainingSettings, train_generator

_FULL = LossWeights()
_PIXELS = LossWeights(correlation=0.0, perceptual=0.0, adversarial=0.0)
VARIATIONS: dict[str, tuple[LossWeights, bool]] = {
    "pixels": (_PIXELS, True),
    "+ adversarial": (replace(_PIXELS, adversarial=_FULL.adversarial), True),
    "+ perceptual": (replace(_FULL, correlation=0.0), True),
    "+ correlation": (_FULL, True),
    "non-derivative": (_FULL, False),
}
"""Weights of the losses, and whether derivatives are correlated, by row. The first four follow each other."""


def train(
    name: str, clips: Sequence[LipClip], settings: TrainingSettings, device: torch.device, report: Report
) -> Generator:
    """Train the generator of one row."""
    weights, derivative = VARIATIONS[name]
    chosen = replace(settings, weights=weights, derivative=derivative)
    return train_generator(clips, [], chosen, None, device, report)

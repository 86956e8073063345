"""Short trainings with losses left out (Chen et al. 2018), to be compared with each other only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from s2l_core.events import Report
from s2l_core.glance.clips import LipClip
from s2l_core.glance.generator import Generator
from s2l_core.glance.objective import LossWeights
from s2l_core.glance.training import TrainingSettings, train_generator

_FULL = LossWeights()
_PIXELS = LossWeights(correlation=0.0, perceptual=0.0, adversarial=0.0)
VARIATIONS: dict[str, dict[str, Any]] = {
    "pixels": {"weights": _PIXELS},
    "+ adversarial": {"weights": replace(_PIXELS, adversarial=_FULL.adversarial)},
    "+ perceptual": {"weights": replace(_FULL, correlation=0.0)},
    "+ correlation": {},
    "non-derivative": {"derivative": False},
    "two streams": {"sees_flow": False},
}
"""Settings by row. The first four follow each other, and the others change the fourth, which is complete."""


def train(
    name: str, clips: Sequence[LipClip], settings: TrainingSettings, device: torch.device, report: Report
) -> Generator:
    """Train the generator of one row."""
    chosen = replace(settings, **VARIATIONS[name])
    return train_generator(clips, [], chosen, None, device, report)

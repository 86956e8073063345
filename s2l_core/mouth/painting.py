"""Rendering the canonical lips of a line: by the lip model alone, or from exemplars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..model.speaker import SpeakerModel
from .exemplar_choice import choose_exemplars
from .exemplar_painter import ExemplarPainter

LinePainter = Callable[[Tensor, NDArray[np.integer]], Tensor]
"""Maps motion codes (B, code) of frames and the numbers (B,) of these frames in the line to their canonical lips
(B, 3, h, w).
"""


def line_painter(speaker: SpeakerModel, spoken: Tensor) -> LinePainter:
    """A function that renders the canonical lips of any frames of a line.

    Args:
        speaker: The speaker, on the device to compute on.
        spoken: float32 (t, 64) codes of speech for all frames of the line, in order. They determine which exemplars
            are shown, so that a frame does not depend on which other frames are rendered.
    """
    if speaker.exemplars is None:
        with torch.no_grad():
            paint = speaker.lip.pixel_painter()
        return lambda codes, numbers: paint(codes)
    chosen = choose_exemplars(speaker.exemplars, spoken)
    painter = ExemplarPainter(speaker.exemplars, speaker.lip)
    return lambda codes, numbers: painter.paint(codes, chosen[numbers])

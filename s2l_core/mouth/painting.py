"""Rendering the lips of a line: by the lip model alone, or from exemplars."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..model.lip.base import LipModel
from ..model.speaker import SpeakerModel
from .exemplar_choice import choose_exemplars, with_neighbours
from .exemplar_painter import ExemplarPainter


class LinePainter(Protocol):
    """Renders the lips of frames of a line."""

    def __call__(self, codes: Tensor, numbers: NDArray[np.integer], at: Tensor | None = None) -> Tensor:
        """Lips (B, 3, h, w) in [0, 1].

        Args:
            codes: (B, code) motion codes of the frames.
            numbers: (B,) numbers of the frames in the line.
            at: float32 (B, h, w, 2) positions in the lip rectangle, see
                :func:`s2l_core.canonical.light.positions_in`; None means canonical lips at their own resolution.
        """


def line_painter(speaker: SpeakerModel, spoken: Tensor) -> LinePainter:
    """A function that renders any frames of a line.

    Args:
        speaker: The speaker, on the device to compute on.
        spoken: float32 (t, 64) codes of speech for all frames of the line, in order. They determine which exemplars
            are shown, so that a frame does not depend on which other frames are rendered.
    """
    if speaker.exemplars is None:
        return _model_painter(speaker.lip)
    shown = with_neighbours(choose_exemplars(speaker.exemplars, spoken))
    painter = ExemplarPainter(speaker.exemplars, speaker.lip)
    return lambda codes, numbers, at=None: painter.paint(codes, shown[numbers], at)


def _model_painter(lip: LipModel) -> LinePainter:
    with torch.no_grad():
        paint = lip.pixel_painter()

    def paint_at(codes: Tensor, numbers: NDArray[np.integer], at: Tensor | None = None) -> Tensor:
        lips = paint(codes)
        return lips if at is None else functional.grid_sample(lips, at, padding_mode="border", align_corners=False)

    return paint_at

"""Pictures side by side, with captions."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .mouths import Picture

_GAP, _STRIP = 4, 22
_PAPER, _INK = 32, (235, 235, 235)


def abreast(pictures: Sequence[Picture], captions: Sequence[str]) -> Picture:
    """Pictures of equal size (h, w, 3) side by side, each below its caption."""
    height, width = pictures[0].shape[:2]
    line = np.full((_STRIP + height, len(pictures) * (width + _GAP) - _GAP, 3), _PAPER, np.uint8)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left = number * (width + _GAP)
        line[_STRIP:, left : left + width] = picture
        cv2.putText(line, caption, (left + 4, _STRIP - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
    return line


def stacked(lines: Sequence[Picture]) -> Picture:
    """Lines of any width, one below the other."""
    widest = max(line.shape[1] for line in lines)
    padded = [np.pad(line, ((0, _GAP), (0, widest - line.shape[1]), (0, 0)), constant_values=_PAPER) for line in lines]
    return np.concatenate(padded)

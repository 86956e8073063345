"""The mouths of a clip, as filmed and as dubbed, cut out of whole frames at the footage's resolution."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from s2l_core.canonical.regions import RegionPlan
from s2l_core.evaluation.drivers import Driver
from s2l_core.events import Report
from s2l_core.footage import Footage
from s2l_core.mouth.rendering import BATCH

Picture = NDArray[np.uint8]

_MARGIN = 0.2
"""Margin on each side of the mouth box, relative to its width."""
_SLACK = 1.0
"""Pixels that the mouth may be off the middle of its crop."""
_LEAST_WIDTH = 200


def plan_crops(boxes: NDArray[np.float64]) -> RegionPlan:
    """Crops of equal size that follow the mouth.

    A crop stays where the one before was until the mouth is off its middle by more than a pixel, so that rounding does
    not make a resting head shake.

    Args:
        boxes: Left, top, right, bottom (N, 4) of the mouth box in every frame.
    """
    sizes = np.quantile(boxes[:, 2:] - boxes[:, :2], 0.99, axis=0)
    size = np.ceil(sizes + 2 * _MARGIN * sizes[0]).astype(np.int64)
    corners: list[NDArray[np.int64]] = []
    for wanted in (boxes[:, :2] + boxes[:, 2:]) / 2 - size / 2:
        if not corners or np.abs(wanted - corners[-1]).max() > _SLACK:
            corners.append(np.round(wanted).astype(np.int64))
        else:
            corners.append(corners[-1])
    return RegionPlan(np.stack(corners), int(size[0]), int(size[1]))


def enlargement(width: int) -> int:
    """The factor by which crops of a width in pixels are shown: 1 unless they are narrower than 200 pixels."""
    return max(1, -(-_LEAST_WIDTH // width))


def show_mouths(
    footage: Footage, drivers: Sequence[Driver], crops: RegionPlan, report: Report
) -> Iterator[tuple[int, list[Picture]]]:
    """The mouth in every frame of a clip: that of the footage, then that of each driver.

    Args:
        footage: The clip that the drivers were opened on.
        drivers: Render the new mouths.
        crops: A crop for every frame.
        report: Receives the phase ``"Show mouths"``.

    Yields:
        Index of the frame, and pictures of equal size, uint8 (h, w, 3).
    """
    factor, count = enlargement(crops.width), len(footage.times)
    frames = enumerate(itertools.islice(footage.frames(), count))
    while batch := list(itertools.islice(frames, BATCH)):
        images, indices = [frame.image for _, frame in batch], np.array([index for index, _ in batch])
        columns = [images, *(driver.render(images, indices) for driver in drivers)]
        for number, index in enumerate(indices.tolist()):
            mouths = [crops.cut(column[number], index) for column in columns]
            yield index, [_enlarge(mouth, factor) for mouth in mouths]
            report.progress("Show mouths", index + 1, count)


def _enlarge(picture: Picture, factor: int) -> Picture:
    if factor == 1:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8)

"""Similarity of a picture to the true one inside a mask."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from s2l_core.evaluation.metrics import psnr, ssim
from s2l_core.model.perception import Lpips

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Likeness = dict[str, float]


def measure(picture: Picture, truth: Picture, mask: Mask, perception: Lpips | None) -> Likeness:
    """``psnr`` of the mask's pixels, ``ssim`` of the windows around them and, if ``perception`` is given, ``lpips`` of
    their bounding box. Pixels outside the mask are taken from the truth.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    merged = np.where(mask[..., None], picture, truth)
    figures = {"psnr": psnr(picture[mask], truth[mask]), "ssim": ssim(merged, truth, mask)}
    if perception is not None:
        device = perception.shift.device
        pair = torch.from_numpy(np.stack([merged[box], truth[box]])).to(device).movedim(-1, 1).float() / 255
        figures["lpips"] = float(perception(pair[:1], pair[1:]))
    return figures


def mean(figures: Iterable[Likeness]) -> Likeness:
    """The mean of each measure."""
    rows = list(figures)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

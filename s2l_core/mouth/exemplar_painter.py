"""Rendering canonical lips from exemplars: one real mouth, moved to where the code says, in the shade that it says."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn import functional

from ..model.exemplars import Exemplars
from ..model.lip.base import LipModel

_SHADE = 0.03
"""Standard deviation, as a share of the lip rectangle's width, of the blur of what the lip model adds to an exemplar. A
narrower one adds outlines of the mean mouth, which look like ghosts where the mouth moves fast; a wider one keeps the
light of the exemplar, and costs decibels.
"""
_SHADE_STEP = 2
"""Pixels of the lip model between the values of the shade, which is smooth."""
_NEIGHBOURS = 0.25
"""Weight of the coarse picture of the exemplar of the frame before, and of that of the frame after. A higher one is
calmer from frame to frame, and averages mouths that differ.
"""
_COARSE = 56
"""Columns of these pictures. With fewer, less of a mouth is averaged, which leaves more of its changes; with more, fine
outlines of other mouths are seen, and the grain is averaged away.
"""
_MOST_ROWS = 4 * _COARSE
"""Most rows of these pictures, whatever shape a speaker file states; those of lips have fewer rows than columns."""
_FINENESS = 16
"""Intervals along each side of the lip rectangle between the points for which the motion is computed."""
_STILL = 6
"""Intervals along each side of the lip rectangle between points that do not move."""
_SMOOTHING = 1e-2
"""Smoothing of the thin plate between outlines. A higher one lets it miss the outlines, so that mouths move less; a
lower one bends what is between points that are told to move differently.
"""


class ExemplarPainter:
    """Renders the lips of a line.

    The exemplar with code c_e is moved from the outlines of the lips that c_e tells to those that the frame's code c
    tells, and gets the blurred difference of the lip model's pictures of both codes. What is coarse in it is averaged
    with the exemplars of the frames beside it.

    Args:
        exemplars: Exemplars of the speaker.
        lip: Lip model of the speaker, whose pictures are affine in the code; on the device to compute on.
    """

    def __init__(self, exemplars: Exemplars, lip: LipModel) -> None:
        device = exemplars.codes.device
        self._codes = exemplars.codes + exemplars.offsets
        self._exemplars = exemplars
        border = _lattice(_STILL)
        self._lattice, self._border = _lattice(_FINENESS), border[np.isin(border, (0, 1)).any(axis=1)]
        self._whole = _all_positions(exemplars.height, exemplars.width, device)
        rows = round(_COARSE * exemplars.height / exemplars.width)
        self._coarse = _all_positions(min(max(rows, 1), _MOST_ROWS), _COARSE, device)
        with torch.no_grad():
            self._shade_mean, self._shades = _shades(lip, exemplars.codes.shape[1], device)

    @torch.no_grad()
    def paint(self, codes: Tensor, shown: NDArray[np.int64], at: Tensor | None = None) -> Tensor:
        """Lips float32 (B, 3, H, W) in [0, 1] of motion codes (B, 64).

        What is coarse in an exemplar that is shown for a single frame is averaged with the exemplars of the frames
        beside it, moved to the same outlines; its details are not.

        Args:
            codes: Motion codes of the frames.
            shown: (B, 3) indices of the exemplars of the frame before each frame, of the frame, and of the one after.
            at: float32 (B, H, W, 2) positions in the lip rectangle, from -1 at its left and top to 1 at its right and
                bottom; None means all pixels of an exemplar.

        Raises:
            SpeakerFileBroken: The picture of an exemplar is damaged.
        """
        # Each picture is decoded once, and the motion of all three exemplars of a frame is computed together.
        unique, places = np.unique(shown, return_inverse=True)
        mouths = self._exemplars.lips(unique.tolist())
        places, own = places.reshape(shown.shape), self._codes[torch.from_numpy(shown).to(codes.device)]
        shifts = self._shifts(own, codes).to(codes.device)

        # The exemplar of the frame, in the light of its code.
        new = self._whole.expand(len(codes), -1, -1, -1) if at is None else at
        lips = self._moved(mouths[places[:, 1]], own[:, 1], shifts[:, 1], new)
        lips = lips + _sampled(self._shade(codes), new)

        # What is coarse in the exemplars of the frames beside it.
        coarse = self._coarse.expand(len(codes), -1, -1, -1)
        small = functional.interpolate(mouths, coarse.shape[1:3], mode="area")
        before, middle, after = (self._moved(small[places[:, k]], own[:, k], shifts[:, k], coarse) for k in range(3))
        return (lips + _sampled(_NEIGHBOURS * (before - middle + (after - middle)), new)).clamp(0, 1)

    def _moved(self, mouths: Tensor, own: Tensor, shifts: Tensor, new: Tensor) -> Tensor:
        """Mouths (B, 3, h, w) of exemplars with the codes ``own`` (B, 64), without their shade, at positions ``new``
        (B, H, W, 2): what is seen there after the motion by ``shifts`` lay elsewhere before it.
        """
        moved = functional.grid_sample(shifts, new, mode="bicubic", padding_mode="border", align_corners=True)
        old = new - 2 * moved.permute(0, 2, 3, 1)  # a share of the side is two units of the grid
        picture = functional.grid_sample(mouths, old, mode="bicubic", padding_mode="border", align_corners=False)
        return picture - _sampled(self._shade(own), old)

    def _shifts(self, own: Tensor, codes: Tensor) -> Tensor:
        """How far what is seen at each point of a lattice has moved, right and down as shares of the lip rectangle's
        sides: float32 (B, 3, 2, 17, 17) for mouths with codes ``own`` (B, 3, 64) that get the codes (B, 64).

        The outlines of the lips lie where the new codes tell, and the thin plate between them is fixed at the border.
        """
        before, after = self._exemplars.outlines(own), self._exemplars.outlines(codes)
        still = np.zeros((len(self._border), 2 * own.shape[1]))
        plates = [
            RBFInterpolator(
                np.concatenate([there, self._border]),
                np.concatenate([np.concatenate(there - here, axis=1), still]),
                smoothing=_SMOOTHING,
                kernel="thin_plate_spline",
            )(self._lattice)
            for here, there in zip(before, after, strict=True)
        ]
        side = _FINENESS + 1
        shifts = np.stack(plates).reshape(len(plates), side, side, -1, 2).transpose(0, 3, 4, 1, 2)
        return torch.from_numpy(np.ascontiguousarray(shifts, np.float32))

    def _shade(self, codes: Tensor) -> Tensor:
        return self._shade_mean + torch.einsum("bk,kcyx->bcyx", codes, self._shades)


def _all_positions(height: int, width: int, device: torch.device) -> Tensor:
    """Positions (1, height, width, 2) of all pixels of a picture of the lip rectangle."""
    return functional.affine_grid(torch.eye(2, 3, device=device)[None], [1, 3, height, width], align_corners=False)


def _sampled(pictures: Tensor, at: Tensor) -> Tensor:
    return functional.grid_sample(pictures, at, padding_mode="border", align_corners=False)


def _lattice(intervals: int) -> NDArray[np.float64]:
    """Points ((n + 1)², 2) of a lattice from the corner (0, 0) to (1, 1), row by row."""
    along = np.linspace(0, 1, intervals + 1)
    return np.stack(np.meshgrid(along, along, indexing="xy"), axis=-1).reshape(-1, 2)


def _shades(lip: LipModel, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Blurred pictures (1, 3, y, x) of the mean code and (size, 3, y, x) of a unit of each code."""
    paint = lip.pixel_painter()
    mean = paint(torch.zeros(1, size, device=device))
    pictures = torch.cat([mean, paint(torch.eye(size, device=device)) - mean])
    down, across = (blurred_along(length, _SHADE * lip.width).to(device) for length in pictures.shape[2:])
    coarse = down @ pictures @ across.T
    return coarse[:1], coarse[1:]


def blurred_along(length: int, deviation: float) -> Tensor:
    """Matrix float32 (c, length) that blurs a row of pixels with a Gaussian and averages each two of them."""
    blur = gaussian_filter1d(np.eye(length), deviation, axis=0, mode="nearest")
    starts = np.arange(0, length, _SHADE_STEP)
    return torch.from_numpy(np.stack([blur[start : start + _SHADE_STEP].mean(axis=0) for start in starts])).float()

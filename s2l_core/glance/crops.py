"""Pictures of lips (Chen et al. 2018): square crops whose side is 1.3 times the width of the mouth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..face.layout import LandmarkLayout
from ..face.tracking import find_shots
from .sizes import SIDE

_MOUTH_WIDTHS = 1.3


@dataclass(frozen=True)
class Placement:
    """Where the crops of a shot lie: the head does not move in them, the lips do.

    Attributes:
        frames: int64 (n,) consecutive frames.
        matrices: float64 (n, 2, 3) affine maps from pixels of a frame to pixels of its crop.
    """

    frames: NDArray[np.int64]
    matrices: NDArray[np.float64]

    def crop(self, picture: NDArray[np.uint8], place: int) -> NDArray[np.uint8]:
        """The crop uint8 (64, 64, 3) of a picture (H, W, 3), which is that of frame ``frames[place]``."""
        return crop(picture, self.matrices[place])

    def lips(self, landmarks: NDArray[np.floating], layout: LandmarkLayout) -> NDArray[np.float64]:
        """Landmarks of the lips float64 (n, 40, 2) in pixels of the crops, from landmarks (N, P, 2 or 3) of all frames
        in pixels of these.
        """
        points = landmarks[self.frames][:, lip_points(layout), :2].astype(np.float64)
        return apply(self.matrices, points)


def crop(picture: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The crop uint8 (64, 64, 3) of a picture (H, W, 3) by a map (2, 3), averaged where it shrinks."""
    shrunk = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if shrunk < 1.0:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.5 * np.sqrt(1.0 / shrunk**2 - 1.0)), np.uint8)
    warped = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def lip_points(layout: LandmarkLayout) -> NDArray[np.int64]:
    """Indices of the landmarks of the lips, the outer ones first."""
    return np.concatenate([layout.lips_outer, layout.lips_inner])


def place_crops(landmarks: NDArray[np.floating], layout: LandmarkLayout) -> Iterator[Placement]:
    """Place the crops of each shot of a clip.

    In a shot, each frame is moved, turned and scaled so that the rigid landmarks fall on their mean. The crop lies
    around the mean position of the lips, with the corners of the mouth on a level.

    Args:
        landmarks: float (N, P, 2 or 3) landmarks in pixels, NaN in frames without a face, which end a shot.
        layout: Layout of the landmarks.
    """
    found = np.isfinite(landmarks).all(axis=(1, 2))
    shots = find_shots(landmarks, layout)
    ends = np.flatnonzero(np.diff(shots) | np.diff(found.astype(np.int8))) + 1
    for frames in np.split(np.arange(len(landmarks)), ends):
        if len(frames) and found[frames[0]]:
            yield Placement(frames, _matrices(landmarks[frames, :, :2].astype(np.float64), layout))


def _matrices(points: NDArray[np.float64], layout: LandmarkLayout) -> NDArray[np.float64]:
    """Maps (n, 2, 3) to the crops of a shot with landmarks (n, P, 2)."""
    rigid = points[:, layout.rigid]
    still = _similarities(rigid, rigid.mean(axis=0))
    lips = apply(still, points[:, lip_points(layout)])
    left, right = (apply(still, points[:, [corner]]).mean(axis=(0, 1)) for corner in layout.mouth_corners)
    across = right - left
    scale = SIDE / (_MOUTH_WIDTHS * float(np.linalg.norm(across)))
    cosine, sine = scale * across / np.linalg.norm(across)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    middle = (lips.min(axis=1) + lips.max(axis=1)).mean(axis=0) / 2
    moved = np.concatenate([turn @ still[:, :, :2], (turn @ (still[:, :, 2] - middle).T).T[..., None]], axis=-1)
    moved[:, :, 2] += (SIDE - 1) / 2
    return moved


def _similarities(points: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Similarities (n, 2, 3) that map points (n, P, 2) to a target (P, 2) best."""
    source, wanted = points @ np.array([1, 1j]), target @ np.array([1, 1j])
    middle = source.mean(axis=1, keepdims=True)
    centred = source - middle
    turn = (centred.conj() * (wanted - wanted.mean())).sum(axis=1) / np.square(np.abs(centred)).sum(axis=1)
    shift = wanted.mean() - turn * middle[:, 0]
    rows = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.array(rows).transpose(2, 0, 1)


def apply(matrices: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (n, P, 2) under affine maps (n, 2, 3), each row under its own."""
    return points @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2]

"""The light, sharpness and grain of a face in a picture, which the inside of its mouth takes over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..face.layout import MESH468
from .portrait import Portrait

_SKIN = np.array([50, 101, 36, 205, 206, 207, 187, 280, 330, 266, 425, 426, 427, 411, 200, 199, 175, 164])
"""Landmarks on cheeks, chin and upper lip."""
_EYES = np.array([[33, 160, 159, 158, 133, 153, 145, 144], [263, 387, 386, 385, 362, 380, 374, 373]])
_USUAL_SKIN = np.array([1.0, 0.75, 0.65])
"""Usual ratios of the channels of skin in white light."""
_LUMA = np.array([0.299, 0.587, 0.114])
_REBLUR, _EDGES, _SHARP = 1.0, 0.95, 0.77
"""Standard deviation in pixels of the blur by which edges are compared, quantile of the gradients that are edges, and
what is measured of a sharp edge between two pixels.
"""
_MOST_BLUR = 0.02
"""Largest blur that is taken over, relative to the width of the face."""
_LEAST_HUES = 2.0
"""Standard deviation of CIELAB's a or b in a face, in code values, from which a picture has colours."""
_INSIDE = 0.95
"""Brightness of what is white inside of a mouth, relative to the whites of the eyes or bright skin."""


@dataclass(frozen=True)
class FaceLight:
    """Tones of a face, in code values from 0 to 1.

    Attributes:
        skin: float64 (3,) usual colour of the skin.
        white: float64 (3,) colour of a white surface in the light of the mouth.
        dark: float64 (3,) colour of its darkest places.
        colourful: Whether the picture has colours, other than a single tint.
        blur: Standard deviation of the picture's blur in pixels.
        grain: Standard deviation of the picture's grain.
    """

    skin: NDArray[np.float64]
    white: NDArray[np.float64]
    dark: NDArray[np.float64]
    colourful: bool
    blur: float
    grain: float


def measure_light(image: NDArray[np.uint8], portrait: Portrait) -> FaceLight:
    """Measure the light of a face in an image, uint8 (H, W, 3) RGB."""
    skin = _patches(image, portrait)
    tone = np.median(skin.reshape(-1, 3), axis=0)
    bright = float(np.quantile(skin.reshape(-1, 3) @ _LUMA, 0.85))
    eyes = _brightest_in_eyes(image, portrait)
    colourful = _is_colourful(image, portrait)
    tint = _normalised(tone / _USUAL_SKIN) + _normalised(eyes) if colourful else tone
    level = min(0.98, _INSIDE * max(1.2 * bright, float(eyes @ _LUMA)))
    white = np.clip(level * _normalised(tint), 0.0, 1.0)
    dark = np.minimum(_darkest(image, portrait), 0.5 * white)
    blur = min(_edge_blur(image, portrait), _MOST_BLUR * portrait.width)
    return FaceLight(tone, white, dark, colourful, blur, _grain(skin))


def _edge_blur(image: NDArray[np.uint8], portrait: Portrait) -> float:
    """Standard deviation in pixels of the blur of the strongest edges of a face, by how much weaker a further blur
    makes them: Zhuo and Sim, "Defocus map estimation from a single image" (2011).
    """
    left, top, right, bottom = _box_of(image, portrait)
    grey = cv2.cvtColor(np.ascontiguousarray(image[top:bottom, left:right]), cv2.COLOR_RGB2GRAY).astype(np.float32)
    softer = np.asarray(cv2.GaussianBlur(grey, (0, 0), _REBLUR), np.float32)
    before, after = _gradients(grey), _gradients(softer)
    edges = before >= max(float(np.quantile(before, _EDGES)), 1.0)
    if not edges.any():
        return 0.0
    ratio = float(np.median(before[edges] / np.maximum(after[edges], 1e-3)))
    variance = np.square(_REBLUR) / max(np.square(ratio) - 1.0, 1e-3)
    return float(np.sqrt(max(variance - np.square(_SHARP), 0.0)))


def _gradients(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.hypot(*(cv2.Sobel(grey, cv2.CV_32F, *along) for along in ((1, 0), (0, 1))))


def _box_of(image: NDArray[np.uint8], portrait: Portrait) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of the image that the face covers."""
    left, top = np.clip(portrait.points.min(axis=0).astype(int), 0, [image.shape[1] - 1, image.shape[0] - 1])
    right, bottom = np.ceil(portrait.points.max(axis=0)).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _is_colourful(image: NDArray[np.uint8], portrait: Portrait) -> bool:
    """Whether hues differ within a face: lips and skin, or skin and eyes."""
    left, top, right, bottom = _box_of(image, portrait)
    lab = cv2.cvtColor(cv2.GaussianBlur(image[top:bottom, left:right], (0, 0), 2.0), cv2.COLOR_RGB2LAB)
    return bool(lab[..., 1:].astype(np.float32).std(axis=(0, 1)).max() > _LEAST_HUES)


def _normalised(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    """A colour with a brightness of 1."""
    return colour / max(float(colour @ _LUMA), 1e-3)


def _patches(image: NDArray[np.uint8], portrait: Portrait) -> NDArray[np.float64]:
    """Square pieces of the skin float64 (n, s, s, 3)."""
    side = max(3, round(0.05 * portrait.width))
    pieces: list[NDArray[Any]] = []
    for x, y in portrait.points[_SKIN]:
        left, top = round(x - side / 2), round(y - side / 2)
        if left >= 0 and top >= 0 and left + side <= image.shape[1] and top + side <= image.shape[0]:
            pieces.append(image[top : top + side, left : left + side])
    if not pieces:  # the face fills more than the picture
        pieces = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)]
    return np.stack(pieces) / 255.0


def _brightest_in_eyes(image: NDArray[np.uint8], portrait: Portrait) -> NDArray[np.float64]:
    """Mean colour (3,) of the bright tenth of the pixels between the lids, without highlights."""
    mask = np.zeros(image.shape[:2], np.uint8)
    for eye in _EYES:
        cv2.fillPoly(mask, [np.round(portrait.points[eye]).astype(np.int32)], [1])
    pixels = image[mask > 0] / 255.0
    if len(pixels) < 8:
        return np.full(3, 1e-3)
    luma = pixels @ _LUMA
    low, high = np.quantile(luma, [0.8, 0.95])
    return np.asarray(pixels[(luma >= low) & (luma <= high)].mean(axis=0))


def _darkest(image: NDArray[np.uint8], portrait: Portrait) -> NDArray[np.float64]:
    """Mean colour (3,) of the darkest places of eyes, nostrils and lips."""
    inner = np.concatenate([*_EYES, MESH468.lips_inner, [2, 98, 327]])
    hull = cv2.convexHull(np.round(portrait.points[inner]).astype(np.int32))
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, hull, [1])
    pixels = image[mask > 0] / 255.0
    if not len(pixels):
        return np.zeros(3)
    luma = pixels @ _LUMA
    return np.asarray(0.8 * pixels[luma <= np.quantile(luma, 0.01)].mean(axis=0))


def _grain(skin: NDArray[np.float64]) -> float:
    """Standard deviation of what a small blur removes from the smoothest pieces of skin."""
    residues = [piece - cv2.GaussianBlur(piece, (0, 0), 1.0) for piece in skin]
    return float(np.quantile([residue.std() for residue in residues], 0.25))

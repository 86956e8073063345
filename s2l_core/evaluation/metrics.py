"""Metrics of pictures and mouths.

Pictures are uint8 (H, W, 3) RGB; landmarks are (N, P, 2 or 3) in pixels of N successive frames, NaN in frames without a
face.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..face.layout import LandmarkLayout

_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5
_SSIM_CONSTANTS = (0.01 * 255) ** 2, (0.03 * 255) ** 2

_CPBD_BLOCK = 64
_CPBD_EDGE_SHARE = 0.002
_CPBD_CONTRAST = 50
_CPBD_WIDTHS = 5, 3
_SOBEL_CUTOFF = 4.0
_STEEP = np.tan(np.pi / 8)

_SEAM_SIGMA = 2.0
LEAST_OPENING = 0.01
"""Smallest difference of mouth openings, as a share of the face's height, that counts as motion. Landmarks of a still
mouth differ by less.
"""
_SPREAD = 0.1, 0.9
_USUAL, _CLOSED_SHARE = (0.05, 0.95), 0.15
"""Quantiles of the real openings between which they usually are, and the share of this range in which a mouth counts as
closed: landmark models place the lips of a closed mouth a little apart.
"""
_LONGEST_CLOSURE, _CLOSURE_REACH = 8, 2
"""Number of frames of the longest closure within speech, and of frames by which a rendered one may be early or late."""
_GRAIN_SIGMA = 1.0
_LONGEST_DELAY = 4
"""Number of frames up to which a delay of the mouth is looked for."""


def psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB of two pictures; 100 where they are equal."""
    error = cv2.norm(first, second, cv2.NORM_L2SQR) / first.size
    return 100.0 if error == 0 else float(10 * np.log10(255.0**2 / error))


def ssim(first: NDArray[np.uint8], second: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> float:
    """Structural similarity (SSIM) of two pictures, at most 1: the mean of those of R, G and B.

    Wang et al., "Image quality assessment: from error visibility to structural similarity" (2004): Gaussian window of
    11x11 pixels with a sigma of 1.5, K = (0.01, 0.03), only where the window lies inside. Pictures are at least 11
    pixels on each side. With a mask (H, W), only windows whose centre lies in it count.
    """
    margin = _SSIM_WINDOW // 2
    inner = np.s_[margin:-margin, margin:-margin]

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(values, (_SSIM_WINDOW, _SSIM_WINDOW), _SSIM_SIGMA)[inner])

    a, b = first.astype(np.float32), second.astype(np.float32)
    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    luminance, contrast = _SSIM_CONSTANTS
    likeness = (2 * mean_a * mean_b + luminance) * (2 * covariance + contrast)
    likeness /= (mean_a**2 + mean_b**2 + luminance) * (variance_a + variance_b + contrast)
    return float(np.mean(likeness if mask is None else likeness[mask[inner]]))


def cpbd(picture: NDArray[np.uint8]) -> float:
    """Sharpness between 0 and 1 without a reference: cumulative probability of blur detection.

    Narvekar and Karam, "A no-reference image blur metric based on the cumulative probability of blur detection" (2011),
    on brightness: the share of vertical edges whose width (Marziliano et al. 2002: from minimum to maximum along the
    row) is at most the just noticeable one, 5 pixels in blocks of 64x64 with a contrast up to 50 levels and 3 in
    others. This is equivalent to the paper's condition that blur is seen with a probability of at most 63%. Edges are
    local maxima of Sobel's operator above twice its root mean square; blocks with fewer than 0.2% edge pixels do not
    count; a smaller picture is one block.

    Artificial edges raise it, so it must be compared with that of the real picture; higher is not always better.

    Returns:
        0 where there are no edges.
    """
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.int16)
    edges, widths = _vertical_edges(grey), _edge_widths(grey)
    sharp = counted = 0
    for rows in np.array_split(np.arange(grey.shape[0]), max(1, grey.shape[0] // _CPBD_BLOCK)):
        for columns in np.array_split(np.arange(grey.shape[1]), max(1, grey.shape[1] // _CPBD_BLOCK)):
            block = np.ix_(rows, columns)
            if edges[block].mean() <= _CPBD_EDGE_SHARE:
                continue
            low_contrast_width, width = _CPBD_WIDTHS
            noticeable = low_contrast_width if np.ptp(grey[block]) <= _CPBD_CONTRAST else width
            found = widths[block][edges[block]]
            sharp += int((found <= noticeable).sum())
            counted += len(found)
    return sharp / counted if counted else 0.0


def edge_gradient(picture: NDArray[np.uint8], mask: NDArray[np.number]) -> float:
    """Mean gradient in levels per pixel across the edge of a soft mask (H, W) of any scale.

    The picture is smoothed a little (sigma of 2 pixels), so that grain does not hide a step; each place counts by how
    steeply the mask falls there. A value above that of the real frame indicates a seam.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return 0.0
    inside = (slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(columns[0] - 1, 0), columns[-1] + 2))
    smooth = cv2.GaussianBlur(picture[inside].astype(np.float32), (0, 0), _SEAM_SIGMA)
    normal_y, normal_x = np.gradient(mask[inside].astype(np.float32))
    slope_y, slope_x = np.gradient(smooth, axis=(0, 1))
    across = np.abs(slope_x * normal_x[..., None] + slope_y * normal_y[..., None]).mean(axis=-1)
    return float(across.sum() / np.hypot(normal_x, normal_y).sum())


def correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Pearson's correlation over the moments at which both are finite; 0 if one of them does not vary."""
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < 2 or np.ptp(first[known]) == 0 or np.ptp(second[known]) == 0:
        return 0.0
    return float(np.corrcoef(first[known], second[known])[0, 1])


def mouth_delay(openings: NDArray[np.floating], real: NDArray[np.floating]) -> float:
    """Delay in frames, from -4 to 4, of the openings (N,) behind the real ones (N,): the shift at which they correlate
    best, between whole frames by a parabola. NaN if no shift gives a positive correlation, or for fewer than nine
    frames.
    """
    shifts = range(-_LONGEST_DELAY, _LONGEST_DELAY + 1)
    if len(real) < len(shifts):
        return float("nan")
    found = [
        correlation(
            openings[max(0, shift) : len(real) + min(0, shift)], real[max(0, -shift) : len(real) - max(0, shift)]
        )
        for shift in shifts
    ]
    best = int(np.argmax(found))
    if found[best] <= 0:
        return float("nan")
    if best in (0, len(found) - 1):
        return float(shifts[best])
    before, peak, after = found[best - 1 : best + 2]
    bend = before - 2 * peak + after
    return shifts[best] + ((before - after) / (2 * bend) if bend < 0 else 0.0)


def deviation_ratio(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Ratio of the standard deviations of the first and the second, over the moments at which both are finite; 0 if the
    second does not vary. For mouth openings this is the articulation.
    """
    known = np.isfinite(first) & np.isfinite(second)
    if not known.any() or np.ptp(second[known]) == 0:
        return 0.0
    return float(first[known].std() / second[known].std())


def open_closed_ratio(openings: NDArray[np.floating]) -> float:
    """Ratio of the ninth and the first decile of the openings (N,), which are clipped to :data:`LEAST_OPENING` from
    below. NaN if no opening is known.
    """
    if not np.isfinite(openings).any():
        return float("nan")
    closed, opened = np.nanquantile(openings, _SPREAD).clip(min=LEAST_OPENING)
    return float(opened / closed)


def kept_closures(openings: NDArray[np.floating], real: NDArray[np.floating]) -> float:
    """Share of the short closures of the real mouth, which are those of p, b and m, in which the rendered mouth closes
    too, at most two frames earlier or later. NaN if the real mouth does not close between two openings.

    A mouth is closed if its opening is in the lowest 15% of the range between the 5% and 95% quantiles of the real
    openings; a closure lasts at most eight frames.

    Args:
        openings: (N,) openings of the rendered mouth in successive frames, see :func:`..face.layout.mouth_opening`.
        real: (N,) openings of the real one.
    """
    if not np.isfinite(real).any():
        return float("nan")
    closed, opened = np.nanquantile(real, _USUAL)
    threshold = closed + _CLOSED_SHARE * (opened - closed)
    edges = np.diff((real < threshold).astype(np.int8))
    begins, ends = np.flatnonzero(edges == 1) + 1, np.flatnonzero(edges == -1) + 1
    ends = ends[ends > begins[0]] if len(begins) else ends[:0]
    kept = [
        bool((openings[max(0, begin - _CLOSURE_REACH) : end + _CLOSURE_REACH] < threshold).any())
        for begin, end in zip(begins, ends, strict=False)
        if end - begin <= _LONGEST_CLOSURE
    ]
    return float(np.mean(kept)) if kept else float("nan")


def grain(picture: NDArray[np.uint8], mask: NDArray[np.number]) -> float:
    """Fine detail of a picture inside a soft mask (H, W) of any scale, in levels: the median of the absolute difference
    between its brightness and its brightness blurred by a pixel. Since it is the median, it measures noise and skin,
    and edges hardly count. 0 if the mask is empty.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return 0.0
    inside = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    grey = cv2.cvtColor(picture[inside], cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), _GRAIN_SIGMA))
    return float(np.median(detail[mask[inside] > mask.max() / 2]))


def moving_share(openings: NDArray[np.floating]) -> float:
    """Share of the openings (N,) that deviate from their median by more than :data:`LEAST_OPENING`; 0 if none is
    known.
    """
    known = openings[np.isfinite(openings)]
    return float((np.abs(known - np.median(known)) > LEAST_OPENING).mean()) if len(known) else 0.0


def mouth_width(points: NDArray[np.floating], layout: LandmarkLayout) -> NDArray[np.floating]:
    """Width (...) of the mouth, relative to the distance of the outer eye corners."""
    left, right = (points[..., index, :2] for index in layout.mouth_corners)
    return np.linalg.norm(right - left, axis=-1) / _between_eyes(points, layout)


def landmark_distance(
    points: NDArray[np.floating], real: NDArray[np.floating], layout: LandmarkLayout
) -> NDArray[np.floating]:
    """Landmark distance LMD (N,): mean distance of the lip landmarks from the real ones after the mean position of the
    lips was subtracted from both, in % of the distance of the real outer eye corners.

    Chen et al., "Lip movements generation at a glance" (2018), state it in pixels.
    """
    lips = np.concatenate([layout.lips_outer, layout.lips_inner])
    shapes = [each[:, lips, :2] - each[:, lips, :2].mean(axis=1, keepdims=True) for each in (points, real)]
    distances = np.linalg.norm(shapes[0] - shapes[1], axis=-1).mean(axis=-1)
    return np.asarray(100 * distances / _between_eyes(real, layout))


def lip_jitter(points: NDArray[np.floating], layout: LandmarkLayout) -> float:
    """Mean length of the second temporal difference of the lip landmarks in pixels; NaN if there are no three
    successive frames with a face.
    """
    lips = points[:, np.concatenate([layout.lips_outer, layout.lips_inner]), :2]
    bends = np.linalg.norm(np.diff(lips, n=2, axis=0), axis=-1)
    return float(np.nanmean(bends)) if np.isfinite(bends).any() else float("nan")


def _between_eyes(points: NDArray[np.floating], layout: LandmarkLayout) -> NDArray[np.floating]:
    left, right = layout.eye_corners[0], layout.eye_corners[3]
    return np.asarray(np.linalg.norm(points[..., right, :2] - points[..., left, :2], axis=-1))


def _vertical_edges(grey: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Bool (h, w), pixels with a strong gradient along the row that is a maximum there."""
    across, down = cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1)
    strength = np.square(across)
    left, right = strength[:, :-2], strength[:, 2:]
    edges = np.zeros(grey.shape, bool)
    edges[:, 1:-1] = (strength[:, 1:-1] > left) & (strength[:, 1:-1] >= right)
    return np.asarray(edges & (strength > _SOBEL_CUTOFF * strength.mean()) & (np.abs(down) < _STEEP * np.abs(across)))


def _edge_widths(grey: NDArray[np.int16]) -> NDArray[np.int64]:
    """For each pixel, the length of the monotonic run of its row around it."""
    steps = np.sign(np.diff(grey, axis=1))
    rising, falling = (_run_before(same) + _run_before(same[:, ::-1])[:, ::-1] for same in (steps > 0, steps < 0))
    return np.where(cv2.Sobel(grey, cv2.CV_64F, 1, 0) > 0, rising, falling)


def _run_before(steps: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(h, w + 1), number of consecutive true steps (h, w) to the left of each pixel."""
    places = np.arange(1, steps.shape[1] + 1)
    broken = np.maximum.accumulate(np.where(steps, 0, places), axis=1)
    return np.pad(places - broken, ((0, 0), (1, 0)))

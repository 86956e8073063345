"""The verb ``heatmap``: draws how a face moves before and after the motion of the head is removed (paper section 3,
figure 2).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..canonical.motion import crop, lip_jaw_mask, measure_motion, read_pictures
from ..canonical.view import canonical_frame, choose_canonical
from ..device import choose_device
from ..events import Report
from ..files import reserved, write_whole
from ..footage import prepare
from ..jobs import HeatmapJob
from ..media.sequence import files_of
from ..results import HeatmapResult
from ..subsampling import evenly_spaced

Picture = NDArray[np.uint8]

_FRAMES = 200
_PANEL_HEIGHT = 640
_MARGIN, _HEAD, _FOOT, _BAR = 24, 56, 40, 90
_PAPER, _INK, _OUTLINE = (255, 255, 255), (40, 40, 40), (255, 255, 255)
_SHADE = 0.35
"""Opacity of the picture under the heat map."""
_HOTTEST = 98.0
"""Percentile of the motion as filmed that gets the hottest colour."""


def heatmap(job: HeatmapJob, report: Report | None = None) -> HeatmapResult:
    """Draw where the face moves, before and after the motion of the head is removed. Motion is the mean absolute
    difference of up to 200 frames from the canonical one.

    Raises:
        FileMissing, NotAVideo, NoFace, LandmarksUnavailable: See :func:`s2l_core.footage.prepare`.
        CannotWrite, DiskFull: See :func:`s2l_core.files.write_whole`.
    """
    with reserved(job.output_path, *files_of(job.footage), job.landmarks):
        return _heatmap(job, report or Report())


def _heatmap(job: HeatmapJob, report: Report) -> HeatmapResult:
    device = choose_device(job.device)
    footage = prepare(job.footage, job.landmarks, device.type, report)
    found = footage.track.found
    face = choose_canonical(footage, found)
    view = face.head.view
    seen = np.flatnonzero(found)
    chosen = seen[evenly_spaced(len(seen), _FRAMES)].tolist()
    pictures = read_pictures(footage, [canonical_frame(footage, found), *chosen], view.intrinsics, report)
    poses = torch.tensor(footage.track.poses[chosen], dtype=torch.float32)
    motion = measure_motion(pictures[0], pictures[1:], view, poses)
    region, mesh = lip_jaw_mask(motion, view, footage.track.shape, footage.layout), face.head.mask.numpy()

    canonical = (crop(pictures[0], view.rectangle).permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    sheet = _draw(canonical, motion.observed, motion.canonical, region)
    write_whole(job.output_path, cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())
    return {
        "output_path": job.output_path,
        "frames": len(chosen),
        "observed_percent": 100 * float(motion.observed[mesh].mean()),
        "canonical_percent": 100 * float(motion.canonical[mesh].mean()),
        "lip_jaw_share": float(motion.canonical[mesh & region].sum() / motion.canonical[mesh].sum()),
        "lip_jaw_area": float((mesh & region).sum() / mesh.sum()),
    }


def _draw(
    canonical: Picture, observed: NDArray[np.float32], removed: NDArray[np.float32], region: NDArray[np.bool_]
) -> Picture:
    """The canonical frame, the motion before and after laid over it, and a colour bar."""
    hottest = float(np.percentile(observed, _HOTTEST)) or 1.0
    after = _overlay(canonical, removed / hottest)
    outlines, _ = cv2.findContours(_enlarge(region.astype(np.uint8), cv2.INTER_NEAREST), 0, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(after, outlines, -1, _OUTLINE, 2, cv2.LINE_AA)
    panels = [_enlarge(canonical), _overlay(canonical, observed / hottest), after]
    titles = ["canonical frame", "motion as filmed", "without head motion"]
    width = panels[0].shape[1]
    sheet = np.full((_HEAD + _PANEL_HEIGHT + _FOOT, 3 * (width + _MARGIN) + _MARGIN + _BAR, 3), _PAPER, np.uint8)
    for number, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        left = _MARGIN + number * (width + _MARGIN)
        sheet[_HEAD : _HEAD + _PANEL_HEIGHT, left : left + width] = panel
        _write(sheet, title, left, _HEAD - 18, 0.7)
    _draw_bar(sheet, 3 * (width + _MARGIN) + _MARGIN, 100 * hottest)
    note = "mean absolute difference from the canonical frame, % of the colour range; outlined: lips and jaw"
    _write(sheet, note, _MARGIN, sheet.shape[0] - 14, 0.5)
    return sheet


def _draw_bar(sheet: Picture, left: int, hottest: float) -> None:
    ramp = np.linspace(1, 0, _PANEL_HEIGHT)[:, None].repeat(22, axis=1)
    sheet[_HEAD : _HEAD + _PANEL_HEIGHT, left : left + 22] = _colours(ramp)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _HEAD + round((1 - share) * (_PANEL_HEIGHT - 1))
        cv2.line(sheet, (left + 22, y), (left + 27, y), _INK, 1)
        _write(sheet, f"{share * hottest:.1f}", left + 32, y + 5, 0.5)


def _overlay(canonical: Picture, heat: NDArray[np.floating]) -> Picture:
    grey = canonical.mean(axis=-1, keepdims=True).repeat(3, axis=-1).astype(np.uint8)
    colours = _colours(_enlarge(np.clip(heat, 0, 1).astype(np.float32)))
    mixed = _SHADE * _enlarge(grey) + (1 - _SHADE) * colours
    return np.round(mixed).astype(np.uint8)


def _colours(heat: NDArray[np.floating]) -> Picture:
    levels = np.round(np.clip(heat, 0, 1) * 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


def _enlarge(picture: NDArray[Any], interpolation: int = cv2.INTER_CUBIC) -> NDArray[Any]:
    width = round(picture.shape[1] * _PANEL_HEIGHT / picture.shape[0])
    return np.asarray(cv2.resize(picture, (width, _PANEL_HEIGHT), interpolation=interpolation))


def _write(sheet: Picture, text: str, left: int, baseline: int, size: float) -> None:
    cv2.putText(sheet, text, (left, baseline), cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA)

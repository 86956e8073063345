"""Collecting exemplars: real mouths of the training frames at the footage's own resolution, and how their lips move."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import jpeg
from ..cache import NO_CACHE, Cache, Tensors
from ..events import Report
from ..geometry.camera import Intrinsics, project
from ..geometry.mapping import CanonicalView, observed_from_canonical, sample
from ..model.exemplars import MOST_EXEMPLARS, Exemplars
from ..subsampling import evenly_spaced
from .clip import Clip
from .initialisation import PrincipalLips

_QUALITY = 92
_MOST_BYTES = 10_000_000
"""Size of all pictures together, with which the largest speaker file has 25 MB. If they are larger, as those of
close-ups, only some of them are kept.
"""
_FEW_PIXELS = 200
_RIDGE = 3.0


def collect_exemplars(
    clip: Clip, principal: PrincipalLips, offsets: Tensor, report: Report, cache: Cache = NO_CACHE
) -> Exemplars:
    """Collect exemplars from evenly spaced training frames.

    Args:
        clip: The training frames.
        principal: The principal components of their lips.
        offsets: (N, 64) offsets of the look model in these frames.
        report: Receives the phase ``"Collect mouths"``.
        cache: Cache of the result.
    """
    view = _native_view(clip.face.lips, clip.footage.track.intrinsics)
    chosen = evenly_spaced(len(clip.times), MOST_EXEMPLARS)
    kept = cache.get_or_compute("exemplars", lambda: _pictures(clip, view, chosen, report))
    ends = np.cumsum(kept["lengths"].numpy().astype(np.int64)).tolist()
    content = kept["pictures"].numpy().tobytes()
    pictures = [content[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    few = evenly_spaced(len(pictures), max(1, math.floor(len(pictures) * min(1.0, _MOST_BYTES / len(content)))))
    rows = torch.from_numpy(chosen[few]).to(offsets.device)
    outline, motion = _motion(clip, principal.codes)
    return Exemplars(
        principal.codes[rows] - offsets[rows],
        offsets[rows],
        principal.in_pixels(clip.face),
        outline.to(offsets.device),
        motion.to(offsets.device),
        view.rectangle.width,
        view.rectangle.height,
        tuple(pictures[index] for index in few.tolist()),
    )


def _native_view(view: CanonicalView, camera: Intrinsics) -> CanonicalView:
    """The canonical view of the lips with at least as many pixels as the footage has there, and with twice as many if
    these are few: each resampling blurs by a part of a pixel.
    """
    factor = math.ceil(camera.fx / view.intrinsics.fx - 1e-6)
    return view.finer(factor if factor * view.rectangle.width > _FEW_PIXELS else 2 * factor)


def _pictures(clip: Clip, view: CanonicalView, chosen: NDArray[np.int64], report: Report) -> Tensors:
    """The canonical lips of frames as JPEGs, one after the other, and their lengths."""
    encoded, camera = [], clip.footage.track.intrinsics
    device = clip.poses.device
    frames = clip.footage.pictures(clip.indices[chosen], "Collect mouths", report)
    for row, (_, picture) in zip(chosen.tolist(), frames, strict=True):
        pixels = observed_from_canonical(view, camera, clip.poses[row : row + 1]).pixels
        image = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 255
        lips = (sample(image, pixels, padding="border", interpolation="bicubic")[0].clamp(0, 1) * 255).round()
        encoded.append(jpeg.encode(lips.to(torch.uint8).permute(1, 2, 0).cpu().numpy(), _QUALITY))
    return {
        "pictures": torch.frombuffer(bytearray(b"".join(encoded)), dtype=torch.uint8),
        "lengths": torch.tensor([len(each) for each in encoded], dtype=torch.float64),
    }


def _motion(clip: Clip, codes: Tensor) -> tuple[Tensor, Tensor]:
    """:attr:`Exemplars.outline` and :attr:`Exemplars.motion`, by ridge regression of the outlines on the codes."""
    box = clip.face.lips.rectangle
    outlines = (_outlines(clip) - [box.left, box.top]) / [box.width, box.height]
    seen = np.isfinite(outlines).all(axis=(1, 2))
    inputs, outlines = codes.cpu().double().numpy()[seen], outlines[seen]
    mean, mean_outline = inputs.mean(axis=0), outlines.mean(axis=0)
    inputs, moved = inputs - mean, (outlines - mean_outline).reshape(len(outlines), -1)
    square = inputs.T @ inputs + _RIDGE * np.eye(inputs.shape[1])
    motion = np.linalg.solve(square, inputs.T @ moved).reshape(-1, *mean_outline.shape)
    return torch.from_numpy(mean_outline - np.tensordot(mean, motion, 1)).float(), torch.from_numpy(motion).float()


def _outlines(clip: Clip) -> NDArray[np.float64]:
    """The outlines of the lips in pixels of the canonical view, (N, L, 2)."""
    layout, view = clip.footage.layout, clip.face.lips
    depth = clip.footage.track.shape[np.concatenate([layout.lips_outer, layout.lips_inner]), 2]
    flat = clip.shapes.reshape(len(clip.shapes), -1, 2).astype(np.float64)
    points = np.concatenate([flat, np.broadcast_to(depth[:, None], (*flat.shape[:2], 1))], axis=-1)
    return project(points, view.pose.cpu().double().numpy(), view.intrinsics)

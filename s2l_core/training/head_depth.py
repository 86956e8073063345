"""The first stage of training: fits the depth of the whole head to its parallax."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..cache import NO_CACHE, AppendLog, Cache
from ..canonical.motion import crop, head_mask, measure_motion, moving_parts, read_pictures
from ..canonical.view import CanonicalFace, CanonicalHead, canonical_frame, round_head, to_tensors, with_tensors
from ..events import Report
from ..face.matte import Matting
from ..footage import Footage
from ..geometry.camera import head_angles
from ..model.depth import fit_depth, measure_confidence
from ..subsampling import farthest_points
from ..whole_head.full_head import complete_head
from .checkpoint import resumable_steps

_FRAMES = 48
_DEGREES_PER_MILLIMETRE = 0.05
"""Weight of a millimetre of translation against a degree of rotation when frames with different poses are chosen."""


def learn_depth(
    face: CanonicalFace,
    footage: Footage,
    usable: NDArray[np.bool_],
    steps: int,
    matting: Matting | None,
    report: Report,
    cache: Cache = NO_CACHE,
) -> CanonicalFace:
    """Learn the depth of lips, surroundings and head in the canonical view.

    Args:
        face: The canonical view, on the device, with the depth of the landmarks' mesh.
        footage: The clip, with a tracked head.
        usable: bool (N,) frames that may be used, the canonical one among them.
        steps: Number of optimisation steps; with 0 the depth stays that of the landmarks' mesh. More follow the
            parallax more closely.
        matting: Cuts out the person. None means that the outline of the head is found by its motion, and that the head
            is round beyond the landmarks, which is less accurate.
        report: Receives the phases ``"Read head frames"`` and ``"Learn depth"``.
        cache: Cache of the result and of the work until then.
    """
    learnt = cache.get_or_compute(
        "depth", lambda: to_tensors(_learn(face, footage, usable, steps, matting, report, cache)), face.head.mask.device
    )
    return with_tensors(face, learnt)


def _learn(
    face: CanonicalFace,
    footage: Footage,
    usable: NDArray[np.bool_],
    steps: int,
    matting: Matting | None,
    report: Report,
    cache: Cache,
) -> CanonicalFace:
    view, mesh, device = face.head.view, face.head.mask, face.head.mask.device
    chosen = [canonical_frame(footage, usable), *spread_frames(footage, usable, _FRAMES)]
    rows = AppendLog(cache, "pictures for depth")
    pictures = read_pictures(footage, chosen, view.intrinsics, report, rows).to(device)
    reference, others = pictures[0], pictures[1:]
    poses = torch.tensor(footage.track.poses[chosen[1:]], dtype=torch.float32, device=device)

    motion = measure_motion(reference, others, view, poses)
    moving = moving_parts(motion, view, footage.track.shape, footage.layout)
    picture = (reference.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
    if matting is None:
        inside = np.asarray(crop(torch.from_numpy(picture).movedim(-1, 0), view.rectangle).movedim(0, -1))
        start = round_head(face.head, footage, head_mask(inside, motion, mesh.cpu().numpy()))
    else:
        matte = crop(torch.from_numpy(matting.matte(picture)), view.rectangle)
        start = complete_head(face.head, footage, matte.numpy())

    still, count_steps = torch.from_numpy(~moving).to(device), resumable_steps(cache, "steps of depth")
    depth = fit_depth(start, reference, others, poses, still, mesh, steps, report, count_steps)
    confidence = measure_confidence(depth, reference, others, poses) * start.mask
    head = CanonicalHead(replace(view, depth=depth()), start.mask, confidence)
    return replace(face, lips=depth.refine(face.lips), surroundings=depth.refine(face.surroundings), head=head)


def spread_frames(footage: Footage, usable: NDArray[np.bool_], count: int) -> list[int]:
    """At most ``count`` usable frames whose head poses are as different as possible."""
    candidates = np.flatnonzero(usable & footage.track.found)
    poses = footage.track.poses[candidates]
    features = np.concatenate([head_angles(poses), poses[:, :3, 3] * _DEGREES_PER_MILLIMETRE], axis=1)
    return [int(index) for index in candidates[farthest_points(features, count)]]

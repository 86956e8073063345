"""Trains the Blend-Net of the head: inpainting the holes that open when the head is turned (paper sections 4.4 and
5.4).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..cache import NO_CACHE, AppendLog, Cache, Tensors
from ..canonical.motion import read_pictures
from ..canonical.view import CanonicalHead
from ..events import Report
from ..face.matte import Matting
from ..footage import Footage
from ..geometry.camera import Array, Intrinsics, make_pose
from ..geometry.mapping import pixel_grid
from ..geometry.splatting import facing, warp
from ..model.blend import BlendNet, blend_padded
from ..whole_head.surface import HeadSurface
from ..whole_head.texture import gather_texture, observe
from . import losses
from .checkpoint import resumable_steps
from .head_depth import spread_frames

_FRAMES, _TURNS = 16, 4
_LONGEST_SIDE = 384
_YAW, _PITCH = 25.0, 12.0
"""Largest rotation of the head in training, in degrees. Larger ones train larger holes."""
_LEAST_FACING = 0.3
"""Least cosine of the angle between surface normal and line of sight for a pixel that certainly shows the head, and not
the background beside it.
"""
_BATCH = 2
_RATE = 2e-3


class Example(NamedTuple):
    """A training example: a frame with holes.

    Attributes:
        merged: float32 (1, 3, h, w) frame with the head's mean colours in the holes.
        holes: float32 (1, 1, h, w) mask of the holes in [0, 1], limited to pixels where the frame certainly shows the
            head.
        truth: float32 (1, 3, h, w) frame without holes.
    """

    merged: Tensor
    holes: Tensor
    truth: Tensor


def learn_holes(
    blend: BlendNet,
    head: CanonicalHead,
    footage: Footage,
    usable: NDArray[np.bool_],
    steps: int,
    matting: Matting | None,
    report: Report,
    cache: Cache = NO_CACHE,
) -> None:
    """Train Blend-Net to inpaint what a turned head uncovers.

    Each frame gets the holes that it would have if it had been warped from another pose, in which the head is turned at
    random: points that the other pose does not show get the head's mean colours. The target is the frame itself. So the
    holes have realistic shapes, and everything else matches the target exactly, even the mouth.

    Args:
        blend: The network, which is trained in place.
        head: The head, with its learned depth.
        footage: The clip, with a tracked head.
        usable: bool (N,) frames that may be used.
        steps: Number of optimisation steps; with 0 nothing is trained. More give sharper fillings.
        matting: Tells the person from the background; None means that only the surface's outline does.
        report: Receives the phases ``"Read head frames"`` and ``"Learn to fill holes"``.
        cache: Cache of the result and of the work until then.
    """
    if not steps:
        return

    def learn() -> Tensors:
        count = _TURNS * len(spread_frames(footage, usable, _FRAMES))
        examples = _examples(head, footage, usable, _drawn(count, steps), matting, report, cache)
        _fit(blend, examples, count, steps, report, cache)
        return blend.state_dict()

    blend.load_state_dict(cache.get_or_compute("holes", learn))
    blend.requires_grad_(False)


def _examples(
    head: CanonicalHead,
    footage: Footage,
    usable: NDArray[np.bool_],
    numbers: set[int],
    matting: Matting | None,
    report: Report,
    cache: Cache,
) -> dict[int, Example]:
    """The examples of some numbers, see :func:`find_holes`."""

    def find() -> Tensors:
        surface = HeadSurface(head)
        gather_texture(surface, observe(surface, footage, matting, usable, report, cache))
        frames = spread_frames(footage, usable, _FRAMES)
        examples = find_holes(surface, footage, frames, report, cache, numbers)
        return {f"{n}.{name}": part for n, each in examples.items() for name, part in each._asdict().items()}

    found = cache.get_or_compute("holes to learn from", find, head.mask.device)
    return {
        number: Example(*(found[f"{number}.{name}"] for name in Example._fields))
        for number in {int(name.split(".")[0]) for name in found}
    }


def _drawn(count: int, steps: int) -> set[int]:
    """The numbers that :func:`_fit` draws from ``count`` examples. Few steps see only some of them."""
    random = np.random.default_rng(0)
    return {int(number) for _ in range(steps) for number in random.integers(count, size=_BATCH)}


def _fit(blend: BlendNet, examples: dict[int, Example], count: int, steps: int, report: Report, cache: Cache) -> None:
    random = np.random.default_rng(0)
    optimiser = torch.optim.Adam(blend.parameters(), _RATE)
    for step in resumable_steps(cache, "steps of holes")(steps, blend, optimiser, random):
        report.progress("Learn to fill holes", step, steps)
        optimiser.param_groups[0]["lr"] = _RATE * (1 - step / steps)
        loss = torch.stack([_loss(blend, *examples[int(index)]) for index in random.integers(count, size=_BATCH)])
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
    report.progress("Learn to fill holes", steps, steps)


def _loss(blend: BlendNet, merged: Tensor, holes: Tensor, truth: Tensor) -> Tensor:
    return losses.photometric(blend_padded(blend, merged, holes), truth, holes)


@torch.no_grad()
def find_holes(
    surface: HeadSurface,
    footage: Footage,
    frames: list[int],
    report: Report,
    cache: Cache = NO_CACHE,
    numbers: Collection[int] | None = None,
) -> dict[int, Example]:
    """Make examples from frames, each with the holes of four random rotations of the head.

    Args:
        surface: Surface of the head, with its mean colours.
        footage: The clip, with a tracked head.
        frames: Indices of the frames.
        report: Receives the phase ``"Read head frames"``.
        cache: Cache of the frames that were already read.
        numbers: Which of the examples to make; None means all. An example does not depend on the others.

    Returns:
        The examples by their numbers, 4 i to 4 i + 3 for ``frames[i]``.
    """
    track, device = footage.track, surface.front.device
    longest = max(track.intrinsics.width, track.intrinsics.height)
    camera = track.intrinsics.scaled(min(1.0, _LONGEST_SIDE / longest))
    rows = AppendLog(cache, "pictures for holes")
    pictures = read_pictures(footage, frames, camera, report, rows).to(device)
    random = np.random.default_rng(0)
    turns = np.radians(random.uniform(-1, 1, (_TURNS * len(frames), 2)) * [_PITCH, _YAW])
    return {
        number: _example(surface, pictures[number // _TURNS][None], camera, track.poses[frames[number // _TURNS]], turn)
        for number, turn in enumerate(turns)
        if numbers is None or number in numbers
    }


def _example(
    surface: HeadSurface, picture: Tensor, camera: Intrinsics, pose: Array, turn: NDArray[np.float64]
) -> Example:
    """An example whose head is turned by pitch and yaw in radians."""
    turned = pose @ make_pose([*turn, 0.0], np.zeros(3))
    box = surface.rectangle(camera, pose)
    rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    here, there = (torch.tensor(each, dtype=torch.float32)[None].to(picture) for each in (pose, turned))
    warped = warp(surface, picture, camera, there, camera.cropped(box), here)
    truth = picture[..., rows, columns]
    merged = torch.lerp(warped.buffers.colours, truth, warped.seen[:, None])
    buffers, pixels = warped.buffers, pixel_grid(camera.cropped(box).rectangle, picture.device)
    shown = facing(buffers.normals, pixels[None], camera.cropped(box), here) > _LEAST_FACING
    certain = -functional.max_pool2d(-(shown & (buffers.coverage > 0.99)).float(), 5, stride=1, padding=2)
    return Example(merged, (warped.holes * certain)[:, None], truth)

"""What is learnt of the whole head: how holes that open when it is turned are painted (paper sections 4.4 and 5.4)."""

from __future__ import annotations

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
from ..footage import Footage
from ..geometry.camera import Array, Intrinsics, make_pose
from ..geometry.mapping import pixel_grid
from ..geometry.splatting import facing, warp
from ..model.blend import BlendNet, blend_padded
from ..whole_head.surface import HeadSurface
from ..whole_head.texture import gather_texture
from . import losses
from .checkpoint import resumable_steps
from .head_depth import spread_frames

_FRAMES, _TURNS = 16, 4
_LONGEST_SIDE = 384
_YAW, _PITCH = 25.0, 12.0
"""Degrees by which the head is turned at most, to see which holes open."""
_LEAST_FACING = 0.3
"""Cosine of the angle to the surface from which the frame is certain to show the head, and not what is beside it."""
_BATCH = 2
_RATE = 2e-3


class Example(NamedTuple):
    """A head with holes.

    Attributes:
        merged: (1, 3, h, w) the frame, with the head's mean colours in the holes.
        holes: (1, 1, h, w) in [0, 1], where those are, as far as the frame is certain to show the head there.
        truth: (1, 3, h, w) the frame.
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
    report: Report,
    cache: Cache = NO_CACHE,
) -> None:
    """Train Blend-Net to paint what a turned head uncovers.

    A frame is looked at through the holes that it would have if it came from another pose, in which the head is
    turned at random: where that pose does not show a point, the frame gets the head's mean colours instead of its own.
    Its own are the truth. So the holes have the shapes of real ones, and nothing else differs, not even the mouth.

    Args:
        blend: To be trained, on its device.
        head: With the learned depth.
        footage: With a tracked head.
        usable: bool (N,) frames that may be looked at.
        steps: Of training.
        report: Told the phases ``"Look at the head"`` and ``"Learn holes"``.
        cache: Cache of the result and of the work until then.
    """
    if not steps:
        return

    def learn() -> Tensors:
        _fit(blend, _examples(head, footage, usable, report, cache), steps, report, cache)
        return blend.state_dict()

    blend.load_state_dict(cache.get_or_compute("holes", learn))
    blend.requires_grad_(False)


def _examples(
    head: CanonicalHead, footage: Footage, usable: NDArray[np.bool_], report: Report, cache: Cache
) -> list[Example]:
    def find() -> Tensors:
        surface = HeadSurface(head)
        gather_texture(surface, footage, usable, report, cache)
        examples = find_holes(surface, footage, spread_frames(footage, usable, _FRAMES), report, cache)
        return {f"{n}.{name}": part for n, each in enumerate(examples) for name, part in each._asdict().items()}

    found = cache.get_or_compute("holes to learn from", find, head.mask.device)
    return [
        Example(*(found[f"{number}.{name}"] for name in Example._fields))
        for number in range(len(found) // len(Example._fields))
    ]


def _fit(blend: BlendNet, examples: list[Example], steps: int, report: Report, cache: Cache) -> None:
    random = np.random.default_rng(0)
    optimiser = torch.optim.Adam(blend.parameters(), _RATE)
    for step in resumable_steps(cache, "steps of holes")(steps, blend, optimiser, random):
        report.progress("Learn holes", step, steps)
        optimiser.param_groups[0]["lr"] = _RATE * (1 - step / steps)
        loss = torch.stack([_loss(blend, *examples[index]) for index in random.integers(len(examples), size=_BATCH)])
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
    report.progress("Learn holes", steps, steps)


def _loss(blend: BlendNet, merged: Tensor, holes: Tensor, truth: Tensor) -> Tensor:
    return losses.photometric(blend_padded(blend, merged, holes), truth, holes)


@torch.no_grad()
def find_holes(
    surface: HeadSurface, footage: Footage, frames: list[int], report: Report, cache: Cache = NO_CACHE
) -> list[Example]:
    """Frames with holes, as if each came from some poses in which the head is turned at random.

    Args:
        surface: The head, with its colours.
        footage: With a tracked head.
        frames: Which ones.
        report: Told the phase ``"Look at the head"``.
        cache: Cache of the frames that were already read.
    """
    track, device = footage.track, surface.front.device
    longest = max(track.intrinsics.width, track.intrinsics.height)
    camera = track.intrinsics.scaled(min(1.0, _LONGEST_SIDE / longest))
    rows = AppendLog(cache, "pictures for holes")
    pictures = read_pictures(footage, frames, camera, report, rows).to(device)
    random = np.random.default_rng(0)
    return [
        _example(surface, picture[None], camera, track.poses[frame], random)
        for picture, frame in zip(pictures, frames, strict=True)
        for _ in range(_TURNS)
    ]


def _example(
    surface: HeadSurface, picture: Tensor, camera: Intrinsics, pose: Array, random: np.random.Generator
) -> Example:
    pitch, yaw = np.radians(random.uniform(-1, 1, 2) * [_PITCH, _YAW])
    turned = pose @ make_pose([pitch, yaw, 0.0], np.zeros(3))
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

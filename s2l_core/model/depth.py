"""The learnable canonical depth of the whole head (paper section 4.3, equations (3) to (5) and (9))."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..canonical.motion import crop
from ..canonical.view import CanonicalHead
from ..events import Report
from ..geometry.mapping import CanonicalView, map_pixels, pixel_grid, relative_pose, sample
from .steps import Steps, all_steps

_STRIDES = (32, 16, 8, 4)
"""Pixels between the nodes of the residual's grids, coarse to fine."""
_BLURS = (3.0, 1.5, 0.7)
"""Pixels by which pictures are blurred, one stage of training after the other: what is far off must be seen first."""
_BATCH = 8
_RATE = 3e-3
_SEEN_SHARE = 0.6
"""Share of a batch's frames that a pixel is compared in, those where it fits best: in the others it may be hidden."""
_NOISE = 0.01
"""Where the Charbonnier penalty turns from square to absolute, in [0, 1] colours."""
_SMOOTHNESS = 1e3
_EDGE = 8.0
_TRIAL, _TRIAL_BLUR = 0.05, 4.0
"""Share of the depth by which confidence tries others, and pixels over which it looks."""
_MESH_TRUST, _SKULL_TRUST = 20.0, 6.0
"""What holds the depth to its start, on the landmarks' mesh and beside it. The poses are those of the mesh: a head that
is taken to turn less than it does has the same parallax if it is deeper, and only the start knows better."""


class CanonicalDepth(nn.Module):
    """Depth of the head in the canonical view: a start times the exponential of a residual.

    The residual is the sum of bilinear grids, coarse to fine, zero at first: D = D_0 exp(sum of R_k).

    Args:
        start: Of the whole head, (h, w) millimetres.
    """

    start: Tensor

    def __init__(self, start: CanonicalView) -> None:
        super().__init__()
        self.view = start
        self.register_buffer("start", start.depth)
        height, width = start.depth.shape
        self.grids = nn.ParameterList(
            nn.Parameter(start.depth.new_zeros(1, 1, -(-height // stride) + 1, -(-width // stride) + 1))
            for stride in _STRIDES
        )

    def residual(self) -> Tensor:
        """(h, w), natural logarithm of the depth over its start."""
        size = self.start.shape
        layers = [functional.interpolate(grid, size, mode="bilinear", align_corners=True) for grid in self.grids]
        return torch.stack(layers).sum(dim=0)[0, 0]

    def forward(self) -> Tensor:
        """The depth (h, w) in millimetres."""
        return self.start * self.residual().exp()

    def refine(self, view: CanonicalView) -> CanonicalView:
        """Another view from the same pose, of any rectangle and resolution, with the residual at its pixels."""
        scale = self.view.intrinsics.fx / view.intrinsics.fx
        pixels = pixel_grid(view.rectangle, view.depth.device) * scale
        residual = sample(self.residual()[None, None], pixels[None], self.view.rectangle, "border")[0, 0]
        return replace(view, depth=view.depth * residual.exp())


def photometric_error(depth: Tensor, view: CanonicalView, reference: Tensor, pictures: Tensor, poses: Tensor) -> Tensor:
    """Equation (9) before its mask: how much frames, brought into the canonical view, differ from the canonical one.

    The pose is that of the observed frame relative to the canonical one, T_o T_c^-1, as the canonical depth asks for
    (the authors' release has its inverse). The penalty is Charbonnier's, over the frames that fit best, as a pixel may
    be hidden in the others.

    Args:
        depth: (h, w) of ``view``, whose own is not used.
        view: The head.
        reference: (3, H, W) the canonical frame, of the size of ``view.intrinsics``.
        pictures: (B, 3, H, W) other frames, likewise.
        poses: (B, 4, 4) camera_from_head of the other frames.

    Returns:
        (h, w) in [0, 1] colours.
    """
    camera = view.intrinsics
    relative = relative_pose(poses, view.pose)
    pixels = map_pixels(pixel_grid(view.rectangle, depth.device), depth, camera, camera, relative).pixels
    difference = sample(pictures, pixels, padding="border") - crop(reference, view.rectangle)
    error = (difference.square().mean(dim=1) + _NOISE**2).sqrt()
    return error.sort(dim=0).values[: max(1, round(_SEEN_SHARE * len(error)))].mean(dim=0)


def fit_depth(
    head: CanonicalHead,
    reference: Tensor,
    pictures: Tensor,
    poses: Tensor,
    still: Tensor,
    mesh: Tensor,
    steps: int,
    report: Report | None = None,
    count_steps: Steps = all_steps,
) -> CanonicalDepth:
    """Learn the depth of the head from its parallax: equation (9), with an edge-aware smoothness prior.

    Args:
        head: Its view holds the start, its mask where the head is.
        reference: (3, H, W) the canonical frame, of the size of the view's camera, in [0, 1] colours.
        pictures: (N, 3, H, W) other frames, likewise; head poses far apart tell most.
        poses: (N, 4, 4) camera_from_head of the other frames.
        still: bool (h, w), what does not move by itself: no mouth, jaw and eyes.
        mesh: bool (h, w), where the start is the mesh of the landmarks, which is trusted most.
        steps: Of training.
        report: Told the phase ``"Learn depth"``.
        count_steps: Keeps what was learnt.
    """
    report = report or Report()
    view = head.view
    depth = CanonicalDepth(view)
    mask = (head.mask & still).to(view.depth)
    trust = torch.where(mesh, _MESH_TRUST, _SKULL_TRUST)
    across, down = (torch.exp(-_EDGE * edge) for edge in _edges(crop(reference, view.rectangle)))
    random = np.random.default_rng(0)
    optimiser = torch.optim.Adam(depth.parameters(), _RATE)
    stage_steps = -(-steps // len(_BLURS))
    reached = -1
    for step in count_steps(steps, depth, optimiser, random):
        report.progress("Learn depth", step, steps)
        if reached != (stage := step // stage_steps):
            reached = stage
            seen, wanted = _blur(pictures, _BLURS[stage]), _blur(reference[None], _BLURS[stage])[0]
            optimiser.param_groups[0]["lr"] = _RATE * 0.5**stage
        chosen = torch.from_numpy(random.permutation(len(pictures))[:_BATCH]).to(poses.device)
        residual = depth.residual()
        error = photometric_error(depth.start * residual.exp(), view, wanted, seen[chosen], poses[chosen])
        rough = (across * residual.diff(dim=-1).square()).mean() + (down * residual.diff(dim=-2).square()).mean()
        data = (error * mask).sum() / mask.sum().clamp(min=1.0)
        loss = data + _SMOOTHNESS * rough + (trust * residual.square()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    report.progress("Learn depth", steps, steps)
    return depth.requires_grad_(False)


@torch.no_grad()
def measure_confidence(depth: CanonicalDepth, reference: Tensor, pictures: Tensor, poses: Tensor) -> Tensor:
    """How much the footage tells about the depth of each pixel: (h, w) in [0, 1].

    The depth is tried a little deeper and a little nearer. Confidence is the share of the error there that is gone at
    the depth itself, so that it takes parallax, texture and visibility, and a pixel that does not move by itself.

    Args:
        depth: Learned.
        reference: As for :func:`fit_depth`.
        pictures: As for :func:`fit_depth`.
        poses: As for :func:`fit_depth`.
    """
    here, nearer, deeper = (
        _blur(photometric_error(depth() * factor, depth.view, reference, pictures, poses)[None, None], _TRIAL_BLUR)
        for factor in (1.0, 1.0 - _TRIAL, 1.0 + _TRIAL)
    )
    return (1.0 - here / torch.minimum(nearer, deeper)).clamp(0.0, 1.0)[0, 0]


def _edges(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Steps of a picture (3, h, w) across (h, w - 1) and down (h - 1, w)."""
    grey = picture.mean(dim=0)
    return grey.diff(dim=-1).abs(), grey.diff(dim=-2).abs()


def _blur(pictures: Tensor, deviation: float) -> Tensor:
    """Pictures (B, C, H, W) under a Gaussian of a deviation in pixels."""
    reach = int(3 * deviation) + 1
    weights = torch.exp(-torch.arange(-reach, reach + 1, device=pictures.device).square() / (2 * deviation**2))
    kernel = (weights / weights.sum()).expand(pictures.shape[1], 1, 1, -1)
    across = functional.conv2d(_pad(pictures, (reach, reach, 0, 0)), kernel, groups=len(kernel))
    return functional.conv2d(_pad(across, (0, 0, reach, reach)), kernel.transpose(2, 3), groups=len(kernel))


def _pad(pictures: Tensor, sides: tuple[int, int, int, int]) -> Tensor:
    return functional.pad(pictures, sides, mode="replicate")

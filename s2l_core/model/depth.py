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
"""Distance of the nodes of the residual's grids in pixels, coarse to fine."""
_BLURS = (3.0, 1.5, 0.7)
"""Standard deviations, in pixels, of the blur in successive stages of the fit, from coarse to fine."""
_BATCH = 8
_RATE = 3e-3
_SEEN_SHARE = 0.6
"""Share of a batch's frames in which a pixel is compared, those with the smallest error: in the others it may be
occluded.
"""
_NOISE = 0.01
"""Scale of the Charbonnier penalty, in [0, 1] colours, at which it changes from squared to absolute."""
_SMOOTHNESS = 1e3
"""Weight of the smoothness prior. A larger one gives a smoother depth."""
_EDGE = 8.0
"""Decay of the smoothness prior with the gradient of the picture."""
_TRIAL, _TRIAL_BLUR = 0.05, 4.0
"""Relative change of the depth for measuring confidence, and standard deviation of its blur in pixels."""
_MESH_TRUST, _SKULL_TRUST = 20.0, 6.0
"""Weight of the initial depth on the landmarks' mesh and beside it. Depth and rotation are ambiguous: a deeper head
that turns less has the same parallax. The poses are those of the mesh, so its depth must be kept.
"""


class CanonicalDepth(nn.Module):
    """Depth of the head in the canonical view: the initial depth times the exponential of a residual, D = D_0 exp(sum
    of R_k). The residual is a sum of bilinear grids, coarse to fine, which are initialised to zero.

    Args:
        start: View with the initial depth float32 (h, w) in millimetres.
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
        """float32 (h, w), natural logarithm of the depth relative to the initial one."""
        size = self.start.shape
        layers = [functional.interpolate(grid, size, mode="bilinear", align_corners=True) for grid in self.grids]
        return torch.stack(layers).sum(dim=0)[0, 0]

    def forward(self) -> Tensor:
        """The depth float32 (h, w) in millimetres."""
        return self.start * self.residual().exp()

    def refine(self, view: CanonicalView) -> CanonicalView:
        """Apply the residual to another view from the same pose, with any rectangle and resolution."""
        scale = self.view.intrinsics.fx / view.intrinsics.fx
        pixels = pixel_grid(view.rectangle, view.depth.device) * scale
        residual = sample(self.residual()[None, None], pixels[None], self.view.rectangle, "border")[0, 0]
        return replace(view, depth=view.depth * residual.exp())


def photometric_error(depth: Tensor, view: CanonicalView, reference: Tensor, pictures: Tensor, poses: Tensor) -> Tensor:
    """Equation (9) before its mask: the difference of frames that are warped into the canonical view from the canonical
    frame.

    The relative pose is T_o T_c^-1, from the canonical to the observed frame, as the canonical depth requires (the
    authors' release uses its inverse). The penalty is that of Charbonnier, over the frames with the smallest error,
    since a pixel may be occluded in the others.

    Args:
        depth: float32 (h, w) depth of ``view``, instead of its own.
        view: View of the head.
        reference: float32 (3, H, W) canonical frame, of the size of ``view.intrinsics``.
        pictures: float32 (B, 3, H, W) other frames of the same size.
        poses: float32 (B, 4, 4) camera_from_head of the other frames.

    Returns:
        float32 (h, w) in [0, 1] colours.
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
    """Fit the depth of the head to its parallax: equation (9), with an edge-aware smoothness prior.

    Args:
        head: The head, with its mask; its view has the initial depth.
        reference: float32 (3, H, W) canonical frame in [0, 1] colours, of the size of the view's camera.
        pictures: float32 (N, 3, H, W) other frames of the same size. Poses that are far apart determine the depth best.
        poses: float32 (N, 4, 4) camera_from_head of the other frames.
        still: bool (h, w), pixels that do not move relative to the head: not mouth, jaw and eyes.
        mesh: bool (h, w), pixels whose initial depth is that of the landmarks' mesh, to which the fit stays closer.
        steps: Number of optimisation steps. More follow the parallax more closely.
        report: Receives the phase ``"Learn depth"``.
        count_steps: Counts the steps, and restores and saves the state of the fit.
    """
    # Weights of the data term (the rigid head), of the initial depth, and of the smoothness, which ends at edges.
    report = report or Report()
    view = head.view
    depth = CanonicalDepth(view)
    mask = (head.mask & still).to(view.depth)
    trust = torch.where(mesh, _MESH_TRUST, _SKULL_TRUST)
    across, down = (torch.exp(-_EDGE * edge) for edge in _edges(crop(reference, view.rectangle)))
    random = np.random.default_rng(0)
    optimiser = torch.optim.Adam(depth.parameters(), _RATE)

    # Coarse to fine: each stage blurs the pictures less and has half the learning rate.
    stage_steps = -(-steps // len(_BLURS))
    reached = -1
    for step in count_steps(steps, depth, optimiser, random):
        report.progress("Learn depth", step, steps)
        if reached != (stage := step // stage_steps):
            reached = stage
            seen, wanted = _blur(pictures, _BLURS[stage]), _blur(reference[None], _BLURS[stage])[0]
            optimiser.param_groups[0]["lr"] = _RATE * 0.5**stage

        # One step on a random batch of frames.
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
    """How well the footage determines the depth of each pixel: float32 (h, w) in [0, 1].

    Confidence is the share by which the error at the fitted depth is smaller than at 5% more and less depth. It is high
    only with parallax, texture and visibility, and without motion relative to the head.

    Args:
        depth: The fitted depth.
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
    """Absolute gradients of a picture (3, h, w): horizontal (h, w - 1) and vertical (h - 1, w)."""
    grey = picture.mean(dim=0)
    return grey.diff(dim=-1).abs(), grey.diff(dim=-2).abs()


def _blur(pictures: Tensor, deviation: float) -> Tensor:
    """Blur pictures (B, C, H, W) by a Gaussian with a standard deviation in pixels."""
    reach = int(3 * deviation) + 1
    weights = torch.exp(-torch.arange(-reach, reach + 1, device=pictures.device).square() / (2 * deviation**2))
    kernel = (weights / weights.sum()).expand(pictures.shape[1], 1, 1, -1)
    across = functional.conv2d(_pad(pictures, (reach, reach, 0, 0)), kernel, groups=len(kernel))
    return functional.conv2d(_pad(across, (0, 0, reach, reach)), kernel.transpose(2, 3), groups=len(kernel))


def _pad(pictures: Tensor, sides: tuple[int, int, int, int]) -> Tensor:
    return functional.pad(pictures, sides, mode="replicate")

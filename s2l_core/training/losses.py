"""The losses of training and their weights (paper equations (7) to (10)).

Pictures are float32 (..., 3, h, w) in [0, 1], masks (..., 1, h, w) in [0, 1]. Losses are scalars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

PerceptualDistance = Callable[[Tensor, Tensor], Tensor]
"""Maps generated and true pictures (B, 3, h, w) to distances (B,), such as :class:`s2l_core.model.perception.Lpips`."""

_SHADE = 5
"""Side of the box filter, in pixels, that is applied twice to separate shades from details."""


@dataclass(frozen=True)
class Weights:
    """Weight of each term of equation (10). A term with weight 0 is left out.

    Attributes:
        lip: :func:`photometric` of the canonical lips, equation (7).
        lip_perceptual: :func:`perceptual` of the canonical lips, equation (7).
        frame: :func:`photometric` of the mouth region in the observed frame, equation (8).
        frame_perceptual: :func:`perceptual` of the mouth region, equation (8).
        depth: :func:`photometric` of heads that canonical depth brings into one view, equation (9).
        sync: The contrastive loss, equation (6).
        frame_details: :func:`perceptual` of the mouth region's :func:`details` alone.
        gradient: :func:`gradient` of the mouth region.
    """

    lip: float = 1.0
    lip_perceptual: float = 0.01
    frame: float = 1.0
    frame_perceptual: float = 0.01
    depth: float = 1.0
    sync: float = 0.01
    frame_details: float = 0.0
    gradient: float = 0.0


PAPER = Weights()
"""The weights of equation (10)."""

DEFAULT = Weights(lip_perceptual=0.0, frame_perceptual=0.0, frame_details=0.01, gradient=0.5)
"""The weights with the best measures on mouths some hundred pixels wide."""


def photometric(generated: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """‖Î - I‖², the first term of equations (7) and (8), as a mean over pixels and colours.

    With a mask it is equation (9): ‖M ⊙ (Î - I)‖² / ΣM.
    """
    error = (generated - truth).square()
    if mask is None:
        return error.mean()
    return (mask.square() * error).sum() / (error.shape[-3] * mask.sum()).clamp(min=1.0)


def perceptual(distance: PerceptualDistance, generated: Tensor, truth: Tensor) -> Tensor:
    """LPIPS(Î, I), the second term of equations (7) and (8), as a mean over pictures."""
    return distance(generated, truth).mean()


def details(generated: Tensor, truth: Tensor) -> Tensor:
    """Generated pictures with the shades of the true ones, but their own details. A perceptual loss of these asks for
    sharp lips and teeth only; applied to the pictures themselves, it would increase the squared error of the shades.
    """
    shades = truth - generated
    for _ in range(2):
        shades = functional.avg_pool2d(shades, _SHADE, 1, _SHADE // 2, count_include_pad=False)
    return generated + shades


def gradient(generated: Tensor, truth: Tensor) -> Tensor:
    """‖∇Î - ∇I‖² of the differences between neighbouring pixels along both axes, which asks for edges in the right
    place and as steep as the true ones.
    """
    error = generated - truth
    return error.diff(dim=-1).square().mean() + error.diff(dim=-2).square().mean()


def total(terms: Mapping[str, Tensor], weights: Weights) -> Tensor:
    """Equation (10): the weighted sum of terms, which have the names of their weights."""
    return torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()

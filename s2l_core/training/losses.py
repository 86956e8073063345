"""The losses of training, and how much each one counts (paper equations (7) to (10)).

Pictures are float32 (..., 3, h, w) in [0, 1], masks (..., 1, h, w) in [0, 1]. Losses are scalars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

PerceptualDistance = Callable[[Tensor, Tensor], Tensor]
"""Generated and true pictures (B, 3, h, w) to distances (B,), such as :class:`.model.perception.Lpips`."""

_SHADE = 5
"""Pixels, over which shades are averaged twice; what is finer is a detail."""


@dataclass(frozen=True)
class Weights:
    """What each term of equation (10) counts; nothing where a term takes no part.

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
"""Of equation (10)."""

DEFAULT = Weights(lip_perceptual=0.0, frame_perceptual=0.0, frame_details=0.01, gradient=0.5)
"""What measures best on mouths of some hundred pixels."""


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
    """Generated pictures with the true ones' shades and their own details. A perceptual loss of these asks for sharp
    lips and teeth, and leaves shades to squared errors, which it would make larger.
    """
    shades = truth - generated
    for _ in range(2):
        shades = functional.avg_pool2d(shades, _SHADE, 1, _SHADE // 2, count_include_pad=False)
    return generated + shades


def gradient(generated: Tensor, truth: Tensor) -> Tensor:
    """‖∇Î - ∇I‖² of the differences between neighbouring pixels, along both axes: edges must be as steep as the true
    ones, and where they are.
    """
    error = generated - truth
    return error.diff(dim=-1).square().mean() + error.diff(dim=-2).square().mean()


def total(terms: Mapping[str, Tensor], weights: Weights) -> Tensor:
    """Equation (10): the weighted sum of terms, each named as its weight."""
    return torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()

"""The light on a head: how bright its surface is in each direction, and how this changes when the head is turned.

The logarithm of the brightness of a point is that of its own colour, plus a function of the direction of its normal in
front of the footage's camera, before which lamps do not move. The function is a sum of spherical harmonics of the first
and second order, as which distant lamps light a matt surface (Ramamoorthi and Hanrahan, "An Efficient Representation
for Irradiance Environment Maps", 2001).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .surface import HeadSurface
from .texture import Observations

_TERMS = 8
_LUMINANCE = (0.2126, 0.7152, 0.0722)
_DARK = 0.03
"""Added to luminance before its logarithm is taken."""
_FACING = 0.5
"""Least cosine of the angle at which a frame must see a point."""
_SEEN = 0.6
"""Least share of the frames that must see a point."""
_PRIOR = 1e-4
"""Weight of the prior that the light comes evenly from all sides. Where a head hardly turns in its footage, the prior
decides. With a tenth of it, renderings of the embedded speaker are worse by 0.07 dB, with ten times as much by 0.15 dB.
"""
_ROUNDS, _CENTRING = 8, 6
_TOLERATED = 3.0
"""Error, relative to the median error, at which the weight of an observation falls to a half."""
_SPARSE = 2
"""Every so many rows and columns of the surface are used."""
_COARSER = 4
"""Side in pixels of the blocks in which normals are averaged, and after that over three by three blocks: the learned
depth is not accurate enough for wrinkles.
"""
_LEAST_GAIN, _MOST_GAIN = 0.6, 1.6


def fit_shading(surface: HeadSurface, observed: Observations) -> Tensor:
    """Fit the light to the frames of a clip, in which the head turns.

    The mean brightness of the head in a frame is ignored, because cameras adapt their exposure to it.

    Args:
        surface: The surface.
        observed: What the frames show of it.

    Returns:
        float32 (8,) coefficients of :func:`gain`; 0 for a head that the frames show in one pose only.
    """
    # Logarithm of luminance (n, p), and the terms of each point's direction (n, p, 8), with weights (n, p).
    colours = observed.front[:, :, ::_SPARSE, ::_SPARSE].flatten(2)
    luminance = (colours[:, :3] * colours.new_tensor(_LUMINANCE)[:, None]).sum(dim=1)
    level = (luminance + _DARK).log()
    seen = level.isfinite() & (colours[:, 3] > _FACING)
    kept = seen.float().mean(dim=0) > _SEEN
    if not kept.any():
        return level.new_zeros(_TERMS)
    normals = surface.front_normals[:, ::_SPARSE, ::_SPARSE].flatten(1)[:, kept]
    terms = _terms((observed.poses[:, :3, :3] @ normals).mT)
    known = seen[:, kept].float()

    # Neither the own brightness of a point nor the exposure of a frame tells the light.
    wanted = _centred(level[:, kept].nan_to_num()[..., None], known)[..., 0]
    terms = _centred(terms, known)

    # Robust least squares.
    weights, light = known, level.new_zeros(_TERMS)
    prior = _PRIOR * torch.eye(_TERMS, device=light.device)
    for _ in range(_ROUNDS):
        weighted = (weights / known.sum())[..., None] * terms
        light = torch.linalg.solve(
            torch.einsum("npi,npj->ij", weighted, terms) + prior, torch.einsum("npi,np->i", weighted, wanted)
        )
        error = wanted - terms @ light
        tolerated = _TOLERATED * error[known > 0].abs().median().clamp(min=1e-4)
        weights = known / (1 + (error / tolerated).square())
    return light


def gain(light: Tensor, normals: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """The factor (h, w) by which turning the head changes the brightness of its surface, between 0.6 and 1.6.

    Args:
        light: float32 (8,) coefficients of :func:`fit_shading`.
        normals: float32 (3, h, w) normals of the surface in head axes.
        before: float32 (3, 3) rotation of the head, before it is turned, in front of the footage's camera.
        after: float32 (3, 3) rotation after it is turned.
    """
    small = functional.avg_pool2d(normals[None], _COARSER, ceil_mode=True)
    smooth = functional.avg_pool2d(small, 3, 1, 1, count_include_pad=False)[0]
    flat = functional.normalize(smooth, dim=0).flatten(1)
    change = (_terms((after @ flat).T) - _terms((before @ flat).T)) @ light
    factors = change.clamp(math.log(_LEAST_GAIN), math.log(_MOST_GAIN)).exp().view(smooth.shape[1:])
    return functional.interpolate(factors[None, None], normals.shape[1:], mode="bilinear")[0, 0]


def rotation_in_footage(pose: NDArray[np.float64], camera_from_footage: NDArray[np.float64] | None) -> Tensor:
    """Rotation (3, 3) of a head in front of the footage's camera.

    Args:
        pose: float64 (4, 4) camera_from_head of another camera.
        camera_from_footage: float64 (4, 4) of that camera; None means that both are the same.
    """
    turned = pose[:3, :3] if camera_from_footage is None else camera_from_footage[:3, :3].T @ pose[:3, :3]
    return torch.tensor(turned, dtype=torch.float32)


def _terms(directions: Tensor) -> Tensor:
    """Spherical harmonics (..., 8) of the first and second order, up to factors, of unit vectors (..., 3)."""
    x, y, z = directions.unbind(-1)
    return torch.stack([x, y, z, x * y, x * z, y * z, x.square() - y.square(), 3 * z.square() - 1], dim=-1)


def _centred(values: Tensor, weights: Tensor) -> Tensor:
    """Values (n, p, k) without their weighted means over frames and over points."""
    shares = weights[..., None]
    for _ in range(_CENTRING):
        values = values - (values * shares).sum(dim=0) / shares.sum(dim=0).clamp(min=1)
        values = values - ((values * shares).sum(dim=1) / shares.sum(dim=1).clamp(min=1))[:, None]
    return values

"""Footage whose light or grade differs from that of the training footage.

Each channel of a colour in the other light is a curve of the luminance, plus chroma that is scaled by itself, plus
brightness and contrast that change across and down. That covers exposure, gain, offset, gamma, log and contrast curves,
white balance, tint, saturation, black and white, and light from another side. The model is linear in its coefficients,
which are fitted by weighted least squares with a prior at the identity, in both directions: one converts the trained
lips to the light of the footage, the other converts colours of the footage to the light of the training.

The fit uses cells of the mouth and of the skin around it; outlying cells, such as those of an occluding object, count
little. Frames are averaged with their neighbours in the same shot and the same light, so that a lamp that is switched
on stays a step, a dissolve stays a ramp, and flicker does not spread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..device import in_double
from ..geometry.camera import Rectangle
from ..geometry.mapping import pixel_grid

REACH_SECONDS = 1.0
"""Frames farther away than this have no influence on the light of a frame."""

_LUMINANCE = (0.2126, 0.7152, 0.0722)
_TERMS = 14
"""Number of terms whose weighted sum is a colour in another light, see :func:`_terms`."""
_UNKNOWNS, _EVEN = 11, 7
"""Number of unknowns for each channel with and without slopes, see :func:`_features`. The last four are the slopes of a
light that differs across and down.
"""
_IDENTITY = (0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Values of the unknowns for unchanged colours."""
_DEVIATIONS = (0.2, 1.0, 0.5, 0.7, 0.7, 0.7, 0.15, 0.06, 0.06, 0.3, 0.3)
"""Prior standard deviations of the unknowns."""
_NOISE = 0.02
"""Standard deviation of cells' noise."""
_OUTSIDE = 1.2
"""Distance from the middle, in halves of the lip rectangle, beyond which slopes are not extrapolated."""
_LIKE = 0.03
"""Relative difference in level at which two frames are considered to have different light."""
_CLOSING_IN = (0.1, 0.06, 0.04, 0.03)
"""Differences at which the weight of a cell falls to a quarter, for each round."""
_EVIDENCE = 150.0
"""Effective number of cells of a frame and its neighbours, which does not grow with their number, since their errors
are correlated.
"""
_DEPARTURE = (0.018, 0.03)
"""Differences of colours up to which the light is taken to be the same, and from which it certainly differs."""
_SLOPES = (0.02, 0.035)
"""Relative differences by slopes up to which they are the mouth's own shadow, and from which light comes from another
side.
"""
_BLACK, _WHITE = 0.02, 0.98
"""Values below and above which a channel counts as clipped."""
_LEAST_CLEAR = 0.3
_FITTED = 0.7
"""Share of the cells that the light must fit; the others may be occluded or have moved."""
_NEGATIVE = -0.5
"""Correlation of luminance below which the picture is a negative."""
_BLOCK = 256


@dataclass(frozen=True)
class Light:
    """The light of N frames, relative to that of the training footage.

    Attributes:
        to_footage: float32 (N, 3, 14) coefficients that convert colours to the light of the footage.
        to_speaker: float32 (N, 3, 14) coefficients that convert colours to the light of the training.
    """

    to_footage: Tensor
    to_speaker: Tensor

    @classmethod
    def same(cls, count: int, device: torch.device | str = "cpu") -> Light:
        """The light of the training in ``count`` frames."""
        identity = _to_coefficients(torch.tensor(_IDENTITY, device=device).expand(count, 3, _UNKNOWNS))
        return cls(identity.clone(), identity.clone())

    @property
    def is_same(self) -> bool:
        """Whether all frames have the light of the training."""
        same = Light.same(len(self.to_footage), self.to_footage.device)
        return torch.equal(self.to_footage, same.to_footage) and torch.equal(self.to_speaker, same.to_speaker)

    def of(self, indices: NDArray[np.integer]) -> Light:
        """The light of some of the frames."""
        chosen = torch.as_tensor(indices, device=self.to_footage.device)
        return Light(self.to_footage[chosen], self.to_speaker[chosen])

    def put(self, indices: NDArray[np.integer], light: Light) -> None:
        """Replace the light of some of the frames, in place."""
        chosen = torch.as_tensor(indices, device=self.to_footage.device)
        self.to_footage[chosen], self.to_speaker[chosen] = light.to_footage, light.to_speaker


def relight(colours: Tensor, coefficients: Tensor, positions: Tensor) -> Tensor:
    """Convert colours to another light, in [0, 1].

    Args:
        colours: (B, 3, ...) in [0, 1].
        coefficients: (B, 3, 14) of :class:`Light`.
        positions: (..., 2) or (B, ..., 2) positions in the lip rectangle, from -1 at its left and top to 1 at its right
            and bottom. Beyond 1.2 the light is constant.
    """
    terms = _terms(colours, positions.clamp(-_OUTSIDE, _OUTSIDE))
    return (coefficients @ terms.flatten(2)).view_as(colours).clamp(0, 1)


def positions_in(rectangle: Rectangle, pixels: Tensor) -> Tensor:
    """Positions of pixels (..., 2) in a rectangle, from -1 at its left and top to 1 at its right and bottom."""
    corner, size = (
        pixels.new_tensor([rectangle.left, rectangle.top]),
        pixels.new_tensor([rectangle.width, rectangle.height]),
    )
    return (pixels - corner) * (2 / size) - 1


def middles(width: int, height: int, device: torch.device | str = "cpu") -> Tensor:
    """Middles of the cells of a rectangle with ``width`` columns and ``height`` rows: (height, width, 2) from -1 to
    1.
    """
    return positions_in(Rectangle(0, 0, width, height), pixel_grid(Rectangle(0, 0, width, height), device))


def _terms(colours: Tensor, positions: Tensor) -> Tensor:
    """The terms that :func:`relight` sums: (B, 14, ...) of colours (B, 3, ...) at positions (..., 2) or (B, ..., 2)."""
    luminance = torch.einsum("c,bc...->b...", torch.tensor(_LUMINANCE, device=colours.device), colours)[:, None]
    across, down = (axis.expand_as(luminance[:, 0])[:, None] for axis in positions.unbind(-1))
    curve = [torch.ones_like(luminance), luminance, luminance.clamp(min=0).sqrt(), luminance.square()]
    slopes = [across, down, across * luminance, down * luminance]
    return torch.cat([*curve, colours, colours * luminance, *slopes], dim=1)


def _features(terms: Tensor) -> Tensor:
    """Features of the fit for each channel, (N, 3, m, 11), from terms (N, 14, m): a curve of the luminance, the
    channel's chroma, that chroma times luminance, the next channel's chroma, and slopes.
    """
    curve, colours, products, slopes = terms.split([4, 3, 3, 4], dim=1)
    chroma, in_proportion = colours - curve[:, 1:2], products - curve[:, 3:4]
    own = torch.stack([chroma, in_proportion, chroma.roll(-1, 1)], dim=-1)
    curve, slopes = (part.mT[:, None].expand(-1, 3, -1, -1) for part in (curve, slopes))
    return torch.cat([curve, own, slopes], dim=-1)


def _to_coefficients(unknowns: Tensor) -> Tensor:
    """Convert the unknowns (N, 3, 11) of the features to coefficients (N, 3, 14) of the terms."""
    curve, own, in_proportion, of_next, slopes = unknowns.split([4, 1, 1, 1, 4], dim=2)
    curve = curve - functional.pad(own + of_next, (1, 2)) - functional.pad(in_proportion, (3, 0))
    channel = torch.eye(3, device=unknowns.device)
    return torch.cat([curve, own * channel + of_next * channel.roll(1, 1), in_proportion * channel, slopes], dim=2)


def fit_light(seen: Tensor, learnt: Tensor, weights: Tensor, positions: Tensor) -> tuple[Light, Tensor]:
    """Fit the light of N frames.

    Args:
        seen: float32 (N, 3, m) colours of cells in the footage.
        learnt: float32 (N, 3, m) colours of the same cells in the light of the training.
        weights: float32 (m,) weights of the cells in [0, 1].
        positions: float32 (m, 2) positions of the cells, as for :func:`relight`.

    Returns:
        The light, and the error of the fit (N,), relative to the level of the colours: 70% of the cells have a smaller
        one. It is 1 for a negative picture.
    """
    light, errors = Light.same(len(seen), seen.device), torch.zeros(len(seen), device=seen.device)
    for block in torch.arange(len(seen), device=seen.device).split(_BLOCK):
        there, here = seen[block], learnt[block]
        known, shown = _is_clear(here).all(dim=1, keepdim=True), _is_clear(there)
        steady = _without_outliers(here, there, weights * known * shown, positions)
        even, sloped = _fit(here, there, steady, positions)
        slopes = _mean_square(relight(here, sloped, positions) - relight(here, even, positions), weights).sqrt()
        uneven = _smoothstep(slopes / _mean_square(there, weights).sqrt().clamp(min=1e-3), *_SLOPES)
        other = _smoothstep(_mean_square(relight(here, even, positions) - here, weights).sqrt(), *_DEPARTURE)
        other = torch.maximum(other, uneven)
        light.to_footage[block] = torch.lerp(light.to_footage[block], torch.lerp(even, sloped, uneven), other)
        back = torch.lerp(*_fit(there, here, steady.amin(dim=1, keepdim=True), positions), uneven)
        light.to_speaker[block] = torch.lerp(light.to_speaker[block], back, other)
        squares = (relight(here, light.to_footage[block], positions) - there).square().mean(dim=1)
        missed = squares.sqrt().quantile(_FITTED, dim=1) / there.mean(dim=(1, 2)).clamp(min=1e-3)
        errors[block] = torch.where(_correlation(here, there, weights) < _NEGATIVE, 1.0, missed)
    return light, errors


def _without_outliers(source: Tensor, target: Tensor, weights: Tensor, positions: Tensor) -> Tensor:
    """Weights (N, 3, m) in which outlying cells count little, by iteratively reweighted least squares."""
    steady, terms = weights, _terms(source, positions)
    for noise in _CLOSING_IN:
        missed = (_fit(source, target, steady, positions)[1] @ terms).clamp(0, 1) - target
        steady = weights / (1.0 + missed.square().mean(dim=1, keepdim=True) / noise**2).square()
    return steady


def _is_clear(cells: Tensor) -> Tensor:
    """Whether channels of cells (N, 3, m) are not clipped. If nearly all are clipped, all count as not clipped."""
    clear = (cells > _BLACK) & (cells < _WHITE)
    return clear | (clear.float().mean(dim=2, keepdim=True) < _LEAST_CLEAR)


def _fit(source: Tensor, target: Tensor, weights: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Fit coefficients (N, 3, 14) that convert colours (N, 3, m) to others, without slopes and with them.

    Args:
        source: (N, 3, m)
        target: (N, 3, m)
        weights: (N, 3 or 1, m) of the cells' channels.
        positions: (m, 2)
    """
    features = _features(_terms(source, positions))
    identity = torch.tensor(_IDENTITY, device=source.device)
    precision = torch.diag(1.0 / torch.tensor(_DEVIATIONS, device=source.device).square())
    counts = weights * (_EVIDENCE / _NOISE**2 / weights.sum(dim=2, keepdim=True).clamp(min=1e-3))
    weighed = (features * counts[..., None]).mT
    normal, right = weighed @ features + precision, (weighed @ (target - source)[..., None])[..., 0]
    even = torch.linalg.solve(normal[..., :_EVEN, :_EVEN], right[..., :_EVEN])
    sloped = torch.linalg.solve(normal, right)
    return _to_coefficients(identity + functional.pad(even, (0, _UNKNOWNS - _EVEN))), _to_coefficients(
        identity + sloped
    )


def _correlation(one: Tensor, other: Tensor, weights: Tensor) -> Tensor:
    """Correlation (N,) of the luminance of cells (N, 3, m) with weights (m,)."""
    luminance = torch.tensor(_LUMINANCE, device=one.device)
    a, b = (torch.einsum("c,ncm->nm", luminance, cells) for cells in (one, other))
    a, b = ((level - (level @ weights)[:, None] / weights.sum()) * weights.sqrt() for level in (a, b))
    return functional.cosine_similarity(a, b, dim=1)


def _mean_square(differences: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean square (N, 1, 1) of (N, 3, m) with weights (m,)."""
    return (differences.square().mean(dim=1, keepdim=True) @ weights[:, None]) / weights.sum()


def _smoothstep(values: Tensor, low: float, high: float) -> Tensor:
    """Smoothstep: 0 up to ``low``, 1 from ``high`` on."""
    share = ((values - low) / (high - low)).clamp(0, 1)
    return share * share * (3 - 2 * share)


class LightNeighbours:
    """Averages frames with their neighbours in the same light.

    Args:
        patches: float32 (N, 3, k) colours of parts of the skin, compared by the median over the parts.
        times: (N,) seconds, ascending.
        shots: (N,) number of the shot of each frame.
    """

    def __init__(self, patches: Tensor, times: Tensor, shots: Tensor) -> None:
        self._neighbour_weights = list(_neighbour_weights(patches, times, shots))

    def average(self, values: Tensor, trust: Tensor) -> Tensor:
        """Mean of values (N, ...) over each frame and its neighbours, weighted by ``trust`` (N,)."""
        shape = (-1, *[1] * (values.dim() - 1))
        sums, total = values * trust.view(shape), trust.clone()
        for distance, weight in enumerate(self._neighbour_weights, 1):
            here, there = slice(0, -distance), slice(distance, None)
            for to, of in ((here, there), (there, here)):
                share = weight * trust[of]
                sums[to] += values[of] * share.view(shape)
                total[to] += share
        return sums / total.view(shape)


def _neighbour_weights(patches: Tensor, times: Tensor, shots: Tensor) -> Iterator[Tensor]:
    """Weights between frames that are 1, 2, ... frames apart, up to the first distance at which all are zero."""
    levels = patches.norm(dim=(1, 2)) / patches.shape[2] ** 0.5
    for distance in range(1, len(times)):
        here, there = slice(0, -distance), slice(distance, None)
        apart = (times[there] - times[here]) / REACH_SECONDS
        if bool((apart >= 1).all()):
            return
        change = (patches[there] - patches[here]).norm(dim=1).median(dim=1).values
        level = (levels[there] + levels[here]).clamp(min=0.04) / 2
        like = torch.exp(-0.5 * (change / (_LIKE * level)).square())
        yield ((1 - apart.clamp(max=1).square()).square() * in_double(like) * (shots[there] == shots[here])).to(patches)

"""The look model: corrects motion codes by the colours around the mouth.

Light, posture and the slow drift of a take change the mouth too, and the frame that is dubbed shows them around the
mouth. Its surroundings also correlate with the motion of its own mouth, which must not leak into the result. Therefore,
whatever the shape of the lips explains of them, linearly and by its squares, is regressed out first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..canonical.light import positions_in
from ..canonical.regions import Observation
from ..canonical.view import CanonicalFace, outside_lips
from ..device import in_double
from ..geometry.mapping import pixel_grid
from ..speech.features import HOP_SECONDS
from ..subsampling import evenly_spaced

_SURROUNDINGS_SIZE, _BORDER_SIZE, _SHAPE_SIZE, _SQUARES = 48, 24, 8, 3
_BORDER_SHARE = 0.1
_SPEECH_REACH_SECONDS, _SPEECH_STEP_SECONDS = 0.24, 0.04
_SPEECH_SHARE = 0.3
"""Scale of the speech features relative to the colours. A smaller one is regularised more."""
_PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)
_FOLDS = 5
_MOST_FRAMES = 800
"""Largest number of frames from which principal components are computed."""
_BLOCK = 256
"""Frames whose colours are converted from 8 bits at once."""
FIT_STEPS = 3 + _FOLDS
"""Number of steps of :meth:`LookModel.fit`."""


@dataclass(frozen=True)
class LookPixels:
    """The pixels of an observation that the look model sees.

    Attributes:
        around: bool (h', w') pixels of the surroundings.
        border: bool (h, w) pixels of the canonical lips.
    """

    around: Tensor
    border: Tensor

    @classmethod
    def of(cls, face: CanonicalFace) -> LookPixels:
        height, width = face.lips.rectangle.height, face.lips.rectangle.width
        thickness = max(2, round(_BORDER_SHARE * height))
        border = torch.ones(height, width, dtype=torch.bool)
        border[thickness:-thickness, thickness:-thickness] = False
        return cls(outside_lips(face), border)

    def take(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Colours of the surroundings and of the border, each as a vector of 8 bits: in single precision, those of an
        hour took several gigabytes.
        """
        surroundings, lips = in_8_bits(observation.surroundings), in_8_bits(observation.lips)
        return surroundings[:, self.around].flatten(), lips[:, self.border].flatten()

    def positions(self, face: CanonicalFace) -> tuple[Tensor, Tensor]:
        """Positions of surroundings (n, 2) and border (m, 2) in the lip rectangle, see
        :func:`s2l_core.canonical.light.relight`.
        """
        box, device = face.lips.rectangle, self.around.device
        around = 2 * pixel_grid(face.surroundings.rectangle, device)[self.around]
        return positions_in(box, around), positions_in(box, pixel_grid(box, device)[self.border])


class LookModel(nn.Module):
    """Maps surroundings, border and lip shape of a frame to an offset of its motion code.

    Args:
        surroundings: Length of the vector of the surroundings' colours.
        border: Length of the vector of the border's colours.
        shape: Length of a lip shape.
        code: Length of a code.
    """

    def __init__(self, surroundings: int, border: int, shape: int, code: int) -> None:
        super().__init__()
        self.surroundings = Components(surroundings, _SURROUNDINGS_SIZE)
        self.border = Components(border, _BORDER_SIZE)
        self.shape = Components(shape, _SHAPE_SIZE)
        self.register_buffer("cleaning", torch.zeros(_SHAPE_SIZE + _SQUARES + 1, _SURROUNDINGS_SIZE + _BORDER_SIZE))
        self.register_buffer("weights", torch.zeros(_SURROUNDINGS_SIZE + _BORDER_SIZE, code))

    cleaning: Tensor
    weights: Tensor

    def forward(self, surroundings: Tensor, border: Tensor, shapes: Tensor) -> Tensor:
        """Offsets float32 (B, code); zero for frames without a face, whose shapes are NaN."""
        seen = torch.isfinite(shapes).all(dim=1, keepdim=True)
        offset = self.clean(surroundings, border, torch.where(seen, shapes, self.shape.mean)) @ self.weights
        return torch.where(seen, offset, torch.zeros_like(offset))

    def of_stored(
        self, surroundings: NDArray[np.uint8], border: NDArray[np.uint8], shapes: NDArray[np.float32]
    ) -> Tensor:
        """Offsets (N, code) of frames whose colours are kept in 8 bits, as :meth:`fit` gets them."""
        device = self.weights.device
        stored = (torch.from_numpy(values).split(_BLOCK) for values in (surroundings, border, shapes))
        parts = [
            self(in_units(around.to(device)), in_units(rim.to(device)), shape.to(device))
            for around, rim, shape in zip(*stored, strict=True)
        ]
        return torch.cat(parts)

    def clean(self, surroundings: Tensor, border: Tensor, shapes: Tensor) -> Tensor:
        """float32 (B, 72), components of the colours, minus what the lip shape explains of them."""
        looks = torch.cat([self.surroundings(surroundings), self.border(border)], dim=1)
        return looks - self._explanation(shapes) @ self.cleaning

    def fit(
        self,
        surroundings: NDArray[np.uint8],
        border: NDArray[np.uint8],
        shapes: NDArray[np.float32],
        codes: NDArray[np.float32],
        speech: NDArray[np.float32],
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        """Fit the model in closed form, together with a linear model of speech, so that it explains only what speech
        does not.

        Args:
            surroundings: uint8 (N, ...) colours of the training frames in order of time.
            border: uint8 (N, ...) colours of the same frames.
            shapes: float32 (N, ...) lip shapes of the same frames, without NaN.
            codes: float32 (N, code) target codes, centred.
            speech: float32 (N, f) as :func:`speech_context` gives it.
            on_step: Called after each of :data:`FIT_STEPS` steps.
        """
        looks = []
        for component, values in ((self.surroundings, surroundings), (self.border, border)):
            component.fit(in_units(torch.from_numpy(values[evenly_spaced(len(values), _MOST_FRAMES)])))
            looks.append(torch.cat([component(in_units(part)) for part in torch.from_numpy(values).split(_BLOCK)]))
            on_step()
        self.shape.fit(torch.from_numpy(shapes[evenly_spaced(len(shapes), _MOST_FRAMES)]))
        on_step()
        seen, explanation = torch.cat(looks, dim=1), self._explanation(torch.from_numpy(shapes))
        # in single precision, rounding errors of the small components would distort the large ones
        self.cleaning.copy_(torch.linalg.lstsq(explanation.double(), seen.double()).solution)

        clean = (seen - explanation @ self.cleaning).double()
        scale = clean.std(dim=0).max()
        inputs = torch.cat([clean / scale, _SPEECH_SHARE * torch.from_numpy(speech).double()], dim=1)
        targets = torch.from_numpy(codes).double()
        penalty = _choose_penalty(inputs, targets, on_step)
        self.weights.copy_((_ridge(inputs, targets, penalty)[: clean.shape[1]] / scale).float())

    def _explanation(self, shapes: Tensor) -> Tensor:
        components = self.shape(shapes)
        return torch.cat([components, components[:, :_SQUARES].square(), torch.ones_like(components[:, :1])], dim=1)


class Components(nn.Module):
    """Principal components, scaled so that the first one has unit variance.

    Args:
        length: Length of an input vector.
        size: Number of components.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, length: int, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("axes", torch.zeros(length, size))

    def forward(self, values: Tensor) -> Tensor:
        """Components float32 (B, size) of vectors (B, length)."""
        return (values - self.mean) @ self.axes

    def fit(self, sample: Tensor) -> None:
        """Compute mean and axes from vectors (N, length)."""
        self.mean.copy_(sample.mean(dim=0))
        axes, deviations = principal_axes(sample - self.mean, self.axes.shape[1])
        self.axes.copy_(axes / deviations[0].clamp(min=1e-6))


def in_8_bits(colours: Tensor) -> Tensor:
    """Colours in [0, 1] as uint8, on the CPU."""
    return (colours.cpu() * 255).round().to(torch.uint8)


def in_units(colours: Tensor) -> Tensor:
    """Colours of 8 bits as float32 in [0, 1]."""
    return colours.float() / 255


def principal_axes(centred: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Orthonormal axes (length, size) of centred values (N, length) and their standard deviations (size,), falling.

    They are computed from the smaller of the two Gram matrices. Axes beyond the rank of the values are zero.
    """
    count, length = centred.shape
    if count <= length:
        squares, vectors = torch.linalg.eigh(in_double(centred @ centred.T))
        squares, vectors = squares.flip(0)[:size].clamp(min=0), vectors.flip(1)[:, :size]
        axes = centred.T @ (vectors / squares.sqrt().clamp(min=1e-6)).to(centred)
    else:
        squares, vectors = torch.linalg.eigh(in_double(centred.T @ centred))
        squares, axes = squares.flip(0)[:size].clamp(min=0), vectors.flip(1)[:, :size].to(centred)
    known = (squares > 1e-9 * squares[0].clamp(min=1e-12)).to(centred.device)
    axes = torch.where(known, axes, torch.zeros_like(axes))
    deviations = (squares / count).sqrt().to(centred)
    missing = size - axes.shape[1]
    return nn.functional.pad(axes, (0, missing)), nn.functional.pad(deviations, (0, missing))


def speech_context(mel: NDArray[np.float32], times: NDArray[np.float64]) -> NDArray[np.float32]:
    """Standardised log-mel around moments, from 240 ms before to 240 ms after: float32 (N, 13 * 80).

    Args:
        mel: float32 (m, 80) log-mel.
        times: float64 (N,) seconds from its start.
    """
    reach = round(_SPEECH_REACH_SECONDS / _SPEECH_STEP_SECONDS)
    offsets = np.arange(-reach, reach + 1) * _SPEECH_STEP_SECONDS
    rows = np.round((times[:, None] + offsets) / HOP_SECONDS).astype(int).clip(0, len(mel) - 1)
    return ((mel - mel.mean(axis=0)) / mel.std())[rows].reshape(len(times), -1)


def _choose_penalty(inputs: Tensor, targets: Tensor, on_step: Callable[[], None]) -> float:
    """Choose the ridge penalty by cross-validation. Folds are stretches of time, since neighbouring frames are
    alike.
    """
    errors = torch.zeros(len(_PENALTIES))
    for fold in torch.arange(len(inputs)).chunk(_FOLDS):
        kept = torch.ones(len(inputs), dtype=torch.bool)
        kept[fold] = False
        squares, products = inputs[kept].T @ inputs[kept], inputs[kept].T @ targets[kept]
        for choice, penalty in enumerate(_PENALTIES):
            weights = _solve_ridge(squares, products, penalty * int(kept.sum()))
            errors[choice] += (inputs[fold] @ weights - targets[fold]).square().sum()
        on_step()
    return _PENALTIES[int(errors.argmin())]


def _ridge(inputs: Tensor, targets: Tensor, penalty: float) -> Tensor:
    return _solve_ridge(inputs.T @ inputs, inputs.T @ targets, penalty * len(inputs))


def _solve_ridge(squares: Tensor, products: Tensor, penalty: float) -> Tensor:
    return torch.linalg.solve(squares + penalty * torch.eye(len(squares), dtype=squares.dtype), products)

"""Baselines, which compute lips by simple rules, and oracles, which see the real lips."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..canonical.view import CanonicalFace
from ..model.look import principal_axes
from ..speech.features import HOP_SECONDS
from ..subsampling import evenly_spaced

_COMPONENTS = 64
_MOST_FRAMES = 800
_REACH_SECONDS, _STEP_SECONDS = 0.24, 0.04
_PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_JUDGED_SHARE = 0.2


class Baselines:
    """Baselines fitted to the training lips of a clip. All results are canonical lips float32 (B, 3, h, w).

    Args:
        face: The canonical view.
        lips: uint8 (N, 3, h, w) canonical lips of the training frames, in order of time.
        times: float64 (N,) their times in seconds after the first row of ``mel``.
        mel: float32 (m, 80) log-mel of their speech.
    """

    def __init__(self, face: CanonicalFace, lips: Tensor, times: NDArray[np.float64], mel: NDArray[np.float32]) -> None:
        self._lips = lips
        some = lips[torch.from_numpy(evenly_spaced(len(lips), _MOST_FRAMES))].flatten(1).float() / 255
        self._mean = some.mean(dim=0)
        self._axes, _ = principal_axes(some - self._mean, _COMPONENTS)
        codes = torch.cat([(part.flatten(1).float() / 255 - self._mean) @ self._axes for part in lips.split(256)])
        self._mel_mean, self._mel_scale = mel.mean(axis=0), mel.std()
        self._weights = _fit_ridge(self._hear(mel, times), codes.cpu().double()).float().to(lips.device)
        left, top, right, bottom = (round(edge) for edge in face.mouth_box)
        box = face.lips.rectangle
        self._mouth = (..., slice(top - box.top, bottom - box.top), slice(left - box.left, right - box.left))
        self._mouths = lips[self._mouth].flatten(1)

    def mean_image(self, seen: Tensor) -> Tensor:
        """The mean of the training lips, for each of ``seen`` (B, 3, h, w)."""
        return self._mean.view_as(seen[0]).expand_as(seen)

    def pca_64(self, seen: Tensor) -> Tensor:
        """Oracle: the real lips ``seen`` (B, 3, h, w), projected on 64 principal components."""
        codes = (seen.flatten(1) - self._mean) @ self._axes
        return (self._mean + codes @ self._axes.T).view_as(seen)

    def nearest_frame(self, seen: Tensor) -> Tensor:
        """Oracle: the training lips whose mouth box is closest to that of the real lips ``seen`` (B, 3, h, w)."""
        wanted = seen[self._mouth].flatten(1)
        distances = []
        for part in self._mouths.split(256):
            mouths = part.float() / 255
            distances.append(mouths.square().sum(dim=1) - 2 * wanted @ mouths.T)
        return self._lips[torch.cat(distances, dim=1).argmin(dim=1)].float() / 255

    def audio_ridge(self, mel: NDArray[np.float32], times: NDArray[np.float64]) -> Tensor:
        """Ridge regression from log-mel (m, 80), 240 ms to either side of ``times`` (B,), to 64 principal
        components.
        """
        codes = self._hear(mel, times).float().to(self._weights.device) @ self._weights
        return (self._mean + codes @ self._axes.T).unflatten(1, self._lips.shape[1:])

    def _hear(self, mel: NDArray[np.float32], times: NDArray[np.float64]) -> Tensor:
        """Inputs of the regression (B, inputs): log-mel around ``times`` (B,), and a constant one."""
        steps = round(_REACH_SECONDS / _STEP_SECONDS)
        moments = times[:, None] + _STEP_SECONDS * np.arange(-steps, steps + 1)
        rows = np.round(moments / HOP_SECONDS).astype(int).clip(0, len(mel) - 1)
        context = ((mel - self._mel_mean) / self._mel_scale)[rows].reshape(len(times), -1)
        return torch.from_numpy(np.pad(context, ((0, 0), (0, 1)), constant_values=1.0)).double()


def _fit_ridge(inputs: Tensor, targets: Tensor) -> Tensor:
    """Ridge regression weights, with the penalty whose fit to the first four fifths predicts the last fifth best."""
    first = round((1 - _JUDGED_SHARE) * len(inputs))

    def error(penalty: float) -> float:
        weights = _ridge(inputs[:first], targets[:first], penalty)
        return float((inputs[first:] @ weights - targets[first:]).square().sum())

    return _ridge(inputs, targets, min(_PENALTIES, key=error))


def _ridge(inputs: Tensor, targets: Tensor, penalty: float) -> Tensor:
    squares = inputs.T @ inputs + penalty * len(inputs) * torch.eye(inputs.shape[1], dtype=inputs.dtype)
    return torch.linalg.solve(squares, inputs.T @ targets)

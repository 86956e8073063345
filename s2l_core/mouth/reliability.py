"""Decides which frames show the mouth well enough for new lips; the others keep their pixels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_propagation, distance_transform_edt, median_filter

from ..canonical.light import REACH_SECONDS, Light
from ..events import Report
from ..footage import Footage
from ..geometry.trust import seen_angles
from ..media.planes import Part
from ..model.speaker import SpeakerModel
from ..results import SkippedRun
from .occlusion import MouthFitter

REASONS = ("", "no face", "turned away", "occluded", "somebody else", "other light")
"""Reasons why a frame keeps its pixels, by number; number 0 means that it is dubbed."""
_NO_FACE, _TURNED_AWAY, _OCCLUDED, _SOMEBODY_ELSE, _OTHER_LIGHT = 1, 2, 3, 4, 5
_IN_WORDS = {"no face": "without a face", "somebody else": "of somebody else", "other light": "in different light"}
"""How a reason reads after a number of frames, if that differs."""

_MOST_YAW, _MOST_PITCH = 35.0, 25.0
"""Angles in degrees from the canonical view beyond which too little of the mouth was trained on, or can be seen."""
_OCCLUDED_FROM, _OCCLUDED_TO = 3.2, 2.2
"""Misfits, relative to the clip's median, at which an occlusion begins and ends (hysteresis)."""
_LEAST_MISFIT, _MOST_MISFIT = 0.012, 0.03
"""Bounds of the median. A higher one means that the mouth is hidden for most of the clip."""
_MOST_LIGHT_ERROR = 0.12
"""Largest error of the fitted light, relative to the level of the colours."""
_FADE_SECONDS = 0.16
_SHORTEST_SECONDS = 0.24
"""Shorter runs of dubbed frames between frames that keep their pixels are not dubbed."""
_BATCH = 16


@dataclass(frozen=True)
class Reliability:
    """How far the mouth is replaced in the n frames of a dub.

    Attributes:
        weights: float32 (n,) opacity of the new mouth.
        reasons: int64 (n,) numbers of :data:`REASONS`; not 0 if the weight is 0.
    """

    weights: NDArray[np.float32]
    reasons: NDArray[np.int64]

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> Reliability:
        """The opposite of :meth:`to_tensors`."""
        return cls(tensors["weights"].cpu().numpy(), tensors["reasons"].cpu().numpy())

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """Tensors by name that can be cached."""
        return {"weights": torch.from_numpy(self.weights), "reasons": torch.from_numpy(self.reasons)}

    @property
    def untouched(self) -> list[SkippedRun]:
        """Runs of frames that keep the footage's pixels."""
        starts = np.flatnonzero(np.diff(self.reasons, prepend=-1))
        ends = np.append(starts[1:], len(self.reasons))
        return [
            {"first": int(first), "last": int(end) - 1, "reason": REASONS[self.reasons[first]]}
            for first, end in zip(starts, ends, strict=True)
            if self.reasons[first]
        ]

    @property
    def dubbed(self) -> int:
        """Number of frames whose mouth is replaced, at least in part."""
        return int(np.count_nonzero(self.weights))

    @property
    def summary(self) -> str:
        """A sentence: how many frames are dubbed, and why the others are not."""
        total = len(self.weights)
        if self.dubbed == total:
            return f"Dubbed {total} frames."
        numbers, counts = np.unique(self.reasons[self.weights == 0], return_counts=True)
        words = [_IN_WORDS.get(REASONS[number], REASONS[number]) for number in numbers]
        kept = ", ".join(f"{count} {reason}" for count, reason in zip(counts, words, strict=True))
        return f"Dubbed {self.dubbed} of {total} frames: {kept}."


def judge_frames(
    speaker: SpeakerModel, footage: Footage, indices: NDArray[np.integer], rate: Fraction, report: Report
) -> tuple[Reliability, Light]:
    """Decide how far the mouth is replaced in each frame of a dub, and fit the light.

    Args:
        speaker: The speaker, on the device to compute on.
        footage: The clip.
        indices: int64 (n,) index into the footage for each frame of the dub.
        rate: Frames per second of the dub.
        report: Receives the phase ``"Check mouths"``.

    Returns:
        The weights of the dub's frames, and the light of all frames of the footage, which is that of the training in
        frames that are not shown or keep their pixels.
    """
    judged, light = _judge(speaker, footage, indices, report)
    return replacement_weights(judged[indices], rate), light


def judge_frame(
    speaker: SpeakerModel, footage: Footage, indices: NDArray[np.integer], frame: int, report: Report
) -> tuple[int, Light]:
    """As :func:`judge_frames`, for one frame of the footage: a number of :data:`REASONS`, and the light.

    Only the frames that determine its light are decoded: those that it is averaged with, and those that determine their
    weights. Occlusion is not detected, since that takes the whole clip.
    """
    near = np.abs(footage.times[indices] - footage.times[frame]) < 2 * REACH_SECONDS
    reasons, light = _judge(speaker, footage, indices[near], report)
    return int(reasons[frame] if reasons[frame] != _OCCLUDED else 0), light


def _judge(
    speaker: SpeakerModel, footage: Footage, indices: NDArray[np.integer], report: Report
) -> tuple[NDArray[np.int64], Light]:
    """Reasons int64 (N,) why the footage's frames keep their pixels, and their light. Frames that are not in
    ``indices`` are not decoded.
    """
    reasons = reasons_of_pose(speaker, footage)
    light = Light.same(len(reasons), speaker.face.lips.depth.device)
    wanted = np.zeros(len(reasons), dtype=bool)
    wanted[indices] = True
    chosen = np.flatnonzero(wanted & (reasons == 0))
    if len(chosen):
        fitter = MouthFitter(speaker, footage)
        seen = torch.cat(
            [fitter.sample_cells(parts, numbers) for numbers, parts in _batches(fitter, footage, chosen, report)]
        )
        fitted = fitter.fit(seen, chosen)
        misfits, errors = np.full((2, len(reasons)), np.nan)
        misfits[chosen], errors[chosen] = fitted.misfits, fitted.light_errors
        found = find_reasons(footage.track.found, reasons == _TURNED_AWAY, misfits, errors)
        reasons = np.where(footage.somebody_else, _SOMEBODY_ELSE, found)
        light.put(chosen, fitted.light)
    return reasons, light


def reasons_of_pose(speaker: SpeakerModel, footage: Footage) -> NDArray[np.int64]:
    """Reasons int64 (N,) why frames of a clip keep their pixels, from the head pose and the face alone."""
    unknown = np.full(len(footage.times), np.nan)
    reasons = find_reasons(footage.track.found, _turned_away(speaker, footage), unknown, unknown)
    return np.where(footage.somebody_else, _SOMEBODY_ELSE, reasons)


def find_reasons(
    found: NDArray[np.bool_],
    turned: NDArray[np.bool_],
    misfits: NDArray[np.float64],
    light_errors: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Reasons int64 (N,) why frames of a clip keep their pixels.

    Args:
        found: bool (N,), whether there is a face.
        turned: bool (N,), whether it is turned away.
        misfits: float64 (N,), see :class:`s2l_core.mouth.occlusion.MouthFit`; NaN if unknown.
        light_errors: float64 (N,), likewise.
    """
    known = np.isfinite(misfits)
    hidden = np.zeros(len(found), dtype=bool)
    if known.any():
        usual = float(np.clip(np.median(misfits[known]), _LEAST_MISFIT, _MOST_MISFIT))
        shares = median_filter(misfits[known], size=3, mode="nearest") / usual
        hidden[known] = binary_propagation(shares > _OCCLUDED_FROM, mask=shares > _OCCLUDED_TO)
    strange = light_errors > _MOST_LIGHT_ERROR
    if known.any() and strange[known].mean() > 0.5:  # a light lasts for most of a clip, an occlusion hardly ever does
        hidden &= ~strange
    causes = [~found, turned, hidden, strange]
    return np.select(causes, [_NO_FACE, _TURNED_AWAY, _OCCLUDED, _OTHER_LIGHT], default=0)


def replacement_weights(reasons: NDArray[np.int64], rate: Fraction) -> Reliability:
    """Opacity of the new mouth in the frames of a dub. It is 0 in frames with a reason and rises smoothly beside them.
    Runs of less than 0.24 s between such frames get 0 too.

    Args:
        reasons: int64 (n,) numbers of :data:`REASONS`.
        rate: Frames per second of the dub.
    """
    bad = reasons > 0
    if not bad.any():
        return Reliability(np.ones(len(bad), np.float32), reasons)
    gap = max(1, round(_SHORTEST_SECONDS * rate))
    padded = np.pad(bad, gap)
    closed = binary_closing(padded, np.ones(gap))[gap:-gap] | bad
    last_bad = np.maximum.accumulate(np.where(bad, np.arange(len(bad)), -1))
    filled = np.where(closed, reasons[np.maximum(last_bad, 0)], 0)
    share = np.minimum(distance_transform_edt(~closed) / (max(1, round(_FADE_SECONDS * rate)) + 1), 1.0)
    return Reliability((share * share * (3.0 - 2.0 * share)).astype(np.float32), filled)


def _turned_away(speaker: SpeakerModel, footage: Footage) -> NDArray[np.bool_]:
    usual = seen_angles(speaker.face.lips.pose.cpu().double().numpy())
    yaw, pitch, _ = np.abs(seen_angles(footage.track.poses) - usual).T
    return (yaw > _MOST_YAW) | (pitch > _MOST_PITCH)


def _batches(
    fitter: MouthFitter, footage: Footage, chosen: NDArray[np.int64], report: Report
) -> Iterator[tuple[NDArray[np.int64], list[Part]]]:
    """Indices of the frames ``chosen`` (n,), which ascend, and their parts with the mouth, a few at a time."""
    frames = footage.chosen(chosen, "Check mouths", report)
    while batch := list(itertools.islice(frames, _BATCH)):
        yield np.array([index for index, _ in batch]), [frame.part(fitter.box(index)) for index, frame in batch]

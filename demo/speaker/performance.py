"""The whole performance frame by frame: what the speaker's face and head do while he speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from . import motion, visemes
from .head import pose_matrix
from .people import Person
from .voice import Speech


@dataclass(frozen=True)
class Performance:
    """Per frame, N frames; frame k shows the time k / frame rate.

    Attributes:
        weights: (N,) weight of each expression shape by name.
        gaze: (N, 2) yaw and pitch of the eyes in the head, degrees.
        poses: (N, 4, 4) camera_from_head, mm.
        shoulder_poses: (N, 4, 4) camera_from_shoulders, mm.
        angles: (N, 3) yaw, pitch, roll of the head, degrees.
        visemes: (N,) name of the viseme whose phoneme sounds.
    """

    weights: dict[str, np.ndarray]
    gaze: np.ndarray
    poses: np.ndarray
    shoulder_poses: np.ndarray
    angles: np.ndarray
    visemes: np.ndarray

    def __len__(self) -> int:
        return len(self.poses)

    def expression(self, frame: int) -> dict[str, float]:
        return {name: float(curve[frame]) for name, curve in self.weights.items()}


def perform(speech: Speech, person: Person) -> Performance:
    """Act out a speech as a person moves; whole frames only, so the picture ends less than a frame before the sound."""
    rate, seed = float(person.frame_rate), person.motion_seed
    count = int(speech.duration * rate)
    times = np.arange(count) / rate
    moving = motion.head_motion(count, rate, seed, person.angle_limits)
    looks = motion.gaze(moving.angles, rate, seed + 1)
    weights = visemes.speech_weights(speech.phonemes, times)
    idle = motion.idle_weights(speech.phonemes, moving.angles, looks, rate, seed + 2)
    nothing = np.zeros(count)
    return Performance(
        weights={name: weights.get(name, nothing) + idle.get(name, nothing) for name in sorted({*weights, *idle})},
        gaze=looks,
        poses=np.stack([pose_matrix(a, t) for a, t in zip(moving.angles, moving.places, strict=True)]),
        shoulder_poses=np.stack([pose_matrix(np.zeros(3), t) for t in moving.shoulder_places]),
        angles=moving.angles,
        visemes=visemes.viseme_names(speech.phonemes, times),
    )


def recorded(truth: Mapping[str, np.ndarray], person: Person, frames: np.ndarray) -> Performance:
    """What a person did in some frames (N,) of the clip, read from its ``truth.npz``."""
    moving = motion.head_motion(len(truth["pose"]), float(person.frame_rate), person.motion_seed, person.angle_limits)
    weights = truth["weights"][frames].astype(np.float64)
    return Performance(
        weights=dict(zip(truth["weight_names"].tolist(), weights.T, strict=True)),
        gaze=truth["gaze"][frames].astype(np.float64),
        poses=truth["pose"][frames],
        shoulder_poses=np.stack([pose_matrix(np.zeros(3), place) for place in moving.shoulder_places[frames]]),
        angles=truth["angles"][frames],
        visemes=truth["viseme"][frames],
    )

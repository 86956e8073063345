"""What the speaker does besides speaking: slow head motion, gaze, blinks, brows and small smiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .camera import DISTANCE
from .voice import Phoneme

SHIFT_LIMITS = np.array([7.0, 5.0, 14.0])  # mm
HEAD_PLACE = np.array([0.0, 18.0, DISTANCE])
GAZE_LIMIT = 16.0

_SHOULDER_SHARE = 0.35  # how much of the head's shift the shoulders follow
_LIDS_PER_DEGREE = 1.0 / 30.0


@dataclass(frozen=True)
class HeadMotion:
    """Angles (N, 3) yaw, pitch, roll in degrees; places (N, 3) of head and shoulders in camera axes, mm."""

    angles: np.ndarray
    places: np.ndarray
    shoulder_places: np.ndarray


def wander(count: int, rate: float, slowest: float, limit: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth band-limited noise (N,) that reaches ``limit`` but never passes it; ``slowest`` is in seconds."""
    fast = ndimage.gaussian_filter1d(rng.normal(size=count), 0.28 * rate, mode="wrap")
    slow = ndimage.gaussian_filter1d(rng.normal(size=count), slowest * rate, mode="wrap")
    value = slow / slow.std() + 0.22 * fast / fast.std()
    value -= (value.max() + value.min()) / 2.0
    return limit * value / np.abs(value).max()


def head_motion(count: int, rate: float, seed: int, angle_limits: Sequence[float]) -> HeadMotion:
    """Natural slow motion that reaches its limits of yaw, pitch and roll, in degrees, and ``SHIFT_LIMITS``."""
    rng = np.random.default_rng(seed)
    angles = np.stack(
        [wander(count, rate, slow, a, rng) for slow, a in zip((0.9, 0.7, 0.9), angle_limits, strict=True)], 1
    )
    shifts = np.stack([wander(count, rate, 1.2, s, rng) for s in SHIFT_LIMITS], axis=1)
    breath = 0.8 * np.sin(2.0 * np.pi * np.arange(count) / rate / 3.7)[:, None] * np.array([0.0, 1.0, 0.0])
    return HeadMotion(angles, HEAD_PLACE + shifts, HEAD_PLACE + _SHOULDER_SHARE * shifts + breath)


def gaze(angles: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """Yaw and pitch (N, 2) of the eyes in the head, degrees: they stay on the camera but for small glances."""
    rng = np.random.default_rng(seed)
    glance = np.zeros((len(angles), 2))
    frame = 0
    while frame < len(angles):
        hold = int(rate * rng.uniform(0.7, 2.5))
        glance[frame : frame + hold] = rng.normal(0.0, [0.9, 0.6])
        frame += hold
    return np.clip(-angles[:, :2] + glance, -GAZE_LIMIT, GAZE_LIMIT)


def idle_weights(
    phonemes: tuple[Phoneme, ...], angles: np.ndarray, looks: np.ndarray, rate: float, seed: int
) -> dict[str, np.ndarray]:
    """Weights (N,) of the shapes that move without speech: blinks, lids that follow the eyes, brows, smiles."""
    rng = np.random.default_rng(seed)
    times = np.arange(len(angles)) / rate
    pauses = [(p.start, p.end) for p in phonemes if p.name == "_"]
    blink = _blinks(times, pauses, rng)
    raised, frown = _brows(times, phonemes, rng)
    smile = np.clip(wander(len(times), rate, 1.5, 0.22, rng), 0.0, None) + 0.10 * sum(
        np.exp(-0.5 * ((times - (start + end) / 2) / 0.45) ** 2) for start, end in pauses
    )
    up, down = (np.clip(sign * looks[:, 1] * _LIDS_PER_DEGREE, 0.0, 1.0) for sign in (-1.0, 1.0))
    weights: dict[str, np.ndarray] = {}
    for side, lean in (("L", 1.05), ("R", 0.95)):
        weights |= {
            f"eyeBlink_{side}": blink,
            f"eyeLookUp_{side}": up * (1.0 - blink),
            f"eyeLookDown_{side}": down * (1.0 - blink),
            f"browInnerUp_{side}": 0.8 * raised * lean,
            f"browOuterUp_{side}": 0.5 * raised * lean,
            f"browDown_{side}": frown,
            f"mouthSmile_{side}": smile * lean,
            f"cheekSquint_{side}": 0.6 * smile,
            f"eyeSquint_{side}": 0.4 * smile + 0.05,
        }
    return weights


def _blinks(times: np.ndarray, pauses: list[tuple[float, float]], rng: np.random.Generator) -> np.ndarray:
    closed = np.zeros(len(times))
    moments = [start + 0.15 for start, _ in pauses if rng.random() < 0.6]
    now = 1.0
    while now < times[-1]:
        now += rng.uniform(2.0, 4.5)
        if all(abs(now - moment) > 1.0 for moment in moments):
            moments.append(now)
    for moment in moments:
        since = times - moment
        closing, opening = np.clip((since + 0.08) / 0.08, 0, 1), np.clip((0.18 - since) / 0.14, 0, 1)
        lid = np.minimum(closing, opening)
        closed = np.maximum(closed, lid * lid * (3.0 - 2.0 * lid))
    return closed


def _brows(times: np.ndarray, phonemes: tuple[Phoneme, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Raised on some stressed words, a little drawn together at other moments."""
    raised = np.zeros(len(times))
    last = 0.0
    for phoneme in phonemes:
        if phoneme.stressed and phoneme.start > last + 1.5 and rng.random() < 0.5:
            last = phoneme.start
            raised += rng.uniform(0.25, 0.6) * np.exp(-0.5 * ((times - last) / 0.22) ** 2)
    frown = np.clip(wander(len(times), 1.0 / (times[1] - times[0]), 1.4, 0.25, rng), 0.0, None) * (1.0 - raised)
    return raised, frown

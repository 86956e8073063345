"""From phonemes to the weights of expression shapes: gestures that overlap and blend, as in real speech.

Each viseme pulls the jaw and the lips towards its target with a dominance that is full during the phoneme and fades
around it; a channel's value is the mean of the targets weighted by their dominances (Cohen & Massaro, "Modeling
coarticulation in synthetic visual speech", 1993). Closing the lips for p, b and m is not a matter of degree and is a
gesture of its own: it always reaches full closure, whatever its neighbours want.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .voice import Phoneme

CURVE_RATE = 200
LEAD = 0.02  # seconds by which the mouth is ahead of the sound

_REACH = 0.085  # seconds in which a dominance fades to 1/e
_SEAL_RAMP = 0.07
_SMOOTHING = 0.016
_PRESS_OF_SEAL = 0.2
JAW_UNDONE = 0.94  # share of jawOpen that mouthClose must have for the lips to meet without overlapping


@dataclass(frozen=True)
class Viseme:
    """Targets of the expression shapes, and how strongly this viseme insists on its jaw and on its lips."""

    name: str
    shapes: dict[str, float]
    jaw_dominance: float
    lip_dominance: float


_VISEMES = {
    viseme.name: viseme
    for viseme in (
        Viseme("rest", {}, 1.0, 1.0),
        Viseme("PP", {"jawOpen": 0.09}, 0.7, 0.12),
        Viseme("FF", {"jawOpen": 0.10, "mouthRollLower": 0.5, "mouthUpperUp": 0.28, "mouthShrugLower": 0.42}, 1.6, 2.2),
        Viseme("TH", {"jawOpen": 0.12, "mouthLowerDown": 0.15, "mouthUpperUp": 0.1}, 0.9, 0.5),
        Viseme("DD", {"jawOpen": 0.11, "mouthLowerDown": 0.12, "mouthUpperUp": 0.06}, 0.6, 0.2),
        Viseme("SS", {"jawOpen": 0.045, "mouthLowerDown": 0.34, "mouthUpperUp": 0.16, "mouthStretch": 0.2}, 1.3, 0.5),
        Viseme("CH", {"jawOpen": 0.06, "mouthFunnel": 0.42, "mouthPucker": 0.25, "mouthLowerDown": 0.15}, 1.2, 1.0),
        Viseme("KK", {"jawOpen": 0.15, "mouthLowerDown": 0.1}, 0.35, 0.15),
        Viseme("RR", {"jawOpen": 0.09, "mouthFunnel": 0.28, "mouthPucker": 0.3}, 0.8, 0.7),
        Viseme("WW", {"jawOpen": 0.04, "mouthFunnel": 0.15, "mouthPucker": 0.85}, 1.0, 1.5),
        Viseme("aa", {"jawOpen": 0.42, "mouthLowerDown": 0.22, "mouthUpperUp": 0.2}, 1.1, 0.7),
        Viseme("ah", {"jawOpen": 0.25, "mouthLowerDown": 0.12, "mouthUpperUp": 0.06}, 0.9, 0.6),
        Viseme("eh", {"jawOpen": 0.28, "mouthStretch": 0.2, "mouthLowerDown": 0.2, "mouthUpperUp": 0.14}, 1.0, 0.8),
        Viseme("ih", {"jawOpen": 0.15, "mouthStretch": 0.22, "mouthLowerDown": 0.2, "mouthUpperUp": 0.1}, 0.9, 0.7),
        Viseme(
            "ee",
            {"jawOpen": 0.09, "mouthStretch": 0.32, "mouthSmile": 0.22, "mouthLowerDown": 0.32, "mouthUpperUp": 0.16},
            1.0,
            1.0,
        ),
        Viseme("er", {"jawOpen": 0.15, "mouthFunnel": 0.25, "mouthPucker": 0.2}, 0.9, 0.8),
        Viseme("oh", {"jawOpen": 0.22, "mouthFunnel": 0.42, "mouthPucker": 0.25}, 1.0, 1.2),
        Viseme("oo", {"jawOpen": 0.07, "mouthFunnel": 0.25, "mouthPucker": 0.72}, 1.0, 1.4),
    )
}
VISEME_NAMES = tuple(_VISEMES)

_CONSONANTS = {
    "PP": "p b m",
    "FF": "f v",
    "TH": "T D",
    "DD": "t d n l t2 t# d# n- l^ @L",
    "SS": "s z",
    "CH": "S Z tS dZ",
    "KK": "k g N h j x ?",
    "RR": "r r- r/",
    "WW": "w w#",
}
_VOWELS = {
    "aa": "a aa A: A@ 0 A",
    "ah": "@ @2 @5 V a# 3 O2 I2#",
    "eh": "E e e@ E2",
    "ih": "I I2 I# i i@ i@2 i@3 ;",
    "ee": "i:",
    "er": "3: I@ IR VR",
    "oh": "O O: O@ o@ o",
    "oo": "u u: U U@",
}
_VISEME_OF = {phoneme: name for name, group in {**_CONSONANTS, **_VOWELS}.items() for phoneme in group.split()}
_DIPHTHONGS = {
    "aI": ("aa", "ih"),
    "aI2": ("aa", "ih"),
    "aI@": ("aa", "ah"),
    "aI3": ("aa", "ah"),
    "aU": ("aa", "oo"),
    "aU@": ("aa", "ah"),
    "OI": ("oh", "ih"),
    "eI": ("eh", "ih"),
    "oU": ("oh", "oo"),
}
_PAIRED = ("mouthLowerDown", "mouthUpperUp", "mouthSmile", "mouthStretch", "mouthPress")


@dataclass(frozen=True)
class Gesture:
    """One viseme's span of time, seconds."""

    viseme: Viseme
    start: float
    end: float
    emphasis: float


def gestures(phonemes: tuple[Phoneme, ...]) -> list[Gesture]:
    """What the mouth does for each phoneme; diphthongs are two gestures.

    Raises:
        KeyError: A phoneme has no viseme.
    """
    found = []
    for phoneme in phonemes:
        if phoneme.name == "_":
            names: tuple[str, ...] = ("rest",)
        else:
            names = _DIPHTHONGS.get(phoneme.name) or (_VISEME_OF[phoneme.name],)
        bounds = np.linspace(phoneme.start, phoneme.end, len(names) + 1)
        emphasis = 1.15 if phoneme.stressed else 0.95
        found += [
            Gesture(_VISEMES[name], start, end, emphasis)
            for name, start, end in zip(names, bounds[:-1], bounds[1:], strict=True)
        ]
    return found


def speech_weights(phonemes: tuple[Phoneme, ...], times: np.ndarray) -> dict[str, np.ndarray]:
    """Weights (N,) of the expression shapes that speech moves, by name, at ``times`` (N,) seconds of the sound."""
    all_gestures = gestures(phonemes)
    clock = np.arange(0.0, phonemes[-1].end + LEAD, 1.0 / CURVE_RATE)
    channels = sorted({shape for viseme in _VISEMES.values() for shape in viseme.shapes})
    total = {channel: np.zeros(len(clock)) for channel in channels}
    weight = {channel: np.full(len(clock), 1e-6) for channel in channels}
    for gesture in all_gestures:
        span = slice(*np.searchsorted(clock, [gesture.start - 4 * _REACH, gesture.end + 4 * _REACH]))
        near = _dominance(clock[span], gesture)
        for channel in channels:
            viseme = gesture.viseme
            pull = near * (viseme.jaw_dominance if channel == "jawOpen" else viseme.lip_dominance)
            total[channel][span] += pull * gesture.emphasis * viseme.shapes.get(channel, 0.0)
            weight[channel][span] += pull
    curves = {channel: _smooth(total[channel] / weight[channel]) for channel in channels}
    return {
        name: np.interp(times + LEAD, clock, curve) for name, curve in _close_lips(curves, seal(all_gestures, clock))
    }


def viseme_names(phonemes: tuple[Phoneme, ...], times: np.ndarray) -> np.ndarray:
    """Name (N,) of the viseme whose phoneme sounds at each time."""
    all_gestures = gestures(phonemes)
    starts = [gesture.start for gesture in all_gestures]
    index = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, None)
    return np.array([all_gestures[i].viseme.name for i in index])


def seal(all_gestures: list[Gesture], clock: np.ndarray) -> np.ndarray:
    """How far (N,) the lips are pressed together for p, b and m: 1 during the closure, 0 away from it."""
    closed = np.zeros(len(clock))
    for gesture in all_gestures:
        if gesture.viseme.name == "PP":
            outside = np.maximum(gesture.start - clock, clock - max(gesture.start + 0.045, gesture.end - 0.015))
            ramp = np.clip(1.0 - outside / _SEAL_RAMP, 0.0, 1.0)
            closed = np.maximum(closed, ramp * ramp * (3.0 - 2.0 * ramp))
    return closed


def _dominance(clock: np.ndarray, gesture: Gesture) -> np.ndarray:
    outside = np.maximum(np.maximum(gesture.start - clock, clock - gesture.end), 0.0)
    return np.exp(-((outside / _REACH) ** 2))


def _smooth(curve: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter1d(curve, _SMOOTHING * CURVE_RATE, mode="nearest")


def _close_lips(curves: dict[str, np.ndarray], closed: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Overlay the closure: ``mouthClose`` undoes what ``jawOpen`` does to the lips, other openers give way."""
    weights = []
    for channel, curve in curves.items():
        if channel != "jawOpen":
            curve = curve * (1.0 - closed * (0.5 if channel == "mouthPucker" else 1.0))
        names = [f"{channel}_L", f"{channel}_R"] if channel in _PAIRED else [channel]
        weights += [(name, curve) for name in names]
    weights.append(("mouthClose", JAW_UNDONE * curves["jawOpen"] * closed))
    weights += [(name, _PRESS_OF_SEAL * closed) for name in ("mouthPress_L", "mouthPress_R")]
    return weights

"""Motion of anybody's lips from anybody's speech, learnt from other people.

A network with one hidden layer hears half a second of features of speech, and gives six codes, the amounts of six
typical motions of lips and chin. ``demo/make_lip_motion.py`` makes its weights; ``docs/model_card.md`` says what they
learnt from, and how well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from ..errors import EngineIncomplete
from ..events import Report
from ..speech.features import loudness_gain, speech_level
from ..speech.moonshine import BANDS, open_moonshine
from ..speech.silence import BELOW_A_LEVEL, IN_SILENCE, resting
from ..speech.sources import SpeechSource
from ..tensor_file import Tensors, are_finite, unpack
from .lip_shape import POINTS, without_overlap

KEY = "s2l_lip_motion"
"""Entry of the header of the file with the weights, see :func:`s2l_core.tensor_file.pack`."""
CODES = 6
"""Number of typical motions."""
COMPONENTS = 96
"""Number of principal components of a row of features that the network hears."""
HIDDEN = 128
"""Width of the hidden layer."""
ROW_SECONDS = 0.01
TAP_ROWS = 4
"""Number of rows of features, one every 10 ms, that each tap averages, and between two taps."""
TAPS = 11
"""Number of taps: from 200 ms before a moment to 200 ms after it."""

_FILE = "lip_motion.safetensors"
_ROWS = 1000
"""Number of rows that are computed together: what their taps hear takes 4 MB."""
_SILENCE_DB = -40.0
"""Level relative to the loudness of the speech below which nobody speaks: the mouth closes after half a second."""
_PAUSE_DB = -18.0
"""Level relative to the loudness of the speech below which a voice pauses: room and breath are heard."""
_IN_PAUSES = replace(BELOW_A_LEVEL, shortest=0.2)
_IN_LONG_PAUSES = replace(BELOW_A_LEVEL, shortest=1.0)
"""Lips part to breathe in pauses that are longer than the closure of a sound, and shorter than those after which nobody
goes on."""


@dataclass(frozen=True)
class Weights:
    """What the motion of lips has learnt.

    Attributes:
        middle: float32 (bands,) features whose components are 0.
        axes: float32 (bands, 96) map from features to their components.
        hidden: float32 (1056, 128) map from the components of all taps, from the earliest to the latest, to the hidden
            layer.
        hidden_constant: float32 (128,) what the hidden layer adds, before values below 0 become 0.
        codes: float32 (128, 6) map from the hidden layer to the codes.
        constant: float32 (6,) codes of a hidden layer that is 0.
        parted: float32 (41, 2) offsets of lips that are parted to breathe in.
        motions: float32 (6, 41, 2) offsets of one unit of each code, see :mod:`.lip_shape`.
    """

    middle: NDArray[np.float32]
    axes: NDArray[np.float32]
    hidden: NDArray[np.float32]
    hidden_constant: NDArray[np.float32]
    codes: NDArray[np.float32]
    constant: NDArray[np.float32]
    parted: NDArray[np.float32]
    motions: NDArray[np.float32]


class LipMotion:
    """Offsets of lips and chin from speech.

    Args:
        source: Features of speech.
        weights: What was learnt.
    """

    def __init__(self, source: SpeechSource, weights: Weights) -> None:
        self.source = source
        self._weights = weights

    def offsets(
        self,
        speech: NDArray[np.float32],
        times: NDArray[np.float64],
        report: Report | None = None,
        level_db: float | None = None,
    ) -> NDArray[np.float32]:
        """Offsets float32 (F, 41, 2) of lips and chin from the closed resting mouth, see
        :func:`.lip_shape.lip_offsets`. They are 0 in silence of half a second or more.

        The offsets of a moment depend on the whole of the speech, whose loudness is normalised, but not on the other
        moments.

        Args:
            speech: float32 (n,) the whole recording, mono at 16 kHz in [-1, 1]; silence is assumed around it.
            times: float64 (F,) ascending moments in seconds after the first sample.
            report: Receives the progress of the phase ``"Hear speech"``.
            level_db: Level of the speech, see :func:`s2l_core.speech.features.speech_level`; None measures it.
        """
        level = speech_level(speech) if level_db is None else level_db
        codes = self._codes(speech, loudness_gain(level), report or Report())
        clock = ROW_SECONDS * np.arange(len(codes))
        at_times = np.stack([np.interp(times, clock, code) for code in codes.T], axis=-1)
        moved = without_overlap(np.tensordot(at_times, self._weights.motions, 1))
        breath = _breathing(speech, times, level)[:, None, None]
        silence = resting(speech, times, np.full(len(times), level + _SILENCE_DB), IN_SILENCE)[:, None, None]
        return np.asarray((1.0 - silence) * (moved + breath * (self._weights.parted - moved)), np.float32)

    def _codes(self, speech: NDArray[np.float32], gain: np.float32, report: Report) -> NDArray[np.float64]:
        """Codes float64 (m, 6) at the moments of all rows of features."""
        learnt = self._weights
        heard = [_components_of(rows, learnt) for rows in self.source.pieces(speech, gain, report)]
        reach = TAPS // 2 * TAP_ROWS
        ends = np.tile(_components_of(self.source.silence[None], learnt), (reach + TAP_ROWS, 1))
        smooth = smoothed(np.concatenate([ends, *heard, ends]))[TAP_ROWS:]
        codes = []
        count = sum(len(rows) for rows in heard)
        for first in range(0, count, _ROWS):
            rows = reach + np.arange(first, min(first + _ROWS, count))
            hidden = around(smooth, rows) @ learnt.hidden + learnt.hidden_constant
            codes.append(np.maximum(hidden, 0.0) @ learnt.codes + learnt.constant)
        return np.concatenate(codes).astype(np.float64)


def _components_of(rows: NDArray[np.float32], weights: Weights) -> NDArray[np.float32]:
    """Components float32 (m, 96) of rows (m, bands) of features."""
    return np.asarray((rows - weights.middle) @ weights.axes)


def smoothed(components: NDArray[np.float32]) -> NDArray[np.float32]:
    """Components (m, 96) averaged over the rows of a tap."""
    return np.asarray(uniform_filter1d(components, TAP_ROWS, axis=0))


def around(smooth: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """What all taps around rows (k,) hear of smooth components (m, 96): float32 (k, 1056)."""
    taps = rows[:, None] + TAP_ROWS * (np.arange(TAPS) - TAPS // 2)
    return smooth[taps].reshape(len(rows), -1)


def _breathing(speech: NDArray[np.float32], times: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """How far lips are parted to breathe in, float64 (F,) from 0 to 1, at moments (F,) of speech with a level in dB."""
    pause, silence = (np.full(len(times), level + db) for db in (_PAUSE_DB, _SILENCE_DB))
    in_long_pauses = resting(speech, times, pause, _IN_LONG_PAUSES)
    in_silence = resting(speech, times, silence, _IN_PAUSES)
    return np.maximum(resting(speech, times, pause, _IN_PAUSES) - in_long_pauses - in_silence, 0.0)


def load_lip_motion() -> LipMotion:
    """The motion of lips that ships with the library, which hears speech through Moonshine.

    Log-mel does not tell enough of how anybody's lips move: learnt likewise, it was farther from the lips of free
    speech than a resting mouth.

    Raises:
        EngineIncomplete: The file with the weights is damaged.
        SpeechFeaturesUnavailable: Moonshine is missing.
    """
    tensors = parse(read_file())
    return LipMotion(open_moonshine(), Weights(**{name: tensors[name].float().numpy() for name in _SHAPES}))


def read_file() -> bytes:
    """Content of the file with the weights."""
    return files(__package__).joinpath(_FILE).read_bytes()


@lru_cache(maxsize=1)
def parse(content: bytes) -> Tensors:
    """Tensors in the content of a file with weights, by the names of :class:`Weights`.

    Raises:
        EngineIncomplete: The content is damaged.
    """
    try:
        tensors = unpack(content, KEY)[1]
        if {name: tuple(each.shape) for name, each in tensors.items()} != _SHAPES or not are_finite(tensors.values()):
            raise ValueError("other tensors")
    except ValueError as error:
        raise EngineIncomplete(f"The weights of the motion of lips are damaged: {error}.") from error
    return tensors


_SHAPES = {
    "middle": (BANDS,),
    "axes": (BANDS, COMPONENTS),
    "hidden": (TAPS * COMPONENTS, HIDDEN),
    "hidden_constant": (HIDDEN,),
    "codes": (HIDDEN, CODES),
    "constant": (CODES,),
    "parted": (len(POINTS), 2),
    "motions": (CODES, len(POINTS), 2),
}

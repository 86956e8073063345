"""Motion of anybody's lips from anybody's speech, learnt from other people.

A linear filter of half a second over features of speech gives six codes, the amounts of six typical motions of lips and
chin. ``demo/make_lip_motion.py`` makes its weights; ``docs/model_card.md`` says what they learnt from, and how well.
"""

from __future__ import annotations

from dataclasses import replace
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
ROW_SECONDS = 0.01
TAP_ROWS = 4
"""Number of rows of features, one every 10 ms, that each tap of the filter averages, and between two taps."""
TAPS = 11
"""Number of taps: from 200 ms before a moment to 200 ms after it."""

_FILE = "lip_motion.safetensors"
_SILENCE_DB = -40.0
"""Level relative to the loudness of the speech below which nobody speaks: the mouth closes after half a second."""
_PAUSE_DB = -18.0
"""Level relative to the loudness of the speech below which a voice pauses: room and breath are heard."""
_IN_PAUSES = replace(BELOW_A_LEVEL, shortest=0.2)
_IN_LONG_PAUSES = replace(BELOW_A_LEVEL, shortest=1.0)
"""Lips part to breathe in pauses that are longer than the closure of a sound, and shorter than those after which nobody
goes on."""


class LipMotion:
    """Offsets of lips and chin from speech.

    Args:
        source: Features of speech.
        taps: float32 (11, bands, 6) the filter, from the earliest tap to the latest.
        constant: float32 (6,) codes of features that are 0.
        parted: float32 (41, 2) offsets of lips that are parted to breathe in.
        motions: float32 (6, 41, 2) offsets of one unit of each code, see :mod:`.lip_shape`.
    """

    def __init__(
        self,
        source: SpeechSource,
        taps: NDArray[np.float32],
        constant: NDArray[np.float32],
        parted: NDArray[np.float32],
        motions: NDArray[np.float32],
    ) -> None:
        self.source = source
        self._taps, self._constant, self._parted, self._motions = taps, constant, parted, motions

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
        moved = without_overlap(np.tensordot(at_times, self._motions, 1))
        breath = _breathing(speech, times, level)[:, None, None]
        silence = resting(speech, times, np.full(len(times), level + _SILENCE_DB), IN_SILENCE)[:, None, None]
        return np.asarray((1.0 - silence) * (moved + breath * (self._parted - moved)), np.float32)

    def _codes(self, speech: NDArray[np.float32], gain: np.float32, report: Report) -> NDArray[np.float64]:
        """Codes float64 (m, 6) at the moments of all rows of features."""
        reach = TAPS // 2 * TAP_ROWS
        filtered = [_tap_filter(rows, self._taps) for rows in self.source.pieces(speech, gain, report)]
        ends = _tap_filter(np.tile(self.source.silence, (reach + TAP_ROWS, 1)), self._taps)
        each = np.concatenate([ends, *filtered, ends])
        count = len(each) - 2 * len(ends)
        smooth = uniform_filter1d(each, TAP_ROWS, axis=0)
        shifted = (smooth[len(ends) + (tap - TAPS // 2) * TAP_ROWS :][:count, tap] for tap in range(TAPS))
        return np.asarray(sum(shifted) + self._constant)


def _breathing(speech: NDArray[np.float32], times: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """How far lips are parted to breathe in, float64 (F,) from 0 to 1, at moments (F,) of speech with a level in dB."""
    pause, silence = (np.full(len(times), level + db) for db in (_PAUSE_DB, _SILENCE_DB))
    in_long_pauses = resting(speech, times, pause, _IN_LONG_PAUSES)
    in_silence = resting(speech, times, silence, _IN_PAUSES)
    return np.maximum(resting(speech, times, pause, _IN_PAUSES) - in_long_pauses - in_silence, 0.0)


def _tap_filter(rows: NDArray[np.float32], taps: NDArray[np.float32]) -> NDArray[np.float64]:
    """What each tap (T, bands, 6) of a filter makes of rows (m, bands) of features: float64 (m, T, 6)."""
    return np.einsum("mb,tbk->mtk", rows.astype(np.float64), taps.astype(np.float64), optimize=True)


def load_lip_motion() -> LipMotion:
    """The motion of lips that ships with the library, which hears speech through Moonshine.

    Log-mel does not tell enough of how anybody's lips move: learnt likewise, it was farther from the lips of free
    speech than a resting mouth.

    Raises:
        EngineIncomplete: The file with the weights is damaged.
        SpeechFeaturesUnavailable: Moonshine is missing.
    """
    tensors = parse(read_file())
    return LipMotion(open_moonshine(), *(tensors[name].float().numpy() for name in _SHAPES))


def read_file() -> bytes:
    """Content of the file with the weights."""
    return files(__package__).joinpath(_FILE).read_bytes()


@lru_cache(maxsize=1)
def parse(content: bytes) -> Tensors:
    """Tensors in the content of a file with weights, by the names of what :class:`LipMotion` takes.

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
    "taps": (TAPS, BANDS, CODES),
    "constant": (CODES,),
    "parted": (len(POINTS), 2),
    "motions": (CODES, len(POINTS), 2),
}

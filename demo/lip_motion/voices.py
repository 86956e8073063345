"""Synthetic voices that say free text, with phonemes of known times, and move the lips of a model of a face.

espeak-ng speaks with formants, flite with voices made from recordings of people; both are Debian packages of the same
names. The corpus GRID has only 51 words: these sentences have all sounds of English in all surroundings.
"""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from demo.speaker.visemes import speech_weights
from demo.speaker.voice import RATE, Phoneme, Voice, level, recite
from s2l_core.speech.features import SAMPLE_RATE

from .recordings import Recording
from .viseme_shapes import offsets_of

SENTENCES = Path(__file__).with_name("sentences.txt")
_SENTENCES_EACH = 40
_SHIFT = 33
"""By how many sentences each voice begins later than the one before."""
_PICTURES_PER_SECOND = 25
_ESPEAK = (
    Voice("en-us+m1", 150, 45, 55),
    Voice("en-us+f2", 165, 50, 55),
    Voice("en-gb-x-rp+m7", 145, 40, 55),
    Voice("en-us+m4", 170, 35, 55),
    Voice("en-gb-x-rp+f4", 155, 55, 55),
    Voice("en-gb-scotland+m2", 150, 50, 55),
    Voice("en-us+f5", 160, 60, 55),
    Voice("en-us+m5", 165, 45, 55),
)
_FLITE = ("awb", "rms", "slt", "kal16", "awb", "rms")
VOICES: tuple[Voice | str, ...] = (*_ESPEAK, *_FLITE)
"""Voices of espeak-ng, and names of voices of flite."""
_SLOWEST, _FASTEST = 1.15, 0.85
"""Limits of the random length of flite's sentences, relative to its own."""
_PAUSES = (0.1, 0.8)
"""Limits of the random pauses between flite's sentences, in seconds."""
_STRESSED = 0.8
"""Quantile of the levels in a sentence above which a phoneme is stressed."""

_FLITE_TO_ESPEAK = {
    **{"pau": "_", "aa": "A:", "ae": "a", "ah": "V", "ao": "O:", "aw": "aU", "ax": "@", "ay": "aI", "ch": "tS"},
    **{"dh": "D", "eh": "E", "er": "3:", "ey": "eI", "hh": "h", "ih": "I", "iy": "i:", "jh": "dZ", "ng": "N"},
    **{"ow": "oU", "oy": "OI", "sh": "S", "th": "T", "uh": "U", "uw": "u:", "y": "j", "zh": "Z"},
}


def synthetic_recordings(head: Path) -> Iterator[Recording]:
    """All voices, one after another.

    Args:
        head: The file of ICT-FaceKit.
    """
    lines = SENTENCES.read_text(encoding="utf-8").splitlines()
    for number, voice in enumerate(VOICES):
        chosen = tuple(lines[(number * _SHIFT + index) % len(lines)] for index in range(_SENTENCES_EACH))
        speech, phonemes = say(chosen, voice, 100 + number)
        times = np.arange(int(len(speech) / SAMPLE_RATE * _PICTURES_PER_SECOND)) / _PICTURES_PER_SECOND
        offsets = offsets_of(speech_weights(phonemes, times), head)
        name = voice.name if isinstance(voice, Voice) else voice
        yield Recording(f"{name} {number}", name, speech, times, offsets, False)


def say(sentences: tuple[str, ...], voice: Voice | str, seed: int) -> tuple[np.ndarray, tuple[Phoneme, ...]]:
    """Speech float32 (n,) at 16 kHz with pauses between the sentences, and its phonemes.

    Args:
        sentences: What is said.
        voice: A voice of espeak-ng, or the name of one of flite.
        seed: Draws the pauses, and how fast flite speaks.
    """
    if isinstance(voice, Voice):
        said = recite(sentences, voice, seed)
        return resample_poly(said.samples, SAMPLE_RATE, RATE).astype(np.float32), said.phonemes
    return _recite_with_flite(sentences, voice, np.random.default_rng(seed))


def _recite_with_flite(
    sentences: tuple[str, ...], voice: str, random: np.random.Generator
) -> tuple[np.ndarray, tuple[Phoneme, ...]]:
    """Speech (n,) at 16 kHz with pauses between the sentences, and its phonemes."""
    now = 0.5
    pieces, phonemes = [np.zeros(round(now * SAMPLE_RATE), np.float32)], [Phoneme("_", 0.0, now)]
    for sentence in sentences:
        samples, found = _say_with_flite(sentence, voice, random.uniform(_FASTEST, _SLOWEST))
        phonemes += [Phoneme(each.name, now + each.start, now + each.end, each.stressed) for each in found]
        pause = round(random.uniform(*_PAUSES) * SAMPLE_RATE)
        pieces += [samples, np.zeros(pause, np.float32)]
        end = now + len(samples) / SAMPLE_RATE
        now = end + pause / SAMPLE_RATE
        phonemes.append(Phoneme("_", end, now))
    return np.concatenate(pieces), tuple(phonemes)


def _say_with_flite(sentence: str, voice: str, stretch: float) -> tuple[np.ndarray, list[Phoneme]]:
    """Samples (n,) at 16 kHz of a sentence, and its phonemes in the names of espeak-ng."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/said.wav"
        options = ["-voice", voice, "--setf", f"duration_stretch={stretch}", "-psdur", "-t", sentence, "-o", path]
        printed = subprocess.run(["flite", *options], capture_output=True, text=True, check=True).stdout
        samples, _ = soundfile.read(path, dtype="float32")
    names, ends = zip(*(each.rsplit(":", 1) for each in printed.split()), strict=True)
    bounds = [0.0, *map(float, ends)]
    samples = samples[: int(bounds[-1] * SAMPLE_RATE)]
    bounds[-1] = len(samples) / SAMPLE_RATE
    levels = [level(samples, SAMPLE_RATE, start, end) for start, end in itertools.pairwise(bounds)]
    loud = float(np.quantile(levels, _STRESSED))
    return samples, [
        Phoneme(_FLITE_TO_ESPEAK.get(name, name), start, end, name != "pau" and each >= loud)
        for name, start, end, each in zip(names, bounds[:-1], bounds[1:], levels, strict=True)
    ]

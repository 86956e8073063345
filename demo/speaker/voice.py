"""Speech with exact phoneme times, from the espeak-ng library."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from dataclasses import dataclass

import numpy as np
from scipy import signal

RATE = 48000
_ROOM_TONE_DB = -66.0
_VOICELESS_STOPS = frozenset({"p", "t", "k", "tS"})
_AUDIO_OUTPUT_RETRIEVAL = 1
_PHONEME_EVENTS = 1
_CHARACTERS_UTF8 = 1
_EVENT_END, _EVENT_PHONEME = 0, 7
_PARAMETER_RATE, _PARAMETER_PITCH, _PARAMETER_RANGE = 1, 3, 4


@dataclass(frozen=True)
class Voice:
    """An espeak-ng voice with its variant, words a minute, pitch and pitch range (0 to 100)."""

    name: str
    rate: int
    pitch: int
    pitch_range: int


@dataclass(frozen=True)
class Phoneme:
    """One phoneme in espeak's ASCII mnemonics, e.g. ``"aI"``; ``"_"`` is silence. Times in seconds.

    ``stressed`` is true in the loudest fifth of a sentence's phonemes.
    """

    name: str
    start: float
    end: float
    stressed: bool = False


@dataclass(frozen=True)
class Speech:
    """Mono samples float32 (N,) at ``RATE`` and the phonemes that cover them without gaps."""

    samples: np.ndarray
    phonemes: tuple[Phoneme, ...]

    @property
    def duration(self) -> float:
        return len(self.samples) / RATE


class _Event(ctypes.Structure):
    class _Id(ctypes.Union):
        _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """The espeak-ng library."""

    def __init__(self) -> None:
        path = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
        self._library = ctypes.CDLL(path)
        self._rate = self._library.espeak_Initialize(_AUDIO_OUTPUT_RETRIEVAL, 0, None, _PHONEME_EVENTS)
        if self._rate <= 0:
            raise RuntimeError("espeak-ng did not start; install the package espeak-ng.")

    def say(self, text: str, voice: Voice) -> Speech:
        """One sentence with its phonemes, without silence before and after it."""
        chunks: list[np.ndarray] = []
        marks: list[tuple[float, str]] = []

        def receive(samples, count: int, events) -> int:  # type: ignore[no-untyped-def]
            if count > 0:
                chunks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
            index = 0
            while events[index].type != _EVENT_END:
                event = events[index]
                if event.type == _EVENT_PHONEME:
                    marks.append((event.audio_position / 1000.0, event.id.string.decode("utf-8", "ignore")))
                index += 1
            return 0

        callback = _Callback(receive)
        self._library.espeak_SetSynthCallback(callback)
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice.name!r}.")
        for parameter, value in (
            (_PARAMETER_RATE, voice.rate),
            (_PARAMETER_PITCH, voice.pitch),
            (_PARAMETER_RANGE, voice.pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _CHARACTERS_UTF8, None, None)
        self._library.espeak_Synchronize()
        samples = np.concatenate(chunks).astype(np.float32) / 32768.0
        return _trim(samples, marks, self._rate)


def recite(sentences: tuple[str, ...], voice: Voice, seed: int) -> Speech:
    """Sentences with pauses of 0.3 to 1.2 s between them and a breath of silence at both ends, over faint room tone."""
    espeak, rng = _open_espeak(), np.random.default_rng(seed)
    pieces: list[np.ndarray] = []
    phonemes: list[Phoneme] = []
    now = 0.0

    def pause(seconds: float) -> None:
        nonlocal now
        pieces.append(np.zeros(round(seconds * RATE), np.float32))
        phonemes.append(Phoneme("_", now, now + seconds))
        now += seconds

    pause(0.6)
    for index, sentence in enumerate(sentences):
        if index:
            pause(round(rng.uniform(0.3, 1.2), 2))
        speech = espeak.say(sentence, voice)
        pieces.append(speech.samples)
        phonemes += [Phoneme(p.name, p.start + now, p.end + now, p.stressed) for p in speech.phonemes]
        now += speech.duration
    pause(0.8)
    samples = np.concatenate(pieces)
    samples *= 0.7 / np.abs(samples).max()
    return Speech(samples + _room_tone(len(samples), rng), tuple(phonemes))


@functools.cache
def _open_espeak() -> Espeak:
    """The one instance of this process; the library hangs when it is initialised twice."""
    return Espeak()


def _trim(samples: np.ndarray, marks: list[tuple[float, str]], rate: int) -> Speech:
    """Cut the silence after the last phoneme, resample, and turn marks into phonemes with start and end."""
    speech_end = len(samples) / rate
    for time, name in reversed(marks):
        if not name.startswith("_"):
            break
        speech_end = time
    spoken = [(time, "_" if name.startswith("_") else name) for time, name in marks if time < speech_end]
    names = [name for _, name in spoken]
    starts = [_closure_start(samples, rate, time) if name in _VOICELESS_STOPS else time for time, name in spoken]
    starts[0] = 0.0
    loud = [level(samples, rate, a, b) for a, b in zip(starts, [*starts[1:], speech_end], strict=True)]
    threshold = np.quantile(loud, 0.8)
    kept = signal.resample_poly(samples[: round(speech_end * rate)], RATE // 75, rate // 75).astype(np.float32)
    ends = [*starts[1:], len(kept) / RATE]
    phonemes = (
        Phoneme(name, start, end, bool(level >= threshold))
        for name, start, end, level in zip(names, starts, ends, loud, strict=True)
        if end > start
    )
    return Speech(kept, tuple(phonemes))


def _closure_start(samples: np.ndarray, rate: int, burst: float) -> float:
    """Where the silence before a voiceless stop begins; espeak marks its burst."""
    step = round(0.005 * rate)
    first = round(burst * rate)
    for count in range(1, 20):
        piece = samples[max(0, first - count * step) : first - (count - 1) * step]
        if len(piece) == 0 or np.sqrt(np.mean(piece**2)) > 0.006:
            return burst - (count - 1) * 0.005
    return burst - 0.095


def level(samples: np.ndarray, rate: int, start: float, end: float) -> float:
    """Root mean square of the samples (n,) between two moments in seconds; 0 if there are none."""
    piece = samples[round(start * rate) : round(end * rate)]
    return float(np.sqrt(np.mean(piece**2))) if len(piece) else 0.0


def _room_tone(length: int, rng: np.random.Generator) -> np.ndarray:
    tone = signal.lfilter([1.0], [1.0, -0.95], rng.normal(size=length))
    return (tone / tone.std() * 10 ** (_ROOM_TONE_DB / 20)).astype(np.float32)

"""Dubbing: new speech for a speaker, in footage that stays as it is around the mouth."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .compositing import lift
from .device import choose_device
from .errors import BadJob
from .events import Report
from .files import refuse_unwritable
from .footage import Footage, fingerprint_file, prepare, shown_at
from .jobs import DubJob, Encoding, Media, parse_rate, to_document
from .media.audio import SPEECH_RATE, read_speech
from .media.chunks import Chunks
from .media.encodings import codec_of
from .media.mix import read_voice, sources
from .media.video import probe, read_frames
from .model.speaker import SpeakerModel
from .regions import lip_shape_size
from .reliability import judge_frames
from .rendering import BATCH, MouthRenderer, rest_in_silence, speech_track
from .version import VERSION

CHUNK = 16 * BATCH
"""Frames that are kept together where a run is interrupted: about five seconds."""
_BLOCK = 32
"""Frames that are held in memory to be played backwards."""
_TIME_TOLERANCE = 1e-3


def dub(job: DubJob, report: Report | None = None) -> dict[str, Any]:
    """Write a video in which the speaker says the words of ``job.voice``.

    It has exactly the frames that the job's moments name, or else that the voice's span asks for at the job's frame
    rate, rounded to the nearest; silence closes the mouth. A run that is interrupted goes on after its last finished
    chunk when the same job comes again, and ends with the same bytes.

    Returns:
        ``output_path``, ``frames_expected``, ``frames_written``, ``frames_resumed`` (which an earlier run wrote),
        ``duration_error_ms`` (of the pictures against the voice), ``frames_without_face``, ``untouched`` (runs of
        frames that keep the footage's pixels, with ``first``, ``last`` and ``reason``: ``"no face"``,
        ``"turned away"``, ``"occluded"`` or ``"other light"``), ``speaker_seed``, ``speaker_version`` and
        ``speaker_mouth_psnr`` in dB, which the speaker file tells of its training, each None where it does not,
        ``prepare_seconds``,
        ``dub_seconds``, ``dub_fps``.

    Raises:
        Speech2LipError: What is wrong with the files; see :mod:`s2l_core.errors`.
    """
    report = report or Report()
    started = time.monotonic()
    refuse_unwritable(job.output_path, job.footage.path, *sources(job.voice), job.speaker_path)
    _refuse_other_name(job)
    device = choose_device(job.device)
    speaker = SpeakerModel.load(job.speaker_path, device)
    info = probe(job.footage.path)
    speech, sound = read_voice(job.voice)
    footage = prepare(job.footage, job.landmarks, device.type, report, faceless=True)
    refuse_other_landmarks(job, speaker, footage)
    prepared = time.monotonic()

    rate = parse_rate(job.rate) if job.rate else info.rate
    seconds = len(speech) / SPEECH_RATE
    indices, voiced = frames_to_show(job, footage, seconds, rate)
    samples = _fit_sound(sound, job.footage if len(indices) > voiced else None, voiced, len(indices), rate)
    track = codes_of_voice(job, speaker, speech, (voiced - 1) / float(rate))
    judged, light = judge_frames(speaker, footage, indices[:voiced], rate, report)
    renderer = MouthRenderer(speaker, footage, light)
    weights = np.pad(judged.weights, (0, len(indices) - voiced))

    chunks = Chunks(job.output_path, len(indices), CHUNK, job.encoding, _identity(job, footage, device.type))
    missing = chunks.missing
    written = len(indices) - sum(map(len, missing))
    resumed = written
    for frames in missing:
        report.progress("Dub", written, len(indices))
        chosen = indices[frames.start : frames.stop]
        with chunks.writer(frames, info.width, info.height, rate, info.colour) as writer:
            first = frames.start
            for batch in _batches(frames_in_order(footage, chosen), BATCH):
                now = slice(first, first + len(batch))
                times = np.arange(now.start, now.stop) / float(rate)
                for image in speak(renderer, track, times, batch, indices[now], weights[now], job.encoding):
                    writer.write(image)
                first = now.stop
                written += len(batch)
                report.progress("Dub", written, len(indices))
    chunks.join(rate, samples, speaker.synthetic_media("lips"))
    finished = time.monotonic()
    return {
        "output_path": job.output_path,
        "frames_expected": len(job.moments) or round(seconds * rate) + len(indices) - voiced,
        "frames_written": written,
        "frames_resumed": resumed,
        "duration_error_ms": 1000.0 * (voiced / float(rate) - seconds),
        "frames_without_face": int((~footage.track.found[indices[:voiced]]).sum()),
        "untouched": judged.untouched,
        **_training_of(speaker),
        "prepare_seconds": prepared - started,
        "dub_seconds": finished - prepared,
        "dub_fps": (written - resumed) / (finished - prepared),
    }


def _training_of(speaker: SpeakerModel) -> dict[str, Any]:
    """What a result tells of how its speaker was trained."""
    job = speaker.origin.get("job")
    return {
        "speaker_seed": job.get("seed") if isinstance(job, dict) else None,
        "speaker_version": speaker.origin.get("version"),
        "speaker_mouth_psnr": speaker.metrics.get("mouth_psnr"),
    }


def refuse_other_landmarks(job: DubJob, speaker: SpeakerModel, footage: Footage) -> None:
    """Raise :class:`BadJob` where footage was looked at with other landmarks than the speaker was trained with."""
    if len(speaker.look.shape.mean) != lip_shape_size(footage.layout):
        raise BadJob(f"{job.speaker_path} was trained with other landmarks than {job.landmarks!r}.", "Choose those.")


def codes_of_voice(job: DubJob, speaker: SpeakerModel, speech: NDArray[np.float32], last: float) -> Tensor:
    """Codes (t, size) of the speech (n,) of a job, closing the mouth in its silence; the curves end at ``last`` s."""
    track = speech_track(speaker, speech)
    return rest_in_silence(speaker, track, speech, job.silence_db, job.rest_strength, last)


def frames_to_show(job: DubJob, footage: Footage, seconds: float, rate: Fraction) -> tuple[NDArray[np.int64], int]:
    """Which frame of the footage each frame of the result shows, and how many of them speak: those come first.

    Args:
        job: Which names moments, or leaves it to the voice.
        footage: Which is shown.
        seconds: Length of the voice.
        rate: Frames per second of the result.
    """
    if job.moments:
        return shown_at(footage.times, np.array(job.moments)), len(job.moments)
    voiced = max(1, round(seconds * rate))
    order = forth_and_back(footage, voiced, rate)
    tail = rest_of(footage, voiced, rate) if job.remainder == "keep" else order[:0]
    return np.concatenate([order, tail]), voiced


def speak(
    renderer: MouthRenderer,
    track: Tensor,
    times: NDArray[np.float64],
    images: list[NDArray[np.uint8]],
    indices: NDArray[np.int64],
    weights: NDArray[np.float32],
    encoding: Encoding,
) -> list[NDArray[np.uint8]]:
    """B frames of the result, as they are written: whole pictures, or mouths with alpha.

    Args:
        renderer: Of the footage.
        track: The voice, see :func:`s2l_core.rendering.speech_track`.
        times: (B,) seconds of the voice that are heard.
        images: The footage's frames, uint8 (H, W, 3).
        indices: (B,) which frames of the footage they are.
        weights: (B,) how far their mouths are replaced.
        encoding: Tells the layer.
    """
    dubbed = images
    if weights.any():
        dubbed = renderer.render(images, indices, renderer.codes(images, indices, track, times), weights)
    if encoding.layer == "picture":
        return dubbed
    masks = renderer.masks(indices, weights, *images[0].shape[:2])
    return [lift(new, old, mask) for new, old, mask in zip(dubbed, images, masks, strict=True)]


def _refuse_other_name(job: DubJob) -> None:
    suffix = codec_of(job.encoding).suffix
    if suffix and Path(job.output_path).suffix.lower() != suffix:
        raise BadJob(f"{job.output_path} does not end in {suffix}.", f"{job.encoding.format} is written into {suffix}.")


def _identity(job: DubJob, footage: Footage, device: str) -> dict[str, Any]:
    """All that the frames of a job follow from: what chunks of it are known by."""
    document = to_document(job)
    files = {path: fingerprint_file(path) for path in [job.speaker_path, *sources(job.voice)]}
    return {"job": document | {"device": device}, "footage": footage.fingerprint, "files": files, "version": VERSION}


def forth_and_back(footage: Footage, count: int, rate: Fraction) -> NDArray[np.int64]:
    """Which frame of the footage each of ``count`` output frames shows: to its end, back to its beginning, and so on,
    so that there is never a jump.
    """
    span = footage.times[-1] - footage.times[0]
    moments = np.arange(count) / float(rate)
    if span > 0:
        moments = span - np.abs(span - moments % (2 * span))
    return shown_at(footage.times, footage.times[0] + moments)


def rest_of(footage: Footage, count: int, rate: Fraction) -> NDArray[np.int64]:
    """Which frames of the footage follow after ``count`` output frames, up to its end."""
    total = round(footage.seconds * rate)
    return shown_at(footage.times, footage.times[0] + np.arange(min(count, total), total) / float(rate))


def frames_in_order(footage: Footage, indices: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """Pictures of the footage's frames ``indices``, which run forth and back, without holding them all in memory."""
    for block in np.split(indices, np.flatnonzero(_turns(indices)) + 1):
        if len(block) == 0:
            continue
        if block[0] <= block[-1]:
            yield from _ascending(footage, block)
        else:
            for part in np.split(block, range(_BLOCK, len(block), _BLOCK)):
                yield from reversed(list(_ascending(footage, part[::-1])))


def _ascending(footage: Footage, indices: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    first, last = footage.times[indices[0]], footage.times[indices[-1]]
    start = max(0.0, float(first) - _TIME_TOLERANCE)
    span = Media(footage.media.path, start, float(last) + 2 * _TIME_TOLERANCE)
    position = int(indices[0])
    wanted = 0
    for frame in read_frames(span):
        while wanted < len(indices) and indices[wanted] == position:
            yield frame.image
            wanted += 1
        position += 1


def _turns(indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """After which frames the direction changes: bool (n - 1,)."""
    steps = np.sign(np.diff(indices))
    turns = np.zeros(len(steps), dtype=bool)
    direction = 0
    for place, step in enumerate(steps):
        if step and direction and step != direction:
            turns[place] = True
            direction = 0
        elif step:
            direction = step
    return turns


def _fit_sound(
    voice: tuple[NDArray[np.float32], int], footage: Media | None, voiced: int, total: int, rate: Fraction
) -> tuple[NDArray[np.float32], int]:
    """The voice at the exact length of its frames, followed by the footage's own sound where that goes on."""
    samples, sample_rate = voice
    length = round(total / rate * sample_rate)
    middle = round(voiced / rate * sample_rate)
    result = np.zeros((length, samples.shape[1]), np.float32)
    result[: min(middle, len(samples))] = samples[:middle]
    if footage is not None and probe(footage.path).has_sound:
        own = read_speech(Media(footage.path, footage.start + float(voiced / rate), footage.end))
        moments = np.arange(length - middle) * (SPEECH_RATE / sample_rate)
        result[middle:] = np.interp(moments, np.arange(len(own)), own, right=0.0)[:, None]
    return result, sample_rate


def _batches(items: Iterator[NDArray[np.uint8]], size: int) -> Iterator[list[NDArray[np.uint8]]]:
    for first in items:
        yield [first, *(item for _, item in zip(range(size - 1), items, strict=False))]

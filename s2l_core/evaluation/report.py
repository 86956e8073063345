"""A speaker measured on footage that it has not seen: driven by the footage's own sound, against the real frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..device import choose_device
from ..errors import BadJob
from ..events import Report
from ..face.landmarks import LandmarkDetector, open_detector
from ..face.layout import mouth_opening
from ..footage import Footage, prepare
from ..jobs import EvaluateJob, Media, TrainJob, from_document
from ..media.audio import read_speech
from ..media.video import Frame, read_frames
from ..model.speaker import SpeakerModel
from ..regions import mouth_boxes
from ..rendering import BATCH, MouthRenderer, speech_track
from .metrics import correlation, deviation_ratio, psnr


def evaluate(job: EvaluateJob, report: Report | None = None) -> dict[str, Any]:
    """Measure a speaker on the held-out part of its training footage.

    Returns:
        As :func:`measure`.

    Raises:
        BadJob: The footage is not the one that the speaker was trained on.
        Speech2LipError: What is wrong with the files; see :mod:`s2l_core.errors`.
    """
    report = report or Report()
    device = choose_device(job.device)
    speaker = SpeakerModel.load(job.speaker_path, device)
    trained = from_document(speaker.origin.get("job"))
    if not isinstance(trained, TrainJob):
        raise BadJob(f"{job.speaker_path} does not say what it was trained on.")
    media = trained.footage
    if job.footage is not None:
        media = Media(job.footage.path, media.start, media.end)
    footage = prepare(media, trained.landmarks, device.type, report)
    if footage.fingerprint != speaker.origin.get("fingerprint"):
        raise BadJob(f"{media.path} is not the footage that {job.speaker_path} was trained on.")
    speech = read_speech(job.voice or trained.voice or media)
    return measure(speaker, footage, speech, tuple(speaker.origin["split"]["held_out"]), report)


def measure(
    speaker: SpeakerModel, footage: Footage, speech: NDArray[np.float32], span: tuple[float, float], report: Report
) -> dict[str, Any]:
    """Drive the frames of a span with their own sound and compare them with the real ones, before encoding.

    Args:
        speaker: On the device to compute on.
        footage: With a tracked head.
        speech: (n,) at 16 kHz from the start of the footage's span.
        span: First and last second, from the start of the medium.
        report: Told the phase ``"Measure"``.

    Returns:
        ``mouth_psnr`` in dB inside the mouth box: the lips with a margin of a quarter of their width;
        ``mean_image_psnr``, the same for the mean of the training lips; ``opening_correlation`` of the mouth's opening
        as the landmark model sees it in the new and in the real frames; ``opening_ratio`` of the standard deviations
        of these; ``outside_mask_max_error`` in 8-bit levels; ``frames``; ``mouth_box_px``, its mean width and height.
    """
    start, end = (int(np.searchsorted(footage.times, moment)) for moment in span)
    indices = np.arange(start, max(end, start + 1)).clip(max=len(footage.times) - 1)
    indices = indices[footage.track.found[indices]]
    boxes = np.round(mouth_boxes(speaker.face, footage.track)).astype(int)
    spoken, mean = MouthRenderer(speaker, footage), MouthRenderer(speaker, footage, blending=False)
    track = speech_track(speaker, speech)
    seen_in_new, seen_in_real = open_detector("bundled"), open_detector("bundled")
    rows = []
    done = 0
    for batch, images in _batches(footage, indices):
        codes = spoken.codes(images, batch, track, footage.times[batch] - footage.media.start)
        generated = spoken.render(images, batch, codes)
        means = mean.render(images, batch, torch.zeros_like(codes))
        masks = spoken.masks(batch, *images[0].shape[:2])
        for index, real, new, average, mask in zip(batch, images, generated, means, masks, strict=True):
            left, top, right, bottom = boxes[index].clip(0)
            box = (slice(top, bottom), slice(left, right))
            outside = np.abs(new.astype(int) - real)[~mask].max(initial=0)
            opened = _opening(seen_in_new, new), _opening(seen_in_real, real)
            rows.append((psnr(new[box], real[box]), psnr(average[box], real[box]), outside, *opened))
        done += len(batch)
        report.progress("Measure", done, len(indices))
    mouth, average_mouth, outside_mask, openings, real_openings = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    sizes = boxes[indices, 2:] - boxes[indices, :2]
    return {
        "mouth_psnr": float(mouth.mean()),
        "mean_image_psnr": float(average_mouth.mean()),
        "opening_correlation": correlation(openings, real_openings),
        "opening_ratio": deviation_ratio(openings, real_openings),
        "outside_mask_max_error": int(outside_mask.max()),
        "frames": len(indices),
        "mouth_box_px": [float(side) for side in sizes.mean(axis=0)],
    }


def _opening(detector: LandmarkDetector, image: NDArray[np.uint8]) -> float:
    face = detector.detect(image)
    return float("nan") if face is None else float(mouth_opening(face.points, detector.layout))


def _batches(
    footage: Footage, indices: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], list[NDArray[np.uint8]]]]:
    """Indices and pictures of the footage, a few at a time."""
    first, last = float(footage.times[indices[0]]), float(footage.times[indices[-1]])
    frames: Iterator[Frame] = read_frames(Media(footage.media.path, max(0.0, first - 1e-3), last + 2e-3))
    wanted = set(indices.tolist())
    shown = ((index, frame.image) for index, frame in enumerate(frames, start=int(indices[0])) if index in wanted)
    while batch := list(itertools.islice(shown, BATCH)):
        yield np.array([index for index, _ in batch]), [image for _, image in batch]

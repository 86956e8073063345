"""Estimates of the time, memory and disk space that a job needs. Standard library only.

The speed of a machine is measured with a few short tasks, see :mod:`s2l_core.verbs.calibrate`. The cost of a job in
units of these tasks was measured once, and is corrected by the actual duration of earlier jobs.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from . import json_text
from .dataclass_reader import DataclassReader
from .errors import BadJob
from .jobs import CheckJob, DubJob, StillJob, TrainJob
from .preset_steps import PRESET_STEPS, SPEECH_STEPS, TRAINED_SECONDS, WATCHED_SECONDS

_MOST_SECONDS_OF_A_PIECE = 100.0
_CORRECTIONS = (0.1, 10.0)
_LARGEST = 1e9
"""Upper limit of measured values."""
_MOST_CORRECTIONS, _LARGEST_FILE = 100, 100_000
_READER = DataclassReader(longest_text=100)
_NEWEST = 0.3
"""Weight of the latest job in a correction."""

_START_SECONDS = 4.0
"""Time until a new engine process starts with a job."""
_FINDING, _TRACKING, _LEAST_TRACKING = 0.8, 0.21, 370.0
"""Cost per frame of landmarks, which are mostly followed rather than detected, and of the head's pose; and fixed cost
of the head's shape; in detections."""
_RENDERINGS = 8.5
"""Cost of dubbing a frame, in renderings of a mouth."""
_READINGS = 4
"""Number of times that training decodes its footage, in addition to landmarks."""
_FIXED_STEPS, _FRAME_STEPS = 410.0, 0.22
"""Fixed cost of training, for any preset (principal lips, look, colours of the head), and cost per frame, in steps."""
_APPEARANCE, _SPEECH, _DEPTH, _HEAD, _SYNC = 8.0, 2.5, 1.0, 3.8, 250.0
"""Cost of a step of each stage of training, and of a sync expert, in steps of the calibration."""
_SYNC_SPEECH = 1.6
"""Factor of the sync loss on the cost of a step in codes."""

_TRAINING_BYTES, _FRAME_BYTES, _UNREAD_FRAME_BYTES = 650e6, 200e3, 20e3
"""Memory of training: minimum, and bytes for each frame that is trained on, and for each of the others, of which
landmarks and sound are held.
"""
_DUBBING_BYTES, _HELD_PICTURES, _VOICE_BYTES = 580e6, 64, 140e3
"""Memory of a dub: minimum, number of pictures that are held, and bytes per second of its voice."""
_STILL_DETECTIONS, _STILL_RENDERINGS, _STILL_PICTURES = 300.0, 4.0, 24
"""Cost of preparing a still, in detections; cost of a frame, in decodings; and number of pictures that are held."""
_KEPT_FRAME_BYTES, _SPEAKER_BYTES = 190e3, 12e6
_LANDMARK_BYTES = 6e3
_BYTES_PER_PIXEL = {"h264": 0.03, "prores": 0.6, "ffv1": 1.2, "png": 1.8, "exr": 4.0}


_ARCHITECTURE_STEPS = {"exemplars": 0.0, "grids": 1.0, "explicit": 2.0, "paper": 5.0}


@dataclass(frozen=True)
class Calibration:
    """Speed of a machine.

    Attributes:
        version: Version of the engine that measured it.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        detection_seconds: Time to detect the landmarks of a face in one picture.
        megapixel_seconds: Time to decode and encode a million pixels.
        step_seconds: Time of a training step on four mouths of 96 x 96 pixels.
        render_seconds: Time to render one such mouth.
        corrections: Ratio of actual to estimated time, by verb.
    """

    version: str
    device: str
    detection_seconds: float
    megapixel_seconds: float
    step_seconds: float
    render_seconds: float
    corrections: dict[str, float] = field(default_factory=dict)

    def corrected(self, verb: str, estimated: float, taken: float) -> Calibration:
        """The calibration with a correction after a job, from its estimated and actual time in seconds."""
        before = self.corrections.get(verb, 1.0)
        ratio = before * max(taken, 1e-3) / max(estimated, 1e-3)
        after = math.exp((1 - _NEWEST) * math.log(before) + _NEWEST * math.log(_bounded(ratio)))
        return replace(self, corrections={**self.corrections, verb: _bounded(after)})


@dataclass(frozen=True)
class Estimate:
    """Estimated cost of a job.

    Attributes:
        seconds: Duration of the job.
        memory_bytes: Peak memory of the engine.
        disk_bytes: Disk space for the result and for temporary files.
    """

    seconds: float
    memory_bytes: int
    disk_bytes: int


def estimate(
    job: CheckJob | TrainJob | DubJob | StillJob,
    frames: int,
    width: int,
    height: int,
    calibration: Calibration,
    rate: float = 25.0,
    output_frames: int | None = None,
    looked_at: bool = False,
) -> Estimate:
    """Estimate the cost of a job.

    Args:
        job: The job.
        frames: Number of frames of the footage; 1 for a still.
        width: Width of the footage in pixels.
        height: Height of the footage in pixels.
        calibration: Speed of the machine.
        rate: Frames per second of the footage.
        output_frames: Number of frames of a dub or a still; None means that a dub is as long as the footage.
        looked_at: Whether the analysis of the footage is in the cache.
    """
    megapixels = width * height / 1e6
    decoding = 0.5 * calibration.megapixel_seconds * megapixels
    looking = 0.0 if looked_at else _looking(frames, calibration) + frames * decoding
    landmarks = 0 if looked_at else round(frames * _LANDMARK_BYTES)
    picture_bytes = 3 * width * height
    if isinstance(job, TrainJob):
        steps = _training_steps(job, frames / max(rate, 1.0))
        read = min(frames, (TRAINED_SECONDS + WATCHED_SECONDS) * max(rate, 1.0))
        seconds = looking + _READINGS * read * decoding + calibration.step_seconds * (steps + _FRAME_STEPS * read)
        memory = _TRAINING_BYTES + read * _FRAME_BYTES + (frames - read) * _UNREAD_FRAME_BYTES
        disk = _SPEAKER_BYTES + read * _KEPT_FRAME_BYTES
    elif isinstance(job, DubJob):
        written = frames if output_frames is None else output_frames
        seconds = looking + written * (2 * decoding + _RENDERINGS * calibration.render_seconds)
        memory = _DUBBING_BYTES + _HELD_PICTURES * picture_bytes + _VOICE_BYTES * written / max(rate, 1.0)
        disk = written * width * height * _BYTES_PER_PIXEL[job.encoding.format]
    elif isinstance(job, StillJob):
        written = output_frames or 1
        seconds = _STILL_DETECTIONS * calibration.detection_seconds + written * _STILL_RENDERINGS * decoding
        memory = _DUBBING_BYTES + _STILL_PICTURES * picture_bytes + _VOICE_BYTES * written / max(rate, 1.0)
        disk = written * width * height * _BYTES_PER_PIXEL[job.encoding.format]
    else:
        seconds, memory, disk = looking + 40 * decoding, _DUBBING_BYTES, 0.0
    correction = calibration.corrections.get(job.verb, 1.0)
    return Estimate(correction * (_START_SECONDS + seconds), round(memory), round(disk) + landmarks)


def to_json(calibration: Calibration) -> str:
    """JSON text of a calibration."""
    return json.dumps(asdict(calibration))


def from_json(text: str) -> Calibration | None:
    """Calibration from the JSON text of :func:`to_json`; None if the text is anything else."""
    try:
        return from_values(json_text.parse(text))
    except ValueError:
        return None


def from_values(values: Any) -> Calibration | None:
    """Calibration from JSON values, as the verb ``calibrate`` returns them; None if they are anything else."""
    try:
        calibration: Calibration = _READER.read(Calibration, values, "calibration")
    except BadJob:
        return None
    pieces = (
        calibration.detection_seconds,
        calibration.megapixel_seconds,
        calibration.step_seconds,
        calibration.render_seconds,
    )
    corrections = calibration.corrections
    if len(corrections) > _MOST_CORRECTIONS or not all(0.0 < by < _LARGEST for by in corrections.values()):
        return None
    if not all(0.0 < seconds < _MOST_SECONDS_OF_A_PIECE for seconds in pieces):
        return None
    return replace(calibration, corrections={verb: _bounded(by) for verb, by in corrections.items()})


def load_calibration(path: str) -> Calibration | None:
    """Calibration from a file; None if it is missing or damaged."""
    try:
        return from_values(json_text.read(path, _LARGEST_FILE))
    except (OSError, ValueError):
        return None


def _looking(frames: int, calibration: Calibration) -> float:
    """Time in seconds to find and track a head."""
    return calibration.detection_seconds * ((_FINDING + _TRACKING) * frames + _LEAST_TRACKING)


def _training_steps(job: TrainJob, seconds: float) -> float:
    """Cost of training in steps of the calibration."""
    steps = PRESET_STEPS[job.preset]
    appearance = steps.appearance * _ARCHITECTURE_STEPS[job.architecture or steps.architecture] * _APPEARANCE
    speech = steps.speech_factor * _between(seconds, *SPEECH_STEPS) * _SPEECH * (_SYNC_SPEECH if steps.sync else 1.0)
    return _FIXED_STEPS + appearance + speech + steps.depth * _DEPTH + steps.head * _HEAD + _SYNC * steps.sync


def _between(value: float, places: tuple[float, ...], values: tuple[float, ...]) -> float:
    """Linear interpolation, constant beyond the ends."""
    for left, right, low, high in zip(places, places[1:], values, values[1:], strict=False):
        if value < right:
            return low + max(0.0, value - left) / (right - left) * (high - low)
    return values[-1]


def _bounded(correction: float) -> float:
    least, most = _CORRECTIONS
    return min(max(float(correction), least), most)

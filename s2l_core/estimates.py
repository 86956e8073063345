"""What a job will take: seconds, memory and disk, before it starts. Standard library only.

A machine is told by how long a few short pieces of work take on it, see :mod:`s2l_core.verbs.calibrate`. What a job
consists of in such pieces was measured once; what earlier jobs took beside what was estimated corrects it.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from . import json_text
from .dataclass_reader import DataclassReader
from .errors import BadJob
from .jobs import CheckJob, DubJob, TrainJob
from .preset_steps import PRESET_STEPS, SPEECH_STEPS

_MOST_SECONDS_OF_A_PIECE = 100.0
_CORRECTIONS = (0.1, 10.0)
_LARGEST = 1e9
"""A bound of all that is measured."""
_MOST_CORRECTIONS, _LARGEST_FILE = 100, 100_000
_READER = DataclassReader(longest_text=100)
_NEWEST = 0.3
"""What the newest job counts in a correction."""

_START_SECONDS = 4.0
"""Until an engine that has just been started begins with a job."""
_FINDING, _TRACKING, _LEAST_TRACKING = 0.8, 0.21, 370.0
"""Work of one frame's landmarks, which are followed more often than found, and of the head's pose in it; and of the
head's shape."""
_RENDERINGS = 8.5
"""What dubbing one frame comes to, in pictures of a mouth that are joined with it."""
_READINGS = 3
"""How often a training decodes its footage, beside finding landmarks."""
_FIXED_STEPS, _FRAME_STEPS = 410.0, 0.22
"""Of what a training does whatever its preset: principal lips, look, the head's colours; and in each frame."""
_APPEARANCE, _SPEECH, _DEPTH, _HEAD, _SYNC = 8.0, 2.5, 1.0, 3.8, 250.0
"""Work of a step of each stage of a training, and of a sync expert."""
_SYNC_SPEECH = 1.6
"""What the sync loss makes of a step in codes."""

_TRAINING_BYTES, _FRAME_BYTES = 650e6, 700e3
_DUBBING_BYTES, _HELD_PICTURES, _VOICE_BYTES = 580e6, 64, 140e3
"""Of a dub: what it takes at least, how many pictures it holds, and what a second of its voice adds."""
_KEPT_FRAME_BYTES, _SPEAKER_BYTES = 190e3, 12e6
_LANDMARK_BYTES = 6e3
_BYTES_PER_PIXEL = {"h264": 0.03, "prores": 0.6, "ffv1": 1.2, "png": 1.8, "exr": 4.0}


_ARCHITECTURE_STEPS = {"fast": 1.0, "explicit": 2.0, "paper": 5.0}


@dataclass(frozen=True)
class Calibration:
    """How fast a machine is.

    Attributes:
        version: Of the engine that measured.
        device: ``"cpu"`` or ``"cuda"``.
        detection_seconds: To find the landmarks of a face in one picture.
        megapixel_seconds: To decode and encode a million pixels.
        step_seconds: Of a step of training on four mouths of 96 x 96 pixels.
        render_seconds: To render one such mouth.
        corrections: By verb, what jobs took beside what was estimated.
    """

    version: str
    device: str
    detection_seconds: float
    megapixel_seconds: float
    step_seconds: float
    render_seconds: float
    corrections: dict[str, float] = field(default_factory=dict)

    def corrected(self, verb: str, estimated: float, taken: float) -> Calibration:
        """This calibration after a job of a verb, whose estimate was made with it."""
        before = self.corrections.get(verb, 1.0)
        ratio = before * max(taken, 1e-3) / max(estimated, 1e-3)
        after = math.exp((1 - _NEWEST) * math.log(before) + _NEWEST * math.log(_bounded(ratio)))
        return replace(self, corrections={**self.corrections, verb: _bounded(after)})


@dataclass(frozen=True)
class Estimate:
    """What a job takes.

    Attributes:
        seconds: From its start to its end.
        memory_bytes: Of the engine at its peak.
        disk_bytes: That it writes, what it keeps until it is done included.
    """

    seconds: float
    memory_bytes: int
    disk_bytes: int


def estimate(
    job: CheckJob | TrainJob | DubJob,
    frames: int,
    width: int,
    height: int,
    calibration: Calibration,
    rate: float = 25.0,
    output_frames: int | None = None,
    looked_at: bool = False,
) -> Estimate:
    """What a job will take.

    Args:
        job: The job.
        frames: Of its footage.
        width: Of the footage in pixels.
        height: Of the footage in pixels.
        calibration: Of the machine.
        rate: Of the footage in frames per second.
        output_frames: Of a dub, where it is not as long as its footage.
        looked_at: Whether an earlier job has looked at the same span of the footage, which is not done again.
    """
    megapixels = width * height / 1e6
    decoding = 0.5 * calibration.megapixel_seconds * megapixels
    looking = 0.0 if looked_at else _looking(frames, calibration) + frames * decoding
    landmarks = 0 if looked_at else round(frames * _LANDMARK_BYTES)
    picture_bytes = 3 * width * height
    if isinstance(job, TrainJob):
        steps = _training_steps(job, frames / max(rate, 1.0))
        seconds = looking + _READINGS * frames * decoding + calibration.step_seconds * (steps + _FRAME_STEPS * frames)
        memory, disk = _TRAINING_BYTES + frames * _FRAME_BYTES, _SPEAKER_BYTES + frames * _KEPT_FRAME_BYTES
    elif isinstance(job, DubJob):
        written = frames if output_frames is None else output_frames
        seconds = looking + written * (2 * decoding + _RENDERINGS * calibration.render_seconds)
        memory = _DUBBING_BYTES + _HELD_PICTURES * picture_bytes + _VOICE_BYTES * written / max(rate, 1.0)
        disk = written * width * height * _BYTES_PER_PIXEL[job.encoding.format]
    else:
        seconds, memory, disk = looking + 40 * decoding, _DUBBING_BYTES, 0.0
    correction = calibration.corrections.get(job.verb, 1.0)
    return Estimate(correction * (_START_SECONDS + seconds), round(memory), round(disk) + landmarks)


def to_json(calibration: Calibration) -> str:
    return json.dumps(asdict(calibration))


def from_json(text: str) -> Calibration | None:
    """A calibration that :func:`to_json` wrote; None if the text is anything else."""
    try:
        return from_values(json_text.parse(text))
    except ValueError:
        return None


def from_values(values: Any) -> Calibration | None:
    """A calibration from JSON values, as the verb ``calibrate`` returns them; None if they are anything else."""
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
    """A calibration from a file; None where there is none."""
    try:
        return from_values(json_text.read(path, _LARGEST_FILE))
    except (OSError, ValueError):
        return None


def _looking(frames: int, calibration: Calibration) -> float:
    """Seconds to find and track a head."""
    return calibration.detection_seconds * ((_FINDING + _TRACKING) * frames + _LEAST_TRACKING)


def _training_steps(job: TrainJob, seconds: float) -> float:
    """What a training learns, in steps of a calibration."""
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

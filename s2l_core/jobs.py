"""Job documents: everything that one piece of work needs, as one JSON object. Standard library only.

Queue, resume, provenance, command line, worker and farm all read the same document, so a job can be written by
Blender, kept beside its output and run anywhere else. Times are seconds from the start of the medium.
"""

from __future__ import annotations

import dataclasses
import json
import math
import operator
import re
import typing
from dataclasses import dataclass
from fractions import Fraction
from itertools import filterfalse
from pathlib import Path
from typing import Any, ClassVar, Literal

from .dataclass_reader import DataclassReader, shortened
from .errors import BadJob, ConsentMissing

SCHEMA_VERSION = 1

Device = Literal["auto", "cpu", "cuda"]
PresetName = Literal["draft", "balanced", "final", "paper"]
Architecture = Literal["fast", "explicit", "paper"]
Remainder = Literal["stop", "keep"]
Format = Literal["h264", "prores", "ffv1", "png", "exr"]
Layer = Literal["picture", "mouth"]
Clock = Literal["picture", "sound"]

_LARGEST_SIDE = 8192
_MOST_PICTURES = 1_000_000
_FILE_NAME = re.compile(r"[^/\\\0]{1,255}")
_LONGEST_DOCUMENT = 64 * 1024 * 1024  # characters
_READER = DataclassReader(longest_text=4096)  # no system has longer paths
_RATE = re.compile(r"[0-9]{1,12}(\.[0-9]{0,18}|/[0-9]{1,12})?")
_RIGID_TOLERANCE, _FARTHEST = 1e-3, 1e9
_LARGEST_SEED = 2**63 - 1
"""What a seed may be, for PyTorch as for NumPy."""
_LONGEST_SECONDS = 10_000_000.0
"""From the start of a medium: 116 days, longer than Blender's timeline at one frame per second."""
_LARGEST_VALUE = 1e6
"""Of a curve, in either direction."""
_AND_NO_MORE = f", and at most {_LONGEST_SECONDS:.0f} s"
_FOCAL_LENGTHS = (1e-4, 1e4)
"""In sides of a picture: fields of view from 0.006 degrees to nearly all that is in front of the camera."""


@dataclass(frozen=True)
class Media:
    """A span of a video or sound file, or of a sequence of pictures.

    Attributes:
        path: The file. Of a sequence the folder of its pictures, or a pattern for their names in that folder, such as
            ``"takes/shot.####.png"`` or ``"takes/shot.%04d.png"``.
        start: First second used.
        end: Second at which the span ends; None means the end of the file.
        face: Which of several people in a video: the one whose face is at this place, from 0 to 1 across and down, when
            it is first seen, or else at a second of the medium given as a third number. Empty means whoever is seen
            longest and largest.
        track: Which of several sound tracks, from 1. None means the first that is not silent, those with the default
            flag before others.
        clock: Whose beginning is second 0 of a video with sound: that of its ``"picture"``, frame 0 in Blender, or that
            of its ``"sound"``, from which a sound strip counts.
        pictures: Names of the pictures of a sequence in their order, in the folder ``path``. Empty means those that
            the pattern fits, or the longest numbered sequence of the folder.
        rate: Frames per second of a sequence, as in :class:`DubJob`; empty means 25. A movie has a rate of its own.
    """

    path: str
    start: float = 0.0
    end: float | None = None
    face: tuple[float, ...] = ()
    track: int | None = None
    clock: Clock = "picture"
    pictures: tuple[str, ...] = ()
    rate: str = ""

    def __post_init__(self) -> None:
        if not self.path:
            raise BadJob("The job does not name a media file.")
        if not _is_moment(self.start):
            raise BadJob(f"The start of {self.path} is {self.start} s; it must be 0 or more{_AND_NO_MORE}.")
        if self.end is not None and not (_is_moment(self.end) and self.end > self.start):
            start = f"after its start at {self.start} s{_AND_NO_MORE}"
            raise BadJob(f"The end of {self.path} is {self.end} s; it must lie {start}.")
        if self.face and not (len(self.face) in (2, 3) and all(0.0 <= place <= 1.0 for place in self.face[:2])):
            raise BadJob(
                f"The face in {self.path} is not inside the picture.", "Give its position as two numbers from 0 to 1."
            )
        _refuse_track(self.path, self.track)
        if len(self.pictures) > _MOST_PICTURES:
            raise BadJob(f"{self.path} has {len(self.pictures)} pictures; the limit is {_MOST_PICTURES}.")
        if (unfit := next(filterfalse(_is_file_name, self.pictures), None)) is not None:
            raise BadJob(
                f"{unfit[:80]!r} is not the name of a picture in {self.path}.", "Give file names without folders."
            )
        if self.rate:
            parse_rate(self.rate)
        if len(self.face) == 3 and not _is_moment(self.face[2]):
            raise BadJob(f"The face in {self.path} has an invalid time: it must be 0 s or more.")


@dataclass(frozen=True)
class Sound:
    """A sound file on the timeline of a mix. Curves have values at evenly spaced moments of its time, linear between.

    Attributes:
        path: The file.
        at: Second of the mix at which it is first heard.
        seconds: How long it is heard.
        moments: Curve of which second of the file's sound is heard, counted from its first sample also in a video: two
            values or more, from ``at`` to its end.
        volumes: Curve of factors of the samples: one value or more.
        pans: Curve from -1 (left) over 0 to 1 (right); 2 and -2 are behind. It moves mono sounds only, as Blender does.
        mono: Whether the channels are summed to one first, as Blender's Mono does.
        track: Which of several sound tracks, from 1. None means the first, which Blender plays; where that is silent,
            as in :class:`Media`.
    """

    path: str
    at: float
    seconds: float
    moments: tuple[float, ...]
    volumes: tuple[float, ...] = (1.0,)
    pans: tuple[float, ...] = (0.0,)
    mono: bool = False
    track: int | None = None

    def __post_init__(self) -> None:
        if not self.path:
            raise BadJob("A sound of the mix does not name a file.")
        if not (_is_moment(self.at) and _is_moment(self.seconds) and self.seconds > 0.0):
            span = f"for {self.seconds} s from {self.at} s"
            raise BadJob(f"{self.path} is used {span}; both must be positive{_AND_NO_MORE}.")
        if len(self.moments) < 2 or not self.volumes or not self.pans:
            raise BadJob(
                f"A curve of {self.path} has too few values.", "Give at least two moments, one volume and one pan."
            )
        if not all(abs(moment) <= _LONGEST_SECONDS for moment in self.moments):
            raise BadJob(f"A moment of {self.path} is not a valid time in a file.")
        if not all(abs(value) <= _LARGEST_VALUE for value in self.volumes + self.pans):
            raise BadJob(f"A curve of {self.path} contains a value that is not a number or is too large.")
        _refuse_track(self.path, self.track)


@dataclass(frozen=True)
class Mix:
    """Sounds that are heard together, as a sequencer mixes them.

    Attributes:
        seconds: Length.
        sounds: What is heard; where nothing is, there is silence.
    """

    seconds: float
    sounds: tuple[Sound, ...]

    def __post_init__(self) -> None:
        if not (_is_moment(self.seconds) and self.seconds > 0.0):
            raise BadJob(f"The mix has a length of {self.seconds} s; it must be more than 0 s{_AND_NO_MORE}.")
        if not self.sounds:
            raise BadJob("The mix contains no sound.")


HIGHEST_CRF = 51
_SUFFIXES: dict[Format, str] = {"h264": ".mp4", "prores": ".mov", "ffv1": ".mkv", "png": "", "exr": ""}


@dataclass(frozen=True)
class Encoding:
    """How a result is written.

    Attributes:
        format: ``"h264"`` (MP4), ``"prores"`` (MOV), ``"ffv1"`` (lossless, MKV), or a folder of ``"png"`` or ``"exr"``
            pictures.
        crf: Of H.264: lower is better and bigger, 17 is hard to tell from the source.
        layer: ``"picture"`` for whole frames, ``"mouth"`` for the mouth alone with a soft alpha, to lay over them.
    """

    format: Format = "h264"
    crf: int = 17
    layer: Layer = "picture"

    def __post_init__(self) -> None:
        if not 0 <= self.crf <= HIGHEST_CRF:
            raise BadJob(f"A rate factor of {self.crf} is not between 0 and {HIGHEST_CRF}.")
        if self.layer == "mouth" and self.format == "h264":
            raise BadJob("H.264 cannot store the alpha that a mouth overlay needs.", "Choose ProRes, FFV1, PNG or EXR.")

    @property
    def suffix(self) -> str:
        """End of the name of a file in this format, with its period; empty for a folder of pictures."""
        return _SUFFIXES[self.format]


@dataclass(frozen=True)
class CameraView:
    """A pinhole camera: what a picture is rendered through.

    Attributes:
        fx: Focal length in pixels, across.
        fy: Focal length in pixels, down.
        cx: Principal point in pixels from the left edge of the picture; the centre of the first pixel lies at 0.5.
        cy: Principal point in pixels from the top edge.
        width: Pixels, 1 to 8192.
        height: Pixels, 1 to 8192.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        if not all(1 <= side <= _LARGEST_SIDE for side in (self.width, self.height)):
            size = f"{self.width} x {self.height}"
            raise BadJob(
                f"A picture of {size} pixels cannot be rendered.", f"Each side must have 1 to {_LARGEST_SIDE} pixels."
            )
        side = max(self.width, self.height)
        if not all(_FOCAL_LENGTHS[0] <= focal / side <= _FOCAL_LENGTHS[1] for focal in (self.fx, self.fy)):
            raise BadJob(f"A camera with focal lengths of {self.fx} and {self.fy} pixels is not supported.")
        if not all(abs(place) <= _LARGEST_VALUE for place in (self.cx, self.cy)):
            raise BadJob(f"A camera with its principal point at ({self.cx}, {self.cy}) is not supported.")


@dataclass(frozen=True)
class InfoJob:
    """Versions, devices and back-ends of the engine."""

    verb: ClassVar[str] = "info"
    device: Device = "auto"


@dataclass(frozen=True)
class CheckJob:
    """Judge footage before training on it.

    Attributes:
        footage: The speaker's video.
        voice: The speaker's sound, where it is not in the video.
        landmarks: Landmark back-end: ``"bundled"``, ``"face-alignment"`` or the path of a ``.task`` file.
    """

    verb: ClassVar[str] = "check"
    footage: Media
    voice: Media | None = None
    landmarks: str = "bundled"
    device: Device = "auto"


@dataclass(frozen=True)
class TrainJob:
    """Learn one speaker from footage.

    Attributes:
        footage: The speaker's video.
        speaker_path: The ``.s2l`` file to write.
        name: The speaker's name, kept in the file.
        voice: The speaker's sound, where it is not in the video.
        preset: How to train.
        architecture: Of the lip model; None means the preset's.
        landmarks: As in :class:`CheckJob`.
        speech: What is heard of speech: ``"log-mel"``, or the folder of a HuBERT or wav2vec 2.0 network, and after a
            ``#`` the number of one of its layers.
        seed: From 0 to 2**63 - 1. The same job with the same seed gives the same speaker on the CPU.
        consent: Whether the person in the footage agreed to it; without it nothing is trained. Kept in the file.
        any_sound: Whether to train although the lips do not move with the sound.
    """

    verb: ClassVar[str] = "train"
    footage: Media
    speaker_path: str
    name: str = "Speaker"
    voice: Media | None = None
    preset: PresetName = "balanced"
    architecture: Architecture | None = None
    landmarks: str = "bundled"
    speech: str = "log-mel"
    device: Device = "auto"
    seed: int = 0
    consent: bool = False
    any_sound: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= _LARGEST_SEED:
            raise BadJob(f"A seed must be a whole number from 0 to {_LARGEST_SEED}.")


@dataclass(frozen=True)
class DubJob:
    """Put new words into a speaker's mouth.

    Attributes:
        speaker_path: The ``.s2l`` file.
        footage: Video of that speaker whose mouth is replaced.
        voice: The words to say: a span of a file, or sounds on a timeline.
        output_path: The movie file, or the folder of pictures, to write.
        rate: Frames per second of the output as a fraction, e.g. ``"25"`` or ``"30000/1001"``; empty means the
            footage's own.
        remainder: Where the footage is longer than the voice: ``"stop"`` with the voice or ``"keep"`` the rest of the
            footage untouched. Where it is shorter, it plays forth and back. Not with ``moments``.
        moments: Which second of the footage's medium each frame of the output shows, in any order. Empty means as many
            frames as the voice lasts, at the footage's own speed from its start on.
        encoding: How the output is written.
        silence_db: Curve over the output: level under which the mouth closes, in dB relative to the loudness of the
            speech. Empty means that the mouth does in pauses what the speaker's does, and closes in silence.
        rest_strength: Curve over the output: how much of that closing takes place, from 0 to 1.
        landmarks: As in :class:`CheckJob`; of the kind that the speaker was trained with.
        speech_network: Folder of the network by which the speaker hears, for a speaker file of another machine; once
            named it is remembered. Empty means that it is log-mel, or was named on this machine before.

    A curve is one value, or values evenly spaced from the first frame to the last, linear between.
    """

    verb: ClassVar[str] = "dub"
    speaker_path: str
    footage: Media
    voice: Media | Mix
    output_path: str
    rate: str = ""
    remainder: Remainder = "stop"
    moments: tuple[float, ...] = ()
    encoding: Encoding = Encoding()
    silence_db: tuple[float, ...] = ()
    rest_strength: tuple[float, ...] = (1.0,)
    landmarks: str = "bundled"
    device: Device = "auto"
    speech_network: str = ""

    def __post_init__(self) -> None:
        if self.rate:
            parse_rate(self.rate)
        if not all(map(_is_moment, self.moments)):
            raise BadJob("A moment of the footage to dub is invalid: it must be 0 s or more.")
        if not all(abs(level) <= _LARGEST_VALUE for level in self.silence_db):
            raise BadJob("The level at which the mouth closes is not a number, or is too large.")
        if not self.rest_strength or not all(0.0 <= strength <= 1.0 for strength in self.rest_strength):
            raise BadJob("The strength of the resting pose is not between 0 and 1.")


@dataclass(frozen=True)
class PreviewJob:
    """Dub one frame only, to see it before a run is worth its time.

    Attributes:
        dub: The run. Its output is not touched.
        frame: Which frame of its output, from 0.
        output_path: The PNG file to write.
    """

    verb: ClassVar[str] = "preview"
    dub: DubJob
    frame: int
    output_path: str

    def __post_init__(self) -> None:
        if self.frame < 0:
            raise BadJob(f"The frame to preview is {self.frame}; it must be 0 or more.")


@dataclass(frozen=True)
class OffsetJob:
    """Measure by how much a speaker's sound comes after the lips.

    Attributes:
        footage: The speaker's video.
        voice: The speaker's sound, from the moment on at which the footage begins.
        landmarks: As in :class:`CheckJob`.
    """

    verb: ClassVar[str] = "offset"
    footage: Media
    voice: Media
    landmarks: str = "bundled"
    device: Device = "auto"


@dataclass(frozen=True)
class FacesJob:
    """Find the people in a video, so that one of them can be chosen.

    Attributes:
        footage: The video.
        output_path: The folder for a picture of each face.
    """

    verb: ClassVar[str] = "faces"
    footage: Media
    output_path: str
    device: Device = "auto"


@dataclass(frozen=True)
class EstimateJob:
    """Tell what another job will take on this machine.

    Attributes:
        job: The other one.
        measure: Whether to measure the machine first where it was not: that takes some seconds, in which nothing else
            may keep it busy.
    """

    verb: ClassVar[str] = "estimate"
    job: CheckJob | TrainJob | DubJob
    measure: bool = True


@dataclass(frozen=True)
class EvaluateJob:
    """Measure a speaker on the held-out tail of the footage that it was trained on.

    Attributes:
        speaker_path: The ``.s2l`` file.
        footage: The training footage, where it has moved; None means where it was.
        voice: Its sound, where that has moved.
        landmarks: The ``.task`` file that the speaker was trained with, which is not opened because a speaker file
            names it; empty for landmarks that are installed.
        speech_network: As in :class:`DubJob`.
    """

    verb: ClassVar[str] = "evaluate"
    speaker_path: str
    footage: Media | None = None
    voice: Media | None = None
    device: Device = "auto"
    landmarks: str = ""
    speech_network: str = ""


@dataclass(frozen=True)
class HeatmapJob:
    """Draw where a face moves, before and after the motion of the head is removed.

    Attributes:
        footage: The speaker's video.
        output_path: The PNG file to write.
        landmarks: As in :class:`CheckJob`.
    """

    verb: ClassVar[str] = "heatmap"
    footage: Media
    output_path: str
    landmarks: str = "bundled"
    device: Device = "auto"


@dataclass(frozen=True)
class HeadJob:
    """Hand the head out of a speaker file: mesh, poses, expression curves and background plate.

    Attributes:
        speaker_path: The ``.s2l`` file.
        footage: Video of that speaker whose poses and expressions are handed out.
        output_path: The ``.npz`` file to write; the plate is written beside it.
        landmarks: As in :class:`CheckJob`; of the kind that the speaker was trained with.
    """

    verb: ClassVar[str] = "head"
    speaker_path: str
    footage: Media
    output_path: str
    landmarks: str = "bundled"
    device: Device = "auto"


@dataclass(frozen=True)
class PoseJob:
    """Render a speaker's head along the path of a camera.

    Attributes:
        speaker_path: The ``.s2l`` file.
        footage: Video of that speaker, as filmed or dubbed.
        camera_path: The JSON file, see :mod:`s2l_core.whole_head.camera_path`.
        output_path: The movie file to write.
        background: Whether to show the plate behind the head, and not black.
        fade: Whether poses that the footage tells nothing about are turned back to the nearest trusted ones.
        landmarks: As in :class:`HeadJob`.
    """

    verb: ClassVar[str] = "pose"
    speaker_path: str
    footage: Media
    camera_path: str
    output_path: str
    background: bool = True
    fade: bool = True
    landmarks: str = "bundled"
    device: Device = "auto"


@dataclass(frozen=True)
class RenderJob:
    """Render one picture of a speaker's head as another camera sees it.

    Attributes:
        speaker_path: The ``.s2l`` file.
        footage: Video of that speaker, as filmed or dubbed: the whole span that is used, for it is looked at once.
        moment: Seconds from the start of the medium; the frame on screen then is re-posed.
        camera: The new view.
        pose: camera_from_head in the new view: a rigid 4x4 matrix, row by row, OpenCV's axes, millimetres.
        output_path: The ``.npy`` file to write.
        camera_from_footage: Where the footage's camera stands in the new view, and with it the plate, likewise; empty
            where the head has not moved beside it, so that ``pose`` tells.
        background: Whether to show the plate behind the head, and not nothing.
        fade: As in :class:`PoseJob`.
        landmarks: As in :class:`HeadJob`.
    """

    verb: ClassVar[str] = "render"
    speaker_path: str
    footage: Media
    moment: float
    camera: CameraView
    pose: tuple[float, ...]
    output_path: str
    camera_from_footage: tuple[float, ...] = ()
    background: bool = True
    fade: bool = True
    landmarks: str = "bundled"
    device: Device = "auto"

    def __post_init__(self) -> None:
        if not _is_moment(self.moment):
            raise BadJob(f"The moment to render is {self.moment} s; it must be 0 or more{_AND_NO_MORE}.")
        if not is_rigid(self.pose):
            raise BadJob(
                "The pose to render is not a rigid 4 x 4 matrix.", "A pose consists of a rotation and a translation."
            )
        if self.camera_from_footage and not is_rigid(self.camera_from_footage):
            raise BadJob(
                "The pose of the footage's camera is not a rigid 4 x 4 matrix.",
                "A pose consists of a rotation and a translation.",
            )


@dataclass(frozen=True)
class DescribeJob:
    """Tell what a speaker file says about itself.

    Attributes:
        speaker_path: The ``.s2l`` file.
        picture_path: The PNG or JPEG file for the speaker's portrait; empty for none.
    """

    verb: ClassVar[str] = "describe"
    speaker_path: str
    picture_path: str = ""
    device: Device = "auto"


@dataclass(frozen=True)
class CalibrateJob:
    """Measure how fast this machine is, or tell what was measured before, for :mod:`s2l_core.estimates`.

    Attributes:
        anew: Whether to measure in any case.
    """

    verb: ClassVar[str] = "calibrate"
    anew: bool = False
    device: Device = "auto"


Job = (
    InfoJob
    | CheckJob
    | TrainJob
    | DubJob
    | PreviewJob
    | OffsetJob
    | FacesJob
    | EstimateJob
    | EvaluateJob
    | HeatmapJob
    | HeadJob
    | PoseJob
    | RenderJob
    | DescribeJob
    | CalibrateJob
)
JOB_TYPES: dict[str, type[Job]] = {job_type.verb: job_type for job_type in typing.get_args(Job)}


def refuse_without_consent(job: TrainJob) -> None:
    """Refuse a training whose job does not say that the person in the footage agreed.

    This is the one policy of consent. The verb asks it, whoever made the job; so do those that add a job to a queue,
    before it waits.

    Raises:
        ConsentMissing: The job does not say so.
    """
    if not job.consent:
        raise ConsentMissing(f"Training {job.name[:80]} needs the consent of the person in {job.footage.path}.")


def is_rigid(matrix: tuple[float, ...]) -> bool:
    """Whether 16 numbers, row by row, are a 4x4 matrix that rotates and translates, and does nothing else.

    It translates by 1000 km at most, if its lengths are millimetres.
    """
    if len(matrix) != 16 or not all(abs(value) <= _FARTHEST for value in matrix):
        return False
    a, b, c = (matrix[start : start + 3] for start in (0, 4, 8))
    a_cross_b = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    # Rows of unit length, the first two at right angles, and the third their cross product, which is a right hand's.
    wrong = [math.dist(c, a_cross_b), sum(map(operator.mul, a, b)), math.hypot(*a) - 1.0, math.hypot(*b) - 1.0]
    wrong += [matrix[column] - (column == 15) for column in range(12, 16)]
    return all(abs(value) <= _RIGID_TOLERANCE for value in wrong)


def parse_rate(text: str) -> Fraction:
    """Frames per second from text such as ``"25"``, ``"29.97"`` or ``"30000/1001"``.

    Raises:
        BadJob: The text is not a frame rate between 1 and 1000.
    """
    try:
        rate = Fraction(text if _RATE.fullmatch(text) else "")  # no exponents: 1e99999999 would be computed for ever
    except (ValueError, ZeroDivisionError):
        raise BadJob(f"{shortened(text)} is not a frame rate.", "Write it like 25 or 30000/1001.") from None
    if not 1 <= rate <= 1000:
        raise BadJob(f"A frame rate of {text} is not between 1 and 1000.")
    return rate


def _is_moment(value: float) -> bool:
    """Whether a number is a second of a medium or a timeline; False also where it is no number."""
    return 0.0 <= value <= _LONGEST_SECONDS


def _refuse_track(path: str, track: int | None) -> None:
    if track is not None and track < 1:
        raise BadJob(f"{path} has no sound track {track}.", "Tracks are counted from 1.")


def _is_file_name(name: str) -> bool:
    """Whether a text names a file, and says nothing about its folder."""
    return (
        _FILE_NAME.fullmatch(name) is not None
        and name not in (".", "..")
        and (":" not in name or name == Path(name).name)
    )


def to_document(job: Job) -> dict[str, Any]:
    """The job as plain JSON values, with its verb and schema version."""
    document = {"schema": SCHEMA_VERSION, "verb": job.verb, **dataclasses.asdict(job)}
    if isinstance(job, EstimateJob):
        document["job"] = {"verb": job.job.verb, **document["job"]}
    return document


def from_document(document: Any) -> Job:
    """The job that a document describes; nothing in the document is trusted.

    Texts, lists and numbers are measured before anything is made of them, and messages repeat them shortened.

    Raises:
        BadJob: Unknown verb or field, missing field, wrong type, a value that is too long or too large, or a schema
            newer than this version reads.
    """
    if not isinstance(document, dict):
        raise BadJob("A job must be a JSON object.")
    fields = dict(document)
    schema = fields.pop("schema", SCHEMA_VERSION)
    if type(schema) is not int or not 1 <= schema <= SCHEMA_VERSION:
        raise BadJob(
            f"The job has schema {shortened(schema)}; this version reads up to {SCHEMA_VERSION}.", "Update Speech2Lip."
        )
    return typing.cast(Job, _READER.read_by_verb(JOB_TYPES.values(), fields, "job"))


def to_json(job: Job) -> str:
    return json.dumps(to_document(job), indent=2)


def from_json(text: str) -> Job:
    """The job that JSON text describes.

    Raises:
        BadJob: As :func:`from_document`, or the text is not JSON.
    """
    if len(text) > _LONGEST_DOCUMENT:
        raise BadJob(f"The job has {len(text)} characters; the limit is {_LONGEST_DOCUMENT}.")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # also of integers with thousands of digits
        raise BadJob("The job is not valid JSON.") from None
    return from_document(document)

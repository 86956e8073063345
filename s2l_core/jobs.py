"""Job documents: everything that one job needs, as one JSON object. Standard library only.

Queue, resumption, provenance, command line, worker and farm all read the same document, so a job can be written by
Blender, stored beside its output and run anywhere else. Times are seconds from the start of the medium.
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

from .consent_record import LONGEST_NAME, ConsentRecord
from .dataclass_reader import DataclassReader, shortened
from .errors import BadJob, ConsentMissing

SCHEMA_VERSION = 1

Device = Literal["auto", "cpu", "cuda", "mps"]
PresetName = Literal["draft", "balanced", "final", "paper"]
Architecture = Literal["exemplars", "grids", "explicit", "paper"]
Remainder = Literal["stop", "keep"]
Format = Literal["h264", "prores", "ffv1", "png", "exr"]
Layer = Literal["picture", "mouth"]
Depth = Literal["learned", "mesh"]
Clock = Literal["picture", "sound"]
ConsentAction = Literal["list", "show", "revoke"]

_LARGEST_SIDE = 8192
_MOST_PICTURES = 1_000_000
_FILE_NAME = re.compile(r"[^/\\\0]{1,255}")
_LONGEST_DOCUMENT = 64 * 1024 * 1024  # characters
_READER = DataclassReader(longest_text=4096)  # no system has longer paths
_RATE = re.compile(r"[0-9]{1,12}(\.[0-9]{0,18}|/[0-9]{1,12})?")
_RIGID_TOLERANCE, _FARTHEST = 1e-3, 1e9
_LARGEST_SEED = 2**63 - 1
"""The largest seed that both PyTorch and NumPy accept."""
_LONGEST_SECONDS = 10_000_000.0
"""Latest time in a medium: 116 days, longer than Blender's timeline at one frame per second."""
_LARGEST_VALUE = 1e6
"""Largest absolute value of a curve."""
_AND_NO_MORE = f", and at most {_LONGEST_SECONDS:.0f} s"
_FOCAL_LENGTHS = (1e-4, 1e4)
"""Range of the focal length, in units of the picture's longer side: fields of view of 0.006 to nearly 180 degrees."""


@dataclass(frozen=True)
class Media:
    """A span of a video or sound file, or of a sequence of pictures.

    Attributes:
        path: The file; or the folder of a sequence of pictures, or a pattern for their names in that folder, such as
            ``"takes/shot.####.png"`` or ``"takes/shot.%04d.png"``.
        start: Second at which the span begins.
        end: Second at which the span ends; None means the end of the file.
        face: Position of the speaker's face in a video with several people, from 0 to 1 across and down, at the time
            when the face is first seen, or at the second of the medium that is given as a third number. Empty means the
            person who is seen longest and largest.
        track: Number of the sound track, from 1. None means the first one that is not silent; tracks with the default
            flag come before others.
        clock: Stream whose beginning is second 0 of a video with sound: ``"picture"`` as for Blender's movie strips, or
            ``"sound"`` as for its sound strips.
        pictures: File names of the pictures of a sequence, in order, in the folder ``path``. Empty means those that
            match the pattern, or the longest numbered sequence in the folder.
        rate: Frames per second of a sequence, as in :class:`DubJob`; empty means 25. A movie has its own rate.
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
    """A sound file on the timeline of a mix. Values of a curve are evenly spaced in time and interpolated linearly.

    Attributes:
        path: The file.
        at: Second of the mix at which the sound starts.
        seconds: Duration in the mix.
        moments: Curve of the second of the file that is heard, counted from the first sample, in a video as well: two
            values or more, from ``at`` to the end.
        volumes: Curve of the factor by which samples are multiplied: one value or more.
        pans: Curve from -1 (left) through 0 to 1 (right); 2 and -2 are behind the listener. As in Blender, it affects
            sounds with one channel only.
        mono: Whether the channels are mixed down to one first, as with Mono in Blender.
        track: Number of the sound track, from 1. None means the first, which Blender plays; if that is silent, as in
            :class:`Media`.
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
        seconds: Duration.
        sounds: Sounds that are added together; between them, the mix is silent.
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
    """File format of a result.

    Attributes:
        format: ``"h264"`` (MP4), ``"prores"`` (MOV), ``"ffv1"`` (lossless, MKV), or a folder of ``"png"`` or ``"exr"``
            pictures.
        crf: Constant rate factor of H.264, 0 to 51. Lower values give better quality and larger files; 17 looks
            nearly like the source.
        layer: ``"picture"`` for whole frames, ``"mouth"`` for an overlay of the mouth with soft alpha.
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
    """A pinhole camera through which a picture is rendered.

    Attributes:
        fx: Focal length in pixels, across.
        fy: Focal length in pixels, down.
        cx: Principal point in pixels from the left edge of the picture; the centre of the first pixel lies at 0.5.
        cy: Principal point in pixels from the top edge.
        width: Width of the picture in pixels, 1 to 8192.
        height: Height of the picture in pixels, 1 to 8192.
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
    """List the versions, devices and back-ends of the engine."""

    verb: ClassVar[str] = "info"
    device: Device = "auto"


@dataclass(frozen=True)
class CheckJob:
    """Judge footage before training on it.

    Attributes:
        footage: The speaker's video.
        voice: The speaker's sound, if it is not in the video.
        landmarks: Landmark back-end: ``"bundled"``, ``"face-alignment"`` or the path of a ``.task`` file.
    """

    verb: ClassVar[str] = "check"
    footage: Media
    voice: Media | None = None
    landmarks: str = "bundled"
    device: Device = "auto"


@dataclass(frozen=True)
class TrainJob:
    """Train a speaker from footage.

    Attributes:
        footage: The speaker's video.
        speaker_path: The ``.s2l`` file to write.
        name: The speaker's name, which is stored in the file.
        voice: The speaker's sound, if it is not in the video.
        preset: Duration of the training; longer gives better lips.
        architecture: How lips are made: from ``"exemplars"``, which are real mouths of the footage, or rendered by one
            of the lip models ``"grids"``, ``"explicit"`` and ``"paper"``; None means that of the preset.
        landmarks: As in :class:`CheckJob`.
        speech: Speech features: ``"log-mel"``, or the folder of a HuBERT or wav2vec 2.0 network, optionally followed by
            ``#`` and the number of a layer.
        seed: Random seed, 0 to 2**63 - 1. On the CPU, the same job with the same seed gives the same speaker file.
        consent: Whether the person in the footage agreed to the training, which is required and stored in the file.
        any_sound: Whether to train even if the lips do not move with the sound.
        consent_record: Who agreed, to what, and until when. It is written into the ledger beside the speaker file,
            which states only its hash. None means that the speaker agreed to any use, without an end.
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
    consent_record: ConsentRecord | None = None

    def __post_init__(self) -> None:
        _refuse_seed(self.seed)


@dataclass(frozen=True)
class DubJob:
    """Dub a speaker with other speech.

    Attributes:
        speaker_path: The ``.s2l`` file.
        footage: Video of that speaker, in which the mouth is replaced.
        voice: The new speech: a span of a file, or sounds on a timeline.
        output_path: The movie file, or the folder of pictures, to write.
        rate: Frames per second of the output as a fraction, e.g. ``"25"`` or ``"30000/1001"``; empty means
            that of the footage.
        remainder: What happens if the footage is longer than the voice: ``"stop"`` with the voice, or ``"keep"`` the
            rest of the footage unchanged. If the footage is shorter, it plays forwards and backwards. Without effect
            with ``moments``.
        moments: Second of the medium that each frame of the output shows, in any order. Empty means that the output is
            as long as the voice and plays the footage at its own speed from its start.
        encoding: File format of the output.
        silence_db: Curve over the output: level at which the mouth closes, in dB relative to the loudness of the
            speech; a higher level closes it more often. Empty means that the mouth behaves in short pauses
            like the speaker's, and closes in long ones and in silence.
        rest_strength: Curve over the output: share of that closing that takes place, from 0 to 1.
        landmarks: As in :class:`CheckJob`; the landmark model must be that of the training.
        speech_network: Folder of the network that computes the speaker's speech features, for a speaker file from
            another machine; it is remembered. Empty means log-mel, or a network that was approved on this machine
            before.

    A curve is one value, or values that are evenly spaced from the first frame to the last and interpolated linearly.
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
        _refuse_closing(self.silence_db, self.rest_strength)


@dataclass(frozen=True)
class StillJob:
    """Make one picture speak: a photograph, a painting, a render, or a frame of a movie.

    Attributes:
        picture: The picture: a file, or a movie or a sequence of pictures whose ``start`` is the moment of the frame.
            ``face`` chooses among several people.
        voice: The speech, as in :class:`DubJob`.
        output_path: The movie file, or the folder of pictures, to write. It is as long as the voice.
        rate: Frames per second of the output, as in :class:`DubJob`; empty means 25.
        encoding: File format of the output.
        speaker_path: The ``.s2l`` file of a speaker whose way of speaking moves the lips, and whose mouths fill an
            opened mouth. Empty means the motion and the inside of the mouth that are included.
        blinks: Whether the eyes blink.
        head_motion: Whether the head moves slightly, within a degree. Pixels of the whole head change then.
        silence_db: As in :class:`DubJob`.
        rest_strength: As in :class:`DubJob`.
        landmarks: As in :class:`CheckJob`, for a landmark model of 468 points.
        seed: Random seed of blinks and motion of the head, 0 to 2**63 - 1.
        speech_network: As in :class:`DubJob`.
        consent: Whether the person in the picture agreed to it, or nobody has to be asked, as for a painting or a
            render; required, also for a preview.
        consent_record: Who agreed, to what, and until when. It is written into the ledger beside the result.
    """

    verb: ClassVar[str] = "still"
    picture: Media
    voice: Media | Mix
    output_path: str
    rate: str = ""
    encoding: Encoding = Encoding()
    speaker_path: str = ""
    blinks: bool = False
    head_motion: bool = False
    silence_db: tuple[float, ...] = ()
    rest_strength: tuple[float, ...] = (1.0,)
    landmarks: str = "bundled"
    device: Device = "auto"
    seed: int = 0
    speech_network: str = ""
    consent: bool = False
    consent_record: ConsentRecord | None = None

    def __post_init__(self) -> None:
        if self.rate:
            parse_rate(self.rate)
        _refuse_seed(self.seed)
        _refuse_closing(self.silence_db, self.rest_strength)


@dataclass(frozen=True)
class PreviewJob:
    """Render a single frame of a dub or a still, to check the result before rendering all of them.

    Attributes:
        dub: The dub, or the still. Its output is not touched.
        frame: Index of the frame in its output, from 0.
        output_path: The PNG file to write.
    """

    verb: ClassVar[str] = "preview"
    dub: DubJob | StillJob
    frame: int
    output_path: str

    def __post_init__(self) -> None:
        if self.frame < 0:
            raise BadJob(f"The frame to preview is {self.frame}; it must be 0 or more.")


@dataclass(frozen=True)
class OffsetJob:
    """Measure the delay of a speaker's sound after the lips.

    Attributes:
        footage: The speaker's video.
        voice: The speaker's sound, which starts at the same time as the footage.
        landmarks: As in :class:`CheckJob`.
    """

    verb: ClassVar[str] = "offset"
    footage: Media
    voice: Media
    landmarks: str = "bundled"
    device: Device = "auto"


@dataclass(frozen=True)
class FacesJob:
    """Find the people in a video or a picture, so that one of them can be chosen.

    Attributes:
        footage: The video, or the file of a picture.
        output_path: Folder to which a picture of each face is written.
    """

    verb: ClassVar[str] = "faces"
    footage: Media
    output_path: str
    device: Device = "auto"


@dataclass(frozen=True)
class EstimateJob:
    """Estimate time, memory and disk space that another job needs on this machine.

    Attributes:
        job: The other job.
        measure: Whether to measure the speed of the machine first, if that was not done before. It takes some seconds,
            during which the machine should not be busy.
    """

    verb: ClassVar[str] = "estimate"
    job: CheckJob | TrainJob | DubJob | StillJob
    measure: bool = True


@dataclass(frozen=True)
class EvaluateJob:
    """Measure a speaker on the end of its training footage, which was held out from training.

    Attributes:
        speaker_path: The ``.s2l`` file.
        footage: The training footage, if it was moved; None means the path in the speaker file.
        voice: The sound of the training footage, if it was moved.
        landmarks: The ``.task`` file that the speaker was trained with, since a path in a speaker file is not trusted;
            empty for installed landmark back-ends.
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
    """Draw where a face moves, with and without the motion of the head.

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
    """Export the head of a speaker file: mesh, poses, expression curves and background plate.

    Attributes:
        speaker_path: The ``.s2l`` file.
        footage: Video of that speaker, whose poses and expressions are exported.
        output_path: The ``.npz`` file to write; the plate is written beside it.
        landmarks: As in :class:`CheckJob`; the landmark model must be that of the training.
        depth: Where the head's depth comes from: ``"learned"`` from the training, or ``"mesh"`` from the mesh of the
            landmarks and a round head around it, as in the paper.
    """

    verb: ClassVar[str] = "head"
    speaker_path: str
    footage: Media
    output_path: str
    landmarks: str = "bundled"
    device: Device = "auto"
    depth: Depth = "learned"


@dataclass(frozen=True)
class PoseJob:
    """Render a speaker's head along a camera path.

    Attributes:
        speaker_path: The ``.s2l`` file.
        footage: Video of that speaker, original or dubbed.
        camera_path: The JSON file, see :mod:`s2l_core.whole_head.camera_path`.
        output_path: The movie file to write.
        background: Whether to show the background plate behind the head; otherwise it is black.
        fade: Whether poses outside the range that the footage shows are replaced by the nearest trusted ones.
        landmarks: As in :class:`HeadJob`.
        depth: As in :class:`HeadJob`.
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
    depth: Depth = "learned"


@dataclass(frozen=True)
class RenderJob:
    """Render a speaker's head in one frame as seen by another camera.

    Attributes:
        speaker_path: The ``.s2l`` file.
        footage: Video of that speaker, original or dubbed: the whole span of an animation, which is analysed once.
        moment: Time of the frame to show, in seconds from the start of the medium.
        camera: The new view.
        pose: camera_from_head in the new view: 16 numbers, row by row, of a rigid 4x4 matrix with OpenCV's axes, in
            millimetres.
        output_path: The ``.npy`` file to write.
        camera_from_footage: Pose of the footage's camera, and of the plate with it, in the new view, as for ``pose``;
            empty if the head has its tracked pose in front of that camera, so that it follows from ``pose``.
        background: Whether to show the background plate behind the head; otherwise it is transparent.
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
    """Show the description in a speaker file.

    Attributes:
        speaker_path: The ``.s2l`` file.
        picture_path: PNG or JPEG file to which the speaker's portrait is written; empty for none.
    """

    verb: ClassVar[str] = "describe"
    speaker_path: str
    picture_path: str = ""
    device: Device = "auto"


@dataclass(frozen=True)
class ConsentJob:
    """List the records of consent in a ledger, show one, or revoke one.

    Attributes:
        action: ``"list"``, ``"show"`` or ``"revoke"``.
        path: The ledger ``consent.s2l.json``, its folder, or a file beside it, which then names its own record.
        record: The hash of the record, its first six digits or more, the name of the person, or the name of a file;
            empty if the path names it.
        reason: Why the consent is revoked.
    """

    verb: ClassVar[str] = "consent"
    action: ConsentAction
    path: str
    record: str = ""
    reason: str = ""
    device: Device = "auto"


@dataclass(frozen=True)
class VerifyJob:
    """Check the content credentials of files: what is signed, by whom, whether it was changed, and what it was made
    from.

    Attributes:
        files: Files, and folders of pictures.
    """

    verb: ClassVar[str] = "verify"
    files: tuple[str, ...]
    device: Device = "auto"

    def __post_init__(self) -> None:
        if not self.files or not all(self.files):
            raise BadJob("The job names no file to verify.")


@dataclass(frozen=True)
class SignJob:
    """Sign files that another program rendered from results of ours, which lose their credentials by that.

    Attributes:
        files: The files, each of which is signed by itself.
        sources: What is seen in them: results, and footage of heads.
    """

    verb: ClassVar[str] = "sign"
    files: tuple[str, ...]
    sources: tuple[str, ...]
    device: Device = "auto"

    def __post_init__(self) -> None:
        if not self.files or not all(self.files):
            raise BadJob("The job names no file to sign.")
        if not all(self.sources):
            raise BadJob("A source of the files to sign has no name.")


@dataclass(frozen=True)
class CalibrateJob:
    """Measure the speed of this machine for :mod:`s2l_core.estimates`, or return the earlier measurement.

    Attributes:
        anew: Whether to measure again if there is an earlier measurement.
    """

    verb: ClassVar[str] = "calibrate"
    anew: bool = False
    device: Device = "auto"


Job = (
    InfoJob
    | CheckJob
    | TrainJob
    | DubJob
    | StillJob
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
    | ConsentJob
    | VerifyJob
    | SignJob
    | CalibrateJob
)
JOB_TYPES: dict[str, type[Job]] = {job_type.verb: job_type for job_type in typing.get_args(Job)}


def refuse_without_consent(job: TrainJob | StillJob) -> None:
    """Raise an error if a job does not say that the person in the footage or the picture agreed to it, or if the last
    day of the consent has passed.

    Everything that makes such a job asks here: the verb, whoever made the job, and what adds a job to a queue. Whether
    the consent was revoked since is in the ledger, see :mod:`s2l_core.consent_ledger`.

    Raises:
        ConsentMissing: The job does not contain the consent.
        ConsentExpired: The last day of the consent has passed.
    """
    if job.consent:
        if job.consent_record is not None:
            job.consent_record.refuse_expired()
        return
    if isinstance(job, StillJob):
        raise ConsentMissing(f"A picture speaks only with the consent of the person in {job.picture.path}.")
    raise ConsentMissing(f"Training {job.name[:80]} needs the consent of the person in {job.footage.path}.")


def consent_record_of(job: TrainJob) -> ConsentRecord:
    """The record under which a speaker is trained; without details, the speaker agreed to any use, without an end."""
    return job.consent_record or ConsentRecord(job.name.strip()[:LONGEST_NAME] or "Speaker")


def is_rigid(matrix: tuple[float, ...]) -> bool:
    """Whether 16 numbers, row by row, are a rigid 4x4 matrix: a rotation and a translation by up to 1e9 units."""
    if len(matrix) != 16 or not all(abs(value) <= _FARTHEST for value in matrix):
        return False
    a, b, c = (matrix[start : start + 3] for start in (0, 4, 8))
    a_cross_b = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    # Rows of unit length, the first two at right angles, and the third their cross product (right-handed).
    wrong = [math.dist(c, a_cross_b), sum(map(operator.mul, a, b)), math.hypot(*a) - 1.0, math.hypot(*b) - 1.0]
    wrong += [matrix[column] - (column == 15) for column in range(12, 16)]
    return all(abs(value) <= _RIGID_TOLERANCE for value in wrong)


def parse_rate(text: str) -> Fraction:
    """Frames per second from text such as ``"25"``, ``"29.97"`` or ``"30000/1001"``.

    Raises:
        BadJob: The text is not a frame rate between 1 and 1000.
    """
    try:
        rate = Fraction(
            text if _RATE.fullmatch(text) else ""
        )  # no exponents: 1e99999999 would take for ever to compute
    except (ValueError, ZeroDivisionError):
        raise BadJob(f"{shortened(text)} is not a frame rate.", "Write it like 25 or 30000/1001.") from None
    if not 1 <= rate <= 1000:
        raise BadJob(f"A frame rate of {text} is not between 1 and 1000.")
    return rate


def _is_moment(value: float) -> bool:
    """Whether a number is a valid time in a medium or on a timeline; False for NaN."""
    return 0.0 <= value <= _LONGEST_SECONDS


def _refuse_seed(seed: int) -> None:
    if not 0 <= seed <= _LARGEST_SEED:
        raise BadJob(f"A seed must be a whole number from 0 to {_LARGEST_SEED}.")


def _refuse_closing(silence_db: tuple[float, ...], rest_strength: tuple[float, ...]) -> None:
    """Raise an error for invalid curves of the closing of the mouth in pauses."""
    if not all(abs(level) <= _LARGEST_VALUE for level in silence_db):
        raise BadJob("The level at which the mouth closes is not a number, or is too large.")
    if not rest_strength or not all(0.0 <= strength <= 1.0 for strength in rest_strength):
        raise BadJob("The strength of the resting pose is not between 0 and 1.")


def _refuse_track(path: str, track: int | None) -> None:
    if track is not None and track < 1:
        raise BadJob(f"{path} has no sound track {track}.", "Tracks are counted from 1.")


def _is_file_name(name: str) -> bool:
    """Whether a text is a file name without a folder."""
    return (
        _FILE_NAME.fullmatch(name) is not None
        and name not in (".", "..")
        and (":" not in name or name == Path(name).name)
    )


def to_document(job: Job) -> dict[str, Any]:
    """JSON values of a job, with its verb and the schema version."""
    document = {"schema": SCHEMA_VERSION, "verb": job.verb, **dataclasses.asdict(job)}
    if isinstance(job, EstimateJob):
        document["job"] = {"verb": job.job.verb, **document["job"]}
    if isinstance(job, PreviewJob):
        document["dub"] = {"verb": job.dub.verb, **document["dub"]}
    return document


def from_document(document: Any) -> Job:
    """The job in a document. Nothing in the document is trusted, see :class:`.dataclass_reader.DataclassReader`.

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
    if fields.get("verb") == PreviewJob.verb and isinstance(fields.get("dub"), dict):
        fields["dub"] = {"verb": DubJob.verb, **fields["dub"]}  # a document from before stills does not say it
    return typing.cast(Job, _READER.read_by_verb(JOB_TYPES.values(), fields, "job"))


def to_json(job: Job) -> str:
    """JSON text of a job."""
    return json.dumps(to_document(job), indent=2)


def from_json(text: str) -> Job:
    """The job in a JSON text.

    Raises:
        BadJob: See :func:`from_document`; or the text is not JSON.
    """
    if len(text) > _LONGEST_DOCUMENT:
        raise BadJob(f"The job has {len(text)} characters; the limit is {_LONGEST_DOCUMENT}.")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # also of integers with thousands of digits
        raise BadJob("The job is not valid JSON.") from None
    return from_document(document)

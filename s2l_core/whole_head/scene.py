"""A speaker's head in footage of that speaker, which the verbs ``head``, ``pose`` and ``render`` start from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..cache import NO_CACHE, Cache
from ..canonical.view import CanonicalHead, round_head
from ..device import choose_device
from ..errors import SpeakerWithoutDepth
from ..events import Report
from ..face.matte import Matting, open_matting
from ..fingerprints import fingerprint_file
from ..footage import Footage, prepare
from ..geometry.trust import TrustRegion, seen_angles, trust_region
from ..jobs import Depth, HeadJob, PoseJob, RenderJob
from ..model.speaker import SpeakerModel
from ..version import VERSION
from .plate import Plate, make_surroundings
from .torso import Torso


@dataclass(frozen=True)
class HeadScene:
    """A head and its footage.

    Attributes:
        speaker: The speaker, with a learned depth of the head.
        footage: Footage of that speaker.
        plate: The background behind the person.
        torso: Neck and shoulders.
        matting: Cuts the person out of frames.
        region: Trust region of the head's poses.
        cache: Cache of what was seen in the whole clip.
    """

    speaker: SpeakerModel
    footage: Footage
    plate: Plate
    torso: Torso
    matting: Matting
    region: TrustRegion
    cache: Cache = NO_CACHE

    @property
    def head(self) -> CanonicalHead:
        return self.speaker.face.head


def open_scene(job: HeadJob | PoseJob | RenderJob, report: Report) -> HeadScene:
    """Load the speaker of a job, track the head in its footage, and compute the background plate.

    Raises:
        SpeakerWithoutDepth: The training footage did not determine the depth of the head.
        BadJob: The speaker was trained with a different landmark model.
        Speech2LipError: As :meth:`SpeakerModel.load` and :func:`s2l_core.footage.prepare`.
    """
    device = choose_device(job.device)
    speaker = SpeakerModel.load(job.speaker_path, device)
    head = speaker.face.head
    if not (head.mask.any() and head.confidence[head.mask].any()):
        raise SpeakerWithoutDepth(f"{job.speaker_path} has no learned depth of the head.")
    footage = prepare(
        job.footage, job.landmarks, device.type, report, known=speaker.known_head, identity=speaker.identity
    )
    if depth_of(job) == "mesh":
        head = round_head(head, footage, head.mask.cpu().numpy())
        speaker = replace(speaker, face=replace(speaker.face, head=head))
    angles = seen_angles(footage.track.poses[footage.track.found])
    region = trust_region(angles)
    matting = open_matting()
    cache = _cache_of(job, footage, device.type)
    plate, torso = make_surroundings(footage, head, matting, report, cache)
    return HeadScene(speaker, footage, plate, torso, matting, region, cache)


def depth_of(job: HeadJob | PoseJob | RenderJob) -> Depth:
    """The depth of the head that a job asks for."""
    return "learned" if isinstance(job, RenderJob) else job.depth


def _cache_of(job: HeadJob | PoseJob | RenderJob, footage: Footage, device: str) -> Cache:
    """Cache of what was seen in the whole clip."""
    span = replace(job.footage, path=footage.fingerprint)
    speaker = fingerprint_file(job.speaker_path)
    return Cache.of_shared("scenes", VERSION, speaker, depth_of(job), span, job.landmarks, device)

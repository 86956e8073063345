"""A speaker's head in footage of that speaker, which the verbs ``head``, ``pose`` and ``render`` start from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..canonical.view import CanonicalHead, round_head
from ..device import choose_device
from ..errors import SpeakerWithoutDepth
from ..events import Report
from ..face.matte import Matting, open_matting
from ..footage import Footage, prepare
from ..geometry.trust import TrustRegion, seen_angles, trust_region
from ..jobs import HeadJob, PoseJob, RenderJob
from ..model.speaker import SpeakerModel
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
    """

    speaker: SpeakerModel
    footage: Footage
    plate: Plate
    torso: Torso
    matting: Matting
    region: TrustRegion

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
    if not isinstance(job, RenderJob) and job.depth == "mesh":
        head = round_head(head, footage, head.mask.cpu().numpy())
        speaker = replace(speaker, face=replace(speaker.face, head=head))
    angles = seen_angles(footage.track.poses[footage.track.found])
    region = trust_region(angles)
    matting = open_matting()
    plate, torso = make_surroundings(footage, head, matting, report)
    return HeadScene(speaker, footage, plate, torso, matting, region)

"""What the content credentials of results say, see ``s2l_core/credentials/claim.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..canonical.regions import plan_regions
from ..credentials.claim import Claim, Run, Source
from ..fingerprints import fingerprint_file
from ..geometry.camera import Rectangle
from ..jobs import DubJob, Media, Mix, PoseJob, StillJob
from ..media.mix import sources
from ..media.sequence import is_sequence
from ..media.single_picture import picture_path
from ..model.speaker import SpeakerModel
from ..mouth.dub_frames import DubFrames
from ..mouth.reliability import Reliability


def claim_of_dub(job: DubJob, speaker: SpeakerModel, frames: DubFrames, judged: Reliability) -> Claim:
    """The claim of a dub: its footage was changed around the mouth, in the frames that were dubbed."""
    changed = np.flatnonzero(judged.weights)
    return Claim(
        part="lips",
        opened=(_source_of(job.footage),),
        placed=_voices(job.voice),
        consent=speaker.consent_hash,
        frames=_runs(changed),
        box=_box(speaker, frames, changed) if len(changed) else None,
        synthesis="compositeWithTrainedAlgorithmicMedia" if len(changed) else None,
    )


def claim_of_dubbed_frame(job: DubJob, speaker: SpeakerModel) -> Claim:
    """The claim of a picture of a single frame of a dub."""
    return Claim("lips", (_source_of(job.footage),), _voices(job.voice), speaker.consent_hash)


def claim_of_still(job: StillJob, box: Rectangle) -> Claim:
    """The claim of a picture that speaks: it was changed inside a box in all frames."""
    path = picture_path(job.picture)
    opened = _source_of(job.picture) if path is None else Source(str(path), fingerprint_file(str(path)))
    consent = job.consent_record.hash if job.consent_record else ""
    changed = box.left, box.top, box.left + box.width, box.top + box.height
    return Claim("a picture that was made to speak", (opened,), _voices(job.voice), consent, box=changed)


def claim_of_pose(job: PoseJob, speaker: SpeakerModel) -> Claim:
    """The claim of a head as another camera sees it: every pixel is rendered, with the colours of the footage."""
    opened = (_source_of(job.footage),)
    synthesis = "compositeWithTrainedAlgorithmicMedia" if job.background else "trainedAlgorithmicMedia"
    return Claim("head", opened, consent=speaker.consent_hash, synthesis=synthesis)  # type: ignore[arg-type]


def _source_of(media: Media) -> Source:
    if not is_sequence(media):
        return Source(media.path, fingerprint_file(media.path))
    folder = Path(media.path)
    return Source(str(folder if folder.is_dir() else folder.parent))


def _voices(voice: Media | Mix) -> tuple[Source, ...]:
    return tuple(Source(path, fingerprint_file(path)) for path in dict.fromkeys(sources(voice)))


def _runs(numbers: np.ndarray) -> tuple[Run, ...]:
    """First and last number of each run of successive ones."""
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return tuple((int(part[0]), int(part[-1])) for part in parts if len(part))


def _box(speaker: SpeakerModel, frames: DubFrames, changed: np.ndarray) -> tuple[int, int, int, int]:
    """The rectangle, in pixels of the result, that contains the changed region of every frame."""
    footage = frames.footage
    plan = plan_regions(speaker.face, footage.track)
    corners = plan.corners[frames.indices[changed]]
    lens = footage.track.intrinsics
    scale = np.array([footage.info.width / lens.width, footage.info.height / lens.height])
    first = np.clip(corners.min(axis=0), 0, [lens.width, lens.height]) * scale
    last = np.clip(corners.max(axis=0) + [plan.width, plan.height], 0, [lens.width, lens.height]) * scale
    left, top, right, bottom = (int(side) for side in (*np.floor(first), *np.ceil(last)))
    return left, top, right, bottom

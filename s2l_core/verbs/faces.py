"""The verb ``faces``: finds the people in a video or a picture and writes a portrait of each, to choose from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import CannotWrite, NoFace, NotAVideo
from ..events import Report
from ..face.blazeface import Region
from ..face.identity import OTHER, SAME, distance, is_clear, is_still, measure_breadth
from ..face.layout import MESH468
from ..face.mesh_detector import MeshDetector, region_of
from ..face.mesh_models import bundled_models
from ..face.recognition import describe_face
from ..files import folder_for_results, reserved, write_together
from ..jobs import Encoding, FacesJob, Media
from ..media.pictures import encode_picture
from ..media.sequence import files_of, is_sequence
from ..media.single_picture import picture_path, read_single_picture
from ..media.video import Frame, probe, read_frames
from ..results import FacesResult

_PICTURE_NAME = re.compile(r"face_\d+\.png", re.IGNORECASE)
_MOST_FRAMES = 24
_PICTURE_SIDE = 128
_LEAST_SHARE = 0.1
"""Share of the sampled frames in which a person must be seen: what is seen less often is not the speaker, and often not
a face.
"""


@dataclass
class _Person:
    """A person in the sampled frames.

    Attributes:
        since: Second of the medium at which the person was first seen.
        regions: Position and size of the face in each frame.
        points: Landmarks (P, 3) in each frame.
        identities: Descriptors of the face in the frames that show it clearly.
        picture: uint8 (h, w, 3), the largest face.
    """

    since: float
    regions: list[Region] = field(default_factory=list)
    points: list[NDArray[np.float32]] = field(default_factory=list)
    identities: list[NDArray[np.float64]] = field(default_factory=list)
    picture: NDArray[np.uint8] | None = None

    @property
    def encoded(self) -> bytes:
        """The picture, encoded as PNG."""
        assert self.picture is not None
        return encode_picture(self.picture, Encoding("png"))

    @property
    def is_still(self) -> bool:
        """Whether the face never moves, like a photograph."""
        return len(self.points) > 2 and is_still(np.stack(self.points), MESH468)

    def add(self, points: NDArray[np.float32], identity: NDArray[np.float64] | None, image: NDArray[np.uint8]) -> None:
        """Add the face in another frame."""
        region = region_of(points)
        if self.picture is None or region.side > max(before.side for before in self.regions):
            self.picture = _portrait(image, region)
        self.regions.append(region)
        self.points.append(points)
        if identity is not None:
            self.identities.append(identity)

    def is_near(self, region: Region) -> bool:
        """Whether a face is where this person was last seen."""
        last = self.regions[-1]
        return bool(np.hypot(last.x - region.x, last.y - region.y) < min(last.side, region.side) / 2)

    def distance(self, identity: NDArray[np.float64] | None) -> float | None:
        """Distance of a face's descriptor from that of this person; None if either was never seen clearly."""
        if identity is None or not self.identities:
            return None
        return float(distance(np.mean(self.identities, axis=0), identity))


def faces(job: FacesJob, report: Report | None = None) -> FacesResult:
    """Find people in a picture, or in evenly spaced frames of a video. A person who is elsewhere after a cut is
    recognised by the face.

    Raises:
        FileMissing, NotAVideo: The video cannot be used.
        NoFace: No frame shows a face.
        LandmarksUnavailable: The face detector is missing.
        RecognitionUnavailable: The network that recognises faces is missing.
        CannotWrite, DiskFull: The pictures cannot be written.
    """
    folder = Path(job.output_path)
    first = str(_picture_path(folder, 1))
    sources = [Path(path).resolve() for path in files_of(job.footage)]
    with folder_for_results(job.output_path), reserved(first):
        if any(path.parent == folder.resolve() and _PICTURE_NAME.fullmatch(path.name) for path in sources):
            raise CannotWrite(f"{folder} holds the footage.", "Name another folder for the pictures.")
        return _faces(job, report or Report())


def _faces(job: FacesJob, report: Report) -> FacesResult:
    (width, height), frames = _frames(job.footage, report)
    detector = MeshDetector(bundled_models())
    people: list[_Person] = []
    count = 0
    for moment, image in frames:
        count += 1
        known = list(people)
        for face in detector.detect_all(image):
            identity = None
            if is_clear(face.points, MESH468):
                breadth = measure_breadth(face.points[None], MESH468)
                identity = np.append(describe_face(image, face.points, MESH468), breadth).astype(np.float64)
            person = _find(known, face.points, identity)
            if person is None:
                person = _Person(moment)
                people.append(person)
            else:
                known.remove(person)
            person.add(face.points, identity, image)
    seen = [person for person in people if len(person.regions) >= _LEAST_SHARE * count]
    if not seen:
        raise NoFace(f"No frame of {job.footage.path} shows a face.")
    seen.sort(key=lambda person: (person.is_still, -len(person.regions), -person.regions[0].side))
    paths = [str(_picture_path(Path(job.output_path), number)) for number in range(1, len(seen) + 1)]
    write_together({path: person.encoded for path, person in zip(paths, seen, strict=True)}, lasting=False)
    return {
        "faces": [
            {
                "x": float(np.clip(person.regions[0].x / width, 0.0, 1.0)),
                "y": float(np.clip(person.regions[0].y / height, 0.0, 1.0)),
                "since": person.since,
                "share": len(person.regions) / count,
                "width_px": float(np.median([region.face_side for region in person.regions])),
                "picture": path,
            }
            for path, person in zip(paths, seen, strict=True)
        ]
    }


def _frames(media: Media, report: Report) -> tuple[tuple[int, int], Iterator[tuple[float, NDArray[np.uint8]]]]:
    """Width and height, and the picture of a file, or evenly spaced frames of a video, with their times."""
    if is_sequence(media) or picture_path(media) is None:
        info = probe(media)
        return info.true_size, ((frame.time, frame.image) for frame in _spread(media, info.duration, report))
    image = read_single_picture(media).image
    height, width = image.shape[:2]
    return (width, height), iter([(0.0, image)])


def _find(known: list[_Person], points: NDArray[np.float32], identity: NDArray[np.float64] | None) -> _Person | None:
    """The person that a face belongs to, or None: the person last seen at this place unless the faces clearly differ,
    else the one whose face is clearly the same.
    """
    region = region_of(points)
    apart = {number: person.distance(identity) for number, person in enumerate(known)}
    for number, person in enumerate(known):
        value = apart[number]
        if person.is_near(region) and (value is None or value < OTHER):
            return person
    alike = {number: value for number, value in apart.items() if value is not None and value < SAME}
    return known[min(alike, key=lambda number: alike[number])] if alike else None


def _spread(media: Media, duration: float, report: Report) -> Iterator[Frame]:
    """Evenly spaced frames of a span."""
    end = duration if media.end is None else min(media.end, duration)
    if media.start >= end:
        raise NotAVideo(f"{media.path} has no picture after {media.start:g} s.", "Check the trim of the strip.")
    moments = media.start + (end - media.start) * np.arange(_MOST_FRAMES) / _MOST_FRAMES
    for number, moment in enumerate(moments):
        report.progress("Find faces", number, _MOST_FRAMES)
        frame = next(read_frames(replace(media, start=float(moment))), None)
        if frame is not None:
            yield frame
    report.progress("Find faces", _MOST_FRAMES, _MOST_FRAMES)


def _portrait(image: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    matrix = region.to_image(_PICTURE_SIDE)
    return np.asarray(
        cv2.warpAffine(image, matrix, (_PICTURE_SIDE, _PICTURE_SIDE), flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP),
        np.uint8,
    )


def _picture_path(folder: Path, number: int) -> Path:
    return folder / f"face_{number}.png"

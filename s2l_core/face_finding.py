"""The verb ``faces``: the people in a video, each with a picture, to choose one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import NoFace, NotAVideo
from .events import Report
from .face.blazeface import Region
from .face.mesh_detector import MeshDetector
from .face.mesh_models import bundled_models
from .files import refusal
from .jobs import Encoding, FacesJob, Media
from .media.pictures import write_picture
from .media.video import Frame, probe, read_frames

_MOST_FRAMES = 24
_PICTURE_SIDE = 128
_LEAST_SHARE = 0.1
"""Of the frames: what is seen more seldom is no speaker, and often no face."""


@dataclass
class _Person:
    """Somebody who was seen: in which regions, and best in which picture."""

    regions: list[Region] = field(default_factory=list)
    picture: NDArray[np.uint8] | None = None

    def see(self, region: Region, image: NDArray[np.uint8]) -> None:
        if self.picture is None or region.side > max(before.side for before in self.regions):
            self.picture = _portrait(image, region)
        self.regions.append(region)

    def was_at(self, region: Region) -> bool:
        last = self.regions[-1]
        return bool(np.hypot(last.x - region.x, last.y - region.y) < min(last.side, region.side) / 2)


def faces(job: FacesJob, report: Report | None = None) -> dict[str, Any]:
    """Look for people in frames that are spread over a video. Who moves far away at a cut counts as somebody else.

    Returns:
        ``faces``, of those who are seen in a tenth of the frames or more, who is seen most first: ``x`` and ``y`` for
        :class:`s2l_core.jobs.Media`, ``share`` of the frames with that person, ``width_px``, and ``picture``, a PNG
        file.

    Raises:
        FileMissing, NotAVideo: What is wrong with the video.
        NoFace: Nobody is seen.
        LandmarksUnavailable: There is no face detector.
        CannotWrite, DiskFull: The pictures cannot be written.
    """
    report = report or Report()
    info = probe(job.footage.path)
    detector = MeshDetector(bundled_models())
    people: list[_Person] = []
    count = 0
    for frame in _spread(job.footage, info.duration, report):
        count += 1
        known = list(people)
        for region in detector.find_all(frame.image):
            person = next((person for person in known if person.was_at(region)), None)
            if person is None:
                person = _Person()
                people.append(person)
            else:
                known.remove(person)
            person.see(region, frame.image)
    seen = [person for person in people if len(person.regions) >= _LEAST_SHARE * count]
    if not seen:
        raise NoFace(f"No frame of {job.footage.path} shows a face.")
    seen.sort(key=lambda person: (len(person.regions), person.regions[0].side), reverse=True)
    return {
        "faces": [
            {
                "x": float(np.clip(person.regions[0].x / info.width, 0.0, 1.0)),
                "y": float(np.clip(person.regions[0].y / info.height, 0.0, 1.0)),
                "share": len(person.regions) / count,
                "width_px": float(np.median([region.face_side for region in person.regions])),
                "picture": _write(person, Path(job.output_path) / f"face_{number}.png"),
            }
            for number, person in enumerate(seen, start=1)
        ]
    }


def _spread(media: Media, duration: float, report: Report) -> Iterator[Frame]:
    """Frames that are spread evenly over a span."""
    end = duration if media.end is None else min(media.end, duration)
    if media.start >= end:
        raise NotAVideo(f"{media.path} has no picture after {media.start:g} s.", "Check the trim of the strip.")
    moments = media.start + (end - media.start) * np.arange(_MOST_FRAMES) / _MOST_FRAMES
    for number, moment in enumerate(moments):
        report.progress("Find faces", number, _MOST_FRAMES)
        frame = next(read_frames(Media(media.path, float(moment), media.end)), None)
        if frame is not None:
            yield frame
    report.progress("Find faces", _MOST_FRAMES, _MOST_FRAMES)


def _portrait(image: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    matrix = region.to_image(_PICTURE_SIDE)
    return np.asarray(
        cv2.warpAffine(image, matrix, (_PICTURE_SIDE, _PICTURE_SIDE), flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP),
        np.uint8,
    )


def _write(person: _Person, path: Path) -> str:
    assert person.picture is not None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refusal(path, error) from error
    write_picture(path, person.picture, Encoding("png"))
    return str(path)

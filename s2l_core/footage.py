"""Footage: a clip that has been looked at once, with the head's pose in every frame, and cached by its content."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from platformdirs import user_cache_path

from .errors import FootageTooShort, NoFace, NotAVideo, TooFewFaces
from .events import Report
from .face.landmarks import open_detector
from .face.layout import IBUG68, MESH468, LandmarkLayout, mouth_opening
from .face.tracking import HeadTrack, find_shots, no_head, track_head
from .jobs import Media
from .media.video import Frame, VideoInfo, probe, read_frames

_CACHE_VERSION = 1
_TIME_TOLERANCE = 1e-3
_LAYOUTS = {layout.name: layout for layout in (MESH468, IBUG68)}
_LEAST_FACE_SHARE = 0.5
_SHORTEST_SECONDS = 10.0
_READ_BLOCK = 1 << 20


@dataclass(frozen=True)
class Footage:
    """A span of video with one tracked head.

    Attributes:
        media: The span.
        info: The video stream that it is taken from.
        fingerprint: Hash of the file's content, the same wherever the file lies.
        layout: Which landmark is which.
        times: float64 (N,) seconds from the start of the medium.
        landmarks: float32 (N, P, 3) pixels, NaN in frames without a face.
        track: Pose of the head in every frame, shape of the head and camera.
    """

    media: Media
    info: VideoInfo
    fingerprint: str
    layout: LandmarkLayout
    times: NDArray[np.float64]
    landmarks: NDArray[np.float32]
    track: HeadTrack

    @property
    def seconds(self) -> float:
        """From the first frame to the end of the last."""
        return float(self.times[-1] - self.times[0]) + float(1 / self.info.rate)

    @property
    def openings(self) -> NDArray[np.float64]:
        """(N,) how far the mouth is open, see :func:`s2l_core.face.layout.mouth_opening`; NaN without a face."""
        return np.asarray(mouth_opening(self.landmarks, self.layout), np.float64)

    def frames(self) -> Iterator[Frame]:
        """The pictures, one for each of ``times``."""
        return read_frames(self.media)


def prepare(
    media: Media,
    landmarks: str = "bundled",
    device: str = "cpu",
    report: Report | None = None,
    faceless: bool = False,
) -> Footage:
    """Find and track the head of a clip, or take what an earlier call found from the cache.

    Args:
        media: The span of video.
        landmarks: Landmark back-end, see :func:`s2l_core.face.landmarks.open_detector`.
        device: Where the back-end runs, if it knows more than one place.
        report: Told the phases ``"Find face"`` and ``"Track head"``.
        faceless: Whether a clip without any face will do.

    Raises:
        FileMissing: There is no such file.
        NotAVideo: It holds no moving pictures, or none in the span.
        NoFace: No frame shows a face, which will not do.
        LandmarksUnavailable: The back-end cannot be used.
    """
    report = report or Report()
    info = probe(media.path)
    fingerprint = fingerprint_file(media.path)
    cached = _cache_file(fingerprint, media, landmarks)
    found = _load_landmarks(cached)
    if found is None:
        found = _find_landmarks(media, info, landmarks, device, report)
        _save_landmarks(cached, *found)
    layout, times, points = found
    if np.isnan(points).all():
        if not faceless:
            raise NoFace(f"No frame of {media.path} shows a face.")
        track = no_head(len(times), layout, info.width, info.height)
    else:
        track = track_head(points, times, find_shots(points, layout), layout, info.width, info.height, report)
    return Footage(media, info, fingerprint, layout, times, points, track)


def refuse_untrainable(footage: Footage) -> None:
    """Raise where a speaker cannot be learnt from the pictures.

    Raises:
        FootageTooShort: Less than 10 seconds.
        TooFewFaces: Fewer than half of the frames show a face.
    """
    if footage.seconds < _SHORTEST_SECONDS:
        raise FootageTooShort(f"{footage.media.path} gives only {footage.seconds:.1f} s of footage.")
    share = float(footage.track.found.mean())
    if share < _LEAST_FACE_SHARE:
        raise TooFewFaces(f"Only {share:.0%} of the frames of {footage.media.path} show a face.")


def shown_at(times: NDArray[np.float64], moments: ArrayLike) -> NDArray[np.int64]:
    """Which of the frames that begin at ``times`` (N,) is on screen at each moment (...): the last that has begun."""
    index = np.searchsorted(times, np.asarray(moments) + _TIME_TOLERANCE, side="right") - 1
    return np.asarray(index.clip(0, len(times) - 1), np.int64)


def fingerprint_file(path: str) -> str:
    """Hash of a file's content."""
    digest = hashlib.blake2b(digest_size=16)
    with Path(path).open("rb") as file:
        while block := file.read(_READ_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _find_landmarks(
    media: Media, info: VideoInfo, landmarks: str, device: str, report: Report
) -> tuple[LandmarkLayout, NDArray[np.float64], NDArray[np.float32]]:
    detector = open_detector(landmarks, device)
    nothing = np.full((detector.layout.count, 3), np.nan, np.float32)
    end = info.duration if media.end is None else min(media.end, info.duration)
    times, points = [], []
    for frame in read_frames(media):
        face = detector.detect(frame.image)
        times.append(frame.time)
        points.append(nothing if face is None else face.points)
        report.progress("Find face", min(frame.time, end) - media.start, max(end - media.start, 1e-3))
    if not times:
        raise NotAVideo(f"{media.path} has no picture after {media.start:g} s.", "Check the trim of the strip.")
    return detector.layout, np.array(times), np.stack(points)


def _cache_file(fingerprint: str, media: Media, landmarks: str) -> Path:
    span = {**asdict(media), "path": fingerprint, "landmarks": landmarks, "version": _CACHE_VERSION}
    if landmarks.lower().endswith(".task"):
        span["landmarks"] = fingerprint_file(landmarks) if Path(landmarks).is_file() else landmarks
    name = hashlib.blake2b(json.dumps(span, sort_keys=True).encode(), digest_size=16).hexdigest()
    return user_cache_path("speech2lip", ensure_exists=True) / "landmarks" / f"{name}.npz"


def _load_landmarks(path: Path) -> Any:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return _LAYOUTS[str(stored["layout"])], stored["times"], stored["points"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def _save_landmarks(
    path: Path, layout: LandmarkLayout, times: NDArray[np.float64], points: NDArray[np.float32]
) -> None:
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(partial, layout=layout.name, times=times, points=points)
        partial.replace(path)
    except OSError:  # a cache that cannot be written costs time, nothing else
        partial.unlink(missing_ok=True)

"""Footage: a clip that has been looked at once, with the head's pose in every frame, and cached by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from .errors import FootageTooShort, NoFace, NotAVideo, TooFewFaces
from .events import Report
from .face.following import FaceFollower, Sighting
from .face.landmarks import open_detector
from .face.layout import IBUG68, MESH468, LandmarkLayout, mouth_opening
from .face.tracking import HeadTrack, find_shots, no_head, track_head
from .geometry.camera import Intrinsics
from .jobs import Media
from .kept import FORGETFUL, Kept, Rows, Tensors
from .media.video import Frame, VideoInfo, probe, read_frames

_CACHE_VERSION = 3
_TIME_TOLERANCE = 1e-3
_LAYOUTS = {layout.count: layout for layout in (MESH468, IBUG68)}
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

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """The pictures, one for each of ``times`` from the first wanted one on."""
        return read_frames(replace(self.media, start=float(self.times[first])) if first else self.media)


def prepare(
    media: Media,
    landmarks: str = "bundled",
    device: str = "cpu",
    report: Report | None = None,
    faceless: bool = False,
) -> Footage:
    """Find and track the head of a clip, or take what an earlier call found from the cache, if only a part.

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
    kept = _kept(fingerprint, media, landmarks)
    found = kept.once("landmarks", lambda: _find_landmarks(media, info, landmarks, device, kept, report))
    kept.forget_rows("found")
    times, points = found["times"].numpy(), found["points"].numpy()
    layout = _LAYOUTS[points.shape[1]]
    if np.isnan(points).all():
        if not faceless:
            raise NoFace(f"No frame of {media.path} shows a face.")
        track = no_head(len(times), layout, info.width, info.height)
        return Footage(media, info, fingerprint, layout, times, points, track)

    def track_of_clip() -> Tensors:
        shots = find_shots(points, layout)
        return _to_tensors(track_head(points, times, shots, layout, info.width, info.height, report))

    return Footage(media, info, fingerprint, layout, times, points, _to_track(kept.once("track", track_of_clip)))


def is_prepared(media: Media, landmarks: str = "bundled") -> bool:
    """Whether :func:`prepare` of a clip would take everything from the cache."""
    path = _kept(fingerprint_file(media.path), media, landmarks).path("track")
    return path is not None and path.is_file()


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


def _find_landmarks(media: Media, info: VideoInfo, landmarks: str, device: str, kept: Kept, report: Report) -> Tensors:
    """Times (N,) and points (N, P, 3) of the frames; goes on where an earlier process was ended."""
    detector = open_detector(landmarks, device)
    if media.face:
        detector.choose(media.face[0] * info.width, media.face[1] * info.height)
    rows = Rows(kept, "found")
    frames = read_frames(media)
    follower = FaceFollower(detector)
    if rows.count:
        before = rows.all()
        times, earlier = before["times"].tolist(), before["points"].numpy()
        found = np.flatnonzero(np.isfinite(earlier).all(axis=(1, 2)))
        last = None
        if len(found):
            detector.follow(earlier[found[-1]])  # where a chosen face was last seen
            seen = next(read_frames(replace(media, start=times[found[-1]])))
            last = Sighting(seen.time, seen.image, earlier[found[-1]])
        detector.follow(earlier[-1])
        follower = FaceFollower(detector, last, bool(before["is_bystander"][-1]))
        frames = read_frames(replace(media, start=times[-1]))
        next(frames, None)
    end = info.duration if media.end is None else min(media.end, info.duration)
    for stretch in follower.follow(frames, rows.count):
        rows.add(
            times=torch.from_numpy(stretch.times),
            points=torch.from_numpy(stretch.points),
            is_bystander=torch.full((len(stretch.times),), stretch.is_bystander),
        )
        now = min(float(stretch.times[-1]), end)
        report.progress("Find face", now - media.start, max(end - media.start, 1e-3))
    if not rows.count:
        raise NotAVideo(f"{media.path} has no picture after {media.start:g} s.", "Check the trim of the strip.")
    found_in_all = rows.all()
    return {name: found_in_all[name] for name in ("times", "points")}


def _kept(fingerprint: str, media: Media, landmarks: str) -> Kept:
    """What is kept of a clip, wherever it lies."""
    span = replace(media, path=fingerprint)
    if landmarks.lower().endswith(".task"):
        landmarks = fingerprint_file(landmarks) if Path(landmarks).is_file() else landmarks
    try:
        return Kept.of("footage", _CACHE_VERSION, span, landmarks)
    except OSError:  # a cache that cannot be written costs time, nothing else
        return FORGETFUL


def _to_tensors(track: HeadTrack) -> Tensors:
    arrays = {**vars(track), "intrinsics": np.array(astuple(track.intrinsics), np.float64)}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _to_track(tensors: Tensors) -> HeadTrack:
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    fx, fy, cx, cy, width, height = arrays.pop("intrinsics").tolist()
    return HeadTrack(intrinsics=Intrinsics(fx, fy, cx, cy, int(width), int(height)), **arrays)

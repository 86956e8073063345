"""Footage: a clip that has been looked at once, with the head's pose in every frame, and cached by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from . import regular_files
from .cache import AppendLog, Cache, Tensors
from .casting import Somebody, tell_people_apart
from .errors import BadJob, FootageTooShort, NoFace, NotAVideo, TooFewFaces
from .events import Report
from .face.following import FaceFollower, Sighting
from .face.landmarks import open_detector
from .face.layout import LAYOUTS, LandmarkLayout, mouth_opening
from .face.tracking import HeadTrack, KnownHead, find_shots, no_head, track_head
from .files import state_of
from .fingerprints import fingerprint_file, hash_file, remembered
from .geometry.camera import Intrinsics
from .jobs import Media
from .media.sequence import files_of, is_sequence, rate_of, refuse_broken
from .media.video import Frame, VideoInfo, probe, read_frames, slack

_CACHE_VERSION = 7
_TIME_TOLERANCE = 1e-3
_LEAST_FACE_SHARE = 0.5
_SHORTEST_SECONDS = 10.0
_AROUND_SECONDS = 1.0
"""What is looked at before and after a span, so that the head is tracked at its ends as in the middle."""
_HASHED_PICTURES = 1 << 16
_LATE_SECONDS = 3.0
"""Of sound after the pictures that is heard with them."""


@dataclass(frozen=True)
class Footage:
    """A span of video with one person's tracked head.

    Attributes:
        media: The span.
        info: The video stream that it is taken from.
        fingerprint: Hash of the content of the file, or of the pictures, the same wherever they lie.
        layout: Which landmark is which.
        times: float64 (N,) seconds from the start of the medium; the first is that of the span.
        landmarks: float32 (N, P, 3) pixels of :attr:`s2l_core.media.video.Frame.image`, NaN in frames without that
            person's face.
        track: Pose of the head in every frame, shape of the head and camera.
        somebody_else: bool (N,), whether there is only the face of another person.
        uncertain: bool (N,), whether it is uncertain whose face it is; it is taken for that person's.
        people: Who is seen, the chosen one first, then who is seen longest; nobody is chosen where a certain person
            was asked for who is not there.
    """

    media: Media
    info: VideoInfo
    fingerprint: str
    layout: LandmarkLayout
    times: NDArray[np.float64]
    landmarks: NDArray[np.float32]
    track: HeadTrack
    somebody_else: NDArray[np.bool_]
    uncertain: NDArray[np.bool_]
    people: tuple[Somebody, ...]

    @property
    def seconds(self) -> float:
        """From the first frame to the end of the last."""
        return float(self.times[-1] - self.times[0]) + float(1 / self.info.rate)

    @property
    def known_head(self) -> KnownHead:
        """What tracks the same head alike in other footage."""
        track = self.track
        return KnownHead(track.shape, track.noise_px, track.acceleration, track.intrinsics, self.fingerprint)

    @property
    def openings(self) -> NDArray[np.float64]:
        """(N,) how far the mouth is open, see :func:`s2l_core.face.layout.mouth_opening`; NaN without a face."""
        return np.asarray(mouth_opening(self.landmarks, self.layout), np.float64)

    def shown_in_blender(self, moments: ArrayLike) -> NDArray[np.int64]:
        """Which of the frames Blender shows at each moment (...) of the medium, in seconds."""
        return shown_at(self.times, moments, slack(self.info.tick))

    def pictures(
        self, indices: NDArray[np.integer], phase: str, report: Report, done: int = 0
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Decode chosen frames.

        Args:
            indices: int (n,) frames to decode, ascending and without repetition.
            phase: Name of the progress that is reported, for each frame that is passed over or decoded.
            report: Told the phase.
            done: Number of the first indices that are left out, since they were decoded earlier.

        Returns:
            For each of the other indices the index, and the picture uint8 (H, W, 3) RGB.
        """
        if done >= len(indices):
            return
        wanted, first, last = set(indices[done:].tolist()), int(indices[done]), int(indices[-1])
        for index, frame in enumerate(self.frames(first), first):
            report.progress(phase, index - int(indices[0]), max(last - int(indices[0]), 1))
            if index in wanted:
                yield index, frame.image
            if index == last:
                return

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """The pictures, one for each of ``times`` from the first wanted one on."""
        return read_frames(replace(self.media, start=float(self.times[first])) if first else self.media)


def prepare(
    media: Media,
    landmarks: str = "bundled",
    device: str = "cpu",
    report: Report | None = None,
    faceless: bool = False,
    known: KnownHead | None = None,
    identity: NDArray[np.floating] | None = None,
) -> Footage:
    """Find and track one person's head in a clip, or take what an earlier call found from the cache, if only a part.

    A second before and after the clip is looked at as well, where the file has it.

    Args:
        media: The span of video.
        landmarks: Landmark back-end, see :func:`s2l_core.face.landmarks.open_detector`.
        device: Where the back-end runs, if it knows more than one place.
        report: Told the phases ``"Find face"``, ``"Tell people apart"`` and ``"Track head"``.
        faceless: Whether a clip without that person's face will do.
        known: The head, if it was tracked before.
        identity: float (129,) of the person. None means whoever is at ``media.face``, or else whoever is seen longest
            and largest.

    Raises:
        BadJob: The head was tracked with another landmark model.
        FileMissing: There is no such file.
        NotAVideo: It holds no moving pictures, or none in the span.
        NoFace: No frame shows that person's face, which will not do.
        LandmarksUnavailable: The back-end cannot be used.
        RecognitionUnavailable: People cannot be told apart.
    """
    report = report or Report()
    info = probe(media)
    if known is not None:
        layout = open_detector(landmarks, device).layout
        if (len(known.shape), len(known.noise_px)) != (layout.count, len(layout.rigid)):
            raise BadJob(
                f"The speaker was trained with a different landmark model than {landmarks[:200]!r}.",
                "Select the one it was trained with.",
            )
    fingerprint = fingerprint_media(media, report)
    cache = _cache_of(fingerprint, media, landmarks)
    found = cache.get_or_compute(
        "landmarks", lambda: _find_landmarks(_around(media), info, landmarks, device, cache, report)
    )
    cache.remove_log("found")
    times, points = found["times"].numpy(), found["points"].numpy()
    layout = LAYOUTS[points.shape[1]]
    around = _around(media)
    cast = tell_people_apart(around, info, times, points, layout, landmarks, device, identity, cache, report)
    points = cast.points
    inside = _inside(times, media, info)
    if np.isnan(points[inside]).all():
        if not faceless:
            raise NoFace(f"No frame of {media.path} shows {'that' if cast.people else 'a'} face.")
        track = no_head(inside.stop - inside.start, layout, *info.true_size)
    else:

        def track_of_clip() -> Tensors:
            shots, same_file = find_shots(points, layout), known is not None and known.file == fingerprint
            return _to_tensors(track_head(points, times, shots, layout, *info.true_size, report, known, same_file))

        track = _to_track(cache.get_or_compute(f"{_track_name(known)}{cast.key}", track_of_clip)).part(inside)
    span = times[inside].copy()
    if abs(span[0] - media.start) > slack(info.tick):
        span[0] = media.start  # as read_frames() has it
    told = (cast.somebody_else[inside], cast.uncertain[inside], cast.people)
    return Footage(media, info, fingerprint, layout, span, points[inside], track, *told)


def is_prepared(media: Media, landmarks: str = "bundled", known: KnownHead | None = None) -> bool:
    """Whether :func:`prepare` of a clip would take everything from the cache."""
    folder = _cache_of(fingerprint_media(media), media, landmarks).folder
    return folder is not None and any(folder.glob(f"{_track_name(known)}*.safetensors"))


def told_seconds(media: Media, info: VideoInfo) -> float:
    """How long a span of a video is, as far as its file tells."""
    return max(0.0, (info.duration if media.end is None else min(media.end, info.duration)) - media.start)


def heard_beside(voice: Media, seconds: float) -> Media:
    """The part of a voice that counts beside so many seconds of footage, and a little more, since it may come late."""
    end = voice.start + seconds + _LATE_SECONDS
    return replace(voice, end=end if voice.end is None else min(voice.end, end))


def refuse_untrainable(footage: Footage) -> None:
    """Raise where a speaker cannot be learnt from the pictures.

    Raises:
        FootageTooShort: Less than 10 seconds, or less of the chosen person.
        TooFewFaces: Fewer than half of the frames show a face.
    """
    path = footage.media.path
    if footage.seconds < _SHORTEST_SECONDS:
        raise FootageTooShort(f"{path} has only {footage.seconds:.1f} s of footage.")
    found = footage.track.found
    share = float((found | footage.somebody_else).mean())
    if share < _LEAST_FACE_SHARE:
        raise TooFewFaces(f"Only {share:.0%} of the frames of {path} show a face.")
    seconds = float(found.mean()) * footage.seconds
    if seconds < _SHORTEST_SECONDS and footage.somebody_else.any():
        raise FootageTooShort(f"{path} shows the chosen person for only {seconds:.1f} s.")


def shown_at(times: NDArray[np.float64], moments: ArrayLike, slack: float = _TIME_TOLERANCE) -> NDArray[np.int64]:
    """Which of the frames that begin at ``times`` (N,) is on screen at each moment (...): the last that has begun, or
    begins within ``slack`` seconds.
    """
    index = np.searchsorted(times, np.asarray(moments) + slack, side="right") - 1
    return np.asarray(index.clip(0, len(times) - 1), np.int64)


def fingerprint_media(media: Media, report: Report | None = None) -> str:
    """Hash of the content of a medium, of all pictures in their order where it is a sequence.

    Pictures that are not there, outside of the span, count as empty. What was hashed before is not read again.
    """
    if not is_sequence(media):
        return fingerprint_file(media.path)
    report, files = report or Report(), files_of(media)

    def hash_all() -> str:
        digest = hashlib.blake2b(digest_size=16)
        for number, path in enumerate(files):
            report.progress("Read pictures", number, len(files))
            digest.update(_fingerprint_picture(path, state_of(path)).encode())
        return digest.hexdigest()

    return remembered(files, hash_all)


@lru_cache(maxsize=_HASHED_PICTURES)
def _fingerprint_picture(path: str, state: tuple[int, int] | None) -> str:
    """Hash of a picture that was last changed as its state tells; empty without one."""
    return "" if state is None else hash_file(path)


def _find_landmarks(
    media: Media, info: VideoInfo, landmarks: str, device: str, cache: Cache, report: Report
) -> Tensors:
    """Times (N,) and points (N, P, 3) of the frames; goes on where an earlier process was ended."""
    detector = open_detector(landmarks, device)
    if media.face:
        width, height = info.true_size
        detector.choose(media.face[0] * width, media.face[1] * height)
    rows = AppendLog(cache, "found")
    if not rows.count:
        refuse_broken(media, report)
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


def _around(media: Media) -> Media:
    """A span with what is looked at before and after it; a face is still that which is seen in the span."""
    end = None if media.end is None else media.end + _AROUND_SECONDS
    face = (*media.face, media.start) if len(media.face) == 2 else media.face
    return replace(media, start=max(0.0, media.start - _AROUND_SECONDS), end=end, face=face)


def _inside(times: NDArray[np.float64], media: Media, info: VideoInfo) -> slice:
    """Which of the frames that begin at ``times`` (N,) are shown in a span.

    Raises:
        NotAVideo: The video ends before it.
    """
    if media.start >= max(info.duration, times[-1] + float(1 / info.rate)):
        raise NotAVideo(f"{media.path} has no picture after {media.start:g} s.", "Check the trim of the strip.")
    first = int(shown_at(times, media.start, slack(info.tick)))
    end = len(times) if media.end is None else int(np.searchsorted(times, media.end - _TIME_TOLERANCE))
    return slice(first, max(end, first + 1))


def _track_name(known: KnownHead | None) -> str:
    """Name of a clip's track in its cache."""
    if known is None:
        return "track"
    digest = hashlib.blake2b(repr((known.file, astuple(known.intrinsics))).encode(), digest_size=16)
    for array in (known.shape, known.noise_px, known.acceleration):
        digest.update(array.tobytes())
    return f"track-{digest.hexdigest()}"


def _cache_of(fingerprint: str, media: Media, landmarks: str) -> Cache:
    """The cache of a clip, which depends on its content and not on its path."""
    rate = str(rate_of(media)) if is_sequence(media) else ""
    span = replace(media, path=fingerprint, track=None, clock="picture", pictures=(), rate=rate)
    if landmarks.lower().endswith(".task"):
        landmarks = fingerprint_file(landmarks) if regular_files.is_file(landmarks) else landmarks
    return Cache.of("footage", _CACHE_VERSION, span, landmarks)


def _to_tensors(track: HeadTrack) -> Tensors:
    arrays = {**vars(track), "intrinsics": np.array(astuple(track.intrinsics), np.float64)}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _to_track(tensors: Tensors) -> HeadTrack:
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    fx, fy, cx, cy, width, height = arrays.pop("intrinsics").tolist()
    return HeadTrack(intrinsics=Intrinsics(fx, fy, cx, cy, int(width), int(height)), **arrays)

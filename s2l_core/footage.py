"""Footage: a clip with landmarks and head poses, which are cached by the content of the clip."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from . import regular_files
from .ahead import ahead
from .cache import AppendLog, Cache, Tensors
from .casting import Somebody, tell_people_apart
from .errors import BadJob, FootageTooShort, NoFace, NotAVideo, SpeakerFileBroken, TooFewFaces
from .events import Report
from .face.blocks import in_blocks
from .face.following import FaceFollower, Sighting
from .face.landmarks import open_detector
from .face.layout import LAYOUTS, LandmarkLayout, mouth_opening
from .face.tracking import HeadTrack, KnownHead, find_shots, no_head, track_head
from .files import state_of
from .fingerprints import fingerprint_file, hash_file, remembered
from .geometry.camera import Intrinsics
from .jobs import Media
from .media.held_frames import frames_of
from .media.sequence import files_of, is_sequence, rate_of, refuse_broken
from .media.video import Frame, VideoInfo, can_seek, probe, read_frames, slack

_CACHE_VERSION = 7
_TIME_TOLERANCE = 1e-3
_LEAST_FACE_SHARE = 0.5
_SHORTEST_SECONDS = 10.0
MARGIN_SECONDS = 1.0
"""Time before and after a span that is analysed too, so that the track is as accurate at the ends as in the middle."""
_DECODED_GAP = 300
"""Number of frames that are skipped by decoding; a larger gap is skipped by seeking, which decodes up to 250 with usual
encoders.
"""
_HASHED_PICTURES = 1 << 16
_AHEAD = 4
"""Number of frames that are decoded and converted ahead."""
_LATE_SECONDS = 3.0
"""Duration of the sound after the end of the pictures that still belongs to them."""


@dataclass(frozen=True)
class Footage:
    """A span of video with one person's tracked head.

    Attributes:
        media: The span.
        info: The video stream.
        fingerprint: Hash of the content of the file or the pictures, which does not depend on their path.
        layout: Layout of the landmarks.
        times: float64 (N,) times of the frames in seconds from the start of the medium; the first is the start of the
            span.
        landmarks: float32 (N, P, 3) in pixels of :attr:`s2l_core.media.video.Frame.image`, NaN in frames without that
            person's face.
        track: Poses of the head, shape of the head, and camera.
        somebody_else: bool (N,) frames that show only the face of another person.
        uncertain: bool (N,) frames in which the person could not be identified, and is assumed to be the chosen one.
        people: The people in the clip, the chosen one first, then by the time for which they are seen. If the requested
            person is not in the clip, none of them is chosen.
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
        """Duration from the start of the first frame to the end of the last."""
        return float(self.times[-1] - self.times[0]) + float(1 / self.info.rate)

    @property
    def known_head(self) -> KnownHead:
        """Parameters with which the same head is tracked consistently in other footage."""
        track = self.track
        return KnownHead(track.shape, track.noise_px, track.acceleration, track.intrinsics, self.fingerprint)

    @property
    def openings(self) -> NDArray[np.float64]:
        """float64 (N,) opening of the mouth, see :func:`s2l_core.face.layout.mouth_opening`; NaN without a face."""
        return in_blocks(lambda points: np.asarray(mouth_opening(points, self.layout), np.float64), self.landmarks)

    def shown_in_blender(self, moments: ArrayLike) -> NDArray[np.int64]:
        """Indices int64 (...) of the frames that Blender shows at times (...) of the medium, in seconds."""
        return shown_at(self.times, moments, slack(self.info.tick))

    def pictures(
        self, indices: NDArray[np.integer], phase: str, report: Report, done: int = 0
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Decode chosen frames.

        Args:
            indices: int (n,) frames to decode, ascending and without repetition.
            phase: Name of the phase that is reported, for each frame that is skipped or yielded.
            report: Receives the progress.
            done: Number of indices at the beginning that are skipped, since they were decoded earlier.

        Yields:
            Index and picture uint8 (H, W, 3) RGB of each frame.
        """
        for index, frame in self.chosen(indices, phase, report, done):
            yield index, frame.image

    def chosen(
        self, indices: NDArray[np.integer], phase: str, report: Report, done: int = 0
    ) -> Iterator[tuple[int, Frame]]:
        """As :meth:`pictures`, but the frames, which are not converted."""
        if done >= len(indices):
            return
        begin, last = int(indices[0]), int(indices[-1])
        wide = (np.diff(indices[done:]) > _DECODED_GAP) & can_seek(self.media)
        for group in np.split(indices[done:], np.flatnonzero(wide) + 1):
            first, wanted = int(group[0]), set(group.tolist())
            numbered = zip(range(first, int(group[-1]) + 1), self.frames(first), strict=False)
            with ahead(numbered, _AHEAD) as frames:
                for index, frame in frames:
                    report.progress(phase, index - begin, max(last - begin, 1))
                    if index in wanted:
                        yield index, frame

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Decode the frames from index ``first`` on, one for each of ``times``."""
        return frames_of(replace(self.media, start=float(self.times[first])) if first else self.media)


def prepare(
    media: Media,
    landmarks: str = "bundled",
    device: str = "cpu",
    report: Report | None = None,
    faceless: bool = False,
    known: KnownHead | None = None,
    identity: NDArray[np.floating] | None = None,
    margin: float = MARGIN_SECONDS,
) -> Footage:
    """Find and track one person's head in a clip. Results of earlier calls, complete or not, are taken from the cache.

    Args:
        media: The span of video.
        landmarks: Landmark back-end, see :func:`s2l_core.face.landmarks.open_detector`.
        device: Device of the back-end, if it supports several.
        report: Receives the progress of the phases ``"Find face"``, ``"Tell people apart"`` and ``"Track head"``.
        faceless: Whether a clip without that person's face is accepted.
        known: Parameters of the head, if it was tracked before.
        identity: float (129,) identity vector of the person. None means the person at ``media.face``, or else the one
            who is seen longest and largest.
        margin: Time in seconds before and after the clip that is analysed as well, if the file contains it.

    Raises:
        BadJob: The head was tracked with another landmark model.
        SpeakerFileBroken: The head was tracked in this file, but in pictures of another size.
        FileMissing: There is no such file.
        NotAVideo: The file contains no video, or none in the span.
        NoFace: No frame shows that person's face, and ``faceless`` is False.
        LandmarksUnavailable: The back-end cannot be used.
        RecognitionUnavailable: The recognition network cannot be used.
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
    same_file = known is not None and known.file == fingerprint
    if known is not None and same_file and (known.intrinsics.width, known.intrinsics.height) != info.true_size:
        raise SpeakerFileBroken(f"The speaker's camera does not have the picture size of {media.path}.")
    cache, around = _cache_of(fingerprint, media, landmarks, margin), _around(media, margin)
    found = cache.get_or_compute("landmarks", lambda: _find_landmarks(around, info, landmarks, device, cache, report))
    cache.remove_log("found")
    times, points = found["times"].numpy(), found["points"].numpy()
    layout = LAYOUTS[points.shape[1]]
    cast = tell_people_apart(around, info, times, points, layout, landmarks, device, identity, cache, report)
    points = cast.points
    inside = _inside(times, media, info)
    if np.isnan(points[inside]).all():
        if not faceless:
            raise NoFace(f"No frame of {media.path} shows {'that' if cast.people else 'a'} face.")
        track = no_head(inside.stop - inside.start, layout, *info.true_size)
    else:

        def track_of_clip() -> Tensors:
            shots = find_shots(points, layout)
            return _to_tensors(track_head(points, times, shots, layout, *info.true_size, report, known, same_file))

        track = _to_track(cache.get_or_compute(f"{_track_name(known)}{cast.key}", track_of_clip)).part(inside)
    span = times[inside].copy()
    if abs(span[0] - media.start) > slack(info.tick):
        span[0] = media.start  # as in read_frames()
    told = (cast.somebody_else[inside], cast.uncertain[inside], cast.people)
    return Footage(media, info, fingerprint, layout, span, points[inside], track, *told)


def is_prepared(media: Media, landmarks: str = "bundled", known: KnownHead | None = None) -> bool:
    """Whether :func:`prepare` would take the whole result for a clip from the cache."""
    folder = _cache_of(fingerprint_media(media), media, landmarks).folder
    return folder is not None and any(folder.glob(f"{_track_name(known)}*.safetensors"))


def told_seconds(media: Media, info: VideoInfo) -> float:
    """Duration of a span of a video, according to the file."""
    return max(0.0, (info.duration if media.end is None else min(media.end, info.duration)) - media.start)


def heard_beside(voice: Media, seconds: float) -> Media:
    """The part of a voice that belongs to ``seconds`` of footage, with a margin at the end, since sound may be late."""
    end = voice.start + seconds + _LATE_SECONDS
    return replace(voice, end=end if voice.end is None else min(voice.end, end))


def refuse_untrainable(footage: Footage) -> None:
    """Raise an error if the footage is not sufficient to train a speaker.

    Raises:
        FootageTooShort: The footage, or the part that shows the chosen person, is shorter than 10 seconds.
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
    """Indices int64 (...) of the frames on screen at ``moments`` (...): of the last frame that has begun, or begins
    within ``slack`` seconds. ``times`` (N,) are the seconds at which frames begin.
    """
    index = np.searchsorted(times, np.asarray(moments) + slack, side="right") - 1
    return np.asarray(index.clip(0, len(times) - 1), np.int64)


def fingerprint_media(media: Media, report: Report | None = None) -> str:
    """Hash of the content of a medium; for a sequence, of all pictures in order.

    Missing pictures outside the span count as empty. Files that have not changed are not read again.
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
    """Hash of a picture in the given state, see :func:`s2l_core.files.state_of`; empty if there is no file."""
    return "" if state is None else hash_file(path)


def _find_landmarks(
    media: Media, info: VideoInfo, landmarks: str, device: str, cache: Cache, report: Report
) -> Tensors:
    """Times (N,) and landmarks (N, P, 3) of the frames; resumes the work of an interrupted process."""
    detector = open_detector(landmarks, device)
    if media.face:
        width, height = info.true_size
        detector.choose(media.face[0] * width, media.face[1] * height)
    rows = AppendLog(cache, "found")
    if not rows.count:
        refuse_broken(media, report)
    frames = frames_of(media)
    follower = FaceFollower(detector)
    if rows.count:
        before = rows.all()
        times, earlier = before["times"].tolist(), before["points"].numpy()
        found = np.flatnonzero(np.isfinite(earlier).all(axis=(1, 2)))
        last = None
        if len(found):
            detector.follow(earlier[found[-1]])  # the last position of a chosen face
            seen = next(read_frames(replace(media, start=times[found[-1]])))
            last = Sighting(seen, earlier[found[-1]])
        detector.follow(earlier[-1])
        follower = FaceFollower(detector, last, bool(before["is_bystander"][-1]))
        frames = read_frames(replace(media, start=times[-1]))
        next(frames, None)
    end = info.duration if media.end is None else min(media.end, info.duration)
    with ahead(_converted(frames, follower), _AHEAD) as converted:
        for stretch in follower.follow(converted, rows.count):
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


def _converted(frames: Iterable[Frame], follower: FaceFollower) -> Iterator[Frame]:
    """Frames of which the part around the face has been converted, which takes longer than decoding them."""
    for frame in frames:
        frame.hold(follower.near(frame))
        yield frame


def _around(media: Media, margin: float) -> Media:
    """A span with its margins, and with the same chosen face as without them."""
    end = None if media.end is None else media.end + margin
    face = (*media.face, media.start) if len(media.face) == 2 else media.face
    return replace(media, start=max(0.0, media.start - margin), end=end, face=face)


def _inside(times: NDArray[np.float64], media: Media, info: VideoInfo) -> slice:
    """The frames, which begin at ``times`` (N,), that are shown in a span.

    Raises:
        NotAVideo: The video ends before the span.
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


def landmarks_content(landmarks: str) -> str:
    """A landmark back-end, or the hash of its ``.task`` file."""
    is_task = landmarks.lower().endswith(".task") and regular_files.is_file(landmarks)
    return fingerprint_file(landmarks) if is_task else landmarks


def _cache_of(fingerprint: str, media: Media, landmarks: str, margin: float = MARGIN_SECONDS) -> Cache:
    """The cache of a clip, which depends on its content and not on its path."""
    rate = str(rate_of(media)) if is_sequence(media) else ""
    span = replace(media, path=fingerprint, track=None, clock="picture", pictures=(), rate=rate)
    unusual = () if margin == MARGIN_SECONDS else (margin,)
    return Cache.of("footage", _CACHE_VERSION, span, landmarks_content(landmarks), *unusual)


def _to_tensors(track: HeadTrack) -> Tensors:
    arrays = {**vars(track), "intrinsics": np.array(astuple(track.intrinsics), np.float64)}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _to_track(tensors: Tensors) -> HeadTrack:
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    fx, fy, cx, cy, width, height = arrays.pop("intrinsics").tolist()
    return HeadTrack(intrinsics=Intrinsics(fx, fy, cx, cy, int(width), int(height)), **arrays)

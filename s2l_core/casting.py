"""Finding the people in a clip, and choosing the one whose face is tracked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from .cache import Cache, Tensors
from .events import Report
from .face.detector import LandmarkDetector
from .face.identity import SAME, distance
from .face.landmarks import open_detector
from .face.layout import LandmarkLayout
from .face.mesh_detector import MeshDetector
from .face.mesh_models import bundled_models
from .face.people import (
    NOBODY,
    Frames,
    Person,
    Sights,
    Strand,
    choose_by_identity,
    choose_by_place,
    choose_by_presence,
    follow_strands,
    gather_people,
    look_at_faces,
    number_frames,
    overlooked,
)
from .face.tracking import find_shots
from .jobs import Media
from .media.held_frames import frames_of
from .media.video import Frame, VideoInfo


@dataclass(frozen=True)
class Somebody:
    """A person in a clip.

    Attributes:
        identity: float64 (129,) identity vector, see :mod:`s2l_core.face.identity`.
        seconds: Time for which the person is seen; for the chosen person, for which the face can be used.
        place: Position x and y at which the person is first seen, from 0 to 1 across and down.
        since: Second of the medium at which the person is first seen.
        is_chosen: Whether this person's head is tracked.
    """

    identity: NDArray[np.float64]
    seconds: float
    place: tuple[float, float]
    since: float
    is_chosen: bool


@dataclass(frozen=True)
class Cast:
    """Faces in the N frames of a clip, assigned to people.

    Attributes:
        points: float32 (N, P, 3) landmarks of the chosen person in pixels, NaN in frames without that face.
        somebody_else: bool (N,) frames that show only the face of another person.
        uncertain: bool (N,) frames in which the person could not be identified, and is assumed to be the chosen one.
        people: The people in the clip, the chosen one first, then by the time for which they are seen.
        key: Suffix of cache entries that depend on the choice; empty for the default choice.
    """

    points: NDArray[np.float32]
    somebody_else: NDArray[np.bool_]
    uncertain: NDArray[np.bool_]
    people: tuple[Somebody, ...]
    key: str


def tell_people_apart(
    media: Media,
    info: VideoInfo,
    times: NDArray[np.float64],
    points: NDArray[np.float32],
    layout: LandmarkLayout,
    landmarks: str,
    device: str,
    identity: NDArray[np.floating] | None,
    cache: Cache,
    report: Report,
) -> Cast:
    """Identify the people in a clip, choose one, and keep the landmarks of that person only.

    Args:
        media: The span of video; its ``face`` chooses the person.
        info: The video stream.
        times: float64 (N,) times of the frames in seconds.
        points: float32 (N, P, 3) landmarks of any person in pixels, NaN in frames without a face.
        layout: Layout of the landmarks.
        landmarks: Landmark back-end for frames in which ``points`` follow another person.
        device: Device of the back-end.
        identity: float (129,) identity vector of the person to choose. None means the person at ``media.face``, or else
            the one who is seen longest and largest.
        cache: Cache of faces that were already examined.
        report: Receives the progress of the phase ``"Tell people apart"``.

    Raises:
        RecognitionUnavailable: The weights of the recognition network are missing.
        LandmarksUnavailable: The landmark back-end cannot be used.
    """
    shots = find_shots(points, layout)

    def frames(first: int) -> Iterator[Frame]:
        return frames_of(replace(media, start=float(times[first])) if first else media)

    # Examine faces throughout the clip, and group them by person.
    def look() -> Tensors:
        find_all = MeshDetector(bundled_models()).detect_all
        sights = look_at_faces(points, times, shots, layout, frames, find_all, report)
        return {name: torch.from_numpy(values) for name, values in vars(sights).items()}

    seen = cache.get_or_compute("sights", look)
    strands = follow_strands(
        Sights(**{name: values.numpy() for name, values in seen.items()}), points, times, shots, layout
    )
    people = gather_people(strands)
    if not people:  # all faces are too small or turned away to identify: assume that they are the chosen person
        uncertain = np.isfinite(points[:, 0, 0]) & (identity is not None)
        return Cast(points, np.zeros(len(times), dtype=bool), uncertain, (), "")

    # Choose the person, and assign the followed face of each frame to a person.
    usual = _choose(media, info, times, people, strands)
    chosen = usual if identity is None else choose_by_identity(people, identity)
    key = "" if chosen == usual else f"-{chosen}"
    numbers, uncertain = number_frames(people, strands, chosen, len(times))
    if identity is not None and chosen != NOBODY and distance(people[chosen].identity, identity) > SAME:
        uncertain |= numbers == chosen

    # Follow the chosen person in frames in which the landmarks follow somebody else.
    gaps = overlooked(strands, numbers, shots, chosen) if chosen != NOBODY else []
    if gaps:

        def follow() -> Tensors:
            detectors = (open_detector(landmarks, device) for _ in gaps)
            return {"points": torch.from_numpy(_follow(points, gaps, numbers == chosen, detectors, frames))}

        found = cache.get_or_compute(f"followed{key}", follow)["points"].numpy()
        changed = (found != points).any(axis=(1, 2)) & np.isfinite(found).all(axis=(1, 2))
        points, numbers, uncertain = found, np.where(changed, chosen, numbers), uncertain & ~changed

    # Keep the landmarks of the chosen person only, and describe all people.
    others = (numbers != chosen) & (numbers != NOBODY)
    own = np.where(others[:, None, None], np.float32(np.nan), points)
    seconds = float(1 / info.rate)
    somebodies = [
        _describe(person, number == chosen, int((numbers == chosen).sum()), times, info, seconds)
        for number, person in enumerate(people)
    ]
    somebodies.sort(key=lambda somebody: (not somebody.is_chosen, -somebody.seconds))
    return Cast(own, others, uncertain & ~others, tuple(somebodies), key)


def _follow(
    points: NDArray[np.float32],
    gaps: list[tuple[int, int, NDArray[np.float64]]],
    is_chosen: NDArray[np.bool_],
    detectors: Iterator[LandmarkDetector],
    frames: Frames,
) -> NDArray[np.float32]:
    """Landmarks (N, P, 3) in which those of the chosen person are found in the gaps, except in the frames (N,) that
    show that person already.
    """
    found = points.copy()
    for (first, last, place), detector in zip(gaps, detectors, strict=True):
        detector.choose(*place)
        for index, frame in zip(range(first, last + 1), frames(first), strict=False):
            face = None if is_chosen[index] else detector.detect(frame.image)
            if face is not None:
                found[index] = face.points
    return found


def _choose(
    media: Media,
    info: VideoInfo,
    times: NDArray[np.float64],
    people: list[Person],
    strands: list[Strand],
) -> int:
    """Index of the person at ``media.face``, or else of the one who is seen longest and largest."""
    if media.face:
        place = np.multiply(media.face[:2], info.true_size).astype(np.float64)
        first = int(np.searchsorted(times, media.face[2])) if len(media.face) > 2 else 0
        there = choose_by_place(strands, place, first)
        return there if there != NOBODY else next((strand.person for strand in strands if strand.followed), NOBODY)
    return choose_by_presence(people)


def _describe(
    person: Person, is_chosen: bool, usable: int, times: NDArray[np.float64], info: VideoInfo, seconds: float
) -> Somebody:
    """Description of a person; ``usable`` is the number of usable frames of the chosen one, of ``seconds`` each."""
    seen = np.zeros(len(times), dtype=bool)
    for strand in person.strands:
        seen[strand.first : strand.last + 1] = True
    first = min(person.strands, key=lambda strand: strand.first)
    x, y = np.clip(first.place / info.true_size, 0.0, 1.0)
    count = usable if is_chosen else int(seen.sum())
    return Somebody(person.identity, count * seconds, (float(x), float(y)), float(times[first.first]), is_chosen)

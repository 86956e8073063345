"""Identifying the people in a clip, from their faces in a sample of its pictures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..events import Report
from ..media.video import Frame
from .detector import Face
from .identity import OTHER, SAME, distance, is_clear, is_still, measure_breadth
from .layout import MESH468, LandmarkLayout
from .recognition import DESCRIPTOR_SIZE, describe_face

Array = NDArray[np.floating]
Frames = Callable[[int], Iterator[Frame]]
"""Function that returns an iterator over the frames of a clip from an index on. Only those that are examined are
converted to pictures, which takes longer than decoding them.
"""

NOBODY = -1
_EVERY = 1.0
_LEAST_LOOKS = 3
"""Minimum number of times that a followed face is examined, beyond the regular interval."""
_ALL_EVERY = 2.0
"""Interval in seconds at which all faces in a picture are detected."""
_STILL_SECONDS = 2.0
"""Time in seconds after which a face that does not move counts as a photograph, if others do."""
_CLEARLY_NEARER = 0.1
_BESIDE = 0.3
_PASSING_SECONDS = 0.3
"""Time in seconds below which another identity, without a cut, is a bad descriptor of the same face."""


@dataclass(frozen=True)
class Sights:
    """Faces that were examined, in order of their frames.

    Attributes:
        frames: int (S,) indices of the frames in the clip.
        followed: bool (S,) whether the clip's landmarks follow the face; otherwise it is beside the followed one.
        descriptors: float32 (S, 128) descriptors.
        points: float32 (S, 468, 3) landmarks in pixels, NaN for followed faces.
    """

    frames: NDArray[np.int64]
    followed: NDArray[np.bool_]
    descriptors: NDArray[np.float32]
    points: NDArray[np.float32]


@dataclass
class Strand:
    """A face in consecutive frames of a clip.

    Attributes:
        first: Index of the first frame.
        last: Index of the last frame.
        followed: Whether the clip's landmarks follow the face.
        identity: float64 (129,) identity vector, see :data:`s2l_core.face.identity.IDENTITY_SIZE`; NaN if the face was
            never seen clearly.
        looks: Number of times that the face was examined.
        place: float64 (2,) centre of the face in the first frame, in pixels.
        size: Size of the face in pixels.
        still: Whether the face is as still as a photograph.
        is_photograph: Whether the face is still while a face beside it moves.
        person: Index of the person.
    """

    first: int
    last: int
    followed: bool
    identity: Array
    looks: int
    place: Array
    size: float
    still: bool
    is_photograph: bool = False
    person: int = NOBODY

    def overlaps(self, other: Strand) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass
class Person:
    """A person in a clip.

    Attributes:
        identity: float64 (129,) identity vector.
        strands: Appearances of the person.
    """

    identity: Array
    strands: list[Strand] = field(default_factory=list)

    @property
    def is_photograph(self) -> bool:
        return any(strand.is_photograph for strand in self.strands)

    def see(self, strand: Strand) -> None:
        total = sum(other.looks for other in self.strands)
        known = np.where(np.isnan(self.identity), strand.identity, self.identity)  # the aspect ratio may be NaN in some
        fresh = np.where(np.isnan(strand.identity), known, strand.identity)
        self.identity = (total * known + strand.looks * fresh) / (total + strand.looks)
        self.strands.append(strand)


def look_at_faces(
    landmarks: NDArray[np.float32],
    times: Array,
    shots: NDArray[np.integer],
    layout: LandmarkLayout,
    frames: Frames,
    find_all: Callable[[NDArray[np.uint8]], list[Face]],
    report: Report,
) -> Sights:
    """Examine the followed face about every second, and all others at longer intervals.

    If the followed face seems to change without a cut, the frame in which it changes is searched for.

    Args:
        landmarks: float32 (N, P, 3) landmarks in pixels, NaN in frames without a face.
        times: float64 (N,) times of the frames in seconds.
        shots: int (N,) number of the shot of each frame.
        layout: Layout of the landmarks.
        frames: Decodes the clip.
        find_all: Finds all faces in a picture, with the 468 landmarks of the mesh.
        report: Receives the progress of the phase ``"Tell people apart"``.
    """
    looks = _Looks(landmarks, layout)
    wanted = _frames_to_look_at(landmarks, times, shots)
    next_all, shot = -np.inf, -1
    for index, frame in enumerate(frames(0)):
        report.progress("Tell people apart", index, len(times))
        if index not in wanted:
            continue
        looks.at_followed(index, frame.image)
        if times[index] >= next_all or shots[index] != shot:
            next_all, shot = float(times[index]) + _ALL_EVERY, int(shots[index])
            looks.at_others(index, frame.image, find_all(frame.image))
    for first, last in runs(landmarks, shots):
        inside = [frame for frame in looks.followed if first <= frame <= last]
        for before, after in itertools.pairwise(inside):
            looks.search_change(before, after, frames)
    return looks.as_sights()


def follow_strands(
    sights: Sights, landmarks: NDArray[np.float32], times: Array, shots: NDArray[np.integer], layout: LandmarkLayout
) -> list[Strand]:
    """Appearances of faces in consecutive frames, those that the landmarks follow first."""
    frame = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    strands: list[Strand] = []
    for first, last in runs(landmarks, shots):
        chosen = np.flatnonzero(sights.followed & (sights.frames >= first) & (sights.frames <= last))
        for start, end, members in _split(first, last, sights, chosen, round(_PASSING_SECONDS / frame)):
            points = landmarks[start : end + 1]
            identity = _mean_identity(sights.descriptors[members], measure_breadth(points, layout))
            still = len(points) * frame >= _STILL_SECONDS and is_still(points, layout)
            strands.append(Strand(start, end, True, identity, len(members), *_place(points[0]), still))
    around = round(_ALL_EVERY / 2 / frame)
    for shot in np.unique(shots):
        within = np.flatnonzero(shots == shot)
        chosen = np.flatnonzero(~sights.followed & (sights.frames >= within[0]) & (sights.frames <= within[-1]))
        for places in _by_place(sights.points[chosen]):
            seen = chosen[places]
            points = sights.points[seen]
            identity = _mean_identity(sights.descriptors[seen], measure_breadth(points, MESH468))
            whole = times[sights.frames[seen[-1]]] - times[sights.frames[seen[0]]] >= _STILL_SECONDS
            still = bool(whole and len(seen) > 2 and is_still(points, MESH468))
            first, last = sights.frames[seen[[0, -1]]] + np.array([-around, around])
            extent = (max(int(first), int(within[0])), min(int(last), int(within[-1])))
            strands.append(Strand(*extent, False, identity, len(seen), *_place(points[0]), still))
    for strand in strands:
        strand.is_photograph = strand.still and any(
            strand.overlaps(other) and not other.still for other in strands if other is not strand
        )
    return strands


def gather_people(strands: Sequence[Strand]) -> list[Person]:
    """Group strands by person, and number the people. A photograph counts as another person than the one it shows."""
    people: list[Person] = []
    for strand in sorted(strands, key=lambda strand: (strand.is_photograph, strand.still, -strand.looks)):
        if np.isnan(strand.identity[0]):
            continue
        distances = [
            float(distance(person.identity, strand.identity))
            if person.is_photograph == strand.is_photograph
            else np.inf
            for person in people
        ]
        nearest = int(np.argmin(distances)) if distances else NOBODY
        if nearest == NOBODY or distances[nearest] >= (SAME + OTHER) / 2:
            people.append(Person(strand.identity))
            nearest = len(people) - 1
        people[nearest].see(strand)
        strand.person = nearest
    return people


def choose_by_place(strands: Sequence[Strand], place: Array, frame: int) -> int:
    """Index of the person whose face is at a position (x, y) in pixels, within the size of the face, in a frame or the
    first possible one after it; :data:`NOBODY` if there is none.
    """
    there = [
        (max(strand.first - frame, 0), float(np.linalg.norm(strand.place - place)), strand.person)
        for strand in strands
        if strand.last >= frame and np.linalg.norm(strand.place - place) < strand.size
    ]
    return min(there)[2] if there else NOBODY


def choose_by_identity(people: Sequence[Person], identity: Array) -> int:
    """Index of the person most similar to an identity (129,), photographs excluded; :data:`NOBODY` if none is."""
    distances = [np.inf if person.is_photograph else float(distance(person.identity, identity)) for person in people]
    nearest = int(np.argmin(distances)) if distances else NOBODY
    return nearest if distances and distances[nearest] < OTHER else NOBODY


def choose_by_presence(people: Sequence[Person]) -> int:
    """Index of the person seen longest and largest, without photographs; :data:`NOBODY` if there is none."""

    def presence(number: int) -> tuple[bool, float]:
        strands = people[number].strands
        shown = sum((strand.last - strand.first + 1) * strand.size for strand in strands)
        return not people[number].is_photograph, shown

    return max(range(len(people)), key=presence, default=NOBODY)


def number_frames(
    people: Sequence[Person], strands: Sequence[Strand], chosen: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Assign the followed face in each of N frames to a person.

    A face that may be the chosen person's, or was never seen clearly, is assigned to that person.

    Returns:
        int64 (N,) indices of people, :data:`NOBODY` in frames without a face; and bool (N,) whether that is uncertain.
    """
    numbers, uncertain = np.full(count, NOBODY), np.zeros(count, dtype=bool)
    for strand in strands:
        if not strand.followed:
            continue
        number, doubtful = _whose(people, strand, chosen)
        numbers[strand.first : strand.last + 1] = number
        uncertain[strand.first : strand.last + 1] = doubtful
    return numbers, uncertain


def _whose(people: Sequence[Person], strand: Strand, chosen: int) -> tuple[int, bool]:
    if strand.person == NOBODY:
        return (chosen, len(people) > 1) if chosen != NOBODY else (len(people), False)
    if chosen == NOBODY or strand.is_photograph:
        return strand.person, False
    apart = float(distance(people[chosen].identity, strand.identity))
    if strand.person == chosen:
        return chosen, apart > SAME
    nearer = float(distance(people[strand.person].identity, strand.identity)) < apart - _CLEARLY_NEARER
    return (strand.person, False) if nearer or apart > OTHER else (chosen, True)


def overlooked(
    strands: Sequence[Strand], numbers: NDArray[np.int64], shots: NDArray[np.integer], chosen: int
) -> list[tuple[int, int, NDArray[np.float64]]]:
    """Ranges of frames, within one shot, in which the chosen person is seen while the landmarks follow another one or
    none: first and last frame, and the position (x, y) of the face in pixels.
    """
    result = []
    away = numbers != chosen
    for strand in strands:
        if strand.followed or strand.person != chosen or strand.is_photograph:
            continue
        inside = np.flatnonzero(away[strand.first : strand.last + 1]) + strand.first
        if len(inside) < (1 - _BESIDE) * (strand.last - strand.first + 1):
            continue  # beside the chosen person: a mirror image, or a picture in the picture
        breaks = np.flatnonzero(~away | (shots != shots[inside[0]]))
        first = breaks[breaks < inside[0]].max(initial=-1) + 1
        last = breaks[breaks > inside[-1]].min(initial=len(away)) - 1
        result.append((int(first), int(last), np.asarray(strand.place)))
    return result


def runs(landmarks: NDArray[np.float32], shots: NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """First and last frames of ranges within one shot in which a face is followed."""
    found = np.isfinite(landmarks[:, 0, 0])
    numbers = np.where(found, shots, -1)
    starts = np.flatnonzero(np.diff(numbers, prepend=-2))
    for first, end in zip(starts, np.append(starts[1:], len(numbers)), strict=True):
        if found[first]:
            yield int(first), int(end) - 1


class _Looks:
    """Collects the faces that were examined."""

    def __init__(self, landmarks: NDArray[np.float32], layout: LandmarkLayout) -> None:
        self._landmarks, self._layout = landmarks, layout
        self.followed: dict[int, NDArray[np.float32]] = {}
        self._beside: list[tuple[int, NDArray[np.float32], NDArray[np.float32]]] = []

    def at_followed(self, frame: int, image: NDArray[np.uint8]) -> None:
        points = self._landmarks[frame]
        if np.isfinite(points).all() and is_clear(points, self._layout):
            self.followed[frame] = describe_face(image, points, self._layout)

    def at_others(self, frame: int, image: NDArray[np.uint8], faces: list[Face]) -> None:
        """Add the faces in a picture that do not overlap with the followed one."""
        place, size = _place(self._landmarks[frame])
        for face in faces:
            points = face.points
            elsewhere = not np.linalg.norm(_place(points)[0] - place) < max(size, _place(points)[1]) / 2
            if elsewhere and is_clear(points, MESH468):
                self._beside.append((frame, describe_face(image, points, MESH468), points))

    def search_change(self, before: int, after: int, frames: Frames) -> None:
        """Find the frame in which the face changes between two frames with different people, by bisection."""
        first, second = self.followed[before], self.followed[after]
        if np.linalg.norm(first - second) < OTHER:
            return
        between = list(itertools.islice(frames(before + 1), after - before - 1))
        start = before + 1
        while after - before > 1:
            middle = (before + after) // 2
            self.at_followed(middle, between[middle - start].image)
            if middle not in self.followed:
                return
            seen = self.followed[middle]
            if np.linalg.norm(seen - first) < np.linalg.norm(seen - second):
                before = middle
            else:
                after = middle

    def as_sights(self) -> Sights:
        unknown = np.full((MESH468.count, 3), np.nan, np.float32)
        seen = [(frame, True, descriptor, unknown) for frame, descriptor in self.followed.items()]
        seen += [(frame, False, descriptor, points) for frame, descriptor, points in self._beside]
        seen.sort(key=lambda sight: (sight[0], not sight[1]))
        return Sights(
            np.array([sight[0] for sight in seen], np.int64),
            np.array([sight[1] for sight in seen], bool),
            np.array([sight[2] for sight in seen], np.float32).reshape(-1, DESCRIPTOR_SIZE),
            np.array([sight[3] for sight in seen], np.float32).reshape(-1, MESH468.count, 3),
        )


def _frames_to_look_at(landmarks: NDArray[np.float32], times: Array, shots: NDArray[np.integer]) -> set[int]:
    wanted: set[int] = set()
    for first, last in runs(landmarks, shots):
        count = max(_LEAST_LOOKS, int((times[last] - times[first]) / _EVERY))
        spread = (np.arange(count) + 0.5) / count
        wanted |= {int(frame) for frame in first + spread * (last - first + 1)}
    missing = np.isnan(landmarks[:, 0, 0])
    slots = np.floor(times / _ALL_EVERY).astype(np.int64)
    fresh = missing & (np.diff(np.where(missing, slots, -1), prepend=-1) != 0)
    return wanted | set(np.flatnonzero(fresh).tolist())


def _split(
    first: int, last: int, sights: Sights, chosen: NDArray[np.int64], passing: int
) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Split a range of frames by person: first and last frames, and indices of the examined faces."""
    groups: list[list[int]] = []
    for number in chosen:
        mean = sights.descriptors[groups[-1]].mean(axis=0) if groups else None
        if mean is None or np.linalg.norm(sights.descriptors[number] - mean) > OTHER:
            groups.append([])
        groups[-1].append(int(number))
    kept: list[list[int]] = []
    for place, group in enumerate(groups):
        passes = 0 < place < len(groups) - 1 and sights.frames[group[-1]] - sights.frames[group[0]] < passing
        resumes = bool(kept) and (
            np.linalg.norm(sights.descriptors[kept[-1]].mean(axis=0) - sights.descriptors[group].mean(axis=0)) < OTHER
        )
        if not passes and resumes:
            kept[-1] += group
        elif not passes:
            kept.append(group)
    edges = [
        (int(sights.frames[before[-1]]) + int(sights.frames[after[0]]) + 1) // 2
        for before, after in itertools.pairwise(kept)
    ]
    starts, ends = [first, *edges], [*(edge - 1 for edge in edges), last]
    for start, end, group in zip(starts, ends, kept or [[]], strict=True):
        yield start, end, np.array(group, np.int64)


def _by_place(points: NDArray[np.float32]) -> list[list[int]]:
    """Group faces with landmarks (K, P, 3), in order of time, that stay at about one position: lists of indices."""
    groups: list[list[int]] = []
    for number, face in enumerate(points):
        place, size = _place(face)
        for group in groups:
            if np.linalg.norm(_place(points[group[-1]])[0] - place) < size / 2:
                group.append(number)
                break
        else:
            groups.append([number])
    return groups


def _place(points: Array) -> tuple[NDArray[np.float64], float]:
    """Centre (x, y) and size of a face with landmarks (P, 2 or 3), in pixels."""
    low, high = np.asarray(points[:, :2].min(axis=0), np.float64), np.asarray(points[:, :2].max(axis=0), np.float64)
    return (low + high) / 2, float(np.max(high - low))


def _mean_identity(descriptors: NDArray[np.float32], breadth: float) -> NDArray[np.float64]:
    mean = descriptors.mean(axis=0) if len(descriptors) else np.full(DESCRIPTOR_SIZE, np.nan)
    return np.append(np.asarray(mean, np.float64), breadth)

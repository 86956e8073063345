"""Sequences of pictures that are used like a movie."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from av.video.frame import VideoFrame

from .. import regular_files
from ..errors import FileMissing, NoSound, NotAVideo
from ..events import Report
from ..files import state_of
from ..jobs import Media, parse_rate
from .picture_decoding import SUFFIXES, decode_picture, is_opaque, without_alpha

DEFAULT_RATE = Fraction(25)
"""Frames per second of pictures for which none is named."""

_PLACEHOLDER = re.compile(r"#+|%0?\d*d")
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")
_NAME_ONE = "Choose one of them with a pattern such as shot.####.png."
_AHEAD = 4
"""Number of pictures that are decoded in parallel."""
TIME_TOLERANCE = 0.001
"""Tolerance in seconds between a time and the beginning of the picture that it refers to: Matroska rounds timestamps to
milliseconds. A frame that begins so shortly before the end of a span is not in it.
"""


def is_sequence(media: Media) -> bool:
    """Whether a medium is a sequence of pictures, rather than a single file."""
    if media.pictures or regular_files.is_folder(media.path):
        return True
    return _is_pattern(Path(media.path)) and not regular_files.is_file(media.path)


def files_of(media: Media) -> tuple[str, ...]:
    """Files of a medium, in order: one file, or the pictures of a sequence.

    Raises:
        FileMissing: There is no such folder.
        NotAVideo: The folder contains no numbered pictures, or several sequences, or there is a gap in the numbers.
    """
    if not is_sequence(media):
        return (media.path,)
    if media.pictures:
        return tuple(str(Path(media.path) / name) for name in media.pictures)
    return tuple(map(str, _find(Path(media.path))))


def rate_of(media: Media) -> Fraction:
    """Frame rate of a sequence."""
    return parse_rate(media.rate) if media.rate else DEFAULT_RATE


def pictures_in_span(media: Media) -> dict[int, Path]:
    """Pictures in the span of a sequence by their indices, from 0; raises the errors of :func:`files_of`."""
    files, rate = files_of(media), rate_of(media)
    end = len(files) if media.end is None else min(len(files), _first_at(media.end, rate))
    first = math.floor((Fraction(media.start) + Fraction(TIME_TOLERANCE)) * rate)  # the picture on screen at the start
    return {number: Path(files[number]) for number in range(first, max(end, min(first + 1, len(files))))}


def refuse_incomplete(media: Media) -> None:
    """Raise an error if a sequence has too few pictures, or one of its span is missing.

    Raises:
        FileMissing: A picture of the span, or the folder, does not exist.
        NotAVideo: See :func:`files_of`; or the sequence has only one picture, or the span has none.
    """
    files = files_of(media)
    if len(files) == 1:
        raise NotAVideo(f"{files[0]} is a single picture.", "Choose a movie, or a sequence of pictures.")
    chosen = pictures_in_span(media).values()
    if not chosen:
        raise NotAVideo(f"{media.path} has no picture after {media.start:g} s.", "Check the trim of the strip.")
    if missing := [path for path in chosen if not regular_files.is_file(path)]:
        others = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise FileMissing(f"The picture {missing[0]} is missing{others}.", "Put it back, or trim the sequence.")


def refuse_pictures(media: Media) -> None:
    """Raise :class:`NoSound` if a medium from which sound is to be read is a sequence of pictures."""
    if is_sequence(media):
        raise NoSound(f"The pictures in {media.path} have no sound.", "Specify a recording of the speaker's voice.")


def refuse_broken(media: Media, report: Report) -> None:
    """Decode all pictures in the span of a sequence, to find damaged ones before time is spent. Ignores movies.

    Args:
        media: The span.
        report: Receives the progress of the phase ``"Read pictures"``.

    Raises:
        FileMissing, NotAVideo: See :func:`decode_pictures`.
    """
    if not is_sequence(media):
        return
    total = len(pictures_in_span(media))
    for number, _ in enumerate(decode_pictures(media), start=1):
        report.progress("Read pictures", number, total)


def decode_pictures(media: Media) -> Iterator[tuple[float, VideoFrame]]:
    """Decode the pictures in the span of a sequence, with their times in seconds from the start of the sequence.

    The time of the first one is the start of the span. If the first picture is opaque, the alpha of all pictures is
    dropped, since renderers often write one that is not used.

    Raises:
        FileMissing: A picture, or the folder, does not exist or must not be read.
        NotAVideo: A picture cannot be decoded, has another size than the first one, or is transparent although the
            first one is opaque.
    """
    rate, chosen = rate_of(media), pictures_in_span(media)
    has_alpha = _has_alpha(files_of(media))
    size: tuple[int, int] | None = None
    for number, frame in zip(chosen, _decode_ahead(list(chosen.values())), strict=True):
        size = size or (frame.width, frame.height)
        if size != (frame.width, frame.height):
            raise NotAVideo(
                f"The picture {chosen[number]} has {frame.width} x {frame.height} pixels; "
                f"the previous ones have {size[0]} x {size[1]}.",
                "Export all pictures in the same size, or trim the sequence.",
            )
        if not has_alpha and not is_opaque(frame):
            raise NotAVideo(
                f"The picture {chosen[number]} is partly transparent; the first one is not.",
                "Export all pictures with alpha, or none of them.",
            )
        time = float(number / rate)
        begins = media.start if time < media.start - TIME_TOLERANCE else time
        yield begins, frame if has_alpha else without_alpha(frame)


def hint_for_picture(path: str) -> str:
    """Hint for the path of a single picture in place of a sequence; empty for other paths."""
    name = Path(path).name
    if Path(path).suffix.lower() not in SUFFIXES:
        return ""
    if match := _NUMBERED.fullmatch(Path(path).stem):
        name = f"{match[1]}{'#' * len(match[2])}{match[3]}{Path(path).suffix}"
        return f"For a sequence of pictures, specify their folder, or {Path(path).with_name(name)}."
    return "For a sequence of pictures, specify their folder."


def _is_pattern(path: Path) -> bool:
    return _PLACEHOLDER.search(path.name) is not None and path.suffix.lower() in SUFFIXES


def _first_at(seconds: float, rate: Fraction) -> int:
    """Index of the first picture that does not begin before a time."""
    return max(0, math.ceil((Fraction(seconds) - Fraction(TIME_TOLERANCE)) * rate))


def _find(path: Path) -> list[Path]:
    """Pictures that match a pattern, or the longest numbered sequence in a folder."""
    is_folder = regular_files.is_folder(path)
    folder = path if is_folder else path.parent
    try:
        found = [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES]
    except OSError as error:
        raise FileMissing(f"The folder {folder} cannot be read: {error.strerror}.") from error
    pictures = _longest(folder, found) if is_folder else sorted(_fitting(found, path.name))
    if not pictures:
        what = "numbered pictures" if is_folder else f"pictures like {path.name}"
        raise NotAVideo(
            f"The folder {folder} contains no {what}.", "Give them names such as shot.0001.png, or choose a movie."
        )
    for (number, file), (next_number, next_file) in pairwise(pictures):
        if next_number != number + 1:
            raise NotAVideo(f"{next_file.name} follows {file}.", "Number the pictures of a sequence consecutively.")
    return [file for _, file in pictures]


def _longest(folder: Path, files: Sequence[Path]) -> list[tuple[int, Path]]:
    """The largest group of files whose names differ only in the last number, sorted by that number."""
    groups: dict[tuple[str, ...], list[tuple[int, Path]]] = defaultdict(list)
    for file in files:
        if match := _NUMBERED.fullmatch(file.stem):
            groups[match[1], match[3], file.suffix].append((int(match[2]), file))
    longest, *others = sorted((sorted(group) for group in groups.values()), key=len, reverse=True) or [[]]
    if others and len(others[0]) == len(longest):
        names = " and ".join(sorted(group[0][1].name for group in (longest, others[0])))
        raise NotAVideo(f"The folder {folder} contains several sequences, such as those of {names}.", _NAME_ONE)
    return longest


def _fitting(files: Sequence[Path], pattern: str) -> list[tuple[int, Path]]:
    """Files whose names match a pattern with a number for its placeholder, with that number."""
    before, after = map(re.escape, _PLACEHOLDER.split(pattern, 1))
    matches = ((re.fullmatch(rf"{before}(\d+){after}", file.name), file) for file in files)
    return [(int(match[1]), file) for match, file in matches if match]


def _has_alpha(files: Sequence[str]) -> bool:
    """Whether the first picture that can be decoded is not opaque."""
    for path in files:
        with suppress(FileMissing, NotAVideo):
            return _is_transparent(path, state_of(path))
    return False


@lru_cache(maxsize=64)
def _is_transparent(path: str, state: tuple[int, int] | None) -> bool:
    """Whether a picture in the given state, see :func:`s2l_core.files.state_of`, is not opaque."""
    return not is_opaque(decode_picture(Path(path)))


def _decode_ahead(paths: Sequence[Path]) -> Iterator[VideoFrame]:
    """Decode pictures in threads, a few at a time. If only the first one is requested, no others are decoded."""
    yield from map(decode_picture, paths[:1])
    with ThreadPoolExecutor(min(_AHEAD, os.cpu_count() or 1)) as pool:
        waiting: deque[Future[VideoFrame]] = deque()
        for path in paths[1:]:
            waiting.append(pool.submit(decode_picture, path))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

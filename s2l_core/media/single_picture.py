"""Reading one picture: of a file, of a sequence, or the frame of a movie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import NotAVideo
from ..jobs import Media
from .picture_decoding import SUFFIXES, decode_picture, is_opaque, without_alpha
from .raster import ColourTags, Picture, Raster, raster_of_picture
from .sequence import files_of, is_sequence, pictures_in_span
from .video import Frame, probe, read_frames


@dataclass(frozen=True)
class SinglePicture:
    """One picture with everything that is needed to write pictures like it.

    Attributes:
        path: Its file.
        picture: The picture as stored, upright, with all its bits; with alpha only if it is not opaque.
        image: uint8 (H, W, 3) RGB, the same for analysis, with square pixels.
        raster: Its storage format, progressive.
        colour: Colour tags of its file.
    """

    path: str
    picture: Picture
    image: NDArray[np.uint8]
    raster: Raster
    colour: ColourTags


def read_single_picture(media: Media) -> SinglePicture:
    """Read the picture of a file; or the picture of a sequence, or the frame of a movie, at ``media.start``.

    Raises:
        FileMissing: There is no such file.
        NotAVideo: The file is neither a picture nor a video, or it has no picture at that moment.
        BadJob: A frame rate is given for a movie.
    """
    if path := picture_path(media):
        decoded = decode_picture(path)
        decoded = without_alpha(decoded) if is_opaque(decoded) else decoded
        frame = Frame(0.0, decoded)
        return SinglePicture(str(path), frame.picture, frame.image, raster_of_picture(decoded), ColourTags())
    info = probe(media)
    shown = next(read_frames(replace(media, end=None)), None)
    if shown is None:
        raise NotAVideo(f"{media.path} has no picture at {media.start:g} s.", "Choose a moment of the movie.")
    raster = replace(info.raster, fields="progressive")
    return SinglePicture(media.path, shown.picture, shown.image, raster, info.colour)


def picture_path(media: Media) -> Path | None:
    """The file of a picture at ``media.start``; None for movies.

    Raises:
        FileMissing, NotAVideo: See :func:`s2l_core.media.sequence.files_of`; or the sequence has no picture then.
    """
    if not is_sequence(media):
        return Path(media.path) if Path(media.path).suffix.lower() in SUFFIXES else None
    if len(files := files_of(media)) == 1:
        return Path(files[0])
    chosen = pictures_in_span(media)
    if not chosen:
        raise NotAVideo(f"{media.path} has no picture after {media.start:g} s.", "Check the trim of the strip.")
    return chosen[min(chosen)]

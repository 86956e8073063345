"""The lips and the sound of people, from videos, as the networks learn from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cache import Cache
from ..events import Report
from ..footage import Footage, fingerprint_media, prepare
from ..jobs import Media
from ..media.audio import read_speech
from ..media.video import probe
from .crops import place_crops
from .flow import dis_flow
from .sizes import COLUMNS, PICTURES, RATE
from .sound import log_mel, rows_of_pictures

_CACHE_VERSION = 2
_SPAN_SECONDS = 60.0
_SHORTEST_SECONDS = 1.0


@dataclass(frozen=True)
class LipClip:
    """One person's lips and voice in a shot without cuts, at 25 pictures a second.

    Attributes:
        person: Name of the person, which is that of the file.
        pictures: uint8 (N, 3, 64, 64) RGB, see :mod:`.crops`; at least 16.
        mel: float32 (4 N, 128), see :func:`.sound.log_mel`.
        flow: float16 (N - 1, 2, 64, 64) optical flow in pixels, see :func:`.flow.dis_flow`.
    """

    person: str
    pictures: Tensor
    mel: Tensor
    flow: Tensor

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def windows(self) -> int:
        """Number of windows of 16 pictures."""
        return len(self) - PICTURES + 1


def read_clips(media: Media, report: Report) -> list[LipClip]:
    """The clips of one person, who is the one seen longest in a video. They are cached by the content of the file.

    A minute is analysed at a time, so that an interrupted run continues there.

    Raises:
        NoFace, NoSound, NotAVideo, FileMissing: See :func:`s2l_core.footage.prepare` and
            :func:`s2l_core.media.audio.read_speech`.
    """
    duration = probe(media).duration
    end = duration if media.end is None else min(media.end, duration)
    starts = np.arange(media.start, max(end - _SHORTEST_SECONDS, media.start + _SHORTEST_SECONDS), _SPAN_SECONDS)
    clips: list[LipClip] = []
    for start in starts.tolist():
        last = start + _SPAN_SECONDS if start + _SPAN_SECONDS < end else media.end
        span = replace(media, start=start, end=last)
        cache = Cache.of("glance", _CACHE_VERSION, fingerprint_media(span), span.start, span.end)
        clips += _split(Path(media.path).stem, cache.get_or_compute("clips", partial(_read_span, span, report)))
    return clips


def _read_span(media: Media, report: Report) -> dict[str, Tensor]:
    """Pictures, sound and flow of all clips of a span, end to end, with their lengths."""
    footage = prepare(media, report=report)
    mel = log_mel(read_speech(media))
    parts = list(_clips_of(footage, mel, report))
    lengths = torch.tensor([len(pictures) for pictures, _, _ in parts])
    if not parts:
        return {"lengths": lengths}
    pictures, heard, flow = (np.concatenate(each) for each in zip(*parts, strict=True))
    return {
        "lengths": lengths,
        "pictures": torch.from_numpy(pictures),
        "mel": torch.from_numpy(heard),
        "flow": torch.from_numpy(flow),
    }


def _clips_of(
    footage: Footage, mel: NDArray[np.float32], report: Report
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float16]]]:
    """Pictures (n, 3, 64, 64), sound (4 n, 128) and flow (n - 1, 2, 64, 64) of each shot with 16 pictures or more."""
    moments = footage.media.start + np.arange(int(footage.seconds * RATE + 1e-6)) / RATE
    shown = footage.shown_in_blender(moments)
    decoded = dict(footage.pictures(np.unique(shown), "Read pictures", report))
    for placement in place_crops(footage.landmarks[shown], footage.layout):
        first, count = int(placement.frames[0]), len(placement.frames)
        if count < PICTURES:
            continue
        crops = [placement.crop(decoded[shown[frame]], place) for place, frame in enumerate(placement.frames)]
        pictures = np.stack(crops)
        heard = rows_of_pictures(mel[COLUMNS * first :], count)
        yield pictures.transpose(0, 3, 1, 2), heard, dis_flow(pictures).astype(np.float16)


def _split(person: str, tensors: dict[str, Tensor]) -> Iterator[LipClip]:
    lengths = tensors["lengths"].tolist()
    if not lengths:
        return
    pictures = tensors["pictures"].split(lengths)
    mel = tensors["mel"].split([COLUMNS * length for length in lengths])
    flow = tensors["flow"].split([length - 1 for length in lengths])
    for parts in zip(pictures, mel, flow, strict=True):
        yield LipClip(person, *parts)


def read_people(paths: Sequence[str], report: Report) -> list[LipClip]:
    """The clips of several videos, see :func:`read_clips`."""
    return [clip for path in paths for clip in read_clips(Media(path), report)]

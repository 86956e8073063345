"""Drivers: functions that render new mouths into the frames of a clip, with one interface for speakers, baselines and
oracles.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..canonical.regions import Observer
from ..canonical.view import CanonicalFace
from ..device import in_double
from ..events import Report
from ..footage import Footage
from ..jobs import DubJob, Media
from ..media.frames import FrameReader
from ..media.mix import Context
from ..media.planes import Part
from ..model.lip.base import SPOKEN_SIZE
from ..model.speaker import SpeakerModel
from ..mouth import exemplar_choice
from ..mouth.dub_frames import DubFrames
from ..mouth.line_codes import speech_track
from ..mouth.painting import line_painter
from ..mouth.pasting import LipPaster
from ..mouth.rendering import BATCH, MouthRenderer
from ..speech.encoder import codes_at

Images = Sequence[NDArray[np.uint8]]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Driver:
    """Renders new mouths into the frames of a clip.

    Attributes:
        face: The canonical view whose lip rectangle it changes.
        render: Maps B images, uint8 (H, W, 3), and their indices in the footage to B new images.
    """

    face: CanonicalFace
    render: Callable[[Images, Indices], list[NDArray[np.uint8]]]


def real(face: CanonicalFace) -> Driver:
    """A driver that returns the real frames."""
    return Driver(face, lambda images, indices: list(images))


def dub_driver(
    speaker: SpeakerModel,
    footage: Footage,
    speech: NDArray[np.float32],
    report: Report,
    context: Context | None = None,
) -> Driver:
    """A driver that renders what ``dub`` does with its defaults, before encoding.

    Args:
        speaker: The speaker, on the device to compute on.
        footage: The clip, with the speaker's head tracked.
        speech: float32 (n,) at 16 kHz from the start of the footage's span.
        report: Receives the phase ``"Check mouths"``.
        context: The sound around the speech; None means silence.
    """
    job = DubJob("", footage.media, footage.media, "", moments=tuple(footage.times.tolist()))
    frames = DubFrames(job, speaker, footage, speech, context or Context.silent(speech))
    frames.assess(report)
    return Driver(speaker.face, frames.dubbed)


def written(face: CanonicalFace, path: str, footage: Footage) -> Driver:
    """A driver that reads the frames of a written dub, which shows each frame of the footage once."""
    reader = FrameReader(Media(path), np.arange(len(footage.times)) / float(footage.info.rate))
    return Driver(face, lambda images, indices: [reader.read(int(index)) for index in indices])


def speaker_driver(
    speaker: SpeakerModel, footage: Footage, speech: NDArray[np.float32], audio_only: bool = False
) -> Driver:
    """A driver that uses a speaker's renderer alone: unlike ``dub``, it neither closes the mouth in silence nor skips
    frames.

    Args:
        speaker: The speaker, on the device to compute on.
        footage: The clip.
        speech: float32 (n,) at 16 kHz from the start of the footage's span.
        audio_only: Whether to leave out the parts that see the frame: look model and Blend-Net.
    """
    renderer = MouthRenderer(speaker, footage, blending=not audio_only)
    track = speech_track(speaker, speech)
    paint = line_painter(speaker, codes_at(track, footage.times - footage.media.start))

    def render(images: Images, indices: Indices) -> list[NDArray[np.uint8]]:
        times = footage.times[indices] - footage.media.start
        if audio_only:
            with torch.no_grad():
                codes = speaker.lip.code(codes_at(track, times))
        else:
            codes = renderer.codes(images, indices, track, times)
        return renderer.render(images, indices, paint(codes, indices))

    return Driver(speaker.face, render)


def nearest_exemplars(speaker: SpeakerModel, footage: Footage, speech: NDArray[np.float32]) -> Driver:
    """A driver that shows in each frame the exemplar that is nearest to what speech asks for, as it is: how real lips
    look that are chosen by speech.

    Args:
        speaker: A speaker with exemplars, on the device to compute on.
        footage: The clip.
        speech: float32 (n,) at 16 kHz from the start of the footage's span.
    """
    exemplars, renderer = speaker.exemplars, MouthRenderer(speaker, footage)
    assert exemplars is not None
    asked = codes_at(speech_track(speaker, speech), footage.times - footage.media.start)
    chosen = exemplar_choice.nearest_exemplars(exemplars, asked)

    def render(images: Images, indices: Indices) -> list[NDArray[np.uint8]]:
        return renderer.render(images, indices, exemplars.lips(chosen[indices].tolist()))

    return Driver(speaker.face, render)


def ceiling(speaker: SpeakerModel, footage: Footage) -> Driver:
    """An oracle: a speaker driven by the codes that fit the real lips best in the least-squares sense. The pictures of
    its lip model must be affine in the code, as those of ``grids`` are.
    """
    renderer, read = MouthRenderer(speaker, footage), _code_reader(speaker, footage)
    with torch.no_grad():
        paint = speaker.lip.pixel_painter()

    @torch.no_grad()
    def render(images: Images, indices: Indices) -> list[NDArray[np.uint8]]:
        return renderer.render(images, indices, paint(read(images, indices)))

    return Driver(speaker.face, render)


def exemplar_ceiling(speaker: SpeakerModel, footage: Footage) -> Driver:
    """As :func:`ceiling`, for a speaker with exemplars, which are chosen and moved by these codes: what exemplars would
    show if speech told everything.
    """
    renderer, read = MouthRenderer(speaker, footage), _code_reader(speaker, footage)
    codes, offsets, frames = [], [], enumerate(itertools.islice(footage.frames(), len(footage.times)))
    while batch := list(itertools.islice(frames, BATCH)):
        images, indices = [frame.image for _, frame in batch], np.array([index for index, _ in batch])
        codes.append(read(images, indices))
        nothing_said = torch.zeros_like(codes[-1][:1])
        offsets.append(renderer.codes(images, indices, nothing_said, np.zeros(len(batch))))
    true = torch.cat(codes)
    paint = line_painter(speaker, true - torch.cat(offsets))

    def render(images: Images, indices: Indices) -> list[NDArray[np.uint8]]:
        return renderer.render(images, indices, paint(true[torch.from_numpy(indices)], indices))

    return Driver(speaker.face, render)


def _code_reader(speaker: SpeakerModel, footage: Footage) -> Callable[[Images, Indices], Tensor]:
    """A function that maps B images and their indices to the codes (B, code) that fit the real lips best."""
    observe = lip_observer(speaker.face, footage)
    with torch.no_grad():
        paint = speaker.lip.pixel_painter()
        size = speaker.lip.code(torch.zeros(1, SPOKEN_SIZE)).shape[1]
        device = speaker.face.lips.depth.device
        base = paint(torch.zeros(1, size, device=device)).flatten(1)
        basis = paint(torch.eye(size, device=device)).flatten(1) - base
        encode = torch.linalg.pinv(in_double(basis)).to(basis)
    return lambda images, indices: (observe(images, indices).flatten(1) - base) @ encode


def painted(face: CanonicalFace, footage: Footage, paint: Callable[[Tensor, NDArray[np.float64]], Tensor]) -> Driver:
    """A driver that composites canonical lips into the frames without Blend-Net.

    Args:
        face: The canonical view, on the device to compute on.
        footage: The clip.
        paint: Maps the real canonical lips (B, 3, h, w) and times (B,), in seconds from the start of the footage's
            span, to new lips.
    """
    paster, observe = LipPaster(face, footage), lip_observer(face, footage)

    def render(images: Images, indices: Indices) -> list[NDArray[np.uint8]]:
        lips = paint(observe(images, indices), footage.times[indices] - footage.media.start)
        return paster.paste(images, indices, lips)

    return Driver(face, render)


def lip_observer(face: CanonicalFace, footage: Footage) -> Callable[[Images, Indices], Tensor]:
    """A function that maps B images and their indices to canonical lips float32 (B, 3, h, w), by O2C."""
    observer = Observer(face, footage, face.lips.depth.device)

    def observe(images: Images, indices: Indices) -> Tensor:
        seen = zip(images, indices, strict=True)
        return torch.stack([observer.observe(partial(Part.of, image), int(index)).lips for image, index in seen])

    return observe


def canonical_lips(face: CanonicalFace, footage: Footage, indices: Indices) -> Tensor:
    """Canonical lips uint8 (n, 3, h, w) of frames (n,), which ascend."""
    observe, wanted, lips = lip_observer(face, footage), set(indices.tolist()), []
    for index, frame in enumerate(footage.frames()):
        if index > indices[-1]:
            break
        if index in wanted:
            lips.append((observe([frame.image], np.array([index])) * 255).round().to(torch.uint8))
    return torch.cat(lips)

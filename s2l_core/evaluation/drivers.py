"""Drivers: whatever gives the frames of a clip new mouths, so that all are measured alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..canonical.regions import Observer
from ..canonical.view import CanonicalFace
from ..events import Report
from ..footage import Footage
from ..jobs import DubJob, Media
from ..media.frames import FrameReader
from ..media.mix import Context
from ..model.lip.base import SPOKEN_SIZE
from ..model.speaker import SpeakerModel
from ..mouth.dub_frames import DubFrames
from ..mouth.rendering import LipPaster, MouthRenderer, speech_track
from ..speech.encoder import codes_at

Images = Sequence[NDArray[np.uint8]]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Driver:
    """Gives frames of one clip new mouths.

    Attributes:
        face: The canonical view whose lip rectangle it changes.
        render: B images uint8 (H, W, 3), and which of the footage's frames they are, to B new images.
    """

    face: CanonicalFace
    render: Callable[[Images, Indices], list[NDArray[np.uint8]]]


def real(face: CanonicalFace) -> Driver:
    """The frames as they are."""
    return Driver(face, lambda images, indices: list(images))


def dub_driver(
    speaker: SpeakerModel,
    footage: Footage,
    speech: NDArray[np.float32],
    report: Report,
    context: Context | None = None,
) -> Driver:
    """What ``dub`` makes of all frames of the footage with its defaults, before encoding.

    Args:
        speaker: On the device to compute on.
        footage: The clip, with the head tracked as the speaker's.
        speech: (n,) at 16 kHz from the start of the footage's span.
        report: Told the phase ``"Look for the mouth"``.
        context: What is heard around the speech; None for nothing.
    """
    job = DubJob("", footage.media, footage.media, "", moments=tuple(footage.times.tolist()))
    frames = DubFrames(job, speaker, footage, speech, context or Context.silent(speech))
    frames.assess(report)
    return Driver(speaker.face, frames.dubbed)


def written(face: CanonicalFace, path: str, footage: Footage) -> Driver:
    """The frames of a dub that shows each frame of the footage once, as they are read from its file."""
    reader = FrameReader(Media(path), np.arange(len(footage.times)) / float(footage.info.rate))
    return Driver(face, lambda images, indices: [reader.read(int(index)) for index in indices])


def speaker_driver(
    speaker: SpeakerModel, footage: Footage, speech: NDArray[np.float32], audio_only: bool = False
) -> Driver:
    """A speaker's renderer alone, without what ``dub`` does in silence and in frames whose mouth cannot be seen, driven
    by speech (n,) at 16 kHz from the start of the footage's span.

    Args:
        speaker: On the device to compute on.
        footage: The clip.
        speech: What to say.
        audio_only: Leave out what sees the frame, which is the look and Blend-Net.
    """
    renderer = MouthRenderer(speaker, footage, blending=not audio_only)
    track = speech_track(speaker, speech)

    def render(images: Images, indices: Indices) -> list[NDArray[np.uint8]]:
        times = footage.times[indices] - footage.media.start
        if audio_only:
            with torch.no_grad():
                codes = speaker.lip.code(codes_at(track, times))
        else:
            codes = renderer.codes(images, indices, track, times)
        return renderer.render(images, indices, codes)

    return Driver(speaker.face, render)


def ceiling(speaker: SpeakerModel, footage: Footage) -> Driver:
    """Oracle: a speaker driven by the codes that the real lips themselves ask for, by least squares.

    Its lip model is one whose pictures are affine in the code, as those of ``fast`` are.
    """
    renderer = MouthRenderer(speaker, footage)
    observe = lip_observer(speaker.face, footage)
    with torch.no_grad():
        paint = speaker.lip.pixel_painter()
        size = speaker.lip.code(torch.zeros(1, SPOKEN_SIZE)).shape[1]
        device = speaker.face.lips.depth.device
        base = paint(torch.zeros(1, size, device=device)).flatten(1)
        basis = paint(torch.eye(size, device=device)).flatten(1) - base
        encode = torch.linalg.pinv(basis.double()).float()

    def render(images: Images, indices: Indices) -> list[NDArray[np.uint8]]:
        return renderer.render(images, indices, (observe(images, indices).flatten(1) - base) @ encode)

    return Driver(speaker.face, render)


def painted(face: CanonicalFace, footage: Footage, paint: Callable[[Tensor, NDArray[np.float64]], Tensor]) -> Driver:
    """Canonical lips laid over the frames without Blend-Net.

    Args:
        face: The canonical view, on the device to compute on.
        footage: The clip.
        paint: The real canonical lips (B, 3, h, w) and times (B,), in seconds from the start of the footage's span,
            to new lips.
    """
    paster, observe = LipPaster(face, footage), lip_observer(face, footage)

    def render(images: Images, indices: Indices) -> list[NDArray[np.uint8]]:
        lips = paint(observe(images, indices), footage.times[indices] - footage.media.start)
        return paster.paste(images, indices, lips)

    return Driver(face, render)


def lip_observer(face: CanonicalFace, footage: Footage) -> Callable[[Images, Indices], Tensor]:
    """A function from B images, and which frames they are, to their canonical lips float32 (B, 3, h, w), O2C."""
    observer = Observer(face, footage, face.lips.depth.device)

    def observe(images: Images, indices: Indices) -> Tensor:
        seen = [observer.observe(image, int(index)).lips for image, index in zip(images, indices, strict=True)]
        return torch.stack(seen)

    return observe


def canonical_lips(face: CanonicalFace, footage: Footage, indices: Indices) -> Tensor:
    """The canonical lips uint8 (n, 3, h, w) of frames (n,), in order of time."""
    observe, wanted, lips = lip_observer(face, footage), set(indices.tolist()), []
    for index, frame in enumerate(footage.frames()):
        if index > indices[-1]:
            break
        if index in wanted:
            lips.append((observe([frame.image], np.array([index])) * 255).round().to(torch.uint8))
    return torch.cat(lips)

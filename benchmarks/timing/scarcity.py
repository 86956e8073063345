"""A dub on a device whose memory runs out."""

from __future__ import annotations

import hashlib
import unittest.mock
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from s2l_core.events import Report
from s2l_core.jobs import DubJob
from s2l_core.media.planes import in_rgb
from s2l_core.mouth.rendering import MouthRenderer

from .parts_of_dub import open_frames


def digest_frames(job: DubJob, most: int, report: Report) -> dict[str, Any]:
    """A digest of the frames of a dub, and their mean colour.

    Args:
        job: The dub.
        most: Number of frames for which the device is made to have enough memory; 0 leaves it as it is.
        report: Receives the progress.
    """
    frames, _ = open_frames(job, report)
    digest, total, refused = hashlib.sha256(), 0.0, 0
    codes = MouthRenderer.codes

    def scarce(renderer: MouthRenderer, images: Sequence[Any], *rest: Any) -> Any:
        nonlocal refused
        if most and len(images) > most:
            refused += 1
            raise torch.OutOfMemoryError("as if the memory were not enough")
        return codes(renderer, images, *rest)

    with unittest.mock.patch.object(MouthRenderer, "codes", scarce):
        for picture in frames.read(range(len(frames))):
            pixels = np.ascontiguousarray(in_rgb(picture))
            digest.update(pixels.data)
            total += float(pixels.mean())
    mean = total / len(frames)
    return {"digest": digest.hexdigest(), "mean": mean, "times_out_of_memory": refused, "frames": len(frames)}

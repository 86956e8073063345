"""The training frames: everything that training needs of each frame, decoded once and held in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cache import NO_CACHE, AppendLog, Cache, Tensors
from ..canonical.regions import Observer, lip_shapes
from ..canonical.view import CanonicalFace
from ..events import Report
from ..footage import Footage
from ..model.look import LookPixels, in_8_bits
from ..speech.features import log_mel, normalise_loudness
from ..speech.sources import LOG_MEL, SpeechSource


@dataclass(frozen=True)
class Clip:
    """N frames with a face, in order of time.

    Attributes:
        face: The canonical view.
        footage: The footage that they come from.
        observer: Locates the mouth regions in its frames.
        indices: int64 (N,) indices of the frames in the footage.
        times: float64 (N,) seconds from the start of the footage's span.
        openings: float64 (N,) opening of the mouth, as a share of the face's height.
        shapes: float32 (N, s) lip shapes, see :func:`s2l_core.canonical.regions.lip_shapes`.
        surroundings: uint8 (N, ...) colours around the mouth, for the look model.
        border: uint8 (N, ...) colours at the border of the lip rectangle, for the look model.
        lips: uint8 (N, 3, h, w) canonical lips.
        regions: uint8 (N, H, W, 3) mouth regions; (0,) unless they were asked for.
        poses: float32 (N, 4, 4) camera_from_head.
        mel: float32 (m, 80) log-mel of the speech in the whole span of the footage.
        features: float32 (m, bands) speech features for the speech encoder, of the same span.
        source: Source of the features.
        prior: float16 (m, 288) states of Moonshine for the same span; None if it is not installed or not used.
    """

    face: CanonicalFace
    footage: Footage
    observer: Observer
    indices: NDArray[np.int64]
    times: NDArray[np.float64]
    openings: NDArray[np.float64]
    shapes: NDArray[np.float32]
    surroundings: NDArray[np.uint8]
    border: NDArray[np.uint8]
    lips: Tensor
    regions: Tensor
    poses: Tensor
    mel: NDArray[np.float32]
    features: NDArray[np.float32]
    source: SpeechSource
    prior: NDArray[np.float16] | None

    @property
    def seconds(self) -> float:
        """Time of the last frame, in seconds from the start of the footage's span."""
        return float(self.times[-1])

    def part(self, span: tuple[float, float]) -> Clip:
        """The frames from the first up to the second moment of a span, in seconds of the medium."""
        moments = self.times + self.footage.media.start
        chosen = np.flatnonzero((moments >= span[0]) & (moments < span[1]))
        on_device = torch.from_numpy(chosen).to(self.lips.device)
        arrays = ("indices", "times", "openings", "shapes", "surroundings", "border")
        return replace(
            self,
            **{name: getattr(self, name)[chosen] for name in arrays},
            lips=self.lips[on_device],
            regions=self.regions[on_device] if len(self.regions) else self.regions,
            poses=self.poses[on_device],
        )


def observe(
    face: CanonicalFace,
    footage: Footage,
    speech: NDArray[np.float32],
    source: SpeechSource,
    usable: NDArray[np.bool_],
    device: torch.device,
    report: Report,
    cache: Cache = NO_CACHE,
    prior: SpeechSource | None = None,
    keep_regions: bool = True,
) -> Clip:
    """Decode the frames and extract what training needs.

    Args:
        face: The canonical view, on the device.
        footage: The clip, with a tracked head.
        speech: (n,) at 16 kHz from the start of the footage's span.
        source: Source of the speech features.
        usable: bool (N,) frames to use; those without a face are left out.
        device: Device to compute on.
        report: Receives the phases ``"Hear speech"`` and ``"Read footage"``.
        cache: Cache of the result and of the work until then.
        prior: Source of the states of Moonshine; None leaves them out.
        keep_regions: Whether to keep the mouth regions, which take more memory than everything else in a close-up.
    """
    mel, features, states = _hear(speech, source, prior, report, cache)

    # Mouth region, canonical lips and colours of each frame with a face; the cache keeps those that are done.
    observer = Observer(face, footage, device)
    pixels = LookPixels.of(face)
    indices = np.flatnonzero(usable & footage.track.found)
    rows = AppendLog(cache, "observed")
    for index, frame in footage.chosen(indices, "Read footage", report, done=rows.count):
        observation = observer.observe(frame.part, index)
        around, rim = pixels.take(observation)
        row = {"lips": in_8_bits(observation.lips), "surroundings": around, "border": rim}
        if keep_regions:
            row["regions"] = torch.from_numpy(observation.region)
        rows.add(**{name: tensor[None] for name, tensor in row.items()})
    seen = rows.all()
    times = footage.times[indices] - footage.media.start
    return Clip(
        face=face,
        footage=footage,
        observer=observer,
        indices=indices,
        times=times,
        openings=footage.openings[indices],
        shapes=lip_shapes(footage.landmarks, footage.track, footage.layout)[indices],
        surroundings=seen["surroundings"].numpy(),
        border=seen["border"].numpy(),
        lips=seen["lips"].to(device),
        regions=seen.get("regions", torch.empty(0, dtype=torch.uint8)).to(device),
        poses=observer.poses[torch.as_tensor(indices, device=device)],
        mel=mel,
        features=features,
        source=source,
        prior=states,
    )


def _hear(
    speech: NDArray[np.float32], source: SpeechSource, prior: SpeechSource | None, report: Report, cache: Cache
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float16] | None]:
    """Log-mel, speech features, and states of Moonshine of speech (n,). The states are kept in half precision: an
    hour's would take 0.4 GB.
    """
    normal = normalise_loudness(speech)

    def rows(name: str, heard: SpeechSource, dtype: torch.dtype) -> NDArray[Any]:
        def compute() -> Tensors:
            return {
                "rows": torch.cat([torch.from_numpy(piece).to(dtype) for piece in heard.pieces(normal, 1.0, report)])
            }

        return np.asarray(cache.get_or_compute(name, compute)["rows"].numpy())

    features = rows("features", source, torch.float32)
    states = None if prior is None else rows("prior features", prior, torch.float16)
    return features if source.name == LOG_MEL else log_mel(normal), features, states

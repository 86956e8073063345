"""The evaluator: compares rendered frames with the held-out real ones of a clip, before encoding."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cache import NO_CACHE, AppendLog, Cache
from ..canonical.regions import mouth_boxes
from ..canonical.view import CanonicalFace
from ..events import Report, checkpoint
from ..face.detector import Face, LandmarkDetector
from ..face.landmarks import open_detector
from ..face.layout import mouth_opening
from ..footage import Footage
from ..media.audio import SPEECH_RATE
from ..media.video import Frame, read_frames
from ..model.perception import Lpips
from ..model.sync import SyncExpert
from ..mouth.pasting import LipPaster
from ..mouth.rendering import BATCH
from ..results import Measures
from ..speech.features import log_mel, normalise_loudness
from . import metrics, realism
from .drivers import Driver, Images, Indices, lip_observer, real
from .sync_score import score_offset


@dataclass(frozen=True)
class Measurements:
    """What was measured on N rendered frames.

    Attributes:
        landmarks: float32 (N, P, 3) in pixels, NaN in frames without a face.
        lips: uint8 (N, 3, h, w) canonical lips; empty unless something compares them.
        scores: Per-frame measures, float64 (N,) by name.
    """

    landmarks: NDArray[np.float32]
    lips: Tensor
    scores: dict[str, NDArray[np.float64]]


class Evaluator:
    """Measures drivers on the held-out frames of one clip.

    Args:
        footage: The clip, with a tracked head.
        face: Canonical view of the clip, on the device to compute on. Pictures are compared inside its mouth box: the
            lips with a margin of a quarter of their width.
        span: First and last held-out second of the medium.
        landmarks: Back-end that finds the landmarks in rendered frames, see
            :func:`s2l_core.face.landmarks.open_detector`.
        perception: Network of the measure ``lpips``, on the device; None leaves the measure out.
        expert: Network of the measures of synchrony, on the device; None leaves them out. It must not have seen the
            held-out frames, and nothing must have been trained against it.
        training_lips: Real canonical lips uint8 (M, 3, h, w) of the training frames, for the measures of realism, which
            take ``perception`` too; None leaves them out.
        report: Receives the phase ``"Measure"``.
        cache: Cache of what drivers show, which is found again if they come in the same order.
    """

    def __init__(
        self,
        footage: Footage,
        face: CanonicalFace,
        span: tuple[float, float],
        landmarks: str = "bundled",
        perception: Lpips | None = None,
        expert: SyncExpert | None = None,
        training_lips: Tensor | None = None,
        report: Report | None = None,
        cache: Cache = NO_CACHE,
    ) -> None:
        start, end = (int(np.searchsorted(footage.times, moment)) for moment in span)
        indices = np.arange(start, max(end, start + 1)).clip(max=len(footage.times) - 1)
        self.indices = indices[footage.track.found[indices]]
        self.seconds = span[1] - span[0]
        self._footage = footage
        self._face = face
        self._landmarks = landmarks
        self._layout = open_detector(landmarks).layout
        self._perception = perception
        self._expert = expert
        self._training_lips = training_lips if perception is not None else None
        self._report = report or Report()
        self._cache, self._shows = cache, 0
        self._last: tuple[Driver | None, Measurements | None] = None, None
        self._boxes = np.round(mouth_boxes(face, footage.track)).astype(int).clip(min=0)
        self._inner_lips = footage.layout.lips_inner
        self._start = span[0] - footage.media.start

    @property
    def mouth_box_px(self) -> list[float]:
        """Mean width and height of the mouth box."""
        boxes = self._boxes[self.indices]
        return [float(side) for side in (boxes[:, 2:] - boxes[:, :2]).mean(axis=0)]

    def say(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        """Speech (n,) at 16 kHz from the start of the footage's span: ``sound`` during the held-out frames, silence
        before.
        """
        first, length = (round(seconds * SPEECH_RATE) for seconds in (self._start, self.seconds))
        return np.concatenate([np.zeros(first, np.float32), sound[:length]])

    def measure(self, driver: Driver, speech: NDArray[np.float32]) -> Measures:
        """Compare the frames of a driver that speaks the footage's own words with the real ones.

        Args:
            driver: Renders the held-out frames.
            speech: (n,) at 16 kHz from the start of the footage's span.
        """
        measured, true = self._measure_frames(driver, scoring=True), self._real
        layout = self._layout
        openings, real_openings = self._openings(measured), self._openings(true)
        widths, real_widths = (metrics.mouth_width(each.landmarks, layout) for each in (measured, true))
        means = {name: float(values.mean()) for name, values in measured.scores.items() if name != "teeth"}
        gradient, real_gradient = means.pop("edge_gradient"), float(true.scores["edge_gradient"].mean())
        grain, real_grain = means.pop("grain"), float(true.scores["grain"].mean())
        jitter, real_jitter = (metrics.lip_jitter(each.landmarks, layout) for each in (measured, true))
        distances = metrics.landmark_distance(measured.landmarks, true.landmarks, layout)
        columns = {
            **means,
            "outside_mask_max_error": measured.scores["outside_mask_max_error"].max(),
            "lmd": distances[np.isfinite(distances)].mean() if np.isfinite(distances).any() else np.nan,
            "opening_correlation": metrics.correlation(openings, real_openings),
            "width_correlation": metrics.correlation(widths, real_widths),
            "articulation": metrics.deviation_ratio(openings, real_openings),
            "open_closed_ratio": metrics.open_closed_ratio(openings),
            "jitter": jitter / real_jitter if real_jitter > 0 else np.nan,
            "seam": gradient / real_gradient if real_gradient > 0 else np.nan,
            "grain": grain / real_grain if real_grain > 0 else np.nan,
            "closures": metrics.kept_closures(openings, real_openings),
            "mouth_delay_frames": metrics.mouth_delay(openings, real_openings),
            **self._realism(measured),
            **self._synchrony(measured, speech),
        }
        finite = {name: float(value) if np.isfinite(value) else None for name, value in columns.items()}
        return cast(Measures, finite)

    def mouth_psnr(self, driver: Driver) -> float:
        """``mouth_psnr`` alone, which takes less time than all measures."""
        figures = [
            metrics.psnr(self._mouth(new, index), self._mouth(old, index))
            for batch, images in self._batches()
            for index, new, old in zip(batch, driver.render(images, batch), images, strict=True)
        ]
        return float(np.mean(figures))

    def leakage(self, driver: Driver) -> float:
        """Correlation of the rendered mouth's opening with that of the footage, for a driver that speaks other
        words.
        """
        return metrics.correlation(self._openings(self._measure_frames(driver)), self._openings(self._real))

    def moving_share(self, driver: Driver) -> float:
        """Share of the frames whose mouth moves, for a driver that is driven by silence."""
        return metrics.moving_share(self._openings(self._measure_frames(driver)))

    def cross(self, driver: Driver, speech: NDArray[np.float32]) -> dict[str, float]:
        """Measures of a driver that speaks ``speech`` (n,), which is not the frames' own: ``leakage`` and, with a sync
        expert, the measures of synchrony.
        """
        return {"leakage": self.leakage(driver), **self._synchrony(self._measure_frames(driver), speech)}

    def mouths(self, driver: Driver, wanted: Set[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """The mouth boxes that a driver renders in some of the held-out frames, with the indices of the frames."""
        for batch, images in self._batches():
            if wanted & set(batch.tolist()):
                for index, image in zip(batch.tolist(), driver.render(images, batch), strict=True):
                    if index in wanted:
                        yield index, self._mouth(image, index)

    @cached_property
    def _real(self) -> Measurements:
        return self._measure_frames(real(self._face), scoring=True)

    def _openings(self, measured: Measurements) -> NDArray[np.float64]:
        return np.asarray(mouth_opening(measured.landmarks, self._layout), np.float64)

    @cached_property
    def _training_features(self) -> NDArray[np.float64]:
        assert self._training_lips is not None
        return self._lip_features(self._training_lips)

    def _lip_features(self, lips: Tensor) -> NDArray[np.float64]:
        assert self._perception is not None
        return realism.lip_features(self._perception, self._mouths_of(lips))

    def _mouths_of(self, lips: Tensor) -> Tensor:
        """The mouth boxes of canonical lips (N, 3, h, w)."""
        left, top, right, bottom = (round(edge) for edge in self._face.mouth_box)
        view = self._face.lips.rectangle
        return lips[..., max(0, top - view.top) : bottom - view.top, max(0, left - view.left) : right - view.left]

    def _realism(self, measured: Measurements) -> dict[str, float]:
        """Measures that compare the set of rendered mouths with the set of real ones."""
        if self._training_lips is None:
            return {}
        features, real_features = (self._lip_features(each.lips) for each in (measured, self._real))
        change, real_change = (
            realism.flicker(self._mouths_of(each.lips).permute(0, 2, 3, 1).contiguous().cpu().numpy())
            for each in (measured, self._real)
        )
        errors = np.abs(measured.scores["teeth"] - self._real.scores["teeth"])
        return {
            "kid": realism.kernel_distance(features, self._training_features),
            "kid_real": realism.kernel_distance(real_features, self._training_features),
            "real_or_dub_auc": realism.separability(real_features, features),
            "flicker": change / real_change if real_change > 0 else np.nan,
            "teeth": float(np.nanmean(errors)) if np.isfinite(errors).any() else np.nan,
        }

    def _synchrony(self, measured: Measurements, speech: NDArray[np.float32]) -> dict[str, float]:
        if self._expert is None:
            return {}
        mel = torch.from_numpy(log_mel(normalise_loudness(speech))).to(measured.lips.device)
        times = self._footage.times[self.indices] - self._footage.media.start
        score = score_offset(self._expert, mel, times, measured.lips)
        if score is None:
            return {}
        return {
            "sync_offset_frames": score.offset_frames,
            "sync_confidence": score.confidence,
            "sync_within_one_frame": score.within_one_frame,
        }

    def _measure_frames(self, driver: Driver, scoring: bool = False) -> Measurements:
        """Render the held-out frames and measure each of them. The result of the last driver is remembered."""
        known, measured = self._last
        if known is driver and measured is not None and not scoring:
            return measured
        detector = open_detector(self._landmarks)
        nothing = np.full((self._layout.count, 3), np.nan, np.float32)
        paster = LipPaster(driver.face, self._footage)
        observe = lip_observer(self._face, self._footage)
        rows = AppendLog(self._cache, f"measured {self._shows}")
        self._shows += 1
        if rows.count:
            detector.follow(rows.all()["landmarks"][-1].numpy())
        for batch, images in self._batches(rows.count):
            generated = driver.render(images, batch)
            faces = [self._find(detector, image, index) for image, index in zip(generated, batch, strict=True)]
            found = {"landmarks": np.stack([nothing if face is None else face.points for face in faces])}
            if self._expert is not None or self._training_lips is not None:
                found["lips"] = (observe(generated, batch) * 255).round().to(torch.uint8).cpu().numpy()
            if scoring:
                masks = paster.masks(batch, *images[0].shape[:2])
                scores = [
                    self._score(new, old, index, mask)
                    for new, old, index, mask in zip(generated, images, batch, masks, strict=True)
                ]
                found |= {name: np.array([float(score[name]) for score in scores]) for name in scores[0]}
            rows.add(**{name: torch.from_numpy(values) for name, values in found.items()})
            self._report.progress("Measure", rows.count, len(self.indices))
        columns = rows.all()
        landmarks, lips = columns.pop("landmarks").numpy(), columns.pop("lips", torch.empty(0))
        lips = lips.to(self._face.lips.depth.device)
        measured = Measurements(landmarks, lips, {name: values.numpy() for name, values in columns.items()})
        self._last = driver, measured
        return measured

    def _find(self, detector: LandmarkDetector, image: NDArray[np.uint8], index: np.int64) -> Face | None:
        """The face in a rendered picture; if it is too small for the detector, it is looked for where the real one
        is.
        """
        checkpoint()
        face = detector.detect(image)
        if face is None:
            detector.follow(self._footage.landmarks[index])
            face = detector.detect(image)
        return face

    def _score(
        self, new: NDArray[np.uint8], old: NDArray[np.uint8], index: int, mask: NDArray[np.uint8]
    ) -> dict[str, float]:
        checkpoint()
        mouth, real_mouth = self._mouth(new, index), self._mouth(old, index)
        scores = {
            "mouth_psnr": metrics.psnr(mouth, real_mouth),
            "mouth_ssim": metrics.ssim(mouth, real_mouth),
            "cpbd": metrics.cpbd(mouth),
            "frame_psnr": metrics.psnr(new, old),
            "edge_gradient": metrics.edge_gradient(new, mask),
            "grain": metrics.grain(new, mask),
            "outside_mask_max_error": cv2.norm(new, old, cv2.NORM_INF, (mask == 0).astype(np.uint8)),
            "teeth": realism.brightness_inside(new, self._footage.landmarks[index][self._inner_lips, :2]),
        }
        if self._perception is not None:
            device = self._face.lips.depth.device
            pair = torch.from_numpy(np.stack([mouth, real_mouth])).to(device).permute(0, 3, 1, 2).float() / 255
            scores["lpips"] = float(self._perception(pair[:1], pair[1:]))
        return scores

    def _mouth(self, image: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        left, top, right, bottom = self._boxes[index]
        return image[top:bottom, left:right]

    def _batches(self, first: int = 0) -> Iterator[tuple[Indices, Images]]:
        """Indices and pictures of the held-out frames from number ``first`` on, in batches."""
        footage, indices = self._footage, self.indices[first:]
        if not len(indices):
            return
        start, end = float(footage.times[indices[0]]), float(footage.times[indices[-1]])
        frames: Iterator[Frame] = read_frames(replace(footage.media, start=start, end=end + 2e-3))
        wanted = set(indices.tolist())
        measured = (
            (index, frame.image) for index, frame in enumerate(frames, start=int(indices[0])) if index in wanted
        )
        while batch := list(itertools.islice(measured, BATCH)):
            yield np.array([index for index, _ in batch]), [image for _, image in batch]

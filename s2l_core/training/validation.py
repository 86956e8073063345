"""Validation during training: a figure and a preview picture from frames that are not trained on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import torch

from ..canonical.compositing import paste, place
from ..canonical.regions import regions_to_tensor
from ..errors import Speech2LipError
from ..evaluation.metrics import psnr
from ..events import Report
from ..files import write_whole
from ..model.speaker import SpeakerModel
from ..mouth.painting import line_painter
from ..speech.encoder import CODE_SECONDS, codes_at
from ..subsampling import evenly_spaced
from .clip import Clip

_FRAMES = 16
_PREVIEW_HEIGHT = 256
_AROUND_CODES = 16
"""Codes of speech on either side of the frames that are heard as well: the receptive field of the encoders is 12."""


class Validation:
    """Validates a speaker that is being trained, on 16 frames that are not trained on.

    Args:
        speaker: The speaker.
        clip: Frames that are not trained on.
        picture_path: JPEG file for the preview, which shows the most open mouth of these frames, real and generated;
            None writes none.
        report: Receives the preview.
    """

    def __init__(self, speaker: SpeakerModel, clip: Clip, picture_path: Path | None, report: Report) -> None:
        self._speaker = speaker
        self._clip = clip
        self._picture_path = picture_path
        self._report = report
        self._chosen = evenly_spaced(len(clip.times), _FRAMES)
        self._shown = int(self._chosen[clip.openings[self._chosen].argmax()])
        number = int(clip.indices[self._shown])
        picture = next(clip.footage.frames(number)).image
        self._real_region = torch.from_numpy(clip.observer.plan.cut(picture, number))
        device = clip.lips.device
        first, last = (round(float(clip.times[end]) / CODE_SECONDS) for end in (0, -1))
        self._first = max(0, first - _AROUND_CODES)
        self._heard = torch.from_numpy(clip.features[4 * self._first : 4 * (last + _AROUND_CODES)]).to(device)
        self._offsets = speaker.look.of_stored(clip.surroundings, clip.border, clip.shapes)

    def measure(self) -> float:
        """Mean PSNR in dB of the canonical lips that the lip model renders from speech. Also writes the preview, which
        shows exemplars if the speaker has some.
        """
        clip, lip = self._clip, self._speaker.lip
        spoken = codes_at(lip.speech.track(self._heard), clip.times - self._first * CODE_SECONDS)
        codes = lip.code(spoken + self._offsets)
        paint = lip.pixel_painter()
        if self._picture_path is not None:
            shown = slice(self._shown, self._shown + 1)
            lips = line_painter(self._speaker, spoken)(codes[shown], np.arange(len(codes))[shown])
            self._show(lips, self._picture_path)
        figures = []
        for chosen in self._chosen:
            lips = (paint(codes[chosen : chosen + 1])[0].clamp(0, 1) * 255).round().to(torch.uint8)
            figures.append(psnr(lips.cpu().numpy(), clip.lips[chosen].cpu().numpy()))
        return float(np.mean(figures))

    def _show(self, lips: torch.Tensor, path: Path) -> None:
        clip, index = self._clip, self._shown
        grids = clip.observer.plan.grids(clip.indices[index : index + 1], lips.device)
        camera, view = clip.footage.track.intrinsics, clip.face.lips
        placement = place(view, camera, clip.poses[index : index + 1], grids)
        new = paste(lips, regions_to_tensor(self._real_region.to(lips.device)[None]), placement, view)
        if self._speaker.exemplars is None:
            new = self._speaker.blend(new, placement.mask)
        drawn = (new[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
        pair = np.concatenate([self._real_region.numpy(), drawn.cpu().numpy()], axis=1)
        scale = _PREVIEW_HEIGHT / pair.shape[0]
        pair = cv2.resize(pair, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        encoded = cv2.imencode(".jpg", cv2.cvtColor(pair, cv2.COLOR_RGB2BGR))[1]
        with suppress(Speech2LipError):  # a missing preview must not stop the training
            write_whole(str(path), encoded.tobytes(), lasting=False)
            self._report.preview(str(path))

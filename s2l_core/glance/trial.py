"""What a generator draws for people who are not in its training, while it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import jpeg
from ..events import Report
from ..files import write_whole
from .batches import join, window
from .clips import LipClip
from .generator import Generator
from .sizes import PICTURES

_WINDOWS = 4
_SHOWN = (0, 3, 6, 9, 12, 15)
_QUALITY = 90


class Trial:
    """Draws some windows and compares them with the real pictures.

    Args:
        generator: The generator.
        clips: Clips whose middle windows are drawn, from the first picture of each; none gives no figure.
        picture_path: JPEG file for the pictures: the given one, the real ones above the drawn ones; None for none.
        report: Receives the picture.
    """

    def __init__(
        self, generator: Generator, clips: Sequence[LipClip], picture_path: Path | None, report: Report
    ) -> None:
        self._generator, self._picture_path, self._report = generator, picture_path, report
        rows = [window(clip, (len(clip) - PICTURES) // 2, 0) for clip in clips[:_WINDOWS]]
        self._batch = join(rows) if rows else None

    def psnr(self) -> float:
        """PSNR in dB of all drawn pictures, whose generator is in evaluation mode; NaN without clips."""
        if self._batch is None:
            return float("nan")
        device = next(self._generator.parameters()).device
        batch = self._batch.to(device)
        drawn = self._generator(batch.picture, batch.mel)
        if self._picture_path is not None:
            sheet = _sheet(batch.picture, batch.video, drawn)
            write_whole(str(self._picture_path), jpeg.encode(sheet, _QUALITY))
            self._report.preview(str(self._picture_path))
        error = float((drawn.float() - batch.video).square().mean()) / 4
        return -10 * float(np.log10(max(error, 1e-10)))


def _sheet(given: Tensor, real: Tensor, drawn: Tensor) -> NDArray[np.uint8]:
    """Rows of pictures (H, W, 3): for each window, real pictures above drawn ones, with the given one on the left."""
    moments = torch.tensor(_SHOWN, device=real.device)
    above = torch.cat([given[:, :, None], real[:, :, moments]], dim=2)
    below = torch.cat([given[:, :, None], drawn[:, :, moments]], dim=2)
    rows = torch.stack([above, below], dim=1).flatten(0, 1)  # (2 B, 3, columns, 64, 64)
    return to_levels(rows.permute(0, 3, 2, 4, 1).flatten(2, 3).flatten(0, 1))


def to_levels(pictures: Tensor) -> NDArray[np.uint8]:
    """Pictures in [-1, 1] as uint8, with the same shape."""
    return ((pictures.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255).byte().numpy()

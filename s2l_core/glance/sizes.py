"""Sizes that the paper's networks share."""

from __future__ import annotations

PICTURES = 16
"""Pictures that are drawn at once."""
RATE = 25
"""Pictures a second."""
STRIDE = 8
"""Pictures from one window of 16 to the next."""
SIDE = 64
"""Height and width in pixels of a picture of lips."""
COLUMNS = 4
"""Columns of the log-mel spectrogram for a picture."""
BANDS = 128
"""Bands of the log-mel spectrogram."""


def scaled(channels: int, width: float) -> int:
    """Number of channels of a layer that has ``channels`` in the paper, at a width relative to the paper's: a multiple
    of 4, at least 4.
    """
    return max(4, 4 * round(channels * width / 4))

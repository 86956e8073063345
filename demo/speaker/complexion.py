"""Colours of a person's skin and lips, and a beard. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
"""Red, green and blue of sRGB in [0, 1]."""
_SKIN: Colour = (0.835, 0.635, 0.53)
_LIPS: Colour = (0.72, 0.40, 0.375)


@dataclass(frozen=True)
class Complexion:
    """What tells the skins of people apart; the defaults are the embedded speaker's.

    Attributes:
        skin: Colour of the skin between its spots.
        lips: Colour of the lips between their creases.
        stubble: How dark the shadow of the beard is, 0 for none.
        beard: How much of the skin a short beard covers, from 0 to 1.
        hair: Colour of the beard.
    """

    skin: Colour = _SKIN
    lips: Colour = _LIPS
    stubble: float = 1.0
    beard: float = 0.0
    hair: Colour = (0.13, 0.085, 0.06)

    def tint(self, colour: np.ndarray, lip: np.ndarray, hairy: np.ndarray) -> np.ndarray:
        """Skin and lips of the embedded speaker, in this person's colours.

        Args:
            colour: (N, 3) colours of the embedded speaker.
            lip: (N,) share of the lips.
            hairy: (N,) share that a full beard would cover.
        """
        skin, lips = np.divide(self.skin, _SKIN), np.divide(self.lips, _LIPS)
        tinted = colour * (skin + lip[:, None] * (lips - skin))
        return tinted + self.beard * hairy[:, None] * (np.array(self.hair) - tinted)


DEFAULT = Complexion()
"""The embedded speaker's."""

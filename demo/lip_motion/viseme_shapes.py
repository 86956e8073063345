"""Shapes of a mouth from weights of ICT-FaceKit's expressions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Vertices that stay nearest to the landmarks of s2l_core.stills.lip_shape.POINTS in the pictures of the embedded
# speaker, whose shapes are known: outer and inner outline of the lips, and chin.
_LIPS_OUTER = (
    5681,
    5601,
    5610,
    5719,
    2081,
    0,
    4275,
    6224,
    6139,
    6106,
    6213,
    6237,
    6312,
    6375,
    6480,
    5518,
    6004,
    5870,
    5807,
    5705,
)
_LIPS_INNER = (
    5918,
    5569,
    5604,
    5683,
    6024,
    5527,
    6542,
    6188,
    6109,
    6074,
    6423,
    6323,
    6353,
    6469,
    6514,
    5517,
    6010,
    5965,
    5848,
    5818,
)
_CHIN = 965
_SEEN = 0.85
"""Share of the motion of the inner lips that landmarks show: the ratio of the standard deviations of the opening in the
same pictures. Shapes have the size in which landmarks would tell them.
"""


def offsets_of(weights: Mapping[str, NDArray[np.float64]], head: Path) -> NDArray[np.float32]:
    """Offsets float32 (F, 41, 2), see :mod:`s2l_core.stills.lip_shape`, of weights (F,) of expressions by name.

    Args:
        weights: Weights as :func:`demo.speaker.visemes.speech_weights` gives them.
        head: The file of ICT-FaceKit.
    """
    shapes = _shapes(head)
    return np.asarray(sum(np.multiply.outer(weight, shapes[name]) for name, weight in weights.items()), np.float32)


@lru_cache(maxsize=1)
def _shapes(head: Path) -> dict[str, NDArray[np.float64]]:
    """Offsets (41, 2) of each expression in widths of the average person's mouth."""
    chosen = np.array([*_LIPS_OUTER, *_LIPS_INNER, _CHIN])
    flat = np.array([1.0, -1.0])  # ICT-FaceKit: y points up
    with np.load(head, allow_pickle=False) as data:
        rest = data["neutral"][chosen].astype(np.float64)
        moved = data["expression"][:, chosen, :2].astype(np.float64) * flat
        names = data["expression_names"].tolist()
    width = np.linalg.norm(rest[len(_LIPS_OUTER) // 2] - rest[0])
    return dict(zip(names, _SEEN * moved / width, strict=True))

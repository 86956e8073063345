"""Lip models: the interface :class:`.base.LipModel`, and the architectures that implement it."""

from __future__ import annotations

from ...jobs import Architecture
from .base import LipModel
from .decoder import ExplicitLipModel
from .grids import GridLipModel
from .network import PaperLipModel

__all__ = ["ARCHITECTURES", "LipModel"]

ARCHITECTURES: dict[Architecture, type[LipModel]] = {
    "exemplars": GridLipModel,
    "grids": GridLipModel,
    "explicit": ExplicitLipModel,
    "paper": PaperLipModel,
}

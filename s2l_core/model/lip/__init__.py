"""Lip models: one interface, :class:`.base.LipModel`, and the architectures that a speaker can have."""

from __future__ import annotations

from ...jobs import Architecture
from .base import LipModel
from .grids import GridLipModel

__all__ = ["ARCHITECTURES", "LipModel"]

ARCHITECTURES: dict[Architecture, type[LipModel]] = {"fast": GridLipModel}

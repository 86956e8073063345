"""What codes mean in pixels."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from s2l_core.training.initialisation import PrincipalLips


def test_errors_in_the_mouth_box_count_most() -> None:
    """Four axes of one pixel each; the box holds the first two."""
    axes = torch.zeros(4, 3, 2, 4)
    places = [(0, 1), (1, 2), (0, 0), (1, 3)]
    for axis, (row, column) in zip(axes, places, strict=True):
        axis[:, row, column] = 0.5
    rectangle = SimpleNamespace(left=10, top=20, width=4, height=2)
    face = SimpleNamespace(lips=SimpleNamespace(rectangle=rectangle), mouth_box=(10.8, 18.0, 13.2, 30.0))
    lips = PrincipalLips(torch.zeros(3, 2, 4), axes, torch.zeros(1, 4))

    squares = lips.in_pixels(face).square().sum(dim=1)  # type: ignore[arg-type]

    assert squares[:2].tolist() == pytest.approx([0.75, 0.75])
    assert squares[2] == squares[3]
    assert 0 < squares[2] < 0.1 * squares[0]

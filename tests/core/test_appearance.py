"""What the stage in pixels looks at."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2l_core.jobs import Architecture
from s2l_core.training.appearance import RECIPES
from s2l_core.training.sampling import sample_cells


@pytest.mark.parametrize("continuous", [True, False])
@pytest.mark.parametrize("architecture", RECIPES)
def test_cells_are_pixels_in_size_and_lie_inside_the_lips(architecture: Architecture, continuous: bool) -> None:
    recipe = RECIPES[architecture]
    for seed in range(20):
        edges, begins = sample_cells(53, recipe.side, recipe.blocks, np.random.default_rng(seed), continuous)
        assert edges.diff().min() > 0
        assert edges.min() >= 0 and edges.max() <= 53
        assert torch.allclose(edges[begins + 1] - edges[begins], torch.ones(len(begins)), atol=1e-4)
        assert continuous or torch.equal(edges, edges.round())


def test_a_decoder_is_shown_whole_pictures() -> None:
    recipe = RECIPES["explicit"]
    edges, begins = sample_cells(53, recipe.side, recipe.blocks, np.random.default_rng(0), continuous=True)
    assert torch.equal(edges, torch.arange(54.0)) and len(begins) == 53

"""Step counters for fits. The caller of a fit can pass a counter that saves the state between steps and restores it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn

Steps = Callable[[int, nn.Module, torch.optim.Optimizer, np.random.Generator], Iterable[int]]
"""Called with the number of steps, the network, the optimiser and the generator of a fit; returns the numbers of the
steps that are left.
"""


def all_steps(
    count: int, network: nn.Module, optimiser: torch.optim.Optimizer, random: np.random.Generator
) -> Iterable[int]:
    """Count all steps, without saving or restoring anything."""
    return range(count)

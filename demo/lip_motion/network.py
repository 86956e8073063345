"""Training of the network that hears features of speech and tells the codes of lip motion."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import mse_loss

from s2l_core.stills.lip_motion import HIDDEN

_STEPS, _BATCH, _RATE, _DECAY = 1500, 512, 2e-3, 1e-3
_NOISE = 0.8
"""Standard deviation of noise that is added to inputs with variance 1: voices that were never heard differ from those
that are learnt."""
_DROPPED = 0.5
"""Share of the hidden layer that is silenced at random."""
_UNIT = 30.0
"""Factor of the targets for which the learning rate was chosen."""


class Layers(NamedTuple):
    """A network with one hidden layer of 128: ``max(x @ hidden + hidden_constant, 0) @ out + constant``."""

    hidden: NDArray[np.float64]
    hidden_constant: NDArray[np.float64]
    out: NDArray[np.float64]
    constant: NDArray[np.float64]


def train(inputs: NDArray[np.float32], targets: NDArray[np.float64], weights: NDArray[np.float64]) -> Layers:
    """The network that tells targets (n, t) from inputs (n, i) with variance 1, of which each has a weight (n,).

    The same input gives the same network.
    """
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    shares = np.cumsum(weights) / weights.sum()
    mean = np.average(targets, axis=0, weights=weights)
    heard, wanted = torch.from_numpy(inputs), torch.from_numpy((_UNIT * (targets - mean)).astype(np.float32))
    first, last = nn.Linear(inputs.shape[1], HIDDEN), nn.Linear(HIDDEN, targets.shape[1])
    network = nn.Sequential(first, nn.ReLU(), nn.Dropout(_DROPPED), last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=_STEPS)
    for _ in range(_STEPS):
        drawn = torch.from_numpy(np.searchsorted(shares, random.random(_BATCH)).clip(0, len(inputs) - 1))
        noisy = heard[drawn] + _NOISE * torch.randn(_BATCH, inputs.shape[1])
        loss = mse_loss(network(noisy), wanted[drawn])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    hidden, hidden_constant, out, constant = (
        values.detach().double().numpy().T for values in (first.weight, first.bias, last.weight, last.bias)
    )
    return Layers(hidden, hidden_constant, out / _UNIT, constant / _UNIT + mean)

"""First weights of networks that have no batch normalisation.

The paper normalises each layer by the mean and the variance of a batch of 24 windows. In a batch of a few windows of
different people, these say more about who was drawn than about the layer: networks learned half as fast, and gave
everybody the same colours. Without normalisation, layers must begin with weights that keep the variance.
"""

from __future__ import annotations

import torch
from torch import nn


def keep_variance(layers: nn.Module) -> None:
    """Draw the weights of all convolutions, each of which is followed by a ReLU, so that their outputs vary as much as
    their inputs (He et al. 2015).
    """
    for layer in layers.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, nn.ConvTranspose2d):  # each output is the sum over the kernel's area / stride² places
            inputs = layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]
            nn.init.normal_(layer.weight, std=(2 * layer.stride[0] * layer.stride[1] / inputs) ** 0.5)
        if isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def begin_small(layer: nn.Conv2d, factor: float) -> None:
    """Draw the weights of a layer that no ReLU follows, times ``factor``: with 0, its output is 0 at first."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    with torch.no_grad():
        layer.weight.mul_(factor)

"""Optical flow of lips (Chen et al. 2018), by a small network that OpenCV's DIS teaches.

The paper uses FlowNet, which is tuned along with the other networks. Here a network of 13 thousand parameters takes its
place: it learns the flow that DIS (Kroeger et al., "Fast optical flow using dense inverse search", 2016) finds in real
pictures, and passes the gradient of the correlation loss on to generated ones.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

_CHANNELS = (8, 16, 24)


def dis_flow(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Optical flow by OpenCV's DIS, preset "medium": float32 (T - 1, 2, h, w) in pixels across and down, from each of
    pictures uint8 (T, h, w, 3) RGB to the next.
    """
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    empty = np.zeros((*pictures.shape[1:3], 2), np.float32)
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    flows = [finder.calc(first, second, empty) for first, second in itertools.pairwise(grey)]
    return np.stack(flows).transpose(0, 3, 1, 2).astype(np.float32)


class FlowNetwork(nn.Module):
    """Optical flow of pictures by convolutions at a half, a quarter and an eighth of their size."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth = _CHANNELS
        self.to_half, self.to_quarter = _layer(6, half, 5), _layer(half, quarter, 3)
        self.to_eighth = _layer(quarter, eighth, 3)
        self.up_to_quarter = nn.Conv2d(eighth + quarter, quarter, 3, padding=1)
        self.up_to_half = nn.Conv2d(quarter + half, half, 3, padding=1)
        self.flow = nn.Conv2d(half, 2, 3, padding=1)

    def forward(self, video: Tensor) -> Tensor:
        """Flow float32 (B, 2, T - 1, h, w) in pixels of a video (B, 3, T, h, w) in [-1, 1], see :func:`dis_flow`."""
        pairs = torch.cat([video[:, :, :-1], video[:, :, 1:]], dim=1).transpose(1, 2)
        half = self.to_half(pairs.flatten(0, 1))
        quarter = self.to_quarter(half)
        joined = functional.relu(self.up_to_quarter(torch.cat([_doubled(self.to_eighth(quarter)), quarter], dim=1)))
        joined = functional.relu(self.up_to_half(torch.cat([_doubled(joined), half], dim=1)))
        flow = _doubled(self.flow(joined))
        return flow.unflatten(0, pairs.shape[:2]).transpose(1, 2)


def flow_loss(flow: Tensor, truth: Tensor) -> Tensor:
    """Mean end-point error in pixels, of flow (B, 2, T, h, w)."""
    return (flow - truth).square().sum(dim=1).add(1e-6).sqrt().mean()


def _layer(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, 2, kernel // 2), nn.ReLU(inplace=True))


def _doubled(values: Tensor) -> Tensor:
    return functional.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)

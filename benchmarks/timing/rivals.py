"""Networks with the published cost of other systems, written from their descriptions. Their weights are random: they
are timed, and never looked at.
"""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

POINTS = 120 * 80
"""Pixels of the lips that the released Speech2Lip renders."""
_CORNERS, _WIDTH, _FRAME = 4, 256, 500
_LEVELS = (32, 64, 128, 256, 512)
"""Channels at each resolution of the peer."""
_CROP = 160


class ReleasedLips(nn.Module):
    """The lip model of Speech2Lip (section 4.2) as it is evaluated in the released code: eight layers of 256 units for
    each of four corners of each pixel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.again = (nn.Linear(42 + 64 + 20, _WIDTH) for _ in range(2))
        self.before = nn.ModuleList(nn.Linear(_WIDTH, _WIDTH) for _ in range(5))
        self.after = nn.ModuleList(nn.Linear(size, _WIDTH) for size in (2 * _WIDTH, _WIDTH, _WIDTH))
        self.leave = nn.Linear(_WIDTH, 3)

    def forward(self, points: Tensor) -> Tensor:
        """Colours (n, 3), each the mean over four corners, of encoded points (4 n, 126)."""
        hidden = self.enter(points)
        for layer in self.before:
            hidden = layer(hidden).relu()
        hidden = torch.cat([hidden, self.again(points)], dim=1)
        for layer in self.after:
            hidden = layer(hidden).relu()
        return self.leave(hidden).unflatten(0, (_CORNERS, -1)).mean(dim=0)


class ReleasedBlend(nn.Module):
    """The full-frame U-Net of the released Speech2Lip: two halvings, 64 to 128 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.middle, self.coarse = _double(3, 64), _double(64, 128), _double(128, 128)
        self.up, self.top = _double(256, 64, 128), _double(128, 64)
        self.leave = nn.Conv2d(64, 3, 1)

    def forward(self, frame: Tensor) -> Tensor:
        """A frame (1, 3, h, w) of a frame of the same size."""
        fine = self.fine(frame)
        middle = self.middle(functional.max_pool2d(fine, 2))
        coarse = self.coarse(functional.max_pool2d(middle, 2))
        middle = self.up(torch.cat([_doubled(coarse), middle], dim=1))
        return self.leave(self.top(torch.cat([_doubled(middle), fine], dim=1)))


class PeerNet(nn.Module):
    """A U-Net of inverted residuals over a mouth crop of 160x160 pixels with features of speech at the bottom, which
    has the shape and the cost published for Ultralight-Digital-Human.
    """

    def __init__(self) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(_LEVELS))
        bottom = _LEVELS[-1]
        self.enter = _twice(6, _LEVELS[0])
        self.down = nn.ModuleList(_twice(a, b, 2) for a, b in pairs)
        halved = [
            nn.Sequential(_twice(a, b), nn.Conv2d(b, b, 3, stride, 1), nn.ReLU())
            for (a, b), stride in zip(pairs, (1, 2, 2), strict=False)
        ]
        self.speech = nn.Sequential(*halved, _twice(*pairs[-1]))
        self.join = nn.Sequential(_twice(2 * bottom, bottom), _twice(bottom, bottom // 2))
        self.up = nn.ModuleList(_twice(2 * a, max(a // 2, _LEVELS[0])) for a, _ in reversed(pairs))
        self.leave = nn.Conv2d(_LEVELS[0], 3, 1)

    def forward(self, crops: Tensor, speech: Tensor) -> Tensor:
        """Mouths (B, 3, 160, 160) of crops (B, 6, 160, 160) and features of speech (B, 32, 32, 32)."""
        levels = [self.enter(crops)]
        for layer in self.down:
            levels.append(layer(levels[-1]))
        heard = functional.interpolate(self.speech(speech), (10, 10))
        x = self.join(torch.cat([levels.pop(), heard], dim=1))
        for layer in self.up:
            x = layer(torch.cat([_doubled(x), levels.pop()], dim=1))
        return self.leave(x).sigmoid()


class _Inverted(nn.Module):
    """Expand, filter each channel, project: the block of MobileNetV2."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, expansion: int = 2) -> None:
        super().__init__()
        hidden = expansion * inputs
        self.layers = nn.Sequential(
            *(nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU()),
            *(nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.ReLU()),
            *(nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)),
        )
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        result = self.layers(x)
        return x + result if self.is_residual else result


def _twice(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_Inverted(inputs, outputs, stride), _Inverted(outputs, outputs))


def paper_frame(device: str = "cpu") -> Callable[[], object]:
    """Render one frame as the released Speech2Lip does, without reading and writing."""
    lips, blend = (network.eval().to(device) for network in (ReleasedLips(), ReleasedBlend()))
    points = torch.rand(_CORNERS * POINTS, 126, device=device)
    frame = torch.rand(1, 3, _FRAME, _FRAME, device=device)
    return _without_gradients(lambda: (lips(points), blend(frame)))


def peer_frame(device: str = "cpu") -> Callable[[], object]:
    """Render one mouth as the peer does, in torch."""
    network = PeerNet().eval().to(device)
    inputs = torch.rand(1, 6, _CROP, _CROP, device=device), torch.rand(1, 32, 32, 32, device=device)
    return _without_gradients(lambda: network(*inputs))


def _without_gradients(compute: Callable[[], object]) -> Callable[[], object]:
    @torch.inference_mode()
    def run() -> object:
        return compute()

    return run


def peer_frame_in_onnx() -> Callable[[], object]:
    """As :func:`peer_frame`, in ONNX Runtime.

    Raises:
        torch.onnx.OnnxExporterError: The package ``onnx``, which converts the network, is not installed.
    """
    inputs = torch.rand(1, 6, _CROP, _CROP), torch.rand(1, 32, 32, 32)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        path = Path(folder) / "peer.onnx"
        torch.onnx.export(PeerNet().eval(), inputs, path, input_names=["crops", "speech"], dynamo=False)
        model = path.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = dict(zip(("crops", "speech"), (each.numpy() for each in inputs), strict=True))
    return lambda: session.run(None, feed)


RIVALS: dict[str, Callable[[], Callable[[], object]]] = {
    "paper": paper_frame,
    "peer": peer_frame,
    "peer in ONNX Runtime": peer_frame_in_onnx,
}
"""Functions that load the networks of other systems, each of which returns a function that renders a frame."""


def gflop(render: Callable[[], Any]) -> float:
    """Floating-point operations of a frame, in units of 1e9: a multiplication and an addition count as two."""
    with FlopCounterMode(display=False) as counter:
        render()
    return counter.get_total_flops() / 1e9


def _double(inputs: int, outputs: int, hidden: int | None = None) -> nn.Sequential:
    hidden = hidden or outputs
    layers = []
    for a, b in ((inputs, hidden), (hidden, outputs)):
        layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers)


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)

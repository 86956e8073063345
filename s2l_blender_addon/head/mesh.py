"""The surface of a head as a mesh."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .file import HeadFile

CANONICAL_UV = "Canonical"  # position of a vertex in the canonical picture
FOOTAGE_UV = "Footage"  # position in the footage; a modifier writes it for every frame
CONFIDENCE = "confidence"


def make(name: str, head: HeadFile) -> bpy.types.Mesh:
    """A mesh of those cells of the grid that belong to the head, in the head's axes."""
    quads = _quads(head.mask)
    used, corners = np.unique(quads, return_inverse=True)
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(used))
    mesh.vertices.foreach_set("co", _of_vertices(head.vertices, used))
    mesh.loops.add(len(corners))
    mesh.loops.foreach_set("vertex_index", corners.astype(np.int32))
    mesh.polygons.add(len(quads) // 4)
    mesh.polygons.foreach_set("loop_start", np.arange(0, len(quads), 4, dtype=np.int32))
    uv = head.uv.reshape(-1, 2)[used][corners].astype(np.float32).ravel()
    for layer_name in (CANONICAL_UV, FOOTAGE_UV):
        mesh.uv_layers.new(name=layer_name, do_init=False).uv.foreach_set("vector", uv)
    mesh.uv_layers.active = mesh.uv_layers[FOOTAGE_UV]
    mesh.uv_layers[FOOTAGE_UV].active_render = True
    confidence = mesh.attributes.new(CONFIDENCE, "FLOAT", "POINT")
    confidence.data.foreach_set("value", _of_vertices(head.confidence, used))
    mesh.update(calc_edges=True)
    return mesh


def _of_vertices(grid: NDArray[Any], used: NDArray[Any]) -> NDArray[np.float32]:
    """The values of a grid (h, w, ...) at the used vertices, as a flat array."""
    rows = grid.reshape(grid.shape[0] * grid.shape[1], -1)[used]
    return np.ascontiguousarray(rows, np.float32).ravel()


def _quads(mask: NDArray[Any]) -> NDArray[Any]:
    """Four flat indices for each cell whose vertices all belong to the head, counter-clockwise seen from the front."""
    places = np.arange(mask.size).reshape(mask.shape)
    cells = np.stack([places[:-1, :-1], places[1:, :-1], places[1:, 1:], places[:-1, 1:]], axis=-1).reshape(-1, 4)
    return cells[mask.ravel()[cells].all(axis=1)].ravel()

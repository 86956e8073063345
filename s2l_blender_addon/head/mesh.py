"""The surfaces of a head, and of neck and shoulders, as meshes."""

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
    """A closed mesh of those cells of the grid that belong to the head, in front and behind, in the head's axes."""
    front, border = _quads(head.mask), _border(head.mask).ravel()
    back = front.reshape(-1, 4)[:, ::-1].ravel()
    quads = np.concatenate([front, np.where(border[back], back, back + head.mask.size)])
    mesh, used, corners = _mesh(name, quads, np.concatenate([head.vertices, head.back]))
    _add_uv(mesh, np.concatenate([head.uv, head.uv]).reshape(-1, 2)[used][corners])
    confidence = mesh.attributes.new(CONFIDENCE, "FLOAT", "POINT")
    known = np.concatenate([head.confidence, np.zeros_like(head.confidence)])  # nothing is known of the back
    confidence.data.foreach_set("value", _of_vertices(known, used))
    mesh.update(calc_edges=True)
    return mesh


def make_torso(name: str, head: HeadFile) -> bpy.types.Mesh:
    """A mesh of neck and shoulders in the axes of the footage's camera, with the positions at which that sees them."""
    mesh, used, corners = _mesh(name, _quads(head.torso_mask), head.torso_vertices)
    x, y, z = head.torso_vertices.reshape(-1, 3)[used][corners].T
    view = head.view
    across, up = (view.cx + view.fx * x / -z) / view.width, 1 - (view.cy - view.fy * y / -z) / view.height
    _add_uv(mesh, np.stack([across, up], axis=-1))
    mesh.update(calc_edges=True)
    return mesh


def _mesh(name: str, quads: NDArray[Any], vertices: NDArray[Any]) -> tuple[bpy.types.Mesh, NDArray[Any], NDArray[Any]]:
    """A mesh of quads, which vertices of the grid (h, w, 3) it uses, and which of those each corner is."""
    used, corners = np.unique(quads, return_inverse=True)
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(used))
    mesh.vertices.foreach_set("co", _of_vertices(vertices, used))
    mesh.loops.add(len(corners))
    mesh.loops.foreach_set("vertex_index", corners.astype(np.int32))
    mesh.polygons.add(len(quads) // 4)
    mesh.polygons.foreach_set("loop_start", np.arange(0, len(quads), 4, dtype=np.int32))
    return mesh, used, corners


def _add_uv(mesh: bpy.types.Mesh, uv: NDArray[Any]) -> None:
    """Add the layers of texture coordinates, with those of each corner (n, 2)."""
    for layer_name in (CANONICAL_UV, FOOTAGE_UV):
        layer = mesh.uv_layers.new(name=layer_name, do_init=False)
        layer.uv.foreach_set("vector", uv.astype(np.float32).ravel())
    mesh.uv_layers.active = mesh.uv_layers[FOOTAGE_UV]
    mesh.uv_layers[FOOTAGE_UV].active_render = True


def _border(mask: NDArray[Any]) -> NDArray[Any]:
    """Vertices of a mask (h, w) that are not surrounded by cells that belong to it."""
    cells = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]
    padded = np.pad(cells, 1)
    return mask & ~(padded[:-1, :-1] & padded[1:, :-1] & padded[:-1, 1:] & padded[1:, 1:])


def _of_vertices(grid: NDArray[Any], used: NDArray[Any]) -> NDArray[np.float32]:
    """The values of a grid (h, w, ...) at the used vertices, as a flat array."""
    rows = grid.reshape(grid.shape[0] * grid.shape[1], -1)[used]
    return np.ascontiguousarray(rows, np.float32).ravel()


def _quads(mask: NDArray[Any]) -> NDArray[Any]:
    """Four flat indices for each cell whose vertices all belong to the head, counter-clockwise seen from the front."""
    places = np.arange(mask.size).reshape(mask.shape)
    cells = np.stack([places[:-1, :-1], places[1:, :-1], places[1:, 1:], places[:-1, 1:]], axis=-1).reshape(-1, 4)
    return cells[mask.ravel()[cells].all(axis=1)].ravel()

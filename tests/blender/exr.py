"""Passes in uncompressed OpenEXR files with 32-bit floats, which Blender cannot read without a window."""

from __future__ import annotations

import struct
from pathlib import Path

import bpy
import numpy as np
from versions import set_format

_MAGIC, _MULTIPART, _FLOAT = 20000630, 0x1000, 2


def write_passes(scene: bpy.types.Scene) -> None:
    """Let a scene render such files."""
    set_format(scene, "OPEN_EXR_MULTILAYER")
    settings = scene.render.image_settings
    settings.color_depth, settings.exr_codec = "32", "NONE"


def read_passes(path: Path) -> dict[str, np.ndarray]:
    """Each pass by its name, e.g. ``"Combined"``: (height, width, channels), channels by name, top row first."""
    reader = _Reader(path.read_bytes())
    magic, version = reader.numbers("<ii")
    assert magic == _MAGIC
    parts = [_read_header(reader)]
    while version & _MULTIPART and reader.data[reader.place]:
        parts.append(_read_header(reader))
    reader.place += 1 if version & _MULTIPART else 0
    heights = [bottom - top + 1 for _, (_, top, _, bottom) in parts]
    reader.place += 8 * sum(heights)  # where each row is
    channels: dict[str, dict[int, np.ndarray]] = {}
    for _ in range(sum(heights)):
        number = reader.numbers("<i")[0] if version & _MULTIPART else 0
        row, size = reader.numbers("<ii")
        names, (left, _, right, _) = parts[number]
        values = np.frombuffer(reader.take(size), "<f4").reshape(len(names), right - left + 1)
        for name, line in zip(names, values, strict=True):
            channels.setdefault(name, {})[row] = line
    passes: dict[str, list[np.ndarray]] = {}
    for name, rows in sorted(channels.items()):
        passes.setdefault(name.split(".")[1], []).append(np.stack([rows[row] for row in sorted(rows)]))
    return {name: np.stack(layers, axis=-1) for name, layers in passes.items()}


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, size: int) -> bytes:
        self.place += size
        return self.data[self.place - size : self.place]

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def text(self) -> str:
        return self.take(self.data.index(b"\0", self.place) - self.place + 1)[:-1].decode()


def _read_header(reader: _Reader) -> tuple[list[str], tuple[int, ...]]:
    """Channel names and the window of pixels (left, top, right, bottom) of one part."""
    names: list[str] = []
    window: tuple[int, ...] = ()
    while attribute := reader.text():
        reader.text()
        value = _Reader(reader.take(reader.numbers("<i")[0]))
        if attribute == "dataWindow":
            window = value.numbers("<iiii")
        elif attribute == "compression":
            assert value.data == b"\0"
        elif attribute == "channels":
            while name := value.text():
                assert value.numbers("<iiii")[0] == _FLOAT
                names.append(name)
    return names, window

"""Where the extension is, and what Blender calls it. Standard library only."""

from __future__ import annotations

from pathlib import Path

EXTENSION = __package__.rpartition(".")[0]
EXTENSION_FOLDER = Path(__file__).parent.parent

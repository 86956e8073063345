"""Where the extension is, and what Blender calls it. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path

EXTENSION = __package__.rpartition(".")[0]
EXTENSION_FOLDER = Path(__file__).parent.parent


def python_in(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

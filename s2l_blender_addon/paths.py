"""The folder of the extension, its name in Blender, and the layout of environments. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path

EXTENSION = __package__.rpartition(".")[0]
EXTENSION_FOLDER = Path(__file__).parent.parent


def python_in(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

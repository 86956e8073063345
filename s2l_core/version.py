"""The version, which is defined in ``blender_manifest.toml`` only. Standard library only."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path


def _read_version() -> str:
    manifest = Path(__file__).parent.parent / "blender_manifest.toml"
    if manifest.is_file():  # beside the package in the repository and in the installed extension
        return str(tomllib.loads(manifest.read_text(encoding="utf-8"))["version"])
    return importlib.metadata.version("s2l-core")  # an installed wheel has metadata instead


VERSION = _read_version()


def synthetic_media(what: str) -> str:
    """The comment in a file that shows something generated, e.g. ``"generated lips of Anna"``."""
    return f"Synthetic media: {what}, made with Speech2Lip {VERSION}"

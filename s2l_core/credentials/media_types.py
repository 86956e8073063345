"""Which files carry their credentials inside, and where those of others are."""

from __future__ import annotations

from pathlib import Path

from ..files import companion

UNKNOWN = "application/octet-stream"
_INSIDE = {
    ".avi": "video/x-msvideo",
    ".flac": "audio/flac",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".m4a": "audio/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".wav": "audio/wav",
    ".webp": "image/webp",
}
"""MIME types, by their endings, of the files that the C2PA library writes credentials into."""
_BESIDE = {".exr": "image/x-exr", ".mkv": "video/x-matroska", ".txt": "text/plain"}
SIDECAR = ".c2pa"


def is_carrier(path: str | Path) -> bool:
    """Whether a file of this name carries its credentials inside."""
    return Path(path).suffix.lower() in _INSIDE


def media_type(path: str | Path) -> str:
    """MIME type of a file of this name."""
    suffix = Path(path).suffix.lower()
    return _INSIDE.get(suffix) or _BESIDE.get(suffix) or UNKNOWN


def sidecar(path: str | Path) -> Path:
    """The file with the credentials of a file that cannot carry them: ``take.mkv.c2pa`` of ``take.mkv``.

    Two files that differ only in their endings have two of them, so that none overwrites the other's.
    """
    return companion(Path(path), SIDECAR)


def sidecars(path: str | Path) -> tuple[Path, Path]:
    """Where credentials beside a file may be: as we name them, and as other programs do (``take.c2pa``)."""
    return sidecar(path), Path(path).with_suffix(SIDECAR)

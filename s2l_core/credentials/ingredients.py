"""What a result was made from, with the credentials that it has itself."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import c2pa

from .. import regular_files
from .claim import Claim, Source, source_instance
from .listing import NOTICE
from .media_types import is_carrier, media_type, sidecars
from .streams import Watched

_LARGEST_SIDECAR = 50_000_000  # bytes
# Nothing is fetched: an address in somebody's file is not to be trusted.
OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}


class Beside(NamedTuple):
    """Credentials beside a file: the file that they are of, and their content."""

    of: Path
    manifest: bytes


def described(claim: Claim) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """The ingredients of a claim as a definition has them, and the resources to which they refer.

    These are ingredients without a file of their own, or with credentials beside it; :func:`add_files` adds the others.
    """
    ingredients, resources = [], {}
    for name, relationship, source in claim.ingredients:
        beside = credentials_beside(Path(source.path))
        if _is_readable(source) and beside is None:
            continue
        ingredient = _common(name, relationship, source) | {"format": media_type(source.path)}
        with suppress(c2pa.C2paError, OSError, ValueError):
            if beside is not None:
                ingredient |= _inherited(name, beside)
                resources[name] = beside.manifest
        ingredients.append(ingredient)
    return ingredients, resources


def add_files(builder: c2pa.Builder, claim: Claim) -> None:
    """Add the ingredients that are files, with the credentials inside of them. Those that cannot be parsed are named
    without any.
    """
    for name, relationship, source in claim.ingredients:
        if not _is_readable(source) or credentials_beside(Path(source.path)) is not None:
            continue
        common = _common(name, relationship, source)
        try:
            with Path(source.path).open("rb") as file:
                builder.add_ingredient(common, media_type(source.path), Watched(file))
        except (c2pa.C2paError, OSError):
            builder.add_ingredient(common, media_type(""), io.BytesIO(b"unreadable"))


def credentials_beside(path: Path) -> Beside | None:
    """The credentials of a file, or of a folder of pictures, in a file beside it; None if there are none, or if the
    file carries its own.
    """
    of = path / NOTICE if regular_files.is_folder(path) else path
    for place in sidecars(of):
        with suppress(OSError, ValueError):
            manifest = regular_files.read(place, _LARGEST_SIDECAR)
            return None if _carries_own(of) else Beside(of, manifest)
    return None


def _carries_own(path: Path) -> bool:
    if not is_carrier(path):
        return False
    unchecked = c2pa.Settings.from_dict({"verify": OFFLINE["verify"] | {"verify_after_reading": False}})
    with suppress(c2pa.C2paError), path.open("rb") as file:
        return c2pa.Reader.try_create(media_type(path), Watched(file), None, c2pa.Context(unchecked)) is not None
    return False


def _inherited(name: str, beside: Beside) -> dict[str, Any]:
    """Fields of an ingredient whose credentials are beside it."""
    with beside.of.open("rb") as file:
        reader = c2pa.Reader(media_type(beside.of), Watched(file), beside.manifest, offline())
        found = json.loads(reader.json())
    return {
        "active_manifest": found["active_manifest"],
        "validation_results": found["validation_results"],
        "manifest_data": {"format": "application/c2pa", "identifier": name},
    }


def offline() -> c2pa.Context:
    """Settings under which nothing is fetched."""
    return c2pa.Context(c2pa.Settings.from_dict(OFFLINE))


def _common(name: str, relationship: str, source: Source) -> dict[str, Any]:
    return {
        "title": source.title,
        "relationship": relationship,
        "label": name,
        "instance_id": source_instance(source),
    }


def _is_readable(source: Source) -> bool:
    return regular_files.is_file(source.path)

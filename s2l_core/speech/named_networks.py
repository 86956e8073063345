"""Speech networks that the user has approved on this machine.

A speaker file contains the folder of its speech network, which is not trusted. Only a folder that the user has approved
on this machine is opened: by training with it, or by specifying it for a dub. The list of approved folders, with hashes
of their content, is stored in the user's settings.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from platformdirs import user_config_path

from .. import json_text
from ..errors import BadJob, FileMissing, Speech2LipError
from ..files import write_whole
from ..fingerprints import fingerprint_file

_LARGEST_LIST, _MOST_ENTRIES = 1_000_000, 1000
_SUFFIXES = frozenset([".json", ".safetensors"])
"""Suffixes of the files that define a network."""

_named: dict[str, tuple[str, str]] = {}
"""Folders that were approved in this process, even if the list cannot be written."""


def name_network(named: str, folder: str) -> None:
    """Approve a folder for use in speaker files.

    Args:
        named: The folder in the speaker file.
        folder: The folder on this machine, which may be a different one.

    Raises:
        FileMissing: There is no such folder.
    """
    place = str(folder_at(folder))
    entry = _named[named] = place, fingerprint(place)
    entries = {**_read(), named: entry}
    path = _path()
    with suppress(OSError, Speech2LipError):  # then it must be approved again
        path.parent.mkdir(parents=True, exist_ok=True)
        newest = dict(list(entries.items())[-_MOST_ENTRIES:])
        write_whole(str(path), json.dumps(newest, indent=2).encode(), lasting=False)


def named_network(named: str) -> str:
    """The approved folder on this machine for a folder in a speaker file.

    Raises:
        BadJob: The user has not approved it on this machine, or its content has changed since.
        FileMissing: The folder no longer exists.
    """
    hint = "If you trust it, approve it once with s2l dub --speech-network FOLDER, or train with it on this machine."
    place, known = {**_read(), **_named}.get(named, ("", ""))
    if not place:
        raise BadJob(
            f"The speaker uses the speech network {named[:200]}, which was not approved on this machine.", hint
        )
    if fingerprint(place) != known:
        raise BadJob(f"The speech network in {place} has changed since it was approved on this machine.", hint)
    return place


def folder_at(path: str) -> Path:
    """Absolute path of a folder, in which ``~`` is expanded.

    Raises:
        FileMissing: There is no such folder.
    """
    with suppress(OSError, RuntimeError, ValueError):  # RuntimeError: unknown home folder
        folder = Path(path).expanduser().resolve()
        if folder.is_dir():
            return folder
    raise FileMissing(f"The folder {path[:200]} of the speech network does not exist.", "Check its path.")


def fingerprint(folder: str) -> str:
    """Hash of the files of a network in a folder.

    Raises:
        FileMissing: There is no such folder, or it cannot be read.
    """
    try:
        files = sorted(path for path in Path(folder).iterdir() if path.suffix in _SUFFIXES and path.is_file())
        parts = [(path.name, fingerprint_file(str(path))) for path in files]
    except (OSError, ValueError) as error:
        raise FileMissing(f"The folder {folder} of the speech network does not exist.", "Check its path.") from error
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _read() -> dict[str, tuple[str, str]]:
    """The list of approved folders; empty if it is missing or damaged."""
    try:
        entries = json_text.read(_path(), _LARGEST_LIST).items()
        return {str(named): (str(place), str(known)) for named, (place, known) in entries}
    except (AttributeError, OSError, TypeError, ValueError):
        return {}


def _path() -> Path:
    return user_config_path("speech2lip") / "speech_networks.json"

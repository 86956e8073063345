"""How Pythons are started from Blender, such that only their own packages and what this add-on gives them is imported.

Blender's current folder is wherever the user started it, and its environment is that of other programs too: a file
``json.py`` there, or in a folder of ``PYTHONPATH``, must not be run. Standard library only.
"""

from __future__ import annotations

import os


def isolated(python: str) -> list[str]:
    """The beginning of a command: a Python that imports neither from its working folder nor from the user's site
    folder, heeds no ``PYTHON*`` variable, and reads and writes UTF-8.
    """
    return [python, "-I", "-X", "utf8"]


def environment() -> dict[str, str]:
    """The variables for a child process: all but ``PYTHON*``, which would reach the programs that the child starts.

    Proxies, certificates, caches, temporary folders, devices and the settings of pip are the user's own and stay.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

"""The key that the preferences name for signing results, as environment variables of worker processes.

Standard library only, since processes are started by parts that do not touch Blender.
"""

from __future__ import annotations

# The names that the engine reads, see s2l_core/credentials/identity.py.
KEY, CERTIFICATE, TIMESTAMPS = "S2L_SIGNING_KEY", "S2L_SIGNING_CERTIFICATE", "S2L_TIMESTAMP_SERVER"

_chosen: dict[str, str] = {}


def choose(key: str, certificate: str, server: str) -> None:
    """Choose the files of the key and its certificate, and the server for time stamps; empty texts leave what Blender's
    own environment says.
    """
    global _chosen
    named = {KEY: key, CERTIFICATE: certificate, TIMESTAMPS: server}
    _chosen = {name: value for name, value in named.items() if value}


def variables() -> dict[str, str]:
    """The environment variables for worker processes."""
    return dict(_chosen)

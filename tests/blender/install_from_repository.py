"""Run in a Blender of its own: adds a repository, installs the extension from it, and updates it when told.

Arguments: the address of the repository's listing. After each step it prints the installed version and what of the
extension is registered, and waits for a line.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import bpy

NAME = "loopback"


def tell() -> None:
    (repository,) = (repo for repo in bpy.context.preferences.extensions.repos if repo.module == NAME)
    manifest = Path(repository.directory, "speech2lip", "blender_manifest.toml")
    version = tomllib.loads(manifest.read_text())["version"]
    is_enabled = f"bl_ext.{NAME}.speech2lip" in bpy.context.preferences.addons
    print(f"\n>{version} {'enabled' if is_enabled else 'disabled'} {hasattr(bpy.types.Scene, 's2l')}", flush=True)
    sys.stdin.readline()


bpy.context.preferences.system.use_online_access = True
repositories = bpy.context.preferences.extensions.repos
repositories.new(name=NAME, module=NAME, remote_url=sys.argv[-1])
index = [repository.module for repository in repositories].index(NAME)
bpy.ops.extensions.repo_sync(repo_index=index)
bpy.ops.extensions.package_install(repo_index=index, pkg_id="speech2lip", enable_on_install=True)
tell()
bpy.ops.extensions.repo_sync(repo_index=index)
bpy.ops.extensions.package_upgrade_all()
tell()

"""The content of the extension, and what remains after it is disabled."""

from __future__ import annotations

import ast
import gc
import json
import tomllib
import zipfile
from pathlib import Path

import bpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
ADD_ON = ("s2l_blender_addon", "operators", "panels")
SOURCES = [ROOT / "__init__.py", *(path for folder in ADD_ON for path in sorted((ROOT / folder).rglob("*.py")))]
EXTENSION = "bl_ext.user_default.speech2lip"


def test_zip_holds_only_the_add_on_the_library_and_the_pins_of_the_engine(extension_zip: Path) -> None:
    with zipfile.ZipFile(extension_zip) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    assert {name.split("/")[0] for name in names} <= {
        *ADD_ON, "s2l_core", "requirements", "__init__.py", "blender_manifest.toml", "LICENSE", "NOTICE",
    }  # fmt: skip
    assert {"s2l_core/worker.py", "s2l_blender_addon/sequencer/strips.py", "requirements/constraints.txt"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or Path(name).name.startswith(".")]


def test_manifest_has_the_version_of_the_zip(extension_zip: Path) -> None:
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
    assert extension_zip.name == f"{manifest['id']}-{manifest['version']}.zip"


def test_registering_again_leaves_nothing_behind() -> None:
    before = traces()
    bpy.ops.preferences.addon_disable(module=EXTENSION)
    assert not hasattr(bpy.types.Scene, "s2l")
    assert not hasattr(bpy.types.Object, "s2l")
    assert not hasattr(bpy.types, "S2L_PT_train")
    assert not [name for name in dir(bpy.ops.s2l) if not name.startswith("_")]
    for _ in range(2):
        bpy.ops.preferences.addon_enable(module=EXTENSION)
        assert traces() == before
        bpy.ops.preferences.addon_disable(module=EXTENSION)
    bpy.ops.preferences.addon_enable(module=EXTENSION)
    assert traces() == before


def traces() -> dict[str, int]:
    """The number of objects of each kind that an add-on can leave behind in Blender."""
    gc.collect()
    kinds = (
        bpy.types.Operator, bpy.types.Panel, bpy.types.Menu, bpy.types.PropertyGroup, bpy.types.AddonPreferences,
        bpy.types.RenderEngine,
    )  # fmt: skip
    counts = {kind.__name__: sum(cls.is_registered for cls in kind.__subclasses__()) for kind in kinds}
    engines = [
        getattr(panel, "COMPAT_ENGINES", ()) for panel in bpy.types.Panel.__subclasses__() if panel.is_registered
    ]
    counts["panels of the engine"] = sum("SPEECH2LIP" in names for names in engines)
    for name in dir(bpy.app.handlers):
        if isinstance(handlers := getattr(bpy.app.handlers, name), list):
            counts[name] = len(handlers)
    for menu in (bpy.types.SEQUENCER_MT_strip, bpy.types.SEQUENCER_MT_context_menu, bpy.types.VIEW3D_MT_add):
        counts[menu.__name__] = len(menu.draw._draw_funcs) if hasattr(menu.draw, "_draw_funcs") else 0
    return counts


def test_unregistering_kills_the_running_job(module, scene, fake_worker) -> None:
    fake_worker("ignore")
    jobs = module("s2l_blender_addon.engine.running_job")
    client = jobs.start(bpy.context.preferences.addons[EXTENSION].preferences.worker_python, info_job(module))
    bpy.ops.preferences.addon_disable(module=EXTENSION)
    assert client.error.code == "cancelled"
    assert client._process.wait(timeout=5) != 0
    assert jobs.current() is None
    bpy.ops.preferences.addon_enable(module=EXTENSION)


def test_unregistering_leaves_no_timer_and_the_record_of_the_running_job(
    module, queue, press, ready_to_dub, fake_worker
):
    fake_worker("ignore")
    press("S2L_OT_dub_strip")
    queue.until(lambda: queue.statuses() == ["running"])
    (entry,) = queue.entries()
    timer, process = queue.module._tick, entry.client._process._process
    bpy.ops.preferences.addon_disable(module=EXTENSION)
    assert not bpy.app.timers.is_registered(timer)
    assert process.wait(timeout=5) != 0
    assert json.loads(entry.record_path.read_text())["status"] == "interrupted"
    bpy.ops.preferences.addon_enable(module=EXTENSION)


def info_job(module):
    return module("s2l_core.jobs").InfoJob()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_few_files_know_strips_and_one_knows_versions(path: Path) -> None:
    attributes = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    words = ("frame_final_", "frame_offset_", "animation_offset_", "left_handle", "right_handle", "content_")
    of_strips = {name for name in attributes if name.startswith(words)}
    of_strips |= attributes & {"sequences", "sequences_all", "strips_all", "sequence_editor"}
    assert not of_strips or path.parent.name == "sequencer"
    assert (
        not attributes & {"version", "version_string", "sequencer_scene"} - {"version_string"}
        or path.name == "compat.py"
    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_add_on_loads_only_the_contract_of_the_library(path: Path) -> None:
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    whole = {node.module for node in imports if (node.module or "").startswith("s2l_core.")}
    whole |= {f"s2l_core.{name.name}" for node in imports if node.module == "s2l_core" for name in node.names}
    consent = ("consent_ledger", "consent_options", "consent_record")
    farm = ("farm.emitting", "farm.plan", "farm.roots", "farm.states")
    contract = (
        *consent,
        *farm,
        "dataclass_reader",
        "errors",
        "estimates",
        "events",
        "files",
        "jobs",
        "json_text",
        "regular_files",
    )
    assert whole <= {f"s2l_core.{name}" for name in contract}
    imported = {
        name.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert not imported & {"torch", "s2l_core"}

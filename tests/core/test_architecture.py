"""docs/architecture.md stays true: who may import whom, and which file alone knows what."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADD_ON = ("s2l_blender_addon", "operators", "panels")
LIBRARY = ROOT / "s2l_core"

# The parts of the library from the bottom up: a part imports its own row and those above it, never those below.
ROWS = [
    {
        "consent_options",
        "consent_record",
        "dataclass_reader",
        "errors",
        "events",
        "jobs",
        "json_text",
        "locks",
        "regular_files",
        "results",
        "standard_streams",
        "version",
    },
    {"ahead", "device", "files", "jpeg", "preset_steps", "subsampling", "tensor_file"},
    {"consent_ledger", "estimates"},
    {"cache", "fingerprints"},
    {"credentials"},
    {"media", "geometry"},
    {"face", "speech"},
    {"casting"},
    {"footage"},
    {"canonical"},
    {"model"},
    {"mouth", "whole_head"},
    {"stills"},
    {"evaluation"},
    {"training"},
    {"glance"},
    {"verbs"},
    {"execution"},
    {"farm"},
    {"terminal"},
    {"cli", "worker"},
]
# The same of the add-on; registration alone knows the operators and panels, of which panels know operators.
ADD_ON_ROWS = [
    {
        "__init__",
        "compat",
        "keymap",
        "paths",
        "presets",
        "progress",
        "screen",
        "sentences",
        "session",
        "signing_key",
        "translations",
    },
    {"preferences"},
    {"engine", "sequencer"},
    {"head", "pictures"},
    {"properties", "speakers"},
    {"queue", "render_signing"},
    {"batch"},
    {"operators"},
    {"panels"},
    {"registration"},
]
WITHOUT_DEPENDENCIES = {
    "__init__",
    "consent_options",
    "consent_record",
    "consent_ledger",
    "dataclass_reader",
    "errors",
    "estimates",
    "events",
    "execution",
    "farm/emitting",
    "farm/flamenco",
    "farm/openjd",
    "farm/plan",
    "farm/roots",
    "farm/states",
    "files",
    "jobs",
    "json_text",
    "locks",
    "preset_steps",
    "regular_files",
    "results",
    "standard_streams",
    "version",
    "worker",
}


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Absolute names of the modules that a file imports, with ``s2l_core`` for the library itself."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*base, *filter(None, [node.module])])
            is_whole = node.module and name not in {"s2l_core", "s2l_blender_addon"}
            yield from [name] if is_whole else [f"{name}.{alias.name}" for alias in node.names]


def row_of(part: str, rows: list[set[str]] = ROWS) -> int:
    (row,) = [number for number, row in enumerate(rows) if part in row] or pytest.fail(f"{part} has no place in a row")
    return row


@pytest.mark.parametrize("path", modules("s2l_core"), ids=lambda path: str(path.relative_to(LIBRARY)))
def test_the_library_imports_downwards_only(path: Path) -> None:
    part = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
    names = list(imports(path))
    assert not [name for name in names if name.split(".")[0] in {"bpy", "s2l_blender_addon", "operators", "panels"}]
    if part == "__init__":
        return
    own = [name.split(".")[1] for name in names if name.startswith("s2l_core.")]
    assert [other for other in own if row_of(other) > row_of(part)] == []


@pytest.mark.parametrize("path", modules(*ADD_ON), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_add_on_imports_downwards_only(path: Path) -> None:
    own = [part_of_add_on(name) for name in imports(path) if name.split(".")[0] in ADD_ON]
    part = part_of_add_on(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert [other for other in own if row_of(other, ADD_ON_ROWS) > row_of(part, ADD_ON_ROWS)] == []


def part_of_add_on(name: str) -> str:
    folder, *rest = name.split(".")
    return rest[0] if folder == "s2l_blender_addon" else folder


@pytest.mark.parametrize("part", sorted(WITHOUT_DEPENDENCIES))
def test_what_blender_imports_needs_only_the_standard_library(part: str) -> None:
    foreign = {name.split(".")[0] for name in imports(LIBRARY / f"{part}.py")} - {"s2l_core"}
    assert foreign <= sys.stdlib_module_names


def test_the_add_on_imports_only_what_needs_the_standard_library_alone() -> None:
    used = {name for path in modules(*ADD_ON) for name in imports(path)}
    assert {name for name in used if name.startswith("s2l_core")} <= {
        "s2l_core.consent_ledger",
        "s2l_core.consent_options",
        "s2l_core.consent_record",
        "s2l_core.dataclass_reader",
        "s2l_core.errors",
        "s2l_core.estimates",
        "s2l_core.events",
        "s2l_core.farm.emitting",
        "s2l_core.farm.plan",
        "s2l_core.farm.roots",
        "s2l_core.farm.states",
        "s2l_core.files",
        "s2l_core.jobs",
        "s2l_core.json_text",
        "s2l_core.regular_files",
    }


def test_one_package_touches_the_strips_of_the_sequencer() -> None:
    words = ("sequence_editor", "frame_final_", "left_handle", "content_start", ".sequences", "new_movie", "new_sound")
    knowing = {
        path.relative_to(ROOT).parent.as_posix()
        for path in modules(*ADD_ON)
        if path.name != "compat.py" and any(word in path.read_text(encoding="utf-8") for word in words)
    }
    assert knowing == {"s2l_blender_addon/sequencer"}  # besides, compat.py knows names in different versions


def test_only_one_file_asks_for_blenders_version() -> None:
    knowing = {
        path.relative_to(ROOT).as_posix()
        for path in modules(*ADD_ON)
        if re.search(r"bpy\.app\.version\b", path.read_text(encoding="utf-8"))
    }
    assert knowing <= {"s2l_blender_addon/compat.py"}

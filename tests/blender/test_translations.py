"""Labels are in one place, and Blender shows them in the user's language."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import bpy
import pytest

# They keep figures, which panels tell in sentences.
WITHOUT_LABELS = {"S2L_PG_check", "S2L_PG_offset", "S2L_PG_speaker", "S2L_PG_head"}


def labels(classes: list[type]) -> Iterator[str]:
    """The labels of the classes of the add-on."""
    for cls in classes:
        if issubclass(cls, bpy.types.Operator | bpy.types.Panel | bpy.types.Menu) and cls.bl_label:
            yield cls.bl_label
        is_group = issubclass(cls, bpy.types.PropertyGroup | bpy.types.AddonPreferences | bpy.types.Operator)
        if not is_group or cls.__name__ in WITHOUT_LABELS:
            continue
        for name in getattr(cls, "__annotations__", {}):
            prop = cls.bl_rna.properties.get(name)
            if prop is None or prop.is_hidden or prop.type in ("POINTER", "COLLECTION"):
                continue
            yield from names_of(prop)


def names_of(prop: Any) -> Iterator[str]:
    yield prop.name
    if prop.type == "ENUM":
        yield from (item.name for item in prop.enum_items if item.name)


def test_every_label_is_in_the_one_place(module) -> None:
    registration: ModuleType = module("s2l_blender_addon.registration")
    known = module("s2l_blender_addon.translations").GERMAN
    found = set(labels(list(registration.CLASSES)))
    assert len(found) > 60
    missing = ", ".join(sorted(found - set(known)))
    assert not missing, missing


@pytest.mark.skipif(
    "de_DE" not in bpy.types.PreferencesView.bl_rna.properties["language"].enum_items,
    reason="this Blender knows no language but English",
)
def test_labels_are_translated_where_the_user_speaks_german(module) -> None:
    view = bpy.context.preferences.view
    before = view.language
    try:
        view.language, view.use_translate_interface = "de_DE", True
        assert bpy.app.translations.pgettext_iface("Dub Strip", "Operator") == "Streifen synchronisieren"
        assert bpy.app.translations.pgettext_iface("Rest Pose") == "Ruhepose"
    finally:
        view.language = before

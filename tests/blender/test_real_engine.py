"""The operators with the real engine."""

from __future__ import annotations

import bpy


def test_check_engine_shows_versions_and_devices(scene, preferences) -> None:
    assert bpy.ops.s2l.check_engine() == {"FINISHED"}
    lines = dict(line.split(": ", 1) for line in preferences.engine_report.splitlines())
    assert lines["schema"] == "1"
    assert lines["torch"]
    assert "cpu" in lines["devices"]
    assert "bundled" in lines["landmarks"]

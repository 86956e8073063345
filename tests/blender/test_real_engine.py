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


def test_check_judges_the_trimmed_part_of_real_footage(scene, strips, shared_data) -> None:
    strip = strips.new_movie("Interview", str(shared_data / "speakers/cnn2_71s.mp4"), 1, 1)
    strip.frame_offset_start, strip.frame_offset_end = 100, strip.frame_duration - 200
    assert bpy.ops.s2l.check_footage() == {"FINISHED"}
    assert scene.s2l.check.verdict == "poor"
    assert "only 4.0 s" in scene.s2l.check.advice

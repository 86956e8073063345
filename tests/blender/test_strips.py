"""How strips map to media, compared with what Blender itself shows and plays."""

from __future__ import annotations

import shutil
import wave
from fractions import Fraction
from pathlib import Path

import bpy
import pytest
import versions
from versions import add_movie_at_its_own_speed, handles, sequencer_override

FRAMES = 50
CLICK_SECONDS = 1.2


def add_movie(strips, path: Path, start: int = 1, channel: int = 1):
    return strips.new_movie("Footage", str(path), channel, start)


PCM_16 = {"container": "WAV", "codec": "PCM", "format": "S16", "mixrate": 48000}


def trim(strip) -> None:
    versions.trim(strip, 12, 9)


def trim_for_good(strip) -> None:
    versions.trim_content(strip, 12, 5)


def hold_beyond_the_ends(strip) -> None:
    versions.trim(strip, -6, -4)


def delay(strip) -> None:
    strip.sound_offset = 0.3


@pytest.mark.parametrize("change", [lambda strip: None, trim, trim_for_good, hold_beyond_the_ends])
@pytest.mark.parametrize(
    ("media_rate", "scene_rate", "own_speed"),
    [
        ((25, 1.0), (25, 1.0), False),
        ((30, 1.001), (25, 1.0), False),
        ((30, 1.001), (25, 1.0), True),
        ((25, 1.0), (24, 1.001), True),
        ((25, 1.0), (60, 1.0), True),
    ],
)
def test_movie_strip_maps_to_the_frames_that_blender_shows(
    module, scene, strips, make_movie, shown_grey, media_rate, scene_rate, own_speed, change
) -> None:
    path = make_movie(*media_rate, FRAMES)
    scene.render.fps, scene.render.fps_base = scene_rate
    strip = add_movie_at_its_own_speed(scene, path, 11) if own_speed else add_movie(strips, path, 11)
    change(strip)
    playback = module("s2l_blender_addon.sequencer.strips").playback(scene, strip)
    first, end = handles(strip)
    assert first <= playback.first < playback.end <= end
    frames_per_second = Fraction(media_rate[0]) / Fraction(media_rate[1]).limit_denominator(1001)
    for frame in (playback.first, (playback.first + playback.end) // 2, playback.end - 1):
        mapped = playback.media(frame).start * frames_per_second
        shown = round(shown_grey(scene, frame) * FRAMES)
        assert abs(min(mapped, FRAMES - 1) - shown) < 0.51  # Blender shows the nearest frame


@pytest.mark.parametrize("scene_rate", [(25, 1.0), (30, 1.001)])
@pytest.mark.parametrize("change", [lambda strip: None, trim, trim_for_good, delay])
def test_sound_strip_maps_to_the_samples_that_blender_plays(
    module, scene, strips, sound, tmp_path, scene_rate, change
) -> None:
    scene.render.fps, scene.render.fps_base = scene_rate
    strip = strips.new_sound("Speech", str(sound), 1, 11)
    change(strip)
    scene.frame_start, scene.frame_end = 1, handles(strip)[1]
    playback = module("s2l_blender_addon.sequencer.strips").playback(scene, strip)
    first, end = handles(strip)
    assert first <= playback.first < playback.end <= end
    click = playback.first + (CLICK_SECONDS - playback.media(playback.first).start) / playback.seconds_per_frame
    heard = 1 + heard_seconds(tmp_path / "mix.wav") / playback.seconds_per_frame
    assert click == pytest.approx(heard, abs=0.05)


def heard_seconds(path: Path) -> float:
    """The time of the loudest sample that Blender plays, from the first frame of the scene on."""
    versions.mixdown(path, **PCM_16)
    return loudest_seconds(path)


def loudest_seconds(path: Path) -> float:
    """The time of the loudest sample in a file of :data:`PCM_16`."""
    with wave.open(str(path)) as file:
        samples = memoryview(file.readframes(file.getnframes())).cast("h")[:: file.getnchannels()]
    return max(range(len(samples)), key=lambda index: abs(samples[index])) / 48000


@pytest.mark.skipif(bpy.app.version < (5, 2), reason="the names are deprecated since Blender 5.2")
@pytest.mark.xfail(strict=True, reason="uses what Blender 6.0 will remove")
def test_what_blender_will_remove_fails_a_test(strips, movie) -> None:
    assert add_movie(strips, movie).frame_start == 1.0


@pytest.mark.skipif("connections" not in bpy.types.Strip.bl_rna.properties, reason="they can be read since Blender 5.2")
def test_of_two_sounds_of_a_movie_the_connected_one_is_its_voice(module, scene, strips, movie) -> None:
    strip = add_movie(strips, movie)
    first, second = (strips.new_sound(name, str(movie), channel, 1) for name, channel in (("A", 2), ("B", 3)))
    own_sound = module("s2l_blender_addon.sequencer.strips").own_sound
    assert own_sound(scene, strip) == first
    strip.select, first.select, second.select = True, False, True
    with sequencer_override(scene):
        bpy.ops.sequencer.connect()
    assert own_sound(scene, strip) == second


@pytest.mark.parametrize(
    ("fps", "fps_base", "rate"),
    [(24, 1.0, "24"), (24, 1.001, "24000/1001"), (30, 1.001, "30000/1001"), (60, 1.0, "60"), (25, 2.0, "25/2")],
)
def test_frame_rate_is_an_exact_fraction(module, scene, fps, fps_base, rate) -> None:
    scene.render.fps, scene.render.fps_base = fps, fps_base
    assert str(module("s2l_blender_addon.sequencer.strips").frame_rate(scene)) == rate


def retime(strip) -> None:
    strip.id_data.sequence_editor.active_strip = strip
    with sequencer_override(strip.id_data):
        bpy.ops.sequencer.retiming_key_add(timeline_frame=30)


def reverse(strip) -> None:
    strip.use_reverse_frames = True


@pytest.mark.parametrize(("change", "word"), [(retime, "retimed"), (reverse, "backwards")])
def test_strip_that_does_not_play_as_it_is_gets_a_sentence(module, scene, strips, movie, change, word) -> None:
    strip = add_movie(strips, movie)
    change(strip)
    with pytest.raises(module("s2l_core.errors").BadJob, match=word):
        module("s2l_blender_addon.sequencer.strips").playback(scene, strip)


def test_retiming_is_read_in_tested_versions_of_blender_only(module, scene, strips, movie, monkeypatch) -> None:
    library, strip = module("s2l_blender_addon.sequencer.strips"), add_movie(strips, movie)
    retime(strip)
    assert library.moments(scene, strip, range(1, 3)) == (0.0, 1 / 25)
    assert module("s2l_blender_addon.sequencer.timing").unknown_time_reason(strip) == ""
    monkeypatch.setattr(module("s2l_blender_addon.sequencer.retiming"), "RETIMING_IS_KNOWN", False)
    with pytest.raises(module("s2l_core.errors").BadJob, match="which is untested"):
        library.moments(scene, strip, range(1, 3))
    assert "render it to a file first" in module("s2l_blender_addon.sequencer.timing").unknown_time_reason(strip)


def test_length_of_a_movie_is_asked_once_until_the_movie_changes(module, strips, movie, make_movie, tmp_path) -> None:
    timing = module("s2l_blender_addon.sequencer.timing")
    strip = add_movie(strips, Path(shutil.copy(movie, tmp_path / "take.mp4")))
    length = timing.media_length(strip, strip.filepath)
    before = timing._movie_length.cache_info().hits
    assert timing.media_length(strip, strip.filepath) == length
    assert timing._movie_length.cache_info().hits == before + 1
    shutil.copy(make_movie(25, 1.0, length + 7), tmp_path / "take.mp4")
    assert timing.media_length(strip, strip.filepath) == length + 7


def test_packed_sound_gets_a_sentence(module, scene, strips, sound) -> None:
    strip = strips.new_sound("Speech", str(sound), 1, 1)
    strip.sound.pack()
    assert "packed" in module("s2l_blender_addon.sequencer.strips").unusable_reason(strip, "")


def test_missing_file_gets_a_sentence(module, scene, strips, movie, tmp_path) -> None:
    strip = add_movie(strips, movie)
    strip.filepath = str(tmp_path / "gone.mp4")
    with pytest.raises(module("s2l_core.errors").FileMissing, match="is missing"):
        module("s2l_blender_addon.sequencer.strips").playback(scene, strip)


def test_path_beside_the_blend_file_becomes_absolute(module, scene, strips, movie, tmp_path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "edit.blend"))
    strip = add_movie(strips, movie)
    strip.filepath = bpy.path.relpath(str(movie))
    assert strip.filepath.startswith("//")
    assert Path(module("s2l_blender_addon.sequencer.strips").playback(scene, strip).whole.path).samefile(movie)


def test_footage_is_the_named_strip_or_the_active_one_or_the_only_one(module, scene, strips, movie) -> None:
    find = module("s2l_blender_addon.sequencer.strips").footage
    assert find(scene) is None
    first = add_movie(strips, movie)
    assert find(scene) == first
    second = add_movie(strips, movie, channel=2)
    assert find(scene) is None
    scene.sequence_editor.active_strip = second
    assert find(scene) == second
    scene.s2l.footage_strip = first.name
    assert find(scene) == first
    scene.s2l.footage_strip = "Gone"
    assert find(scene) is None


def test_dubbed_strip_stands_for_its_sources(module, scene, strips, movie, sound) -> None:
    footage, speech = add_movie(strips, movie), strips.new_sound("Speech", str(sound), 2, 1)
    library = module("s2l_blender_addon.sequencer.strips")
    dubbed = module("s2l_blender_addon.sequencer.placing").insert_result(
        library.Placement(scene.name, footage.name, speech.name, 1, 31), str(movie), module("s2l_core.jobs").Encoding()
    )
    assert scene.sequence_editor.active_strip == dubbed
    assert (library.footage(scene), library.voices(scene)) == (footage, [speech])
    scene.sequence_editor.active_strip = None
    assert library.footage(scene) == footage

"""What the panels draw, recorded by a layout that knows which properties, operators and icons there are."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import blf
import bpy
import pytest

ICONS = set(bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items.keys())
WIDTH = 300


class Layout:
    """Records every text that is drawn; a name that Blender does not know fails."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def column(self, align: bool = False, heading: str = "") -> Layout:
        return self

    row = column

    def split(self, factor: float) -> Layout:
        return self

    def separator(self) -> None:
        pass

    def label(self, text: str, icon: str = "NONE") -> None:
        assert icon in ICONS
        self.texts.append(text)

    def prop(self, owner: Any, name: str, icon: str = "NONE", placeholder: str = "", text: str = "") -> None:
        assert icon in ICONS
        self.texts.append(f"{text or owner.bl_rna.properties[name].name}: {getattr(owner, name) or placeholder}")

    def operator(
        self, name: str, text: str | None = None, icon: str = "NONE", depress: bool = False, emboss: bool = True
    ) -> SimpleNamespace:
        assert icon in ICONS
        assert text != "" or icon != "NONE"  # otherwise nothing would be seen
        module, _, verb = name.partition(".")
        self.texts.append((text or getattr(getattr(bpy.ops, module), verb).get_rna_type().name) + " (on)" * depress)
        return SimpleNamespace()

    def menu(self, name: str) -> None:
        self.texts.append(getattr(bpy.types, name).bl_label)

    def template_icon_view(self, owner: Any, name: str, show_labels: bool, scale: float, scale_popup: float) -> None:
        self.texts.append(f"{owner.bl_rna.properties[name].name}: Face {int(getattr(owner, name)) + 1}")

    def template_icon(self, icon_value: int, scale: float) -> None:
        self.texts.append("a picture")

    def progress(self, factor: float, text: str) -> None:
        assert 0 <= factor <= 1
        self.texts.append(text)


@pytest.fixture
def draw(module, scene):
    """Draws a panel or menu and returns its texts."""

    def draw(name: str) -> list[str]:
        layout = Layout()
        classes = {cls.__name__: cls for cls in module("panels").CLASSES}
        context = SimpleNamespace(
            scene=scene, sequencer_scene=scene, object=bpy.context.object, region=SimpleNamespace(width=WIDTH)
        )
        classes[name].draw(SimpleNamespace(layout=layout), context)
        return layout.texts

    return draw


def test_footage_panel_offers_the_movie_strip_that_would_be_used(draw, strips, movie) -> None:
    assert draw("S2L_PT_footage") == ["Footage: ", "Check Footage", "Find Faces"]
    strips.new_movie("Interview", str(movie), 1, 1)
    assert draw("S2L_PT_footage") == ["Footage: Interview", "Voice: Sound of the movie", "Check Footage", "Find Faces"]


def test_footage_panel_asks_for_the_voice_of_pictures(draw, scene, add_pictures) -> None:
    scene.sequence_editor.active_strip = add_pictures()
    assert draw("S2L_PT_footage") == ["Footage: Take", "Voice: ", "Check Footage", "Find Faces"]


def test_verdict_is_shown_for_the_footage_that_was_checked_only(
    draw, scene, strips, movie, make_movie, fake_worker
) -> None:
    strips.new_movie("Interview", str(movie), 1, 1)
    bpy.ops.s2l.check_footage()
    assert draw("S2L_PT_footage")[4:] == ["The footage is usable", "Record more speech.", "Move closer."]
    other = strips.new_movie("Other", str(make_movie(30, 1.001, 50)), 2, 1)
    scene.s2l.footage_strip = other.name
    assert draw("S2L_PT_footage")[4:] == []


def test_sound_tracks_are_chosen_for_the_footage_and_for_the_active_sound(draw, scene, footage, speech) -> None:
    scene.sequence_editor.active_strip, footage.s2l.track = speech, 2
    assert draw("S2L_PT_track") == ["Interview", "Sound Track: 2", "Line", "Sound Track: "]


def test_train_and_dub_panels_show_what_they_need(draw, scene, strips, sound) -> None:
    speech = strips.new_sound("Line", str(sound), 1, 1)
    scene.sequence_editor.active_strip = speech
    assert draw("S2L_PT_train") == [
        "Speaker: Speaker",
        "Training: balanced",
        "Any Sound: ",
        "Folder: Beside the .blend file",
        "Train Speaker",
        "Estimate Training",
    ]
    assert draw("S2L_PT_dub") == [
        "Speaker: ",
        "Drives: Any",
        "Sound: Line",
        "Dub Strip",
        "Dub All",
        "Submit",
        "Estimate Dub",
        "Preview Frame",
    ]
    assert draw("S2L_PT_output") == [
        "Result: picture",
        "Format: auto",
        "Rate Factor: 17",
        "Folder: Beside the .blend file",
    ]
    assert draw("S2L_PT_silence") == ["Close Below Level: ", "Silence: -25.0", "Rest Pose: 1.0"]


def test_what_is_submitted_is_in_the_render_properties_too(module, draw, scene, footage, speech) -> None:
    speech.s2l.drives, scene.s2l.train.speaker_name = footage.name, "Ada"
    assert module("panels.render").S2L_PT_render_submit.poll(bpy.context)
    assert draw("S2L_PT_render_submit") == [
        *("1 Dub: True", "Training of Ada: "),
        *("Farm: OPENJD", "Frames per Task: 128", "Priority: 50", "Shared Folder: "),
        *("Output: Beside the .blend file", "Submit"),
    ]


def test_an_animation_of_a_head_is_submitted_where_there_is_one(module, draw, stage) -> None:
    stage.scene.s2l.submit.head = True
    assert module("panels.render").S2L_PT_render_submit.poll(bpy.context)
    assert "Animation of speaker: True" in draw("S2L_PT_render_submit")


def test_running_job_is_shown_with_its_progress_and_a_way_out(module, draw, fake_worker, preferences) -> None:
    fake_worker("wait")
    jobs = module("s2l_blender_addon.engine.running_job")
    client = jobs.start(preferences.worker_python, module("s2l_core.jobs").InfoJob())
    assert draw("S2L_PT_queue") == ["Starting", "Cancel"]
    while not client.progress:
        client.poll()
    assert draw("S2L_PT_queue") == ["Waiting 25%", "Cancel"]


def test_training_is_shown_with_its_figure_and_its_picture(
    module, draw, fake_worker, preferences, draw_picture
) -> None:
    fake_worker("show_pictures")
    picture = draw_picture(80, 40)
    client = module("s2l_blender_addon.engine.running_job").start(
        preferences.worker_python, module("s2l_core.jobs").InfoJob()
    )
    while not client.progress:
        client.poll()
    assert client.preview_path == str(picture)
    assert draw("S2L_PT_queue") == ["Training 25%", "Held-out 29.3 dB", "Cancel"]
    preview = module("s2l_blender_addon.pictures.training")
    preview.show(client.preview_path)
    assert draw("S2L_PT_queue") == ["Training 25%", "Held-out 29.3 dB", "a picture", "Cancel"]
    preview.clear()


def test_failed_job_is_explained_in_lines_that_fit(module, draw) -> None:
    module("s2l_blender_addon.engine.running_job").conclude(
        True, "The footage shows no face in any of its frames. " * 3
    )
    *lines, button = draw("S2L_PT_queue")
    assert button == "Copy Report"
    assert len(lines) >= 3
    blf.size(0, bpy.context.preferences.ui_styles[0].widget.points)
    assert max(blf.dimensions(0, line)[0] for line in lines) < WIDTH


def test_queue_has_a_row_for_each_job_with_what_can_be_done(
    draw, queue, press, scene, ready_to_dub, fake_worker
) -> None:
    fake_worker("wait")
    for name in ("Ada", "Grace"):
        scene.s2l.train.speaker_name = scene.s2l.train.consent = name
        press("S2L_OT_train_speaker")
    first, second = queue.entries()
    second.estimate = "About 20 min"
    queue.until(lambda: first.client and first.client.progress)
    assert draw("S2L_PT_queue") == [
        *("Train Ada", "Cancel", "Waiting 25%"),
        *("Train Grace", "Move Up", "Move Down", "Remove", "About 20 min"),
    ]
    bpy.ops.s2l.cancel_job()
    fake_worker("fail")
    queue.finish()
    assert draw("S2L_PT_queue") == [
        *("Train Ada", "Resume", "Remove"),
        *("Train Grace", "Retry", "Copy Error", "Remove", "Nobody is there. Look again."),
        "Clear Finished",
    ]
    assert draw("S2L_PT_view_queue") == draw("S2L_PT_queue")


BUTTONS = ["Redo", "Redo with Changes", "Verify"]
UNKNOWN = ["How it is signed is not known: press Verify."]


def test_result_panel_tells_what_a_strip_was_made_of(module, draw, queue, press, ready_to_dub, fake_worker) -> None:
    panel = module("panels.result").S2L_PT_result
    assert not panel.poll(bpy.context)
    press("S2L_OT_dub_strip")
    queue.finish()
    assert panel.poll(bpy.context)
    texts = draw("S2L_PT_result")
    end = texts.index(UNKNOWN[0])
    facts = dict(zip(texts[1:end:2], texts[2:end:2], strict=True))
    assert texts[0] == "Synthetic media"
    assert facts.keys() == {"Speaker", "Sound", "Created", "Version", "Frames", "Dubbed"}
    assert (facts["Speaker"], facts["Sound"]) == ("Ada", "click.wav")
    assert (facts["Frames"], facts["Dubbed"]) == ("30", "30")
    assert texts[-3:] == BUTTONS


def test_result_panel_says_how_the_file_is_signed(draw, scene, strips, movie) -> None:
    strip = strips.new_movie("Dubbed", str(movie), 1, 1)
    strip["s2l_job"], strip["s2l_result"] = "{}", json.dumps({"credentials": "Signed by The Studio."})
    scene.sequence_editor.active_strip = strip
    assert draw("S2L_PT_result") == ["Synthetic media", "Signed by The Studio.", *BUTTONS]
    strip.s2l.verdict = "Checked at 12:15: Invalid."
    assert draw("S2L_PT_result")[-1] == "Checked at 12:15: Invalid."


def test_details_of_a_consent_are_asked_for_stills_as_for_trainings(draw, scene, portrait) -> None:
    fields = ["Agreed To: Any use", "Agreed Until: No end", "Evidence: Not stated"]
    assert draw("S2L_PT_consent") == ["Who Agreed: Speaker", *fields]
    assert draw("S2L_PT_still_consent") == ["Who Agreed: Portrait", *fields]


def test_dub_panel_has_the_button_for_what_is_active(draw, scene, portrait, footage, speech) -> None:
    assert draw("S2L_PT_dub") == [
        *("Sound: Line", "The Speaker Agreed: True"),
        *("Dub Still", "Dub All", "Submit", "Estimate Dub", "Preview Frame"),
    ]
    settings = ["Speaker: Built-in", "For This Strip: As above", "Blinks: ", "Head Motion: "]
    assert draw("S2L_PT_still")[:5] == [*settings, "Find Faces"]
    scene.sequence_editor.active_strip = footage
    assert "Dub Strip" in draw("S2L_PT_dub")
    buttons = ["Dub Still", "Estimate Still", "Preview Still"]
    assert draw("S2L_PT_still") == [*settings, "The Speaker Agreed: ", *buttons]
    scene.s2l.still.estimate = "Interview, 26 frames: about 6 min"
    assert "Interview, 26 frames: about 6 min" in draw("S2L_PT_still")


def test_result_panel_and_queue_say_what_looks_bad(
    draw, queue, press, portrait, speech, fake_worker, monkeypatch
) -> None:
    monkeypatch.setenv("S2L_FAKE_WARNINGS", json.dumps(["The head is turned by 24 degrees."]))
    press("S2L_OT_dub_still")
    queue.finish()
    texts = draw("S2L_PT_result")
    assert "The head is turned by 24 degrees." in texts
    end = texts.index("The head is turned by 24 degrees.")
    facts = dict(zip(texts[1:end:2], texts[2:end:2], strict=True))
    assert (facts["Picture"], facts["Speaker"], facts["Sound"]) == ("portrait.png", "Built-in", "click.wav")
    assert "The head is turned" in " ".join(draw("S2L_PT_queue"))


def test_panels_tell_that_no_frame_was_dubbed(draw, queue, press, ready_to_dub, fake_worker) -> None:
    fake_worker("leave_as_it_was")
    press("S2L_OT_dub_strip")
    queue.finish()
    name, button, outcome, *_ = draw("S2L_PT_queue")
    assert (name, button) == ("Dub Interview", "Remove")
    assert outcome.startswith("Dubbed 0 of 30 frames: 30 occluded.")
    texts = draw("S2L_PT_result")
    assert texts[texts.index("Dubbed") + 1] == "0"
    assert "Frames 1 to 30: occluded" in texts


def test_result_panel_draws_whatever_a_strip_says_of_itself(draw, scene, strips, movie) -> None:
    strip = strips.new_movie("Dubbed", str(movie), 1, 1)
    strip["s2l_job"] = '{"speaker_path": "\\ud800.s2l", "voice": {"path": "%s"}}' % ("x" * 10_000)
    strip["s2l_result"] = '{"speaker_seed": NaN, "speaker_mouth_psnr": 1%s, "frames_written": true}' % ("0" * 400)
    scene.sequence_editor.active_strip = strip
    texts = draw("S2L_PT_result")
    assert "Held-Out" not in texts
    assert all(len(text.encode()) <= 500 for text in texts)


def test_result_panel_tells_how_its_speaker_was_trained(draw, scene, strips, movie) -> None:
    strip = strips.new_movie("Dubbed", str(movie), 1, 1)
    strip["s2l_job"], strip["s2l_result"] = "{}", '{"speaker_seed": 7, "speaker_mouth_psnr": 31.62}'
    scene.sequence_editor.active_strip = strip
    assert draw("S2L_PT_result") == ["Synthetic media", "Seed", "7", "Held-Out", "31.6 dB", *UNKNOWN, *BUTTONS]


@pytest.mark.parametrize(("job", "result"), [("", ""), ("{}", "[]"), ("[1]", '{"untouched": [1, {"start": "x"}]}')])
def test_result_panel_survives_a_strip_that_tells_nonsense(draw, scene, strips, movie, job, result) -> None:
    strip = strips.new_movie("Odd", str(movie), 1, 1)
    strip["s2l_job"], strip["s2l_result"] = job, result
    scene.sequence_editor.active_strip = strip
    assert draw("S2L_PT_result") == ["Synthetic media", *UNKNOWN, *BUTTONS]


def test_strip_menus_offer_every_verb(draw) -> None:
    assert draw("S2L_MT_strip") == [
        *("Check Footage", "Find Faces", "Measure Offset", "Fix Offset"),
        *("Train Speaker", "Preview Frame", "Dub Strip", "Dub Still", "Dub All", "Submit"),
        *("Add Label", "Create Head"),
    ]
    for menu in (bpy.types.SEQUENCER_MT_strip, bpy.types.SEQUENCER_MT_context_menu):
        layout = Layout()
        menu.draw._draw_funcs[-1](SimpleNamespace(layout=layout), bpy.context)
        assert layout.texts == ["Speech2Lip"]


def test_create_head_panel_offers_the_strip_that_would_be_used(draw, scene, strips, movie) -> None:
    strips.new_movie("Interview", str(movie), 1, 1)
    assert draw("S2L_PT_create_head") == ["Speaker: ", "Footage: Interview", "Create Head"]
    dubbed = strips.new_movie("Interview Dubbed", str(movie), 2, 1)
    dubbed["s2l_footage"], scene.s2l.footage_strip = "Interview", "Interview"
    scene.sequence_editor.active_strip = dubbed
    assert draw("S2L_PT_create_head")[1:3] == ["Footage: Interview", "Shows the dubbed strip Interview Dubbed"]


def test_head_panel_shows_the_active_head_or_the_only_one(module, draw, scene) -> None:
    panel = module("panels.head").S2L_PT_head
    assert not panel.poll(bpy.context)
    first, second = (bpy.data.objects.new(name, None) for name in ("Ada", "Grace"))
    first.s2l.is_head, first.s2l.warning = True, "Frame 3: Camera sees Ada 7° outside of what the footage shows"
    scene.collection.objects.link(first)
    assert panel.poll(bpy.context)
    buttons = ["Mute Tracked Pose", "Match Camera", "Check View"]
    name, speaker, footage, *rest = draw("S2L_PT_head")
    assert (name, speaker, footage, rest[:3]) == ("Ada", "Speaker: ", "Footage: ", buttons)
    assert " ".join(rest[3:]) == first.s2l.warning
    scene.collection.objects.link(second)
    second.s2l.is_head = True
    assert not panel.poll(bpy.context)
    child = bpy.data.objects.new("Hat", None)
    scene.collection.objects.link(child)
    child.parent = second
    bpy.context.view_layer.objects.active = child
    assert draw("S2L_PT_head") == ["Grace", "Speaker: ", "Footage: ", *buttons]


def test_head_panel_shows_whether_the_tracked_pose_is_muted(draw, scene) -> None:
    head = bpy.data.objects.new("Head", None)
    head.s2l.is_head = True
    scene.collection.objects.link(head)
    head.keyframe_insert("location", frame=1, group="Tracked Pose")
    bpy.ops.s2l.toggle_tracked_pose()
    assert "Mute Tracked Pose (on)" in draw("S2L_PT_head")


def test_head_panel_shows_what_the_engine_doubts(module, draw, scene, monkeypatch) -> None:
    head = bpy.data.objects.new("Head", None)
    head.s2l.is_head = True
    scene.collection.objects.link(head)
    monkeypatch.setattr(module("s2l_blender_addon.head.rendering"), "_warning", "There is no face in the footage")
    assert draw("S2L_PT_head")[-1] == "There is no face in the footage"


def test_add_menu_offers_the_head() -> None:
    layout = Layout()
    bpy.types.VIEW3D_MT_add.draw._draw_funcs[-1](SimpleNamespace(layout=layout), bpy.context)
    assert layout.texts == ["Create Head"]


def test_running_job_is_shown_in_the_3d_view_too(module, draw) -> None:
    module("s2l_blender_addon.engine.running_job").conclude(False, "Created the head.")
    assert draw("S2L_PT_view_queue") == ["Created the head."]


def test_engine_shows_its_settings_and_those_of_blenders_that_it_heeds(draw) -> None:
    assert draw("S2L_PT_render") == ["Keep to Trusted Poses: True", "Transparent: "]
    panels = [
        panel for panel in bpy.types.Panel.__subclasses__() if "SPEECH2LIP" in getattr(panel, "COMPAT_ENGINES", ())
    ]
    shown = {panel.__name__ for panel in panels}
    assert {"RENDER_PT_color_management", "RENDER_PT_output", "DATA_PT_lens", "OBJECT_PT_custom_props"} <= shown
    assert not {"WORLD_PT_context_world", "DATA_PT_light", "VIEWLAYER_PT_freestyle"} & shown


@pytest.fixture
def draw_preferences(module, preferences):
    """Draws the page of the preferences and returns its texts."""

    def draw_preferences() -> list[str]:
        engine = ("worker_python", "base_python", "torch_build", "device", "engine_report")
        names = (*engine, "signing_key", "signing_certificate", "timestamp_server", "sign_renders")
        values = {name: getattr(preferences, name) for name in names}
        page = SimpleNamespace(layout=Layout(), bl_rna=preferences.bl_rna, **values)
        context = SimpleNamespace(region=SimpleNamespace(width=900), preferences=bpy.context.preferences)
        module("panels.preferences").S2L_AP_preferences.draw(page, context)
        return page.layout.texts

    return draw_preferences


def test_preferences_show_the_engine_report(draw_preferences, fake_worker) -> None:
    bpy.ops.s2l.check_engine()
    texts = draw_preferences()
    assert {"Check Engine", "Copy Report", "devices: cpu, imaginary", "Set Up Engine", "Copy Command"} <= set(texts)
    assert "Missing" not in texts


def test_preferences_show_what_is_missing_and_why_the_setup_is_grey(draw_preferences, preferences) -> None:
    preferences.worker_python = "/nowhere/python"
    texts = draw_preferences()
    preferences.worker_python = ""
    assert texts[:2] == ["Missing", "The chosen worker Python: /nowhere/python"]
    assert "Allow online access in the preferences, under System." in texts


def test_preferences_warn_that_renders_are_not_signed(module, draw_preferences, preferences) -> None:
    assert module("panels.preferences").UNSIGNED not in draw_preferences()
    preferences.sign_renders = False
    texts = draw_preferences()
    preferences.sign_renders = True
    assert module("panels.preferences").UNSIGNED in texts


def test_preferences_show_how_far_the_setup_is_and_how_it_ended(module, draw_preferences, monkeypatch) -> None:
    setup = SimpleNamespace(has_ended=False, step=1, text="Collecting torch", error=None)
    monkeypatch.setattr(module("s2l_blender_addon.engine.installation"), "_setup", setup)
    assert draw_preferences()[:2] == ["Step 2 of 6: Collecting torch", "Cancel Setup"]
    setup.has_ended, setup.error = True, "The engine could not be set up: there is no space left."
    assert setup.error in draw_preferences()


def test_labels_and_tooltips_follow_blenders_guide(module) -> None:
    for operator in module("operators").CLASSES:
        words = [word for word in operator.bl_label.split() if word not in ("for", "with")]
        assert " ".join(words) == " ".join(words).title()
        assert operator.bl_description[0].isupper()
        assert not operator.bl_description.endswith(".")
        assert operator.bl_idname.startswith("s2l.")

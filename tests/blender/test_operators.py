"""The operators, with a fake worker."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest
from versions import handles, set_content_start


def reason(module, name: str) -> str:
    operators = module("operators")
    return getattr(operators, name).disabled_reason(bpy.context)


def select_nothing(scene) -> None:
    scene.sequence_editor.active_strip = None


def unname(scene) -> None:
    scene.s2l.train.speaker_name = "  "


def reverse(scene) -> None:
    scene.sequence_editor.strips["Interview"].use_reverse_frames = True


def add_second_movie(scene) -> None:
    scene.s2l.footage_strip = ""
    scene.sequence_editor.strips.new_movie("Other", bpy.path.abspath("//other.mp4"), 5, 1)


def forget_speaker(scene) -> None:
    scene.s2l.dub.speaker_path = ""


def forget_words(scene) -> None:
    scene.s2l.dub.sound_strip = ""


@pytest.mark.parametrize(
    ("operator", "change", "expected"),
    [
        ("S2L_OT_check_footage", select_nothing, ""),
        ("S2L_OT_check_footage", add_second_movie, "Select the movie or image strip of the speaker"),
        ("S2L_OT_check_footage", reverse, ""),
        ("S2L_OT_train_speaker", select_nothing, ""),
        ("S2L_OT_train_speaker", unname, "Enter the name of the speaker"),
        ("S2L_OT_train_speaker", add_second_movie, "Select the movie or image strip of the speaker"),
        ("S2L_OT_dub_strip", select_nothing, ""),
        ("S2L_OT_dub_strip", forget_speaker, "Choose a speaker file, or train a speaker"),
        ("S2L_OT_dub_strip", add_second_movie, "Select the movie or image strip of the speaker"),
        ("S2L_OT_dub_strip", forget_words, "Choose the sound strip with the new speech"),
        ("S2L_OT_check_engine", select_nothing, ""),
    ],
)
def test_button_says_why_it_is_grey(module, scene, ready_to_dub, operator, change, expected) -> None:
    change(scene)
    select_nothing(scene)
    assert reason(module, operator) == expected
    assert getattr(module("operators"), operator).poll(bpy.context) is not bool(expected)


def test_empty_scene_greys_every_strip_button(module, scene) -> None:
    for operator in (
        bpy.ops.s2l.check_footage,
        bpy.ops.s2l.train_speaker,
        bpy.ops.s2l.dub_strip,
        bpy.ops.s2l.cancel_job,
    ):
        assert not operator.poll()


def test_one_job_at_a_time(module, scene, ready_to_dub, fake_worker, preferences) -> None:
    fake_worker("wait")
    module("s2l_blender_addon.engine.running_job").start(preferences.worker_python, module("s2l_core.jobs").InfoJob())
    with pytest.raises(RuntimeError, match="A job is running"):
        bpy.ops.s2l.dub_strip()
    assert not bpy.ops.s2l.check_engine.poll()
    assert bpy.ops.s2l.cancel_job.poll()


def test_check_tells_verdict_and_advice(scene, footage, fake_worker) -> None:
    assert bpy.ops.s2l.check_footage() == {"FINISHED"}
    assert scene.s2l.check.verdict == "usable"
    assert scene.s2l.check.advice.splitlines() == ["Record more speech.", "Move closer."]
    assert Path(scene.s2l.check.footage).samefile(footage.filepath)


def test_training_uses_the_trimmed_footage_and_offers_its_speaker_for_dubbing(
    scene, footage, fake_worker, preferences, tmp_path
) -> None:
    scene.s2l.train.speaker_name, scene.s2l.train.preset = "Ada", "draft"
    scene.s2l.train.folder = str(tmp_path / "speakers")
    preferences.device = "cpu"
    assert bpy.ops.s2l.train_speaker(consent=True) == {"FINISHED"}
    preferences.device = "auto"
    job = json.loads(scene.s2l.train.result)["job"]
    expected = {"path": footage.filepath, "start": 12 / 25, "end": 2.0, "clock": "picture"}
    assert expected.items() <= job["footage"].items()
    assert (job["name"], job["preset"], job["device"]) == ("Ada", "draft", "cpu")
    assert scene.s2l.dub.speaker_path == job["speaker_path"] == str(tmp_path / "speakers/Ada.s2l")


def test_training_without_consent_is_refused_before_it_waits(module, scene, footage, fake_worker, press) -> None:
    with pytest.raises(RuntimeError, match="needs the consent of the person"):
        bpy.ops.s2l.train_speaker()
    scene.s2l.train.consent = "Somebody Else"
    operator = press("S2L_OT_train_speaker")
    assert operator.questions == ["Train Speaker"]
    assert not module("s2l_blender_addon.queue.job_queue").entries()


def test_training_again_keeps_the_first_speaker(scene, footage, fake_worker, tmp_path) -> None:
    scene.s2l.train.folder = str(tmp_path)
    for _ in range(3):
        bpy.ops.s2l.train_speaker(consent=True)
    assert {path.name for path in tmp_path.glob("*.s2l")} == {"Speaker.s2l", "Speaker_001.s2l", "Speaker_002.s2l"}


def test_results_go_beside_the_blend_file_or_else_beside_the_footage(module, scene, movie, tmp_path) -> None:
    unused_path = module("s2l_blender_addon.queue.outputs").unused_path
    assert Path(unused_path("", str(movie), "Ada", ".s2l")) == movie.parent / "speech2lip/Ada.s2l"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "edit.blend"))
    assert Path(unused_path("", str(movie), "A/d:a", ".s2l")) == tmp_path / "speech2lip/A_d_a.s2l"
    assert Path(unused_path("//takes", str(movie), "Ada", ".s2l")) == tmp_path / "takes/Ada.s2l"


@pytest.mark.parametrize("taken", ["take.mp4", "take.mp4.partial", "take.mp4.job.json"])
def test_an_output_takes_no_name_that_a_job_would_be_refused(module, tmp_path, taken) -> None:
    (tmp_path / taken).mkdir()
    path = module("s2l_blender_addon.queue.outputs").unused_path(str(tmp_path), "", "take", ".mp4")
    assert path == str(tmp_path / "take_001.mp4")


def test_an_output_with_a_long_name_leaves_room_for_that_of_its_record(module, tmp_path) -> None:
    path = module("s2l_blender_addon.queue.outputs").unused_path(str(tmp_path), "", "é" * 250, ".mp4")
    module("s2l_blender_addon.queue.entries").record_beside(path).touch()


def test_folder_that_cannot_be_made_gets_a_sentence(module, scene, footage, fake_worker) -> None:
    scene.s2l.train.folder = str(Path(__file__) / "below a file")
    with pytest.raises(RuntimeError, match="cannot be created"):
        bpy.ops.s2l.train_speaker(consent=True)


@pytest.mark.parametrize(("fps", "fps_base", "rate"), [(25, 1.0, "25"), (30, 1.001, "30000/1001")])
def test_dub_covers_the_frames_of_the_movie_on_which_the_sound_is_heard(
    scene, ready_to_dub, footage, speech, fake_worker, fps, fps_base, rate
) -> None:
    scene.render.fps, scene.render.fps_base = fps, fps_base
    covered = (handles(speech)[0], handles(footage)[1])
    untouched = [(strip.name, strip.channel, *handles(strip)) for strip in (footage, speech)]
    assert bpy.ops.s2l.dub_strip() == {"FINISHED"}
    dubbed = scene.sequence_editor.active_strip
    assert dubbed.type == "MOVIE"
    assert dubbed.channel == 3
    assert handles(dubbed) == covered
    assert [(strip.name, strip.channel, *handles(strip)) for strip in (footage, speech)] == untouched
    assert len(scene.sequence_editor.strips) == 3
    job = json.loads(dubbed["s2l_job"])
    assert job["rate"] == rate
    assert len(job["moments"]) == covered[1] - covered[0]
    assert job["moments"][0] == pytest.approx(24 / 25)  # the movie shows its frame 24 where the sound starts
    assert job["voice"]["seconds"] == pytest.approx((covered[1] - covered[0]) * fps_base / fps)
    assert [sound["at"] for sound in job["voice"]["sounds"]] == [0.0]
    assert (dubbed["s2l_footage"], dubbed["s2l_sound"]) == ("Interview", "Line")


def test_dub_starts_the_footage_over_where_the_sound_lies_outside_it(scene, ready_to_dub, speech, fake_worker) -> None:
    set_content_start(speech, 301)
    bpy.ops.s2l.dub_strip()
    dubbed = scene.sequence_editor.active_strip
    assert handles(dubbed) == (301, 331)
    assert json.loads(dubbed["s2l_job"])["footage"]["start"] == pytest.approx(12 / 25)


def test_dubbing_again_adds_a_strip_and_keeps_the_first_file(scene, ready_to_dub, fake_worker, tmp_path) -> None:
    bpy.ops.s2l.dub_strip()
    (first,) = tmp_path.glob("*.mp4")
    first.write_bytes(b"kept")
    bpy.ops.s2l.dub_strip()
    assert {path.name for path in tmp_path.glob("*.mp4")} == {first.name, f"{first.stem}_001.mp4"}
    assert first.read_bytes() == b"kept"
    assert sorted(strip.channel for strip in scene.sequence_editor.strips) == [1, 2, 3, 4]


def test_a_dub_that_changed_nothing_is_a_warning(module, scene, ready_to_dub, fake_worker, capfd) -> None:
    fake_worker("leave_as_it_was")
    assert bpy.ops.s2l.dub_strip() == {"FINISHED"}
    assert "Warning: Dubbed 0 of 30 frames: 30 occluded." in capfd.readouterr().out
    assert "s2l_job" in scene.sequence_editor.active_strip


@pytest.mark.parametrize(
    ("layer", "chosen", "has_alpha", "written"),
    [
        ("picture", "auto", False, "h264"),
        ("picture", "auto", True, "prores"),
        ("picture", "h264", True, "h264"),
        ("picture", "ffv1", True, "ffv1"),
        ("mouth", "auto", False, "prores"),
        ("mouth", "h264", False, "prores"),
    ],
)
def test_automatic_format_keeps_alpha(module, scene, tmp_path, layer, chosen, has_alpha, written) -> None:
    dub, path = scene.s2l.dub, str(tmp_path / "take.png")
    image = bpy.data.images.new("take", 8, 8, alpha=has_alpha)
    image.file_format, image.filepath_raw = "PNG", path
    image.save()
    dub.format, dub.layer = chosen, layer
    before = list(bpy.data.images)
    assert module("s2l_blender_addon.queue.dub_settings").written_format(dub, path) == written
    assert list(bpy.data.images) == before


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [("fail", "Nobody is there. Look again."), ("crash", "out of luck"), ("quit", "status 0")],
)
def test_failed_job_changes_nothing_and_says_why(module, scene, ready_to_dub, fake_worker, behaviour, sentence) -> None:
    fake_worker(behaviour)
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.s2l.dub_strip()
    assert len(scene.sequence_editor.strips) == 2
    assert module("s2l_blender_addon.engine.running_job").current() is None
    (entry,) = module("s2l_blender_addon.queue.job_queue").entries()
    assert entry.status == "failed"
    assert sentence in entry.outcome


def test_python_that_cannot_be_started_gets_a_sentence(module, scene, preferences, tmp_path) -> None:
    preferences.worker_python = str(tmp_path / "no python")
    with pytest.raises(RuntimeError, match="cannot be started"):
        bpy.ops.s2l.check_engine()
    preferences.worker_python = ""


def test_engine_report_can_be_copied(module, fake_worker, preferences) -> None:
    assert bpy.ops.s2l.check_engine() == {"FINISHED"}
    assert "devices: cpu, imaginary" in preferences.engine_report
    assert preferences.engine_report in module("operators.engine").report_text(bpy.context)
    assert bpy.ops.s2l.copy_report() == {"FINISHED"}


class Window:
    """The parts of a window manager that a modal operator touches."""

    def __init__(self) -> None:
        self.timers: list[object] = []
        self.windows: list[object] = []

    def event_timer_add(self, seconds: float, window: object) -> object:
        assert 0.1 <= seconds <= 0.2
        self.timers.append(object())
        return self.timers[-1]

    def event_timer_remove(self, timer: object) -> None:
        self.timers.remove(timer)

    def modal_handler_add(self, operator: object) -> None:
        pass


@pytest.fixture
def plain_check(module, scene, fake_worker):
    """Check Engine outside Blender's operator system, which runs no modal operators without a window."""
    job_operator = module("operators.immediate_operator").ImmediateOperator
    check = module("operators.engine").S2L_OT_check_engine
    parts = {name: vars(check)[name] for name in ("gather", "finish")}
    operator = type("PlainCheck", (job_operator,), parts)()
    operator.reports = []
    operator.report = lambda level, text: operator.reports.append((level, text))
    context = SimpleNamespace(
        window_manager=Window(), window=None, scene=scene, preferences=bpy.context.preferences, sequencer_scene=scene
    )
    return operator, context


def tick(operator, context, limit: float = 10.0) -> set[str]:
    """Send timer events until the operator is done."""
    deadline = time.monotonic() + limit
    while (state := operator.modal(context, SimpleNamespace(type="TIMER"))) == {"PASS_THROUGH"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return state


def test_modal_form_leaves_blender_usable_and_finishes(plain_check) -> None:
    operator, context = plain_check
    assert operator.invoke(context, None) == {"RUNNING_MODAL"}
    assert operator.modal(context, SimpleNamespace(type="MOUSEMOVE")) == {"PASS_THROUGH"}
    assert tick(operator, context) == {"FINISHED"}
    assert operator.reports == [({"INFO"}, "The engine works.")]
    assert not context.window_manager.timers


def test_cancel_button_stops_the_modal_job(module, scene, plain_check, fake_worker) -> None:
    fake_worker("wait")
    operator, context = plain_check
    operator.invoke(context, None)
    assert bpy.ops.s2l.cancel_job() == {"FINISHED"}
    assert tick(operator, context) == {"CANCELLED"}
    assert operator.reports == [({"WARNING"}, "Stopped.")]
    assert not context.window_manager.timers


def test_picture_of_the_work_is_loaded_by_the_timer_whenever_it_changes(
    module, plain_check, fake_worker, draw_picture
) -> None:
    preview = module("s2l_blender_addon.pictures.training")
    fake_worker("show_pictures")
    draw_picture(80, 40)
    operator, context = plain_check
    operator.invoke(context, None)
    assert preview.icon() is None
    deadline = time.monotonic() + 10
    while preview.icon() is None:
        assert operator.modal(context, SimpleNamespace(type="TIMER")) == {"PASS_THROUGH"}
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first = preview.icon()
    assert tuple(first.image_size) == (80, 40)
    operator.modal(context, SimpleNamespace(type="TIMER"))
    assert preview.icon() is first
    draw_picture(40, 80)
    operator.modal(context, SimpleNamespace(type="TIMER"))
    assert tuple(preview.icon().image_size) == (40, 80)
    bpy.ops.s2l.cancel_job()
    tick(operator, context)
    fake_worker("wait")
    operator.invoke(context, None)
    assert preview.icon() is None


def test_picture_that_cannot_be_read_does_no_harm(module, scene, tmp_path) -> None:
    preview = module("s2l_blender_addon.pictures.training")
    preview.show(str(tmp_path / "nothing.jpg"))
    assert preview.icon() is None
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    preview.show(str(broken))
    assert tuple(preview.icon().image_size) == (0, 0)
    preview.clear()


def test_worker_that_ignores_cancel_is_killed(module, scene, plain_check, fake_worker, monkeypatch) -> None:
    monkeypatch.setattr(module("s2l_blender_addon.engine.worker_client"), "CANCEL_GRACE_SECONDS", 0.1)
    fake_worker("ignore")
    operator, context = plain_check
    operator.invoke(context, None)
    process = module("s2l_blender_addon.engine.running_job").current()._process
    bpy.ops.s2l.cancel_job()
    assert tick(operator, context) == {"CANCELLED"}
    assert process.wait(timeout=5) != 0


def test_opening_another_file_kills_the_job(module, scene, plain_check, fake_worker) -> None:
    fake_worker("ignore")
    operator, context = plain_check
    operator.invoke(context, None)
    process = module("s2l_blender_addon.engine.running_job").current()._process
    operator.cancel(context)  # what Blender calls when it opens a file or quits
    assert process.wait(timeout=5) != 0
    assert module("s2l_blender_addon.engine.running_job").current() is None
    assert not context.window_manager.timers


def test_interrupted_script_kills_its_job(module, scene, plain_check, fake_worker, monkeypatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    fake_worker("ignore")
    operator, context = plain_check
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module("operators.immediate_operator").time, "sleep", interrupt)
        operator.execute(context)
    assert operator._client._process.wait(timeout=5) != 0
    assert module("s2l_blender_addon.engine.running_job").current() is None


def test_blocking_job_narrates_its_progress(scene, footage, fake_worker, capfd) -> None:
    fake_worker("answer_slowly")
    bpy.ops.s2l.check_footage()
    assert "Speech2Lip: Checking 50%, 1 min left" in capfd.readouterr().err

"""Tests that run inside Blender, on the installed extension.

pytest-blender starts Blender, or the program ``blender`` in this folder instead, and runs pytest in it. This file is
read in both processes: the outer one sets an empty user folder for Blender, which must be known before Blender starts,
and collects no tests.
"""

from __future__ import annotations

import atexit
import importlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import wave
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = "bl_ext.user_default.speech2lip"
IS_INSIDE_BLENDER = "bpy" in sys.modules
USER_FOLDER = "BLENDER_USER_RESOURCES"

if not IS_INSIDE_BLENDER:
    collect_ignore_glob = ["test_*.py"]
    os.environ[USER_FOLDER] = tempfile.mkdtemp(prefix="s2l_blender_")
    os.environ["XDG_STATE_HOME"] = os.environ[USER_FOLDER]
    atexit.register(shutil.rmtree, os.environ[USER_FOLDER], ignore_errors=True)
elif USER_FOLDER not in os.environ:
    raise pytest.UsageError(
        "Name the folder tests/blender on the command line, so that Blender gets a folder to spoil."
    )
else:
    import bpy
    import numpy as np
    from exr import write_passes
    from versions import new_effect, set_duration, set_format, set_handles, trim


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    yield from without_deprecations()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    yield from without_deprecations()


def without_deprecations() -> Generator[None, None, None]:
    """Fail a test that uses what Blender will remove. Making errors of its warnings does not: Blender loses them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DeprecationWarning)
        yield
    deprecations = {str(each.message) for each in caught if issubclass(each.category, DeprecationWarning)}
    for each in caught:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if deprecations:
        pytest.fail("\n".join(sorted(deprecations)))


@pytest.fixture(scope="session")
def extension_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension as a user downloads it, built and validated by Blender's own program."""
    program = Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core/bl_pkg/cli/blender_ext.py"
    folder = tmp_path_factory.mktemp("dist")
    for arguments in (["build", "--source-dir", ROOT, "--output-dir", folder], ["validate"]):
        paths = [] if arguments[0] == "build" else list(folder.glob("*.zip"))
        subprocess.run([sys.executable, program, *arguments, *paths], check=True, stdout=subprocess.DEVNULL)
    (path,) = folder.glob("*.zip")
    return path


@pytest.fixture(scope="session", autouse=True)
def installed_extension(extension_zip: Path) -> Iterator[None]:
    bpy.ops.extensions.package_install_files(filepath=str(extension_zip), repo="user_default", enable_on_install=True)
    assert EXTENSION in bpy.context.preferences.addons
    yield
    bpy.ops.preferences.addon_disable(module=EXTENSION)


@pytest.fixture
def module() -> Callable[[str], ModuleType]:
    """Imports a module of the installed extension by its name in the repository."""
    return lambda name: importlib.import_module(f"{EXTENSION}.{name}")


def add_on_preferences() -> Any:
    """The preferences of the add-on. Keep no reference: disabling the extension frees them."""
    return bpy.context.preferences.addons[EXTENSION].preferences


@pytest.fixture
def preferences() -> Any:
    return add_on_preferences()


@pytest.fixture
def scene(module: Callable[[str], ModuleType]) -> Iterator[Any]:
    """The scene of a new file at 25 frames per second, with an empty sequencer."""
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 25, 1.0
    scene.sequence_editor_create()
    yield scene
    module("s2l_blender_addon.queue.job_queue").abandon()
    module("s2l_blender_addon.engine.running_job").abandon()


@pytest.fixture
def strips(scene: Any) -> Any:
    """The scene's strips, to add to."""
    return scene.sequence_editor.strips


@pytest.fixture
def footage(scene, strips, movie):
    """A movie strip of two seconds, half a second of it trimmed off its start."""
    strip = strips.new_movie("Interview", str(movie), 2, 101)
    trim(strip, start=12)
    scene.s2l.train.consent = scene.s2l.train.speaker_name
    return strip


@pytest.fixture
def speech(scene, strips, sound):
    """A sound strip with its last 20 of 50 frames trimmed off, a second into the movie strip."""
    strip = strips.new_sound("Line", str(sound), 1, 125)
    trim(strip, end=20)
    return strip


@pytest.fixture
def mixdown_apart(tmp_path: Path) -> Callable[..., None]:
    """Mixes down the sound of the present file in another Blender process, since Blender may crash while it does so.

    It takes the options of Blender's operator. If the other Blender is killed by a signal, it is started once more.
    """

    def mixdown_apart(path: Path, **options: Any) -> None:
        blend, script = tmp_path / "mixdown.blend", Path(__file__).with_name("mixdown.py")
        bpy.ops.wm.save_as_mainfile(filepath=str(blend), copy=True)
        blender = (
            [bpy.app.binary_path] if bpy.app.binary_path else [sys.executable, Path(__file__).with_name("blender")]
        )
        program = [*blender, "-b", "--python", script, "--", blend, json.dumps({"filepath": str(path), **options})]
        for is_last in (False, True):
            done = subprocess.run(program, capture_output=True, text=True)
            if done.returncode >= 0 or is_last:
                break
            warnings.warn(f"BLENDER CRASHED in a mixdown (signal {-done.returncode}): tried once more.", stacklevel=2)
        assert done.returncode == 0 and path.exists(), done.stdout + done.stderr

    return mixdown_apart


_MIXER = """
import pathlib, sys
import numpy
from s2l_core.jobs import from_json
from s2l_core.media.mix import mix
for job, samples in zip(sys.stdin, sys.stdin):
    voice = from_json(pathlib.Path(job.strip()).read_text()).voice
    numpy.save(samples.strip(), mix(voice).samples())
    print("done", flush=True)
"""


@pytest.fixture(scope="session")
def mixer() -> Iterator[subprocess.Popen[str]]:
    """A process with the library that mixes the voices of jobs: it reads the paths of a job and of its samples."""
    program = [os.environ["S2L_WORKER_PYTHON"], "-c", _MIXER]
    with subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


@pytest.fixture
def engine_mix(module, scene, mixer, tmp_path) -> Callable[[list[Any], int], Any]:
    """Returns the samples that the engine reads for a job with sound strips, on a number of frames from 1 on."""
    jobs, mixing = module("s2l_core.jobs"), module("s2l_blender_addon.sequencer.mixing")

    def engine_mix(strips: list[Any], frames: int) -> np.ndarray:
        voice = mixing.mix(scene, strips, range(1, frames + 1))
        job = jobs.DubJob("speaker.s2l", jobs.Media("movie.mp4"), voice, "out.mp4")
        document, samples = tmp_path / "job.json", tmp_path / "own.npy"
        document.write_text(json.dumps(jobs.to_document(job)))
        mixer.stdin.write(f"{document}\n{samples}\n")
        mixer.stdin.flush()
        assert mixer.stdout.readline() == "done\n"
        return np.load(samples)

    return engine_mix


@pytest.fixture
def ready_to_dub(scene, footage, speech, tmp_path):
    scene.s2l.footage_strip, scene.s2l.dub.sound_strip = footage.name, speech.name
    scene.s2l.dub.speaker_path, scene.s2l.dub.folder = str(tmp_path / "Ada.s2l"), str(tmp_path)
    scene.s2l.train.folder = str(tmp_path)
    return scene.s2l


@pytest.fixture
def press(module) -> Callable[..., Any]:
    """Presses a button that adds to the queue: Blender runs no ``invoke`` without a window.

    Returns the operator, outside Blender's operator system, with what it reported.
    """

    def press(name: str, answer: str = "") -> Any:
        cls = getattr(module("operators"), name)
        plain = ("bl_label", "existing", "_is_asked")
        parts = {"existing": "KEEP"} | {
            key: value for key, value in vars(cls).items() if callable(value) or key in plain
        }
        operator = type(name, (cls.__mro__[1],), parts)()
        operator.reports, operator.questions = [], []
        operator.report = lambda level, text: operator.reports.append((level, text))
        manager = SimpleNamespace(
            invoke_props_dialog=lambda operator, title, confirm_text: operator.questions.append(title)
        )
        context = SimpleNamespace(
            window_manager=manager, scene=bpy.context.scene, sequencer_scene=bpy.context.scene,
            preferences=bpy.context.preferences,
        )  # fmt: skip
        operator.invoke(context, None)
        if operator.questions and answer:
            operator.existing = answer
            operator.execute(context)
        return operator

    return press


@pytest.fixture
def queue(module, scene) -> SimpleNamespace:
    """The queue, with a clock that a test drives."""
    job_queue = module("s2l_blender_addon.queue.job_queue")

    def until(has_come: Callable[[], bool], limit: float = 120.0) -> None:
        deadline = time.monotonic() + limit
        while not has_come():
            assert time.monotonic() < deadline, [(entry.name, entry.status, entry.outcome) for entry in entries()]
            job_queue.advance()
            time.sleep(0.01)

    def entries() -> list[Any]:
        return list(job_queue.entries())

    def finish() -> None:
        until(lambda: all(entry.status not in ("waiting", "running") for entry in entries()))

    return SimpleNamespace(
        entries=entries, until=until, finish=finish, module=job_queue,
        statuses=lambda: [entry.status for entry in entries()],
    )  # fmt: skip


@pytest.fixture
def planner(module, monkeypatch) -> SimpleNamespace:
    """Stands in for the engine, which would open media to plan jobs, and do them.

    Its ``error``, if there is one, is why jobs cannot be planned. Its ``do`` is called with the folder of each plan
    that is run on this machine, and does the tasks.
    """
    farm, jobs = module("s2l_core.farm.plan"), module("s2l_core.jobs")
    fake = SimpleNamespace(error=None, do=lambda folder: None, ran=[], is_slow=False)

    class Planning:
        def __init__(self, python: str, planned: list, folder: str, root: str, chunk: int) -> None:
            self.jobs, self.folder, self.root, self.chunk = planned, folder, root or "/", chunk
            self.command = Command()
            self.command.error = fake.error

        def plan(self) -> Any:
            if self.command.error:
                raise self.command.error
            tasks = []
            for number, job in enumerate(self.jobs):
                output = job.speaker_path if isinstance(job, jobs.TrainJob) else job.output_path
                outputs = (f"PROJECT/{Path(output).relative_to(self.root).as_posix()}",)
                if isinstance(job, jobs.TrainJob):
                    tasks.append(farm.Task(f"shot{number}-train", "train", number, outputs=outputs))
                    continue
                tasks.append(farm.Task(f"shot{number}-look", "look", number))
                needs = (tasks[-1].name,)
                tasks.append(farm.Task(f"shot{number}-join", "join", number, needs=needs, outputs=outputs))
            plan = farm.Plan("0.1.0", self.chunk, {"PROJECT": self.root}, tuple(self.jobs), tuple(tasks))
            Path(self.folder).mkdir()
            farm.write_plan(self.folder, plan)
            return plan

    class Command:
        progress, result, error = None, {"unfinished": 0}, None

        def poll(self) -> bool:
            return not fake.is_slow or self.error is not None

        def wait(self) -> None:
            if self.error:
                raise self.error

        def cancel(self) -> None:
            self.error = module("s2l_core.errors").Cancelled("The command was cancelled.")

        kill = cancel

    def run_here(python: str, folder: str) -> Command:
        fake.ran.append(folder)
        fake.do(folder)
        return Command()

    monkeypatch.setattr(module("s2l_blender_addon.engine.planner"), "Planning", Planning)
    monkeypatch.setattr(module("s2l_blender_addon.engine.planner"), "run_here", run_here)
    return fake


@pytest.fixture
def finish_tasks(module, movie) -> Callable[..., None]:
    """Does what the tasks that end some jobs do: they leave an output, a result and a state."""
    farm, states = module("s2l_core.farm.plan"), module("s2l_core.farm.states")

    def finish(folder: str, result: dict[str, Any], names: tuple[str, ...] = ()) -> None:
        plan = farm.read_plan(folder)
        states.make_folders(folder)
        for task in plan.tasks:
            if task.outputs and (not names or task.name in names):
                root, relative = farm.split_path(task.outputs[0])
                Path(plan.roots[root], relative).write_bytes(movie.read_bytes())
                states.write_result(folder, task, result)
                states.write_state(folder, task, states.done(states.begun_here()))

    return finish


@pytest.fixture
def fake_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the worker Python to a program with the given behaviour, see ``fake_worker.py``."""
    add_on_preferences().worker_python = str(Path(__file__).with_name("fake_worker.py"))
    monkeypatch.setenv("S2L_FAKE_BEHAVIOUR", "answer")
    yield lambda behaviour: monkeypatch.setenv("S2L_FAKE_BEHAVIOUR", behaviour)
    add_on_preferences().worker_python = ""


@pytest.fixture
def fake_renderer(
    module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[str], None]]:
    """Sets the worker Python to a program that renders pictures with the given behaviour, see ``fake_renderer.py``."""
    add_on_preferences().worker_python = str(Path(__file__).with_name("fake_renderer.py"))
    monkeypatch.setenv("S2L_FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("S2L_FAKE_BEHAVIOUR", "render")
    yield lambda behaviour: monkeypatch.setenv("S2L_FAKE_BEHAVIOUR", behaviour)
    module("s2l_blender_addon.engine.warm_worker").end()
    add_on_preferences().worker_python = ""


@pytest.fixture
def asked(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """The jobs that the fake renderer did."""
    path = tmp_path / "log"
    return lambda: [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def stage(scene: Any, fake_renderer: Callable[[str], None], movie: Path) -> SimpleNamespace:
    """A camera at the origin, and a head 0.6 m in front of it whose movie's second 0.4 is on frame 1."""
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    head = bpy.data.objects.new("Head", None)
    for item in (camera, head):
        scene.collection.objects.link(item)
    head.location.z = -0.6
    source = head.s2l
    source.is_head, source.speaker_path, source.movie_path = True, "/nowhere/speaker.s2l", str(movie)
    source.start, source.end, source.origin, source.seconds_per_frame = 0.4, 1.2, -9.0, 0.04
    scene.camera = camera
    scene.render.engine = "SPEECH2LIP"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 32, 16, 100
    write_passes(scene)
    return SimpleNamespace(scene=scene, camera=camera, head=head)


@pytest.fixture
def draw_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], Path]:
    """Writes the preview picture that the fake worker reports, each time with a later modification time."""
    path = tmp_path / "preview.jpg"
    monkeypatch.setenv("S2L_FAKE_PICTURE", str(path))
    moments = iter(range(1, 100))

    def draw_picture(width: int, height: int) -> Path:
        image = bpy.data.images.new("Picture", width, height)
        image.filepath_raw, image.file_format = str(path), "JPEG"
        image.save()
        bpy.data.images.remove(image)
        moment = next(moments)
        os.utime(path, (moment, moment))
        return path

    return draw_picture


@pytest.fixture(scope="session")
def make_movie(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, float, int], Path]:
    """Makes movies of 64x64 pixels whose frame ``k`` of ``n`` is grey at ``k / n`` of white."""
    folder = tmp_path_factory.mktemp("movies")

    def make(fps: int, fps_base: float, frames: int) -> Path:
        path = folder / f"grey_{fps}_{fps_base}_{frames}.mp4"
        if not path.exists():
            _render_grey_ramp(path, fps, fps_base, frames)
        return path

    return make


@pytest.fixture(scope="session")
def movie(make_movie: Callable[[int, float, int], Path]) -> Path:
    """Two seconds at 25 frames per second."""
    return make_movie(25, 1.0, 50)


@pytest.fixture(scope="session")
def make_pictures(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Makes folders of pictures of 64x64 pixels that show their numbers, counted from 0, in eight stripes: white where
    the bit is set, the lowest bit on the left.
    """
    folder = tmp_path_factory.mktemp("sequences")

    def make(count: int) -> Path:
        path = folder / str(count)
        if not path.exists():
            path.mkdir()
            for number in range(count):
                image = bpy.data.images.new("Numbered", 64, 64)
                row = [value for bit in range(8) for value in 8 * (3 * [float(number >> bit & 1)] + [1.0])]
                image.pixels = 64 * row
                image.filepath_raw, image.file_format = str(path / f"shot.{number + 1001:04}.png"), "PNG"
                image.save()
                bpy.data.images.remove(image)
        return path

    return make


@pytest.fixture
def add_pictures(strips: Any, make_pictures: Callable[[int], Path]) -> Callable[..., Any]:
    """Adds an image strip of numbered pictures."""

    def add(count: int = 50, start: int = 101, channel: int = 2, name: str = "Take") -> Any:
        first, *others = sorted(make_pictures(count).iterdir())
        strip = strips.new_image(name, str(first), channel, start)
        for picture in others:
            strip.elements.append(picture.name)
        set_duration(strip, count)
        return strip

    return add


@pytest.fixture
def portrait(scene, strips, make_pictures, movie, tmp_path, monkeypatch):
    """An image strip with a single picture on frames 101 to 200, which is active and whose speaker has agreed."""
    path = tmp_path / "portrait.png"
    shutil.copy(sorted(make_pictures(50).iterdir())[-1], path)
    strip = strips.new_image("Portrait", str(path), 2, 101)
    set_handles(strip, 101, 201)
    strip.s2l.consent = True
    scene.s2l.dub.folder, scene.s2l.dub.sound_strip = str(tmp_path), "Line"
    scene.sequence_editor.active_strip = strip
    monkeypatch.setenv("S2L_FAKE_MOVIE", str(movie))
    return strip


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of silence with one click at 1.2 seconds."""
    path = tmp_path_factory.mktemp("sounds") / "click.wav"
    rate = 16000
    samples = [int(20000 * math.exp(-abs(n - 1.2 * rate) / 40)) for n in range(2 * rate)]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))
    return path


@pytest.fixture
def shown_grey(tmp_path: Path) -> Callable[[Any, int], float]:
    """Returns the grey, from 0 to 1, that Blender shows in the middle of a scene's frame."""

    def shown_grey(scene: Any, frame: int) -> float:
        _show_code_values(scene)
        scene.render.filepath = str(tmp_path / f"{frame}.png")
        scene.frame_set(frame)
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath)
        grey = float(image.pixels[4 * (32 * 64 + 32)])
        bpy.data.images.remove(image)
        return grey

    return shown_grey


def _show_code_values(scene: Any) -> None:
    """Render 64x64 pixels that keep the code values of the strips."""
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 64, 64, 100
    scene.view_settings.view_transform = "Standard"


def _render_grey_ramp(path: Path, fps: int, fps_base: float, frames: int) -> None:
    scene = bpy.data.scenes.new("Grey Ramp")
    _show_code_values(scene)
    scene.render.fps, scene.render.fps_base = fps, fps_base
    scene.frame_start, scene.frame_end = 1, frames
    strips = scene.sequence_editor_create().strips
    colour = new_effect(strips, "Grey", "COLOR", 1, 1, frames + 1)
    for index in range(frames):
        colour.color = [index / frames] * 3
        colour.keyframe_insert("color", frame=index + 1)
    set_format(scene, "FFMPEG")
    scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "MPEG4", "H264"
    scene.render.ffmpeg.constant_rate_factor = "HIGH"
    scene.render.filepath = str(path)
    scene.render.use_file_extension = False
    bpy.ops.render.render(animation=True, scene=scene.name)
    bpy.data.scenes.remove(scene)

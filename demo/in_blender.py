"""The demo's steps inside Blender: install the add-on, fill the sequencer, train, dub, render."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, TextIO

from s2l_core.media.video import VideoInfo

ADD_ON = "bl_ext.user_default.speech2lip"


def dub_in_blender(
    extension: Path,
    user_folder: Path,
    footage: VideoInfo,
    voice: Path,
    preset: str,
    out: Path,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train on the footage and dub it with the voice by the add-on's operators, and render ``out/dubbed.mp4``.

    Args:
        extension: The built zip.
        user_folder: An empty folder that stands in for Blender's user folder, so that no installation is touched.
        footage: The speaker's video.
        voice: The words to say.
        preset: Name of the training preset.
        out: Folder of the results.
        say: Called with a description of each step.

    Returns:
        The results of the train and the dub job.

    Raises:
        RuntimeError: Blender or an operator failed; the text is its message.
    """
    os.environ["BLENDER_USER_RESOURCES"] = str(user_folder)
    import bpy  # imported late, since it reads the user folder on import

    say(f"Installing {extension.name} into Blender {bpy.app.version_string}")
    install(extension)

    scene = bpy.context.scene
    set_rate(scene, footage.rate)
    strips = scene.sequence_editor_create().strips
    own_sound = strips.new_sound("Footage Sound", footage.path, channel=1, frame_start=1)
    movie = strips.new_movie("Footage", footage.path, channel=2, frame_start=1)

    say(f"Training on {footage.path}")
    settings = scene.s2l
    settings.footage_strip = movie.name
    settings.train.speaker_name = Path(footage.path).stem
    settings.train.preset = preset
    settings.train.folder = settings.dub.folder = str(out)
    bpy.ops.s2l.train_speaker(consent=True)

    say(f"Dubbing with {voice}")
    settings.dub.sound_strip = strips.new_sound("Voice", str(voice), channel=4, frame_start=1).name
    bpy.ops.s2l.dub_strip()
    dubbed = scene.sequence_editor.active_strip

    say("Rendering the sequencer")
    own_sound.mute = True
    show_frames_of(scene, dubbed)
    set_output(scene, footage.width, footage.height, out / "dubbed.mp4")
    render_animation(scene)
    return json.loads(settings.train.result), json.loads(dubbed["s2l_result"])


def install(extension: Path) -> None:
    """Install and enable the built zip, with this Python as the engine.

    Raises:
        RuntimeError: Blender did not enable it.
    """
    import bpy

    os.environ.setdefault("S2L_WORKER_PYTHON", sys.executable)
    bpy.ops.extensions.package_install_files(filepath=str(extension), repo="user_default", enable_on_install=True)
    if ADD_ON not in bpy.context.preferences.addons:  # the operator reports success either way
        raise RuntimeError(f"Blender {bpy.app.version_string} did not enable {extension}.")


def show_frames_of(scene: Any, strip: Any) -> None:
    """Let a scene have the frames on which a strip is shown."""
    compat = importlib.import_module(f"{ADD_ON}.s2l_blender_addon.compat")
    scene.frame_start, scene.frame_end = compat.left_handle(strip), compat.right_handle(strip) - 1


def set_rate(scene: Any, rate: Fraction) -> None:
    """Set the frame rate of a scene to that of its footage."""
    scene.render.fps = round(rate)
    scene.render.fps_base = float(round(rate) / rate)


def set_output(scene: Any, width: int, height: int, path: Path) -> None:
    """Set up a scene to render H.264 and AAC, without a view transform."""
    render = scene.render
    render.resolution_x, render.resolution_y = width // 2 * 2, height // 2 * 2  # H.264 needs even sizes
    render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format = "MPEG4"
    render.ffmpeg.codec = "H264"
    render.ffmpeg.constant_rate_factor = "PERC_LOSSLESS"
    render.ffmpeg.audio_codec = "AAC"
    render.use_file_extension = False
    render.filepath = str(path)


def render_animation(scene: Any) -> None:
    """Render a scene's frames into its movie."""
    import bpy

    frames = scene.frame_end - scene.frame_start + 1
    with muted_stdout() as screen:

        def tell(scene: Any) -> None:
            done = scene.frame_current - scene.frame_start + 1
            if done % 25 == 0 or done == frames:
                print(f"\r{done} of {frames} frames", end="", file=screen, flush=True)

        bpy.app.handlers.render_write.append(tell)
        try:
            bpy.ops.render.render(animation=True)
        finally:
            bpy.app.handlers.render_write.remove(tell)
            print(file=screen, flush=True)


@contextmanager
def muted_stdout() -> Iterator[TextIO]:
    """Hide the line that Blender prints for each frame; yields a stream that still reaches the screen."""
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w") as screen, Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield screen
        finally:
            os.dup2(screen.fileno(), 1)

"""Whether a GPU computes what the CPU computes, and how fast: one call of some minutes on a machine with a GPU.

Every verb is run on the CPU and on the device, and the results are compared. Then trainings, dubs, stills and turned
heads are timed in several sizes, and a dub runs out of memory, which must halve its batches and change nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import build
from s2l_core.device import choose_device, device_names
from s2l_core.events import Report
from s2l_core.files import write_whole
from s2l_core.jobs import DubJob, Media, PresetName, from_document

from ._options import destination, output_folder
from .timing.agreement import VERBS, agree
from .timing.library import Library
from .timing.material import HASTY, Material, scaled, train_speaker
from .timing.pictures import write_camera_path
from .timing.scarcity import digest_frames

DEMO = build.ROOT / "demo"
PARTS = ("agree", "memory", "speed", "train")
SIZES = (512, 1080, 2160)
_SPEED_SECONDS, _AGREE_SECONDS, _VOICE_SECONDS, _SMOKE_VOICE_SECONDS = 10.0, 12.0, 4.0, 0.4
_SAME = 0.01
"""Difference of the mean colours of frames, in code values, up to which they count as the same."""
_SMOKE_VERBS = ("dub", "preview", "still")
_SMOKE_FOOTAGE_SECONDS = 1.0
Figures = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    device = choose_device(options.device)
    begun = time.monotonic()
    figures: Figures = {"device": device.type, "devices": device_names(), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        options.speakers = options.speakers or folder
        with Library(build.ROOT, folder / "library", 0) as library:
            for part in options.parts:
                figures[part] = globals()[f"measure_{part}"](options, folder, library)
                figures["minutes"] = (time.monotonic() - begun) / 60
                if options.json:
                    write_whole(str(options.json), json.dumps(figures, indent=2).encode())
    failed = [each["verb"] for each in figures.get("agree", []) if not each["is_fine"]]
    changed = figures.get("memory", {}).get("difference", 0.0) > _SAME
    Console().print(f"{figures['minutes']:.1f} minutes; " + (f"failed: {', '.join(failed)}" if failed else "all agree"))
    return 1 if failed or changed else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="build.py bench gpu", description=__doc__)
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"what to do: {', '.join(PARTS)} (default: all; with --smoke, the first two)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--clip", default=str(DEMO / "speaker.mp4"), help="footage of one person")
    parser.add_argument("--voice", default=str(DEMO / "line.flac"), help="the words to say")
    parser.add_argument("--lines", type=int, nargs="+", default=SIZES, help="pixels on the shorter side of the footage")
    parser.add_argument("--speaker", help="the speaker of the footage; trained by default")
    parser.add_argument("--speakers", type=output_folder, help="keep trained speakers and scaled footage here")
    parser.add_argument("--smoke", action="store_true", help="show in seconds that everything runs")
    parser.add_argument("--json", type=destination, help="also write the figures here")
    options = parser.parse_args(arguments)
    options.parts = options.parts or list(PARTS[:2] if options.smoke else PARTS)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    if options.smoke:
        options.lines = [96]
    return options


def material_of(options: argparse.Namespace, folder: Path, library: Library, lines: int = 0) -> Material:
    """The clip, scaled if ``lines`` is not 0, and its speaker."""
    clip, seconds = options.clip, _SMOKE_VOICE_SECONDS if options.smoke else _SPEED_SECONDS
    if lines and not options.smoke:
        clip = scaled(clip, lines, options.speakers / f"{Path(clip).stem}_{lines}.mp4", _AGREE_SECONDS)
    path = options.speakers / f"{Path(clip).stem}.s2l"
    speaker = options.speaker or str(path)
    if not Path(speaker).is_file():
        train_speaker(library, clip, path, _AGREE_SECONDS, options.device, HASTY if options.smoke else None)
    return Material(clip, Path(tempfile.mkdtemp(dir=folder)), options.voice, seconds, options.device, speaker)


def measure_agree(options: argparse.Namespace, folder: Path, library: Library) -> list[Figures]:
    material = material_of(options, folder, library)
    camera_path = material.folder / "camera.json"
    write_camera_path(camera_path, replace(material, seconds=0.2))
    voice = Media(options.voice, 0.0, _SMOKE_VOICE_SECONDS if options.smoke else _VOICE_SECONDS)
    footage = Media(options.clip, 0.0, _SMOKE_FOOTAGE_SECONDS if options.smoke else _AGREE_SECONDS)
    table, rows = Table("verb", "difference", "tolerance", "", title="Device and CPU"), []
    verbs = _SMOKE_VERBS if options.smoke else VERBS
    inputs = material.speaker, footage, voice, str(camera_path), material.folder
    for check in agree(*inputs, options.device, "draft", verbs):
        rows.append({**vars(check), "is_fine": check.is_fine})
        verdict = "fine" if check.is_fine else f"FAILED {check.error}"
        table.add_row(check.verb, f"{check.difference:.4g} {check.unit}", f"{check.tolerance:g}", verdict)
    Console().print(table)
    return rows


def measure_memory(options: argparse.Namespace, folder: Path, library: Library) -> Figures:
    """A dub on a device with room for one frame at a time; its frames must be the same."""
    material = material_of(options, folder, library)
    job = from_document(material.dub())
    assert isinstance(job, DubJob)
    usual, tight = (digest_frames(job, most, Report()) for most in (0, 1))
    figures = {
        "times_out_of_memory": tight["times_out_of_memory"],
        "is_equal": tight["digest"] == usual["digest"],
        "difference": abs(tight["mean"] - usual["mean"]),
    }
    same = "the same" if figures["is_equal"] else f"different by {figures['difference']:.2g} code values"
    Console().print(f"Out of memory {tight['times_out_of_memory']} times, and frames are {same}")
    return figures


def measure_speed(options: argparse.Namespace, folder: Path, library: Library) -> Figures:
    table = Table("size", "what", "fps", "peak MB", "peak device MB", title="Speed")
    figures: Figures = {}
    for lines in options.lines:
        material = material_of(options, folder, library, lines)
        camera_path = material.folder / "camera.json"
        write_camera_path(camera_path, material if options.smoke else replace(material, seconds=2.0))
        tasks = {
            "dub, end to end": ("run", material.dub(), "frames_written"),
            "dub, network only": ("network_only", material.dub(), None),
            "still": ("run", material.still(), "frames_written"),
            "pose": ("run", material.pose(camera_path), "frames"),
        }
        for name, (task, job, count) in tasks.items():
            library.ask(task, job=job)  # prepares, and warms the device up
            for path in material.folder.glob("*.mp4"):
                path.unlink()
            answer = library.ask(task, job=job)
            frames = answer["frames"] if count is None else answer["result"][count]
            seconds = answer["result"]["render_seconds"] if name == "pose" else answer["seconds"]
            row = {"fps": frames / seconds, **{key: answer[key] for key in ("peak_mb", "peak_device_mb", "stages")}}
            figures[f"{material.title}: {name}"] = row
            memory = f"{row['peak_mb']:.0f}", f"{row['peak_device_mb']:.0f}"
            table.add_row(material.title, name, f"{row['fps']:.4g}", *memory)
    Console().print(table)
    return figures


def measure_train(options: argparse.Namespace, folder: Path, library: Library) -> Figures:
    material = material_of(options, folder, library)
    material = replace(material, seconds=_AGREE_SECONDS if options.smoke else 0.0)
    table = Table("preset", "seconds", "mouth PSNR", "peak device MB", title="Train")
    figures: Figures = {}
    presets: tuple[PresetName, ...] = ("draft",) if options.smoke else ("balanced", "final")
    for preset in presets:
        steps = HASTY if options.smoke else None
        answer = library.ask("run", job=material.train(preset), preset=preset, steps=steps)
        seconds, psnr = answer["result"]["train_seconds"], answer["result"]["held_out"]["mouth_psnr"]
        figures[preset] = {"seconds": seconds, "mouth_psnr": psnr, "peak_device_mb": answer["peak_device_mb"]}
        table.add_row(preset, f"{seconds:.0f}", f"{psnr:.2f}", f"{answer['peak_device_mb']:.0f}")
    Console().print(table)
    return figures


if __name__ == "__main__":
    sys.exit(main())

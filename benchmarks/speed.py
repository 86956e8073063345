"""How fast a dub is, stage by stage, and beside other systems, another commit, and the codec alone; likewise training,
tracking, stills and turned heads; and how all of it grows. ``docs/performance.md`` explains the figures.

Each library runs in a process of its own. What is compared is repeated in turns, so that only ratios of one run mean
anything on a busy machine. Results of ``--json`` are written after each part.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import build
from s2l_core.files import write_whole
from s2l_core.jobs import PresetName
from s2l_core.version import VERSION

from ._options import destination, output_folder
from .timing import tables
from .timing.chart import draw_chart
from .timing.dubbing import ratios, time_dub, time_waits
from .timing.library import Library, checked_out
from .timing.material import HASTY, Material, scaled, train_speaker
from .timing.pictures import time_pose, time_still
from .timing.scaling import time_lengths, time_sizes
from .timing.training import Empty, time_prepare, time_train

PARTS = ("dub", "wait", "train", "prepare", "still", "pose", "scale")
DEMO = build.ROOT / "demo"
SIZES = (256, 512, 1080, 2160)
LENGTHS, VOICES = (10.0, 100.0, 1200.0), (10.0, 100.0, 1800.0)
SMOKE_SECONDS = 2.0
Figures = dict[str, Any]


class Session:
    """One run of the benchmark: its options, folders and processes.

    Args:
        options: The options.
        folder: A temporary folder.
        held: Ends the processes.
    """

    def __init__(self, options: argparse.Namespace, folder: Path, held: ExitStack) -> None:
        self.options, self.folder, self._held, self._count = options, folder, held, 0
        self.speakers: Path = options.speakers or folder
        self.ours = self.open(build.ROOT)
        self.libraries = {"ours": self.ours}
        if options.against:
            tree = held.enter_context(checked_out(options.against, folder / "other"))
            self.libraries[options.against] = self.open(tree)

    def start(self, source: Path = build.ROOT) -> Library:
        """A process with the library in a folder, which has not been started."""
        self._count += 1
        return Library(source, self.folder / f"process_{self._count}", self.options.threads)

    def open(self, source: Path = build.ROOT) -> Library:
        """A process with the library in a folder, which ends with the benchmark."""
        return self._held.enter_context(self.start(source))

    def material(self, clip: str, lines: int = 0) -> Material:
        """A clip, scaled if ``lines`` is not 0, and its speaker."""
        options = self.options
        if lines:
            path = self.speakers / f"{Path(clip).stem}_{lines}.mp4"
            clip = scaled(clip, lines, path, options.seconds or _SCALED_SECONDS)
        seconds = _TRAINED_AT_LEAST if options.smoke else options.seconds and max(options.seconds, _TRAINED_AT_LEAST)
        path = self.speakers / f"{Path(clip).stem}.s2l"
        speaker = options.speaker or str(path)
        if not Path(speaker).is_file():
            with self.start() as library:  # in another process, whose memory does not count
                train_speaker(library, clip, path, seconds, options.device, HASTY if options.smoke else None)
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        return Material(clip, folder, options.voice, options.seconds, options.device, speaker)


_SCALED_SECONDS, _TRAINED_AT_LEAST = 10.0, 12.0


def dub(session: Session) -> Figures:
    options, figures = session.options, {}
    rivals, other = session.open(), session.libraries.get(options.against or "")
    for clip in options.clip:
        for lines in options.lines or [0]:
            material = session.material(clip, lines)
            measured = time_dub(session.ours, rivals, other, material, options.runs, 1 if options.smoke else 10)
            figures[material.title] = {"figures": measured, "ratios": ratios(measured)}
            tables.show_dub(measured, ratios(measured), f"Dub: {material.title}")
    return figures


def wait(session: Session) -> Figures:
    material = session.material(session.options.clip[0])
    figures = time_waits(session.ours, material, session.folder / "waits", session.options.runs)
    tables.show_waits(figures, f"Waiting: {material.title}")
    return figures


def train(session: Session) -> Figures:
    options, figures = session.options, {}
    for clip in options.clip:
        material = session.material(clip)
        if options.smoke:
            material = replace(material, seconds=_TRAINED_AT_LEAST)
        steps = HASTY if options.smoke else None
        measured = time_train(session.libraries, material, options.presets, options.train_runs, steps)
        figures[material.title] = measured
        tables.show_runs(measured, f"Train: {material.title}")
    return figures


def prepare(session: Session) -> Figures:
    options, figures, empty = session.options, {}, Empty(session.folder / "empty")
    for clip in options.clip:
        material = Material(clip, session.folder, options.voice, options.seconds, options.device, "")
        measured = time_prepare(session.libraries, material.footage, empty, options.runs)
        figures[material.title] = measured
        tables.show_runs(measured, f"Prepare: {material.title}")
        tables.show_stages(measured, f"Prepare: {material.title}")
    return figures


def still(session: Session) -> Figures:
    return _of_each(session, time_still, "Still")


def pose(session: Session) -> Figures:
    return _of_each(session, time_pose, "Pose")


def _of_each(session: Session, measure: Any, title: str) -> Figures:
    figures = {}
    for clip in session.options.clip:
        for lines in session.options.lines or [0]:
            material = session.material(clip, lines)
            measured = measure(session.libraries, material, session.options.runs)
            figures[material.title] = measured
            tables.show_runs(measured, f"{title}: {material.title}")
            tables.show_stages(measured, f"{title}: {material.title}")
    return figures


def scale(session: Session) -> Figures:
    options = session.options
    clip = options.clip[0]
    material = session.material(clip)
    lengths = [2.0, 4.0] if options.smoke else LENGTHS
    voices = [1.0, 2.0] if options.smoke else VOICES
    figures = time_lengths(session.start, material, options.long_clip or clip, lengths, voices, train=not options.smoke)
    tables.show_growth(figures, "seconds", "Growth with length")
    if not options.smoke:
        sizes = time_sizes(session.start, {lines: session.material(clip, lines) for lines in options.lines or SIZES})
        tables.show_growth({"dub": sizes}, "pixels", "Growth with size")
        figures["sizes"] = sizes
    return figures


def machine(options: argparse.Namespace, hello: Figures) -> Figures:
    """What the figures depend on besides the library."""
    commit = subprocess.run(["git", "-C", str(build.ROOT), "rev-parse", "HEAD"], capture_output=True, text=True)
    return {
        "version": VERSION,
        "commit": commit.stdout.strip(),
        "against": options.against,
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "runs": options.runs,
        **{name: hello[name] for name in ("torch", "threads", "missing")},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as name, ExitStack() as held:
        session = Session(options, Path(name), held)
        figures: Figures = {"machine": machine(options, session.ours.ask("hello"))}
        for part in options.parts:
            figures[part] = globals()[part](session)
            if options.json:
                write_whole(str(options.json), json.dumps(figures, indent=2).encode())
        if options.chart and "dub" in figures:
            write_whole(str(options.chart), draw_chart(figures["dub"]).encode())
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="build.py bench speed", description=__doc__)
    presets: tuple[PresetName, ...] = ("draft", "balanced", "final")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure: {', '.join(PARTS)} (default: dub)")
    parser.add_argument("--clip", nargs="+", default=[str(DEMO / "speaker.mp4")], help="footage of one person each")
    parser.add_argument("--long-clip", help="footage of which more and more is prepared and trained on in scale")
    parser.add_argument("--voice", default=str(DEMO / "line.flac"), help="the words to say")
    parser.add_argument("--seconds", type=float, default=0.0, help="use only so many seconds of footage and voice")
    parser.add_argument("--lines", type=int, nargs="+", help="scale the footage to so many pixels on the shorter side")
    parser.add_argument("--speaker", help="the speaker of the footage; trained with the preset draft by default")
    parser.add_argument("--speakers", type=output_folder, help="keep trained speakers and scaled footage here")
    parser.add_argument("--presets", nargs="+", choices=presets, default=["draft", "balanced"], help="for train")
    parser.add_argument("--runs", type=int, default=5, help="median of so many runs (default: 5)")
    parser.add_argument("--train-runs", type=int, default=1, help="median of so many trainings (default: 1)")
    parser.add_argument("--against", metavar="COMMIT", help="also measure another commit of this repository")
    parser.add_argument("--threads", type=int, default=0, help="threads of PyTorch (default: as many as cores)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--smoke", action="store_true", help="show in seconds that everything runs, and nothing more")
    parser.add_argument("--json", type=destination, help="also write the figures here")
    parser.add_argument("--chart", type=destination, help="draw the part dub into this SVG file")
    options = parser.parse_args(arguments)
    options.parts = options.parts or ["dub"]
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    if options.smoke:
        options.runs, options.seconds, options.presets = 1, SMOKE_SECONDS, ["draft"]
    return options


if __name__ == "__main__":
    sys.exit(main())

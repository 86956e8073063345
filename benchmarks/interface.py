"""How long jobs block the interface, and what remains of a job when Blender or its worker is killed.
``docs/dubbing.md`` explains the figures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors
from rich.console import Console
from rich.table import Table

import build
from s2l_core.files import write_whole

from ._options import destination
from .waiting.blender import Event, Kill, watch
from .waiting.session_settings import Settings

DEMO = build.ROOT / "demo"
CANCELS = (4.0, 8.0, 12.0)
Figures = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="build.py bench interface", description=__doc__)
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="kill Blender and worker N times each")
    parser.add_argument("--killed", nargs="+", choices=("train", "dub"), default=["train", "dub"], help="jobs to kill")
    parser.add_argument("--seconds", type=float, default=12.0, help="length of footage and voice in seconds")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments of the kills")
    parser.add_argument("--json", type=destination, help="also write the figures here")
    options = parser.parse_args(arguments)
    if build.zip_extension([]) != 0:
        return 1
    extension = build.built_extension()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install(extension, folder)
        figures = measure(folder, options.seconds, dict.fromkeys(options.killed, options.kills), options.seed)
    print_figures(figures)
    if options.json:
        write_whole(str(options.json), json.dumps(figures, indent=2).encode())
    return 0


def install(extension: Path, user_folder: Path) -> None:
    """Install the extension into an empty user folder, where every later Blender finds it."""
    os.environ["BLENDER_USER_RESOURCES"] = str(user_folder)
    from demo.in_blender import install  # imported late, since Blender reads the user folder on import

    install(extension)


def measure(folder: Path, seconds: float, kills: dict[str, int], seed: int) -> Figures:
    """Run all measurements, one job after the other."""
    say("Training, then dubbing")
    train = settings_of(folder, "train", "reference", seconds)
    trained = watch(train, folder)
    speaker = output_of(train)
    dub = settings_of(folder, "dub", "reference", seconds, str(speaker))
    dubbed = watch(dub, folder)
    say("Cancelling")
    cancelled = [
        latency(watch(replace(settings_of(folder, "train", f"cancel_{after}", seconds), cancel_after=after), folder))
        for after in CANCELS
    ]
    figures: Figures = {
        "train": gaps(trained),
        "dub": gaps(dubbed),
        "cancel_seconds": cancelled,
        "kills": [],
    }
    rng = random.Random(seed)
    for reference, events in ((train, trained), (dub, dubbed)):
        for number in range(kills.get(reference.verb, 0)):
            victim = ("blender", "worker")[number % 2]
            kill = Kill(rng.uniform(0.0, work_seconds(events)), victim)
            settings = settings_of(folder, reference.verb, f"{reference.verb}_{number}", seconds, reference.speaker)
            figures["kills"].append(survive(settings, folder, kill, output_of(reference)))
    return figures


def say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


def settings_of(folder: Path, verb: str, name: str, seconds: float, speaker: str = "") -> Settings:
    place = folder / f"{verb}_{name}"
    place.mkdir()
    return Settings(
        blend=str(place / "edit.blend"),
        footage=str(DEMO / "speaker.mp4"),
        voice=str(DEMO / "line.flac"),
        verb=verb,
        folder=str(place),
        speaker=speaker,
        seconds=seconds,
    )


def output_of(settings: Settings) -> Path:
    (path,) = Path(settings.folder).glob("*.s2l" if settings.verb == "train" else "*.mp4")
    return path


def survive(settings: Settings, folder: Path, kill: Kill, reference: Path) -> Figures:
    """Kill a job once, resume it in the next Blender, and compare the result with the uninterrupted one."""
    say(f"Killing the {kill.victim} after {kill.seconds:.1f} s of work on {Path(settings.folder).name}")
    first = watch(settings, folder, kill)
    last = first if kill.victim == "worker" else watch(settings, folder)
    return {
        "verb": settings.verb,
        "victim": kill.victim,
        "seconds": round(kill.seconds, 2),
        "phase": next((event["phase"] for event in first if "is_killed" in event), "already ended"),
        "status": last[-1]["status"],
        "is_equal": last[-1]["status"] == "done" and digest(output_of(settings)) == digest(reference),
    }


def digest(path: Path) -> str:
    """Hash of a result, without the time at which it was made."""
    if path.suffix != ".s2l":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with safetensors.safe_open(str(path), "np") as file:
        names = sorted(file.keys())
        return hashlib.sha256(b"".join(name.encode() + file.get_tensor(name).tobytes() for name in names)).hexdigest()


def gaps(events: list[Event]) -> Figures:
    values = [event["gap"] for event in events[1:]]
    return {
        "status": events[-1]["status"],
        "outcome": events[-1]["outcome"],
        "ticks": len(values),
        "largest_gap": max(values),
        "median_gap": statistics.median(values),
    }


def latency(events: list[Event]) -> float:
    """Seconds from the request to cancel until the next job may start."""
    (wish,) = (event for event in events if event["status"] == "cancelling")
    assert events[-1]["status"] == "cancelled", events[-1]
    return float(events[-1]["moment"] - wish["moment"])


def work_seconds(events: list[Event]) -> float:
    """Seconds between the first and the last progress report of a job."""
    moments = [event["moment"] for event in events if event["phase"]]
    return float(moments[-1] - moments[0])


def print_figures(figures: Figures) -> None:
    console = Console()
    waits = Table("job", "ticks", "median gap", "largest gap", title="Between two ticks of the queue's timer")
    for verb in ("train", "dub"):
        row = figures[verb]
        waits.add_row(verb, str(row["ticks"]), f"{row['median_gap']:.3f} s", f"{row['largest_gap']:.3f} s")
    console.print(waits)
    console.print("Cancelled after", ", ".join(f"{seconds:.2f} s" for seconds in figures["cancel_seconds"]))
    if figures["kills"]:
        table = Table("job", "killed", "after", "in", "ended", "equal", title="Killed at random moments")
        for kill in figures["kills"]:
            table.add_row(*(str(kill[name]) for name in ("verb", "victim", "seconds", "phase", "status", "is_equal")))
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())

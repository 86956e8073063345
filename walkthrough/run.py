"""The walk-through: train, watch, cancel, resume, dub, scrub, label, verify and submit in a real window, by clicking on
text that is read from the screen.

Screenshots are saved in ``out/window``. All assertions are about what the window shows.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import chroot
from .window import Box, NotSeen, Window, opened

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "demo"
TRAINING_SECONDS = 1500.0
DUBBING_SECONDS = 600.0
SETTLING_SECONDS = 2.0
PREVIEW: Box = (720.0, 60.0, 1320.0, 680.0)
"""The preview region of the sequencer."""
SAVE = "save"
"""Name of the file that lets Blender save its file, see ``stage.py``."""
_LAST_ICON, _ICON = 308.0, 22.0
"""Pixels from the heading of the queue to the last icon of a row, and between two icons."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="build.py gui", description=__doc__)
    parser.add_argument("--extension", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "window")
    options = parser.parse_args()
    try:
        chroot.make()
    except chroot.Unavailable as reason:
        print(f"\n*** The walk-through in a real window was SKIPPED: {reason}. ***\n", file=sys.stderr)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "not_seen.png").unlink(missing_ok=True)  # the others are replaced
    project = chroot.FOLDER / "project"
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    for file in (DEMO / "speaker.mp4", DEMO / "line.flac", options.extension):
        shutil.copy(file, project)
    environment = Path(sys.prefix).resolve()
    folders = list(dict.fromkeys([ROOT, Path(sys.base_prefix).resolve(), environment]))
    variables = {
        "S2L_EXTENSION": f"/project/{options.extension.name}",
        "S2L_WORKER_PYTHON": str(environment / "bin" / "python"),
        "BLENDER_USER_RESOURCES": "/project/user",
        "XDG_CACHE_HOME": "/project/cache",
    }
    log = options.out / "blender.log"
    with chroot.mounted(folders), opened(options.out, ROOT / "walkthrough" / "stage.py", log, **variables) as window:
        try:
            walk(window)
            mark(window)
            submit(window, project)
        except NotSeen as error:
            print(f"FAILED: {error}\nThe output of Blender is in {log}.", file=sys.stderr)
            return 1
    print(f"The walk-through has passed; its pictures are in {os.path.relpath(options.out)}.")
    return 0


def walk(window: Window) -> None:
    say("Opening the Video Editing workspace")
    window.see("Train Speaker", 90.0)
    window.picture("1_open")

    say("Training with the fastest preset")
    window.click("Balanced")
    window.click("Draft")
    window.click("Train Speaker")
    window.see("The Speaker Agreed")
    window.picture("2_consent")
    window.click("The Speaker Agreed")
    window.press("Return")

    say("Watching the bar move")
    window.see("Queue", 60.0)
    first = wait_for_percent(window, 1, 300.0)
    window.picture("3_training")
    wait_for_other_percent(window, first, 300.0)

    say("Cancelling and resuming")
    x, y = last_icon(window, "Train Speaker")
    window.click_at(x, y)
    window.see("Clear Finished", 10.0)
    window.picture("4_cancelled")
    window.click_at(x - _ICON, y)
    wait_for_percent(window, 1, 60.0)
    window.see("dB", TRAINING_SECONDS)
    window.picture("5_learning")
    window.see("Clear Finished", TRAINING_SECONDS)
    window.picture("6_trained")

    say("Looking at one frame")
    window.click("Clear Finished")
    preview_frame(window)

    say("Dubbing")
    window.click("Dub Strip")
    window.see("Interview Dubbed", DUBBING_SECONDS)
    window.see("Synthetic media")
    window.picture("8_dubbed")

    say("Scrubbing")
    before = window.pixels()
    window.drag(window.see("00:02"), window.see("00:05"))
    window.see_change(before, PREVIEW)
    window.picture("9_scrubbed")


def mark(window: Window) -> None:
    """Check how the result is signed, and label it visibly."""
    say("Verifying the result")
    window.click("Verify")
    window.see("Checked at", 120.0)
    window.picture("10_verified")

    say("Labelling it")
    for panel in ("Result", "Train", "Dub", "Speakers"):  # collapsed to make room
        window.click_panel(panel)
    window.click_panel("Label")
    before = window.pixels()
    window.click("Add Label")
    window.see_change(before, PREVIEW)
    window.picture("11_labelled")
    window.click_panel("Label")


def submit(window: Window, project: Path) -> None:
    """Submit the dub, first of a file that is not saved, and do it as another machine would."""
    say("Submitting a file that is not saved")
    window.click_panel("Dub")
    window.click("Submit")
    window.see("is not saved")
    window.picture("12_not_ready")
    window.press("Escape")
    window.rest_on("Speakers")  # a button below the mouse is not read

    say("Submitting it")
    (project / SAVE).touch()
    while (project / SAVE).exists():
        time.sleep(SETTLING_SECONDS)
    window.click("Submit")
    window.rest_on("The machines need")  # where Return reaches no field
    window.picture("13_ready")
    window.press("Return")
    window.see("tasks are", 60.0)
    window.picture("14_submitted")

    say("Doing the plan")
    (plan,) = project.glob("*_plan")
    command = [sys.executable, "-m", "s2l_core.cli", "batch", str(plan), "--root", f"PROJECT={project}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    window.see("Clear Finished", 60.0)
    window.picture("15_inserted")


def preview_frame(window: Window) -> None:
    """Click Preview Frame, and wait for the picture below it."""
    window.click_at(*window.see("Footage"))  # collapse the panel to make room
    time.sleep(SETTLING_SECONDS)
    x, y = window.see("Preview Frame")
    window.click_at(x, y)
    window.see_picture((x - 60, y + 40, x + 60, y + 160), 120.0)
    time.sleep(SETTLING_SECONDS)
    window.picture("7_previewed")


def last_icon(window: Window, name: str) -> tuple[float, float]:
    """Position of the last icon in a row of the queue, at the right edge of the sidebar."""
    _, y = window.see(name)
    return window.see("Queue")[0] + _LAST_ICON, y


def wait_for_percent(window: Window, least: int, seconds: float) -> int:
    """Wait until the progress bar reaches a percentage of any phase, and return the percentage that it shows.

    Raises:
        NotSeen: It does not reach it in time.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        shown = " ".join(word.text for word in window.words())
        if (found := re.search(r"(\d+) ?%", shown)) and int(found[1]) >= least:
            return int(found[1])
    window.picture("not_seen")
    raise NotSeen(f"No progress of {least}% within {seconds:.0f} s")


def wait_for_other_percent(window: Window, shown: int, seconds: float) -> None:
    """Wait until the bar has moved; raises as :func:`wait_for_percent`."""
    end = time.monotonic() + seconds
    while wait_for_percent(window, 0, seconds) == shown:
        if time.monotonic() > end:
            raise NotSeen(f"The bar has been at {shown}% for {seconds:.0f} s")


def say(step: str) -> None:
    print(f"-- {step}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Close-ups of the embedded speaker: how sharp new lips are beside the real ones at the same place, and how much memory
training and dubbing take.

The clips are rendered if they are missing, which takes half an hour of one core, and kept with the speakers in
``--folder``, outside of the repository. Each speaker is trained, and dubs another voice, in processes whose memory is
measured with that of their children (Linux). Sharpness is measured in the held-out part, as in ``bench quality``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import build
from s2l_core.device import choose_device
from s2l_core.errors import Speech2LipError
from s2l_core.evaluation.drivers import real
from s2l_core.evaluation.evaluator import Evaluator
from s2l_core.model.speaker import SpeakerModel
from s2l_core.training.presets import PRESETS

from ._options import destination, output_folder
from .trials.command import identify, shown_progress
from .trials.memory import peak_memory
from .trials.results import Columns, Results
from .trials.trial import Trial

DEMO = build.ROOT / "demo"
CLI = (sys.executable, "-m", "s2l_core.cli")
ROW = "exemplars"
SHOWN = {
    "mouth_px": ("width of the mouth box, pixels", ".0f"),
    "lips_px": ("width of an exemplar, pixels", ".0f"),
    "exemplars": ("exemplars", ".0f"),
    "cpbd_real": ("CPBD of the real lips", ".3f"),
    "cpbd": ("CPBD of the dub", ".3f"),
    "sharpness": ("share of it", ".2f"),
    "grain": ("grain", ".2f"),
    "seam": ("seam", ".2f"),
    "mouth_psnr": ("mouth dB", ".1f"),
    "train_gb": ("memory of training, GB", ".2f"),
    "dub_gb": ("memory of dubbing, GB", ".2f"),
    "speaker_mb": ("speaker file, MB", ".1f"),
}


def rendered(head: Path, sizes: Sequence[int], folder: Path) -> list[Path]:
    """The clips with these numbers of lines, which are rendered if they are missing."""
    clips = [folder / f"speaker_{lines}.mp4" for lines in sizes]
    if not all(clip.exists() for clip in clips):
        command = [sys.executable, str(DEMO / "make_close_up.py"), "--head", str(head), "--out", str(folder)]
        subprocess.run([*command, "--lines", *map(str, sizes)], check=True)
    return clips


def measure(trial: Trial, preset: str) -> Columns:
    """Train a speaker, dub another voice, and compare the held-out part, dubbed with its own words, with the real
    one.
    """
    speaker_path, dub_path = trial.speaker_path(ROW, 0), trial.folder / "dub.mp4"
    dub_path.unlink(missing_ok=True)
    device = ("--device", trial.device)
    options = (str(speaker_path), "--preset", preset, "--consent", "--json", *device)
    sounds = (str(DEMO / "line.flac"), str(dub_path), "--json", *device)
    with tempfile.TemporaryDirectory() as cache:  # nothing is found there that was computed before
        train_bytes = peak_memory([*CLI, "train", trial.path, *options], cache)
        dub_bytes = peak_memory([*CLI, "dub", str(speaker_path), trial.path, *sounds], cache)

    speaker = SpeakerModel.load(str(speaker_path), choose_device(trial.device))
    evaluator = Evaluator(trial.test, trial.face, trial.split["held_out"], trial.landmarks, report=trial.report)
    true = evaluator.measure(real(trial.face), trial.test_speech)["cpbd"]
    new = evaluator.measure(trial.by_dub(speaker).driver, trial.test_speech)
    sharp, exemplars = new["cpbd"], speaker.exemplars
    assert exemplars is not None
    return {
        "mouth_px": evaluator.mouth_box_px[0],
        "lips_px": exemplars.width,
        "exemplars": len(exemplars.pictures),
        "cpbd_real": true,
        "cpbd": sharp,
        "sharpness": sharp / true if sharp is not None and true else None,
        **{name: new[name] for name in ("grain", "seam", "mouth_psnr")},  # type: ignore[literal-required]
        "train_gb": train_bytes / 1e9,
        "dub_gb": dub_bytes / 1e9,
        "speaker_mb": speaker_path.stat().st_size / 1e6,
    }


def show(rows: dict[str, Columns]) -> None:
    """Print a table with a column for each clip."""
    table = Table("", *rows)
    for name, (title, form) in SHOWN.items():
        values = [row.get(name) for row in rows.values()]
        table.add_row(title, *("-" if value is None else f"{value:{form}}" for value in values))
    Console().print(table)


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="closeups", description=__doc__)
    parser.add_argument("--lines", type=int, nargs="+", default=[1080, 2160], help="heights (default: 1080 2160)")
    parser.add_argument("--head", type=Path, required=True, help="ict_facekit.npz, of which the clips are rendered")
    parser.add_argument("--folder", type=output_folder, required=True, help="folder of the clips and speakers")
    parser.add_argument("--preset", choices=PRESETS, default="balanced", help="training preset (default: balanced)")
    parser.add_argument("--json", type=destination, help="write the figures to this file")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--again", action="store_true", help="measure again what is in the file")
    parser.set_defaults(landmarks="bundled", voice=[])
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = read_options(arguments)
    results, rows = Results(options.json), {}
    try:
        for clip in rendered(options.head, options.lines, options.folder):
            with shown_progress() as report:
                folder = options.folder / f"{clip.stem}_{options.preset}"
                folder.mkdir(exist_ok=True)
                trial = Trial(str(clip), folder, options.landmarks, options.device, options.again, [], report)
                figures = results.of(identify(str(clip), options, trial))
                if options.again or not figures.has(ROW, 0):
                    results.add(figures, ROW, 0, measure(trial, options.preset))
                rows[clip.stem] = figures.rows[ROW]
    except (Speech2LipError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

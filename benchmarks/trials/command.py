"""Command of a benchmark of speakers: options, measurements and tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s2l_core.device import choose_device
from s2l_core.errors import BadJob, Speech2LipError
from s2l_core.events import Preview, Report
from s2l_core.media.video import probe
from s2l_core.terminal import progress_bars
from s2l_core.training.presets import PRESETS
from s2l_core.version import VERSION

from .._options import destination
from .results import ClipFigures, Results
from .trial import Contender, Trial

Contend = Callable[[Trial, str, int], Contender]
"""Maps a trial, the name of a row and a seed to a contender, which is trained unless it is in the folder."""


def add_speaker_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of how speakers are trained and where they are kept."""
    parser.add_argument("--preset", choices=PRESETS, default="balanced", help="training preset (default: balanced)")
    parser.add_argument("--speakers", type=Path, default=Path("out/quality"), help="folder of trained speakers")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--again", action="store_true", help="compute again what is there")


def trial_parser(name: str, description: str | None, rows: Sequence[str]) -> argparse.ArgumentParser:
    """The options of a benchmark that measures speakers."""
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument("--clip", nargs="+", required=True, help="footage of one speaker each, with different names")
    parser.add_argument("--rows", nargs="+", choices=rows, default=rows, metavar="ROW", help=", ".join(rows))
    parser.add_argument("--seeds", type=int, default=1, help="number of trainings of each speaker (default: 1)")
    parser.add_argument("--json", type=destination, help="write the figures to this file")
    parser.add_argument("--landmarks", default="bundled", help="landmark back-end that measures the lips")
    parser.add_argument("--voice", type=Path, nargs="+", default=[], help="sounds that drive the speakers too")
    add_speaker_options(parser)
    return parser


def run_trials(
    options: argparse.Namespace,
    contend: Contend,
    show: Callable[[Trial, ClipFigures], None],
    once: Collection[str] = (),
    conclude: Callable[[Sequence[ClipFigures]], None] = lambda clips: None,
) -> int:
    """Measure the requested rows that are missing, clip by clip, save each of them at once, and show all.

    Args:
        options: Options of :func:`trial_parser`.
        contend: Makes the contender of a row and a seed.
        show: Shows the figures of one clip.
        once: Rows that do not depend on the seed.
        conclude: Shows the figures of all clips, after the last one.

    Returns:
        The exit status.
    """
    try:
        refuse_bad_clips(options.clip)
        results, measured = Results(options.json), []
        for clip in options.clip:
            with shown_progress() as report:
                trial = open_trial(clip, options, report, options.landmarks, options.voice)
                figures = results.of(identify(clip, options, trial))
                for row in options.rows:
                    for seed in range(1 if row in once else options.seeds):
                        if options.again or not figures.has(row, seed):
                            report.log("info", f"{trial.name}: {row}, seed {seed}")
                            results.add(figures, row, seed, trial.measure(contend(trial, row, seed)))
                show(trial, figures)
            measured.append(figures)
        conclude(measured)
    except Speech2LipError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@contextmanager
def shown_progress() -> Iterator[Report]:
    """A report that shows progress bars, without previews of trainings."""
    with progress_bars() as listener:
        yield Report(lambda event: None if isinstance(event, Preview) else listener(event))


def open_trial(
    clip: str, options: argparse.Namespace, report: Report, landmarks: str = "bundled", voices: Sequence[Path] = ()
) -> Trial:
    """Open a clip, with the options of :func:`add_speaker_options`. Each clip and preset has its own folder of
    speakers.
    """
    folder = options.speakers / f"{Path(clip).stem}_{options.preset}"
    folder.mkdir(parents=True, exist_ok=True)
    return Trial(clip, folder, landmarks, options.device, options.again, voices, report)


def refuse_bad_clips(clips: Sequence[str]) -> None:
    """Raise a Speech2LipError if a clip cannot be read, or if two have the same name, which names their speakers."""
    names = [Path(clip).stem for clip in clips]
    for clip, name in zip(clips, names, strict=True):
        probe(clip)
        if names.count(name) > 1:
            raise BadJob(f"Two clips are named {name}, so their speakers would have the same files.", "Rename one.")


def identify(clip: str, options: argparse.Namespace, trial: Trial) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "clip": Path(clip).name,
        "fingerprint": trial.footage.fingerprint,
        "version": VERSION,
        "preset": options.preset,
        "landmarks": Path(options.landmarks).name,
        "voices": [voice.name for voice in options.voice],
        "device": choose_device(options.device).type,
    }

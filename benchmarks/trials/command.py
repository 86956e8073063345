"""Command of a benchmark of speakers: options, measurements and table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s2l_core.device import choose_device
from s2l_core.errors import Speech2LipError
from s2l_core.events import Preview, Report
from s2l_core.terminal import progress_bars
from s2l_core.training.presets import PRESETS
from s2l_core.version import VERSION

from .._options import destination
from .results import Results
from .trial import Contender, Trial

Contend = Callable[[Trial, str, int], Contender]
"""Maps a trial, the name of a row and a seed to a contender, which is trained unless it is in the folder."""


def trial_parser(name: str, description: str | None, rows: Sequence[str]) -> argparse.ArgumentParser:
    """The options of a benchmark of speakers."""
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument("--clip", required=True, help="the footage of one speaker")
    parser.add_argument("--rows", nargs="+", choices=rows, default=rows, metavar="ROW", help=", ".join(rows))
    parser.add_argument("--seeds", type=int, default=1, help="number of trainings of each speaker (default: 1)")
    parser.add_argument("--json", type=destination, help="write the figures to this file")
    parser.add_argument("--preset", choices=PRESETS, default="balanced", help="training preset (default: balanced)")
    parser.add_argument("--landmarks", default="bundled", help="landmark back-end that measures the lips")
    parser.add_argument("--voice", type=Path, nargs="+", default=[], help="sounds that drive the speakers too")
    parser.add_argument("--speakers", type=Path, default=Path("out/quality"), help="folder of trained speakers")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--again", action="store_true", help="compute again what is there")
    return parser


def run_trials(
    options: argparse.Namespace,
    contend: Contend,
    show: Callable[[Trial, Results], None],
    once: Collection[str] = (),
) -> int:
    """Measure the requested rows that are missing, save each of them at once, and show all.

    Args:
        options: Options of :func:`trial_parser`.
        contend: Makes the contender of a row and a seed.
        show: Shows the results.
        once: Rows that do not depend on the seed.

    Returns:
        The exit status.
    """
    try:
        with _shown_progress() as report:
            trial = _open_trial(options, report)
            results = Results(options.json, _identify(options, trial))
            for row in options.rows:
                for seed in range(1 if row in once else options.seeds):
                    if options.again or not results.has(row, seed):
                        report.log("info", f"{row}, seed {seed}")
                        results.add(row, seed, trial.measure(contend(trial, row, seed)))
            show(trial, results)
    except Speech2LipError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@contextmanager
def _shown_progress() -> Iterator[Report]:
    """A report that shows progress bars, without previews of trainings."""
    with progress_bars() as listener:
        yield Report(lambda event: None if isinstance(event, Preview) else listener(event))


def _open_trial(options: argparse.Namespace, report: Report) -> Trial:
    folder = options.speakers / f"{Path(options.clip).stem}_{options.preset}"
    folder.mkdir(parents=True, exist_ok=True)
    return Trial(options.clip, folder, options.landmarks, options.device, options.again, options.voice, report)


def _identify(options: argparse.Namespace, trial: Trial) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "clip": Path(options.clip).name,
        "fingerprint": trial.footage.fingerprint,
        "version": VERSION,
        "preset": options.preset,
        "landmarks": Path(options.landmarks).name,
        "voices": [voice.name for voice in options.voice],
        "device": choose_device(options.device).type,
    }

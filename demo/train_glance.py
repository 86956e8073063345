"""Train the networks of "Lip movements generation at a glance" on videos of people, on a processor or a GPU.

    python3 build.py glance --train --data FOLDER --out FOLDER

Each video of the folders shows one person who speaks; its file name is the person's name. An interrupted training
continues when the same command is given again. The file generator.safetensors in the output folder holds the weights,
and state.jpg shows people who are not in the training: the given picture, real pictures, and drawn ones below them.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import torch

from s2l_core.device import choose_device
from s2l_core.errors import BadJob, Speech2LipError
from s2l_core.events import Preview, Report
from s2l_core.files import refusal
from s2l_core.glance.clips import read_people
from s2l_core.glance.objective import LossWeights
from s2l_core.glance.training import TrainingSettings, train_generator
from s2l_core.glance.weights import load_generator, read_facts, save_generator
from s2l_core.terminal import progress_bars

_VIDEOS = (".avi", ".mkv", ".mov", ".mp4", ".mpg", ".webm")
_PAPER = TrainingSettings()


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        device = choose_device(options.device)
        learnt, others = find_people(options.data, options.hold_out)
        _make_folder(options.out)
        settings, start, known = _settings(options), None, set[str]()
        if options.start is not None:
            refuse_known(others, options.start)
            start, known = load_generator(options.start), set(read_facts(options.start).get("people", ()))
            settings = replace(settings, width=start.width)
        with progress_bars() as listener:
            report = Report(lambda event: None if isinstance(event, Preview) else listener(event))
            clips, watched = read_people(learnt, report), read_people(others, report)
            state = options.out / "state.safetensors"
            generator = train_generator(clips, watched, settings, state, device, report, start)
        facts = {
            "people": sorted(known | {clip.person for clip in clips}),
            "batch": settings.batch,
            "most_steps": settings.steps,
            "most_hours": options.hours,
        }
        save_generator(generator, str(options.out / "generator.safetensors"), facts)
    except Speech2LipError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The weights are in {options.out / 'generator.safetensors'}.")
    return 0


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refusal(path, error) from error


def find_people(folders: Sequence[Path], hold_out: Sequence[str]) -> tuple[list[str], list[str]]:
    """Paths of the videos to learn from, and of those that are held out, sorted.

    Args:
        folders: Folders of videos, or videos.
        hold_out: Patterns of the names of people who are held out, such as ``"lb*"``.

    Raises:
        BadJob: There is no video to learn from.
    """
    paths = [path for folder in folders for path in (sorted(folder.iterdir()) if folder.is_dir() else [folder])]
    videos = [path for path in paths if path.suffix.lower() in _VIDEOS]
    held = {path for path in videos if any(fnmatch(path.stem, pattern) for pattern in hold_out)}
    learnt = [str(path) for path in videos if path not in held]
    if not learnt:
        raise BadJob("There is no video to learn from.", "Name folders of videos with --data.")
    return learnt, [str(path) for path in videos if path in held]


def refuse_known(held: Sequence[str], weights: str | None) -> None:
    """Raise BadJob if weights were learnt from somebody who is held out.

    Args:
        held: Paths of the videos of people who are held out.
        weights: The file; None means the weights that the library includes.
    """
    known = set(read_facts(weights).get("people", ())) & {Path(path).stem for path in held}
    if known:
        raise BadJob(f"The weights have learnt from {', '.join(sorted(known))}.", "Hold other people out.")


def _settings(options: argparse.Namespace) -> TrainingSettings:
    weights = LossWeights(options.correlation, options.pixel, options.perceptual, options.adversarial)
    return TrainingSettings(
        width=options.width,
        steps=options.steps,
        lips_steps=options.lips_steps,
        batch=options.batch,
        rate=options.rate,
        weights=weights,
        derivative=not options.non_derivative,
        sees_flow=not options.two_streams,
        seed=options.seed,
        seconds=3600 * options.hours,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="glance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", action="store_true", required=True, help="train a generator")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of videos, or videos")
    parser.add_argument("--out", type=Path, required=True, help="folder for the state and the weights")
    parser.add_argument("--hold-out", nargs="*", default=[], metavar="NAME", help="people who are not learnt from")
    parser.add_argument("--start", metavar="FILE", help="weights whose training is continued, with their width")
    parser.add_argument("--width", type=float, default=_PAPER.width, help="channels relative to the paper's")
    parser.add_argument("--steps", type=int, default=_PAPER.steps, help="steps of all networks together")
    parser.add_argument("--lips-steps", type=int, default=_PAPER.lips_steps, help="steps before that")
    parser.add_argument("--hours", type=float, default=math.inf, help="time limit of the steps")
    parser.add_argument("--batch", type=int, default=_PAPER.batch, help="windows in a step")
    parser.add_argument("--rate", type=float, default=_PAPER.rate, help="highest learning rate")
    for name, value in vars(_PAPER.weights).items():
        parser.add_argument(f"--{name}", type=float, default=value, help=f"weight of the {name} loss")
    parser.add_argument("--non-derivative", action="store_true", help="correlate sound and pictures themselves")
    parser.add_argument("--two-streams", action="store_true", help="leave the discriminator without optical flow")
    parser.add_argument("--seed", type=int, default=0, help="seed of all randomness")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="processor threads")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    return parser


if __name__ == "__main__":
    sys.exit(main())

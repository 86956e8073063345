"""The tables of "Lip movements generation at a glance" on people who are in no training, beside simple baselines.

    python3 build.py bench glance --data FOLDER --json FILE
    python3 build.py bench glance --data FOLDER --people FOLDER --landmarks FILE.task --long VIDEO --head FILE.npz
        --free VIDEO --json FILE

Each video in the folders shows one person. Baselines learn from those who are not held out; the network has learnt
before, and is refused if it knows somebody who is held out. With --ablation, losses are left out in short trainings.

Pictures that speak are measured too: how real their mouths look if --people and --landmarks are given, and how well
speech tells the motion of lips if --long and --head are given besides.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from demo.lip_motion.corpus import add_corpus_options
from demo.train_glance import find_people, refuse_known
from s2l_core.device import choose_device
from s2l_core.errors import Speech2LipError
from s2l_core.events import Report
from s2l_core.files import write_whole
from s2l_core.glance.clips import read_clips
from s2l_core.glance.training import TrainingSettings
from s2l_core.jobs import Media

from ._options import destination
from .glancing import ablation, looks, motion
from .glancing.measures import COLUMNS, measure
from .glancing.people import Person, read_person
from .glancing.rows import ROWS, Speak, network
from .trials.command import shown_progress

HELD_OUT = ("lbbc2a", "lwbsza", "swiz3n", "pwij3p", "pwij3p_same_man_swwp2s")
"""People of GRID from whom the included weights have not learnt: two women, a man with a beard, and a man twice."""
Figures = dict[str, float | None]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        learnt, held = find_people(options.data, options.hold_out)
        if "network" in options.rows:
            refuse_known(held, options.weights)
        with shown_progress() as report:
            people = [next(read_person(Media(path), report)) for path in held]
            teachers = [shot for path in learnt for shot in read_person(Media(path, end=options.seconds), report)]
            figures = {}
            for name, speak in _speakers(options, teachers, learnt, report):
                figures[name] = rows_of(speak, people)
                report.log("info", f"{name}: {_mean(figures[name])}")
                _write(options, rows=figures)
            stills = dict(_measure_stills(options, report))
            _write(options, rows=figures, **stills)
    except Speech2LipError as error:
        print(error, file=sys.stderr)
        return 1
    show(figures)
    if "looks" in stills:
        looks.show(stills["looks"])
    if "motion" in stills:
        motion.show([motion.Row(**row) for row in stills["motion"]])
    return 0


def _write(options: argparse.Namespace, **figures: Any) -> None:
    if options.json:
        write_whole(str(options.json), json.dumps(figures, indent=2).encode())


def _measure_stills(options: argparse.Namespace, report: Report) -> Iterator[tuple[str, Any]]:
    """Figures of pictures that speak, by name, as far as the options name what they are measured on."""
    if options.people and options.landmarks:
        yield "looks", looks.measure_looks(options.people, options.landmarks, report)
        if options.long and options.head:
            yield "motion", [asdict(row) for row in motion.measure_all(options, report)]


def _speakers(
    options: argparse.Namespace, teachers: Sequence[Person], learnt: Sequence[str], report: Report
) -> Iterator[tuple[str, Speak]]:
    """The rows by name, each learnt when it is its turn."""
    for name in options.rows:
        yield name, network.learn(teachers, options.weights) if name == "network" else ROWS[name](teachers)
    if options.ablation:
        clips = [clip for path in learnt for clip in read_clips(Media(path, end=options.seconds), report)]
        device = choose_device(options.device)
        steps = options.ablation
        settings = TrainingSettings(options.width, steps, max(1, steps // 4), options.batch, options.rate)
        for name in ablation.VARIATIONS:
            yield name, network.spoken_by(ablation.train(name, clips, settings, device, report).cpu())


def rows_of(speak: Speak, people: Sequence[Person]) -> dict[str, Figures]:
    """Figures of a row for each person. Wrong speech is that of the next person with other words."""
    figures = {}
    for number, person in enumerate(people):
        other = people[(number + 2) % len(people)].speech
        wrong = np.resize(other, len(person.speech))
        figures[person.name] = measure(speak(person, person.speech), speak(person, wrong), person)
    return figures


def show(figures: dict[str, dict[str, Figures]]) -> None:
    table = Table("", title="mean of the people who are held out")
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for name, of_people in figures.items():
        mean = _mean(of_people)
        table.add_row(name, *("-" if (value := mean[column]) is None else f"{value:.2f}" for column in COLUMNS))
    Console().print(table)


def _mean(of_people: dict[str, Figures]) -> Figures:
    means: Figures = {}
    for column in COLUMNS:
        values = [value for figures in of_people.values() if (value := figures[column]) is not None]
        means[column] = round(float(np.mean(values)), 3) if values else None
    return means


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="glance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of videos, or videos")
    parser.add_argument("--hold-out", nargs="+", default=HELD_OUT, metavar="NAME", help="people who are measured")
    parser.add_argument("--seconds", type=float, default=60.0, help="most that is learnt of one video by baselines")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    add_corpus_options(parser, required=False)
    parser.add_argument("--free", type=Path, nargs="+", default=[], help="clips of free speech for the motion of lips")
    parser.add_argument("--weights", help="weights of the network (default: the included ones)")
    parser.add_argument("--json", type=destination, help="write the figures of each person to this file")
    parser.add_argument("--ablation", type=int, default=0, metavar="STEPS", help="train and measure the ablations too")
    parser.add_argument("--width", type=float, default=0.125, help="width of the networks of the ablation")
    parser.add_argument("--batch", type=int, default=4, help="windows in a step of the ablation")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate of the ablation")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="processor threads")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    return parser


if __name__ == "__main__":
    sys.exit(main())

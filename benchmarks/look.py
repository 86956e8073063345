"""Pictures and slow movies of mouths on footage that no speaker was trained on: the source, and beside it what ``dub``
writes with each row of ``bench quality`` or each speaker of a file, before encoding.

The mouths have the resolution of the footage; those under 200 pixels are enlarged by an integer factor. CLIP.png shows
eight moments from the most closed to the most open real mouth, eight successive frames around the fastest opening, and
eight around the first opening after the longest rest of the mouth. CLIP.mp4 shows every held-out frame four times.
CLIP_VOICE.png and .mp4 are the same with the words of another voice.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from s2l_core.canonical.regions import mouth_boxes
from s2l_core.device import choose_device
from s2l_core.errors import Speech2LipError
from s2l_core.evaluation.drivers import Driver
from s2l_core.events import Report
from s2l_core.files import reserved, write_whole
from s2l_core.jobs import Media
from s2l_core.media.audio import SPEECH_RATE, read_speech
from s2l_core.media.writing import VideoWriter
from s2l_core.model.speaker import SpeakerModel
from s2l_core.training.presets import PRESETS

from ._options import output_folder
from .looking.drawing import abreast, stacked
from .looking.moments import closed_to_open, end_of_pause, fast_opening
from .looking.mouths import Picture, plan_crops, show_mouths
from .quality import OF_WHOLE_CLIP, ROWS, add_paper_minutes, contend
from .trials.command import add_speaker_options, open_trial, refuse_bad_clips, shown_progress
from .trials.trial import Trial

SHOWN_ROWS = tuple(row for row in ROWS if row not in ("real", *OF_WHOLE_CLIP))
SLOWNESS = 4


@dataclass(frozen=True)
class Column:
    """Mouths that are shown beside those of the source.

    Attributes:
        name: Their caption.
        driver: Renders them.
    """

    name: str
    driver: Driver


def show_words(trial: Trial, columns: Sequence[Column], path: Path) -> None:
    """Write the contact sheet ``path``.png and the movie ``path``.mp4 of columns beside the source."""
    names = [column.name for column in columns]
    crops = plan_crops(mouth_boxes(trial.face, trial.test.track))
    shown = show_mouths(trial.test, [column.driver for column in columns], crops, trial.report)
    chosen = [moments(trial.test.openings) for moments in (closed_to_open, fast_opening, end_of_pause)]
    kept: dict[int, list[Picture]] = {}

    def frames() -> Iterator[Picture]:
        for index, mouths in shown:
            if any(index in moments for moments in chosen):
                kept[index] = mouths
            yield abreast(mouths, [f"source {trial.test.times[index]:.2f} s", *names])

    write_slowly(Path(f"{path}.mp4"), frames(), trial.test.info.rate)
    lines = []
    for moments in filter(None, chosen):
        times = [f"{trial.test.times[moment]:.2f} s" for moment in moments]
        lines.append(abreast([kept[moment][0] for moment in moments], times))
        for number, name in enumerate(names, start=1):
            captions = [name, *itertools.repeat("", len(moments) - 1)]
            lines.append(abreast([kept[moment][number] for moment in moments], captions))
    picture = cv2.cvtColor(stacked(lines), cv2.COLOR_RGB2BGR)
    write_whole(f"{path}.png", cv2.imencode(".png", picture)[1].tobytes())


def write_slowly(path: Path, frames: Iterable[Picture], rate: Fraction) -> None:
    """Write a movie in H.264 that shows each frame four times at the rate of the footage."""
    frames = iter(frames)
    first = next(frames)
    height, width = first.shape[:2]
    with VideoWriter(str(path), width, height, rate) as writer:
        for frame in itertools.chain([first], frames):
            for _ in range(SLOWNESS):
                writer.write(frame)


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="look", description=__doc__)
    parser.add_argument("--clip", required=True, help="the footage of one speaker")
    parser.add_argument("--out", type=output_folder, required=True, help="folder of the pictures and movies")
    parser.add_argument(
        "--rows", nargs="+", choices=SHOWN_ROWS, metavar="ROW", help=f"{', '.join(SHOWN_ROWS)} (default: exemplars)"
    )
    parser.add_argument(
        "--speaker", nargs="+", default=[], metavar="FILE", help="speakers to show, instead of exemplars"
    )
    parser.add_argument("--voice", type=Path, nargs="+", default=[], help="sounds that drive the mouths too")
    add_speaker_options(parser)
    add_paper_minutes(parser)
    options = parser.parse_args(arguments)
    if options.rows is None:
        options.rows = [] if options.speaker else ["exemplars"]
    return options


def look(options: argparse.Namespace, report: Report) -> None:
    """Write the pictures and movies of a clip.

    Raises:
        Speech2LipError: A file cannot be used, or a training fails.
    """
    # Whatever can be refused is refused before anything is trained.
    refuse_bad_clips([options.clip])
    own = options.out / Path(options.clip).stem
    others = [own.with_name(f"{own.name}_{voice.stem}") for voice in options.voice]
    sounds = [read_speech(Media(str(voice))) for voice in options.voice]
    device = choose_device(options.device)
    speakers = [SpeakerModel.load(path, device) for path in options.speaker]
    sources = [options.clip, *options.speaker, *map(str, options.voice)]

    with ExitStack() as outputs:
        for path in (own, *others):
            for suffix in (".png", ".mp4"):
                outputs.enter_context(reserved(f"{path}{suffix}", *sources))
        trial, preset = open_trial(options.clip, options, report), PRESETS[options.preset]
        contenders = [contend(trial, row, 0, preset, options.paper_minutes) for row in options.rows]
        contenders += map(trial.by_dub_of_other, speakers)
        named = list(zip([*options.rows, *captions(options.speaker)], contenders, strict=True))
        show_words(trial, [Column(name, each.driver) for name, each in named], own)
        for path, sound in zip(others, sounds, strict=True):
            words = lasting(sound, trial.test.seconds)
            driven = [Column(name, each.drive(words, False)) for name, each in named if each.drive is not None]
            show_words(trial, driven, path)


def captions(paths: Sequence[str]) -> list[str]:
    """The file names without suffix, with the names of their folders if two are equal."""
    names = [Path(path).stem for path in paths]
    if len(set(names)) == len(names):
        return names
    return [f"{Path(path).parent.name}/{name}" for path, name in zip(paths, names, strict=True)]


def lasting(sound: NDArray[np.float32], seconds: float) -> NDArray[np.float32]:
    """The beginning of a sound (n,) at 16 kHz, with silence after its end."""
    length = round(seconds * SPEECH_RATE)
    return np.pad(sound[:length], (0, max(0, length - len(sound))))


def main(arguments: Sequence[str] | None = None) -> int:
    options = read_options(arguments)
    try:
        with shown_progress() as report:
            look(options, report)
    except Speech2LipError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

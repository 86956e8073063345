"""The verbs for a shell: ``s2l info | check | faces | offset | train | dub | preview | evaluate | describe |
calibrate | heatmap | head | pose``.

Exit status: 0 done, 1 failed, no frame was dubbed or the result could not be printed, 2 wrong usage, 130 cancelled
(Ctrl-C). With ``--json`` stdout holds exactly one JSON object, the result or ``{"error": {"code", "message",
"hint"}}``, and stderr one JSON object a line for each event, between whatever libraries print there.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

from . import standard_streams
from .errors import BadJob, Cancelled, Speech2LipError
from .events import Report
from .execution import run_job
from .jobs import (
    Architecture,
    CalibrateJob,
    CheckJob,
    DescribeJob,
    Device,
    DubJob,
    Encoding,
    EvaluateJob,
    FacesJob,
    Format,
    HeadJob,
    HeatmapJob,
    InfoJob,
    Job,
    Layer,
    Media,
    OffsetJob,
    PoseJob,
    PresetName,
    PreviewJob,
    Remainder,
    TrainJob,
)
from .terminal import json_events, print_error, print_result, progress_bars
from .version import VERSION

_VIDEO = "a movie file, a folder of numbered pictures, or a pattern such as FOLDER/shot.####.png"
DONE, FAILED, WRONG_USAGE, CANCELLED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    standard_streams.open_missing()
    try:
        options = build_parser().parse_args(arguments)
    except SystemExit as end:
        if standard_streams.settle() and end.code == DONE:  # help that nobody could read
            return FAILED
        raise
    try:
        job: Job = options.make_job(options)
    except BadJob as error:
        print_error(error, options.json)
        return WRONG_USAGE
    display = json_events() if options.json else progress_bars()
    try:
        with cancelled_by_signal() as is_cancelled, display as listener:
            result = run_job(job, Report(listener, is_cancelled))
    except Speech2LipError as error:
        print_error(error, options.json)
        return CANCELLED if isinstance(error, Cancelled) else FAILED
    is_printed = print_result(result, options.json)
    return DONE if is_printed and result.get("frames_dubbed") != 0 else FAILED


def build_parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--device", choices=_choices(Device), default="auto", help="where to compute (default: auto)")
    common.add_argument("--json", action="store_true", help="print one JSON result, and JSON events on stderr")

    sight = argparse.ArgumentParser(add_help=False)
    sight.add_argument(
        "--landmarks",
        default="bundled",
        metavar="NAME",
        help="'bundled' (default), 'face-alignment' or the path of a .task file",
    )
    span = argparse.ArgumentParser(add_help=False)
    span.add_argument(
        "--footage-rate",
        default="",
        metavar="R",
        help="frames per second of a sequence of pictures, such as 24 or 30000/1001 (default: 25)",
    )
    span.add_argument("--start", type=float, default=0.0, metavar="S", help="first second of the footage to use")
    span.add_argument("--end", type=float, metavar="S", help="second at which to end (default: the footage's end)")
    span.add_argument(
        "--face",
        type=float,
        nargs=2,
        default=(),
        metavar=("X", "Y"),
        help="where the speaker is first seen, from 0 to 1 across and down (default: who is seen longest and largest)",
    )
    span.add_argument(
        "--face-at",
        type=float,
        metavar="S",
        help="second at which --face is meant, where somebody else is there before",
    )
    dubbing = argparse.ArgumentParser(add_help=False)
    dubbing.add_argument("speaker", help="the speaker's .s2l file")
    dubbing.add_argument("footage", help=f"video of that speaker: {_VIDEO}")
    dubbing.add_argument("voice", help="the words to say: a sound file, or a video with sound")
    hearing = argparse.ArgumentParser(add_help=False)
    hearing.add_argument(
        "--speech-network",
        default="",
        metavar="FOLDER",
        help="the speech network of a speaker file from another machine, which is remembered once it was named",
    )
    dubbing.add_argument("--voice-start", type=float, default=0.0, metavar="S", help="first second of the voice to use")
    dubbing.add_argument(
        "--voice-end", type=float, metavar="S", help="second at which to end (default: the voice's end)"
    )
    dubbing.add_argument(
        "--rate", default="", help="frames per second, such as 25 or 30000/1001 (default: the footage's)"
    )
    dubbing.add_argument(
        "--remainder",
        choices=_choices(Remainder),
        default="stop",
        help="where the footage is longer than the voice: stop with the voice or keep the rest untouched",
    )

    parser = argparse.ArgumentParser(
        prog="s2l", description="Learn one speaker's lips and put new words in that mouth."
    )
    parser.add_argument("--version", action="version", version=f"Speech2Lip {VERSION}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def add_verb(
        name: str, make_job: Callable[[argparse.Namespace], Job], help_text: str, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=help_text, description=help_text, parents=[*parents, common])
        verb.set_defaults(make_job=make_job)
        return verb

    def add_voice(verb: argparse.ArgumentParser) -> None:
        """Sound that is not in the video, and which of several tracks."""
        verb.add_argument("--voice", help="the speaker's sound, where it is not in the video")
        add_track(verb)

    def add_track(verb: argparse.ArgumentParser) -> None:
        verb.add_argument(
            "--track",
            type=int,
            metavar="N",
            help="which of several sound tracks holds the voice, from 1 (default: the first that is not silent, "
            "those with the default flag before others)",
        )

    add_verb("info", _info_job, "Show versions, devices and landmark back-ends.")

    check = add_verb("check", _check_job, "Judge footage before training on it.", sight, span)
    check.add_argument("footage", help=f"the speaker's video: {_VIDEO}")
    add_voice(check)

    train = add_verb("train", _train_job, "Learn one speaker from footage.", sight, span)
    train.add_argument("footage", help=f"the speaker's video: {_VIDEO}")
    train.add_argument("speaker", help="the .s2l file to write")
    train.add_argument("--name", default="Speaker", help="the speaker's name, kept in the file")
    add_voice(train)
    train.add_argument("--preset", choices=_choices(PresetName), default="balanced", help="how long to train")
    train.add_argument(
        "--architecture",
        choices=_choices(Architecture),
        help="of the lip model: the fast grids, an explicit decoder or the paper's network (default: the preset's)",
    )
    train.add_argument(
        "--speech",
        default="log-mel",
        metavar="NAME",
        help="'log-mel' (default), or the folder of a HuBERT or wav2vec 2.0 network: FOLDER or FOLDER#LAYER",
    )
    train.add_argument("--seed", type=int, default=0, help="the same seed gives the same speaker on the CPU")
    train.add_argument("--consent", action="store_true", help="the person in the footage agreed to it; required")
    train.add_argument("--any-sound", action="store_true", help="train although the lips do not move with the sound")

    faces = add_verb("faces", _faces_job, "Find the people in a video, to choose one with --face.", span)
    faces.add_argument("footage", help=f"the video: {_VIDEO}")
    faces.add_argument("pictures", help="the folder for a picture of each face")

    offset = add_verb("offset", _offset_job, "Measure by how much a sound comes after the lips.", sight, span)
    offset.add_argument("footage", help=f"the speaker's video: {_VIDEO}")
    add_voice(offset)

    dub = add_verb("dub", _dub_job, "Put new words into a speaker's mouth.", dubbing, hearing, sight, span)
    dub.add_argument("output", help="the .mp4, .mov or .mkv file, or the folder of pictures, to write")
    add_track(dub)
    dub.add_argument("--format", choices=_choices(Format), default="h264", help="how to write it (default: h264)")
    dub.add_argument("--crf", type=int, default=17, metavar="N", help="of H.264: lower is better (default: 17)")
    dub.add_argument(
        "--layer", choices=_choices(Layer), default="picture", help="whole pictures, or the mouth alone with alpha"
    )

    preview = add_verb("preview", _preview_job, "Dub one frame only.", dubbing, hearing, sight, span)
    preview.add_argument("picture", help="the PNG file to write")
    add_track(preview)
    preview.add_argument("--frame", type=int, default=0, metavar="N", help="of the dub (default: 0, the first)")

    evaluate = add_verb("evaluate", _evaluate_job, "Measure a speaker on the footage that it did not see.", hearing)
    evaluate.add_argument("speaker", help="the speaker's .s2l file")
    evaluate.add_argument("--footage", help="the training footage, where it has moved")
    evaluate.add_argument("--voice", help="its sound, where it is not in the video")
    evaluate.add_argument(
        "--landmarks", default="", metavar="TASK", help="the .task file that the speaker was trained with, if any"
    )

    describe = add_verb("describe", _describe_job, "Tell what a speaker file says about itself.")
    describe.add_argument("speaker", help="the speaker's .s2l file")
    describe.add_argument("--picture", default="", metavar="PNG", help="where to write the speaker's portrait")

    calibrate = add_verb("calibrate", _calibrate_job, "Measure how fast this machine is.")
    calibrate.add_argument("--anew", action="store_true", help="measure again what was measured before")

    heatmap = add_verb("heatmap", _heatmap_job, "Draw where a face moves, with its head and without.", sight, span)
    heatmap.add_argument("footage", help=f"the speaker's video: {_VIDEO}")
    heatmap.add_argument("--out", required=True, metavar="PNG", help="the picture to write")

    head = add_verb("head", _head_job, "Hand out the head: mesh, poses, expression and background.", sight, span)
    head.add_argument("speaker", help="the speaker's .s2l file")
    head.add_argument("footage", help=f"video of that speaker, as filmed or dubbed: {_VIDEO}")
    head.add_argument("--out", required=True, metavar="NPZ", help="the file to write; the background goes beside it")

    pose = add_verb("pose", _pose_job, "Film the talking head with another camera.", sight, span)
    pose.add_argument("--model", required=True, metavar="S2L", help="the speaker's .s2l file")
    movie = pose.add_mutually_exclusive_group(required=True)
    movie.add_argument("--footage", metavar="MOVIE", help=f"video of that speaker: {_VIDEO}")
    movie.add_argument(
        "--dub", dest="footage", metavar="MOVIE", help="such a video with new words, as s2l dub writes it"
    )
    pose.add_argument(
        "--camera", required=True, metavar="JSON", help="the camera's path, as nerfstudio's viewer exports"
    )
    pose.add_argument("--out", required=True, metavar="MP4", help="the movie to write")
    pose.add_argument("--no-background", action="store_true", help="put the head before black")
    pose.add_argument(
        "--no-fade", action="store_true", help="do not turn the head back where the footage never showed it like that"
    )
    return parser


def _choices(literal: Any) -> tuple[str, ...]:
    return tuple(literal.__args__)


def _info_job(options: argparse.Namespace) -> Job:
    return InfoJob(options.device)


def _check_job(options: argparse.Namespace) -> Job:
    return CheckJob(*_footage_and_voice(options), options.landmarks, options.device)


def _train_job(options: argparse.Namespace) -> Job:
    footage, voice = _footage_and_voice(options)
    return TrainJob(
        footage=footage,
        speaker_path=options.speaker,
        name=options.name,
        voice=voice,
        preset=options.preset,
        architecture=options.architecture,
        landmarks=options.landmarks,
        speech=options.speech,
        device=options.device,
        seed=options.seed,
        consent=options.consent,
        any_sound=options.any_sound,
    )


def _dub_job(options: argparse.Namespace) -> Job:
    return _dub(options, options.output, Encoding(options.format, options.crf, options.layer))


def _preview_job(options: argparse.Namespace) -> Job:
    return PreviewJob(_dub(options, "", Encoding()), options.frame, options.picture)


def _dub(options: argparse.Namespace, output_path: str, encoding: Encoding) -> DubJob:
    return DubJob(
        speaker_path=options.speaker,
        footage=_footage(options),
        voice=Media(options.voice, options.voice_start, options.voice_end, track=options.track),
        output_path=output_path,
        rate=options.rate,
        remainder=options.remainder,
        encoding=encoding,
        landmarks=options.landmarks,
        device=options.device,
        speech_network=options.speech_network,
    )


def _faces_job(options: argparse.Namespace) -> Job:
    return FacesJob(_footage(options), options.pictures, options.device)


def _offset_job(options: argparse.Namespace) -> Job:
    footage, voice = _footage_and_voice(options)
    return OffsetJob(footage, voice or footage, options.landmarks, options.device)


def _evaluate_job(options: argparse.Namespace) -> Job:
    footage, voice = _media(options.footage), _media(options.voice)
    return EvaluateJob(
        options.speaker, footage, voice, options.device, options.landmarks, speech_network=options.speech_network
    )


def _describe_job(options: argparse.Namespace) -> Job:
    return DescribeJob(options.speaker, options.picture, options.device)


def _calibrate_job(options: argparse.Namespace) -> Job:
    return CalibrateJob(options.anew, options.device)


def _heatmap_job(options: argparse.Namespace) -> Job:
    return HeatmapJob(_footage(options), options.out, options.landmarks, options.device)


def _head_job(options: argparse.Namespace) -> Job:
    return HeadJob(options.speaker, _footage(options), options.out, options.landmarks, options.device)


def _pose_job(options: argparse.Namespace) -> Job:
    return PoseJob(
        speaker_path=options.model,
        footage=_footage(options),
        camera_path=options.camera,
        output_path=options.out,
        background=not options.no_background,
        fade=not options.no_fade,
        landmarks=options.landmarks,
        device=options.device,
    )


def _footage(options: argparse.Namespace) -> Media:
    moment = () if options.face_at is None else (options.face_at,)
    face = (*options.face, *moment)
    return Media(options.footage, options.start, options.end, face, rate=options.footage_rate)


def _footage_and_voice(options: argparse.Namespace) -> tuple[Media, Media | None]:
    """The track is that of the voice, or of the footage where its own sound is meant."""
    footage = _footage(options)
    if options.voice is None:
        return replace(footage, track=options.track), None
    return footage, Media(options.voice, track=options.track)


def _media(path: str | None) -> Media | None:
    return None if path is None else Media(path)


@contextmanager
def cancelled_by_signal() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether Ctrl-C was pressed or the process was asked to end; a second time kills."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())

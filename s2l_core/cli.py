"""The verbs for a shell: ``s2l info | check | faces | offset | train | dub | still | preview | evaluate |
describe | consent | verify | sign | calibrate | heatmap | head | pose``, and ``plan | run | join | batch | emit`` for
several machines.

Exit status: 0 if the job is done; 1 if it failed, dubbed no frame or found a file that is not validly signed, if a plan
has unfinished tasks, or if the result could not be printed; 2 for wrong usage; 130 if it was cancelled (Ctrl-C). With
``--json``, stdout is exactly one JSON object, the result or ``{"error": {"code", "message", "hint"}}``, and each event
is a JSON object on a line of stderr, where libraries may print as well.
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
from typing import TYPE_CHECKING, Any, get_args

from . import standard_streams
from .consent_options import add_consent_details, consent_record_of_options
from .errors import BadJob, BadPlan, Cancelled, Speech2LipError
from .events import Report
from .execution import run_job
from .farm.commands import Work, add_commands
from .jobs import (
    Architecture,
    CalibrateJob,
    CheckJob,
    ConsentAction,
    ConsentJob,
    Depth,
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
    SignJob,
    StillJob,
    TrainJob,
    VerifyJob,
)
from .terminal import json_events, print_error, print_result, progress_bars
from .version import VERSION

if TYPE_CHECKING:
    _Verbs = argparse._SubParsersAction[argparse.ArgumentParser]

_VIDEO = "a movie file, a folder of numbered pictures, or a pattern such as FOLDER/shot.####.png"
DONE, FAILED, WRONG_USAGE, CANCELLED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    standard_streams.open_missing()
    try:
        options = build_parser().parse_args(arguments)
    except SystemExit as end:
        if standard_streams.flush_all() and end.code == DONE:  # the help text could not be printed
            return FAILED
        raise
    try:
        work: Work = options.make_work(options)
    except (BadJob, BadPlan) as error:
        print_error(error, options.json)
        return WRONG_USAGE
    except Speech2LipError as error:  # a file that the job contains cannot be read
        print_error(error, options.json)
        return FAILED
    display = json_events() if options.json else progress_bars()
    try:
        with cancelled_by_signal() as is_cancelled, display as listener:
            result = work(Report(listener, is_cancelled))
    except Speech2LipError as error:
        print_error(error, options.json)
        return CANCELLED if isinstance(error, Cancelled) else FAILED
    is_printed = print_result(result, options.json)
    is_complete = result.get("frames_dubbed") != 0 and not result.get("unfinished") and result.get("valid", True)
    return DONE if is_printed and is_complete else FAILED


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="s2l", description="Train a speaker's lips from footage, and dub that speaker with other speech."
    )
    parser.add_argument("--version", action="version", version=f"Speech2Lip {VERSION}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _add_verb(verbs, "info", _info_job, "Show versions, devices and landmark back-ends.")
    _add_check(verbs)
    _add_train(verbs)
    _add_faces(verbs)
    _add_offset(verbs)
    _add_dub(verbs)
    _add_still(verbs)
    _add_preview(verbs)
    _add_evaluate(verbs)
    _add_describe(verbs)
    _add_consent(verbs)
    _add_verify(verbs)
    _add_sign(verbs)
    _add_calibrate(verbs)
    _add_heatmap(verbs)
    _add_head(verbs)
    _add_pose(verbs)
    add_commands(lambda name, help_text: _add_command(verbs, name, help_text))
    return parser


# ---- Arguments that several verbs share


def _add_verb(
    verbs: _Verbs,
    name: str,
    make_job: Callable[[argparse.Namespace], Job],
    help_text: str,
    *parents: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    verb = _add_command(verbs, name, help_text, *parents, _device_arguments())

    def make_work(options: argparse.Namespace) -> Work:
        job = make_job(options)
        return lambda report: run_job(job, report)

    verb.set_defaults(make_work=make_work)
    return verb


def _add_command(
    verbs: _Verbs, name: str, help_text: str, *parents: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    command = verbs.add_parser(name, help=help_text, description=help_text, parents=[*parents])
    command.add_argument(
        "--json", action="store_true", help="print the result as one JSON object, and events as JSON lines to stderr"
    )
    return command


def _device_arguments() -> argparse.ArgumentParser:
    device = argparse.ArgumentParser(add_help=False)
    device.add_argument(
        "--device", choices=_choices(Device), default="auto", help="device to compute on (default: auto)"
    )
    return device


def _landmark_arguments() -> argparse.ArgumentParser:
    landmarks = argparse.ArgumentParser(add_help=False)
    landmarks.add_argument(
        "--landmarks",
        default="bundled",
        metavar="NAME",
        help="landmark back-end: 'bundled' (default), 'face-alignment' or the path of a .task file",
    )
    return landmarks


def _span_arguments() -> argparse.ArgumentParser:
    span = argparse.ArgumentParser(add_help=False)
    span.add_argument(
        "--footage-rate",
        default="",
        metavar="R",
        help="frame rate of a sequence of pictures, such as 24 or 30000/1001 (default: 25)",
    )
    span.add_argument("--start", type=float, default=0.0, metavar="S", help="start of the span to use, in seconds")
    span.add_argument(
        "--end", type=float, metavar="S", help="end of the span to use, in seconds (default: the footage's end)"
    )
    span.add_argument(
        "--face",
        type=float,
        nargs=2,
        default=(),
        metavar=("X", "Y"),
        help="position at which the speaker's face first appears, from 0 to 1 across and down "
        "(default: the face that is seen longest and largest)",
    )
    span.add_argument(
        "--face-at",
        type=float,
        metavar="S",
        help="second at which --face applies, if another face is at that position earlier",
    )
    return span


def _dubbing_arguments() -> argparse.ArgumentParser:
    dubbing = argparse.ArgumentParser(add_help=False)
    dubbing.add_argument("speaker", help="the speaker's .s2l file")
    dubbing.add_argument("footage", help=f"video of that speaker: {_VIDEO}")
    dubbing.add_argument("voice", help="the speech to dub: a sound file, or a video with sound")
    _add_voice_span(dubbing)
    dubbing.add_argument(
        "--rate", default="", help="frame rate of the output, such as 25 or 30000/1001 (default: the footage's)"
    )
    dubbing.add_argument(
        "--remainder",
        choices=_choices(Remainder),
        default="stop",
        help="if the footage is longer than the voice: stop with the voice (default), or keep the rest unchanged",
    )
    return dubbing


def _network_arguments() -> argparse.ArgumentParser:
    network = argparse.ArgumentParser(add_help=False)
    network.add_argument(
        "--speech-network",
        default="",
        metavar="FOLDER",
        help="folder of the speech network that a speaker file from another machine needs; it is remembered",
    )
    return network


def _add_voice_span(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--voice-start", type=float, default=0.0, metavar="S", help="start of the speech to use, in seconds"
    )
    verb.add_argument(
        "--voice-end", type=float, metavar="S", help="end of the speech to use, in seconds (default: the voice's end)"
    )


def _add_encoding(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("output", help="the .mp4, .mov or .mkv file, or the folder of pictures, to write")
    verb.add_argument("--format", choices=_choices(Format), default="h264", help="output format (default: h264)")
    verb.add_argument(
        "--crf",
        type=int,
        default=17,
        metavar="N",
        help="rate factor of H.264, from 0 to 51: lower gives better quality and larger files (default: 17)",
    )
    verb.add_argument(
        "--layer",
        choices=_choices(Layer),
        default="picture",
        help="what to write: whole pictures (default), or only the mouth with alpha",
    )


def _encoding(options: argparse.Namespace) -> Encoding:
    return Encoding(options.format, options.crf, options.layer)


def _add_voice(verb: argparse.ArgumentParser) -> None:
    """Sound that is not in the video, and which of several tracks."""
    verb.add_argument("--voice", help="the speaker's sound, if it is not in the video")
    _add_track(verb)


def _add_track(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--track",
        type=int,
        metavar="N",
        help="number of the sound track with the voice, from 1 (default: the first one that is not silent, "
        "tracks with the default flag first)",
    )


def _choices(literal: Any) -> tuple[str, ...]:
    return tuple(literal.__args__)


def _footage(options: argparse.Namespace) -> Media:
    moment = () if options.face_at is None else (options.face_at,)
    face = (*options.face, *moment)
    return Media(options.footage, options.start, options.end, face, rate=options.footage_rate)


def _footage_and_voice(options: argparse.Namespace) -> tuple[Media, Media | None]:
    """The footage and a separate voice. The track is that of the voice, or else that of the footage."""
    footage = _footage(options)
    if options.voice is None:
        return replace(footage, track=options.track), None
    return footage, Media(options.voice, track=options.track)


def _media(path: str | None) -> Media | None:
    return None if path is None else Media(path)


# ---- The verbs: the arguments of each, and the job that is made of them


def _info_job(options: argparse.Namespace) -> Job:
    return InfoJob(options.device)


def _add_check(verbs: _Verbs) -> None:
    description = "Judge footage before training on it."
    check = _add_verb(verbs, "check", _check_job, description, _landmark_arguments(), _span_arguments())
    check.add_argument("footage", help=f"the speaker's video: {_VIDEO}")
    _add_voice(check)


def _check_job(options: argparse.Namespace) -> Job:
    return CheckJob(*_footage_and_voice(options), options.landmarks, options.device)


def _add_train(verbs: _Verbs) -> None:
    description = "Train a speaker from footage."
    train = _add_verb(verbs, "train", _train_job, description, _landmark_arguments(), _span_arguments())
    train.add_argument("footage", help=f"the speaker's video: {_VIDEO}")
    train.add_argument("speaker", help="the .s2l file to write")
    train.add_argument("--name", default="Speaker", help="the speaker's name, which is stored in the file")
    _add_voice(train)
    train.add_argument(
        "--preset",
        choices=_choices(PresetName),
        default="balanced",
        help="duration of the training; longer gives better lips (default: balanced)",
    )
    train.add_argument(
        "--architecture",
        choices=_choices(Architecture),
        help="how lips are made: from real mouths of the footage (exemplars), or rendered by grids, an explicit "
        "decoder or the paper's network (default: the preset's)",
    )
    train.add_argument(
        "--speech",
        default="log-mel",
        metavar="NAME",
        help="speech features: 'log-mel' (default), or the folder of a HuBERT or wav2vec 2.0 network: FOLDER or "
        "FOLDER#LAYER",
    )
    train.add_argument("--seed", type=int, default=0, help="random seed; on the CPU, the same seed gives the same file")
    train.add_argument(
        "--consent", action="store_true", help="confirm that the person in the footage agreed to it; required"
    )
    add_consent_details(train)
    train.add_argument(
        "--any-sound", action="store_true", help="train even if the lips do not seem to move with the sound"
    )


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
        consent=options.consent or options.consent_record is not None,
        any_sound=options.any_sound,
        consent_record=consent_record_of_options(options, options.name),
    )


def _add_faces(verbs: _Verbs) -> None:
    description = "Find the people in a video or a picture, to choose one of them with --face."
    faces = _add_verb(verbs, "faces", _faces_job, description, _span_arguments())
    faces.add_argument("footage", help=f"the video, or a picture: {_VIDEO}")
    faces.add_argument("pictures", help="folder to which a picture of each face is written")


def _faces_job(options: argparse.Namespace) -> Job:
    return FacesJob(_footage(options), options.pictures, options.device)


def _add_offset(verbs: _Verbs) -> None:
    description = "Measure the delay of the sound after the lips."
    offset = _add_verb(verbs, "offset", _offset_job, description, _landmark_arguments(), _span_arguments())
    offset.add_argument("footage", help=f"the speaker's video: {_VIDEO}")
    _add_voice(offset)


def _offset_job(options: argparse.Namespace) -> Job:
    footage, voice = _footage_and_voice(options)
    return OffsetJob(footage, voice or footage, options.landmarks, options.device)


def _add_dub(verbs: _Verbs) -> None:
    description = "Dub a speaker with other speech."
    parents = (_dubbing_arguments(), _network_arguments(), _landmark_arguments(), _span_arguments())
    dub = _add_verb(verbs, "dub", _dub_job, description, *parents)
    _add_encoding(dub)
    _add_track(dub)


def _dub_job(options: argparse.Namespace) -> Job:
    return _dub(options, options.output, _encoding(options))


def _add_still(verbs: _Verbs) -> None:
    description = "Make one picture speak: a photograph, a painting, a render, or a frame of a movie."
    still = _add_verb(verbs, "still", _still_job, description, _network_arguments(), _landmark_arguments())
    still.add_argument("picture", help="the picture, or a movie of which one frame speaks")
    still.add_argument("voice", help="the speech: a sound file, or a video with sound")
    _add_encoding(still)
    still.add_argument("--at", type=float, default=0.0, metavar="S", help="second of the frame in a movie (default: 0)")
    still.add_argument(
        "--face",
        type=float,
        nargs=2,
        default=(),
        metavar=("X", "Y"),
        help="position of the face, from 0 to 1 across and down, if the picture shows several",
    )
    _add_voice_span(still)
    _add_track(still)
    still.add_argument("--rate", default="", help="frame rate of the output, such as 24 or 30000/1001 (default: 25)")
    still.add_argument(
        "--speaker",
        default="",
        metavar="S2L",
        help="a speaker file: the lips move as that speaker's do, and an opened mouth shows that speaker's teeth",
    )
    still.add_argument("--blinks", action="store_true", help="let the eyes blink")
    still.add_argument("--head-motion", action="store_true", help="move the head slightly, within a degree")
    still.add_argument("--seed", type=int, default=0, help="random seed of blinks and motion of the head")
    still.add_argument(
        "--frame", type=int, metavar="N", help="write only this frame, from 0, as a PNG file: a preview of the result"
    )
    still.add_argument(
        "--consent",
        action="store_true",
        help="confirm that the person in the picture agreed to it, or that nobody has to be asked; required",
    )
    add_consent_details(still)


def _still_job(options: argparse.Namespace) -> Job:
    is_preview = options.frame is not None
    still = StillJob(
        picture=Media(options.picture, options.at, face=tuple(options.face)),
        voice=Media(options.voice, options.voice_start, options.voice_end, track=options.track),
        output_path="" if is_preview else options.output,
        rate=options.rate,
        encoding=_encoding(options),
        speaker_path=options.speaker,
        blinks=options.blinks,
        head_motion=options.head_motion,
        landmarks=options.landmarks,
        device=options.device,
        seed=options.seed,
        speech_network=options.speech_network,
        consent=options.consent or options.consent_record is not None,
        consent_record=consent_record_of_options(options),
    )
    return PreviewJob(still, options.frame, options.output) if is_preview else still


def _add_preview(verbs: _Verbs) -> None:
    description = "Dub a single frame."
    parents = (_dubbing_arguments(), _network_arguments(), _landmark_arguments(), _span_arguments())
    preview = _add_verb(verbs, "preview", _preview_job, description, *parents)
    preview.add_argument("picture", help="the PNG file to write")
    _add_track(preview)
    preview.add_argument(
        "--frame", type=int, default=0, metavar="N", help="number of the frame in the dub, from 0 (default: 0)"
    )


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


def _add_evaluate(verbs: _Verbs) -> None:
    description = "Measure a speaker on the part of its footage that was held out from training."
    evaluate = _add_verb(verbs, "evaluate", _evaluate_job, description, _network_arguments())
    evaluate.add_argument("speaker", help="the speaker's .s2l file")
    evaluate.add_argument("--footage", help="the training footage, if it was moved")
    evaluate.add_argument("--voice", help="the sound of the training footage, if it is not in the video")
    evaluate.add_argument(
        "--landmarks", default="", metavar="TASK", help="the .task file that the speaker was trained with, if any"
    )


def _evaluate_job(options: argparse.Namespace) -> Job:
    footage, voice = _media(options.footage), _media(options.voice)
    return EvaluateJob(
        options.speaker, footage, voice, options.device, options.landmarks, speech_network=options.speech_network
    )


def _add_describe(verbs: _Verbs) -> None:
    describe = _add_verb(verbs, "describe", _describe_job, "Show the description in a speaker file.")
    describe.add_argument("speaker", help="the speaker's .s2l file")
    describe.add_argument("--picture", default="", metavar="PNG", help="file to which the portrait is written")


def _describe_job(options: argparse.Namespace) -> Job:
    return DescribeJob(options.speaker, options.picture, options.device)


def _add_consent(verbs: _Verbs) -> None:
    description = "List the records of consent in a folder of speaker files, show one, or revoke one."
    consent = _add_verb(verbs, "consent", _consent_job, description)
    consent.add_argument("action", choices=_choices(ConsentAction))
    consent.add_argument("path", help="a speaker file, the folder of speaker files, or its consent.s2l.json")
    consent.add_argument(
        "record",
        nargs="?",
        default="",
        help="with show and revoke: the record's hash, its first six digits or more, or the person's name; not needed "
        "with a speaker file",
    )
    consent.add_argument("--reason", default="", help="with revoke: why")


def _consent_job(options: argparse.Namespace) -> Job:
    return ConsentJob(options.action, options.path, options.record, options.reason, options.device)


def _add_verify(verbs: _Verbs) -> None:
    description = "Check content credentials: what is signed, by whom, whether it was changed, and its sources."
    verify = _add_verb(verbs, "verify", _verify_job, description)
    verify.add_argument("files", nargs="+", metavar="FILE", help="a file, or a folder of pictures")


def _verify_job(options: argparse.Namespace) -> Job:
    return VerifyJob(tuple(options.files), options.device)


def _add_sign(verbs: _Verbs) -> None:
    description = "Sign files that another program rendered from dubs, stills or heads."
    sign = _add_verb(verbs, "sign", _sign_job, description)
    sign.add_argument("files", nargs="+", metavar="FILE", help="a file, which is replaced by its signed version")
    sign.add_argument(
        "--source", action="append", default=[], metavar="FILE", help="a result that is seen in it; may be repeated"
    )


def _sign_job(options: argparse.Namespace) -> Job:
    return SignJob(tuple(options.files), tuple(options.source), options.device)


def _add_calibrate(verbs: _Verbs) -> None:
    calibrate = _add_verb(verbs, "calibrate", _calibrate_job, "Measure the speed of this machine.")
    calibrate.add_argument("--anew", action="store_true", help="measure again, even if it was measured before")


def _calibrate_job(options: argparse.Namespace) -> Job:
    return CalibrateJob(options.anew, options.device)


def _add_heatmap(verbs: _Verbs) -> None:
    description = "Draw where a face moves, with and without the motion of the head."
    heatmap = _add_verb(verbs, "heatmap", _heatmap_job, description, _landmark_arguments(), _span_arguments())
    heatmap.add_argument("footage", help=f"the speaker's video: {_VIDEO}")
    heatmap.add_argument("--out", required=True, metavar="PNG", help="the picture to write")


def _heatmap_job(options: argparse.Namespace) -> Job:
    return HeatmapJob(_footage(options), options.out, options.landmarks, options.device)


def _depth_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--depth",
        choices=get_args(Depth),
        default="learned",
        help="where the head's depth comes from: the training, or the mesh of the landmarks (default: learned)",
    )
    return parser


def _add_head(verbs: _Verbs) -> None:
    description = "Export the head: mesh, poses, expression curves and background."
    head = _add_verb(
        verbs, "head", _head_job, description, _landmark_arguments(), _span_arguments(), _depth_arguments()
    )
    head.add_argument("speaker", help="the speaker's .s2l file")
    head.add_argument("footage", help=f"video of that speaker, original or dubbed: {_VIDEO}")
    head.add_argument(
        "--out", required=True, metavar="NPZ", help="the file to write; the background is written beside it"
    )


def _head_job(options: argparse.Namespace) -> Job:
    return HeadJob(options.speaker, _footage(options), options.out, options.landmarks, options.device, options.depth)


def _add_pose(verbs: _Verbs) -> None:
    description = "Render the talking head along the path of another camera."
    pose = _add_verb(
        verbs, "pose", _pose_job, description, _landmark_arguments(), _span_arguments(), _depth_arguments()
    )
    pose.add_argument("--model", required=True, metavar="S2L", help="the speaker's .s2l file")
    movie = pose.add_mutually_exclusive_group(required=True)
    movie.add_argument("--footage", metavar="MOVIE", help=f"video of that speaker: {_VIDEO}")
    movie.add_argument(
        "--dub", dest="footage", metavar="MOVIE", help="dubbed video of that speaker, as written by s2l dub"
    )
    pose.add_argument(
        "--camera", required=True, metavar="JSON", help="the camera path, as exported by nerfstudio's viewer"
    )
    pose.add_argument("--out", required=True, metavar="MP4", help="the movie to write")
    pose.add_argument("--no-background", action="store_true", help="render the head on black")
    pose.add_argument(
        "--no-fade",
        action="store_true",
        help="do not limit the head's rotation to the range of poses that the footage shows",
    )


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
        depth=options.depth,
    )


@contextmanager
def cancelled_by_signal() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C was pressed or SIGTERM arrived; the second one kills the process."""
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

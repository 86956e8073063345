"""The main job through Blender, headless: a movie strip becomes a trained speaker, and that speaker says other words.

``python3 build.py demo`` calls this. Afterwards ``--out`` holds ``dubbed.mp4``, ``sheet.png`` (a contact sheet for
judging it), ``report.json`` (what was measured), the speaker's ``.s2l`` file and the movie that the dubbed strip shows.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.in_blender import dub_in_blender
from demo.sheet import Box, Moment, choose_moments, draw_sheet
from s2l_core.errors import Speech2LipError
from s2l_core.face.landmarks import open_detector
from s2l_core.face.layout import mouth_opening
from s2l_core.files import reserved
from s2l_core.jobs import Media
from s2l_core.media.audio import SPEECH_RATE, read_audio, read_speech
from s2l_core.media.video import VideoInfo, probe, read_frames

DEMO = Path(__file__).resolve().parent
MEASURES = ("mouth_psnr", "mean_image_psnr", "opening_correlation", "opening_ratio", "outside_mask_max_error")


def main() -> int:
    options = parse_arguments()
    try:
        report, half_frame_ms = run(options)
    except Speech2LipError as error:
        return fail(str(error))
    except RuntimeError as error:  # reported by an operator
        return fail(str(error).removeprefix("Error: ").strip())
    print(json.dumps(report, indent=2))
    print(f"The dubbed movie, its contact sheet and this report are in {options.out.resolve()}.")
    return fail(*out_of_bounds(report, half_frame_ms))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="build.py demo", description="Dub a speaker through Blender.")
    parser.add_argument("--video", type=Path, default=DEMO / "speaker.mp4", help="footage of one speaker")
    parser.add_argument("--audio", type=Path, default=DEMO / "line.flac", help="the words to say")
    parser.add_argument("--preset", choices=("draft", "balanced", "final"), default="balanced")
    parser.add_argument("--out", type=Path, default=DEMO.parent / "out" / "demo", metavar="DIR")
    parser.add_argument("--extension", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def run(options: argparse.Namespace) -> tuple[dict[str, Any], float]:
    """Run all steps; returns the report, and half the duration of a frame in milliseconds."""
    started = time.monotonic()
    footage, voice, out = probe(str(options.video.resolve())), options.audio.resolve(), options.out.resolve()
    sound, sound_rate = read_audio(Media(str(voice)))
    prepare_folder(out, Path(footage.path).stem, footage.path, str(voice))
    with tempfile.TemporaryDirectory() as user_folder:
        extension = options.extension.resolve()
        trained, dubbed = dub_in_blender(extension, Path(user_folder), footage, voice, options.preset, out, say)
    say("Measuring the rendered movie")
    lips = measure_lips(out / "dubbed.mp4")
    report = {
        "video": footage.path,
        "audio": str(voice),
        "preset": options.preset,
        "frames_expected": dubbed["frames_expected"],
        "frames_written": len(lips.times),
        "duration_error_ms": 1000 * (float(len(lips.times) / footage.rate) - len(sound) / sound_rate),
        **{key: trained[key] for key in ("prepare_seconds", "train_seconds", "speaker_file_bytes")},
        **{key: dubbed[key] for key in ("dub_seconds", "dub_fps")},
        **{key: trained["held_out"][key] for key in MEASURES},
        "measured": "a dub of the held-out span alone, with the defaults, before encoding",
    }
    moments = collect_moments(footage, out / "dubbed.mp4", lips)
    title = f"{Path(footage.path).stem}, dubbed with {voice.stem}"
    speech = read_speech(Media(str(voice)))
    sheet = draw_sheet(title, describe(footage, report), moments, lips.times, lips.openings, speech, SPEECH_RATE)
    sheet.save(out / "sheet.png")
    report["total_seconds"] = round(time.monotonic() - started, 1)
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return report, float(500 / footage.rate)


def prepare_folder(out: Path, speaker: str, *sources: str) -> None:
    """Make the output folder, and remove the results of an earlier run.

    Raises:
        CannotWrite: A source file has the name of a result.
    """
    out.mkdir(parents=True, exist_ok=True)
    results = (f"{speaker}.s2l", f"{speaker}_dubbed.mp4")
    records = (f"{name}.job.json" for name in results)
    paths = [out / name for name in ("dubbed.mp4", "sheet.png", "report.json", *results, *records)]
    for path in paths:
        with reserved(str(path), *sources):
            pass
    for path in paths:
        path.unlink(missing_ok=True)


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def fail(*sentences: str) -> int:
    """Print the sentences; returns the exit status."""
    for sentence in sentences:
        print(f"demo: {sentence}", file=sys.stderr)
    return 1 if sentences else 0


@dataclass(frozen=True)
class Lips:
    """The lips in each frame of a movie.

    Attributes:
        times: (N,) seconds.
        openings: (N,) inner-lip distance over face height, NaN without a face.
        boxes: N boxes around the lips in pixels; None without a face.
    """

    times: NDArray[np.float64]
    openings: NDArray[np.float64]
    boxes: list[Box | None]


def measure_lips(movie: Path) -> Lips:
    """Find the lips in each frame of a movie by the bundled landmarks."""
    detector = open_detector("bundled")
    times: list[float] = []
    openings: list[float] = []
    boxes: list[Box | None] = []
    for frame in read_frames(Media(str(movie))):
        face = detector.detect(frame.image)
        times.append(frame.time)
        if face is None:
            openings.append(math.nan)
            boxes.append(None)
        else:
            outline = face.points[detector.layout.lips_outer, :2].astype(float)
            (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
            openings.append(float(mouth_opening(face.points, detector.layout)))
            boxes.append((left, top, right, bottom))
    return Lips(np.array(times), np.array(openings), boxes)


def collect_moments(footage: VideoInfo, movie: Path, lips: Lips) -> list[Moment]:
    """The moments of the sheet, from the part in which the footage plays forwards."""
    reach = int((lips.times < footage.duration).sum())
    chosen = choose_moments(lips.openings[:reach])
    dubbed = read_at(movie, lips.times[chosen])
    source = read_at(Path(footage.path), lips.times[chosen])
    moments = zip(lips.times[chosen], source, dubbed, (lips.boxes[index] for index in chosen), strict=True)
    return [Moment(float(time), before, after, box) for time, before, after, box in moments if box]


def read_at(movie: Path, times: NDArray[np.float64]) -> list[NDArray[np.uint8]]:
    """The pictures shown at these ascending times."""
    pictures: list[NDArray[np.uint8]] = []
    previous = None
    for frame in read_frames(Media(str(movie))):
        while previous is not None and len(pictures) < len(times) and frame.time > times[len(pictures)] + 1e-3:
            pictures.append(previous)
        previous = frame.image
        if len(pictures) == len(times):
            break
    assert previous is not None
    return pictures + [previous] * (len(times) - len(pictures))


def describe(footage: VideoInfo, report: dict[str, Any]) -> list[str]:
    """The notes on the sheet."""
    return [
        f"Footage {Path(report['video']).name}, {footage.duration:.0f} s, {footage.width} x {footage.height} at "
        f"{float(footage.rate):.5g} frames per second. Voice {Path(report['audio']).name}. "
        f"Preset {report['preset']}, trained in {report['train_seconds']:.0f} s.",
        f"On held-out footage, dubbed by itself: mouth {report['mouth_psnr']:.1f} dB (mean image "
        f"{report['mean_image_psnr']:.1f} dB), opening of the mouth correlates with the real one at "
        f"{report['opening_correlation']:.2f}.",
    ]


def out_of_bounds(report: dict[str, Any], half_frame_ms: float) -> list[str]:
    """A sentence for each figure outside the bounds of a good run."""
    bounds = {
        "frames_written": (report["frames_expected"], report["frames_expected"]),
        "duration_error_ms": (-half_frame_ms, half_frame_ms),
        "outside_mask_max_error": (0, 0),
        "opening_correlation": (0.45, 1),
        "mouth_psnr": (report["mean_image_psnr"] + 0.2, math.inf),
    }
    return [
        f"{name} is {report[name]:.4g}; it must be between {least:.4g} and {most:.4g}."
        for name, (least, most) in bounds.items()
        if not least <= report[name] <= most
    ]


if __name__ == "__main__":
    sys.exit(main())

"""Render many people who speak, in short clips from which ``build.py glance --train`` learns skins, lips and beards.

    python demo/make_crowd.py --head PATH/ict_facekit.npz --out FOLDER

Needs bpy, PyAV, SciPy, OpenCV, espeak-ng and flite; the head is ICT-FaceKit (MIT licence), not part of this project.
The first picture of each person is rendered whole. Of the others, only what is around the mouth is rendered: nothing
else moves. People whose clip exists are skipped, so an interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import bpy
import numpy as np
from scipy.signal import resample_poly

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.lip_motion.voices import SENTENCES, VOICES, say
from demo.speaker import film, voice
from demo.speaker.close_up import insert, mouth_window
from demo.speaker.crowd import CAMERA, Stranger, draw_stranger
from demo.speaker.head import load_head
from demo.speaker.outfit import cap_and_shirt
from demo.speaker.scene import Pose, Stage
from demo.speaker.visemes import speech_weights
from s2l_core.speech.features import SAMPLE_RATE

_RATE = 25
_SENTENCES_EACH = 6
_LAMPS = ("key", "fill", "rim")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", type=Path, required=True, help="ict_facekit.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder of the clips")
    parser.add_argument("--people", type=int, default=24, help="number of people")
    parser.add_argument("--seconds", type=float, default=8.0, help="duration of each clip")
    parser.add_argument("--threads", type=int, default=2, help="processor threads")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    # In an order in which the first few people are as different as all are.
    for number in sorted(range(arguments.people), key=lambda number: f"{number:08b}"[::-1]):
        stranger = draw_stranger(number, arguments.people)
        path = arguments.out / f"{stranger.name}.mp4"
        if not path.exists():
            speech, weights = _speak(stranger, number, arguments.seconds)
            film.mux(_pictures(stranger, weights, arguments), path, Fraction(_RATE), speech, crf=14, preset="fast")
            print(path, flush=True)


def _speak(stranger: Stranger, number: int, seconds: float) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Samples (n,) at the rate of films, and the weights of the expressions in each picture."""
    lines = SENTENCES.read_text(encoding="utf-8").splitlines()
    chosen = tuple(lines[(number * _SENTENCES_EACH + index) % len(lines)] for index in range(_SENTENCES_EACH))
    speech, phonemes = say(chosen, VOICES[number % len(VOICES)], seed=200 + number)
    times = np.arange(int(min(seconds, len(speech) / SAMPLE_RATE) * _RATE)) / _RATE
    curves = {name: stranger.articulation * curve for name, curve in speech_weights(phonemes, times).items()}
    for name in ("mouthSmile_L", "mouthSmile_R"):
        curves[name] = curves[name] + stranger.smile
    samples = resample_poly(speech, voice.RATE, SAMPLE_RATE).astype(np.float32)
    return samples, [{name: float(curve[frame]) for name, curve in curves.items()} for frame in range(len(times))]


def _pictures(
    stranger: Stranger, weights: list[dict[str, float]], arguments: argparse.Namespace
) -> Iterator[np.ndarray]:
    head = load_head(arguments.head, stranger.identity_seed)
    stage = Stage(head, CAMERA, cap_and_shirt(head), complexion=stranger.complexion)
    bpy.context.scene.render.threads = arguments.threads
    for name, share in zip(_LAMPS, stranger.lamps, strict=True):
        bpy.data.lights[name].energy *= share
    pose = Pose(stranger.pose, stranger.pose)
    window = mouth_window(head, CAMERA, stranger.pose)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        whole = None
        for expression in weights:
            stage.render_frame(expression, pose, path, window=None if whole is None else window)
            picture = next(film.pictures([path]))
            whole = picture if whole is None else insert(picture, window, whole)
            yield whole


if __name__ == "__main__":
    main()

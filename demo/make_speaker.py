"""Make the embedded speaker: a rendered, talking head with its voice, a second voice's line, and the ground truth.

    python demo/make_speaker.py --head PATH/ict_facekit.npz --out demo

Needs bpy, PyAV, SciPy, OpenCV and the espeak-ng library; the head is ICT-FaceKit (MIT licence), not part of this
project. Rendered frames are kept in ``--frames``, so an interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.speaker import film, truth, voice
from demo.speaker.camera import Camera
from demo.speaker.head import load_head
from demo.speaker.performance import perform
from demo.speaker.scene import Stage

# From the Harvard sentences (IEEE Recommended Practice for Speech Quality Measurements, 1969).
SENTENCES = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It's easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls.",
    "The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck.",
    "The hogs were fed chopped corn and garbage.",
    "Four hours of steady work faced us.",
    "A large size in stockings is hard to sell.",
    "The boy was there when the sun rose.",
    "A rod is used to catch pink salmon.",
    "The source of the huge river is the clear spring.",
    "Kick the ball straight and follow through.",
    "Help the woman get back to her feet.",
    "A pot of tea helps to pass the evening.",
    "Smoky fires lack flame and heat.",
    "The soft cushion broke the man's fall.",
    "The salt breeze came across from the sea.",
    "The girl at the booth sold fifty bonds.",
)
LINE = (
    "The small pup gnawed a hole in the sock.",
    "The fish twisted and turned on the bent hook.",
    "Press the pants and sew a button on the vest.",
    "The beauty of the view stunned the young boy.",
)
SPEAKER_VOICE = voice.Voice("en-us+m3", rate=150, pitch=42, pitch_range=55)
LINE_VOICE = voice.Voice("en-gb-x-rp+f2", rate=145, pitch=48, pitch_range=60)
IDENTITY_SEED = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", type=Path, required=True, help="ict_facekit.npz")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the results")
    parser.add_argument("--frames", type=Path, default=Path(tempfile.gettempdir()) / "speaker_frames")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    speech = voice.recite(SENTENCES, SPEAKER_VOICE, seed=1)
    line = voice.recite(LINE, LINE_VOICE, seed=2)
    soundfile.write(arguments.out / "line.flac", line.samples, voice.RATE, subtype="PCM_16")

    head, camera, performance = load_head(arguments.head, IDENTITY_SEED), Camera(), perform(speech)
    print(f"{len(performance)} frames, {speech.duration:.1f} s; the line lasts {line.duration:.1f} s", flush=True)
    truth.write(arguments.out / "truth.npz", head, camera, performance)
    frames = film.render(Stage(head, camera), performance, arguments.frames)
    film.mux(frames, arguments.out / "speaker.mp4", speech)


if __name__ == "__main__":
    main()

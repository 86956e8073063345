"""Make a rendered speaker: a talking head with its voice, and the ground truth.

With the embedded speaker comes a line by a second voice.

    python demo/make_speaker.py --head PATH/ict_facekit.npz --person haired_speaker

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
from demo.speaker.people import EMBEDDED, PEOPLE, folder_of
from demo.speaker.performance import perform
from demo.speaker.scene import Stage

# From the Harvard sentences (IEEE Recommended Practice for Speech Quality Measurements, 1969).
LINE = (
    "The small pup gnawed a hole in the sock.",
    "The fish twisted and turned on the bent hook.",
    "Press the pants and sew a button on the vest.",
    "The beauty of the view stunned the young boy.",
)
LINE_VOICE = voice.Voice("en-gb-x-rp+f2", rate=145, pitch=48, pitch_range=60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", type=Path, required=True, help="ict_facekit.npz")
    parser.add_argument("--person", choices=PEOPLE, default=EMBEDDED.name)
    parser.add_argument("--out", type=Path, help="folder of the results (default: the person's)")
    parser.add_argument("--frames", type=Path, help="folder of rendered frames")
    arguments = parser.parse_args()
    person = PEOPLE[arguments.person]
    out = arguments.out or folder_of(person)
    out.mkdir(parents=True, exist_ok=True)

    speech = voice.recite(person.sentences, person.voice, person.speech_seed)
    if person is EMBEDDED:
        line = voice.recite(LINE, LINE_VOICE, seed=2)
        soundfile.write(out / "line.flac", line.samples, voice.RATE, subtype="PCM_16")

    head, camera, performance = load_head(arguments.head, person.identity_seed), Camera(), perform(speech, person)
    print(f"{len(performance)} frames, {speech.duration:.1f} s", flush=True)
    outfit = person.dress(head)
    truth.write(out / "truth.npz", person, truth.HeadCaster(head, outfit), camera, performance)
    folder = arguments.frames or Path(tempfile.gettempdir()) / f"{person.name}_frames"
    frames = film.render(Stage(head, camera, outfit), performance, folder)
    film.mux(film.pictures(frames), out / f"{person.name}.mp4", person.frame_rate, speech.samples)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Train a speaker and let it say a new line.

    python train_and_dub.py take.mp4 line.wav results --consent

The Python that runs it is the engine's, in which ``s2l_core`` is installed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import s2l_core
from s2l_core.jobs import DubJob, Media, TrainJob


def train_and_dub(footage: Media, line: Media, folder: Path, consent: bool) -> tuple[str, str]:
    """Write ``anna.s2l`` and ``dubbed.mp4`` into a folder, and return their paths."""
    # A job is a plain object: everything that the work needs, and nothing else.
    # "draft" takes minutes and shows whether the footage is suitable; "balanced" and "final" give better lips.
    # Without the consent of the person in the footage, nothing is trained.
    training = TrainJob(footage, str(folder / "anna.s2l"), name="Anna", preset="draft", consent=consent)
    trained = s2l_core.train(training)

    # The last tenth of the footage is held out; the generated lips are compared with the real ones there.
    held_out = trained["held_out"]
    print(f"Trained {trained['name']} on {trained['frames']} frames in {trained['train_seconds']:.0f} s.")
    print(f"On held-out footage, the lips match the real ones to {held_out['mouth_psnr']:.1f} dB.")

    # A speaker is trained once and dubbed as often as you like. The result is as long as the line.
    dubbing = DubJob(training.speaker_path, footage, line, str(folder / "dubbed.mp4"))
    print(s2l_core.dub(dubbing)["summary"])
    return training.speaker_path, dubbing.output_path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train a speaker and let it say a new line.")
    parser.add_argument("footage", help="a minute or more of the speaker")
    parser.add_argument("line", help="a recording of the new words")
    parser.add_argument("folder", type=Path, help="where the results are written")
    parser.add_argument("--consent", action="store_true", help="the person in the footage has agreed")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    train_and_dub(Media(options.footage), Media(options.line), options.folder, options.consent)

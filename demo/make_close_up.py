"""Make clips of the embedded speaker with more lines: 16:9, the mouth 400 pixels wide for 2160 lines.

    python demo/make_close_up.py --head PATH/ict_facekit.npz --lines 1080 2160 --out FOLDER

The mouth with a wide margin is rendered at that size; what is around it is the clip of the repository, enlarged,
since only mouths are measured. A mouth of 2160 lines takes 5 s of one core, and a whole picture would take 90 s.
Needs bpy; the head is ICT-FaceKit (MIT licence), not part of this project. Rendered mouths are kept, so an
interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.speaker import close_up, film
from demo.speaker.head import load_head
from demo.speaker.people import EMBEDDED, folder_of
from demo.speaker.performance import recorded
from demo.speaker.scene import Stage
from s2l_core.jobs import Media
from s2l_core.media.audio import read_audio
from s2l_core.media.video import read_frames


def make_close_ups(head_path: Path, sizes: Sequence[int], seconds: float, every: int, folder: Path) -> None:
    """Write the clips that ``folder`` does not hold yet, ``speaker_LINES.mp4``. Mouths are rendered for the largest of
    them, and its pictures are reduced to the other sizes.

    Args:
        head_path: ``ict_facekit.npz``.
        sizes: Heights of the pictures.
        seconds: Length of the clips.
        every: Which frames of the embedded clip are shown: all (1), every second one (2), and so on.
        folder: Folder of the clips, and of rendered mouths.
    """
    person, source, lines = EMBEDDED, folder_of(EMBEDDED), max(sizes)
    missing = [size for size in sizes if not clip_path(folder, size).exists()]
    if not missing:
        return
    with np.load(source / "truth.npz", allow_pickle=False) as truth:
        count = min(len(truth["pose"]), round(seconds * float(person.frame_rate)))
        performance = recorded(truth, person, np.arange(0, count, every))
    head, camera = load_head(head_path, person.identity_seed), close_up.camera_of(lines)
    windows = [close_up.mouth_window(head, camera, pose) for pose in performance.poses]
    stage = Stage(head, camera, person.dress(head), close_up=True)
    mouths = film.render(stage, performance, folder / f"mouths_{lines}_{every}", windows)

    media = Media(str(source / f"{person.name}.mp4"))
    samples, _ = read_audio(media)
    for size in missing:
        clip = close_up.camera_of(size)
        small = itertools.islice(read_frames(media), 0, count, every)
        joined = (
            close_up.insert(mouth, window, close_up.enlarge(frame.image, camera))
            for frame, mouth, window in zip(small, film.pictures(mouths), windows, strict=True)
        )
        scaled = (cv2.resize(picture, (clip.width, clip.height), interpolation=cv2.INTER_AREA) for picture in joined)
        film.mux(scaled, clip_path(folder, size), person.frame_rate / every, samples[:, 0])


def clip_path(folder: Path, lines: int) -> Path:
    """The clip with a number of lines."""
    return folder / f"speaker_{lines}.mp4"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", type=Path, required=True, help="ict_facekit.npz")
    parser.add_argument("--lines", type=int, nargs="+", required=True, help="heights of the pictures")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the clips (default: 20)")
    parser.add_argument("--every", type=int, default=2, help="show every N-th frame of the embedded clip (default: 2)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the clips")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    make_close_ups(arguments.head, arguments.lines, arguments.seconds, arguments.every, arguments.out)


if __name__ == "__main__":
    main()

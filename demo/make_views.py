"""Render the embedded speaker from novel angles: ``views.mp4`` and ``views.npz``, see :mod:`demo.speaker.views`.

    python demo/make_views.py --head PATH/ict_facekit.npz --out demo

Takes the clip's performance from ``truth.npz`` in the same folder; needs what ``make_speaker.py`` needs, except for
espeak-ng. Rendered frames are kept in ``--frames``, so an interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.make_speaker import IDENTITY_SEED
from demo.speaker import film
from demo.speaker.camera import SIZE, Camera
from demo.speaker.head import load_head
from demo.speaker.scene import Stage
from demo.speaker.truth import HeadCaster
from demo.speaker.views import FRAMES, TURNS, pose_views

CRF = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", type=Path, required=True, help="ict_facekit.npz")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the clip and the results")
    parser.add_argument("--frames", type=Path, default=Path(tempfile.gettempdir()) / "speaker_views")
    arguments = parser.parse_args()

    with np.load(arguments.out / "truth.npz", allow_pickle=False) as truth:
        performance = pose_views(truth)
    head, camera = load_head(arguments.head, IDENTITY_SEED), Camera()
    frames = film.render(Stage(head, camera), performance, arguments.frames)
    film.mux(frames, arguments.out / "views.mp4", crf=CRF)

    caster, views = HeadCaster(head), (len(FRAMES), len(TURNS))
    depth = np.stack([caster.depth(camera, performance, view) for view in range(len(performance))])
    unfinished = arguments.out / "unfinished_views.npz"
    np.savez_compressed(
        unfinished,
        frame=np.array(FRAMES),
        angle=np.array(list(TURNS)),
        pose=performance.poses.reshape(*views, 4, 4),
        depth=np.round(depth).astype(np.uint16).reshape(*views, SIZE, SIZE),
    )
    unfinished.rename(arguments.out / "views.npz")


if __name__ == "__main__":
    main()

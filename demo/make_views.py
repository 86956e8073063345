"""Render a speaker from novel angles: ``views.mp4`` and ``views.npz``, see :mod:`demo.speaker.views`.

    python demo/make_views.py --head PATH/ict_facekit.npz --person haired_speaker

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

from demo.speaker import film
from demo.speaker.camera import SIZE, Camera
from demo.speaker.head import load_head
from demo.speaker.people import EMBEDDED, PEOPLE, folder_of
from demo.speaker.scene import Stage
from demo.speaker.truth import HeadCaster
from demo.speaker.views import TURNS, pose_views

CRF = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", type=Path, required=True, help="ict_facekit.npz")
    parser.add_argument("--person", choices=PEOPLE, default=EMBEDDED.name)
    parser.add_argument("--out", type=Path, help="folder of the clip and the results (default: the person's)")
    parser.add_argument("--frames", type=Path, help="folder of rendered frames")
    arguments = parser.parse_args()
    person = PEOPLE[arguments.person]
    out = arguments.out or folder_of(person)

    with np.load(out / "truth.npz", allow_pickle=False) as truth:
        performance = pose_views(truth, person)
    head, camera = load_head(arguments.head, person.identity_seed), Camera()
    outfit = person.dress(head)
    folder = arguments.frames or Path(tempfile.gettempdir()) / f"{person.name}_views"
    frames = film.render(Stage(head, camera, outfit), performance, folder)
    film.mux(film.pictures(frames), out / "views.mp4", person.frame_rate, crf=CRF)

    caster, views = HeadCaster(head, outfit), (len(person.moments), len(TURNS))
    depth = np.stack([caster.depth(camera, performance, view) for view in range(len(performance))])
    unfinished = out / "unfinished_views.npz"
    np.savez_compressed(
        unfinished,
        frame=np.array(person.moments),
        angle=np.array(list(TURNS)),
        pose=performance.poses.reshape(*views, 4, 4),
        depth=np.round(depth).astype(np.uint16).reshape(*views, SIZE, SIZE),
    )
    unfinished.rename(out / "views.npz")


if __name__ == "__main__":
    main()

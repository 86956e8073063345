"""Make the motion of lips of the library from people of the corpus GRID, and from synthetic voices with ICT-FaceKit.

    python demo/make_lip_motion.py --long PATH/grid_s1_1200s.mp4 --people PATH/grid_people
        --landmarks PATH/face_landmarker.task --head PATH/ict_facekit.npz

GRID (CC BY 4.0), MediaPipe's landmarks (Apache-2.0) and ICT-FaceKit (MIT) are not part of this project. The programs
espeak-ng and flite are needed. The same input gives the same file. ``benchmarks.glancing.motion`` measures what is
learnt on people who are left out.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.lip_motion.corpus import add_corpus_options, read_corpus, study
from s2l_core.events import Report
from s2l_core.files import write_whole
from s2l_core.stills.lip_motion import KEY
from s2l_core.tensor_file import pack

_FIELDS = {"learnt from": "GRID (CC BY 4.0); ICT-FaceKit (MIT) with synthetic voices of espeak-ng and flite"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus_options(parser)
    default = Path(__file__).resolve().parents[1] / "s2l_core/stills/lip_motion.safetensors"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recordings = read_corpus(arguments, Report())
    learnt = study(recordings, Report()).fit()
    content = pack({name: torch.from_numpy(values) for name, values in asdict(learnt).items()}, KEY, _FIELDS)
    write_whole(str(arguments.out), content)
    print(f"{sum(len(each.times) for each in recordings)} pictures, {len(content) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()

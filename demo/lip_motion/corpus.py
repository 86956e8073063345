"""All recordings from which the motion of lips is learnt, with features of their speech; both are kept in the cache."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from s2l_core.cache import Cache
from s2l_core.events import Report
from s2l_core.fingerprints import fingerprint_file
from s2l_core.jobs import Media
from s2l_core.media.audio import read_speech
from s2l_core.speech.features import normalise_loudness
from s2l_core.speech.moonshine import open_moonshine
from s2l_core.speech.sources import SpeechSource
from s2l_core.stills.lip_shape import lip_offsets

from .recordings import Recording, landmarks_of
from .regression import Study
from .voices import synthetic_recordings

_SAME_PERSON = {"pwij3p_same_man_swwp2s": "pwij3p"}
"""Person of clips that are not the first of a person, by the names of the clips."""
_OF_THE_LONG_CLIP = ("bbaf2n",)
"""Short clips of the person in the long clip, from which nothing new is learnt."""
_LONG_SECONDS = 800.0
"""Duration of the part of the long clip that is learnt: more of one man tells little about others."""


def add_corpus_options(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """The options that name the data."""
    parser.add_argument("--long", type=Path, required=required, help="grid_s1_1200s.mp4: 20 minutes of a man of GRID")
    parser.add_argument(
        "--people", type=_folder, required=required, help="folder of short clips of other people of GRID"
    )
    parser.add_argument("--landmarks", required=required, help="MediaPipe's face_landmarker.task")
    parser.add_argument("--head", type=Path, required=required, help="ict_facekit.npz")


def _folder(name: str) -> Path:
    if not Path(name).is_dir():
        raise argparse.ArgumentTypeError(f"{name} is not a folder")
    return Path(name)


def read_corpus(options: argparse.Namespace, report: Report) -> list[Recording]:
    """All recordings: the long clip, the short ones by name, and the synthetic voices."""
    clips = [Media(str(options.long), end=_LONG_SECONDS)]
    clips += [Media(str(path)) for path in sorted(options.people.iterdir()) if path.stem not in _OF_THE_LONG_CLIP]
    real = [read_recording(clip, options.landmarks, report) for clip in clips]
    return [*real, *synthetic_recordings(options.head)]


def read_recording(media: Media, landmarks: str, report: Report) -> Recording:
    """A film of one person, with the landmarks of a back-end, see :func:`s2l_core.face.landmarks.open_detector`.

    The bundled landmarks tell little of the motion of the inner lips: on a rendered head with known shapes, the
    standard deviation of the opening is 51 % of the true one, and 85 % with MediaPipe's ``face_landmarker.task``.
    """
    cache = Cache.of("lip_motion", fingerprint_file(media.path), media.start, media.end, landmarks)

    def find() -> dict[str, torch.Tensor]:
        times, points = landmarks_of(media, landmarks, report)
        return {"times": torch.from_numpy(times), "points": torch.from_numpy(points)}

    found = cache.get_or_compute("landmarks", find)
    name = Path(media.path).stem
    offsets = lip_offsets(found["points"].numpy())
    return Recording(name, _SAME_PERSON.get(name, name), read_speech(media), found["times"].numpy(), offsets, True)


def study(recordings: Sequence[Recording], report: Report) -> Study:
    """Regressions of all recordings on states of Moonshine."""
    return Study(recordings, [_features(each.speech, open_moonshine(), report) for each in recordings])


def _features(speech: NDArray[np.float32], source: SpeechSource, report: Report) -> NDArray[np.float32]:
    """Rows (m, bands) of features of speech at normal loudness."""
    cache = Cache.of("lip_motion", speech, source.name)

    def hear() -> dict[str, torch.Tensor]:
        return {"rows": torch.from_numpy(source.features(normalise_loudness(speech), report))}

    return cache.get_or_compute("features", hear)["rows"].numpy()

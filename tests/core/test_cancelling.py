"""A job stops wherever it is: whatever grows with pixels or seconds asks again and again whether it was cancelled.

No time is measured here. What counts is that what lies between two questions is bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from s2l_core.errors import Cancelled
from s2l_core.events import Report, checkpoint
from s2l_core.execution import run_job
from s2l_core.fingerprints import hash_file
from s2l_core.geometry import splatting
from s2l_core.geometry.camera import Intrinsics
from s2l_core.jobs import Encoding, FacesJob, Media, Mix, Sound
from s2l_core.media.audio import SPEECH_RATE, measure_level, read_speech
from s2l_core.media.mix import mix, read_context
from s2l_core.media.video import read_frames
from s2l_core.media.waveform import Waveform
from s2l_core.media.writing import VideoWriter
from s2l_core.model import blend
from s2l_core.model.speaker import SpeakerModel
from s2l_core.speech.encoder import SpeechEncoder
from s2l_core.speech.features import log_mel
from s2l_core.speech.silence import measure_levels
from s2l_core.verbs.pose import to_layers
from s2l_core.whole_head.plate import fill
from s2l_core.whole_head.reposing import View
from s2l_core.whole_head.surface import HeadSurface

from .conftest import EmbeddedHead

MovieFormat = Literal["h264", "prores", "ffv1"]

SECONDS = 60.0
SPEECH = np.random.default_rng(0).normal(0.0, 0.1, round(SECONDS * SPEECH_RATE)).astype(np.float32)


class Patience:
    """Counts how often it is asked whether a job was cancelled, and says so from some question on."""

    def __init__(self, until: float = np.inf) -> None:
        self.asked, self._until = 0, until

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked > self._until


def questions(work: Callable[[], object]) -> int:
    """How often work asks whether it was cancelled, and that it stops where it was: at the first, or in the middle."""
    patience = Patience()
    with Report(is_cancelled=patience).running():
        work()
    for until in (0, patience.asked // 2):
        with Report(is_cancelled=Patience(until)).running(), pytest.raises(Cancelled):
            work()
    return patience.asked


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sixty frames, with a minute of sound."""
    path = str(tmp_path_factory.mktemp("movie") / "movie.mkv")
    sound = Waveform.of(SPEECH[:, None], SPEECH_RATE)
    with VideoWriter(path, 64, 48, Fraction(25), sound=sound, encoding=Encoding("ffv1")) as writer:
        for _ in range(60):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    return path


SOUND: dict[str, Callable[[str], object]] = {
    "speech": lambda path: read_speech(Media(path)),
    "what is around a voice": lambda path: read_context(Media(path)),
    "a mix": lambda path: mix(Mix(SECONDS, (Sound(path, 0.0, SECONDS, (0.0, SECONDS)),))).samples(),
    "a retimed mix": lambda path: mix(Mix(SECONDS, (Sound(path, 0.0, SECONDS, (0.0, 50.0)),))).samples(),
    "log-mel": lambda path: log_mel(SPEECH),
    "levels": lambda path: measure_levels(SPEECH),
    "quality": lambda path: measure_level(SPEECH, SPEECH_RATE),
}


@pytest.mark.parametrize("what", SOUND)
def test_sound_asks_for_each_twenty_seconds(movie: str, what: str) -> None:
    assert questions(lambda: SOUND[what](movie)) >= SECONDS / 20


def test_codes_ask_for_each_minute() -> None:
    encoder = SpeechEncoder(8).eval()
    assert questions(lambda: encoder.track(torch.zeros(24_100, 80))) >= 4


def test_pictures_ask_for_each_frame(movie: str) -> None:
    assert questions(lambda: list(read_frames(Media(movie)))) >= 60


@pytest.mark.parametrize("form", ["h264", "ffv1", "prores"])
def test_writing_asks_for_each_frame_and_for_those_that_the_encoder_holds(tmp_path: Path, form: MovieFormat) -> None:
    suffix = {"h264": "mp4", "ffv1": "mkv", "prores": "mov"}[form]

    def write() -> None:
        with VideoWriter(str(tmp_path / f"a.{suffix}"), 64, 48, Fraction(25), encoding=Encoding(form)) as writer:
            for _ in range(60):
                writer.write(np.zeros((48, 64, 3), np.uint8))

    assert questions(write) >= 60
    assert not list(tmp_path.glob("*partial*"))


def test_hashing_asks_for_each_megabyte(tmp_path: Path) -> None:
    path = tmp_path / "film.mov"
    path.write_bytes(bytes(20 << 20))
    assert questions(lambda: hash_file(str(path))) >= 20


@pytest.fixture
def small_bands(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many pixels are computed together: fewer than else, to have enough of them in a small picture."""
    for module in (splatting, blend):
        monkeypatch.setattr(module, "_BAND_PIXELS", 20_000)
    return 20_000


def test_a_render_asks_for_each_band_of_pixels_and_points(embedded_head: EmbeddedHead, small_bands: int) -> None:
    head = SpeakerModel.load(embedded_head.speaker_path, torch.device("cpu")).face.head
    shape, pose, side = HeadSurface(head), head.view.pose[None].float(), 384
    camera = Intrinsics(2.0 * side, 2.0 * side, side / 2, side / 2, side, side)
    observed = Intrinsics(128.0, 128.0, 32.0, 32.0, 64, 64)
    with torch.no_grad():
        asked = questions(lambda: splatting.warp(shape, torch.zeros(1, 3, 64, 64), observed, pose, camera, pose))
    assert asked >= 4 * side * side / small_bands


def test_what_is_painted_on_a_render_asks_for_each_band(small_bands: int) -> None:
    net = blend.BlendNet()
    with torch.no_grad():
        asked = questions(lambda: blend.blend_padded(net, torch.zeros(1, 3, 400, 400), torch.zeros(1, 1, 400, 400)))
    assert asked >= 400 * 400 / small_bands


def test_layers_and_plates_ask_for_each_band(small_bands: int) -> None:
    side = 400
    plane = np.zeros((side, side), np.float32)
    view = View(np.zeros((side, side, 3), np.float32), plane, plane, plane)
    assert questions(lambda: to_layers(view)) >= side * side / small_bands
    known = np.ones((side, side), bool)
    known[190:210, 190:210] = False
    assert questions(lambda: fill(np.zeros((side, side, 3), np.uint8), known)) >= side * side / small_bands


def test_bands_change_no_number(embedded_head: EmbeddedHead, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a render, what is painted on it, and a plate."""
    head = SpeakerModel.load(embedded_head.speaker_path, torch.device("cpu")).face.head
    shape, pose = HeadSurface(head), head.view.pose[None].float()
    camera, observed = Intrinsics(400.0, 400.0, 150.0, 90.0, 301, 181), Intrinsics(128.0, 128.0, 32.0, 32.0, 64, 64)
    torch.manual_seed(0)
    net, picture = blend.BlendNet(), torch.rand(1, 3, 64, 64)
    torch.nn.init.normal_(net.residual.weight)
    known = torch.rand(301, 181).numpy() > 0.5

    def all_of_them() -> list[torch.Tensor]:
        with torch.no_grad():
            warped = splatting.warp(shape, picture, observed, pose, camera, pose)
            painted = blend.blend_padded(
                net, torch.rand(1, 3, 700, 40, generator=torch.Generator().manual_seed(1)), holes
            )
        plate = fill((255 * torch.rand(301, 181, 3, generator=torch.Generator().manual_seed(2))).byte().numpy(), known)
        return [warped.pictures, warped.seen, warped.source, *warped.buffers, painted, torch.from_numpy(plate)]

    holes = (torch.rand(1, 1, 700, 40) > 0.5).float()
    whole = all_of_them()
    for module in (splatting, blend):
        monkeypatch.setattr(module, "_BAND_PIXELS", 2_000)
    for one, other in zip(whole, all_of_them(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_job_that_was_cancelled_stops_at_its_first_checkpoint(movie: str, tmp_path: Path) -> None:
    patience = Patience(3)
    with pytest.raises(Cancelled):
        run_job(FacesJob(Media(movie), str(tmp_path)), Report(is_cancelled=patience))
    assert patience.asked == 4


def test_outside_of_jobs_nothing_is_asked() -> None:
    patience = Patience(0)
    with suppress(Cancelled), Report(is_cancelled=patience).running():
        checkpoint()
    assert patience.asked == 1
    checkpoint()

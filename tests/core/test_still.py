"""One picture says a line: what is written, what is kept, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

import s2l_core
from s2l_core.errors import (
    BadJob,
    Cancelled,
    ConsentMissing,
    FaceTooSmall,
    FaceTurnedAway,
    NoFace,
    NotAVideo,
    SeveralFaces,
)
from s2l_core.events import Event, Progress, Report
from s2l_core.jobs import Encoding, EstimateJob, Media, PreviewJob, StillJob
from s2l_core.media.video import probe, read_frames
from s2l_core.stills import portrait as find_portrait_module

from .conftest import CLIP

LINE = CLIP.with_name("line.flac")


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "anna.png"
    cv2.imwrite(str(path), next(read_frames(Media(str(CLIP), 0.2))).image[..., ::-1])
    return path


@pytest.fixture
def job(picture: Path, tmp_path: Path) -> StillJob:
    """A second and a half of a line."""
    return StillJob(
        Media(str(picture)), Media(str(LINE), 1.0, 2.5), str(tmp_path / "speaks.mp4"), device="cpu", consent=True
    )


def pictures(folder: str) -> list[np.ndarray]:
    read = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(Path(folder).glob("*.png"))]
    return [each for each in read if each is not None]


def test_a_picture_says_a_line_that_is_as_long_as_the_voice(job: StillJob, picture: Path) -> None:
    result = s2l_core.still(job)
    info = probe(job.output_path)
    assert (info.width, info.height, float(info.rate), info.has_sound) == (384, 384, 25.0, True)
    assert result["frames_written"] == result["frames_expected"] == 38
    assert abs(result["duration_error_ms"]) <= 20.001
    assert result["mouth_inside"] == "included" and result["warnings"] == []
    assert b"Synthetic media: a picture" in Path(job.output_path).read_bytes()


def test_outside_of_the_stated_box_every_frame_is_the_picture(job: StillJob, picture: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "frames")
    result = s2l_core.still(replace(job, output_path=folder, encoding=Encoding("png")))
    left, top, right, bottom = result["changed_box"]
    original, frames = cv2.imread(str(picture)), pictures(folder)
    assert original is not None and len(frames) == 38
    changes = [(frame != original).any(axis=2) for frame in frames]
    assert max(change.mean() for change in changes) > 0.02
    for change in changes:
        change[top:bottom, left:right] = False
        assert not change.any()


def test_an_overlay_laid_over_the_picture_is_the_whole_frame(job: StillJob, picture: Path, tmp_path: Path) -> None:
    whole, layer = str(tmp_path / "whole"), str(tmp_path / "layer")
    s2l_core.still(replace(job, output_path=whole, encoding=Encoding("png")))
    s2l_core.still(replace(job, output_path=layer, encoding=Encoding("png", layer="mouth")))
    original = cv2.imread(str(picture))
    assert original is not None
    for frame, over in zip(pictures(whole)[::6], pictures(layer)[::6], strict=True):
        alpha = over[..., 3:] / 255.0
        laid = alpha * over[..., :3] + (1 - alpha) * original
        assert np.abs(laid - frame).mean() < 0.05
        assert not over[:100].any()


def test_the_mouth_is_closed_in_silence(job: StillJob, tmp_path: Path) -> None:
    speech, rate = soundfile.read(LINE, stop=48_000)
    sound, folder = tmp_path / "pause.wav", str(tmp_path / "frames")
    soundfile.write(sound, np.concatenate([speech[:rate], np.zeros(rate)]), rate)
    s2l_core.still(replace(job, voice=Media(str(sound)), output_path=folder, encoding=Encoding("png")))
    frames = pictures(folder)
    rest = cv2.imread(job.picture.path)
    assert rest is not None
    change = [np.abs(frame.astype(int) - rest).mean() for frame in frames]
    assert max(change[:25]) > 20 * max(change[-12:])


def test_a_preview_is_the_frame_that_is_written(job: StillJob, tmp_path: Path) -> None:
    folder, shown = str(tmp_path / "frames"), str(tmp_path / "frame.png")
    still = replace(job, output_path=folder, encoding=Encoding("png"))
    result = s2l_core.preview(PreviewJob(replace(still, encoding=Encoding("png", layer="mouth")), 17, shown))
    assert result["reason"] == "" and not Path(folder).exists()
    s2l_core.still(still)
    frame = cv2.imread(shown)
    assert frame is not None and np.array_equal(frame, pictures(folder)[17])
    with pytest.raises(BadJob, match="no frame 38 to preview"):
        s2l_core.preview(PreviewJob(still, 38, shown))


def test_a_cancelled_still_goes_on_and_ends_with_the_same_bytes(job: StillJob, tmp_path: Path) -> None:
    told: list[Progress] = []

    def listen(event: Event) -> None:
        if isinstance(event, Progress) and event.phase == "Render":
            told.append(event)

    long = replace(job, voice=Media(str(LINE), 0.0, 6.0), output_path=str(tmp_path / "cut.mp4"))
    with pytest.raises(Cancelled):
        s2l_core.still(long, Report(listen, lambda: bool(told) and told[-1].done > 130))
    assert s2l_core.still(long)["frames_resumed"] == 128
    whole = replace(long, output_path=str(tmp_path / "whole.mp4"))
    assert s2l_core.still(whole)["frames_resumed"] == 0
    assert Path(long.output_path).read_bytes() == Path(whole.output_path).read_bytes()


def test_one_frame_of_a_movie_speaks(job: StillJob, picture: Path, tmp_path: Path) -> None:
    moment = replace(job, picture=Media(str(CLIP), 0.2), voice=Media(str(LINE), 1.0, 1.2))
    first, second = str(tmp_path / "movie"), str(tmp_path / "picture")
    s2l_core.still(replace(moment, output_path=first, encoding=Encoding("png")))
    s2l_core.still(replace(moment, picture=job.picture, output_path=second, encoding=Encoding("png")))
    assert all(np.array_equal(one, other) for one, other in zip(pictures(first), pictures(second), strict=True))


def test_a_picture_of_an_image_strip_speaks(job: StillJob, picture: Path) -> None:
    strip = Media(str(picture.parent), pictures=(picture.name,))
    assert s2l_core.still(replace(job, picture=strip, voice=Media(str(LINE), 1.0, 1.2)))["frames_written"] == 5


@pytest.mark.parametrize(("rate", "frames"), [("30000/1001", 45), ("12", 18)])
def test_any_rate_is_frame_exact(job: StillJob, rate: str, frames: int) -> None:
    assert s2l_core.still(replace(job, rate=rate))["frames_written"] == frames


def test_16_bits_and_alpha_are_kept(job: StillJob, picture: Path, tmp_path: Path) -> None:
    image = cv2.imread(str(picture))
    assert image is not None
    deep = np.concatenate([image.astype(np.uint16) * 257, np.full((384, 384, 1), 65535, np.uint16)], axis=2)
    deep[:50, :, 3] = 0
    path, folder = tmp_path / "deep.png", str(tmp_path / "frames")
    cv2.imwrite(str(path), deep)
    with pytest.raises(BadJob, match="alpha"):
        s2l_core.still(replace(job, picture=Media(str(path))))
    short = replace(job, picture=Media(str(path)), voice=Media(str(LINE), 1.0, 1.2))
    s2l_core.still(replace(short, output_path=folder, encoding=Encoding("png")))
    frame = pictures(folder)[2]
    assert frame.dtype == np.uint16 and frame.shape[2] == 4
    assert np.array_equal(frame[:60], deep[:60])


def test_nobody_speaks_without_consent(job: StillJob, tmp_path: Path) -> None:
    without = replace(job, consent=False)
    with pytest.raises(ConsentMissing, match="the person in"):
        s2l_core.still(without)
    with pytest.raises(ConsentMissing):
        s2l_core.preview(PreviewJob(without, 0, str(tmp_path / "frame.png")))


def refuse(job: StillJob, image: np.ndarray, tmp_path: Path, error: type[Exception], match: str) -> None:
    path = tmp_path / "refused.png"
    cv2.imwrite(str(path), image)
    with pytest.raises(error, match=match):
        s2l_core.still(replace(job, picture=replace(job.picture, path=str(path))))
    assert [each.name for each in tmp_path.iterdir()] == ["refused.png"]


def test_a_picture_without_a_face_is_refused(job: StillJob, tmp_path: Path) -> None:
    refuse(job, np.full((300, 400, 3), 128, np.uint8), tmp_path, NoFace, "shows no face")


def test_of_two_faces_one_must_be_chosen(job: StillJob, picture: Path, tmp_path: Path) -> None:
    image = cv2.imread(str(picture))
    assert image is not None
    two = np.concatenate([image, image[:, ::-1]], axis=1)
    refuse(job, two, tmp_path, SeveralFaces, r"2 faces, at \(0\.\d\d, 0\.\d\d\), ")
    chosen = replace(job, picture=Media(str(tmp_path / "refused.png"), face=(0.75, 0.5)))
    left, _, right, _ = s2l_core.still(replace(chosen, voice=Media(str(LINE), 1.0, 1.2)))["changed_box"]
    assert 384 < left < right
    with pytest.raises(NoFace, match="at that position"):
        s2l_core.still(replace(chosen, picture=replace(chosen.picture, face=(0.01, 0.99))))


def test_a_tiny_face_is_refused(job: StillJob, picture: Path, tmp_path: Path) -> None:
    image = cv2.imread(str(picture))
    assert image is not None
    small = np.full((120, 120, 3), 128, np.uint8)
    small[30:90, 30:90] = cv2.resize(image, (60, 60), interpolation=cv2.INTER_AREA)
    refuse(job, small, tmp_path, FaceTooSmall, r"is \d\d pixels wide")


def test_a_face_that_is_turned_away_is_refused(job: StillJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    views = [frame.image for frame in read_frames(Media(str(CLIP.with_name("views.mp4"))))]
    turned = views[12][..., ::-1]  # the rendered head is turned by 31 degrees
    monkeypatch.setattr(find_portrait_module, "MOST_YAW", 30.0)
    refuse(job, turned, tmp_path, FaceTurnedAway, "degrees to the side")
    monkeypatch.undo()
    result = s2l_core.still(
        replace(job, picture=Media(str(tmp_path / "refused.png")), voice=Media(str(LINE), 1.0, 1.2))
    )
    assert "turned 31 degrees" in result["warnings"][0]


def test_a_small_face_and_a_wide_open_mouth_cause_warnings(job: StillJob, picture: Path, tmp_path: Path) -> None:
    image = cv2.imread(str(picture))
    assert image is not None
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), cv2.resize(image, (160, 160), interpolation=cv2.INTER_AREA))
    short = replace(job, voice=Media(str(LINE), 1.0, 1.2))
    assert "pixels wide" in s2l_core.still(replace(short, picture=Media(str(small))))["warnings"][0]
    assert "wide open" in s2l_core.still(replace(short, picture=Media(str(CLIP), 60.6)))["warnings"][0]


def test_a_text_is_not_a_picture(job: StillJob, tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_text("This is no picture.")
    with pytest.raises(NotAVideo, match="cannot be decoded"):
        s2l_core.still(replace(job, picture=Media(str(path))))


def test_longer_voices_and_larger_pictures_take_longer(job: StillJob) -> None:
    short = s2l_core.estimate(EstimateJob(job))
    long = s2l_core.estimate(EstimateJob(replace(job, voice=Media(str(LINE))), measure=False))
    assert 0 < short["seconds"] < long["seconds"] and 0 < short["disk_bytes"] < long["disk_bytes"]


def test_real_people_speak(shared_data: Path, job: StillJob) -> None:
    for name in ("lbax4n", "brbk7n"):
        grid = Media(str(shared_data / "grid_people" / f"{name}.mpg"), 0.1)
        result = s2l_core.still(replace(job, picture=grid))
        assert result["frames_written"] == 38 and result["face_width_px"] > 100

"""How results are written: every format keeps its pictures, its sound and the words that it is synthetic."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from s2l_core.canonical.compositing import extract_layer
from s2l_core.errors import BadJob, CannotWrite
from s2l_core.jobs import Encoding, Format, Media
from s2l_core.media.audio import read_audio
from s2l_core.media.chunks import Chunks, reserved_result
from s2l_core.media.encodings import CODECS
from s2l_core.media.raster import BT709, ColourTags
from s2l_core.media.video import read_frames
from s2l_core.media.waveform import Waveform

RATE, COUNT, SIZE = Fraction(25), 50, 16
COLOUR = ColourTags(1, BT709, BT709, BT709)
MOVIES: list[Format] = ["h264", "prores", "ffv1"]
COMMENT = "Synthetic media: the lips of Ada were generated"


@cache
def frames(layer: str = "picture") -> list[np.ndarray]:
    """Soft shapes that move, and with alpha where the layer has it."""
    rows, columns = np.mgrid[:48, :64]
    images = []
    for index in range(COUNT):
        waves = [128 + 100 * np.sin((columns + index) / 17 + phase) * np.cos(rows / 19) for phase in (0, 1, 2)]
        image = np.stack(waves, axis=-1).astype(np.uint8)
        alpha = np.broadcast_to((columns * 4).clip(0, 255).astype(np.uint8), (48, 64))
        images.append(np.dstack([image, alpha]) if layer == "mouth" else image)
    return images


def write(path: Path, encoding: Encoding, interrupted_at: int | None = None, document: str = "job") -> None:
    """Write all frames, once cut off in a chunk and begun again."""
    for cut in [interrupted_at, None] if interrupted_at is not None else [None]:
        chunks = Chunks(str(path), COUNT, SIZE, encoding, {"job": document})
        try:
            for chunk in chunks.missing:
                with chunks.writer(chunk, 64, 48, RATE, COLOUR) as writer:
                    for number in chunk:
                        if number == cut:
                            raise KeyboardInterrupt
                        writer.write(frames(encoding.layer)[number])
        except KeyboardInterrupt:
            continue
        chunks.join(RATE, Waveform.of(np.full((2 * 48_000, 2), 0.25, np.float32), 48_000), COMMENT)


def content(path: Path) -> dict[str, bytes]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


def read_alpha(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgba")[..., 3] for frame in container.decode(video=0)]


@pytest.mark.parametrize(("kind", "least_psnr"), [("h264", 38.0), ("prores", 44.0), ("ffv1", 100.0)])
def test_movie_has_every_frame_its_sound_and_the_tag(tmp_path: Path, kind: Format, least_psnr: float) -> None:
    path = tmp_path / f"dubbed{Encoding(kind).suffix}"
    write(path, Encoding(kind))
    shown = list(read_frames(Media(str(path))))
    assert [frame.time for frame in shown] == pytest.approx([index / 25 for index in range(COUNT)], abs=1e-3)
    errors = [np.mean((frame.image.astype(float) - image) ** 2) for frame, image in zip(shown, frames(), strict=True)]
    assert 10 * np.log10(255**2 / (np.median(errors) + 1e-9)) > least_psnr
    samples, rate = read_audio(Media(str(path)))
    assert len(samples) / rate == pytest.approx(2.0, abs=0.03)
    assert samples[rate].max() == pytest.approx(0.25, abs=0.01)
    with av.open(str(path)) as container:
        assert {name.lower(): text for name, text in container.metadata.items()}["comment"] == COMMENT
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["prores", "ffv1"])
def test_movie_of_mouths_has_alpha(tmp_path: Path, kind: Format) -> None:
    path = tmp_path / f"mouth{Encoding(kind).suffix}"
    write(path, Encoding(kind, layer="mouth"))
    wanted = frames("mouth")[0][..., 3].astype(int)
    assert np.abs(read_alpha(path)[7] - wanted).max() <= 2


@pytest.mark.parametrize("layer", ["picture", "mouth"])
def test_png_pictures_are_exact(tmp_path: Path, layer: str) -> None:
    write(tmp_path / "dubbed", Encoding("png", layer=layer))  # type: ignore[arg-type]
    names = sorted(path.name for path in (tmp_path / "dubbed").glob("*.png"))
    assert (names[0], names[-1], len(names)) == ("000001.png", "000050.png", COUNT)
    picture = cv2.imread(str(tmp_path / "dubbed/000008.png"), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    picture[..., :3] = picture[..., 2::-1]
    assert np.array_equal(picture, frames(layer)[7])
    assert (tmp_path / "dubbed/synthetic_media.txt").read_text() == f"{COMMENT}.\n"


@pytest.mark.parametrize("layer", ["picture", "mouth"])
def test_exr_pictures_are_linear_and_multiplied_by_alpha(tmp_path: Path, layer: str) -> None:
    write(tmp_path / "dubbed", Encoding("exr", layer=layer))  # type: ignore[arg-type]
    with av.open(str(tmp_path / "dubbed/000008.exr")) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == ("gbrapf16le" if layer == "mouth" else "gbrpf16le")
    green = np.frombuffer(bytes(frame.planes[0]), np.float16).reshape(48, -1)[:, :64]
    picture = frames(layer)[7] / 255.0
    alpha = picture[..., 3] if layer == "mouth" else 1.0
    linear = ((picture[..., 1] + 0.055) / 1.055) ** 2.4  # green, whose values here are all above the linear part
    assert green == pytest.approx(linear * alpha, abs=2e-3)


@pytest.mark.parametrize("kind", sorted(CODECS))
def test_interrupted_result_has_the_same_bytes(tmp_path: Path, kind: Format) -> None:
    paths = [tmp_path / folder / f"dubbed{Encoding(kind).suffix}" for folder in ("whole", "interrupted")]
    for path, interrupted_at in zip(paths, (None, 39), strict=True):
        path.parent.mkdir()
        write(path, Encoding(kind), interrupted_at)
    assert content(paths[0]) == content(paths[1])


def test_a_name_may_hold_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("12:30.mp4"), Encoding())
    assert len(content(Path("12:30.mp4"))) > 0


def test_only_what_is_missing_is_written_again(tmp_path: Path) -> None:
    path = str(tmp_path / "dubbed.mp4")
    chunks = Chunks(path, COUNT, SIZE, Encoding(), {"job": 1})
    with chunks.writer(chunks.missing[0], 64, 48, RATE, COLOUR) as writer:
        for picture in frames()[:16]:
            writer.write(picture)
    assert Chunks(path, COUNT, SIZE, Encoding(), {"job": 1}).missing == [range(16, 32), range(32, 48), range(48, 50)]
    assert len(Chunks(path, COUNT, SIZE, Encoding(), {"job": 2}).missing) == 4


def test_folder_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "dubbed").mkdir()
    with (
        pytest.raises(CannotWrite, match=r"already a folder.*does not exist yet"),
        reserved_result(str(tmp_path / "dubbed"), Encoding("png")),
    ):
        pass


def test_folder_that_cannot_be_made_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite):
        Chunks(str(tmp_path / "file/dubbed"), COUNT, SIZE, Encoding("png"), {})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_h264_has_no_alpha() -> None:
    with pytest.raises(BadJob, match="alpha"):
        Encoding("h264", layer="mouth")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_lifted_mouth_over_the_old_frame_gives_the_new_one(kind: type) -> None:
    random, most = np.random.default_rng(3), np.iinfo(kind).max
    old = random.integers(0, most, (40, 40, 3), kind, endpoint=True)
    lips = random.integers(0, most, (40, 40, 3), kind, endpoint=True)
    mask = (np.hypot(*np.mgrid[-20:20, -20:20]) * -20 + 300).clip(0, 255).astype(np.uint8)
    share = mask[..., None] / 255.0
    new = (old + share * (lips.astype(float) - old)).round().astype(kind)
    lifted = extract_layer(new, old, mask)
    over = old + lifted[..., 3:] / most * (lifted[..., :3].astype(float) - old)
    assert lifted.dtype == kind
    assert np.abs(over.round() - new).max() <= 1
    assert not lifted[mask == 0].any()


def test_lifted_mouth_is_nowhere_where_the_frame_is_transparent() -> None:
    old = np.full((40, 80, 4), 100, np.uint8)
    old[:, 40:, 3] = 255 * (np.arange(40) % 2)
    lifted = extract_layer(old + np.uint8(20), old, np.full((40, 40), 255, np.uint8))  # of pixels half as wide as high
    assert lifted.shape == old.shape
    assert np.array_equal(lifted[..., 3] > 0, old[..., 3] > 0)

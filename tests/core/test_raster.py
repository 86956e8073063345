"""What a stream says about its pictures survives a dub: shape of the pixels, fields, depth, alpha, chroma."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.filter import Graph
from av.video.stream import VideoStream

from s2l_core.errors import BadJob, NotAVideo
from s2l_core.footage import prepare
from s2l_core.geometry.camera import head_angles
from s2l_core.jobs import Encoding, Format, Media
from s2l_core.media.chunks import Chunks
from s2l_core.media.encodings import refuse_loss
from s2l_core.media.raster import ColourTags, Raster, raster_of, resize, to_image, to_picture, true_size, with_change
from s2l_core.media.video import probe, raster_of_span, read_frames
from s2l_core.media.waveform import Waveform
from s2l_core.media.writing import VideoWriter

SPEAKER = Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4"
RATE, COUNT, SIZE = Fraction(25), 6, 4
WIDTH, HEIGHT = 64, 48
WIDE, NARROW = Fraction(4, 3), Fraction(8, 9)
SOUND = Waveform.of(np.zeros((48_000 * COUNT // 25, 1), np.float32), 48_000)
FORMATS: list[Format] = ["h264", "prores", "ffv1", "png", "exr"]
LEAST_PSNR = {"h264": 33.0, "prores": 42.0}

FULL_ALPHA = Raster(has_alpha=True, has_full_chroma=True)
SOURCES: dict[str, tuple[str, str, str, dict[str, str], Raster]] = {
    "h264": ("mp4", "libx264", "yuv420p", {}, Raster()),
    "h264 wide": ("mp4", "libx264", "yuv420p", {}, Raster(Fraction(64, 45))),
    "h264 top first": ("mp4", "libx264", "yuv420p", {}, Raster(fields="top first")),
    "h264 bottom first": ("mkv", "libx264", "yuv420p", {}, Raster(fields="bottom first")),
    "h264 10 bits": ("mp4", "libx264", "yuv420p10le", {}, Raster(depth=10)),
    "h264 full chroma": ("mp4", "libx264", "yuv444p", {}, Raster(has_full_chroma=True)),
    "mpeg2 wide top first": ("ts", "mpeg2video", "yuv420p", {}, Raster(WIDE, "top first")),
    "mpeg2 bottom first": ("mpg", "mpeg2video", "yuv420p", {}, Raster(fields="bottom first")),
    "prores": ("mov", "prores_ks", "yuv422p10le", {}, Raster(depth=10)),
    "prores narrow top first": ("mov", "prores_ks", "yuv422p10le", {}, Raster(NARROW, "top first", 10)),
    "prores alpha": (
        "mov",
        "prores_ks",
        "yuva444p10le",
        {"profile": "4444"},
        Raster(depth=12, has_alpha=True, has_full_chroma=True),
    ),
    "vp9 alpha": ("webm", "libvpx-vp9", "yuva420p", {"auto-alt-ref": "0"}, Raster(has_alpha=True)),
    "animation alpha": ("mov", "qtrle", "argb", {}, FULL_ALPHA),
    "ffv1 12 bits": ("mkv", "ffv1", "yuv422p12le", {}, Raster(depth=12)),
    "ffv1 bottom first": ("mkv", "ffv1", "yuv420p", {"level": "3"}, Raster(fields="bottom first")),
}


def moments(raster: Raster) -> Iterator[np.ndarray]:
    """Coloured shapes that move, uint16 RGBA; of two fields, the second one shows a later moment."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    later = {"progressive": 0 * rows, "top first": rows % 2, "bottom first": 1 - rows % 2}[raster.fields]
    for frame in range(COUNT):
        places = columns + 40 * (frame + later / 2)
        waves = [0.5 + 0.3 * np.sin(places / 7 + phase) * np.cos(rows / 19) for phase in (0, 2, 4)]
        yield (np.stack([*waves, columns / (WIDTH - 1)], axis=-1) * 65535).astype(np.uint16)


def film(path: Path, name: str) -> str:
    """A file of one of the sources, written with libav alone."""
    suffix, codec, pixels, options, raster = SOURCES[name]
    path = path / f"source.{suffix}"
    is_interlaced = raster.fields != "progressive"
    order = {"top first": "tb", "bottom first": "bt", "progressive": "progressive"}[raster.fields]
    graph = Graph()
    mode = {"top first": "tff", "bottom first": "bff", "progressive": "prog"}[raster.fields]
    start = graph.add_buffer(
        width=WIDTH, height=HEIGHT, format=av.VideoFormat("rgba64le", WIDTH, HEIGHT), time_base=1 / RATE
    )
    scale = graph.add("scale", f"interl={int(is_interlaced)}:out_color_matrix=6:in_range=2:out_range=1")
    steps = [start, scale, graph.add("format", pixels), graph.add("setfield", mode), graph.add("buffersink")]
    for one, following in itertools.pairwise(steps):
        one.link_to(following)
    graph.configure()
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        fields = {"flags": "+ildct+ilme", "field_order": order} if is_interlaced else {}
        stream.codec_context.options = options | fields | ({"crf": "1"} if codec == "libx264" else {})
        stream.codec_context.sample_aspect_ratio = raster.aspect
        if codec == "mpeg2video":
            stream.bit_rate = 8_000_000
        for number, moment in enumerate(moments(raster)):
            graph.push(av.VideoFrame.from_ndarray(moment, format="rgba64le"))
            frame = graph.pull()
            assert isinstance(frame, av.VideoFrame)
            frame.pts, frame.time_base = number, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


def pass_on(source: str, kind: Format) -> Path:
    """What a dub makes of footage in which it leaves every frame as it is."""
    info, encoding = probe(source), Encoding(kind, crf=1)
    path = Path(source).with_name(f"dubbed{Encoding(kind).suffix}")
    chunks = Chunks(str(path), COUNT, SIZE, encoding, {}, info.raster)
    pictures = [frame.picture for frame in read_frames(Media(source))]
    assert len(pictures) == COUNT
    for numbers in chunks.missing:
        with chunks.writer(numbers, info.width, info.height, RATE, info.colour) as writer:
            for number in numbers:
                writer.write(pictures[number])
    chunks.join(RATE, SOUND, "Synthetic media")
    return path


def kept(source: Raster, kind: Format) -> Raster | None:
    """How the result is stored, or None where the format cannot hold what the source is."""
    if (source.has_alpha and kind == "h264") or (source.fields != "progressive" and kind in ("png", "exr")):
        return None
    depth = {"h264": 8, "prores": 10, "exr": 16}.get(kind, 16 if source.is_deep else 8)
    has_full_chroma = kind != "h264" and (kind != "prores" or source.has_alpha or source.has_full_chroma)
    return Raster(source.aspect, source.fields, depth, source.has_alpha, has_full_chroma)


def read_result(path: Path) -> tuple[Raster, list[np.ndarray]]:
    """How a movie or a folder of pictures is stored, and its pictures."""
    if path.is_file():
        return probe(str(path)).raster, [frame.picture for frame in read_frames(Media(str(path)))]
    pictures = []
    for picture in sorted(path.glob("0*")):
        with av.open(str(picture)) as container:
            frames = [next(container.decode(video=0))]
            raster = raster_of(container.streams.video[0], frames)
            pictures.append(to_picture(frames[0]))
    return raster, pictures


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    shares = [picture / np.iinfo(picture.dtype).max for picture in (one, other)]
    return float(10 * np.log10(1 / np.mean((shares[0] - shares[1]) ** 2)))


@pytest.mark.parametrize("name", SOURCES)
def test_a_stream_says_how_it_is_stored(tmp_path: Path, name: str) -> None:
    assert probe(film(tmp_path, name)).raster == SOURCES[name][-1]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", SOURCES)
def test_a_dub_is_stored_as_its_footage(tmp_path: Path, name: str, kind: Format) -> None:
    source = film(tmp_path, name)
    wanted = kept(SOURCES[name][-1], kind)
    if wanted is None:
        with pytest.raises(BadJob, match=r"alpha|interlaced"):
            refuse_loss(Encoding(kind), source, probe(source).raster)
        return
    refuse_loss(Encoding(kind), source, probe(source).raster)
    raster, pictures = read_result(pass_on(source, kind))
    assert raster == wanted
    originals = [frame.picture for frame in read_frames(Media(source))]
    assert len(pictures) == len(originals) == COUNT
    if kind in ("ffv1", "png"):
        assert np.array_equal(pictures, originals)
    elif kind in LEAST_PSNR:
        assert min(map(psnr, pictures, originals)) > LEAST_PSNR[kind]


@pytest.mark.parametrize("kind", ["h264", "prores", "ffv1"])
def test_interlaced_pictures_of_any_height_are_kept_in_fields(tmp_path: Path, kind: Format) -> None:
    path = str(tmp_path / f"clip{Encoding(kind).suffix}")
    rows = np.arange(46)[:, None, None] % 2  # as the 486 rows of NTSC, no multiple of four
    picture = np.broadcast_to(200 * rows, (46, WIDTH, 3)).astype(np.uint8)
    with VideoWriter(path, WIDTH, 46, RATE, encoding=Encoding(kind), raster=Raster(fields="bottom first")) as writer:
        writer.write(picture)
    image = next(read_frames(Media(path))).image[:46]
    assert probe(path).raster.fields == "bottom first"
    assert np.abs(image.astype(int) - picture).max() < 12


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(64, 45), NARROW])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_change_leaves_all_else_as_it_is_stored(aspect: Fraction, kind: type, channels: int) -> None:
    most = np.iinfo(kind).max
    picture = np.random.default_rng(5).integers(0, most, (90, 120, channels), dtype=kind)
    image = (resize(picture[..., :3], true_size(120, 90, aspect)) // ((most + 1) // 256)).astype(np.uint8)
    brighter = image.copy()
    top, left = (round(share * side) for share, side in zip((0.4, 0.5), image.shape[:2], strict=True))
    brighter[top : top + 20, left : left + 20] = np.minimum(brighter[top : top + 20, left : left + 20], 235) + 20
    changed = with_change(picture, image, brighter)
    middle = (round((top + 10) * 90 / image.shape[0]), round((left + 10) * 120 / image.shape[1]))
    assert (changed.dtype, changed.shape) == (picture.dtype, picture.shape)
    outside = np.hypot(*(np.mgrid[:90, :120] - np.array(middle)[:, None, None])) > 25
    assert np.array_equal(changed[outside], picture[outside])
    assert np.array_equal(changed[..., 3:], picture[..., 3:])
    assert changed[middle][:3].astype(int).mean() > picture[middle][:3].astype(int).mean()


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(64, 45), (91, 48)), (Fraction(1, 2), (64, 96)), (RATE, (64, 48))]
)
def test_pictures_are_looked_at_in_their_true_shape(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    path = str(tmp_path / "clip.mkv")
    with VideoWriter(path, WIDTH, HEIGHT, RATE, encoding=Encoding("ffv1"), raster=Raster(aspect)) as writer:
        writer.write(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    frame = next(read_frames(Media(path)))
    assert probe(path).true_size == frame.image.shape[1::-1] == size
    assert frame.picture.shape == (HEIGHT, WIDTH, 3)


def test_a_squeezed_face_is_tracked_as_the_true_one(tmp_path: Path) -> None:
    whole, squeezed = Media(str(SPEAKER), 0.0, 0.6), str(tmp_path / "squeezed.mkv")
    raster = Raster(Fraction(64, 45))
    with VideoWriter(squeezed, 270, 384, RATE, encoding=Encoding("ffv1"), raster=raster) as writer:
        for frame in read_frames(whole):
            writer.write(resize(frame.image, (270, 384)))
    true, other = prepare(whole), prepare(Media(squeezed))
    distances = np.linalg.norm((true.landmarks - other.landmarks)[..., :2], axis=-1)
    angles = head_angles(true.track.poses) - head_angles(other.track.poses)
    assert np.median(distances) < 0.5
    assert np.abs(angles).max() < 2.0
    assert (other.track.intrinsics.width, other.track.intrinsics.height) == (384, 384)


@pytest.mark.parametrize("kind", ["h264", "prores", "ffv1"])
def test_colour_tags_of_hdr_are_kept(tmp_path: Path, kind: Format) -> None:
    source, path = str(tmp_path / "hdr.mov"), str(tmp_path / f"dubbed{Encoding(kind).suffix}")
    pq = ColourTags(range=1, matrix=9, transfer=16, primaries=9)
    with VideoWriter(source, WIDTH, HEIGHT, RATE, pq, encoding=Encoding("prores"), raster=Raster(depth=10)) as writer:
        writer.write(np.full((HEIGHT, WIDTH, 3), 20_000, np.uint16))
    info = probe(source)
    assert info.colour == pq
    with VideoWriter(path, WIDTH, HEIGHT, RATE, info.colour, encoding=Encoding(kind), raster=info.raster) as writer:
        writer.write(next(read_frames(Media(source))).picture)
    assert (probe(path).colour.transfer, probe(path).colour.primaries) == (16, 9)
    assert probe(path).colour.matrix == (0 if kind == "ffv1" else 9)


def test_a_turned_picture_has_the_aspect_that_it_has_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.sample_aspect_ratio = WIDE
        stream.set_display_rotation(90)
        frame = av.VideoFrame.from_ndarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        frame.pts, frame.time_base = 0, 1 / RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    info = probe(str(path))
    assert (info.width, info.height, info.raster.aspect) == (HEIGHT, WIDTH, 1 / WIDE)
    assert next(read_frames(Media(str(path)))).image.shape[1::-1] == info.true_size == (HEIGHT, round(WIDTH * WIDE))


def test_a_stream_that_is_interlaced_here_and_there_is_found_out(tmp_path: Path) -> None:
    path = str(tmp_path / "mixed.mkv")
    graphs = {}
    for mode in ("prog", "tff"):
        graph = graphs[mode] = Graph()
        given = graph.add_buffer(
            width=WIDTH, height=HEIGHT, format=av.VideoFormat("bgr0", WIDTH, HEIGHT), time_base=1 / RATE
        )
        for one, following in itertools.pairwise([given, graph.add("setfield", mode), graph.add("buffersink")]):
            one.link_to(following)
        graph.configure()
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=RATE, options={"level": "3", "g": "1"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        for number in range(40):
            graph = graphs["tff" if number >= 25 else "prog"]
            graph.push(av.VideoFrame(WIDTH, HEIGHT, "bgr0"))
            frame = graph.pull()
            assert isinstance(frame, av.VideoFrame)
            frame.pts, frame.time_base = number, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    info = probe(path)
    assert info.raster.fields == "progressive"
    assert raster_of_span(Media(path), info).fields == "top first"
    assert raster_of_span(Media(path, 0.0, 0.9), info).fields == "progressive"


def test_pictures_in_an_unknown_colour_space_are_refused() -> None:
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    frame.colorspace = 99
    with pytest.raises(NotAVideo, match="colours"):
        to_image(frame, Fraction(1))

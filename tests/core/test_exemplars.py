"""Exemplars: their choice for a line, how they are moved and relit, and their part of a speaker file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from s2l_core import jpeg
from s2l_core.errors import SpeakerFileBroken
from s2l_core.geometry.camera import Rectangle
from s2l_core.model.exemplars import Exemplars
from s2l_core.model.lip.base import SPOKEN_SIZE
from s2l_core.model.lip.grids import GridLipModel
from s2l_core.model.speaker import SpeakerModel
from s2l_core.mouth.exemplar_choice import choose_exemplars, with_neighbours
from s2l_core.mouth.exemplar_painter import ExemplarPainter, blurred_along
from s2l_core.speech.encoder import SpeechEncoder
from s2l_core.training.exemplars import _MOST_BYTES

from .test_speaker_content import Fields, Tensors, change
from .test_speaker_file import HEAD, make_speaker

WIDTH, HEIGHT = 48, 40
AROUND = np.linspace(0, 2 * np.pi, 20, endpoint=False)
CIRCLE = np.stack([np.cos(AROUND), np.sin(AROUND)], axis=1)


def spot(x: int) -> bytes:
    """A smooth bright spot in the middle of the height, ``x`` pixels from the left."""
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    light = 40 + 180 * np.exp(-((columns - x) ** 2 + (rows - HEIGHT / 2) ** 2) / 30)
    return jpeg.encode(np.repeat(light.astype(np.uint8)[..., None], 3, axis=2), 98)


def make_exemplars(codes: torch.Tensor) -> Exemplars:
    """Spots beside each other, within round lips. The first code moves the lips to the right by its share of the width,
    and the second one opens them: it moves all points away from the middle.
    """
    outline = torch.from_numpy(np.concatenate([0.5 + 0.25 * CIRCLE, 0.5 + 0.15 * CIRCLE])).float()
    motion = torch.zeros(SPOKEN_SIZE, *outline.shape)
    motion[0, :, 0] = 1.0
    motion[1] = torch.from_numpy(np.tile(CIRCLE, (2, 1)))
    pictures = tuple(spot(20 + 2 * index) for index in range(len(codes)))
    return Exemplars(codes, torch.zeros_like(codes), torch.eye(SPOKEN_SIZE), outline, motion, WIDTH, HEIGHT, pictures)


def some_codes(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, SPOKEN_SIZE, generator=torch.Generator().manual_seed(seed))


def middle(picture: torch.Tensor) -> float:
    """Horizontal position of the spot in a picture (3, h, w), in pixels."""
    light = (picture.mean(dim=0).double() - 0.3).clamp(min=0).sum(dim=0)
    return float((light * (torch.arange(len(light)) + 0.5)).sum() / light.sum())


def test_speech_that_asks_for_the_exemplars_gets_them() -> None:
    exemplars, order = make_exemplars(some_codes(6)), [3, 0, 0, 5, 2]
    assert choose_exemplars(exemplars, exemplars.codes[order]).tolist() == order


def test_a_mouth_that_opens_a_little_for_one_frame_keeps_its_exemplar() -> None:
    exemplars = make_exemplars(torch.stack([one_code(1, 0.0), one_code(1, 1.0)]))
    asked = one_code(1, 1.0) * torch.tensor([0, 0, 0.65, 0, 0, 0.65, 0.65, 0.65])[:, None]
    assert choose_exemplars(exemplars, asked).tolist() == [0, 0, 0, 0, 0, 1, 1, 1]


def test_the_metric_decides_which_exemplar_is_nearest() -> None:
    codes, scale = torch.zeros(2, SPOKEN_SIZE), torch.eye(SPOKEN_SIZE)
    codes[0, 0], codes[1, 1], scale[0, 0] = 1.0, 2.0, 3.0
    exemplars, rest = make_exemplars(codes), torch.zeros(1, SPOKEN_SIZE)
    assert choose_exemplars(exemplars, rest).tolist() == [0]
    assert choose_exemplars(replace(exemplars, metric=scale), rest).tolist() == [1]


def test_a_mouth_that_rests_shows_one_picture() -> None:
    exemplars = make_exemplars(some_codes(5))
    rest = some_codes(1, seed=9).expand(20, -1)
    shown = with_neighbours(choose_exemplars(exemplars, rest))
    lips = ExemplarPainter(exemplars, GridLipModel(WIDTH, HEIGHT)).paint(rest, shown)
    assert (lips == lips[:1]).all()


def test_an_exemplar_is_shown_as_it_is_at_its_own_code() -> None:
    exemplars = make_exemplars(some_codes(3))
    lips = ExemplarPainter(exemplars, GridLipModel(WIDTH, HEIGHT)).paint(exemplars.codes[1:2], np.array([[1, 1, 1]]))
    shown = lips[0].permute(1, 2, 0).numpy()
    assert np.abs(shown - exemplars.picture(1) / 255).max() < 0.005


def test_frames_show_the_exemplars_of_the_frames_beside_them_too() -> None:
    assert with_neighbours(np.array([4, 7, 2])).tolist() == [[4, 4, 7], [4, 7, 2], [7, 2, 2]]


def test_light_is_averaged_with_the_frames_beside_a_frame_and_details_are_not() -> None:
    checks = np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 * 60  # around 30
    levels = [np.full((HEIGHT, WIDTH), 50), 90 + checks, np.full((HEIGHT, WIDTH), 150)]
    pictures = tuple(jpeg.encode(np.repeat(each.astype(np.uint8)[..., None], 3, axis=2), 100) for each in levels)
    exemplars = replace(make_exemplars(torch.zeros(3, SPOKEN_SIZE)), pictures=pictures)
    painter = ExemplarPainter(exemplars, GridLipModel(WIDTH, HEIGHT))
    lips = 255 * painter.paint(torch.zeros(1, SPOKEN_SIZE), np.array([[0, 1, 2]]))[0, 0]
    assert float(lips.mean()) == pytest.approx(0.25 * 50 + 0.5 * 120 + 0.25 * 150, abs=1)
    assert float(lips.std()) == pytest.approx(30, abs=3)


@pytest.mark.parametrize(("height", "width"), [(1, 200), (200, 1)])
def test_exemplars_of_a_strange_shape_are_painted(height: int, width: int) -> None:
    grey = jpeg.encode(np.full((height, width, 3), 90, np.uint8), 95)
    exemplars = replace(make_exemplars(some_codes(2)), height=height, width=width, pictures=(grey, grey))
    lips = ExemplarPainter(exemplars, GridLipModel(WIDTH, HEIGHT)).paint(some_codes(1), np.array([[0, 1, 0]]))
    assert lips.shape == (1, 3, height, width)


@pytest.mark.parametrize("share", [-0.15, 0.05, 0.2])
def test_a_code_moves_the_mouth_with_its_outlines(share: float) -> None:
    exemplars = make_exemplars(torch.zeros(3, SPOKEN_SIZE))
    still, moved = moved_from(torch.zeros(SPOKEN_SIZE), one_code(0, share), exemplars, 2)
    assert middle(moved) - middle(still) == pytest.approx(share * WIDTH, abs=0.5)
    assert torch.allclose(moved[:, [0, -1]], still[:, [0, -1]], atol=0.01)
    assert torch.allclose(moved[:, :, [0, -1]], still[:, :, [0, -1]], atol=0.01)


def test_the_lips_of_an_open_mouth_move_where_they_are() -> None:
    code, corner = one_code(1, 0.15), 0.5 + 0.15 + 0.15  # of the inner outline, which is elsewhere in other mouths
    exemplars = replace(make_exemplars(code[None]), pictures=(spot(round(corner * WIDTH)),))
    still, moved = moved_from(code, code + one_code(1, 0.05), exemplars, 0)
    assert 0.8 * 0.05 * WIDTH < middle(moved) - middle(still) < 0.05 * WIDTH


def one_code(number: int, value: float) -> torch.Tensor:
    code = torch.zeros(SPOKEN_SIZE)
    code[number] = value
    return code


def moved_from(before: torch.Tensor, after: torch.Tensor, exemplars: Exemplars, chosen: int) -> torch.Tensor:
    """Pictures (2, 3, h, w) of an exemplar with both codes."""
    painter = ExemplarPainter(exemplars, GridLipModel(WIDTH, HEIGHT))
    return painter.paint(torch.stack([before, after]), np.full((2, 3), chosen))


def test_the_lip_model_adds_light_and_no_outlines() -> None:
    lip, exemplars = GridLipModel(WIDTH, HEIGHT), make_exemplars(torch.zeros(1, SPOKEN_SIZE))
    with torch.no_grad():
        lip.basis[4] = 0.1
        lip.basis[5, :, :, ::2] = 0.1  # stripes of one pixel
    painter = ExemplarPainter(exemplars, lip)
    dark, light, striped = painter.paint(torch.eye(SPOKEN_SIZE)[[3, 4, 5]], np.zeros((3, 3), np.int64))
    assert torch.allclose(light - dark, torch.full_like(dark, 0.1), atol=0.01)
    assert float((striped - dark).diff(dim=2).abs().max()) < 0.01


@pytest.mark.parametrize("length", [30, 31])
def test_blurring_along_a_side_leaves_the_mean_of_each_two_pixels(length: int) -> None:
    row = torch.linspace(0, 1, length).square()
    means = functional.avg_pool1d(row[None], 2, ceil_mode=True)[0]
    assert torch.allclose(blurred_along(length, 1e-3) @ row, means)
    assert float(blurred_along(length, 3.0).sum(dim=1).sub(1).abs().max()) < 1e-6


def test_a_damaged_picture_is_reported() -> None:
    exemplars = replace(make_exemplars(some_codes(1)), pictures=(b"\xff\xd8 no picture \xff\xd9",))
    with pytest.raises(SpeakerFileBroken):
        exemplars.picture(0)


def test_a_speaker_keeps_mouths_at_the_resolution_of_the_footage(hasty_speaker: str) -> None:
    speaker = SpeakerModel.load(hasty_speaker)
    lips, exemplars = speaker.face.lips, speaker.exemplars
    assert exemplars is not None and speaker.architecture == "exemplars"
    finer = exemplars.width / lips.rectangle.width
    assert finer * lips.intrinsics.fx >= speaker.known_head.intrinsics.fx * 0.999
    assert exemplars.picture(0).shape == (exemplars.height, exemplars.width, 3)
    assert Path(hasty_speaker).stat().st_size < 25e6


def test_codes_tell_the_outlines_of_lips(hasty_speaker: str) -> None:
    speaker = SpeakerModel.load(hasty_speaker)
    exemplars = speaker.exemplars
    assert exemplars is not None
    outlines = exemplars.outlines(exemplars.codes + exemplars.offsets)
    assert outlines.min() > 0 and outlines.max() < 1
    heights, openings = (np.ptp(part[..., 1], axis=1).mean() for part in np.split(outlines, 2, axis=1))
    assert heights > 2 * openings > 0


def test_mouths_survive_being_saved(hasty_speaker: str, tmp_path: Path) -> None:
    first = SpeakerModel.load(hasty_speaker)
    first.save(str(tmp_path / "again.s2l"))
    assert (tmp_path / "again.s2l").read_bytes() == Path(hasty_speaker).read_bytes()


def longer(fields: Fields) -> None:
    fields["exemplars"]["bytes"][0] += 1


def without_end(tensors: Tensors) -> None:
    tensors["exemplars.pictures"][-2:] = 0


def with_huge_codes(tensors: Tensors) -> None:
    tensors["exemplars.codes"][0, 0] = 1e30


def in_half_precision(tensors: Tensors) -> None:
    tensors["exemplars.motion"] = tensors["exemplars.motion"].half()


def with_other_lips(tensors: Tensors) -> None:
    tensors["exemplars.outline"] = tensors["exemplars.outline"][1:]
    tensors["exemplars.motion"] = tensors["exemplars.motion"][:, 1:].contiguous()


@pytest.mark.parametrize(
    "alter",
    [
        lambda fields, tensors: longer(fields),
        lambda fields, tensors: fields["exemplars"].update(width=fields["exemplars"]["width"] + 1),
        lambda fields, tensors: fields["exemplars"].update(height=10**9),
        lambda fields, tensors: fields["exemplars"].update(bytes=[]),
        lambda fields, tensors: fields["exemplars"].update(bytes={"0": 1}),
        lambda fields, tensors: fields.update(exemplars=None),
        lambda fields, tensors: fields.update(architecture="grids"),
        lambda fields, tensors: without_end(tensors),
        lambda fields, tensors: with_huge_codes(tensors),
        lambda fields, tensors: in_half_precision(tensors),
        lambda fields, tensors: with_other_lips(tensors),
    ],
)
def test_what_a_file_says_of_its_mouths_is_not_trusted(
    hasty_speaker: str, tmp_path: Path, alter: Callable[[Fields, Tensors], None]
) -> None:
    path = change(Path(hasty_speaker).read_bytes(), tmp_path, alter)
    with pytest.raises(SpeakerFileBroken):
        SpeakerModel.load(path)


def test_a_file_from_before_exemplars_is_read(hasty_speaker: str, tmp_path: Path) -> None:
    def age(fields: Fields, tensors: Tensors) -> None:
        fields["schema"], fields["architecture"] = 5, "fast"
        del fields["exemplars"]
        for name in [name for name in tensors if name.startswith(("exemplars.", "lip.speech.prior"))]:
            del tensors[name]

    speaker = SpeakerModel.load(change(Path(hasty_speaker).read_bytes(), tmp_path, age))
    assert speaker.architecture == "grids" and speaker.exemplars is None
    assert isinstance(speaker.lip.speech, SpeechEncoder) and speaker.lip.speech.prior_share == 0


def with_lattice(fields: Fields, tensors: Tensors, schema: int, shifts: torch.Tensor) -> None:
    fields["schema"], tensors["exemplars.shifts"] = schema, shifts
    for name in ("exemplars.outline", "exemplars.motion"):
        del tensors[name]
    if schema < 7:
        for name in [name for name in tensors if name.startswith("lip.speech.prior")]:
            del tensors[name]


@pytest.mark.parametrize("schema", [6, 7])
def test_a_file_with_a_lattice_of_motion_is_read(hasty_speaker: str, tmp_path: Path, schema: int) -> None:
    shifts = torch.zeros(SPOKEN_SIZE, 2, 25, 25)
    shifts[3, 1] = 0.5  # one code moves everything down
    alter = partial(with_lattice, schema=schema, shifts=shifts)
    old = SpeakerModel.load(change(Path(hasty_speaker).read_bytes(), tmp_path, alter))
    new = SpeakerModel.load(hasty_speaker)
    assert old.exemplars is not None and new.exemplars is not None
    assert float((old.exemplars.outline - new.exemplars.outline).abs().max()) < 0.05
    wanted = torch.zeros_like(old.exemplars.motion)
    wanted[3, :, 1] = 0.5
    assert torch.allclose(old.exemplars.motion, wanted)
    assert isinstance(old.lip.speech, SpeechEncoder) and (old.lip.speech.prior_share == 0) == (schema == 6)


@pytest.mark.parametrize(
    "shifts",
    [torch.zeros(SPOKEN_SIZE, 2, 25, 24), torch.full((SPOKEN_SIZE, 2, 25, 25), torch.nan), torch.zeros(1).long()],
)
def test_a_damaged_lattice_is_reported(hasty_speaker: str, tmp_path: Path, shifts: torch.Tensor) -> None:
    path = change(Path(hasty_speaker).read_bytes(), tmp_path, partial(with_lattice, schema=7, shifts=shifts))
    with pytest.raises(SpeakerFileBroken):
        SpeakerModel.load(path)


def test_a_file_of_today_without_its_speech_prior_is_damaged(hasty_speaker: str, tmp_path: Path) -> None:
    path = change(
        Path(hasty_speaker).read_bytes(), tmp_path, lambda fields, tensors: tensors.pop("lip.speech.prior_share")
    )
    with pytest.raises(SpeakerFileBroken):
        SpeakerModel.load(path)


def test_the_speaker_file_of_a_close_up_has_at_most_25_mb(tmp_path: Path) -> None:
    face = make_speaker("exemplars").face
    widest = replace(face.lips, depth=torch.full((136, 162), 600.0), rectangle=Rectangle(40, 70, 162, 136))
    speaker = SpeakerModel.untrained("Ada", replace(face, lips=widest), HEAD, 80, "exemplars")
    speaker.exemplars = make_exemplars(some_codes(1))
    speaker.save(str(tmp_path / "ada.s2l"))
    assert (tmp_path / "ada.s2l").stat().st_size + _MOST_BYTES < 25e6

"""A contact sheet for judging a dub: frames, mouths, and the opening of the mouth below the waveform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.optimize import linear_sum_assignment

WIDTH, MARGIN, GAP = 1920, 64, 14
COLUMNS, COLUMN_GAP, ROW_GAP = 3, 48, 44
PICTURE_WIDTH = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * COLUMN_GAP - COLUMNS * GAP) // (2 * COLUMNS)
MOUTH_SHAPE = (PICTURE_WIDTH, PICTURE_WIDTH * 3 // 5)
WAVE_HEIGHT, CURVE_HEIGHT = 130, 150
SMOOTHING = 3  # charts are drawn larger by this factor and reduced, which smooths their lines

PAPER, INK, MUTED, RULE = "#f7f5f0", "#26282b", "#77736a", "#d9d4c8"
WAVE, CURVE, MARK = "#8fa3b0", "#b8502a", "#2f5d62"

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Moment:
    """A moment of a dub.

    Attributes:
        time: Seconds from the start.
        source: The footage's frame, uint8 (H, W, 3) RGB.
        dubbed: The dubbed frame, the same size.
        lips: Left, top, right and bottom of the lips in pixels.
    """

    time: float
    source: NDArray[np.uint8]
    dubbed: NDArray[np.uint8]
    lips: Box


def choose_moments(openings: NDArray[np.float64], count: int = 6) -> list[int]:
    """Indices of frames from closed to wide mouths, one from the middle of each of ``count`` equal spans of time.

    Args:
        openings: (N,) mouth opening in each frame, NaN without a face; N is at least ``count``.
        count: Number of frames.
    """
    shut, wide = np.nanquantile(openings, (0.02, 0.98))
    levels = np.linspace(shut, wide, count)
    spans = [
        span[len(span) // 6 : len(span) - len(span) // 6] for span in np.array_split(np.arange(len(openings)), count)
    ]
    distances = [np.abs(np.nan_to_num(openings[span], nan=1e6) - levels[:, None]) for span in spans]
    _, assigned = linear_sum_assignment([distance.min(axis=1) for distance in distances])
    chosen = zip(spans, distances, assigned, strict=True)
    return [int(span[distance[level].argmin()]) for span, distance, level in chosen]


def draw_sheet(
    title: str,
    notes: Sequence[str],
    moments: Sequence[Moment],
    times: NDArray[np.float64],
    openings: NDArray[np.float64],
    voice: NDArray[np.float32],
    voice_rate: int,
) -> Image.Image:
    """The sheet.

    Args:
        title: Heading.
        notes: Lines of small text under it.
        moments: The frames to show, in order of time.
        times: (N,) seconds of the dubbed frames.
        openings: (N,) mouth opening in each, NaN without a face.
        voice: (n,) the sound, in [-1, 1].
        voice_rate: Its samples per second.
    """
    height, width = moments[0].source.shape[:2]
    picture_shape = (PICTURE_WIDTH, round(PICTURE_WIDTH * min(height / width, 1.0)))
    cell_height = 40 + picture_shape[1] + GAP + MOUTH_SHAPE[1] + ROW_GAP
    rows = -(-len(moments) // COLUMNS)
    cells_top = MARGIN + 64 + 30 * len(notes) + 34
    chart_top = cells_top + rows * cell_height + 30
    sheet = Image.new("RGB", (WIDTH, chart_top + WAVE_HEIGHT + CURVE_HEIGHT + 70 + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), title, INK, font(44))
    for row, note in enumerate(notes):
        draw.text((MARGIN, MARGIN + 68 + 30 * row), note, MUTED, font(21))
    for index, moment in enumerate(moments):
        left = MARGIN + index % COLUMNS * (2 * PICTURE_WIDTH + GAP + COLUMN_GAP)
        _draw_moment(sheet, (left, cells_top + index // COLUMNS * cell_height), index + 1, moment, picture_shape)
    _draw_charts(sheet, chart_top, moments, times, openings, voice, voice_rate)
    return sheet


def font(size: int) -> ImageFont.FreeTypeFont:
    """The font of all sheets."""
    loaded = ImageFont.load_default(size)
    assert isinstance(loaded, ImageFont.FreeTypeFont)
    return loaded


def _draw_moment(
    sheet: Image.Image, corner: tuple[int, int], number: int, moment: Moment, picture_shape: tuple[int, int]
) -> None:
    left, top = corner
    draw = ImageDraw.Draw(sheet)
    _draw_badge(draw, (left + 13, top + 13), number)
    draw.text((left + 36, top + 13), f"{moment.time:.2f} s", INK, font(22), anchor="lm")
    for column, (label, frame) in enumerate((("source", moment.source), ("dubbed", moment.dubbed))):
        x = left + column * (PICTURE_WIDTH + GAP)
        draw.text((x + PICTURE_WIDTH, top + 13), label, MUTED, font(19), anchor="rm")
        sheet.paste(_cut(frame, _picture_box(frame, moment.lips), picture_shape), (x, top + 36))
        sheet.paste(_cut(frame, _mouth_box(moment.lips), MOUTH_SHAPE), (x, top + 36 + picture_shape[1] + GAP))


def _draw_badge(draw: ImageDraw.ImageDraw, centre: tuple[float, float], number: int) -> None:
    x, y = centre
    draw.ellipse((x - 14, y - 14, x + 14, y + 14), MARK)
    draw.text(centre, str(number), PAPER, font(19), anchor="mm")


def _cut(frame: NDArray[np.uint8], box: Box, shape: tuple[int, int]) -> Image.Image:
    return Image.fromarray(frame).transform(shape, Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)


def _picture_box(frame: NDArray[np.uint8], lips: Box) -> Box:
    """The whole of a wide frame; a square around the face in a tall one."""
    height, width = frame.shape[:2]
    if height <= width:
        return 0, 0, width, height
    face = lips[1] - 0.1 * width
    top = min(max(face - width / 2, 0), height - width)
    return 0, top, width, top + width


def _mouth_box(lips: Box) -> Box:
    """The lips with a margin, in the aspect ratio of the close-ups."""
    left, top, right, bottom = lips
    x, y, half_width = (left + right) / 2, (top + bottom) / 2, 0.95 * (right - left)
    half_height = half_width * MOUTH_SHAPE[1] / MOUTH_SHAPE[0]
    return x - half_width, y - half_height, x + half_width, y + half_height


def _draw_charts(
    sheet: Image.Image,
    top: int,
    moments: Sequence[Moment],
    times: NDArray[np.float64],
    openings: NDArray[np.float64],
    voice: NDArray[np.float32],
    voice_rate: int,
) -> None:
    """Draw the waveform, the opening below it, a common axis in seconds, and marks at the moments."""
    draw = ImageDraw.Draw(sheet)
    axis = top + WAVE_HEIGHT + CURVE_HEIGHT
    seconds = max(len(voice) / voice_rate, float(times[-1]))
    span = WIDTH - 2 * MARGIN

    def place(time: float) -> float:
        return MARGIN + span * time / seconds

    step = next(step for step in (0.5, 1, 2, 5, 10, 30, 60, 300, 1800, np.inf) if seconds / step <= 16)
    for time in np.arange(0, seconds, step) if np.isfinite(step) else ():
        draw.line((place(time), axis, place(time), axis + 7), MUTED)
        draw.text((place(time), axis + 12), f"{time:g}", MUTED, font(18), anchor="ma")
    draw.text((WIDTH - MARGIN, axis + 12), "s", MUTED, font(18), anchor="ra")
    for moment in moments:
        draw.line((place(moment.time), top - 8, place(moment.time), axis), RULE, width=3)
    sheet.paste(WAVE, (MARGIN, top), _wave_mask(voice, span, seconds * voice_rate))
    sheet.paste(CURVE, (MARGIN, top + WAVE_HEIGHT), _curve_mask(times / seconds * span, openings))
    draw.line((MARGIN, axis, WIDTH - MARGIN, axis), MUTED, width=2)
    draw.text((MARGIN, top + 4), "voice", WAVE, font(19), anchor="ls")
    draw.text((MARGIN, top + WAVE_HEIGHT + 4), "mouth opening in the dub", CURVE, font(19))
    for number, moment in enumerate(moments, start=1):
        _draw_badge(draw, (place(moment.time), top - 18), number)


def _wave_mask(voice: NDArray[np.float32], width: int, samples: float) -> Image.Image:
    """A mask of ``width`` columns that draws the peaks of ``samples`` samples of the sound."""
    columns = width * SMOOTHING
    edges = np.linspace(0, samples, columns + 1)[:-1].astype(int)
    edges = edges[edges < len(voice)]
    peaks = np.maximum.reduceat(np.abs(voice), edges) / max(float(np.abs(voice).max()), 1e-6)
    mask = Image.new("L", (columns, WAVE_HEIGHT * SMOOTHING))
    draw = ImageDraw.Draw(mask)
    middle = WAVE_HEIGHT * SMOOTHING / 2
    for x, peak in enumerate(peaks):
        half = max(peak * (middle - 8 * SMOOTHING), SMOOTHING / 2)
        draw.line((x, middle - half, x, middle + half), 255)
    return mask.resize((width, WAVE_HEIGHT), Image.Resampling.LANCZOS)


def _curve_mask(places: NDArray[np.float64], openings: NDArray[np.float64]) -> Image.Image:
    """A mask that draws the opening at horizontal positions in pixels, from closed at the bottom to the widest near the
    top.
    """
    height = CURVE_HEIGHT * SMOOTHING
    widest = max(float(np.nanmax(openings)), 1e-6)
    heights = height - (openings / widest) * (height - 36 * SMOOTHING) - 2 * SMOOTHING
    mask = Image.new("L", ((WIDTH - 2 * MARGIN) * SMOOTHING, height))
    draw = ImageDraw.Draw(mask)
    points = np.stack([places * SMOOTHING, heights], axis=1)
    for start, end in pairwise(points):
        if np.isfinite([start, end]).all():
            draw.line((*start, *end), 255, width=3 * SMOOTHING, joint="curve")
    return mask.resize((WIDTH - 2 * MARGIN, CURVE_HEIGHT), Image.Resampling.LANCZOS)

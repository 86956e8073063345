"""The chart of the documentation: milliseconds a frame, stage by stage, as SVG."""

from __future__ import annotations

from html import escape

from .rounds import Figures

_COLOURS = {
    "decode": "#4e79a7",
    "convert": "#a0cbe8",
    "features": "#b6992d",
    "light": "#f1ce63",
    "network": "#59a14f",
    "warp and blend": "#8cd17d",
    "encode": "#e15759",
    "other": "#bab0ac",
}
_WIDTH, _LEFT, _BAR, _GAP, _LETTER = 900, 270, 26, 14, 8


def draw_chart(clips: Figures) -> str:
    """A chart of the figures of the part ``dub``: a bar for the end-to-end run of each clip, divided into stages as
    shares of the time that all threads spent, and one for the codec alone.
    """
    bars = []
    for title, clip in clips.items():
        for name, label in (("other commit", "before"), ("whole job", "dub"), ("codec alone", "codec alone")):
            if name in clip["figures"]:
                bars.append((f"{title}: {label}", clip["figures"][name], name == "codec alone"))
    longest = max(1000 / figures["fps"] for _, figures, _ in bars)
    height = 60 + len(bars) * (_BAR + _GAP) + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="28" font-size="15">Milliseconds a frame, and frames per second</text>',
    ]
    for row, (label, figures, is_codec) in enumerate(bars):
        parts += _bar(label, figures, is_codec, 50 + row * (_BAR + _GAP), longest)
    x, y = 15, height - 30
    for name, colour in _COLOURS.items():
        parts.append(f'<rect x="{x}" y="{y}" width="14" height="14" fill="{colour}"/>')
        parts.append(f'<text x="{x + 19}" y="{y + 12}" font-size="12">{name}</text>')
        x += 45 + _LETTER * len(name)
    return "\n".join([*parts, "</svg>", ""])


def _bar(label: str, figures: Figures, is_codec: bool, y: int, longest: float) -> list[str]:
    whole = 1000 / figures["fps"]
    scale = (_WIDTH - _LEFT - 150) / longest
    stages = {} if is_codec else {name: figures["stages_ms"].get(name, 0.0) for name in _COLOURS if name != "other"}
    stages["other"] = max(0.0, whole - sum(stages.values()))
    factor = whole / sum(stages.values())  # threads overlap
    parts = [f'<text x="{_LEFT - 10}" y="{y + 18}" text-anchor="end">{escape(label)}</text>']
    x = float(_LEFT)
    for name, value in stages.items():
        width = value * factor * scale
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{_COLOURS[name]}"/>')
        x += width
    parts.append(f'<text x="{x + 8:.1f}" y="{y + 18}">{whole:.1f} ms, {figures["fps"]:.0f} fps</text>')
    return parts

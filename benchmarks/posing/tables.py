"""The figures as tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from .rows import KNOWN_ROWS, ROWS

Figures = dict[str, Any]


def short(angle: str) -> str:
    """Name of an angle in tables and pictures."""
    return angle.replace("minus_", "-").replace("_", " ")


def show_tables(figures: Figures) -> None:
    """Print the figures."""
    console = Console()
    for speaker, rows in figures["rendered"].items():
        show_rendered(console, speaker, rows)
    for clip, rows in {**figures["rendered"], **figures["clips"]}.items():
        arc = rows["arc"]
        names = list(arc["5"])
        table = Table("degrees", *names, title=f"{clip}: a camera on an arc around the head")
        for angle, row in arc.items():
            table.add_row(angle, *(f"{row[name]:.4g}" if name in row else "-" for name in names))
        console.print(table)
    for clip, rows in figures["clips"].items():
        table = Table(clip, *ROWS, title="frames re-posed as others")
        for turns in ("all", "far"):
            for name in rows["unwarped"][turns]:
                table.add_row(f"{name}, {turns}", *(f"{rows[row][turns][name]:.4g}" for row in ROWS))
        console.print(table)


def show_rendered(console: Console, speaker: str, figures: Figures) -> None:
    """Print what is known of a rendered speaker only."""
    table = Table("median error in % of the head's depth", "face", "head", title=f"{speaker}: depth")
    for title, name in (("mesh on a round head", "mesh_depth_error"), ("learned", "depth_error")):
        table.add_row(title, *(f"{figures[f'{name}_{part}_percent']:.2f}" for part in ("face", "head")))
    console.print(table)
    match = figures["camera_match_px"], figures["camera_match_median_px"]
    console.print("camera match: at most {:.1g} px, median {:.1g} px, of 512 across".format(*match))
    by_row = figures["novel_view"]
    for name in by_row["unwarped"]["yaw_10"]:
        table = Table("", *KNOWN_ROWS, title=f"{speaker}: {name} in the head's mask")
        for angle in by_row["unwarped"]:
            table.add_row(short(angle), *(f"{by_row[row][angle][name]:.4g}" for row in KNOWN_ROWS))
        console.print(table)

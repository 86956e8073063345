"""Tables of the figures of ``speed``."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from .rounds import Figures

_ROWS = ("decode", "convert", "features", "light", "network", "warp and blend", "encode")
"""Stages of a dub, in their order."""


def show_dub(figures: Figures, ratios: dict[str, float], title: str) -> None:
    """Print how fast a dub is, its stages, and the ratios."""
    show_runs(figures, title)
    show_stages({name: figures[name] for name in ("whole job", "other commit") if name in figures}, title)
    table = Table("ratio", "", title=title)
    for name, value in ratios.items():
        table.add_row(name, f"{value:.3g}")
    Console().print(table)


def show_runs(figures: Figures, title: str) -> None:
    """Print medians of what was timed: frames per second, milliseconds on the clock and of all cores, and memory."""
    table = Table("", "fps", "ms a frame", "CPU ms a frame", "seconds", "cores", "peak MB", title=title)
    for name, each in figures.items():
        fps, cores = each["fps"], each["cpu_seconds"] / each["seconds"]
        table.add_row(
            *(name, f"{fps:.4g}", f"{1000 / fps:.4g}", f"{1000 * cores / fps:.4g}"),
            *(f"{each['seconds']:.3g}", f"{cores:.2f}", f"{each['peak_mb']:.0f}"),
        )
    Console().print(table)


def show_stages(figures: Figures, title: str) -> None:
    """Print the milliseconds a frame of each stage. What is in no stage is ``other``."""
    table = Table("stage, ms a frame", *figures, title=title)
    names = dict.fromkeys([*_ROWS, *(name for each in figures.values() for name in each["stages_ms"])])
    for name in names:
        values = [each["stages_ms"].get(name) for each in figures.values()]
        if any(values):
            table.add_row(name, *("" if value is None else f"{value:.2f}" for value in values))
    rest = [1000 / each["fps"] - sum(each["stages_ms"].values()) for each in figures.values()]
    table.add_row("other", *(f"{value:.2f}" for value in rest))
    Console().print(table)


def show_waits(figures: Figures, title: str) -> None:
    """Print for how long a user waits."""
    table = Table("wait", "seconds", "most", title=title)
    for name, each in figures.items():
        table.add_row(name, f"{each['seconds']:.2f}", f"{max(each['runs']):.2f}")
    Console().print(table)


def show_growth(figures: Figures, unit: str, title: str) -> None:
    """Print how seconds and memory grow, and the exponents."""
    for name, each in figures.items():
        table = Table(unit, "seconds", "peak MB", title=f"{title}: {name}")
        for size, seconds in each["seconds"].items():
            table.add_row(f"{size:g}", f"{seconds:.3g}", f"{each['peak_mb'][size]:.0f}")
        fitted = [each["exponent of seconds"], each["exponent of memory"]]
        table.add_row("exponent", *("" if value is None else f"{value:.2f}" for value in fitted))
        Console().print(table)

"""What each part brings on clips of the user's: of the default architecture, and of the paper's method, next to the
figures of the paper's Tables 4 and 5.

Rows are measured as in ``bench quality``. In those of the default architecture, a part is left out of one speaker where
that is possible; the others are complete trainings without a part. The paper's figures are from another clip, with
another mouth box and another sync expert, so only the differences between rows can be compared.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from s2l_core.training.presets import PRESETS, Preset

from .trials.command import run_trials, trial_parser
from .trials.exemplar_parts import PARTS, without_part
from .trials.results import ClipFigures, Columns
from .trials.trial import Contender, Trial

COLUMNS = {
    "mouth dB": "mouth_psnr",
    "frame dB": "frame_psnr",
    "sync": "sync_confidence",
    "LPIPS": "lpips",
    "opening": "opening_correlation",
}
EXEMPLAR_COLUMNS = {
    "KID": "kid",
    "AUC": "real_or_dub_auc",
    "LPIPS": "lpips",
    "mouth dB": "mouth_psnr",
    "LMD": "lmd",
    "opening": "opening_correlation",
    "width": "width_correlation",
    "articulation": "articulation",
    "jitter": "jitter",
    "flicker": "flicker",
    "grain": "grain",
    "CPBD": "cpbd",
}


@dataclass(frozen=True)
class Variation:
    """One row of a table.

    Attributes:
        title: The part that is left out or added.
        preset: Hyperparameters of the training.
        paper: PSNR of the lips, PSNR of the whole image and SyncNet confidence in the paper; empty if it has no such
            row.
    """

    title: str
    preset: Preset
    paper: tuple[float, ...] = ()


def loss_terms(full: Preset) -> dict[str, Variation]:
    """Table 4: the terms of equation (10), added one after the other. The order in the paper is uncertain."""
    none = replace(full.weights, lip=0.0, lip_perceptual=0.0, depth=0.0, sync=0.0)
    lip = replace(none, lip=full.weights.lip, lip_perceptual=full.weights.lip_perceptual)
    depth = replace(lip, depth=full.weights.depth)
    return {
        "frame": Variation("L_rec", replace(full, depth_steps=0, weights=none), (34.104, 36.947, 6.313)),
        "lip": Variation("+ L_lip", replace(full, depth_steps=0, weights=lip), (34.429, 36.994, 6.359)),
        "depth": Variation("+ L_depth", replace(full, weights=depth), (34.694, 37.193, 7.194)),
        "full": Variation("+ L_sync", full, (34.815, 37.245, 7.771)),
    }


def parts(full: Preset) -> dict[str, Variation]:
    """Table 5: one part left out."""
    return {
        "no_continuous_sampling": Variation(
            "w/o continuous sampling", replace(full, continuous_sampling=False), (34.702, 37.214, 7.553)
        ),
        "no_implicit_model": Variation(
            "w/o implicit model", replace(full, architecture="explicit"), (34.250, 37.058, 6.790)
        ),
        "no_blend_net": Variation("w/o Blend-Net", replace(full, blending=False), (33.736, 36.881, 6.065)),
        "no_time": Variation("w/o time", replace(full, time=False), (34.512, 37.121, 7.146)),
        "no_learnt_depth": Variation("w/o learnt depth", replace(full, depth_steps=0)),
        "no_look": Variation("w/o look", replace(full, look=False)),
        "full": Variation("full", full, (34.815, 37.245, 7.771)),
    }


def trained_parts(full: Preset) -> dict[str, Variation]:
    """Parts of the default architecture that training alone can leave out."""
    return {
        "exemplars_without_look": Variation("without look", replace(full, look=False)),
        "exemplars_without_sync": Variation("without L_sync", replace(full, weights=replace(full.weights, sync=0.0))),
    }


def show_parts(title: str, titles: dict[str, str], rows: dict[str, Columns]) -> None:
    """Print the table of the default architecture."""
    table = Table("", title=title)
    for heading in EXEMPLAR_COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for name in filter(rows.__contains__, titles):
        table.add_row(titles[name], *(_cell(rows[name].get(column)) for column in EXEMPLAR_COLUMNS.values()))
    Console(width=max(Console().width, 160)).print(table)


def show(title: str, variations: dict[str, Variation], rows: dict[str, Columns]) -> None:
    """Print a table with the paper's row, if there is one, below each row."""
    table = Table("", title=title)
    for heading in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, variation in variations.items():
        if name in rows:
            table.add_row(variation.title, *(_cell(rows[name].get(column)) for column in COLUMNS.values()))
            if variation.paper:
                table.add_row("  in the paper", *map(_cell, variation.paper), style="dim")
    Console().print(table)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    some = PRESETS["balanced"]
    paper_rows = tuple(loss_terms(some) | parts(some))
    options = trial_parser("ablation", __doc__, (*PARTS, *trained_parts(some), *paper_rows)).parse_args(arguments)
    preset = PRESETS[options.preset]
    of_exemplars = replace(preset, architecture="exemplars")
    without = trained_parts(of_exemplars)
    # Exemplars have none of the paper's parts.
    full = replace(preset, architecture="grids") if preset.architecture == "exemplars" else preset
    fourth, fifth = loss_terms(full), parts(full)
    variations = without | fourth | fifth

    def contend(trial: Trial, row: str, seed: int) -> Contender:
        if row in PARTS:
            return without_part(trial, trial.train("exemplars", of_exemplars, seed)[0], PARTS[row])
        name = "grids" if row == "full" and full.architecture == "grids" else row
        return trial.by_dub(*trial.train(name, variations[row].preset, seed))

    def present(trial: Trial, figures: ClipFigures) -> None:
        titles = {row: part.title for row, part in (PARTS | without).items()}
        show_parts(f"{figures.name}, the default architecture: one part left out", titles, figures.rows)
        show(f"{figures.name}, table 4: loss terms, added one after the other", fourth, figures.rows)
        show(f"{figures.name}, table 5: one part left out", fifth, figures.rows)

    return run_trials(options, contend, present)


if __name__ == "__main__":
    sys.exit(main())

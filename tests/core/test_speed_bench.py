"""``build.py bench speed`` and ``gpu``: what is timed and compared, and that their short forms run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import gpu, speed
from benchmarks.timing import agreement, rivals, stages
from benchmarks.timing.agreement import LOSSLESS
from benchmarks.timing.chart import draw_chart
from benchmarks.timing.dubbing import ratios
from benchmarks.timing.rounds import in_turns, summary
from benchmarks.timing.scaling import exponent
from benchmarks.timing.stages import Stopwatch
from s2l_core.media.writing import VideoWriter

# ---- Stages


def test_a_stage_does_not_count_the_stages_inside_of_it() -> None:
    watch = Stopwatch()
    inner = watch.wrapped(lambda: time.sleep(0.02), "inner")
    watch.wrapped(lambda: inner(), "outer")()
    assert watch.seconds["inner"] >= 0.02
    assert watch.seconds["outer"] < watch.seconds["inner"]


def test_of_a_generator_only_its_own_steps_are_counted() -> None:
    def steps() -> Iterator[int]:
        yield 1

    watch = Stopwatch()
    for _ in watch.wrapped(steps, "decode")():
        time.sleep(0.02)
    assert 0.0 < watch.seconds["decode"] < 0.02


def test_functions_are_timed_wherever_they_were_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def place() -> str:
        return "done"

    home, importer = SimpleNamespace(place=place), SimpleNamespace(renamed=place)
    monkeypatch.setattr(stages, "_modules", lambda: [importer])
    watch = Stopwatch()
    stages.replace(place, watch.wrapped(place, "warp"), home)
    assert (home.place(), importer.renamed()) == ("done", "done")
    assert list(watch.seconds) == ["warp"]


@pytest.mark.parametrize("stage", stages.HOOKS)
def test_every_stage_has_a_function(stage: str) -> None:
    found = [name for name in stages.HOOKS[stage] if stages.find(name)[1] is not None]
    assert found == list(stages.HOOKS[stage])


# ---- Comparisons


def test_other_systems_have_their_published_cost() -> None:
    assert rivals.gflop(rivals.paper_frame("meta")) == pytest.approx(207.9, rel=0.001)
    assert rivals.gflop(rivals.peer_frame("meta")) == pytest.approx(6.33, rel=0.02)


def test_what_is_compared_takes_turns() -> None:
    done: list[str] = []

    def do(name: str) -> dict[str, str]:
        done.append(name)
        return {}

    in_turns({name: partial(do, name) for name in "ab"}, 2)
    assert done == ["a", "b", "a", "b"]


def test_figures_are_medians() -> None:
    runs = [
        {"seconds": s, "cpu_seconds": 2 * s, "stages": {"decode": s / 2}, "peak_mb": s, "frames": 100}
        for s in (1.0, 2.0, 9.0)
    ]
    figures = summary(runs)
    assert (figures["fps"], figures["cpu_seconds"], figures["peak_mb"]) == (50.0, 4.0, 9.0)
    assert figures["stages_ms"] == {"decode": 10.0}
    assert ratios({"end to end": figures, "codec alone": figures | {"fps": 100.0}}) == {"end to end / codec alone": 0.5}


def test_growth_is_the_power_of_the_size() -> None:
    assert exponent({10.0: 3.0, 100.0: 30.0, 1000.0: 300.0}) == pytest.approx(1.0)
    assert exponent({10.0: 3.0, 100.0: 3.0}) == pytest.approx(0.0)
    assert exponent({10.0: 3.0}) is None


# ---- The whole


def test_smoke_form_measures_every_way_of_a_dub(hasty_speaker: str, tmp_path: Path) -> None:
    path, chart = tmp_path / "speed.json", tmp_path / "speed.svg"
    arguments = ["dub", "wait", "--smoke", "--speaker", hasty_speaker, "--json", str(path), "--chart", str(chart)]
    assert speed.main([*arguments, "--device", "cpu"]) == 0
    figures = json.loads(path.read_text())
    ((title, clip),) = figures["dub"].items()
    assert title == "speaker, 384x384"
    assert {"whole job", "end to end", "without encode", "network only", "codec alone"} <= clip["figures"].keys()
    assert {"decode", "convert", "features", "network", "warp and blend", "encode"} <= clip["figures"]["whole job"][
        "stages_ms"
    ].keys()
    assert set(figures["wait"]) == {"cold start", "preview of unseen footage", "first written frame"}
    assert figures["machine"]["missing"] == []
    assert chart.read_text() == draw_chart(figures["dub"])


def test_dry_run_of_the_gpu_benchmark(hasty_speaker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # which it changes
    path = tmp_path / "gpu.json"
    assert gpu.main(["--device", "cpu", "--smoke", "--speaker", hasty_speaker, "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    assert {check["verb"]: check["difference"] for check in figures["agree"]} == {"dub": 0, "preview": 0, "still": 0}
    assert figures["memory"]["times_out_of_memory"] > 1


def test_results_of_another_device_are_compared(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{value}.mkv") for value in (100, 104)]
    for path, value in zip(paths, (100, 104), strict=True):
        with VideoWriter(path, 16, 16, Fraction(25), encoding=LOSSLESS) as writer:
            writer.write(np.full((16, 16, 3), value, np.uint8))
    assert agreement.difference(paths[0], paths[0]) == 0
    assert agreement.difference(*paths) == 4
    here, there = {"offset": 1.0, "path": "a", "people": [1]}, {"offset": 1.1, "path": "b", "people": [1]}
    assert agreement.of_numbers(here, there) == pytest.approx(0.1 / 1.1)


def test_unknown_parts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        speed.main(["dub", "sing"])
    assert "there is no part sing" in capsys.readouterr().err

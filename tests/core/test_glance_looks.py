"""How real the mouths of stills look: what the comparison of sets of mouths tells."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.glance import main
from benchmarks.glancing.looks import compare


def test_mouths_unlike_the_real_ones_are_told_apart() -> None:
    random = np.random.default_rng(0)
    people = []
    for _ in range(5):
        real = random.normal(size=(20, 30))
        people.append({"real": real, "same": random.normal(size=(20, 30)), "other": real + 3.0})
    rows = compare(people)
    assert rows["other"]["real_or_dub_auc"] > 0.99 and rows["other"]["kid"] > rows["real"]["kid"]
    assert abs(rows["same"]["real_or_dub_auc"] - 0.5) < 0.2


def test_a_missing_folder_of_people_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--data", "anywhere", "--people", "nowhere"])
    assert "nowhere is not a folder" in capsys.readouterr().err

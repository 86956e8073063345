"""Nothing is tied to one kind of device, and 64-bit floats stay off devices that have none, such as Apple's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import s2l_core
from s2l_core.device import choose_device, device_for_double, in_double
from s2l_core.errors import DeviceUnavailable
from s2l_core.jobs import DubJob, InfoJob, Media
from s2l_core.model.look import principal_axes
from s2l_core.speech.kernel import BLOCKS, KernelRegression
from s2l_core.verbs.info import info

from .elsewhere import DEVICE, Elsewhere

CLIP = str(Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    """Dubs compute on the stand-in, and it has no 64-bit floats."""
    monkeypatch.setattr("s2l_core.verbs.dub.choose_device", lambda name: DEVICE)
    for module in ("device", "mouth.occlusion"):
        monkeypatch.setattr(f"s2l_core.{module}.device_for_double", lambda device: torch.device("cpu"))
    return Elsewhere()


def test_dubbing_computes_no_64_bit_floats_on_the_device(
    elsewhere: Elsewhere, hasty_speaker: str, tmp_path: Path
) -> None:
    with elsewhere:
        job = DubJob(hasty_speaker, Media(CLIP, 0.0, 1.0), Media(CLIP, 2.0, 2.4), str(tmp_path / "dub.mp4"))
        s2l_core.dub(job)
    assert elsewhere.count > 1000
    assert not elsewhere.wide, "\n".join(sorted(elsewhere.wide))


def test_what_is_fitted_in_64_bit_floats_is_fitted_off_the_device(elsewhere: Elsewhere) -> None:
    with elsewhere:
        heard, codes = torch.randn(40, BLOCKS, 4, device=DEVICE), torch.randn(40, 3, device=DEVICE)
        axes = [principal_axes(values, 2)[0] for values in (codes, codes.mT.contiguous())]
        KernelRegression(3, 4).to(DEVICE).fit(heard, codes)
        assert all(part.device == DEVICE for part in axes)
    assert not elsewhere.wide, "\n".join(sorted(elsewhere.wide))


def test_stand_in_notices_64_bit_floats_on_the_device() -> None:
    with Elsewhere() as elsewhere:
        here = torch.ones(3, device=DEVICE)
        here.cpu().double()
        assert not elsewhere.wide
        (here + 1).double()
        assert elsewhere.wide


def test_apples_device_is_used_only_if_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceUnavailable, match="MPS"):
        info(InfoJob("mps"))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == torch.device("mps")
    assert choose_device("auto") == torch.device("cpu")
    assert info(InfoJob("mps"))["devices"] == ["cpu", "mps"]


def test_64_bit_floats_go_to_the_cpu_only_if_the_device_has_none() -> None:
    assert device_for_double(torch.device("mps")) == torch.device("cpu")
    assert device_for_double(torch.device("cuda")) == torch.device("cuda")
    assert in_double(torch.ones(2)).dtype == torch.float64

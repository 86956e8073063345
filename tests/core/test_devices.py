"""Nothing is tied to one kind of device, and 64-bit floats stay off devices that have none, such as Apple's."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

import s2l_core
from benchmarks.timing.scarcity import digest_frames
from s2l_core.device import choose_device, device_for_double, in_double, in_halves
from s2l_core.errors import DeviceUnavailable
from s2l_core.events import Report
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
    # The stand-in sees one thread.
    monkeypatch.setattr("s2l_core.mouth.dub_frames.ahead", lambda items, count: nullcontext(iter(items)))
    monkeypatch.setattr("s2l_core.mouth.dub_frames.in_order", lambda compute, items, workers: map(compute, items))
    return Elsewhere()


def test_dubbing_computes_no_64_bit_floats_on_the_device(
    elsewhere: Elsewhere, hasty_speaker: str, tmp_path: Path
) -> None:
    with elsewhere:
        job = DubJob(hasty_speaker, Media(CLIP, 0.0, 1.0), Media(CLIP, 2.0, 2.4), str(tmp_path / "dub.mp4"))
        s2l_core.dub(job)
    assert elsewhere.count > 1000
    assert not elsewhere.wide, "\n".join(sorted(elsewhere.wide))


def test_a_dub_never_mixes_devices(elsewhere: Elsewhere, hasty_speaker: str, tmp_path: Path) -> None:
    job = DubJob(hasty_speaker, Media(CLIP, 0.0, 1.0), Media(CLIP, 2.0, 2.4), str(tmp_path / "dub.mp4"))
    with elsewhere:
        s2l_core.dub(job)
    assert not elsewhere.mixed | elsewhere.read, "\n".join(sorted(elsewhere.mixed | elsewhere.read))


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


def test_stand_in_notices_what_a_device_refuses() -> None:
    with Elsewhere() as elsewhere:
        there, here = torch.ones(3, device=DEVICE), torch.ones(3)
        there[torch.tensor([0, 2])] + there.to("cpu", copy=True).to(DEVICE)[:2] * torch.tensor(2.0)
        torch.nn.Parameter(there) * there
        assert not elsewhere.mixed
        there + here
        assert len(elsewhere.mixed) == 1
        there.cpu().numpy()
        assert not elsewhere.read
        there.numpy()
        assert len(elsewhere.read) == 1


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


# ---- Memory


def scarce(items: slice, most: int) -> list[int]:
    """Squares, with memory for a few at a time."""
    if items.stop - items.start > most:
        raise torch.OutOfMemoryError("as if the memory were not enough")
    return [number * number for number in range(items.start, items.stop)]


@pytest.mark.parametrize("most", [1, 2, 3, 10])
def test_batches_are_halved_while_memory_runs_out(most: int) -> None:
    assert in_halves(lambda items: scarce(items, most), 7, most=7) == [0, 1, 4, 9, 16, 25, 36]


def test_no_more_items_are_computed_at_once_than_wanted() -> None:
    sizes: list[int] = []

    def compute(items: slice) -> list[int]:
        sizes.append(items.stop - items.start)
        return scarce(items, most=3)

    assert in_halves(compute, 7, most=3) == [0, 1, 4, 9, 16, 25, 36]
    assert sizes == [3, 3, 1]


def test_an_item_that_is_too_large_alone_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        in_halves(lambda items: scarce(items, 0), 4, most=4)


def test_frames_are_the_same_with_little_memory(hasty_speaker: str, tmp_path: Path) -> None:
    job = DubJob(hasty_speaker, Media(CLIP, 0.0, 1.0), Media(CLIP, 2.0, 2.4), str(tmp_path / "dub.mp4"))
    usual, tight = (digest_frames(job, most, Report()) for most in (0, 2))
    assert usual["times_out_of_memory"] == 0 and tight["times_out_of_memory"] > 1
    assert tight["mean"] == pytest.approx(usual["mean"], abs=0.01)

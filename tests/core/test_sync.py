"""Sync experts: what they learn from real lips, what gradient they give to generated ones, and how they score."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from s2l_core.errors import FileMissing, SyncExpertUnreadable, TooFewFaces
from s2l_core.evaluation.sync_score import score_offset
from s2l_core.model.lip.grids import GridLipModel
from s2l_core.model.sync import (
    JUDGE,
    TEACHER,
    ExpertSizes,
    SyncExpert,
    frames_of_windows,
    info_nce,
    mel_windows,
    paper_loss,
    picture_windows,
    sync_loss,
    sync_loss_of_runs,
    train_expert,
)
from s2l_core.model.wav2lip_expert import Wav2LipExpert, load_wav2lip_expert, wav2lip_mel, wav2lip_mel_windows
from s2l_core.training.sync_teacher import SyncTeacher

SMALL = ExpertSizes(height=18, width=24, channels=8, mel_rows=32, embedding=32)


def made_up_footage(seconds: float, rate: float = 25.0) -> tuple[Tensor, np.ndarray, Tensor]:
    """Log-mel whose level moves at random, and pictures with a bright bar that opens as far as the sound is loud."""
    random = np.random.default_rng(0)
    loud = np.convolve(random.normal(size=round(100 * seconds) + 31), np.hanning(20), "valid")
    mel = loud[: round(100 * seconds) + 1, None] + 0.1 * random.normal(size=(round(100 * seconds) + 1, 80))
    times = np.arange(round(rate * seconds)) / rate
    opening = np.interp(times, np.arange(len(loud)) / 100, loud) / loud.std()
    height = 18 * (0.3 + 0.1 * opening)
    rows = np.arange(36)[None, :, None]
    bar = np.abs(rows - 18) < height[:, None, None]
    pictures = np.broadcast_to(np.where(bar, 200, 60)[:, None], (len(times), 3, 36, 48)).astype(np.uint8)
    return torch.from_numpy(mel.astype(np.float32)), times, torch.from_numpy(pictures.copy())


@pytest.fixture(scope="module")
def expert() -> SyncExpert:
    return train_expert(*made_up_footage(15.0), seed=0, sizes=SMALL, steps=40)


@pytest.mark.parametrize("late", [-0.16, 0.0, 0.2])
def test_an_expert_finds_how_late_the_sound_is(expert: SyncExpert, late: float) -> None:
    mel, times, pictures = made_up_footage(8.0)
    score = score_offset(expert, mel, times + late, pictures)
    assert score is not None
    assert score.offset_frames == round(-late / 0.04)
    assert score.within_one_frame == (1.0 if late == 0 else 0.0)


def test_a_score_tells_what_is_in_step_from_what_is_not(expert: SyncExpert) -> None:
    mel, times, pictures = made_up_footage(8.0)
    in_step = score_offset(expert, mel, times, pictures)
    reversed_sound = score_offset(expert, mel.flip(0), times, pictures)
    assert in_step is not None and reversed_sound is not None
    assert in_step.confidence > 2 * reversed_sound.confidence > 0
    assert score_offset(expert, mel, times[:4], pictures[:4]) is None


def test_embeddings_are_unit_norm_and_not_negative(expert: SyncExpert) -> None:
    for embeddings in expert(torch.randn(3, SMALL.mel_rows, 80), torch.rand(3, 5, 3, 50, 40)):
        assert torch.allclose(embeddings.norm(dim=1), torch.ones(3), atol=1e-5)
        assert (embeddings >= 0).all()


def test_the_same_seed_gives_the_same_expert_and_leaves_other_randomness_alone() -> None:
    footage = made_up_footage(4.0)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, second, other = (train_expert(*footage, seed=seed, sizes=SMALL, steps=2) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    weights, same, different = (dict(expert.named_parameters())["mouth.0.weight"] for expert in (first, second, other))
    assert torch.equal(weights, same)
    assert not torch.equal(weights, different)


def test_footage_without_five_pictures_in_a_row_teaches_nothing() -> None:
    mel, times, pictures = made_up_footage(2.0)
    kept = np.arange(len(times)) % 5 > 0
    with pytest.raises(TooFewFaces):
        train_expert(mel, times[kept], pictures[torch.from_numpy(kept)], seed=0, sizes=SMALL)


def test_teacher_and_judge_are_not_of_one_architecture() -> None:
    assert not set(vars(TEACHER).items()) & set(vars(JUDGE).items())


@pytest.mark.parametrize("form", ["infonce", "paper"])
def test_the_loss_reaches_every_generated_picture_and_leaves_the_expert_alone(expert: SyncExpert, form: str) -> None:
    mel, times, pictures = made_up_footage(2.0)
    generated = (pictures[:20].float() / 255).unflatten(0, (2, 10)).requires_grad_()
    before = [parameter.clone() for parameter in expert.parameters()]
    loss = sync_loss_of_runs(expert, mel, times[:20].reshape(2, 10), generated, form)  # type: ignore[arg-type]
    loss.backward()
    assert generated.grad is not None
    assert (generated.grad.flatten(2).abs().amax(dim=2) > 0).all()
    for parameter, old in zip(expert.parameters(), before, strict=True):
        assert parameter.grad is None
        assert torch.equal(parameter, old)


def test_following_the_gradient_brings_lips_into_step(expert: SyncExpert) -> None:
    mel, times, pictures = made_up_footage(2.0)
    generated = (pictures[:24].float() / 255).roll(7, dims=0)[None].requires_grad_()
    optimiser = torch.optim.Adam([generated], 0.01)
    losses = []
    for _ in range(10):
        loss = sync_loss_of_runs(expert, mel, times[None, :24], generated)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_a_teacher_has_lips_painted_small_and_its_loss_reaches_their_codes(expert: SyncExpert) -> None:
    mel, times, _ = made_up_footage(2.0)
    teacher = SyncTeacher(expert, mel, "infonce")
    lip = GridLipModel(48, 36)
    ramp = torch.linspace(0, 1, 48).expand(3, 36, 48)
    lip.start(ramp, torch.stack([ramp.cos() * number for number in range(64)]) / 640)
    codes = torch.randn(20, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    lips = teacher.painter(lip)(codes)
    assert lips.shape == (20, 3, SMALL.height, SMALL.width)
    teacher.loss(times[:20].reshape(2, 10), lips.unflatten(0, (2, 10))).backward()
    assert codes.grad is not None
    assert (codes.grad.abs().amax(dim=1) > 0).all()


def embeddings_of(expert: SyncExpert, right: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Generated pictures, and what an expert makes of six moments' sound and of the pictures: those of the moments
    themselves, or of other moments.
    """
    mel, times, pictures = made_up_footage(4.0)
    windows = picture_windows(times)[:60:10]
    generated = (pictures[torch.from_numpy(windows)].float() / 255).requires_grad_()
    heard = mel_windows(mel, times[windows[:, 2]] if right else times[windows[:, 2]] + 1.0, SMALL.mel_rows)
    return generated, *expert(heard, generated)


def test_the_papers_negatives_carry_gradient_of_their_own(expert: SyncExpert) -> None:
    """The authors' release pairs frozen embeddings of real frames there, which teach nothing."""
    generated, speech, mouth = embeddings_of(expert, right=False)
    paper_loss(speech, speech, mouth).backward()  # the positives, the speech itself, carry none
    assert generated.grad is not None
    assert generated.grad.abs().amax() > 0


def test_infonces_negatives_carry_gradient_of_their_own(expert: SyncExpert) -> None:
    generated, speech, mouth = embeddings_of(expert, right=True)
    without = torch.cat([torch.zeros_like(speech[:1]), speech[1:]])  # whose product with the first lips is constant
    info_nce(without, mouth).backward()
    assert generated.grad is not None
    assert generated.grad[0].abs().amax() > 0


def test_the_paper_form_is_least_for_right_pairs_alike_and_wrong_pairs_apart() -> None:
    first, second = torch.eye(2)
    speech, same, other = first[None], first[None], second[None]
    assert float(paper_loss(speech, same, other)) == pytest.approx(0.0, abs=1e-6)
    assert float(paper_loss(speech, other, same)) > 10
    middle = (speech + other) / 2**0.5
    assert float(paper_loss(speech, middle, other)) == pytest.approx(0.5 * np.log(2), abs=1e-5)


def test_infonce_asks_each_to_be_the_nearest() -> None:
    alike = torch.eye(4)
    assert float(info_nce(alike, alike)) < 0.001
    assert float(info_nce(alike, torch.ones(4, 4) / 2)) == pytest.approx(np.log(4), abs=1e-5)


@pytest.mark.parametrize("rate", [24.0, 25.0, 30000 / 1001, 50.0, 60.0])
def test_windows_span_the_same_time_at_any_frame_rate(rate: float) -> None:
    times = np.arange(round(2 * rate)) / rate
    windows = picture_windows(times)
    offsets = times[windows] - times[windows[:, 2:3]]
    assert np.abs(offsets - 0.04 * np.arange(-2, 3)).max() < 0.02
    assert len(windows) >= len(times) - 10
    assert len(picture_windows(times[: frames_of_windows(times, 3)])) == 3
    if rate == 25:
        assert len(windows) == len(times) - 4


def test_no_window_reaches_over_a_gap() -> None:
    times = np.arange(50) / 25
    kept = np.delete(times, [20, 21, 22])
    windows = picture_windows(kept)
    assert np.ptp(kept[windows], axis=1).max() < 0.17
    assert len(windows) == 47 - 4 - 4


def test_windows_of_sound_lie_around_their_moments() -> None:
    mel = torch.arange(100.0)[:, None].expand(-1, 80)
    windows = mel_windows(mel, np.array([0.5, 0.0]), 4)
    assert windows[:, :, 0].tolist() == [[48.0, 49.0, 50.0, 51.0], [0.0, 0.0, 0.0, 1.0]]


def lipsync_expert_layout() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the public weights: outputs, inputs, kernel of each convolution."""
    face = [(32, 15, 7), (64, 32, 5), *[(64, 64, 3)] * 2, (128, 64, 3), *[(128, 128, 3)] * 3, (256, 128, 3)]
    face += [*[(256, 256, 3)] * 2, (512, 256, 3), *[(512, 512, 3)] * 2, *[(512, 512, 3)] * 2, (512, 512, 1)]
    audio = [(32, 1, 3), *[(32, 32, 3)] * 2, (64, 32, 3), *[(64, 64, 3)] * 2, (128, 64, 3), *[(128, 128, 3)] * 2]
    audio += [(256, 128, 3), *[(256, 256, 3)] * 2, (512, 256, 3), (512, 512, 1)]
    shapes: dict[str, tuple[int, ...]] = {}
    for encoder, layers in (("face_encoder", face), ("audio_encoder", audio)):
        for index, (outputs, inputs, kernel) in enumerate(layers):
            name = f"{encoder}.{index}.conv_block"
            shapes |= {f"{name}.0.weight": (outputs, inputs, kernel, kernel), f"{name}.0.bias": (outputs,)}
            shapes |= {f"{name}.1.{value}": (outputs,) for value in ("weight", "bias", "running_mean", "running_var")}
            shapes[f"{name}.1.num_batches_tracked"] = ()
    return shapes


def random_weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in lipsync_expert_layout().items():
        if len(shape) == 4:
            weights[name] = torch.randn(shape, generator=generator) * (2 / (shape[1] * shape[2] ** 2)) ** 0.5
        elif not shape:
            weights[name] = torch.tensor(1)
        else:
            weights[name] = torch.ones(shape) if name.endswith(("1.weight", "var")) else torch.zeros(shape)
    return weights


def test_wav2lips_expert_has_the_size_of_the_public_one() -> None:
    expert = Wav2LipExpert()
    assert {name: tuple(value.shape) for name, value in expert.state_dict().items()} == lipsync_expert_layout()
    assert sum(parameter.numel() for parameter in expert.parameters()) == 16_435_072


@pytest.mark.parametrize("prefix", ["", "module."])
def test_public_weights_give_an_expert_whose_loss_reaches_the_lower_half_of_the_face(
    tmp_path: Path, prefix: str
) -> None:
    path = tmp_path / "lipsync_expert.pth"
    weights = random_weights()
    state = {prefix + name: value for name, value in weights.items()}
    torch.save({"state_dict": state, "optimizer": None, "global_step": 1, "global_epoch": 0}, path)
    expert = load_wav2lip_expert(str(path))
    assert torch.equal(
        expert.state_dict()["face_encoder.3.conv_block.0.weight"], weights["face_encoder.3.conv_block.0.weight"]
    )
    faces = torch.rand(2, 5, 3, 96, 96).requires_grad_()
    speech, face = expert(torch.randn(2, 16, 80), faces)
    assert speech.shape == face.shape == (2, 512)
    assert torch.allclose(face.norm(dim=1), torch.ones(2), atol=1e-5) and (face >= 0).all()
    sync_loss(expert, torch.randn(2, 16, 80), faces, "paper").backward()
    assert faces.grad is not None
    assert not faces.grad[..., :48, :].any()
    assert faces.grad[..., 48:, :].any()
    assert all(parameter.grad is None for parameter in expert.parameters())


def test_what_is_no_expert_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "expert.pth"
    with pytest.raises(FileMissing):
        load_wav2lip_expert(str(path))
    contents = {
        "cut short": None,
        "no state": {"weights": 1},
        "foreign": {"state_dict": {"a.weight": torch.zeros(3)}},
        "no tensors": {"state_dict": [1, 2]},
        "no numbers": {"state_dict": {name: value * torch.nan for name, value in random_weights().items()}},
    }
    for content in contents.values():
        torch.save(content, path)
        if content is None:
            torch.save({"state_dict": random_weights()}, path)
            path.write_bytes(path.read_bytes()[:5000])
        with pytest.raises(SyncExpertUnreadable):
            load_wav2lip_expert(str(path))


def test_code_in_a_file_of_weights_is_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "expert.pth", tmp_path / "trace"

    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (trace,)

    path.write_bytes(pickle.dumps({"state_dict": Harmful()}, protocol=2))
    with pytest.raises(SyncExpertUnreadable):
        load_wav2lip_expert(str(path))
    assert not trace.exists()


def test_wav2lips_mel_has_its_rate_range_and_pitch() -> None:
    times = np.arange(16_000) / 16_000
    quiet, tone = (
        wav2lip_mel(np.zeros(16_000, np.float32)),
        wav2lip_mel(np.sin(2 * np.pi * 1000 * times).astype(np.float32)),
    )
    assert quiet.shape == tone.shape == (81, 80)
    assert (quiet == -4).all()
    assert tone.max() <= 4 and tone.min() >= -4
    # mel 15 of Slaney's scale lies at 1 kHz; 82 edges lie evenly between those of 55 Hz and 7600 Hz
    low, high = 55 * 3 / 200, 15 + 27 * np.log(7.6) / np.log(6.4)
    assert tone[40].argmax() == round((15 - low) / (high - low) * 81) - 1


def test_wav2lips_sound_starts_with_the_first_picture_of_a_window() -> None:
    mel = torch.arange(100.0)[:, None].expand(-1, 80)
    windows = wav2lip_mel_windows(mel, np.array([0.4, 1.2]))
    assert windows[0, :, 0].tolist() == list(range(32, 48))
    assert windows[1, :4, 0].tolist() == [96.0, 97.0, 98.0, 99.0] and windows[1, -1, 0] == 99

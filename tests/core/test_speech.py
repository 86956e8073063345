"""Speech features and the encoder's clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from s2l_core.media.audio import powers
from s2l_core.speech.articulation import Articulation
from s2l_core.speech.encoder import CODE_SECONDS, MEMBERS, SpeechEncoder, codes_at
from s2l_core.speech.features import SAMPLE_RATE, log_mel, normalise_loudness, silence_level, speech_level
from s2l_core.speech.kernel import KernelRegression
from s2l_core.speech.moonshine import BANDS, open_moonshine
from s2l_core.speech.sources import LogMel
from s2l_core.training.speech_fits import fit_speech, predict_openings, spoken_codes

ROOT = Path(__file__).resolve().parents[2]


def tone(hertz: float, seconds: float = 1.0, level: float = 0.1) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def test_dubbing_starts_without_the_slowest_modules() -> None:
    """scipy.signal, with scipy.stats, takes half as long to import as torch."""
    program = "import sys, s2l_core.verbs.dub; print('scipy.signal' in sys.modules, 'scipy.stats' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.split() == ["False", "False"]


def test_log_mel_has_a_row_every_ten_milliseconds() -> None:
    assert log_mel(tone(440, 1.0)).shape == (101, 80)


def test_a_click_appears_in_the_row_of_its_time() -> None:
    speech = np.zeros(SAMPLE_RATE, np.float32)
    speech[round(0.37 * SAMPLE_RATE)] = 1.0
    assert log_mel(speech).sum(axis=1).argmax() == 37


def test_higher_tones_fill_higher_bands() -> None:
    bands = [int(log_mel(tone(hertz))[50].argmax()) for hertz in (100, 400, 1600, 6400)]
    assert bands == sorted(bands)
    assert len(set(bands)) == 4


def test_digital_silence_is_the_lowest_value_there_is() -> None:
    silence = log_mel(np.zeros(SAMPLE_RATE, np.float32))
    assert np.allclose(silence, silence_level())
    assert log_mel(tone(300)).min() >= silence_level() - 1e-6


@pytest.mark.parametrize("gain", [0.05, 0.3, 3.0])
def test_loudness_does_not_depend_on_the_recording_level(gain: float) -> None:
    speech = np.concatenate([tone(300), np.zeros(8000, np.float32), tone(500)])
    reference, scaled = normalise_loudness(speech), normalise_loudness(np.float32(gain) * speech)
    assert np.allclose(reference, scaled, atol=1e-4)


@pytest.mark.parametrize("seconds", [0.5, 2.0, 10.0])
def test_a_short_span_is_as_loud_as_its_recording(seconds: float) -> None:
    recording = np.concatenate([tone(300, 30.0), 0.2 * tone(300, seconds)])
    span, usual = recording[30 * SAMPLE_RATE :], speech_level(recording)
    apart = abs(speech_level(span) - usual)
    assert apart > 1.0
    assert abs(speech_level(span, powers([recording])) - usual) == pytest.approx(
        max(0.0, apart - 12.0 / np.sqrt(seconds)), abs=0.05
    )


def test_surroundings_that_are_much_louder_are_somebody_elses() -> None:
    quiet = 0.15 * tone(300, 4.0)
    assert speech_level(quiet, powers([tone(300, 30.0), quiet])) == pytest.approx(speech_level(quiet) + 6.0)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 4.0])
def test_a_span_within_a_pause_is_as_quiet_as_in_its_recording(seconds: float) -> None:
    room_tone = np.random.default_rng(0).normal(0, 0.005, round(seconds * SAMPLE_RATE)).astype(np.float32)
    recording = np.concatenate([tone(300, 30.0), room_tone])
    assert speech_level(room_tone, powers([recording])) == pytest.approx(speech_level(recording), abs=0.1)


def test_silence_is_not_lifted_to_noise() -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    assert not normalise_loudness(silence).any()
    faint = np.random.default_rng(0).normal(0, 1e-5, SAMPLE_RATE).astype(np.float32)
    assert np.abs(normalise_loudness(faint)).max() < 0.01


def test_a_track_has_a_code_every_forty_milliseconds_and_looks_the_same_wherever_it_begins() -> None:
    torch.manual_seed(0)
    encoder = SpeechEncoder(8).eval()
    mel = torch.randn(401, 80)
    track = encoder.track(mel)
    assert track.shape == (101, 8)
    later = encoder.track(mel[100:])
    assert torch.allclose(track[35:90], later[10:65], atol=1e-5)


def members_without_dropout() -> SpeechEncoder:
    encoder = SpeechEncoder(8)
    for layer in encoder.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    return encoder


def test_the_encoder_answers_with_the_mean_of_its_members_which_differ() -> None:
    torch.manual_seed(0)
    encoder, mel = members_without_dropout(), torch.randn(1, 48, 80)
    answers = encoder.train()(mel.expand(MEMBERS, -1, -1))
    assert not torch.allclose(answers[0], answers[1])
    assert torch.allclose(encoder.eval()(mel)[0], answers.mean(dim=0), atol=1e-6)


def test_in_training_a_member_learns_from_its_own_excerpts_alone() -> None:
    torch.manual_seed(0)
    encoder, mel = members_without_dropout().train(), torch.randn(2 * MEMBERS, 48, 80)
    others = torch.cat([mel[:1], torch.randn(2 * MEMBERS - 1, 48, 80)])
    assert torch.allclose(encoder(mel)[0], encoder(others)[0], atol=1e-6)
    encoder(mel)[0].sum().backward()
    learnt = next(encoder.layers.parameters()).grad
    assert learnt is not None
    first, *rest = learnt.chunk(MEMBERS)
    assert first.any() and not any(gradient.any() for gradient in rest)


def test_any_number_of_excerpts_can_be_learnt_from() -> None:
    encoder = members_without_dropout().train()
    mel = torch.randn(2 * MEMBERS, 48, 80)
    assert torch.allclose(encoder(mel[: MEMBERS + 1]), encoder(mel)[: MEMBERS + 1], atol=1e-5)


def test_codes_between_two_moments_are_interpolated_and_held_at_the_ends() -> None:
    track = torch.tensor([[0.0], [4.0], [8.0]])
    times = np.array([-1.0, 0.0, 0.5 * CODE_SECONDS, 1.25 * CODE_SECONDS, 9.0])
    assert codes_at(track, times)[:, 0].tolist() == pytest.approx([0.0, 0.0, 2.0, 5.0, 8.0])


def test_a_regression_answers_for_sounds_like_those_it_knows_and_with_the_mean_for_others() -> None:
    generator = torch.Generator().manual_seed(0)
    heard = torch.randn(300, 8, 4, generator=generator)
    codes = heard[:, 3, :2] + heard[:, 4, 2:]
    kernel = KernelRegression(2, 4)
    kernel.fit(heard, codes)
    answers = kernel.answer(heard)
    assert torch.corrcoef(torch.stack([answers.flatten(), codes.flatten()]))[0, 1] > 0.9
    assert torch.allclose(kernel.answer(1e3 * heard[:1]), codes.mean(dim=0), atol=1e-4)


def test_a_regression_hears_the_same_in_a_recording_as_around_single_moments() -> None:
    generator = torch.Generator().manual_seed(0)
    kernel = KernelRegression(2, 4)
    kernel.fit(torch.randn(50, 8, 4, generator=generator), torch.randn(50, 2, generator=generator))
    mel = torch.randn(1, 80, 4, generator=generator)
    around = mel[0, 40 - 16 : 40 + 16].unflatten(0, (8, 4)).mean(dim=1)
    assert torch.allclose(kernel(mel)[0, 10], kernel.answer(around), atol=1e-4)


def mouths(count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes that tell an opening by two of their three numbers, and the openings."""
    generator = torch.Generator().manual_seed(0)
    openings, other = torch.randn(count, generator=generator), torch.randn(count, generator=generator)
    return torch.stack([openings + other, 0.5 * openings, other], dim=1), openings


def test_articulation_opens_the_mouth_farther_and_changes_nothing_else() -> None:
    codes, openings = mouths()
    articulation = Articulation(3)
    articulation.fit(codes, openings, 1.5)
    timid = 0.3 * codes
    bold = articulation(timid)
    opened = bold @ articulation.reading
    assert torch.allclose(opened, 1.5 * (timid @ articulation.reading), atol=1e-4)
    other = timid[:, 2] - 0.3 * openings * (codes[:, 2] @ openings) / (openings @ openings)
    assert abs(torch.corrcoef(torch.stack([(bold - timid)[:, 1], other]))[0, 1]) < 0.1


def test_articulation_neither_closes_a_closed_mouth_further_nor_tears_it_open() -> None:
    codes, openings = mouths()
    articulation = Articulation(3)
    articulation.fit(codes, openings, 2.0)
    opened = articulation(2 * codes) @ articulation.reading
    told = codes @ articulation.reading
    assert told.quantile(0.04) < opened.min() and opened.max() < told.max()


def test_articulation_is_bounded_where_codes_are_not_timid() -> None:
    codes, openings = mouths()
    articulation = Articulation(3)
    articulation.fit(codes, openings, 3.0)
    articulation.limit(0.2 * codes, codes)
    assert float(articulation.gain) == 3.0
    articulation.limit(0.8 * codes, codes)
    assert float(articulation.gain) == pytest.approx(1.25)


def test_other_components_than_the_opening_are_scaled_by_half_as_much_where_asked() -> None:
    codes, openings = mouths()
    articulation = Articulation(3)
    articulation.fit(codes, openings, 2.0)
    timid = 0.1 * codes
    alone, everything = articulation(timid), articulation(timid, others=True)
    assert torch.allclose(everything @ articulation.reading, alone @ articulation.reading, atol=1e-5)
    beside = torch.eye(3) - torch.outer(articulation.direction, articulation.reading)
    assert torch.allclose(everything @ beside.T, 1.5 * (alone @ beside.T), atol=1e-5)


def test_timid_codes_are_matched_to_openings_as_far_apart_as_the_true_ones() -> None:
    codes, openings = mouths()
    articulation = Articulation(3)
    articulation.fit(codes, openings, 2.0)
    matched = articulation.match(0.3 * codes, codes)
    opened, true = matched @ articulation.reading, codes @ articulation.reading
    assert float(opened.std() / true.std()) == pytest.approx(1.0, abs=0.1)


def test_an_encoder_that_was_not_fitted_articulates_as_it_speaks() -> None:
    codes = torch.randn(5, 8)
    articulation = SpeechEncoder(8).articulation
    assert torch.equal(articulation(codes), codes)
    assert torch.equal(articulation.match(codes, 2 * codes), codes)


def test_what_is_fitted_after_training_rests_in_silence_and_articulates_by_what_speech_tells() -> None:
    random = np.random.default_rng(0)
    source = LogMel()
    times = np.arange(300) / 25
    loudness = np.repeat(random.uniform(-15.0, 0.0, 160), 8)[:1200].astype(np.float32)
    openings = loudness[np.round(times * 100).astype(int)] / 15 + 0.1 * random.normal(size=300)
    lip = SimpleNamespace(speech=SpeechEncoder(2).eval())
    features = np.repeat(loudness[:, None], 80, axis=1)
    clip = SimpleNamespace(
        features=features, times=times, seconds=times[-1], openings=openings, source=source, prior=None
    )
    lip.speech.fit_scale(torch.from_numpy(features))
    targets = torch.from_numpy(openings - openings.mean()).float()[:, None] * torch.tensor([1.0, -0.5])

    clip.lips = torch.zeros(1)
    told = predict_openings(lip, clip)  # type: ignore[arg-type]
    fit_speech(lip, clip, targets, told)  # type: ignore[arg-type]

    silence = lip.speech.scale(lip.speech.silence.expand(1, 32, -1))
    rest = targets[np.argsort(openings)[:15].copy()].mean(dim=0)
    assert torch.allclose(lip.speech.kernel(silence)[0, 4], rest, atol=0.15)
    assert 0 < lip.speech.kernel_share < 0.25
    assert told.prior_share == lip.speech.prior_share == 0
    assert 1.0 < lip.speech.articulation.gain < 3.0


def encoder_for(clip: SimpleNamespace) -> SpeechEncoder:
    """An encoder whose inputs, and those of its prior, are normalised to a clip."""
    encoder = SpeechEncoder(2).eval()
    encoder.fit_scale(torch.from_numpy(clip.features))
    encoder.prior.silence.copy_(torch.from_numpy(open_moonshine().silence))
    encoder.prior.fit_scale(torch.from_numpy(clip.prior))
    return encoder


def talking(random: np.random.Generator, tells: float) -> SimpleNamespace:
    """A clip whose states of Moonshine tell openings by ``tells``, and whose log-mel tells a part of them."""
    times = np.arange(600) / 25
    openings = np.repeat(random.normal(size=60), 10)
    rows = np.round(np.arange(2401) / 4).astype(int).clip(0, 599)
    features = np.tile((openings + 4 * random.normal(size=600))[rows, None], (1, 80)) + random.normal(size=(2401, 80))
    prior = tells * openings[rows, None] * np.linspace(-1, 1, BANDS) + random.normal(size=(2401, BANDS))
    return SimpleNamespace(
        features=features.astype(np.float32),
        prior=prior.astype(np.float32),
        times=times,
        seconds=times[-1],
        openings=openings,
        source=LogMel(),
        lips=torch.zeros(1),
    )


@pytest.mark.parametrize(("tells", "least", "most"), [(0.0, 0.0, 0.05), (0.03, 0.2, 0.49), (1.0, 0.5, 0.5)])
def test_the_prior_counts_as_much_as_it_tells(tells: float, least: float, most: float) -> None:
    clip = talking(np.random.default_rng(0), tells)
    told = predict_openings(SimpleNamespace(speech=encoder_for(clip)), clip)  # type: ignore[arg-type]
    assert least <= told.prior_share <= most


def test_a_fitted_prior_is_heard_and_rests_in_silence() -> None:
    clip = talking(np.random.default_rng(1), 1.0)
    encoder = encoder_for(clip)
    lip = SimpleNamespace(speech=encoder)
    targets = torch.from_numpy(clip.openings).float()[:, None] * torch.tensor([1.0, -0.5])
    fit_speech(lip, clip, targets, predict_openings(lip, clip))  # type: ignore[arg-type]
    spoken = codes_at(encoder.prior.track(torch.from_numpy(clip.prior)), clip.times)
    assert torch.corrcoef(torch.stack([spoken[:, 0], targets[:, 0]]))[0, 1] > 0.8
    rest = targets[np.argsort(clip.openings)[:30].copy()].mean(dim=0)
    assert torch.allclose(encoder.prior.rest(), rest, atol=0.6)

    mixed = spoken_codes(encoder, clip)  # type: ignore[arg-type]
    alone = encoder.track(torch.from_numpy(clip.features))
    of_prior = encoder.prior.track(torch.from_numpy(clip.prior))
    assert 0.4 < encoder.prior_share <= 0.5
    assert torch.allclose(mixed, torch.lerp(alone, of_prior, encoder.prior_share), atol=1e-5)


def test_the_prior_counts_little_where_log_mel_tells_nearly_all() -> None:
    clip = talking(np.random.default_rng(2), 1.0)
    rows = np.round(np.arange(2401) / 4).astype(int).clip(0, 599)
    clip.features = np.tile(clip.openings[rows, None], (1, 80)).astype(np.float32)
    lip = SimpleNamespace(speech=encoder_for(clip))
    assert predict_openings(lip, clip).prior_share < 0.2  # type: ignore[arg-type]

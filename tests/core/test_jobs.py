"""Job documents survive the trip through JSON, and nothing in them is trusted."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

import s2l_core
from s2l_core.consent_record import ConsentRecord
from s2l_core.errors import BadJob, ConsentMissing
from s2l_core.jobs import (
    JOB_TYPES,
    SCHEMA_VERSION,
    CalibrateJob,
    CameraView,
    CheckJob,
    ConsentJob,
    DescribeJob,
    DubJob,
    Encoding,
    EstimateJob,
    EvaluateJob,
    FacesJob,
    HeadJob,
    HeatmapJob,
    InfoJob,
    Job,
    Media,
    Mix,
    OffsetJob,
    PoseJob,
    PreviewJob,
    RenderJob,
    SignJob,
    Sound,
    StillJob,
    TrainJob,
    VerifyJob,
    from_document,
    from_json,
    is_rigid,
    parse_rate,
    refuse_without_consent,
    to_document,
    to_json,
)

CAMERA = CameraView(700.0, 700.0, 256.0, 256.0, 512, 512)
FRONTAL = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 600.0, 0.0, 0.0, 0.0, 1.0)

MIX = Mix(3.0, (Sound("line.wav", 0.5, 2.0, (1.0, 3.0), volumes=(0.0, 1.0)), Sound("laugh.wav", 1.0, 1.0, (0.0, 1.0))))
MOUTH = Encoding("png", layer="mouth")

JOBS: list[Job] = [
    InfoJob(device="cpu"),
    CheckJob(Media("take.mp4")),
    TrainJob(Media("take.mp4", 1.5, 60.0), "anna.s2l", name="Anna", voice=Media("take.wav"), preset="final", seed=7),
    DubJob("anna.s2l", Media("take.mp4"), Media("line.wav", 2.0), "dubbed.mp4", rate="30000/1001", remainder="keep"),
    DubJob("anna.s2l", Media("take.mp4", face=(0.3, 0.4)), MIX, "mouth", moments=(2.0, 2.04), encoding=MOUTH),
    DubJob("anna.s2l", Media("take", pictures=("a.1.png", "a.2.png"), rate="24000/1001"), MIX, "dubbed.mp4"),
    PreviewJob(DubJob("anna.s2l", Media("take.mp4"), MIX, "mouth", encoding=MOUTH), 7, "frame.png"),
    PreviewJob(StillJob(Media("face.jpg"), Media("line.wav"), ""), 7, "frame.png"),
    StillJob(Media("take.mp4", 2.0, face=(0.3, 0.4)), MIX, "speaks", rate="24", encoding=MOUTH, blinks=True, seed=3),
    OffsetJob(Media("take.mp4", 1.0, 30.0), Media("take.wav")),
    FacesJob(Media("take.mp4"), "faces"),
    EstimateJob(CheckJob(Media("take.mp4"))),
    EstimateJob(TrainJob(Media("take.mp4"), "anna.s2l")),
    EstimateJob(DubJob("anna.s2l", Media("take.mp4"), Media("line.wav"), "dubbed.mp4")),
    EstimateJob(StillJob(Media("face.jpg"), Media("line.wav"), "speaks.mp4")),
    EvaluateJob("anna.s2l"),
    HeatmapJob(Media("take.mp4"), "heat.png"),
    TrainJob(Media("take.mp4"), "anna.s2l", consent=True, consent_record=ConsentRecord("Anna", until="2027-12-31")),
    VerifyJob(("dub.mp4", "dub_png")),
    SignJob(("render.mp4",), ("dub.mp4",)),
    DescribeJob("anna.s2l", "anna.png"),
    ConsentJob("revoke", "speakers", "Anna", "She asked for it."),
    CalibrateJob(anew=True),
    HeadJob("anna.s2l", Media("take.mp4", 1.0, 9.0), "anna.npz"),
    PoseJob("anna.s2l", Media("dubbed.mp4"), "dolly.json", "posed.mp4", background=False),
    RenderJob("anna.s2l", Media("dubbed.mp4"), 2.5, CAMERA, FRONTAL, "frame.npy", fade=False),
]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.verb)
def test_a_job_survives_json(job: Job) -> None:
    assert from_json(to_json(job)) == job


def test_every_kind_of_job_is_tried_here() -> None:
    assert {job.verb for job in JOBS} == set(JOB_TYPES)


def test_a_preview_that_does_not_say_of_what_is_one_of_a_dub() -> None:
    job = PreviewJob(DubJob("anna.s2l", Media("take.mp4"), Media("line.wav"), ""), 7, "frame.png")
    document = to_document(job)
    del document["dub"]["verb"]
    assert from_document(document) == job


def test_a_picture_speaks_only_with_consent() -> None:
    still = StillJob(Media("face.jpg"), Media("line.wav"), "speaks.mp4")
    with pytest.raises(ConsentMissing, match=r"the person in face\.jpg"):
        refuse_without_consent(still)
    refuse_without_consent(replace(still, consent=True))


def test_whole_numbers_are_taken_for_seconds() -> None:
    job = from_document({"verb": "check", "footage": {"path": "take.mp4", "start": 2}})
    assert isinstance(job, CheckJob)
    assert job.footage.start == 2.0


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"verb": "fly"}, "no verb 'fly'"),
        ({"verb": ["train"]}, "no verb"),
        ({"schema": SCHEMA_VERSION + 1}, "schema"),
        ({"schema": "1"}, "schema"),
        ({"footage": None}, "train.footage must be an object"),
        ({"footage": {"path": ""}}, "does not name a media file"),
        ({"footage": {"path": "take.mp4", "start": -1.0}}, "0 or more"),
        ({"footage": {"path": "take.mp4", "start": float("nan")}}, "0 or more"),
        ({"footage": {"path": "take.mp4", "start": 3.0, "end": 3.0}}, "after its start"),
        ({"footage": {"path": "take.mp4", "zoom": 2}}, "no field 'zoom'"),
        ({"speaker_path": 3}, "must be str"),
        ({"seed": True}, "must be int"),
        ({"preset": "hasty"}, "must be one of"),
        ({"preset": ["final"]}, "must be one of"),
        ({"colour": "red"}, "no field 'colour'"),
        ({"schema": True}, "schema"),
        ({"schema": 0}, "schema"),
        ({"seed": 10**30}, "train.seed is too large"),
        ({"name": "a\0b"}, "train.name contains a NUL character"),
        ({"name": "\ud800"}, "train.name contains an invalid character"),
        ({"footage": {"path": "x" * 5000}}, "train.footage.path has 5000 characters"),
        ({"footage": {"path": "take", "face": [0.5] * 5_000_000}}, "train.footage.face holds 5000000 values"),
    ],
)
def test_a_wrong_value_is_refused_by_name(change: dict[str, Any], complaint: str) -> None:
    document = {**to_document(TrainJob(Media("take.mp4"), "anna.s2l")), **change}
    with pytest.raises(BadJob, match=complaint):
        from_document(document)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"moment": -0.1}, "0 or more"),
        ({"moment": float("inf")}, "0 or more"),
        ({"moment": 10**400}, "too large"),
        ({"moment": 1e300}, "at most 10000000 s"),
        ({"background": 1}, "must be bool"),
        ({"camera": None}, "must be an object"),
        ({"camera": {"width": 0, "height": 0}}, "A picture of 0 x 0 pixels cannot be rendered"),
        ({"camera": {"width": 9000}}, "A picture of 9000 x 512 pixels cannot be rendered"),
        ({"camera": {"fx": 0.0}}, "focal lengths"),
        ({"camera": {"fy": float("nan")}}, "focal lengths"),
        ({"camera": {"fx": 1e20}}, "focal lengths"),
        ({"camera": {"fy": 1e-300}}, "focal lengths"),
        ({"camera": {"cx": -1e300}}, "principal point"),
        ({"camera": {"cx": float("inf")}}, "principal point"),
        ({"pose": "front"}, "must be a list"),
        ({"pose": FRONTAL[:12]}, "not a rigid"),
        ({"pose": [*FRONTAL[:15], "1"]}, r"render.pose\[15\] must be float"),
        ({"pose": [float("nan"), *FRONTAL[1:]]}, "not a rigid"),
        ({"camera_from_footage": FRONTAL[:12]}, "footage's camera is not a rigid"),
    ],
)
def test_what_cannot_be_rendered_is_refused_by_name(change: dict[str, Any], complaint: str) -> None:
    document = to_document(RenderJob("anna.s2l", Media("take.mp4"), 0.0, CAMERA, FRONTAL, "frame.npy"))
    if isinstance(change.get("camera"), dict):
        change = {"camera": {**document["camera"], **change["camera"]}}
    with pytest.raises(BadJob, match=complaint):
        from_document({**document, **change})


@pytest.mark.parametrize(
    ("rows", "rigid"),
    [
        ([[0, -1, 0, 5], [1, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]], True),
        ([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]], False),
        ([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]], False),
        ([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], False),
        ([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]], False),
        ([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]], False),
    ],
    ids=["turned and moved", "scaled", "mirrored", "sheared", "projective", "singular"],
)
def test_a_pose_turns_and_moves_and_does_nothing_else(rows: list[list[float]], rigid: bool) -> None:
    assert is_rigid(tuple(float(value) for row in rows for value in row)) == rigid


def test_a_missing_field_is_named() -> None:
    with pytest.raises(BadJob, match="lacks the field 'speaker_path'"):
        from_document({"verb": "train", "footage": {"path": "take.mp4"}})


@pytest.mark.parametrize("place", ["schema", "verb", "preset", "footage", "seed", "name", "\ud800" * 1000])
@pytest.mark.parametrize("value", ["x" * 30_000_000, 10**5000, [[]] * 1000, {"x" * 1000: 1}], ids=lambda value: "")
def test_a_wrong_value_is_not_repeated_at_length(place: str, value: Any) -> None:
    document = {**to_document(TrainJob(Media("take.mp4"), "anna.s2l")), place: value}
    with pytest.raises(BadJob) as caught:
        from_document(document)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def test_names_of_files_may_hold_any_bytes() -> None:
    path = os.fsdecode(b"take\xff.mp4")
    assert from_json(to_json(CheckJob(Media(path)))) == CheckJob(Media(path))


def test_the_job_to_estimate_is_known_by_its_verb() -> None:
    document = to_document(EstimateJob(CheckJob(Media("take.mp4"))))
    assert document["job"]["verb"] == "check"
    del document["job"]["verb"]
    with pytest.raises(BadJob, match="no verb None"):
        from_document(document)


@pytest.mark.parametrize(
    ("voice", "complaint"),
    [
        ({"sounds": [], "seconds": 1.0}, "contains no sound"),
        ({"sounds": [], "seconds": 1.0, "path": "line.wav"}, "dub.voice has no field 'seconds'"),
        ({"seconds": 1.0}, "dub.voice has no field 'seconds'"),
        ({}, "dub.voice lacks the field 'path'"),
        ([], "dub.voice must be an object"),
    ],
)
def test_a_voice_is_a_medium_or_a_mix(voice: Any, complaint: str) -> None:
    document = to_document(DubJob("anna.s2l", Media("take.mp4"), Media("line.wav"), "dubbed.mp4"))
    with pytest.raises(BadJob, match=complaint):
        from_document({**document, "voice": voice})


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "[]", '"train"', '{"seed": ' + "1" * 5000 + "}"])
def test_text_that_is_no_job_is_refused(text: str) -> None:
    with pytest.raises(BadJob):
        from_json(text)


json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(verb=some.sampled_from(sorted(JOB_TYPES)), field=some.text(max_size=12), value=json_values)
def test_no_document_raises_anything_but_bad_job(verb: str, field: str, value: Any) -> None:
    names = sorted(to_document(next(job for job in JOBS if job.verb == verb)))
    document = {"verb": verb, "footage": value, "speaker_path": value, names[len(field) % len(names)]: value}
    try:
        job = from_document(document)
    except BadJob:
        return
    assert from_document(json.loads(to_json(job))) == job


@pytest.mark.parametrize(("text", "rate"), [("25", 25), ("29.97", Fraction(2997, 100)), ("24000/1001", None)])
def test_rates_are_exact_fractions(text: str, rate: Fraction | None) -> None:
    assert parse_rate(text) == (rate or Fraction(24000, 1001))


@pytest.mark.parametrize("text", ["", "fast", "25/0", "0", "-25", "1e9", "nan", "1_0", "٢٥", " 25", "25/"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(BadJob):
        parse_rate(text)


@pytest.mark.parametrize("rate", ["1e99999999", "1" * 10_000, "25/" + "1" * 100])
def test_a_rate_is_bounded_before_it_is_computed(rate: str) -> None:
    with pytest.raises(BadJob) as caught:
        parse_rate(rate)
    assert len(caught.value.message) < 200


def test_nobody_is_trained_without_consent(tmp_path: Path) -> None:
    job = TrainJob(Media("gone.mp4"), str(tmp_path / "anna.s2l"))
    with pytest.raises(ConsentMissing, match=r"Speaker Agreed.*--consent.*consent=True"):
        s2l_core.train(job)  # before the footage is looked for


@pytest.mark.parametrize("seed", [-1, 2**63, 10**400])
def test_a_seed_that_no_generator_takes_is_refused_at_once(seed: int) -> None:
    with pytest.raises(BadJob, match="seed"):
        TrainJob(Media("take.mp4"), "ada.s2l", seed=seed)
    assert TrainJob(Media("take.mp4"), "ada.s2l", seed=2**63 - 1).seed == 2**63 - 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, -1e300])
@pytest.mark.parametrize("name", ["at", "seconds", "moments", "volumes", "pans"])
def test_a_sound_has_values_that_can_be_heard(name: str, value: float) -> None:
    sound = {"path": "line.wav", "at": 0.0, "seconds": 1.0, "moments": (0.0, 1.0)}
    with pytest.raises(BadJob, match=r"line\.wav"):
        Sound(**{**sound, name: value if name in ("at", "seconds") else (0.0, value)})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), 1e300])
def test_a_dub_has_moments_and_levels_that_footage_and_speech_can_have(value: float) -> None:
    dub = DubJob("anna.s2l", Media("take.mp4"), Media("line.wav"), "dubbed.mp4")
    for name in ("moments", "silence_db", "rest_strength"):
        with pytest.raises(BadJob):
            replace(dub, **{name: (0.0, value)})  # type: ignore[arg-type]
    with pytest.raises(BadJob, match="The mix has a length"):
        Mix(value, (Sound("line.wav", 0.0, 1.0, (0.0, 1.0)),))

"""What the site shows follows from the code: the schema of the job documents, error codes, tutorials."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from docs.generate.job_schema import describe_fields, job_schema
from s2l_core.errors import Speech2LipError
from s2l_core.jobs import Job, Media, TrainJob, to_document, to_json

from .test_jobs import JOBS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SCHEMA = job_schema()


def violations(document: Any) -> list[str]:
    validator = pytest.importorskip("jsonschema").Draft202012Validator(SCHEMA)
    return [violation.message for violation in validator.iter_errors(document)]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.verb)
def test_every_job_fits_the_schema(job: Job) -> None:
    assert violations(json.loads(to_json(job))) == []


@pytest.mark.parametrize("change", [{"verb": "fly"}, {"footage": None}, {"preset": "hasty"}, {"colour": "red"}])
def test_what_is_no_job_does_not_fit_the_schema(change: dict[str, Any]) -> None:
    document = {**to_document(TrainJob(Media("take.mp4"), "anna.s2l")), **change}
    assert violations(json.loads(json.dumps(document)))


def test_the_schema_says_what_the_docstrings_say() -> None:
    @dataclass
    class Take:
        """A take.

        Attributes:
            path: The file, of a kind that
                :mod:`s2l_core.media` reads.
            rate: Such as ``"25"``.
        """

    assert describe_fields(Take) == {
        "path": "The file, of a kind that `s2l_core.media` reads.",
        "rate": 'Such as `"25"`.',
    }
    assert set(describe_fields(Media)) == set(SCHEMA["$defs"]["Media"]["properties"])


def test_troubleshooting_has_a_section_for_every_error_code() -> None:
    sections = re.findall(r"^### (\w+)$", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(sections) == sorted(error.code for error in Speech2LipError.__subclasses__())


def test_the_page_on_marking_names_the_version_that_signs() -> None:
    (version,) = re.findall(
        r"^c2pa-python==(\S+)", (ROOT / "requirements/constraints.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert f"`c2pa-python` {version}," in (DOCS / "marking.md").read_text(encoding="utf-8")


def test_every_tutorial_is_on_the_site() -> None:
    shown = re.findall(r"^\[(examples/.+)\]\(.+\)$", (DOCS / "tutorials.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(shown) == sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "examples").glob("*.py")
        if path.stem != "overnight"  # it has a place of its own, in batch.md
    )


@pytest.mark.parametrize("page", sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md")]), ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"`([\w./]+\.py)`", page.read_text(encoding="utf-8"))
    folders = [ROOT, ROOT / "s2l_core", ROOT / "s2l_blender_addon"]
    missing = [name for name in named if "/" in name and not any((folder / name).is_file() for folder in folders)]
    assert missing == []

"""Hashes of files, remembered until the files change."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from s2l_core import fingerprints
from s2l_core.errors import FileMissing
from s2l_core.fingerprints import fingerprint_file

HOUR_NS = 3600 * 10**9


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The paths of the files that are read, with a cache of its own and files that were settled an hour ago."""
    paths: list[str] = []
    hash_file = fingerprints.hash_file

    def counted(path: str) -> str:
        paths.append(path)
        return hash_file(path)

    monkeypatch.setattr(fingerprints, "hash_file", counted)
    monkeypatch.setattr(fingerprints, "user_cache_path", lambda name: tmp_path / "cache")
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + HOUR_NS)
    return paths


def write(path: Path, letter: bytes) -> str:
    path.write_bytes(letter * 1_500_000)
    return str(path)


def test_a_file_that_stays_what_it_is_is_read_once(tmp_path: Path, read: list[str]) -> None:
    path = write(tmp_path / "film.mov", b"a")
    assert fingerprint_file(path) == fingerprint_file(path) == fingerprint_file(f"{tmp_path}/./film.mov")
    assert len(read) == 1


def test_a_file_that_has_changed_is_read_again_also_where_it_pretends_not_to(tmp_path: Path, read: list[str]) -> None:
    path = write(tmp_path / "film.mov", b"a")
    before, status = fingerprint_file(path), Path(path).stat()
    write(tmp_path / "film.mov", b"b")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint_file(path) != before
    write(tmp_path / "other.mov", b"a")
    (tmp_path / "other.mov").replace(path)
    assert fingerprint_file(path) == before
    assert len(read) == 3


def test_a_file_that_was_written_just_now_is_not_remembered(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "film.mov", b"a")
    monkeypatch.setattr(time, "time_ns", lambda: Path(path).stat().st_mtime_ns + 10**9)
    assert fingerprint_file(path) == fingerprint_file(path)
    assert len(read) == 2


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"state": 1}', b"[" * 100_000])
def test_what_cannot_be_read_of_the_cache_is_found_again(tmp_path: Path, read: list[str], content: bytes) -> None:
    path = write(tmp_path / "film.mov", b"a")
    before = fingerprint_file(path)
    (entry,) = (tmp_path / "cache" / "fingerprints").iterdir()
    entry.write_bytes(content)
    assert fingerprint_file(path) == before
    assert len(read) == 2


def test_a_cache_that_cannot_be_written_fails_nothing(tmp_path: Path, read: list[str]) -> None:
    (tmp_path / "cache").write_text("no folder")
    assert fingerprint_file(write(tmp_path / "film.mov", b"a"))


def test_only_so_many_are_remembered(tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "_MOST_REMEMBERED", 3)
    for number in range(5):
        fingerprint_file(write(tmp_path / f"{number}.mov", b"a"))
    assert len(list((tmp_path / "cache" / "fingerprints").iterdir())) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes that have names")
@pytest.mark.parametrize("kind", ["nothing", "folder", "pipe", "device", "a name with NUL"])
def test_only_files_are_hashed(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "speaker.s2l"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "a name with NUL":
            path = tmp_path / "a\0b"
    with pytest.raises(FileMissing):
        fingerprint_file(str(path))

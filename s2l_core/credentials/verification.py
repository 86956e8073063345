"""Checking what is signed, by whom, whether it was changed since, and what it was made from.

Nothing in a file is trusted, and nothing is fetched.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import c2pa

from .. import regular_files
from ..errors import FileMissing
from ..json_text import is_text
from ..results import ChangedRun, CheckedFile, Origin
from .claim import RECORD
from .ingredients import credentials_beside, offline
from .listing import NOTICE, compare
from .media_types import media_type
from .streams import Watched

_LONGEST_CHAIN, _LONGEST_WORD, _MOST_ITEMS = 50, 200, 1000
_UNTRUSTED = "signingCredential.untrusted"
_MEANINGS = {
    "assertion.bmffHash.mismatch": "the file was changed after it was signed",
    "assertion.boxesHash.mismatch": "the file was changed after it was signed",
    "assertion.dataHash.mismatch": "the file was changed after it was signed",
    "assertion.hashedURI.mismatch": "what the credentials say was changed after they were signed",
    "claimSignature.mismatch": "the signature does not fit what was signed",
    "claimSignature.outsideValidity": "the certificate was not valid when the file was signed",
    "signingCredential.expired": "the certificate has expired",
    "signingCredential.invalid": "the certificate may not be used to sign media",
}


def check_file(path: str) -> CheckedFile:
    """Check a file, a folder of pictures, or one picture of such a folder.

    Raises:
        FileMissing: There is no such file, or it cannot be read.
    """
    place = Path(path)
    if regular_files.is_folder(path):
        return _check_listed(path, place)
    try:
        regular_files.size(path)
        beside = credentials_beside(place)
        with place.open("rb") as file:
            manifest = beside.manifest if beside else None
            found = _read(media_type(path), file, manifest)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise FileMissing(f"{path[:500]} cannot be read: {reason}.") from None
    if isinstance(found, str):
        return _unsigned(path, "invalid", found)
    if found is not None:
        return _described(path, found, "beside" if manifest is not None else "inside")
    if regular_files.is_file(place.parent / NOTICE) and credentials_beside(place.parent / NOTICE):
        return _check_listed(path, place.parent, place.name)
    return _unsigned(path, "unsigned", "It carries no content credentials, and none are beside it.")


def _check_listed(path: str, folder: Path, only: str = "") -> CheckedFile:
    """Check the signed list of a folder, and the pictures, or one of them, against it."""
    notice = folder / NOTICE
    if not regular_files.is_file(notice) or credentials_beside(notice) is None:
        return _unsigned(path, "unsigned", "No content credentials of the folder are in it.")
    checked = check_file(str(notice)) | {"path": path, "where": "beside"}
    try:
        compared = compare(folder, only)
    except OSError as error:
        return _unsigned(path, "invalid", f"The list of pictures cannot be read: {error}.")
    if only and not compared.is_listed:
        return _unsigned(path, "unsigned", "The credentials of its folder do not list it.")
    problems = list(checked["problems"])
    for names, what in (
        (compared.changed, "changed after they were signed"),
        (compared.missing, "missing"),
        (compared.added, "not in the signed list"),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            problems.append(f"pictures are {what}: {names[0]}{more}")
    if not problems:
        return checked
    return checked | {"status": "invalid", "problems": problems, "summary": _sentence("invalid", problems, checked)}


def _read(kind: str, file: Any, manifest: bytes | None) -> dict[str, Any] | str | None:
    """The manifests of a file as the C2PA library describes them; why they cannot be read; or None if there are
    none.
    """
    watched = Watched(file)
    try:
        if manifest is None:
            reader = c2pa.Reader.try_create(kind, watched, None, offline())
            if reader is None:
                return None
        else:
            reader = c2pa.Reader(kind, watched, manifest, offline())
        found = json.loads(reader.json())
        return found if isinstance(found, dict) else None
    except c2pa.C2paError as error:
        if watched.problem is not None:
            raise watched.problem from None
        return None if _is_absence(error) else f"Its content credentials cannot be read: {str(error)[:200]}."


def _is_absence(error: Exception) -> bool:
    """Whether a file is of a kind that the library cannot parse, so that it carries no credentials."""
    text = str(error)
    return any(word in text for word in ("ManifestNotFound", "NotSupported", "Unknown error", "UnsupportedType"))


def _described(path: str, found: dict[str, Any], where: str) -> CheckedFile:
    manifests = found.get("manifests") or {}
    active = manifests.get(str(found.get("active_manifest"))) or {}
    failures = _failures(found.get("validation_results"))
    problems = [_meaning(code) for code in failures if code != _UNTRUSTED]
    is_valid = found.get("validation_state") in ("Valid", "Trusted") and not problems
    if not is_valid and not problems:
        problems = ["the credentials are not valid"]
    origin = _origin_of(path, active)
    actions = _actions_of(active)
    record = _assertion(active, RECORD)
    checked: CheckedFile = {
        "path": path,
        "status": "valid" if is_valid else "invalid",
        "summary": "",
        "where": where,  # type: ignore[typeddict-item]
        "signed_by": origin["signed_by"],
        "is_trusted": _UNTRUSTED not in failures and is_valid,
        "signed_at": _word((active.get("signature_info") or {}).get("time")),
        "software": origin["software"],
        "actions": [_word(action.get("action")) for action in actions],
        "synthesis": sorted({name for action in actions if (name := _last_part(action.get("digitalSourceType")))}),
        "part": _word(record.get("part")),
        "consent": _word(record.get("consent")),
        "frames": _frames(actions),
        "box": _box(actions),
        "chain": _chain(manifests, active),
        "problems": list(dict.fromkeys(problems)),
    }
    checked["summary"] = _sentence(checked["status"], checked["problems"], checked)
    return checked


def _sentence(status: str, problems: list[str], checked: Any) -> str:
    if status == "invalid":
        return f"Invalid: {'; '.join(problems)}."
    who = checked["signed_by"] or "an unnamed key"
    trust = "" if checked["is_trusted"] else ", whose name nobody has vouched for here"
    return f"Valid: unchanged since it was signed by {who}{trust}."


def _unsigned(path: str, status: str, sentence: str) -> CheckedFile:
    return {
        "path": path,
        "status": status,  # type: ignore[typeddict-item]
        "summary": f"{status.capitalize()}: {sentence[0].lower()}{sentence[1:]}",
        "where": "",
        "signed_by": "",
        "is_trusted": False,
        "signed_at": "",
        "software": "",
        "actions": [],
        "synthesis": [],
        "part": "",
        "consent": "",
        "frames": [],
        "box": None,
        "chain": [],
        "problems": [sentence] if status == "invalid" else [],
    }


def _chain(manifests: dict[str, Any], manifest: dict[str, Any]) -> list[Origin]:
    """The source that was opened, its own source, and so on, as far as their credentials are known."""
    chain: list[Origin] = []
    while len(chain) < _LONGEST_CHAIN:
        parents = [each for each in _dicts(manifest.get("ingredients")) if each.get("relationship") == "parentOf"]
        if not parents:
            break
        parent = parents[0]
        manifest = manifests.get(str(parent.get("active_manifest"))) or {}
        origin = _origin_of(_word(parent.get("title")), manifest)
        failures = [code for code in _failures(parent.get("validation_results")) if code != _UNTRUSTED]
        origin["problems"] = [_meaning(code) for code in failures]
        chain.append(origin)
    return chain


def _origin_of(title: str, manifest: dict[str, Any]) -> Origin:
    info = manifest.get("signature_info") or {}
    names = [_word(info.get("common_name")), _word(info.get("issuer"))]
    software = next(iter(_dicts(manifest.get("claim_generator_info"))), {})
    return {
        "title": title,
        "is_signed": bool(manifest),
        "signed_by": ", ".join(dict.fromkeys(filter(None, names))),
        "software": " ".join(filter(None, (_word(software.get("name")), _word(software.get("version"))))),
        "problems": [],
    }


def _failures(results: Any) -> list[str]:
    active = results.get("activeManifest") if isinstance(results, dict) else None
    return [_word(each.get("code")) for each in _dicts(active.get("failure") if isinstance(active, dict) else None)]


def _actions_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return _dicts((_assertion(manifest, "c2pa.actions") or {}).get("actions"))


def _assertion(manifest: dict[str, Any], label: str) -> dict[str, Any]:
    """The content of the first assertion whose label begins so."""
    for assertion in _dicts(manifest.get("assertions")):
        if str(assertion.get("label", "")).startswith(label) and isinstance(assertion.get("data"), dict):
            content: dict[str, Any] = assertion["data"]
            return content
    return {}


def _regions(actions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    changes = [change for action in actions for change in _dicts(action.get("changes"))]
    return [region for change in changes for region in _dicts(change.get("region"))]


def _frames(actions: list[dict[str, Any]]) -> list[ChangedRun]:
    runs: list[ChangedRun] = []
    for region in _regions(actions):
        with suppress(KeyError, TypeError, ValueError, OverflowError):
            runs.append({"first": int(region["frame"]["start"]), "last": int(region["frame"]["end"])})
    return runs


def _box(actions: list[dict[str, Any]]) -> list[int] | None:
    for region in _regions(actions):
        with suppress(KeyError, TypeError, ValueError, OverflowError):
            shape = region["shape"]
            left, top = float(shape["origin"]["x"]), float(shape["origin"]["y"])
            right, bottom = left + float(shape["width"]), top + float(shape["height"])
            return [round(side) for side in (left, top, right, bottom)]
    return None


def _meaning(code: str) -> str:
    return _MEANINGS.get(code, f"the C2PA library reports {code}")


def _last_part(address: Any) -> str:
    return _word(address).rpartition("/")[2]


def _word(value: Any) -> str:
    """Text from a file that is not trusted: one short line."""
    if not isinstance(value, str):
        return ""
    line = " ".join(value.split())[:_LONGEST_WORD]
    return line if is_text(line, _LONGEST_WORD) else ""


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [value for value in values[:_MOST_ITEMS] if isinstance(value, dict)] if isinstance(values, list) else []

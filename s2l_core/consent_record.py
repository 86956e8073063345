"""The record of a person's consent: who agreed, to what, and until when. Standard library only."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from . import json_text
from .dataclass_reader import DataclassReader
from .errors import BadJob, ConsentExpired, ConsentUnreadable

LONGEST_NAME, LONGEST_TEXT = 200, 500
"""Limits in characters: of names, and of the other texts."""
_READER = DataclassReader(longest_text=LONGEST_TEXT)
_LARGEST_FILE = 64_000
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ConsentRecord:
    """A person's consent.

    Attributes:
        who: Name of the person who agreed, or a number under which the production knows that person.
        purpose: What the person agreed to, such as ``"German dub of episode 3"``; empty for any use.
        until: Last day of the consent as ``YYYY-MM-DD``, which ends at midnight UTC; empty if it has no end.
        recorded_by: Who recorded the consent.
        evidence: Where the agreement can be found, such as the number of a contract.
    """

    who: str
    purpose: str = ""
    until: str = ""
    recorded_by: str = ""
    evidence: str = ""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            longest = LONGEST_NAME if name in ("who", "recorded_by") else LONGEST_TEXT
            if not json_text.is_text(value, longest):
                problem = f"must be text of at most {longest} characters"
                raise BadJob(f"The field {name} of a consent {problem}.", "Shorten it, or write it without symbols.")
        if not self.who.strip():
            raise BadJob("A consent must name the person who agreed.", "Write who agreed.")
        if self.until and _day(self.until) is None:
            raise BadJob(f"{self.until[:40]!r} is not a day until which a consent lasts.", "Write it like 2027-12-31.")

    @property
    def hash(self) -> str:
        """SHA-256 of the record, 64 hexadecimal digits. It stands for the record where no name may appear.

        Fields that are empty do not count, so that fields of later versions do not change it.
        """
        filled = {name: value for name, value in asdict(self).items() if value}
        return hashlib.sha256(json.dumps(filled, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def is_expired(self) -> bool:
        """Whether the last day has passed, in UTC."""
        last = _day(self.until)
        return last is not None and last < today()

    def refuse_expired(self) -> None:
        """Raise an error if the last day has passed.

        Raises:
            ConsentExpired: The last day has passed.
        """
        if self.is_expired:
            raise ConsentExpired(f"The consent of {self.who} ended on {self.until}.")


def today() -> date:
    """The present day in UTC."""
    return datetime.now(UTC).date()


def read_record(path: str) -> ConsentRecord:
    """The record in a JSON file with the fields of :class:`ConsentRecord`. Nothing in the file is trusted.

    Raises:
        ConsentUnreadable: The file is missing, or does not contain a record.
    """
    try:
        record: ConsentRecord = _READER.read(ConsentRecord, json_text.read(path, _LARGEST_FILE), Path(path).name)
    except BadJob as error:
        raise ConsentUnreadable(f"{path} is not a record of consent: {error.message}", error.hint) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConsentUnreadable(f"The record of consent {path} cannot be read: {reason}.") from error
    return record


def read_hash(value: Any) -> str:
    """The hash of a record that an untrusted file states; empty if it states none."""
    return value if isinstance(value, str) and _HASH.fullmatch(value) else ""


def _day(text: str) -> date | None:
    """The day that a text names; None if it names none."""
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None

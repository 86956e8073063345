"""The options of a command that say who agreed, to what, and until when. Standard library only."""

from __future__ import annotations

import argparse

from .consent_record import ConsentRecord, read_record
from .errors import BadJob, ConsentMissing


def add_consent_details(parser: argparse.ArgumentParser) -> None:
    """Add the options that go with ``--consent``, and ``--consent-record``, which replaces all of them."""
    parser.add_argument("--consent-who", default="", metavar="NAME", help="who agreed (default: the speaker's name)")
    parser.add_argument("--consent-for", default="", metavar="TEXT", help="to what (default: any use)")
    parser.add_argument(
        "--consent-until",
        default="",
        metavar="DATE",
        help="its last day, such as 2027-12-31 (default: it has no end)",
    )
    parser.add_argument(
        "--consent-record",
        metavar="JSON",
        help="file with the fields who, purpose, until, recorded_by and evidence, instead of --consent",
    )


def consent_record_of_options(options: argparse.Namespace, who: str = "") -> ConsentRecord | None:
    """The record that the options describe; None if they give no details.

    Args:
        options: The options of :func:`add_consent_details`, and ``consent``.
        who: Name of the speaker, for a record without a name.

    Raises:
        BadJob: The options contradict each other, or a value is not valid.
        ConsentMissing: There are details, but the consent is not confirmed.
        ConsentUnreadable: The file is not a record.
    """
    details = (options.consent_who, options.consent_for, options.consent_until)
    if options.consent_record is not None:
        if any(details):
            raise BadJob("There are both details of the consent and a record of it.", "Write them into the record.")
        return read_record(options.consent_record)
    if not any(details):
        return None
    if not options.consent:
        raise ConsentMissing("There are details of a consent, but it is not confirmed.")
    return ConsentRecord(options.consent_who or who, options.consent_for, options.consent_until)

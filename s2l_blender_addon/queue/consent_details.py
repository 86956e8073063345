"""The record of a consent that the fields of a panel describe."""

from __future__ import annotations

import bpy

from ...s2l_core.consent_record import ConsentRecord


def consent_details(group: bpy.types.PropertyGroup, name: str) -> ConsentRecord | None:
    """The record of consent that the fields of a property group describe; None if they are empty.

    Args:
        group: The settings of a training, or of a strip with a picture that is to speak.
        name: Who agreed, unless the fields say so.

    Raises:
        BadJob: A field is not valid.
    """
    details = {"purpose": group.consent_for, "until": group.consent_until.strip(), "evidence": group.consent_evidence}
    if not any((group.consent_who, *details.values())):
        return None
    return ConsentRecord(group.consent_who or name, **details)

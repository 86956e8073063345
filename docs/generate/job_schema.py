"""The JSON schema of the job documents, made from the dataclasses of :mod:`s2l_core.jobs` and their docstrings."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from typing import Any, Literal

from s2l_core.jobs import JOB_TYPES, SCHEMA_VERSION, Job

_PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number"}


def job_schema() -> dict[str, Any]:
    """A schema, of draft 2020-12, that every job document fits.

    It has a definition for each verb, and one for each kind of object inside job documents. Ranges of values are not in
    it: they are checked when the document is read.
    """
    kinds: dict[str, Any] = {}
    jobs = [_document(kind, kinds) for kind in JOB_TYPES.values()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Job document of Speech2Lip",
        "description": "One piece of work. Times are seconds from the start of the medium.",
        "oneOf": jobs,
        "$defs": kinds,
    }


def describe_fields(kind: type) -> dict[str, str]:
    """What the section ``Attributes`` of a docstring says of each field, as one line of Markdown."""
    _, _, section = inspect.getdoc(kind).partition("Attributes:\n")  # type: ignore[union-attr]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: plain(text) for name, text in entries}


def plain(text: str) -> str:
    """A text of a docstring in one line, with roles and double quotes for code as Markdown has them."""
    return re.sub(r"(?::\w+:)?`{1,2}([^`]+)`{1,2}", r"`\1`", " ".join(text.split()))


def _document(kind: type[Job], kinds: dict[str, Any]) -> dict[str, str]:
    """A reference to a job with its verb, which is put among ``kinds``."""
    if kind.verb not in kinds:
        kinds[kind.verb] = {}  # its place in the order
        fields = _object(kind, kinds)
        own = {"schema": {"enum": list(range(1, SCHEMA_VERSION + 1))}, "verb": {"const": kind.verb}}
        properties, required = {**own, **fields["properties"]}, ["verb", *fields["required"]]
        kinds[kind.verb] = {**fields, "properties": properties, "required": required}
    return {"$ref": f"#/$defs/{kind.verb}"}


def _nested(kind: type, kinds: dict[str, Any]) -> dict[str, str]:
    """A reference to an object without a verb, which is put among ``kinds``."""
    if kind.__name__ not in kinds:
        kinds[kind.__name__] = _object(kind, kinds)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _object(kind: type, kinds: dict[str, Any]) -> dict[str, Any]:
    hints, texts = typing.get_type_hints(kind), describe_fields(kind)
    properties, required = {}, []
    for field in dataclasses.fields(kind):
        about = {"description": texts[field.name]} if field.name in texts else {}
        if field.default is dataclasses.MISSING:
            required.append(field.name)
        else:
            about["default"] = _default(field.default)
        properties[field.name] = {**_value(hints[field.name], kinds), **about}
    return {
        "description": plain(inspect.getdoc(kind).partition("\n\n")[0]),  # type: ignore[union-attr]
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _value(hint: Any, kinds: dict[str, Any]) -> dict[str, Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if set(options) <= set(JOB_TYPES.values()):
            return {"oneOf": [_document(option, kinds) for option in options]}
        return {"anyOf": [_value(option, kinds) for option in options]}
    if typing.get_origin(hint) is Literal:
        return {"enum": list(typing.get_args(hint))}
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": _value(typing.get_args(hint)[0], kinds)}
    if hint is type(None):
        return {"type": "null"}
    return {"type": _PLAIN[hint]} if hint in _PLAIN else _nested(hint, kinds)


def _default(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return list(value) if isinstance(value, tuple) else value

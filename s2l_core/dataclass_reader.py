"""Dataclasses from JSON values that are not trusted. Standard library only."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import reprlib
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from .errors import BadJob

_MOST_VALUES = 4_000_000  # of a list: a curve of 18 hours at 60 frames per second
_LARGEST_INT = 2**63 - 1


@dataclass(frozen=True)
class DataclassReader:
    """Makes dataclasses of JSON objects, by the types of their fields.

    A field may be a text, a number, a truth value, a ``Literal``, another dataclass, a union of several, a tuple of
    these, or a ``dict`` from text to these. Sizes of texts, lists and numbers are checked before anything is made of
    them, and messages quote them shortened.

    Attributes:
        longest_text: Greatest number of characters of a text.
        most_objects: Greatest number of objects of a list, and of entries of a ``dict``.
    """

    longest_text: int
    most_objects: int = 10_000

    def read(self, kind: type, values: Any, where: str) -> Any:
        """An instance of a dataclass.

        Args:
            kind: The dataclass.
            values: A JSON object with its fields; those with a default may be missing.
            where: Name of the object in messages, such as ``"train.footage"``.

        Raises:
            BadJob: Unknown field, missing field, wrong type, or a value that is too long or too large.
        """
        if not isinstance(values, dict):
            raise BadJob(f"{where} must be an object.")
        hints, names = _hints(kind), {field.name for field in dataclasses.fields(kind)}
        if unknown := sorted(set(values) - names):
            raise BadJob(f"{where} has no field {shortened(unknown[0])}.")
        if missing := [name for name in _required(kind) if name not in values]:
            raise BadJob(f"{where} lacks the field {missing[0]!r}.")
        return kind(**{name: self._convert(hints[name], value, f"{where}.{name}") for name, value in values.items()})

    def read_by_verb(self, kinds: Iterable[Any], values: Any, where: str) -> Any:
        """An instance of the one of several dataclasses whose ``verb`` is that of the JSON object.

        Raises:
            BadJob: There is no such verb, or as :meth:`read`.
        """
        if not isinstance(values, dict):
            raise BadJob(f"{where} must be an object.")
        fields, by_verb = dict(values), {kind.verb: kind for kind in kinds}
        verb = fields.pop("verb", None)
        if not isinstance(verb, str) or verb not in by_verb:
            raise BadJob(f"There is no verb {shortened(verb)}.", f"Use one of {', '.join(by_verb)}.")
        return self.read(by_verb[verb], fields, verb)

    def _read_one_of(self, kinds: list[Any], values: Any, where: str) -> Any:
        """An instance of the dataclass with the object's verb, or else of the first that has its required fields."""
        if not isinstance(values, dict):
            raise BadJob(f"{where} must be an object.")
        if all(hasattr(kind, "verb") for kind in kinds):
            return self.read_by_verb(kinds, values, where)
        fitting = next((kind for kind in kinds if values.keys() >= set(_required(kind))), kinds[0])
        return self.read(fitting, values, where)

    def _convert(self, hint: Any, value: Any, where: str) -> Any:
        origin, options = typing.get_origin(hint), typing.get_args(hint)
        if origin in (typing.Union, types.UnionType):
            if value is None and type(None) in options:
                return None
            kinds = [option for option in options if option is not type(None)]
            return self._convert(kinds[0], value, where) if len(kinds) == 1 else self._read_one_of(kinds, value, where)
        if origin is Literal:
            if value not in options:
                raise BadJob(f"{where} is {shortened(value)}; it must be one of {', '.join(map(repr, options))}.")
            return value
        if origin is tuple:
            return self._convert_list(options[0], value, where)
        if origin is dict:
            if not isinstance(value, dict):
                raise BadJob(f"{where} must be an object.")
            _refuse_length(value, self.most_objects, where)
            return {
                self._convert(str, name, f"a name in {where}"): self._convert(
                    options[1], item, f"{where}[{name!r:.80}]"
                )
                for name, item in value.items()
            }
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return self.read(hint, value, where)
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                raise BadJob(f"{where} is too large.") from None
        if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
            raise BadJob(f"{where} must be {hint.__name__}, not {type(value).__name__}.")
        if hint is int and abs(value) > _LARGEST_INT:
            raise BadJob(f"{where} is too large.")
        if hint is str:
            if len(value) > self.longest_text:
                raise BadJob(f"{where} has {len(value)} characters; the limit is {self.longest_text}.")
            _refuse_characters(value, where)
        return value

    def _convert_list(self, hint: Any, value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise BadJob(f"{where} must be a list.")
        _refuse_length(value, self.most_objects if dataclasses.is_dataclass(hint) else _MOST_VALUES, where)
        kinds = set(map(type, value))  # long lists hold numbers or texts of one kind, which are converted together
        if hint is float and kinds <= {float, int}:
            with contextlib.suppress(OverflowError):
                return tuple(map(float, value))
        if hint is str and kinds == {str} and max(map(len, value)) <= self.longest_text:
            _refuse_characters("".join(value), where)
            return tuple(value)
        return tuple(self._convert(hint, item, f"{where}[{place}]") for place, item in enumerate(value))


def shortened(value: Any) -> str:
    """An unexpected value of any kind and size, for a message."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python does not convert integers with thousands of digits
        return "a huge number"


_hints = functools.cache(typing.get_type_hints)


def _required(kind: type) -> list[str]:
    fields = dataclasses.fields(kind)
    return [field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING]


def _refuse_length(values: Any, most: int, where: str) -> None:
    if len(values) > most:
        raise BadJob(f"{where} holds {len(values)} values; the limit is {most}.")


def _refuse_characters(text: str, where: str) -> None:
    """Raise BadJob for a text that cannot be a file name."""
    try:
        text.encode("utf-8", "surrogateescape")  # file names may hold any bytes
    except UnicodeEncodeError:
        raise BadJob(f"{where} contains an invalid character.") from None
    if "\0" in text:
        raise BadJob(f"{where} contains a NUL character.")

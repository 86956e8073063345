"""Turns the roles of docstrings, such as ``:func:`prepare```, into links of the site: an extension of griffe.

A role that names nothing is a warning, which ends a strict build.
"""

from __future__ import annotations

import builtins
import re
import sys
from typing import Any

import griffe

_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`([^`]+)`")
_logger = griffe.get_logger("docs.cross_references")


class CrossReferences(griffe.Extension):
    """Visits each docstring once everything is loaded that it may name."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        self._visit(pkg, loader.modules_collection)

    def _visit(self, obj: griffe.Object | griffe.Alias, collection: griffe.ModulesCollection) -> None:
        if docstring := obj.docstring:
            docstring.value = _ROLE.sub(lambda role: _link(obj, role[1], collection), docstring.value)
        for member in obj.members.values():
            if not member.is_alias:  # an alias is visited where it comes from
                self._visit(member, collection)


def _link(obj: griffe.Object | griffe.Alias, name: str, collection: griffe.ModulesCollection) -> str:
    """Markdown that links to what a name means inside an object; plain code if that has no place on the site."""
    try:
        path = _path(obj, name)
        target = collection[path] if path.startswith("s2l_core") else None
    except (KeyError, griffe.NameResolutionError):
        _logger.warning(f"{obj.filepath}: {obj.path} refers to {name!r}, which does not exist")
        return f"`{name}`"
    if target is None or not target.has_docstring or re.search(r"\._", target.canonical_path):
        return f"`{name}`"
    return f"[`{name.lstrip('.')}`][{target.canonical_path}]"


def _path(obj: griffe.Object | griffe.Alias, name: str) -> str:
    """The full name of what a name means inside an object; a leading dot means relative to its package."""
    first, *rest = name.removeprefix(".").split(".")
    if first in ("s2l_core", *sys.builtin_module_names, *sys.stdlib_module_names, *dir(builtins)):
        return name
    if name.startswith("."):
        module = obj.module
        package = module if module.is_init_module else module.parent
        while package is not None and first not in package.members:
            package = package.parent
        return ".".join(filter(None, [package.path if package else "", first, *rest]))
    return ".".join([obj.resolve(first), *rest])

"""Turns what docstrings hold into what the documentation's site shows: links to classes and functions, and examples.

Named in ``mkdocs.yml``; the build of the site runs it.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

LINKED = re.compile(r':(?:class|func|meth|mod):`~?([\w.]+)`')
QUOTED = re.compile(r':(?:attr|data):`~?([\w.]+)`')
EXAMPLE = re.compile(r'^>>> .*(?:\n(?!\s*$).*)*', flags=re.MULTILINE)


def as_markdown(docstring: str) -> str:
    """Replace Sphinx roles and fence examples.

    Constants and attributes may have no heading to link to: they are quoted.
    """
    linked = QUOTED.sub(r'`\1`', LINKED.sub(r'[`\1`][\1]', docstring))
    return EXAMPLE.sub(lambda example: f'```pycon\n{example.group()}\n```', linked)


class Docstrings(griffe.Extension):
    """Rewrites every docstring before the site's handler reads it."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each module, class, function and constant."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Called for the package: what a room hands on from its modules is shown once, with its module."""
        for room in pkg.modules.values():
            room.exports = None

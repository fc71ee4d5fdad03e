"""How docstrings become Markdown for the API reference."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytest.importorskip('griffe', reason='griffe comes with the extra docs')
as_markdown = runpy.run_path(str(Path(__file__).resolve().parents[2] / 'docs' / 'api' / 'docstrings.py'))['as_markdown']


def test_roles_become_links_and_quotations() -> None:
    text = 'As :func:`a.b` and :class:`~c.D`, see :data:`E` in :mod:`f`.'
    assert as_markdown(text) == 'As [`a.b`][a.b] and [`c.D`][c.D], see `E` in [`f`][f].'


def test_examples_are_fenced_with_what_they_print() -> None:
    text = 'Adds.\n\n>>> add(1, 2)\n3\n>>> add(\n...     [1], [0]\n... )\n[1]\n\nMore.'
    fenced = '```pycon\n>>> add(1, 2)\n3\n>>> add(\n...     [1], [0]\n... )\n[1]\n```'
    assert as_markdown(text) == f'Adds.\n\n{fenced}\n\nMore.'


def test_other_text_stays() -> None:
    text = 'Values ``(N, C)`` of `x`: 1 > 0.\n\nArgs:\n    a: First.'
    assert as_markdown(text) == text

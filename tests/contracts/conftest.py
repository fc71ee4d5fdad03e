"""What a registry promises is checked on all that it holds, and on the examples outside of the package."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from outside import OUTSIDE, PACKAGE, ROOT, found_in, write_recipe

Bring = Callable[[str], None]


@pytest.fixture
def bring(tmp_path: Path) -> Iterator[Bring]:
    """Imports what registers a component, for this test: a recipe of docs/extend.md, or a package of projects/."""
    with contextlib.ExitStack() as stack:

        def import_for(name: str) -> None:
            if name not in OUTSIDE:
                return
            place = OUTSIDE[name]
            if place.folder is None:
                write_recipe(place.name, tmp_path)
                folder, package = tmp_path, PACKAGE
            else:
                folder, package = ROOT / 'projects' / place.folder, place.name
            stack.enter_context(found_in(folder, package))
            importlib.import_module(package)

        yield import_for

"""Components from outside of the package: the recipes of docs/extend.md and the projects, each for one test."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mitouts import registry

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'my_package'
PAGE = ROOT / 'docs' / 'extend.md'
_BLOCK = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)


def recipe_blocks() -> dict[str, str]:
    """The blocks of the page by their titles; those without one by their language."""
    found = [(match['title'] or match['language'], match['text']) for match in _BLOCK.finditer(PAGE.read_text())]
    assert len(dict(found)) == len(found), 'two blocks have the same title'
    return dict(found)


def recipes() -> list[str]:
    """The names of the recipes that bring a component."""
    return [title.partition(':')[0] for title in recipe_blocks() if title.endswith(f': {PACKAGE}.py')]


def write_recipe(name: str, folder: Path) -> None:
    """Write the module of a recipe into a folder."""
    (folder / f'{PACKAGE}.py').write_text(recipe_blocks()[f'{name}: {PACKAGE}.py'])


@contextmanager
def found_in(folder: Path, *packages: str) -> Iterator[None]:
    """Let packages be found in a folder; what they have imported and registered is forgotten afterwards."""
    _forget(packages)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        _forget(packages)


def _forget(packages: tuple[str, ...]) -> None:
    for each in registry._registries():
        for name, component in list(each.module_dict.items()):
            if component.__module__.partition('.')[0] in packages:
                del each.module_dict[name]
    for name in list(sys.modules):
        if name.partition('.')[0] in packages:
            del sys.modules[name]

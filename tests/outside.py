"""Components from outside of the package: the recipes of docs/extend.md and the projects, each for one test."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mitouts.registry import Registry, all_registries

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'my_package'
PAGE = ROOT / 'docs' / 'extend.md'
_BLOCK = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)


class Place(NamedTuple):
    """Where a component from outside is: the name of its recipe, or of its package and the project's folder."""

    name: str
    folder: str | None = None


OUTSIDE = {
    'SoftmaxPooling': Place('aggregator'),
    'SoftmaxAggregator': Place('softmax_pooling', 'example_aggregator'),
    'DeepHead': Place('head'),
    'Brightness': Place('transform'),
    'CountMetric': Place('metric'),
    'QuantileThreshold': Place('threshold selector'),
    'KeepConfident': Place('criterion'),
    'CountDisagreement': Place('count_disagreement', 'example_criterion'),
    'means': Place('stain normalizer'),
    'ArrayReader': Place('slide reader'),
}


def names_in(registry: Registry, base: type, *outside: str) -> list[str]:
    """The names under which the package registers classes of a base class, and those of examples from outside."""
    own = [
        name
        for name, kind in registry.own_components().items()
        if kind.__module__.startswith('mitouts.') and isinstance(kind, type) and issubclass(kind, base)
    ]
    assert own, f'no {base.__name__} is registered'
    return [*own, *outside]


def recipe_blocks() -> dict[str, str]:
    """The blocks of the page by their titles; those without one by their language."""
    found = [(match['title'] or match['language'], match['text']) for match in _BLOCK.finditer(PAGE.read_text())]
    assert len(dict(found)) == len(found), 'two blocks have the same title'
    return dict(found)


def recipes() -> list[str]:
    """The names of the recipes that bring a component."""
    return [title.partition(':')[0] for title in recipe_blocks() if title.endswith(f': {PACKAGE}.py')]


def write_recipe(name: str, folder: Path, module: str = PACKAGE) -> None:
    """Write the module of a recipe into a folder."""
    (folder / f'{module}.py').write_text(recipe_blocks()[f'{name}: {PACKAGE}.py'])


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
    for each in all_registries():
        for name, component in list(each.module_dict.items()):
            if component.__module__.partition('.')[0] in packages:
                del each.module_dict[name]
    for name in list(sys.modules):
        if name.partition('.')[0] in packages:
            del sys.modules[name]

"""Finds models of the package, their cards, and any checkpoint by name or path."""

from __future__ import annotations

import difflib
from pathlib import Path

from mitouts.errors import CheckpointError

FOLDER = Path(__file__).parent
SUFFIX = '.pth'
CARD_SECTIONS = (
    'Data and licences',
    'What it is for',
    'What it is not for',
    'Figures',
    'Resolution and stain',
    'Thresholds',
    'Known failures',
)
"""Headings of the second level that every card has, each with a text below it."""
STARTER = 'starter'
"""Name of the model that finds figures where no other is given."""


def zoo_models() -> dict[str, Path]:
    """Return the checkpoint of each model that the package brings, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob(f'*{SUFFIX}'))}


def card_of(name: str) -> str | None:
    """Return the card of a model of the zoo as Markdown; None if it has none."""
    path = FOLDER / f'{name}.md'
    return path.read_text(encoding='utf-8') if path.is_file() else None


def resolve_checkpoint(name: str | Path) -> Path:
    """Return the file of a checkpoint.

    Args:
        name: A path, or the name of a model of the zoo. What is a file, lies in a folder or ends in ``.pth`` is a path.

    Raises:
        CheckpointError: It is a name that the zoo does not have.
    """
    path = Path(name)
    if path.suffix == SUFFIX or len(path.parts) != 1 or path.exists():
        return path
    models = zoo_models()
    if path.name in models:
        return models[path.name]
    raise CheckpointError(
        f'checkpoint {name}: neither a file nor a model of the zoo; {_known(path.name)} (mitouts models lists them)'
    )


def pretrained(name: str) -> Path:
    """Return the checkpoint of a model of the zoo.

    Args:
        name: Its name.

    Raises:
        CheckpointError: The zoo has no such model.
    """
    models = zoo_models()
    if name not in models:
        raise CheckpointError(
            f'{name} is no model of the zoo; {_known(name)} (mitouts models lists them). A checkpoint of your own is '
            "loaded by its path: Localizer.from_checkpoint('best.pth')"
        )
    return models[name]


def starter() -> Path:
    """Return the checkpoint that commands take where none is given.

    Raises:
        CheckpointError: This installation has none.
    """
    models = zoo_models()
    if STARTER not in models:
        others = f'; the zoo has {", ".join(models)}' if models else ''
        raise CheckpointError(
            f'no model was given, and this installation has no {STARTER} model ({FOLDER / STARTER}{SUFFIX} is '
            f'missing{others}): name one with --checkpoint, such as the best.pth of a training'
        )
    return models[STARTER]


def name_of(checkpoint: str | Path) -> str:
    """Return the name of a model of the zoo, or the file name of any other checkpoint."""
    path = Path(checkpoint)
    return path.stem if path in zoo_models().values() else path.name


def _known(name: str) -> str:
    models = zoo_models()
    near = difflib.get_close_matches(name, models, n=3)
    return f'did you mean {" or ".join(near)}?' if near else f'the zoo has {", ".join(models) or "no model yet"}'

"""Finds models of the package, their cards, and any checkpoint by name or path."""

from __future__ import annotations

import difflib
from pathlib import Path

from mitouts.errors import CheckpointError

FOLDER = Path(__file__).parent
SUFFIX = '.pth'


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
    near = difflib.get_close_matches(path.name, models, n=3)
    known = f'did you mean {" or ".join(near)}?' if near else f'the zoo has {", ".join(models) or "no model yet"}'
    raise CheckpointError(
        f'checkpoint {name}: neither a file nor a model of the zoo; {known} (mitouts models lists them)'
    )

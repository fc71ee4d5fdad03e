"""Checks which tool made a file, and with which arguments: ``info.mitouts`` of an annotation file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitouts.errors import AnnotationError
from mitouts.formats.coco import read_json


def read_earlier(path: Path, tool: str, arguments: Mapping[str, Any], *, overwrite: bool) -> dict[str, Any] | None:
    """Read the file that an earlier run of a tool wrote with the same arguments.

    Args:
        arguments: All that the output depends on, as read back from JSON.
        overwrite: Allow replacing a file that was made with other arguments.

    Returns:
        The document; None where it was made with other arguments and may be replaced.

    Raises:
        AnnotationError: It was made by something else, or with other arguments and ``overwrite`` is off.
    """
    check_out(path, tool)
    document = read_json(path)
    made_with = document['info']['mitouts'].get('arguments', {})
    return document if check_arguments(path, made_with, arguments, overwrite=overwrite) else None


def check_arguments(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], *, overwrite: bool) -> bool:
    """Tell whether the file at ``path`` was made with the given arguments.

    Raises:
        AnnotationError: It was made with other arguments, and ``overwrite`` is off.
    """
    differing = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
    if differing and not overwrite:
        listed = ', '.join(_change(key, found.get(key), wanted.get(key)) for key in differing)
        raise AnnotationError(
            f'{path} was made with other arguments: {listed}; choose another --out or add --overwrite'
        )
    return not differing


def check_out(out: Path, tool: str) -> None:
    """Refuse to write over a file that ``tool`` did not write.

    Raises:
        AnnotationError: It is something else.
    """
    if not out.exists():
        return
    try:
        info = read_json(out).get('info', {})
        made_by = info['mitouts']['tool']
    except (AnnotationError, AttributeError, KeyError, TypeError, IsADirectoryError):
        made_by = None
    if made_by != tool:
        raise AnnotationError(f'{out} was not written by {tool} and is not touched; choose another --out')


def _change(key: str, found: Any, wanted: Any) -> str:
    # A table of all images would drown what else the line says.
    nested = isinstance(found, (dict, list)) or isinstance(wanted, (dict, list))
    return key if nested else f'{key} {found} (now {wanted})'

"""Reads the report of a counted slide, or why there is none, out of the slide's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mitouts.errors import AnnotationError
from mitouts.formats.coco import read_json
from mitouts.formats.source import is_id, is_number

REPORT_NAME = 'report.json'
FAILURE_NAME = 'failed.json'


def read_report(folder: Path, needed: Sequence[str]) -> dict[str, Any]:
    """Read the report of a counted slide.

    Args:
        needed: Keys of :data:`REPORT_KEYS` that the report must have, beside the slide and its provenance.

    Raises:
        AnnotationError: It is missing, or not a report of ``mitouts count``; the message says what is wrong.
    """
    path = folder / REPORT_NAME
    report = read_json(path)
    for keys in ('provenance', 'slide.file_name', 'slide.mpp', 'slide.width_px', 'slide.height_px', *needed):
        value: Any = report
        for number, key in enumerate(keys.split('.'), start=1):
            if not isinstance(value, Mapping) or key not in value:
                lacking = '.'.join(keys.split('.')[:number])
                raise AnnotationError(f'{path} is no report of mitouts count: it lacks {lacking}')
            value = value[key]
        if not REPORT_KEYS[keys](value):
            raise AnnotationError(f'{path} is no report of mitouts count: {keys} cannot be {value!r:.40}')
    return dict(report)


def read_failure(folder: Path) -> tuple[str, str]:
    """Read the name of a slide that failed, and the reason.

    Raises:
        AnnotationError: It is missing, or not such a file.
    """
    failure = read_json(folder / FAILURE_NAME)
    if not isinstance(failure, dict):
        raise AnnotationError(
            f'{folder / FAILURE_NAME}: expected an object with slide and reason, found {failure!r:.60}'
        )
    return str(failure.get('slide')), str(failure.get('reason'))


def _is_positive(value: Any) -> bool:
    return is_number(value) and value > 0


def _is_count(value: Any) -> bool:
    return is_id(value) and value >= 0


def _are_rectangles(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(rectangle, list) and len(rectangle) == 4 and all(map(is_number, rectangle)) for rectangle in value
    )


REPORT_KEYS: Mapping[str, Callable[[Any], bool]] = {
    'provenance': lambda value: isinstance(value, Mapping),
    'slide.file_name': lambda value: isinstance(value, str) and bool(value),
    'slide.mpp': _is_positive,
    'slide.width_px': _is_count,
    'slide.height_px': _is_count,
    'provenance.map_threshold': is_number,
    'counts.figures': _is_count,
    'counts.num_tiles': _is_count,
    'counted_area.from': lambda value: isinstance(value, str),
    'unreadable.rectangles_px': _are_rectangles,
}
"""Key of a report -> function that tells whether a value is valid for it."""
